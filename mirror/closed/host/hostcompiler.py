"""The host's C++ compiler, which nvcc needs: whether this toolkit takes it, and which other one it would take.

Finding and asking it is here; that there is one on the PATH at all is a fact of ``mirror.closed.host.machine``.

Rules: a compiler is asked for its version and nothing else; one that a person has named (``NVCC_CCBIN``) is judged and never
replaced; one whose version cannot be read is judged by nvcc alone.

Example::

    choice = choose(home, "13.0", host.compiler, os.environ)
    choice.compiler, choice.refusal
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.command import run
from mirror.core.cuda.releases import GCC_FLOOR, gcc_ceiling
from mirror.core.system.durable import text_of

WITHOUT = (
    "without one, what is compiled already works here: imports, prebuilt kernels, CUDA graphs; what compiles at run time does "
    "not: Triton's launchers, torch inductor's C++ wrappers, FlashInfer's JIT"
)
NONE = f"this host has no C++ compiler (g++), which nvcc needs to compile anything; {WITHOUT}"

_COMPILE = frozenset({"triton", "torch", "vllm", "sglang", "tilelang", "flashinfer-python"})
"""Projects that compile C extensions against ``Python.h`` at run time, by themselves or by torch and Triton (CUDA.md C5)."""

_TOOLSETS = Path("/opt/rh")
"""Where RHEL and its kin put ``gcc-toolset-N`` without putting it on the PATH."""


@dataclass(frozen=True)
class Choice:
    """Which compiler nvcc is to use.

    Attributes:
        compiler: the program; None when this host has none that fits.
        refusal: why it is not the one that nvcc would take by itself; empty when it is.
        is_default: whether nvcc takes it without being told.
    """

    compiler: Path | None
    refusal: str = ""
    is_default: bool = True

    @property
    def flags(self) -> str:
        """What ``NVCC_PREPEND_FLAGS`` holds so that every nvcc uses it; empty when there is nothing to tell."""
        return "" if self.compiler is None or self.is_default else f"-ccbin {self.compiler}"

    @property
    def advice(self) -> str:
        """One sentence, for the refusal of the default."""
        setting = f"export NVCC_PREPEND_FLAGS={shlex.quote(self.flags)}"
        return f"{self.refusal}; {self.compiler} fits and is used here: {setting} makes every nvcc use it"


def compiles_at_run_time(projects: Collection[str]) -> bool:
    """Whether a stack of these projects needs the host's C compiler and Python's headers at a server's first start."""
    return not _COMPILE.isdisjoint(projects)


def choose(
    home: Path, release: str, compiler: Path | None, variables: Mapping[str, str], toolsets: Path = _TOOLSETS
) -> Choice:
    """Find a compiler that a toolkit takes.

    Args:
        home: the toolkit's CUDA home.
        release: its release, ``"13.0"``.
        compiler: the host's g++, as the PATH finds it; None when there is none.
        variables: the environment to look in: ``NVCC_CCBIN``, ``NVCC_PREPEND_FLAGS`` and ``PATH``.
        toolsets: where RHEL keeps compilers beside its own.
    """
    path = variables.get("PATH", "")
    ceiling = ceiling_of(home, release)
    if named := _named(variables):
        refusal = too_new(Path(shutil.which(named, path=path) or named), release, ceiling)
        if refusal:
            return Choice(None, f"{refusal}; name another with -ccbin or NVCC_CCBIN; {WITHOUT}")
        return Choice(compiler or Path(named))
    if compiler is None:
        return Choice(None, NONE)
    gcc = shutil.which("gcc", path=path)  # what nvcc takes when it is told nothing
    refusal = too_new(Path(gcc) if gcc else compiler, release, ceiling)
    if not refusal:
        return Choice(compiler)
    for other in _others(ceiling, path, toolsets):
        version = version_of(other)
        if version and ceiling and version <= ceiling:
            return Choice(other, refusal, is_default=False)
    fix = f"install an older one (g++-{ceiling}, gcc-toolset-{ceiling}) and export NVCC_PREPEND_FLAGS='-ccbin /its/path/g++'"
    return Choice(None, f"{refusal}; {fix}; {WITHOUT}")


def too_new(compiler: Path, release: str, ceiling: int | None) -> str:
    """Why a toolkit does not take a compiler, with both numbers; empty when it does, or when that is not known."""
    version = version_of(compiler)
    if not version or not ceiling or version <= ceiling:
        return ""
    return f"{compiler} is gcc {version}, nvcc of CUDA {release} takes gcc {ceiling} and older"


def version_of(compiler: Path) -> int | None:
    """The major version that a gcc gives itself; None for another compiler, or when it does not answer."""
    if "clang" in compiler.name:
        return None
    finished = run([str(compiler), "-dumpversion"], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, timeout_s=20)
    match = re.fullmatch(r"(\d+)(?:\.\d+)*", finished.output.strip())
    return int(match[1]) if match and finished.code == 0 else None


def ceiling_of(home: Path, release: str) -> int | None:
    """The newest gcc that a toolkit takes: what its own header says, or else what is known of its release."""
    match = re.search(r"#\s*if\s+__GNUC__\s*>\s*(\d+)", text_of(home / "include/crt/host_config.h"))
    return int(match[1]) if match else gcc_ceiling(release)


def _named(variables: Mapping[str, str]) -> str:
    """The compiler that a person has named for nvcc; empty when none is. Flags win over ``NVCC_CCBIN``, as with nvcc."""
    words = re.split(r"[\s=]+", variables.get("NVCC_PREPEND_FLAGS", ""))
    flagged = [after for flag, after in zip(words, words[1:]) if flag in ("-ccbin", "--compiler-bindir")]
    named = (flagged or [variables.get("NVCC_CCBIN", "")])[-1]
    return str(Path(named, "g++")) if named and Path(named).is_dir() else named


def _others(ceiling: int | None, path: str, toolsets: Path) -> Iterator[Path]:
    """Older g++ of this host, newest first."""
    for version in range(ceiling or 0, GCC_FLOOR - 1, -1):
        if found := shutil.which(f"g++-{version}", path=path):
            yield Path(found)
        toolset = toolsets / f"gcc-toolset-{version}/root/usr/bin/g++"
        if toolset.exists():
            yield toolset
