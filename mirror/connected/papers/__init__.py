"""Papers: what a bundle says of its files, for people and for other tools.

``vetting`` is the gate, ``edges`` which RPM needs which, ``dossier`` all of it together; ``sbom`` and ``attestation`` the same
in others' forms; ``osv`` asks an advisory database; ``papers`` holds the order.
"""
