"""The tools of the host that the stack compiles with at run time: gcc and g++, Python's headers, ninja.

It holds which compiler each part of the stack would take, its version, and whether that fits the toolkit. Whether they
compile a kernel together is the self-test's (``mirror.closed.selftest.selftest``).

Rules: a compiler is asked for its version and nothing else, with a time limit; each real file is asked once.

Example::

    toolbox = read_toolbox(os.environ)
    toolbox.compilers["gcc"].version            # (11, 4)
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.command import run
from mirror.core.cuda.releases import GCC_FLOOR
from mirror.core.logs.finding import GOOD, PROBLEM, WARNING, About, Finding

ROLES = {
    "gcc": ("nvcc", ("NVCC_CCBIN",), ("gcc",)),
    "c++": ("FlashInfer's link step", ("CXX",), ("c++", "g++")),
    "g++": ("torch's inductor and extensions", ("CXX",), ("g++",)),
    "cc": ("Triton", ("CC",), ("gcc", "clang")),
}
"""Role -> who takes it, the variables that name it, the names that are looked for otherwise (CUDA.md B4, C5)."""


@dataclass(frozen=True)
class Compiler:
    """A host compiler.

    Attributes:
        path: as it was found.
        kind: ``"gcc"`` or ``"clang"``; empty when it did not answer.
        version: ``(11, 4)``.
    """

    path: str
    kind: str = ""
    version: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {'.'.join(map(str, self.version))}" if self.kind else f"{self.path} (does not answer)"


@dataclass(frozen=True)
class Toolbox:
    """What is there.

    Attributes:
        compilers: by role (``ROLES``); a role that nothing fills is missing.
        missing: role -> what was looked for: a variable's value, or names on the PATH.
    """

    compilers: Mapping[str, Compiler]
    missing: Mapping[str, str]


def read_toolbox(variables: Mapping[str, str]) -> Toolbox:
    """Find and ask the compilers that programs of this shell would take."""
    asked: dict[str, Compiler] = {}
    compilers, missing = {}, {}
    for role, (_, names, defaults) in ROLES.items():
        named = next((variables[name] for name in names if variables.get(name)), "")
        if role == "gcc":
            named = _ccbin(variables) or named
        words = [named.split()[0]] if named.split() else list(defaults)
        path = next(
            filter(None, (shutil.which(_program(word), path=variables.get("PATH", "")) for word in words)), None
        )
        if path is None:
            missing[role] = f"{names[0]}={named}" if named else " or ".join(defaults)
            continue
        real = os.path.realpath(path)
        if real not in asked:
            asked[real] = _ask(path, variables)
        compilers[role] = Compiler(path, asked[real].kind, asked[real].version)
    return Toolbox(compilers, missing)


def _ccbin(variables: Mapping[str, str]) -> str:
    """What nvcc's flags name, which wins over NVCC_CCBIN."""
    flags = f"{variables.get('NVCC_PREPEND_FLAGS', '')} {variables.get('NVCC_APPEND_FLAGS', '')}"
    match = re.search(r"(?:-ccbin|--compiler-bindir)[ =](\S+)", flags)
    return match[1] if match else ""


def _program(word: str) -> str:
    """NVCC_CCBIN may name the compiler's directory."""
    return str(Path(word, "gcc")) if Path(word).is_dir() else word


def _ask(path: str, variables: Mapping[str, str]) -> Compiler:
    finished = run([path, "--version"], {**variables, "LC_ALL": "C"}, timeout_s=20)
    first = finished.output.partition("\n")[0]
    match = re.search(r"\b(\d+)\.(\d+)(\.\d+)?\b(?!.*\)\s*\d)", first)
    if finished.code or not match:
        return Compiler(path)
    return Compiler(path, "clang" if "clang" in first else "gcc", (int(match[1]), int(match[2])))


def judge_compilers(toolbox: Toolbox, release: str, ceiling: int | None, uses: Iterable[str]) -> Iterable[Finding]:
    """Whether the compilers fit.

    Args:
        release: of the toolkit; empty when there is none.
        ceiling: the newest gcc that it takes; None when not known.
        uses: the roles that the stack has; empty when nothing is installed.
    """
    wanted = set(uses)
    for role, what in toolbox.missing.items():
        if not wanted:
            yield About("compiler").warning(
                f"{what} was not found; {ROLES[role][0]} would need it",
                cause="no gcc is installed on this host, or the PATH of this shell does not lead to it",
                proof=f"command -v {what}",
                fix="before a stack that compiles is installed, ask the administrator for gcc-c++ (g++ on Debian)",
                row="9",
            )
        elif role in wanted:
            yield About("compiler").problem(
                f"{ROLES[role][0]} needs a host compiler, and {what} was not found",
                cause="no gcc on the PATH of this shell; what is compiled already works without",
                proof=f"command -v {what}",
                fix="put a gcc (gcc-toolset, module load gcc) on the PATH, or name one in CC and CXX",
                row="28" if role == "cc" else "9",
            )
    seen: set[tuple[str, str]] = set()
    for role, compiler in toolbox.compilers.items():
        finding = _judge_compiler(compiler, role, release, ceiling)
        # gcc and g++ of one installation are one thing to a person, unless something is wrong with one of them.
        key = (finding.level, finding.what if finding.level != GOOD else str(compiler))
        if key not in seen:
            seen.add(key)
            yield finding


def _judge_compiler(compiler: Compiler, role: str, release: str, ceiling: int | None) -> Finding:
    user, proof = ROLES[role][0], f"{compiler.path} --version"
    if not compiler.kind:
        return About("compiler").problem(
            f"{compiler.path} does not answer as a compiler",
            cause="it is broken, or has lost its exec bit",
            proof=proof,
            fix="name another one in CC and CXX",
            row="15",
        )
    if role == "gcc" and compiler.kind == "gcc" and ceiling and compiler.version[0] > ceiling:
        return About("compiler").problem(
            f"{compiler} is too new: nvcc of CUDA {release} takes gcc {ceiling} and older",
            cause="crt/host_config.h of the toolkit refuses it",
            proof=proof,
            fix=f"name an older one: export NVCC_PREPEND_FLAGS='-ccbin /path/to/g++-{ceiling}'",
            row="10",
        )
    if compiler.kind == "gcc" and compiler.version[0] < GCC_FLOOR:
        return About("compiler").at(
            PROBLEM if release else WARNING,
            f"{compiler} is too old for {user}: C++17 needs gcc {GCC_FLOOR} or newer",
            cause="it is the system's own compiler (RHEL 8 has gcc 8.5)",
            proof=proof,
            fix="use a newer one beside it: gcc-toolset-13, or a module",
            row="65",
        )
    room = f"; nvcc of CUDA {release} takes {GCC_FLOOR} to {ceiling}" if ceiling and compiler.kind == "gcc" else ""
    return About("compiler").good(f"{compiler} ({compiler.path}){room}")


def judge_headers(interpreter: str, has_headers: bool, version: str) -> Finding:
    """``Python.h`` of the interpreter that the venv was made from."""
    if has_headers:
        return About("Python.h").good(f"Python {version} comes with it")
    return About("Python.h").problem(
        f"Python {version} ({interpreter}) comes without it, and Triton and torch compile launchers with it",
        cause="the distribution keeps it in a package of its own (python3-devel, libpython3-dev)",
        proof="sysconfig.get_paths()['include']",
        fix="let the bundle carry an interpreter ([interpreter] in NAME.toml), or ask for the -devel package",
        row="27",
    )


def judge_ninja(venv: Path | None, variables: Mapping[str, str]) -> Iterable[Finding]:
    """ninja must be a program on the PATH: an installed wheel alone is not found."""
    if venv is None:
        found = shutil.which("ninja", path=variables.get("PATH", ""))
        yield About("ninja").note(
            f"PATH finds {found}" if found else "there is none on the PATH; a stack brings its own",
            cause="no stack is in use here; this is the host's"
            if found
            else "no stack is in use here, and the host has none",
            proof="command -v ninja",
            fix="nothing: a stack's env.sh puts its own first",
        )
    elif os.access(venv / "bin/ninja", os.X_OK):
        yield About("ninja").good("the venv has it, and env.sh puts it on the PATH")
    else:
        other = shutil.which("ninja", path=variables.get("PATH", ""))
        yield About("ninja").at(
            WARNING if other else PROBLEM,
            f"{venv}/bin has none that can be started" + f", the PATH has {other}" * bool(other),
            cause="the wheel is not part of the stack, or lost its exec bit",
            proof=f"ls -l {venv}/bin/ninja",
            fix="add ninja to the requirements",
            row="29",
        )
