"""CUDA in a set of wheels: one major release, and FlashInfer's packages of one version.

Libraries of two major releases in one environment are found by nobody's metadata: a project that asks for
``nvidia-cublas-cu12`` installs beside a torch of CUDA 13, and fails when its library looks for ``libcudart.so.12`` or finds the
wrong one (CUDA.md E 38). ``mirror.connected.locking.consistency`` asks when a lock is made, ``mirror.core.vetting.together``
when the wheels are there.

Rules: what a wheel is for is told by a version such as ``2.11.0+cu130``, by a name such as ``nvidia-nccl-cu12``, and by what it
asks for; a library's own number says nothing, but for those whose version is the release's (CUDA.md A8); what cannot be told is
not judged; the measure is torch, or the target where there is no torch. Of FlashInfer, version and CUDA's major release have to
be equal (CUDA.md B2, B6).

Example::

    list(cuda_findings([Part("torch", "2.14.1+cu130"), Part("vllm", "0.20.0+cu129")], target))
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mirror.core.names import dotted_numbers
from mirror.core.target import Target
from mirror.core.vetting.rules import CUDA_MAJOR, FLASHINFER_SET, Finding

_LOCAL = re.compile(r"\+[a-z0-9.]*?cu([1-9][0-9])[0-9]?(?![0-9])", re.ASCII)
_SUFFIX = re.compile(r"-(?:cu|cuda)([1-9][0-9])[0-9]?x?(?![a-z0-9])", re.ASCII)
"""As in ``+cu130``, ``+pt210cu128``, ``+cu12torch2.4``; in ``-cu12``, ``-cuda12x``, ``-cu128``."""

_RELEASES = frozenset({
    "cuda-toolkit", "nvidia-cuda-runtime", "nvidia-cuda-nvrtc", "nvidia-cuda-cupti", "nvidia-cuda-nvcc", "nvidia-nvjitlink",
    "nvidia-nvvm", "nvidia-nvtx",
})  # fmt: skip
"""Projects whose major version is CUDA's; without a suffix they are of CUDA 13 and newer (CUDA.md A9)."""

_OF_NO_RELEASE = "nvidia-cutlass-dsl"
"""A compiler that loads no library of CUDA but the driver's. Its 4.8 asks for its own libraries of both releases, as locks of
vLLM 0.33 show."""

_MAJORS = range(11, 30)
_FLASHINFER = "flashinfer-python"
_LAST_CUBIN = (0, 6, 13)
"""The last flashinfer-cubin on the package index (CUDA.md B1)."""

_TOLD = 3


@dataclass(frozen=True)
class Part:
    """A project of a set.

    Attributes:
        project: its normalised name.
        version: as it is pinned.
        needs: projects of the set that it asks for itself.
        path: of its file in a bundle; empty before there is one.
    """

    project: str
    version: str
    needs: tuple[str, ...] = ()
    path: str = ""

    def __str__(self) -> str:
        return f"{self.project} {self.version}"

    @property
    def major(self) -> int:
        """The CUDA release that its version or its name tells; 0 when neither does."""
        if self.project.startswith(_OF_NO_RELEASE):
            return 0
        found = _LOCAL.search(self.version) or _SUFFIX.search(self.project)
        number = int(found[1]) if found else (dotted_numbers(self.version) or (0,))[0] * (self.project in _RELEASES)
        return number if number in _MAJORS else 0

    @property
    def is_library(self) -> bool:
        """Whether it is a part of a CUDA release that can be told."""
        return bool(self.major) and (self.project.startswith("nvidia-") or self.project == "cuda-toolkit")

    @property
    def is_flashinfers(self) -> bool:
        """Whether it is one of the packages that have to be of flashinfer-python's own version."""
        return self.project.startswith(("flashinfer-cubin", "flashinfer-jit-cache"))

    @property
    def public(self) -> str:
        """Its version without what is local."""
        return self.version.partition("+")[0]

    def finding(self, rule: str, what: str) -> Finding:
        return Finding(rule, self.path or f"{self.project}=={self.version}", self.project, what)


def cuda_findings(parts: Iterable[Part], target: Target) -> Iterator[Finding]:
    """What of a set does not go together."""
    known = {one.project: one for one in parts}
    yield from _majors(known, target)
    yield from _flashinfer(known, target)


def _majors(known: Mapping[str, Part], target: Target) -> Iterator[Finding]:
    wanted, torch = _major_of(target), known.get("torch")
    measure = _measure(known, target)
    if torch and measure and wanted and measure != wanted:
        of = _proof(torch, measure, known)
        yield torch.finding(CUDA_MAJOR, f"it is for CUDA {measure}{of}; the target is for CUDA {target.cuda}")
    ruler = str(torch) if torch and _asked(torch, known) else "the target"
    asked = {name for one in known.values() for name in one.needs}
    for one in known.values():
        # A library is told by whoever asks for it, or by itself where only NAME.toml does.
        if one is torch or one.is_flashinfers or (one.is_library and one.project in asked):
            continue
        for other in sorted(set(_asked(one, known)) - {measure} if measure else ()):
            what = f"it is for CUDA {other}{_proof(one, other, known)}; {ruler} is for CUDA {measure}"
            yield one.finding(CUDA_MAJOR, what)


def _measure(known: Mapping[str, Part], target: Target) -> int:
    """The CUDA release that all are held against: torch's, or the target's; 0 when neither can be told."""
    torch = known.get("torch")
    return max(_asked(torch, known), default=0) if torch and _asked(torch, known) else _major_of(target)


def _major_of(target: Target) -> int:
    return int(target.cuda.partition(".")[0]) if target.cuda else 0


def _asked(one: Part, known: Mapping[str, Part]) -> Counter[int]:
    """The CUDA releases that a project is for, by its version and name, or else by the libraries that it asks for."""
    if one.major:
        return Counter([one.major])
    return Counter(library.major for library in _libraries(one, known))


def _libraries(one: Part, known: Mapping[str, Part]) -> list[Part]:
    return [known[name] for name in one.needs if name in known and known[name].is_library]


def _proof(one: Part, major: int, known: Mapping[str, Part]) -> str:
    """How it shows, in brackets."""
    names = sorted(str(library) for library in _libraries(one, known) if library.major == major)
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f" (it asks for {', '.join(names[:_TOLD])}{more})" if names and not one.major else ""


def _flashinfer(known: Mapping[str, Part], target: Target) -> Iterator[Finding]:
    main = known.get(_FLASHINFER)
    torch = known.get("torch")
    major = _measure(known, target)
    for one in known.values():
        if not main or not one.is_flashinfers:
            continue
        where = _where(one.project, main.public, target)
        if one.public != main.public:
            yield one.finding(FLASHINFER_SET, f"it is for FlashInfer {one.public}; the set has {main}: {where}")
        if one.major and major and one.major != major:
            ruler = torch if torch else "the target"
            yield one.finding(FLASHINFER_SET, f"it is for CUDA {one.major}; {ruler} is for CUDA {major}: {where}")


def _where(project: str, version: str, target: Target) -> str:
    """Where the one that fits is."""
    if project == "flashinfer-cubin":
        at = (
            "on the package index"
            if dotted_numbers(version) <= _LAST_CUBIN
            else "on flashinfer.ai/whl/flashinfer-cubin/"
        )
        return f"{project}=={version} is {at}"
    release = f"cu{target.cuda.replace('.', '')}" if target.cuda else "cuXYZ"
    return (
        f"{project}=={version}+{release}, where there is one, is on flashinfer.ai/whl/{release}/ and on the page of release "
        f"v{version} of flashinfer-ai/flashinfer"
    )
