"""GPUs as data: compute capabilities, the kinds of GPU that have each, and the CUDA releases that compile for it.

``mirror.core.cuda.releases`` has what a release allows besides, ``mirror.core.target`` is a target; the closed host's own GPUs
are asked for by ``mirror.closed.host``.

Sources, for each row: GPUs and first release CUDA.md A12; first release of 6.1 and 7.0 from clang's
``MinVersionForOffloadArch`` (clang/lib/Basic/Cuda.cpp), of 11.0's ``a`` form from LLVM's NVPTX.td (llvm/llvm-project#156857);
last release of 6.1 and 7.0 from ``nvcc --list-gpu-arch`` of 13.0, which begins at 7.5 (CUDA.md A12). Names of cards that NVIDIA
sells elsewhere under another name (A800, H800, H20, L20) are those that drivers print.

Rules: names are lower case without the maker's; an architecture-specific capability (``sm_90a``) where the kernels of
inference stacks use what only it has; a name or a capability that is not here is unknown, never guessed.

Example::

    >>> gpu("H100").capability, first_release("sm_103"), capability_of("NVIDIA H100 80GB HBM3")
    ('sm_90a', '12.9', '9.0')
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror.core.cuda.components import release_pair
from mirror.core.words import did_you_mean

_MODERN, _BEFORE_13 = "13.0", "12.8"
"""The release that a new stack begins with, and the one for GPUs that 13.0 has dropped."""


@dataclass(frozen=True)
class Capability:
    """A compute capability.

    Attributes:
        number: ``"9.0"``.
        architecture: as NVIDIA calls it.
        models: GPUs that have it, as people know them.
        first: the first CUDA release that compiles for it.
        specific: the first that compiles its ``a`` form; empty when there is none.
        end: the first release that compiles for it no more; empty while there is none.
        also: more names.
        pattern: names as drivers print them, where it takes more than the names above.
    """

    number: str
    architecture: str
    models: tuple[str, ...]
    first: str
    specific: str = ""
    end: str = ""
    also: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def digits(self) -> str:
        return self.number.replace(".", "")

    @property
    def gpu(self) -> str:
        """As a target has it: ``"sm_90a"``."""
        return f"sm_{self.digits}{'a' * bool(self.specific)}"

    def problem_with(self, release: str) -> str:
        """Why a CUDA release does not compile for it; empty when it does."""
        first, pair = self.specific or self.first, release_pair(release)
        if pair < release_pair(first):
            return f"nvcc of CUDA {release} does not know {self.gpu}; the first that does is {first}"
        if self.end and pair >= release_pair(self.end):
            return f"nvcc of CUDA {release} no longer compiles for {self.gpu}; {self.end} has dropped it"
        return ""

    @property
    def usual_release(self) -> str:
        """The CUDA release that a new stack for it begins with."""
        fitting = [release for release in (_MODERN, _BEFORE_13) if not self.problem_with(release)]
        return fitting[0] if fitting else self.specific or self.first


CAPABILITIES = (
    Capability("6.1", "Pascal", ("P40", "GTX 1080 Ti"), "8.0", end="13.0", pattern=r"GTX 10\d\d"),
    Capability("7.0", "Volta", ("V100",), "9.0", end="13.0"),
    Capability("7.5", "Turing", ("T4", "RTX 2080 Ti"), "10.0", pattern=r"RTX 20\d\d"),
    Capability("8.0", "Ampere", ("A100", "A30"), "11.0", also=("A800",)),
    Capability("8.6", "Ampere", ("A40", "A10"), "11.1", also=("A10G", "A16", "A2", "A6000", "RTX 3090"),
               pattern=r"RTX A\d+|RTX 30\d\d"),
    Capability("8.7", "Ampere", ("Orin",), "11.4"),
    Capability("8.9", "Ada Lovelace", ("L4", "L40", "L40S"), "11.8", also=("L20", "RTX 4090"), pattern=r"RTX 40\d\d"),
    Capability("9.0", "Hopper", ("H100", "H200", "GH200"), "11.8", "12.0", also=("H20", "H800")),
    Capability("10.0", "Blackwell", ("B200", "GB200"), "12.8", "12.8", also=("B100",)),
    Capability("10.3", "Blackwell Ultra", ("B300", "GB300"), "12.9", "12.9"),
    Capability("10.7", "Rubin", ("Rubin",), "13.4"),
    Capability("11.0", "Blackwell", ("Thor",), "13.0", "13.0"),
    Capability("12.0", "Blackwell", ("RTX PRO 6000", "RTX 5090"), "12.8", "12.8", pattern=r"RTX 50\d\d|RTX PRO \d+ Blackwell"),
    Capability("12.1", "Blackwell", ("GB10",), "12.9", "12.9"),
)  # fmt: skip
"""In order of their numbers."""

ON_ARM = {"GH200", "GB200", "GB300", "GB10", "Orin", "Thor"}
"""GPUs that come only on their own boards, soldered to ARM processors."""


@dataclass(frozen=True)
class Gpu:
    """A kind of GPU.

    Attributes:
        capability: compute capability as nvcc spells it.
        cuda: the first CUDA release that compiles for it, major and minor.
        cuda_end: the first release that does so no more; None while there is none.
        arch: of the hosts that it is soldered to; empty where it is a card for any host.
    """

    capability: str
    cuda: tuple[int, int]
    cuda_end: tuple[int, int] | None = None
    arch: str = ""


def _plain(name: str) -> str:
    return "".join(name.lower().split()).replace("-", "").replace("_", "").replace("nvidia", "")


GPUS = {
    _plain(name): Gpu(
        one.gpu,
        release_pair(one.specific or one.first),
        release_pair(one.end) if one.end else None,
        "aarch64" if name in ON_ARM else "",
    )
    for one in CAPABILITIES
    for name in (*one.models, *one.also)
}
"""Every kind that is known, by name."""


def gpu(name: str) -> Gpu:
    """A kind of GPU by its name, whatever its case, dashes and blanks.

    Raises:
        ValueError: when it is not known, with what may have been meant.
    """
    plain = _plain(name)
    if plain not in GPUS:
        raise ValueError(f"no GPU {name!r} is known{did_you_mean(plain, GPUS)}; known are {', '.join(GPUS)}")
    return GPUS[plain]


def capability(name: str) -> Capability | None:
    """A row by its number in any spelling, ``"9.0"``, ``"sm_90a"`` or ``"sm90"``; None when there is none."""
    digits = re.sub(r"^sm_?", "", name).rstrip("af").replace(".", "")
    return next((one for one in CAPABILITIES if one.digits == digits), None)


def capability_of(model: str) -> str:
    """The compute capability of a GPU by the name that its driver prints; empty when the name is not known."""
    for one in reversed(CAPABILITIES):  # a later generation's name may hold that of an earlier one
        names = [*map(re.escape, (*one.models, *one.also)), *([one.pattern] if one.pattern else [])]
        if re.search(rf"\b(?:{'|'.join(names)})\b", model):
            return one.number
    return ""


def first_release(gpu: str) -> str:
    """The first toolkit that compiles for a GPU (``"sm_90a"``, ``"90"``), ``"12.0"``; empty when not known."""
    one = capability(gpu)
    if one is None:
        return ""
    return (one.specific if gpu.endswith("a") else one.first) or ""
