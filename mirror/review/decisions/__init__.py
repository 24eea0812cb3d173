"""Deciding: ``commands`` to copy, ``recipes`` that need none of our code, ``approval`` and refusal, ``sshkeygen`` to sign
them."""
