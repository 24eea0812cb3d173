"""Building a generation: interpreter, venv, toolkit, ``env.sh``, self-test, receipt, in its final place.

It joins the modules of this room into one generation. ``mirror.closed.install`` decides whether it may be built,
``mirror.closed.prefix.generations`` makes its directory and completes it; when anything here fails, the directory goes.

Rules: each kind of artifact installs its own (``mirror.closed.kinds``); all that is temporary lies in ``.work``.

Example::

    with prefix.building(identity, digest) as generation:
        Building(bundle, generation, plan, host, lock).build(digest, now)
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

from mirror import __version__
from mirror.closed.environment.shells import fish_script, sh_script
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host
from mirror.closed.kinds import INSTALL
from mirror.closed.kinds.destination import Destination
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.receipt import Receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.prefix.tree import disk_usage, remove_tree
from mirror.closed.preflight import Plan
from mirror.closed.selftest.newcaches import first_self_test
from mirror.closed.selftest.selftest import Check
from mirror.closed.toolkit.unpacking import dangling_notes
from mirror.closed.warm.aot import link_modules
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import Unwritable, place_of
from mirror.core.kinds import KINDS
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import write_file
from mirror.core.toolkit import fileindex
from mirror.core.vetting.rules import RECORD_MISMATCH


@dataclass(frozen=True)
class Building:
    """One generation in the making.

    Attributes:
        bundle: verified.
        generation: an empty directory, removed by its maker when ``build`` fails.
        plan: what preflight decided.
        host: this machine.
        lock: the descriptor of the prefix's lock.
        jobs: how much to do at once; 0 for as much as the machine has processors.
        progress: who listens.
        allowed_older: why the operator wants it although a newer one was installed; empty when none was.
        repairs: name of the generation that it is to replace; empty when there is none.
    """

    bundle: Bundle
    generation: Generation
    plan: Plan
    host: Host
    lock: int
    jobs: int = 0
    progress: Progress = SILENT
    allowed_older: str = ""
    repairs: str = ""

    @property
    def _manifest(self) -> Manifest:
        return self.bundle.manifest

    def build(self, digest: Sha256Hex, now: int) -> None:
        """Fill the generation, all but its mark.

        Args:
            digest: of the manifest's bytes.
            now: seconds since 1970 UTC.

        Raises:
            DigestMismatch: when the bundle has changed since it was verified.
            Unwritable: when the disk refuses.
            MirrorError: as the modules do that are used here.
        """
        try:
            self._fill(digest, now)
        except OSError as exc:
            # A full disk may show itself anywhere below, and its error seldom names a file.
            raise Unwritable(place_of(exc, self.generation.path), exc.strerror or str(exc)) from exc

    def _fill(self, digest: Sha256Hex, now: int) -> None:
        destination = Destination(
            self.bundle, self.generation, self.plan, self.host, self.lock, self.jobs, self.progress
        )
        destination.work.mkdir(mode=0o700)
        for install in INSTALL:
            install(destination)
        link_modules(self.generation)
        environment = Environment(self.generation.path, self._manifest)
        write_file(self.generation.env_script, sh_script(environment).encode())
        write_file(self.generation.env_script.with_suffix(".fish"), fish_script(environment).encode())
        write_file(self.generation.manifest, self.bundle.manifest_bytes)
        if index := self._manifest.find(fileindex.BUNDLED):  # for `mirror which`
            write_file(self.generation.path / fileindex.INSTALLED, self.bundle.read(index))
        checks = first_self_test(environment, self.host, destination.work, os.environ, self.progress, (self.lock,))
        remove_tree(destination.work)
        seal = Seal.of(self.generation, destination.waived(RECORD_MISMATCH)).encode()
        write_file(self.generation.files, seal)
        receipt = self._receipt(digest, now, destination, checks)
        receipt = replace(
            receipt, size=disk_usage(self.generation.path), files_sha256=Sha256Hex(hashlib.sha256(seal).hexdigest())
        )
        write_file(self.generation.receipt, receipt.encode())

    def _receipt(self, digest: Sha256Hex, now: int, destination: Destination, checks: tuple[Check, ...]) -> Receipt:
        dangling = destination.toolchain.dangling if destination.toolchain else ()
        return Receipt(
            name=self._manifest.name,
            sequence=self._manifest.sequence,
            manifest_sha256=digest,
            generation=str(self.generation.path),
            installed=now,
            python=str(destination.interpreter.path) if destination.interpreter else "",
            python_version=destination.interpreter.version if destination.interpreter else "",
            python_origin="" if destination.interpreter is None else "host" if self.plan.interpreter else "bundle",
            installer=destination.installer,
            signers=self._signers(),
            approvers=self._approvers(),
            counts=tuple((kind.name, len(found)) for kind in KINDS if (found := self._manifest.of(kind))),
            mirror=__version__,
            allowed_older=self.allowed_older,
            repairs=self.repairs,
            checks=checks,
            notes=(*self.plan.notes, *dangling_notes(dangling)),
            toolchain=destination.toolchain,
        )

    def _signers(self) -> tuple[str, ...]:
        assert self.bundle.signers is not None, "the manifest was trusted"
        return tuple(sorted({name for names in self.bundle.signers.by_role.values() for name in names}))

    def _approvers(self) -> tuple[str, ...]:
        assert self.bundle.signers is not None, "the manifest was trusted"
        return tuple(sorted(self.bundle.signers.by_role.get("approver", ())))
