"""Installed stacks as the doctor meets them, without an installation: a generation's tree with a venv and a toolkit in it.

Example::

    stack = Stack(tmp_path)
    stack.project("torch", "2.11.0", files={"torch/version.py": TORCH})
    findings = judge_stack(read_facts(stack.environment(), {}))
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirror.closed.environment.variables import Environment
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
NVCC = "#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13.0.88'\n"
TOOLKIT = {
    "bin/nvcc": NVCC, "bin/nvcc.profile": "", "bin/ptxas": "", "bin/fatbinary": "", "bin/cudafe++": "", "bin/nvlink": "",
    "nvvm/bin/cicc": "", "nvvm/libdevice/libdevice.10.bc": "", "include/nv/target": "", "include/cccl/cub/cub.cuh": "",
    "include/cuda_runtime.h": "", "include/cuda_fp8.h": "", "include/crt/host_config.h": "#if __GNUC__ > 15\n",
    "include/cuda_runtime_api.h": "#define CUDART_VERSION  13000\n", "lib64/libcudart.so": "", "lib64/libcudadevrt.a": "",
    "lib64/libcudart_static.a": "", "lib64/stubs/libcuda.so": "", "lib64/libcublas.so": "", "lib64/libcublasLt.so": "",
    "lib64/libnvrtc.so": "", "include/cublasLt.h": "", "include/nvrtc.h": "", "include/curand_kernel.h": "",
}  # fmt: skip
"""A whole toolkit for FlashInfer, of names only; its nvcc tells a version and compiles nothing."""


def torch_version(version: str = "2.11.0+cu130", cuda: str = "'13.0'") -> Mapping[str, str]:
    """``torch/version.py`` as torch's build writes it."""
    return {
        "torch/version.py": f"from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = {cuda}\n"
    }


class Stack:
    """A generation's directory that a test fills."""

    def __init__(self, root: Path, target: Target | None = None) -> None:
        self.root = root / "gens" / f"5-{'ab' * 6}"
        self.target = target or Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
        self.venv, self.cuda = self.root / "venv", self.root / "cuda"
        self.site = self.venv / "lib/python3.11/site-packages"
        for directory in (self.site, self.venv / "bin"):
            directory.mkdir(parents=True)
        (self.venv / "bin/python").symlink_to(sys.executable)

    def project(
        self, name: str, version: str, requires: Sequence[str] = (), files: Mapping[str, str] | None = None
    ) -> None:
        """An installed wheel; files that a test puts there later are recorded too when they are named with no content."""
        info = self.site / f"{name.replace('-', '_')}-{version.partition('+')[0]}.dist-info"
        info.mkdir()
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {r}" for r in requires),
        ]
        (info / "METADATA").write_text("\n".join(lines) + "\n\nA long description\nName: not-this\n")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files or {}))
        for path, text in (files or {}).items():
            if text:
                (self.site / path).parent.mkdir(parents=True, exist_ok=True)
                (self.site / path).write_text(text)

    def toolkit(self, **changes: str | None) -> None:
        """Unpack the toolkit; ``changes`` by path give other contents, or None to leave a file out."""
        for path, text in {**TOOLKIT, **changes}.items():
            if text is None:
                continue
            file = self.cuda / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o755 if "bin/" in path else 0o644)

    def environment(self) -> Environment:
        """What ``load_environment`` would give."""
        rpm = Artifact("rpms/cuda-nvcc-13-0-13.0.88-1.x86_64.rpm", 1, DIGEST, "cuda-nvcc-13-0")
        artifacts = (rpm,) if self.cuda.exists() else ()
        return Environment(self.root, Manifest("demo", 5, self.target, artifacts))
