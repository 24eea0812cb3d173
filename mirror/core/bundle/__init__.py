"""A bundle: one tar that is a pure function of its manifest.

``layout`` is what bytes follow from a manifest, ``signaturearea`` those that do not, ``manifest`` what is signed; ``dossier``
is what is known of each file, for people; ``writer`` writes a bundle. ``volumes`` are a large file in pieces, ``delta`` what
turns one bundle into the next; ``reader`` holds a file to all that; ``offered_roots`` are the roots that it offers for trust.
"""
