"""The layers of a stack that a failure can be of, from the machine up."""

from __future__ import annotations

DRIVER, GPU, TOOLKIT, COMPILER, LINKER, LOADER = "driver", "GPU", "toolkit", "host compiler", "linker", "loader"
PACKAGE, WHEELHOUSE, CACHE, DISK, MEMORY = "Python package", "wheelhouse", "JIT cache", "disk", "memory"
NETWORK, MODEL, SETTINGS = "network", "model files", "settings"

LAYERS = (
    DRIVER, GPU, DISK, MEMORY, NETWORK, TOOLKIT, COMPILER, LINKER, LOADER, PACKAGE, WHEELHOUSE, CACHE, MODEL, SETTINGS
)  # fmt: skip

MAY_BE, UNKNOWN = "may be", "unknown"
"""What a finding's certainty is where its words allow another explanation, and where they allow none; empty elsewhere."""

OF_SUBJECT = {
    "headers": TOOLKIT,
    "compiler": TOOLKIT,
    "CUDA_HOME": TOOLKIT,
    "CUDA major": TOOLKIT,
    "host compiler": COMPILER,
    "Python.h": COMPILER,
    "linker": LINKER,
    "math libraries": LINKER,
    "driver": DRIVER,
    "driver library": DRIVER,
    "fabric manager": DRIVER,
    "GPU": GPU,
    "GPU architecture": GPU,
    "glibc": LOADER,
    "libstdc++": LOADER,
    "CUDA runtime": LOADER,
    "NCCL": LOADER,
    "torch's ABI": PACKAGE,
    "noexec": DISK,
    "full disk": DISK,
    "read-only disk": DISK,
    "temporary files": DISK,
    "memory": MEMORY,
    "network": NETWORK,
    "stale JIT cache": CACHE,
    "JIT lock": CACHE,
    "wheel": WHEELHOUSE,
    "build isolation": WHEELHOUSE,
    "RPM solver": TOOLKIT,
    "FlashInfer": PACKAGE,
}
"""The layer of a symptom by its subject; what is not here is a Python package's."""
