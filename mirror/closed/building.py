"""Building a generation: interpreter, venv, toolkit, ``env.sh``, self-test, receipt, in its final place.

It joins the modules of this room into one generation. Whether it may be built at all, its directory, and its
completion are ``mirror.closed.install``'s and ``mirror.closed.prefix.generations``'s; when anything here fails, the directory
goes.

Rules: the bundle's bytes are checked again where they are used, for the file may have changed since it was verified:
what is copied is hashed on the way, wheels are checked by their installer, RPMs by their signatures; all that is
temporary lies in ``.work``.

Example::

    with prefix.building(identity, digest) as generation:
        Building(bundle, generation, plan, host, lock).build(digest, now)
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirror import __version__
from mirror.closed.environment.launcher import CARRIED, write_launcher
from mirror.closed.environment.shells import fish_script, sh_script
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.receipt import Receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.closed.prefix.tree import disk_usage, remove_tree
from mirror.closed.preflight import REQUIREMENTS, Plan, unpacked_limit
from mirror.closed.selftest.selftest import Check, refuse_failures, self_test
from mirror.closed.toolkit import zstd
from mirror.closed.toolkit.unpacking import dangling_notes, unpack_toolkit
from mirror.closed.venv.interpreter import Interpreter, unpack_interpreter
from mirror.closed.venv.venv import Venv, choose_installer, make_venv
from mirror.closed.venv.wheelserver import serving
from mirror.core.bundle import dossier
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle, DigestMismatch
from mirror.core.durable import write_file
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.kinds import INTERPRETER, REDIST, RPM, TOOL, WHEEL
from mirror.core.names import Sha256Hex, project_name
from mirror.core.progress import SILENT, Progress
from mirror.core.toolkit import fileindex
from mirror.core.vetting.rules import COLLISION

_CHUNK = 1 << 20


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

    @property
    def _work(self) -> Path:
        return self.generation.path / ".work"

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
            raise Unwritable(os.fsdecode(exc.filename or self.generation.path), exc.strerror or str(exc)) from exc

    def _fill(self, digest: Sha256Hex, now: int) -> None:
        self._work.mkdir(mode=0o700)
        interpreter = self._interpreter()
        installer = self._install_wheels(interpreter)
        toolchain = self._unpack_toolkit(interpreter)
        environment = Environment(self.generation.path, self._manifest)
        write_file(self.generation.env_script, sh_script(environment).encode())
        write_file(self.generation.env_script.with_suffix(".fish"), fish_script(environment).encode())
        write_file(self.generation.manifest, self.bundle.manifest_bytes)
        if index := self._manifest.find(fileindex.BUNDLED):  # for `mirror which`
            write_file(self.generation.path / fileindex.INSTALLED, self.bundle.read(index))
        self._put_launcher(interpreter)
        checks = refuse_failures(self_test(environment, self.host, self._work, self.progress, (self.lock,)))
        remove_tree(self._work)
        seal = Seal.of(self.generation).encode()
        write_file(self.generation.files, seal)
        receipt = self._receipt(digest, now, interpreter, installer, checks, toolchain)
        receipt = replace(
            receipt, size=disk_usage(self.generation.path), files_sha256=Sha256Hex(hashlib.sha256(seal).hexdigest())
        )
        write_file(self.generation.receipt, receipt.encode())

    def _interpreter(self) -> Interpreter:
        if self.plan.interpreter:
            return self.plan.interpreter
        (artifact,) = self._manifest.of(INTERPRETER)[:1]
        self.progress.say(f"unpacking Python from {artifact.filename}")
        archive = self._copy(artifact)
        limit = unpacked_limit(artifact)
        interpreter = unpack_interpreter(archive, self.generation.python, self._manifest.target, limit)
        archive.unlink()
        return interpreter

    def _put_launcher(self, interpreter: Interpreter) -> None:
        """``mirror`` on the path, of the ``mirror.pyz`` that was signed with the rest."""
        carried = self._manifest.find(CARRIED)
        if carried is None:
            return
        directory = self.generation.launcher.parent
        directory.mkdir()
        self._copy(carried).replace(directory / "mirror.pyz")
        pythons = [Path(sys.executable), interpreter.path]
        write_launcher(self.generation, pythons, self.generation.path.parents[1])

    def _install_wheels(self, interpreter: Interpreter) -> str:
        tools = [self._copy(tool) for tool in self._manifest.of(TOOL) if tool.name in ("uv", "pip")]
        installer = choose_installer(tools, self._work)
        with self._links() as links:
            venv = Venv(
                path=self.generation.venv,
                interpreter=interpreter.path,
                name=self._manifest.name,
                requirements=self._requirements(),
                links=links,
                work=self._work,
                jobs=self.jobs,
                inherited=(self.lock,),  # should we be killed, the prefix stays locked while the installer lives
                last=self._kept_in_collisions(),
            )
            make_venv(installer, venv)
        return installer.name

    def _kept_in_collisions(self) -> tuple[str, ...]:
        """The projects whose files somebody chose over other wheels' (a waiver of ``collision``)."""
        carried = self._manifest.find(dossier.PATH)
        facts = dossier.Dossier.parse(self.bundle.read(carried)).files if carried else ()
        chosen = {one.path for one in facts if any(waiver.rule == COLLISION for waiver in one.waivers)}
        return tuple(project_name(wheel.name) for wheel in self._manifest.of(WHEEL) if wheel.path in chosen)

    @contextmanager
    def _links(self) -> Iterator[str]:
        """Where the installer finds the wheels: a page served out of the bundle, or a directory of copies."""
        wheels = self._manifest.of(WHEEL)
        total = sum(wheel.size for wheel in wheels)
        if self.plan.serve:
            with self.progress.task("install", total) as advance, serving(self.bundle.open, wheels, advance) as url:
                yield url
        else:
            with self.progress.task("extract", total) as advance:
                for wheel in wheels:
                    self._copy(wheel)
                    advance(wheel.size)
            yield "wheels"  # relative to the installer's working directory: uv splits at commas, pip at blanks

    def _unpack_toolkit(self, interpreter: Interpreter) -> ToolchainRecord | None:
        """Unpack the CUDA toolkit if there is one."""
        if not self._manifest.carries_toolchain:
            return None
        wheel = next((self._copy(tool) for tool in self._manifest.of(TOOL) if tool.name == zstd.PROJECT), None)
        finder = zstd.ZstdFinder(interpreter.path, wheel, self._work)
        toolkit = unpack_toolkit(self.bundle, self.generation.cuda, self.jobs, self.progress, finder)
        for note in dangling_notes(toolkit.dangling):
            self.progress.say(f"note: {note}")
        return ToolchainRecord.of(toolkit)

    def _requirements(self) -> Path:
        artifact = self._manifest.find(REQUIREMENTS)
        assert artifact is not None, "preflight has seen it"
        return self._copy(artifact)

    def _copy(self, artifact: Artifact) -> Path:
        """Copy an artifact into the work directory, its digest checked on the way."""
        path = self._work / artifact.path
        path.parent.mkdir(exist_ok=True)
        digest = hashlib.sha256()
        with path.open("xb") as target:
            for chunk in self._chunks(artifact):
                digest.update(chunk)
                target.write(chunk)
        actual = Sha256Hex(digest.hexdigest())
        if actual != artifact.sha256:
            raise DigestMismatch(artifact.path, artifact.sha256, actual)
        return path

    def _chunks(self, artifact: Artifact) -> Iterator[bytes]:
        with self.bundle.open(artifact) as source:
            try:
                while chunk := source.read(_CHUNK):
                    yield chunk
            except OSError as exc:
                raise Unreadable(str(self.bundle.path), f"{exc.strerror or exc} (in {artifact.path})") from exc

    def _receipt(
        self,
        digest: Sha256Hex,
        now: int,
        interpreter: Interpreter,
        installer: str,
        checks: tuple[Check, ...],
        toolchain: ToolchainRecord | None,
    ) -> Receipt:
        return Receipt(
            name=self._manifest.name,
            sequence=self._manifest.sequence,
            manifest_sha256=digest,
            generation=str(self.generation.path),
            installed=now,
            python=str(interpreter.path),
            python_version=interpreter.version,
            python_origin="host" if self.plan.interpreter else "bundle",
            installer=installer,
            signers=self._signers(),
            approvers=self._approvers(),
            wheels=len(self._manifest.of(WHEEL)),
            rpms=len(self._manifest.of(RPM)),
            archives=len(self._manifest.of(REDIST)),
            mirror=__version__,
            allowed_older=self.allowed_older,
            repairs=self.repairs,
            checks=checks,
            notes=(*self.plan.notes, *dangling_notes(toolchain.dangling if toolchain else ())),
            toolchain=toolchain,
        )

    def _signers(self) -> tuple[str, ...]:
        assert self.bundle.signers is not None, "the manifest was trusted"
        return tuple(sorted({name for names in self.bundle.signers.by_role.values() for name in names}))

    def _approvers(self) -> tuple[str, ...]:
        assert self.bundle.signers is not None, "the manifest was trusted"
        return tuple(sorted(self.bundle.signers.by_role.get("approver", ())))
