"""NVIDIA's component archives: the CUDA toolchain where no RPM repository can be reached."""

from mirror.core.kinds.kind import Kind

REDIST = Kind(
    "archive",
    "redist",
    "CUDA component archive",
    "CUDA component archives",
    unknown_to_advisories="the source knows no CUDA components",
    is_toolchain=True,
)
