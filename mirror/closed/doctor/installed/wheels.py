"""What is installed in the venv, as its metadata says: projects, versions, and whether they belong together.

It holds the projects and the checks on their versions. ``mirror.closed.doctor.installed.binaries`` reads their libraries.

Rules: nothing is imported, for importing torch takes seconds and may fail for the very reason that is looked for; METADATA and
``torch/version.py`` are read as text; what cannot be read is not there.

Example::

    installed = read_installed(generation / "venv")
    installed.version("torch"), installed.torch_cuda        # '2.11.0+cu130', '13.0'
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.closed.which.search import recorded
from mirror.core.cuda.releases import version_tuple
from mirror.core.logs.finding import PROBLEM, WARNING, About, Finding
from mirror.core.system.durable import text_of

_PIN = re.compile(r"Requires-Dist:\s*torch\s*\(?==\s*([\w.+]+)\)?\s*(;.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Project:
    """One installed project.

    Attributes:
        name: normalized, ``"flashinfer-python"``.
        version: as METADATA has it.
        info: its dist-info directory.
        torch_pin: the torch that it asks for with ``==``, outside of extras; empty when it leaves that open.
    """

    name: str
    version: str
    info: Path
    torch_pin: str = ""


@dataclass(frozen=True)
class Installed:
    """All projects of a venv.

    Attributes:
        site: its site-packages directory.
        projects: by normalized name.
        torch_version: with its local part, ``"2.11.0+cu130"``.
        torch_cuda: the CUDA release that torch was built for; empty when it was built without, or is not there.
    """

    site: Path
    projects: Mapping[str, Project] = field(default_factory=dict)
    torch_version: str = ""
    torch_cuda: str = ""

    def version(self, name: str) -> str:
        """The version of a project; empty when it is not installed."""
        if name == "torch" and self.torch_version:
            return self.torch_version
        return self.projects[name].version if name in self.projects else ""

    def owners(self) -> Mapping[str, str]:
        """Path below ``site`` of each library and program -> the project that brought it, from the RECORDs."""
        found = {}
        for project in self.projects.values():
            for path in recorded(project.info / "RECORD", (".so", "/bin/")):
                if ".so" in path or "/bin/" in path:
                    found[os.path.normpath(path)] = project.name
        return found


def read_installed(venv: Path) -> Installed:
    """Look at a venv; one without site-packages gives an empty answer."""
    site = next(iter(sorted(venv.glob("lib*/python3*/site-packages"))), venv / "lib")
    projects = {project.name: project for project in _projects(site)}
    text = text_of(site / "torch/version.py")
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    cuda = re.search(r"^cuda[^=]*=\s*['\"]([\d.]+)", text, re.MULTILINE)
    return Installed(site, projects, version[1] if version else "", cuda[1] if cuda else "")


def _projects(site: Path) -> Iterator[Project]:
    for info in sorted(site.glob("*.dist-info")):
        text = text_of(info / "METADATA").partition("\n\n")[0]
        name = re.search(r"^Name:\s*(\S+)", text, re.MULTILINE)
        version = re.search(r"^Version:\s*(\S+)", text, re.MULTILINE)
        if name and version:
            pins = [pin for pin, marker in _PIN.findall(text) if "extra" not in marker]
            yield Project(re.sub(r"[-_.]+", "-", name[1]).lower(), version[1], info, pins[0] if pins else "")


def judge_installed(installed: Installed, release: str, exports_cubin_dir: bool = False) -> Iterable[Finding]:
    """Whether the projects belong together and to the toolkit.

    Args:
        release: of the stack's toolkit; empty without one.
        exports_cubin_dir: whether the shell names another place for FlashInfer's cubins.
    """
    yield from _judge_torch(installed, release)
    yield from _judge_pins(installed)
    yield from _judge_trio(installed, release)
    yield from _judge_cubins(installed, exports_cubin_dir)
    yield from _judge_majors(installed)


def _judge_torch(installed: Installed, release: str) -> Iterable[Finding]:
    version, cuda = installed.torch_version, installed.torch_cuda
    if not version:
        return
    proof = f"{installed.site}/torch/version.py"
    if not cuda:
        yield About("torch").problem(
            f"torch {version} was built without CUDA",
            cause="the index that it came from offers builds for processors only",
            proof=proof,
            fix="pin torch to another index in NAME.toml and lock again",
            row="26",
        )
    elif release and cuda.partition(".")[0] != release.partition(".")[0]:
        yield About("torch").problem(
            f"torch {version} was built for CUDA {cuda}, the toolkit is CUDA {release}",
            cause="torch refuses to compile extensions across major releases, and libraries built so need both runtimes",
            proof=f"{proof}; nvcc --version",
            fix=f"lock a toolkit of CUDA {cuda.partition('.')[0]}",
            row="26",
        )
    else:
        toolkit = f"; the toolkit is {release}" if release else ""
        yield About("torch").good(f"torch {version} was built for CUDA {cuda}{toolkit}", proof=proof)


def _judge_pins(installed: Installed) -> Iterable[Finding]:
    there = installed.version("torch").partition("+")[0]
    for project in installed.projects.values():
        pin = project.torch_pin.partition("+")[0]
        if there and pin and not _is_same(pin, there):
            yield About(project.name).problem(
                f"{project.name} {project.version} was built for torch {pin}, installed is {there}",
                cause="its libraries use symbols of that one torch",
                proof=f"Requires-Dist in {project.info}/METADATA",
                fix="lock both together",
                row="40",
            )


def _is_same(one: str, other: str) -> bool:
    """Whether two releases are one: ``2.11`` is ``2.11.0`` (PEP 440)."""
    trimmed = [re.sub(r"(\.0)+$", "", version) for version in (one, other)]
    return trimmed[0] == trimmed[1]


def _judge_trio(installed: Installed, release: str) -> Iterable[Finding]:
    base = installed.version("flashinfer-python")
    if not base:
        return
    found = False
    for name in ("flashinfer-cubin", "flashinfer-jit-cache"):
        version = installed.version(name)
        public, _, local = version.partition("+")
        if version and public != base.partition("+")[0]:
            found = True
            yield About("FlashInfer").problem(
                f"{name} is {version}, flashinfer-python is {base}",
                cause="the packages are released together; FlashInfer refuses, or from 0.7 on ignores, another version",
                proof="METADATA of both",
                fix="pin all of them to one version and lock again",
                row="54",
            )
        wanted = "cu" + (installed.torch_cuda or release).replace(".", "")
        if name == "flashinfer-jit-cache" and local.startswith("cu") and local != wanted != "cu":
            found = True
            yield About("FlashInfer").at(
                PROBLEM if local[:4] != wanted[:4] else WARNING,
                f"{name} {version} was built for {local}, this stack's torch is {wanted}",
                cause="FlashInfer does not look at that part of the version, and loads its kernels all the same",
                proof="METADATA of both",
                fix=f"take flashinfer-jit-cache {base}+{wanted}",
                row="55",
            )
    if not found:
        names = [f"{name} {installed.version(name)}" for name in installed.projects if name.startswith("flashinfer")]
        yield About("FlashInfer").good(f"in step: {', '.join(names)}")


def _judge_cubins(installed: Installed, exports_cubin_dir: bool) -> Iterable[Finding]:
    base, cubins = installed.version("flashinfer-python"), installed.site / "flashinfer_cubin/cubins"
    if base and version_tuple(base) < (0, 2, 14):
        yield About("FlashInfer").note(
            f"flashinfer-python {base} is old: it says 'Prebuilt kernels not found, using JIT backend' and compiles",
            cause="the packages of compiled kernels are for later versions",
            proof="METADATA",
            fix="lock a newer one",
            row="61",
        )
    if not cubins.is_dir():
        return
    if installed.version("flashinfer-cubin").startswith("0.6.7") and not any(cubins.rglob("BatchedGemmEnums.h")):
        yield About("FlashInfer").warning(
            "flashinfer-cubin 0.6.7 lacks the headers that its own kernels are compiled with",
            cause="they were left out of that release",
            proof=f"find {cubins} -name BatchedGemmEnums.h",
            fix="lock another version of all FlashInfer packages",
            row="60",
        )
    # From 0.6.16 on FLASHINFER_CUBIN_DIR wins over the package.
    if not os.access(cubins, os.W_OK) and not (exports_cubin_dir and version_tuple(base) >= (0, 6, 16)):
        yield About("FlashInfer").warning(
            f"you may not write to {cubins}, where FlashInfer {base} keeps its locks",
            cause="the venv belongs to somebody else, and the installed package wins over every other place",
            proof=f"test -w {cubins}",
            fix="start with 'mirror run', leave flashinfer-cubin out on Hopper, or lock FlashInfer 0.6.16 or newer",
            row="44b",
        )


def _judge_majors(installed: Installed) -> Iterable[Finding]:
    majors = sorted({name[-2:] for name in installed.projects if re.fullmatch(r"nvidia-.*-cu1\d", name)})
    if len(majors) > 1:
        names = [name for name in installed.projects if re.fullmatch(r"nvidia-.*-cu1\d", name)]
        yield About("CUDA libraries").warning(
            f"libraries of CUDA {' and '.join(majors)} are installed side by side: {', '.join(sorted(names))}",
            cause="projects that ask for different CUDA releases; some of them share directories and overwrite each other",
            proof=f"ls {installed.site}/nvidia",
            fix="one CUDA release for each venv: pin the odd ones to another version",
            row="38",
        )
