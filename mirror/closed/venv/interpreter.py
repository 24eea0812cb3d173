"""The Python that the venv is made from: one of the host's, or the one that the bundle carries.

It finds interpreters, asks them what they are, and judges them against the target. ``mirror.core.archives.untar`` unpacks one
that the bundle carries, ``mirror.closed.venv.venv`` makes the venv.

Rules: an interpreter is asked, never guessed from its name; it must be CPython of the target's minor version and
architecture, 64 bit, with the ordinary ABI (wheels fit no other). The host's comes first, because its owner keeps it
patched.

Example::

    search = find_interpreter(target)
    search.found or search.rejected
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.command import clean_environment, run
from mirror.core.archives.untar import BadArchive, unpack_tar
from mirror.core.system.home import NoHome, home_directory
from mirror.core.target import Target

_ASK = """\
import importlib.util, json, os, platform, sys, sysconfig
path = os.path.join(sys.base_prefix, "bin", "python%d.%d" % sys.version_info[:2])
if not os.path.exists(path) or not os.path.samefile(path, sys.executable):
    path = getattr(sys, "_base_executable", None) or sys.executable
print(json.dumps({
    "path": path,
    "implementation": sys.implementation.name,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "machine": platform.machine(),
    "abi": sys.abiflags + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
    "wide": sys.maxsize > 2 ** 32,
    "headers": all(
        any(os.path.exists(os.path.join(sysconfig.get_paths()[key], name)) for key in ("include", "platinclude"))
        for name in ("Python.h", "pyconfig.h")
    ),
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""
"""What an interpreter is asked. Inside a venv it answers with the one that the venv was made from: a venv may go away."""


@dataclass(frozen=True)
class Interpreter:
    """A Python, as it says of itself.

    Attributes:
        path: the executable that a venv would be made from; not inside one.
        version: ``"3.11.7"``.
        has_headers: whether ``Python.h`` and ``pyconfig.h`` are there; without them Triton and torch compile nothing at run
            time (CUDA.md C5).
        has_venv: whether its own ``venv`` and ``ensurepip`` are there.
        implementation: ``"cpython"``.
        machine: as ``platform.machine()`` gives it.
        abi: letters of an ABI that is not the ordinary one; empty for the ordinary one.
        is_wide: whether it has 64 bits.
    """

    path: Path
    version: str
    has_headers: bool
    has_venv: bool = True
    implementation: str = "cpython"
    machine: str = ""
    abi: str = ""
    is_wide: bool = True


@dataclass(frozen=True)
class Search:
    """What looking for an interpreter gave.

    Attributes:
        found: the first that fits, if any.
        rejected: one line for each that was looked at and does not fit.
    """

    found: Interpreter | None
    rejected: tuple[str, ...] = ()


def find_interpreter(target: Target, candidates: Iterable[Path] | None = None, wants_headers: bool = False) -> Search:
    """Look for an interpreter of the host's that fits ``target``.

    Args:
        candidates: where to look, in order; by default those of ``host_candidates``.
        wants_headers: whether one with its C headers is preferred to an earlier one without.
    """
    rejected: list[str] = []
    bare: Interpreter | None = None
    for path in host_candidates(target.python) if candidates is None else candidates:
        judged = ask(path, target)
        if isinstance(judged, str):
            rejected.append(judged)
        elif judged.has_headers or not wants_headers:
            return Search(judged, tuple(rejected))
        else:
            bare = bare or judged
    return Search(bare, tuple(rejected))


def host_candidates(minor: str) -> Iterator[Path]:
    """Executables that may be CPython ``minor``, each real file once."""
    seen: set[str] = set()
    for path in _places(minor):
        real = os.path.realpath(path)
        if real not in seen and Path(real).is_file() and os.access(path, os.X_OK):
            seen.add(real)
            yield path


def _places(minor: str) -> Iterator[Path]:
    name = f"python{minor}"
    if sys.executable:
        yield Path(sys.executable)
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if directory.startswith("/"):  # an empty or relative entry would run what lies in the current directory
            yield Path(directory, name)
            yield Path(directory, "python3")
    with contextlib.suppress(NoHome):  # whoever has no home keeps no interpreters there
        home = home_directory()
        for pattern in (f".pyenv/versions/{minor}.*/bin/{name}", f".local/share/uv/python/cpython-{minor}*/bin/{name}"):
            yield from sorted(home.glob(pattern), reverse=True)
    yield from (Path("/usr/bin", name), Path("/usr/local/bin", name), Path("/opt/python/bin", name))


def ask(path: Path, target: Target) -> Interpreter | str:
    """Run an executable and judge it: the interpreter, or one line that says why it does not fit."""
    answer = question(path)
    if isinstance(answer, str):
        return answer
    if answer.implementation != "cpython":
        return f"{path} is {answer.implementation}, not CPython"
    if answer.version.rpartition(".")[0] != target.python:
        return f"{path} is Python {answer.version}"
    if answer.abi:
        return f"{path} is Python {answer.version} with the ABI {answer.abi!r}, which no ordinary wheel fits"
    if answer.machine != target.arch or not answer.is_wide:
        return f"{path} is Python {answer.version} for {answer.machine}{'' if answer.is_wide else ', 32 bit'}"
    return answer


def question(path: Path) -> Interpreter | str:
    """Run an executable and ask it what it is; one line when it does not answer as a Python."""
    # -I: neither the caller's variables nor its directory nor user site-packages can answer in the interpreter's
    # place.
    finished = run([str(path), "-I", "-S", "-c", _ASK], clean_environment(Path("/")), timeout_s=60)
    try:
        facts = json.loads(finished.output)
        return Interpreter(
            path=Path(str(facts["path"])),
            version=str(facts["version"]),
            has_headers=bool(facts["headers"]),
            has_venv=bool(facts["venv"]),
            implementation=str(facts["implementation"]),
            machine=str(facts["machine"]),
            abi=str(facts["abi"]),
            is_wide=bool(facts["wide"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        last = finished.tail(1) or f"exit {finished.code}"
        return f"{path} does not answer as a Python does ({last})"


def unpack_interpreter(archive: Path, root: Path, target: Target, limit_bytes: int) -> Interpreter:
    """Unpack a relocatable interpreter below ``root`` and ask it what it is.

    Args:
        archive: an ``install_only`` archive; its digest has been checked.
        limit_bytes: its signed unpacked size.

    Raises:
        BadArchive: when it holds what it must not, or no interpreter that fits the target.
    """
    unpack_tar(archive, root, limit_bytes)
    judged = ask(root / "bin" / f"python{target.python}", target)
    if not isinstance(judged, Interpreter):
        raise BadArchive(archive.name, judged)
    return judged
