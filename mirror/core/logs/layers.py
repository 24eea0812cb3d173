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
    **dict.fromkeys(("headers", "compiler", "CUDA_HOME", "CUDA major", "RPM solver"), TOOLKIT),
    **dict.fromkeys(("host compiler", "Python.h"), COMPILER),
    **dict.fromkeys(("linker", "math libraries"), LINKER),
    **dict.fromkeys(("driver", "driver library", "fabric manager"), DRIVER),
    **dict.fromkeys(("GPU", "GPU architecture"), GPU),
    **dict.fromkeys(("glibc", "libstdc++", "CUDA runtime", "NCCL"), LOADER),
    **dict.fromkeys(("noexec", "full disk", "read-only disk", "temporary files"), DISK),
    **dict.fromkeys(("stale JIT cache", "JIT lock"), CACHE),
    "wheel": WHEELHOUSE,
    "build isolation": WHEELHOUSE,
    "memory": MEMORY,
    "network": NETWORK,
}
"""The layer of a symptom by its subject; what is not here is a Python package's."""
