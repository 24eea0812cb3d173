"""The floor that both sides stand on: formats, trust and the toolchain, in the standard library of Python 3.9.

Words: ``errors``, ``names``, ``fields`` (strict documents), ``target``, ``progress``, ``durable`` (files whole or not at all).
The bundle: ``manifest`` (what is signed), ``layout`` (the one legal tar), ``reader``.
Trust: ``ed25519``, ``sshsig``, ``root`` (who may sign), ``quorum`` (did enough of them), ``trust`` (whom this host trusts),
``offer`` (a root to be trusted for the first time).
RPMs: ``packets``, ``pgpkeys`` and ``openpgp`` (vendors' signatures), ``rpmheader``, ``rpm``, ``payload``, ``cpio``,
``toolchain``, ``cudalinks`` (what NVIDIA's scriptlets would have done).

No network, no subprocess, nothing printed.
"""
