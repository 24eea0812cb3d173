"""Building a generation: interpreter, venv, toolkit, ``env.sh``, self-test, receipt, in its final place.

It joins the modules of this room into one generation. ``mirror.closed.install`` decides whether it may be built,
``mirror.closed.prefix.generations`` makes its directory and completes it; when anything here fails, the directory goes.

Rules: each kind of artifact installs its own (``mirror.closed.kinds``); all that is temporary lies in ``.work``.

Example::

    with prefix.building(identity, digest) as generation:
        build(Destination(bundle, generation, plan, host, lock), now)
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace

from mirror import __version__
from mirror.closed.environment.shells import fish_script, sh_script
from mirror.closed.environment.variables import Environment
from mirror.closed.kinds import INSTALL
from mirror.closed.kinds.destination import Destination
from mirror.closed.prefix.check import Check
from mirror.closed.prefix.receipt import Receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.prefix.tree import disk_usage, remove_tree
from mirror.closed.selftest.newcaches import first_self_test
from mirror.closed.toolkit.unpacking import dangling_notes
from mirror.closed.warm.aot import link_modules
from mirror.core.errors import writing
from mirror.core.kinds import KINDS
from mirror.core.names import Sha256Hex
from mirror.core.system.durable import write_file
from mirror.core.toolkit import fileindex
from mirror.core.vetting.rules import RECORD_MISMATCH


def build(destination: Destination, now: int, allowed_older: str = "", repairs: str = "") -> None:
    """Fill a generation, all but its mark.

    Args:
        destination: whose generation is an empty directory, removed by its maker when this fails.
        now: seconds since 1970 UTC.
        allowed_older: why the operator wants it although a newer one was installed; empty when none was.
        repairs: name of the generation that it is to replace; empty when there is none.

    Raises:
        DigestMismatch: when the bundle has changed since it was verified.
        Unwritable: when the disk refuses.
        MirrorError: as the modules do that are used here.
    """
    with writing(destination.generation.path, below=True):  # a full disk may show itself anywhere below
        checks, seal = _fill(destination)
        receipt = replace(
            _receipt(destination, now, checks),
            allowed_older=allowed_older,
            repairs=repairs,
            size=disk_usage(destination.generation.path),
            files_sha256=Sha256Hex(hashlib.sha256(seal).hexdigest()),
        )
        write_file(destination.generation.receipt, receipt.encode())


def _fill(destination: Destination) -> tuple[tuple[Check, ...], bytes]:
    """All but the receipt; gives the outcome of the self-test, and the seal."""
    bundle, generation = destination.bundle, destination.generation
    destination.work.mkdir(mode=0o700)
    for install in INSTALL:
        install(destination)
    link_modules(generation)
    environment = Environment(generation.path, bundle.manifest)
    write_file(generation.env_script, sh_script(environment).encode())
    write_file(generation.env_script.with_suffix(".fish"), fish_script(environment).encode())
    write_file(generation.manifest, bundle.manifest_bytes)
    if index := bundle.manifest.find(fileindex.BUNDLED):  # for `mirror which`
        write_file(generation.path / fileindex.INSTALLED, bundle.read(index))
    held = (destination.lock,)
    checks = first_self_test(environment, destination.host, destination.work, os.environ, destination.progress, held)
    remove_tree(destination.work)
    seal = Seal.of(generation, destination.waived(RECORD_MISMATCH)).encode()
    write_file(generation.files, seal)
    return checks, seal


def _receipt(destination: Destination, now: int, checks: tuple[Check, ...]) -> Receipt:
    manifest, signers = destination.manifest, destination.bundle.signers
    assert signers is not None, "the manifest was trusted"
    python, dangling = destination.interpreter, destination.toolchain.dangling if destination.toolchain else ()
    return Receipt(
        name=manifest.name,
        sequence=manifest.sequence,
        manifest_sha256=destination.bundle.digest,
        generation=str(destination.generation.path),
        installed=now,
        python=str(python.path) if python else "",
        python_version=python.version if python else "",
        python_origin="" if python is None else "host" if destination.plan.interpreter else "bundle",
        installer=destination.installer,
        signers=signers.names,
        approvers=tuple(sorted(signers.by_role.get("approver", ()))),
        counts=tuple((kind.name, len(found)) for kind in KINDS if (found := manifest.of(kind))),
        mirror=__version__,
        checks=checks,
        notes=(*destination.plan.notes, *dangling_notes(dangling)),
        toolchain=destination.toolchain,
    )
