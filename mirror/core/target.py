"""The machine a bundle is for: Python, architecture, glibc floor, CUDA release, GPU.

A ``Target`` is written by a person in ``NAME.toml``, signed in the manifest, and compared with the host before the
first byte is installed. This module knows nothing of hosts; ``mirror.closed.host.machine`` reads those.

Example::

    Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="13.0")
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror.core.cpus import ISAS, isa_name
from mirror.core.fields import Fields, by, told
from mirror.core.names import one_of, shaped

CUDA_TARGETS = {"x86_64": "x86_64-linux", "aarch64": "sbsa-linux"}
"""NVIDIA's directory below ``targets/`` for each architecture (CUDA.md A4)."""

ARCHITECTURES = tuple(CUDA_TARGETS)
"""What ``uname -m`` prints on the machines that we target (NVIDIA calls aarch64 servers ``sbsa``)."""


minor_version = shaped(r"[1-9][0-9]?\.[0-9]{1,3}", "something like '3.11'")
compute_capability = shaped(r"(sm_[1-9][0-9]{1,2}[af]?)?", "something like 'sm_90a'")
cuda_release = shaped(r"([1-9][0-9]\.[0-9])?", "something like '13.0'")
architecture = one_of(ARCHITECTURES)


def _cpu(text: str) -> str:
    return isa_name(text) if text else ""


@dataclass(frozen=True)
class Target:
    """What the closed host promises.

    Attributes:
        python: minor version of CPython, ``"3.11"``.
        arch: as ``uname -m`` prints it.
        glibc: the oldest glibc among the hosts, ``"2.28"``: no wheel may need a newer one.
        gpu: compute capability as nvcc spells it, ``"sm_90a"``; empty when no GPU code is carried.
        cuda: CUDA toolkit release, ``"13.0"``; empty when no toolchain is carried.
        cpu: instruction set that wheels may be built for (``mirror.core.cpus``); empty for the architecture's baseline.
    """

    python: str = field(metadata=by(minor_version))
    arch: str = field(metadata=by(architecture))
    glibc: str = field(metadata=by(minor_version))
    gpu: str = field(default="", metadata=by(compute_capability))
    cuda: str = field(default="", metadata=by(cuda_release))
    cpu: str = field(default="", metadata=by(_cpu))

    @classmethod
    def from_fields(cls, fields: Fields) -> Target:
        """Read and check a ``target`` table. Raises InvalidDocument: with the path to the fault."""
        fields.only("python", "arch", "glibc", "gpu", "cuda", "cpu")
        target = fields.fill(cls)
        if target.cpu and ISAS[target.cpu].arch != target.arch:
            fields.fail("cpu", f"{target.cpu} is of {ISAS[target.cpu].arch}, arch says {target.arch}")
        return target

    def to_dict(self) -> dict[str, str]:
        """Inverse of ``from_fields``; empty attributes are left out."""
        return told(self)

    @property
    def glibc_pair(self) -> tuple[int, int]:
        major, _, minor = self.glibc.partition(".")
        return int(major), int(minor)

    @property
    def cuda_arch(self) -> str:
        """Compute capability as torch and FlashInfer spell it: ``"9.0a"`` for ``sm_90a``; empty without a GPU."""
        digits = self.gpu[3:].rstrip("af")
        return f"{digits[:-1]}.{digits[-1]}{self.gpu[3 + len(digits) :]}" if digits else ""

    @property
    def gpu_variables(self) -> dict[str, str]:
        """The names by which torch, FlashInfer and CMake are told which GPU to build for; all empty without one."""
        digits = self.gpu[3:]
        return {
            "TORCH_CUDA_ARCH_LIST": self.cuda_arch,
            "FLASHINFER_CUDA_ARCH_LIST": self.cuda_arch,
            "CMAKE_CUDA_ARCHITECTURES": digits,
            "CUDAARCHS": digits,  # the one that CMake itself reads
        }

    @property
    def cuda_targets(self) -> str:
        """NVIDIA's directory below ``targets/`` for this architecture (CUDA.md A4)."""
        return CUDA_TARGETS[self.arch]

    def __str__(self) -> str:
        parts = [f"Python {self.python}", self.arch, f"glibc {self.glibc}"]
        return ", ".join(parts + [f"CUDA {self.cuda}"] * bool(self.cuda) + [self.gpu] * bool(self.gpu))
