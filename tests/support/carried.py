"""A small stack with one artifact of every kind, assembled as a bundle would be, without an index or a build.

Example::

    carried = Carried(tmp_path)
    carried.add_papers()
    carried.text("meta/dossier.json")
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mirror.connected.building.kept import BuiltWheel
from mirror.connected.contents.inside import Contents as Found
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.store import Store
from mirror.connected.gathering import assemble
from mirror.connected.kinds.facet import Gathered
from mirror.connected.packing.assembly import Assembly
from mirror.connected.papers.papers import add_papers, compiled, look_inside, wheels_of
from mirror.connected.papers.vetting import Gate, vet
from mirror.connected.pins.requirements import parse_lock
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Build, Part, Plan
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.connected.toolchain.rpmpackage import RpmPin
from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.kinds import INTERPRETER, RPM, TOOL, WHEEL, Kind
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.progress import SILENT, Progress
from tests.support.rpms import HOME, Contents, Packager, Program
from tests.support.wheels import make_sdist, make_wheel, sha256_of
from tests.unit.core.binaries.test_native import cubin

LOCKED = 1_793_491_200  # 2026-11-01T00:00:00Z
UPLOADED = 1_767_225_600
TARGET = {"python": "3.11", "arch": "x86_64", "glibc": "2.28", "gpu": "sm_90a", "cuda": "13.0"}
MIT = "MIT License\n\nCopyright (c) 2026 A\n"
HOST = "https://files.example.org"
SITE = "https://site.example.org/simple/"
STACK = {
    "target": TARGET,
    "python": {
        "requirements": ["alpha[fast]==1.0", "delta==2.0", "win==1; sys_platform == 'win32'"],
        "optional": ["site-only==1.0", "absent==1.0"],
        "build": ["delta"],
        "index": {"site-only": "site"},
    },
    "indexes": {"site": SITE},
}


class Carried:
    """The stack, what it is made of, and the assembly that holds it.

    Attributes:
        plan, locks, built, assembly, gate: as ``mirror bundle`` has them before it writes the papers.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stack = Stack.from_dict(STACK, "demo")
        self.packager = Packager()
        self._paths: dict[Sha256Hex, Path] = {}
        parts = (*self._wheels(), *self._tools(), *self._rpms(), self._interpreter())
        self.sdist = self._download(make_sdist(directory / "sdists", "delta", "2.0"))
        wanted = self._download(make_wheel(directory / "needs", "backend", "3.0"))
        builds = (Build(ProjectName("delta"), "2.0", self.sdist), Build(ProjectName("mirror-probe"), "1.0", None))
        self.plan = Plan("demo", LOCKED, self.stack.target, parts, builds, (wanted,), notes=("goes without absent",))
        self.locks = self._locked()
        self.built = (self._built("delta", "2.0", self.sdist.sha256), self._built("mirror-probe", "1.0", "ab" * 32))
        self.store = Store(directory / "store")
        self.assembly = self.assembled().assembly

    def assembled(self) -> Gathered:
        """The members, gathered anew."""
        return assemble(self.plan, self.locks, self._paths, self.built)

    def gate(self, assembly: Assembly, contents: Mapping[str, Found]) -> Gate:
        wheels = wheels_of(assembly, contents)
        return vet(wheels, self.plan.target, self.locks.stack, compiled(assembly, contents))

    def add_papers(self, store: Store | None = None, progress: Progress = SILENT) -> Assembly:
        """Write the papers into a new assembly."""
        gathered = self.assembled()
        self.assembly = gathered.assembly
        contents = look_inside(gathered, store or self.store, progress)
        gate = self.gate(self.assembly, contents)
        add_papers(self.assembly, self.plan, self.locks, self.built, gate, contents)
        return self.assembly

    def bytes(self, path: str) -> bytes:
        """A paper's bytes."""
        source = self.assembly.sources[path]
        assert isinstance(source, bytes)
        return source

    def facts(self, name: str) -> FileFacts:
        """The dossier's line on the artifact whose file name begins so."""
        (found,) = [one for one in self.dossier().files if one.path.split("/")[1].startswith(name)]
        return found

    def dossier(self) -> Dossier:
        return Dossier.parse(self.bytes("meta/dossier.json"))

    def without_stack(self) -> None:
        """Forget ``NAME.toml``, as for a lock that was made elsewhere."""
        self.locks = replace(self.locks, stack=None)

    def _download(self, path: Path) -> Download:
        digest = Sha256Hex(sha256_of(path))
        self._paths[digest] = path
        return Download(f"{HOST}/{path.name}", path.name, digest, path.stat().st_size)

    def _part(self, kind: Kind, path: Path, name: str, version: str, **more: object) -> Part:
        return Part(kind, name, version, self._download(path), **more)  # type: ignore[arg-type]

    def _wheels(self) -> list[Part]:
        wheels = self.directory / "wheels"
        tag = "cp311-cp311-manylinux_2_28_x86_64"
        licence = {"License-Expression: Apache-2.0 OR MIT", "Home-page: https://alpha.example.org/?token=secret"}
        texts = {
            "alpha.py": b"",
            "alpha-1.0.dist-info/LICENSE": MIT.encode(),
            "alpha-1.0.dist-info/NOTICE": b"thanks\n",
        }
        alpha = make_wheel(
            wheels, "alpha", "1.0", requires=["beta", "gamma; extra == 'fast'", "winonly; os_name == 'nt'"],
            extras=["fast"], said=[*sorted(licence), "Summary: The first"], files=texts, scripts={"alpha": "alpha:main"},
        )  # fmt: skip
        kernels = {"beta/k.cubin": cubin(0x06005A04), "beta/LICENSE.txt": MIT.encode()}
        beta = make_wheel(wheels, "beta", "1.1", tag=tag, files=kernels, said=["License: BSD"])
        gamma = make_wheel(wheels, "gamma", "1.2", said=["License: MIT"])
        site = make_wheel(wheels, "site-only", "1.0")
        made = {"alpha": alpha, "beta": beta, "gamma": gamma, "site-only": site}
        return [
            self._part(WHEEL, path, name, path.name.split("-")[1], uploaded=UPLOADED) for name, path in made.items()
        ]

    def _tools(self) -> list[Part]:
        return [self._part(TOOL, make_wheel(self.directory / "tools", "uv", "1.0"), "uv", "1.0", uploaded=UPLOADED)]

    def _rpms(self) -> list[Part]:
        (self.directory / "rpms").mkdir()
        contents: dict[str, Contents] = {
            "cuda-nvcc-13-0": {
                f"{HOME}/bin/nvcc": Program(b"#!/bin/sh\n"),
                "/usr/share/licenses/cuda-nvcc-13-0/EULA": b"end user\n",
            },
            "cuda-crt-13-0": {f"{HOME}/targets/x86_64-linux/include/crt.h": b"\n"},
        }
        return [self._rpm(name, files) for name, files in contents.items()]

    def _rpm(self, name: str, contents: Contents) -> Part:
        draft = self.packager.draft(name, contents, "13.0.88")
        needs = ["cuda-crt-13-0", "/bin/sh", name] if name == "cuda-nvcc-13-0" else ["libc.so.6()(64bit)"]
        draft.edit = lambda entries: entries.update(
            {
                1014: (6, "NVIDIA Proprietary"),
                1020: (6, "https://developer.example.org/"),
                1049: (8, needs),
                1048: (4, [0] * len(needs)),
                1050: (8, [""] * len(needs)),
                1152: (6, "exit 1"),
            }
        )
        path = self.directory / "rpms" / draft.spec.filename
        path.write_bytes(draft.bytes())
        return self._part(RPM, path, name, "13.0.88-1", unpacked_size=1, nevra=path.name.removesuffix(".rpm"))

    def _interpreter(self) -> Part:
        path, out = self.directory / "cpython-3.11-install_only.tar.gz", io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, data, mode in (("bin/python3.11", b"#!", 0o4755), ("lib/LICENSE.txt", b"PSF\n", 0o644)):
                info = tarfile.TarInfo(f"python/{name}")
                info.size, info.mode = len(data), mode
                tar.addfile(info, io.BytesIO(data))
        path.write_bytes(gzip.compress(out.getvalue(), mtime=0))
        return self._part(INTERPRETER, path, "python", "3.11")

    def _locked(self) -> Locks:
        pins = {"alpha": "1.0", "beta": "1.1", "gamma": "1.2", "site-only": "1.0", "delta": "2.0"}
        lines = "".join(
            f"{name}=={version} --hash=sha256:{'0' * 62}{index:02d}\n"
            for index, (name, version) in enumerate(pins.items())
        )
        text = f"# mirror: locked=2026-11-01T00:00:00Z\n# mirror: withdrawn gamma eats files\n{lines}".encode()
        rpms = []
        for part in self.plan.of(RPM):
            version, _, release = part.version.partition("-")
            digest, name = part.download.sha256, part.download.filename
            rpms.append(RpmPin(part.name, 0, version, release, "x86_64", name, 1, digest, 1))
        wanted = ("cuda-nvcc-13-0",)
        fingerprints = (self.packager.fingerprint,)
        rpm_lock = RpmLock("https://rpms.example.org/", fingerprints, 1, wanted, self.packager.armored, tuple(rpms))
        python = parse_lock(text, "demo.txt")
        files = {"demo.txt": text}
        path, pinned = self.directory / "demo.txt", {RPM: rpm_lock}
        return Locks(path, "demo", self.stack, python, None, self.stack.target, files, pinned=pinned)

    def _built(self, project: str, version: str, source: str) -> BuiltWheel:
        path = make_wheel(self.directory / "built", project, version, said=["License: MIT"])
        log = self.directory / "built" / f"{project}.log"
        log.write_text("built\n")
        digest = Sha256Hex(hashlib.sha256(path.read_bytes()).hexdigest())
        record = {"sdist": f"{project}-{version}.tar.gz", "sdist_sha256": source}
        return BuiltWheel(ProjectName(project), version, path, digest, log, record)
