"""Papers: what a bundle says of its files, for people and for other tools.

``vetting`` is the gate, ``edges`` who needs whom, ``dossier`` all of it together; ``purls``, ``sbom`` and ``attestation`` the
same in others' forms; ``osv`` asks an advisory database; ``papers`` holds the order.
"""
