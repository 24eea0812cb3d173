"""A bundle: one tar that is a pure function of its manifest.

``manifest`` is what is signed, ``layout`` the bytes that follow from it, ``signaturearea`` those that do not, ``reader`` holds
a file to all three, ``writer`` writes one. ``dossier`` is what is known of each file, for people; ``offered_roots`` are the
roots that a bundle offers for trust. ``volumes`` are a large file in pieces, ``delta`` what turns one bundle into the next.
"""
