"""Signatures and public keys, checked by own code, because the standard library has none of them.

``ed25519`` is the arithmetic, ``fingerprints`` what people compare, ``sshsig`` what signs our own documents; ``packets``,
``pgpkeys`` and ``openpgp``, in this order, what vendors sign RPMs and repositories with. Nothing here makes a signature:
``mirror.connected.signing`` does.
"""
