"""The venv: made from an interpreter, filled with the bundle's wheels by the uv or the pip that the bundle carries.

It holds the two installers and how each is called. Where the wheels come from (a page on 127.0.0.1, or a directory)
is the caller's choice; that they are the signed ones is checked by the installer itself, against the signed
``install.txt``.

Rules: always ``--no-index --no-deps --require-hashes`` and wheels only; a clean environment, so that no pip.conf,
``PIP_*``, ``UV_*`` or ``PYTHON*`` of the host is seen; nothing is written outside the generation; of wheels that bring one path
with different bytes, those whose files are kept come last, for uv installs side by side and would mix them.

Example::

    installer = choose_installer(tools, work)
    make_venv(installer, venv)
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.command import clean_environment, run
from mirror.core.archives.checkedzip import open_checked_zip
from mirror.core.errors import MirrorError
from mirror.core.logs.explained.log import meaning

_UV_MEMBER = re.compile(r"uv-[^/]+\.data/scripts/uv")


class InstallerFailed(MirrorError):
    """uv or pip could not make the venv or install the wheels."""

    ref = "installer-failed"
    exit_code = 96
    hint = "Nothing was kept. If its words do not help, run 'mirror verify' on the bundle and show both to its maker."
    message = "{tool} could not {step} (exit {code})"

    tool: str
    step: str
    code: int
    tail: str

    def context(self) -> str:
        return "\n".join(filter(None, [self.tail, meaning(self.tail)]))


@dataclass(frozen=True)
class Installer:
    """The program that installs wheels.

    Attributes:
        name: ``"uv"`` or ``"pip"``.
        program: uv's executable, or pip's wheel.
    """

    name: str
    program: Path


def choose_installer(tools: Sequence[Path], work: Path) -> Installer:
    """uv where it runs on this machine, else pip.

    Args:
        tools: the bundle's ``tool/`` wheels, copied here, digests checked.
        work: a directory for uv's executable.

    Raises:
        InstallerFailed: when neither is there.
    """
    said = "the bundle carries neither"
    for wheel in _named("uv", tools):
        program = _extract_uv(wheel, work)
        finished = run([str(program), "--version"], clean_environment(work), timeout_s=60)
        if finished.code == 0:
            return Installer("uv", program)
        said = finished.tail(3)
    for wheel in _named("pip", tools):
        return Installer("pip", wheel)
    raise InstallerFailed("uv", "run on this host, and no pip is carried", 127, said)


def _named(project: str, tools: Sequence[Path]) -> list[Path]:
    return [tool for tool in tools if tool.name.startswith(f"{project}-") and tool.suffix == ".whl"]


def _extract_uv(wheel: Path, work: Path) -> Path:
    program = work / "uv"
    with open_checked_zip(wheel) as archive:
        member = next(name for name in archive.namelist() if _UV_MEMBER.fullmatch(name))
        with archive.open(member) as source, program.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    program.chmod(0o700)
    return program


@dataclass(frozen=True)
class Venv:
    """What is to be made.

    Attributes:
        path: where; it must not exist.
        interpreter: the Python to make it from.
        name: shown in the prompt of a shell that activates it.
        requirements: ``install.txt``: every wheel, pinned, one hash each.
        links: the address or the directory where the wheels are.
        work: an existing directory on the same file system, for caches; the caller removes it.
        jobs: how many wheels to install at once; 0 for the installer's own choice.
        inherited: descriptors that the installer keeps open.
        last: normalised names of projects whose files win over those of others: installed after all others, one by one.
    """

    path: Path
    interpreter: Path
    name: str
    requirements: Path
    links: str
    work: Path
    jobs: int = 0
    inherited: tuple[int, ...] = ()
    last: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        return self.path / "bin" / "python"

    def rounds(self) -> list[Path]:
        """The requirements in the order in which they are installed: all at once, but for ``last``."""
        if not self.last:
            return [self.requirements]
        groups: dict[str, list[str]] = {"": [], **{name: [] for name in self.last}}
        for line in self.requirements.read_text(encoding="utf-8").splitlines(keepends=True):
            name = line.partition("==")[0]
            groups[name if name in self.last else ""].append(line)
        files = []
        for number, lines in enumerate(filter(None, groups.values())):
            files.append(self.work / f"install-{number}.txt")
            files[-1].write_text("".join(lines), encoding="utf-8")
        return files


def make_venv(installer: Installer, venv: Venv) -> None:
    """Make the venv and install every wheel into it.

    Raises:
        InstallerFailed: with the installer's last words.
    """
    create, install, environment = (_with_uv if installer.name == "uv" else _with_pip)(installer.program, venv)
    steps = [("make the venv", create)]
    install += ["--no-index", "--no-deps", "--require-hashes", "-r"]
    steps += [("install the wheels", [*install, str(requirements)]) for requirements in venv.rounds()]
    for step, command in steps:
        finished = run(command, environment, cwd=venv.work, inherited=venv.inherited)
        if finished.code:
            raise InstallerFailed(installer.name, step, finished.code, finished.tail().replace(venv.links, "<wheels>/"))
    (venv.path / ".lock").unlink(missing_ok=True)  # uv's own, which it makes writable for everyone


def _with_uv(program: Path, venv: Venv) -> tuple[list[str], list[str], dict[str, str]]:
    environment = clean_environment(venv.work)
    environment.update(
        UV_CACHE_DIR=str(venv.work / "uv-cache"),  # beside the venv, so that wheels are unpacked once and linked
        UV_LINK_MODE="hardlink",
        UV_FIND_LINKS=venv.links,  # not an argument: other users can read those, and the address holds a token
        UV_PYTHON_DOWNLOADS="never",
        UV_NO_PROGRESS="1",
    )
    if venv.jobs:
        environment.update(UV_CONCURRENT_DOWNLOADS=str(venv.jobs), UV_CONCURRENT_INSTALLS=str(venv.jobs))
    if not venv.links.startswith("http:"):
        environment["UV_OFFLINE"] = "1"
    create = [str(program), "venv", "--no-project", "--python", str(venv.interpreter)]
    create += ["--prompt", venv.name, str(venv.path)]
    install = [str(program), "pip", "install", "--python", str(venv.python), "--no-build"]
    return create, install, environment


def _with_pip(wheel: Path, venv: Venv) -> tuple[list[str], list[str], dict[str, str]]:
    environment = clean_environment(venv.work)
    environment.update(PIP_FIND_LINKS=venv.links)
    create = [str(venv.interpreter), "-I", "-m", "venv", "--without-pip", "--prompt", venv.name, str(venv.path)]
    # A wheel is a zip, and Python runs a package inside a zip: pip installs without having been installed.
    install = [str(venv.python), "-I", str(wheel / "pip"), "install", "--only-binary", ":all:", "--no-input"]
    install += ["--no-cache-dir", "--disable-pip-version-check", "--no-warn-script-location", "--no-compile"]
    return create, install, environment
