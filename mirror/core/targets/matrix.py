"""One stack for many machines: the variants of a build, by Python, CUDA, GPU and processor, and what follows from each.

It holds the published matrix of per-GPU vLLM builds (88 variants of Python 3.13, for CUDA 12.8 and 12.9), what is wrong with
each, and what is wrong in what was published with it. ``mirror.core.cuda`` and ``mirror.core.cpus`` hold the facts.

Rules: everything is computed from the tables, so that a variant which nobody has listed is judged alike; what the tables do not
know is not said.

Example::

    >>> variant = parse_variant("vllm-python311-cuda12_8-sm90-avx512bf16")
    >>> variant.settings["FLASHINFER_CUDA_ARCH_LIST"], variant.wrong
    ('9.0a', ())
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from mirror.core.cpus import ISAS, Isa, isa_name
from mirror.core.cuda.components import release_pair
from mirror.core.cuda.gpus import CAPABILITIES, GPUS, ON_ARM, Capability, capability, gpu
from mirror.core.cuda.releases import GCC_FLOOR, RELEASES, driver_floor, gcc_ceiling, native_driver
from mirror.core.target import Target, cuda_release, minor_version
from mirror.core.targets.distributions import built_for

_NAME = re.compile(
    r"([a-z][a-z0-9_.]*)-python([23])([0-9]{1,2})-cuda([1-9][0-9])_([0-9])-sm([0-9]{2,3})a?-([a-z0-9_]+)", re.ASCII
)
_VLLM_FLOOR, _FLASHINFER_FLOOR, _CUDNN_FLOOR = 70, 75, 75
_GLIBC = "2.28"
"""What torch's own wheels ask for (CUDA.md C1)."""


@dataclass(frozen=True)
class Variant:
    """One build.

    Attributes:
        python: ``"3.11"``.
        cuda: the toolkit's release.
        capability: the GPU's.
        isa: the processor's.
        glibc: the oldest that it is to run on.
        stack: what is built.
    """

    python: str
    cuda: str
    capability: Capability
    isa: Isa
    glibc: str = _GLIBC
    stack: str = "vllm"

    @property
    def name(self) -> str:
        """``"vllm-python311-cuda12_8-sm90-avx512bf16"``."""
        python, cuda = self.python.replace(".", ""), self.cuda.replace(".", "_")
        return f"{self.stack}-python{python}-cuda{cuda}-sm{self.capability.digits}-{self.isa.name}"

    @property
    def target(self) -> Target:
        return Target(self.python, self.isa.arch, self.glibc, self.capability.gpu, self.cuda, self.isa.name)

    @property
    def models(self) -> tuple[str, ...]:
        """GPUs that are found beside such a processor, or all of them where none is known to be."""
        soldered = self.isa.name == "armv9"
        found = tuple(name for name in self.capability.models if (name in ON_ARM) == soldered)
        return found or self.capability.models

    @property
    def wrong(self) -> tuple[str, ...]:
        """What keeps it from being built, or from being of use; one sentence each."""
        return tuple(self._faults())

    def _faults(self) -> Iterator[str]:
        if problem := self.capability.problem_with(self.cuda):
            yield problem
        number = int(self.capability.digits)
        if number < _VLLM_FLOOR:
            yield "vLLM's own lists of GPUs begin at 7.0: none of its kernels is compiled for it"
        if number < _FLASHINFER_FLOOR:
            yield "FlashInfer needs 7.5 or newer"

    @property
    def settings(self) -> dict[str, str]:
        """Everything that a build for it has to be told, by the name of the variable; ``CFLAGS`` also for ``CXXFLAGS``."""
        one, target = self.capability, self.target
        digits = one.gpu[len("sm_") :]
        return {
            **target.gpu_variables,
            "NVCC_APPEND_FLAGS": f"-gencode=arch=compute_{digits},code=sm_{digits}",
            "CFLAGS": self.isa.options,
            **({"USE_CUDNN": "0"} if int(one.digits) < _CUDNN_FLOOR else {}),
        }

    @property
    def gcc(self) -> str:
        """The host compilers that nvcc takes, ``"9 to 14"``; empty when not known."""
        ceiling = gcc_ceiling(self.cuda)
        return f"{GCC_FLOOR} to {ceiling}" if ceiling else ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "target": self.target.to_dict(),
            "architecture": self.capability.architecture,
            "models": list(self.models),
            "machines": self.isa.machines,
            "driver": driver_floor(self.cuda),
            "driver_for_ptx": native_driver(self.cuda),
            "gcc": self.gcc,
            "settings": self.settings,
            "distributions": [vars(one) for one in built_for(self.glibc)],
            "wrong": list(self.wrong),
        }


def parse_variant(name: str) -> Variant:
    """A variant by its name. Raises ValueError: when it is none, or names a GPU or a processor that is not known."""
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"expected a name such as 'vllm-python311-cuda12_8-sm90-avx512bf16', got {name!r}")
    stack, major, minor, cuda, patch, digits, isa = found.groups()
    return replace(variant_of(f"sm_{digits}", f"{major}.{minor}", f"{cuda}.{patch}", isa), stack=stack)


def variant_of(gpu_name: str, python: str, cuda: str = "", isa: str = "") -> Variant:
    """A variant by its parts.

    Args:
        gpu_name: ``"h100"``, ``"sm_90a"`` or ``"9.0"``.
        cuda: empty for the release that a new stack would begin with.
        isa: empty for the one that most hosts with such a GPU have.

    Raises:
        ValueError: when a part is not known.
    """
    one, arch = capability(gpu_name), ""
    if one is None:
        kind = gpu(gpu_name)
        one, arch = capability(kind.capability), kind.arch
    assert one is not None, "every GPU's capability is in the table"
    processor = ISAS[isa_name(isa)] if isa else ISAS["armv9" if arch else "avx2"]
    if arch and processor.arch != arch:
        raise ValueError(f"{gpu_name} is soldered to hosts of {arch}, {isa} is of {processor.arch}")
    release = cuda_release(cuda or one.usual_release)
    if release not in RELEASES:
        raise ValueError(f"no CUDA {release} is known; {', '.join(RELEASES)} are")
    return Variant(minor_version(python), release, one, processor)


_PYTHON = "3.13"
_X86 = ("avx", "avx2", "avx512", "avx512bf16", "avx512vnni")
_ON_X86 = (
    ("6.1", _X86[:2]),
    *((number, _X86) for number in ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.3", "12.0")),
)
_ON_ARM = (("8.0", "armv8_2"), ("9.0", "armv8_2"), ("9.0", "armv9"), ("10.0", "armv9"), ("10.3", "armv9"))


def published() -> tuple[Variant, ...]:
    """The matrix, in its own order: for CUDA 12.9 everything, for 12.8 all that its nvcc compiles for."""
    rows = [(number, isa) for number, isas in _ON_X86 for isa in isas] + list(_ON_ARM)
    found = [
        Variant(_PYTHON, cuda, one, ISAS[isa])
        for cuda in ("12.9", "12.8")
        for number, isa in rows
        if (one := capability(number)) and (cuda == "12.9" or release_pair(one.specific or one.first) <= (12, 8))
    ]
    return tuple(found)


def corrections() -> tuple[str, ...]:
    """What was published with the matrix and is not so; one sentence each."""
    listed = {one.capability.number for one in published()}
    left_out = [f"{one.number} ({', '.join(one.models)})" for one in CAPABILITIES if one.number not in listed]
    drivers = " and ".join(f"{native_driver(cuda)} with CUDA {cuda}" for cuda in ("12.9", "12.8"))
    return (
        f"drivers: {drivers} were shipped, not 560 and 550; what is compiled for the GPU itself starts on "
        f"{driver_floor('12.8')} and newer, PTX does not; a driver of CUDA 13 runs both",
        f"L40S is {GPUS['l40s'].capability}, as L4 and L40, and not sm_90",
        f"code of its own for sm_103 takes CUDA {GPUS['b300'].cuda[0]}.{GPUS['b300'].cuda[1]}, not 13.0",
        "sm90, sm100, sm103 and sm120 are to be compiled as sm_90a and so on: inference kernels use what only that GPU has",
        f"in no variant: {', '.join(left_out)}",
        "torch's and vLLM's own wheels choose a processor's instructions when they run: a build for each is of use only to a "
        "torch that is itself built from source",
    )
