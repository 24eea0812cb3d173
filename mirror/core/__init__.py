"""The floor that both sides stand on: formats, trust and the toolchain. Bytes in, values or errors out.

Modules and packages, each standing only on those before it:

1. what all use: ``errors``, ``words``, ``names``, ``fields`` and ``toml`` (strict documents), ``cpus``, ``target``,
   ``commands``, ``progress``, ``system``, ``kinds``, ``stackfiles``.
2. ``archives``: tar, cpio, zip and compressed streams that came from elsewhere.
3. ``binaries``: compiled files, what they ask of a host, and for which GPUs they hold code.
4. ``wheels``: a wheel's name, tags, paths, versions and requirements, and the one reader of the file.
5. ``signatures``: Ed25519, OpenSSH's sshsig, OpenPGP.
6. ``trust``: who may sign what, whether enough of them did, the chain of roots; and whose a place on a disk is.
7. ``bundle``: the manifest, the one legal tar, and the dossier beside them.
8. ``advisories`` and ``policy``: what is known against a bundle's files, and what a site allows; ``cuda``: what NVIDIA's
   releases and parts are called; ``targets``: what hosts are, and which of them a bundle fits.
9. ``toolkit``: RPMs and component archives as one CUDA tree.
10. ``vetting``: whether wheels are what they say.
11. ``logs``: what a log of a server, a compiler or an installer says.

No network, no subprocess, nothing printed; the standard library of Python 3.9 (and ``tomli`` below 3.11), because all of it
is carried across the gap.
"""
