"""Signing: ``keyfile`` and ``agent`` hold keys, ``signers`` sign with them, ``rotation`` makes the next root."""
