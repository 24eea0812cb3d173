"""Trust: from a fingerprint that was told once to the decision about one manifest.

``ownership`` says whose a place is, ``scratch`` makes one for temporary files; ``root`` who may sign, ``quorum`` whether enough
of them did, ``chain`` how one root follows another, ``truststore`` where this user keeps them; ``sidecars`` finds what people
signed beside a bundle, ``verdict`` decides.
"""
