"""RPMs: the CUDA toolchain as its vendor signed it."""

from mirror.core.kinds.kind import Kind

RPM = Kind(
    "rpm",
    "rpms",
    "RPM",
    "RPMs",
    unknown_to_advisories="the source knows no CUDA packages",
    unsigned="an RPM without a signature",
    is_toolchain=True,
)
