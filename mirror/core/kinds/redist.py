"""NVIDIA's component archives: the CUDA toolchain where no RPM repository can be reached."""

from mirror.core.kinds.kind import Kind

REDIST = Kind(
    "archive",
    "redist",
    "CUDA component archive",
    "CUDA component archives",
    unknown_to_advisories="the source knows no CUDA components",
    unsigned="an archive; its publisher signs none",
    is_toolchain=True,
)
