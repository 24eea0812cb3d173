"""GPUs by the name that people call them, with what a target has to say of each.

``mirror.core.target`` is a target; ``mirror.closed.doctor`` asks the closed host's driver for its GPUs.

Rules: names are lower case without the maker's; an architecture-specific capability (``sm_90a``) where the kernels of
inference stacks use what only it has; a name that is not here is unknown, never guessed.

Example::

    >>> gpu("H100").capability
    'sm_90a'
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.core.words import did_you_mean


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


_HOPPER, _BLACKWELL = Gpu("sm_90a", (12, 0)), Gpu("sm_100a", (12, 8))
_ADA, _AMPERE = Gpu("sm_89", (11, 8)), Gpu("sm_86", (11, 1))

GPUS = {
    "v100": Gpu("sm_70", (9, 0), (13, 0)),
    "t4": Gpu("sm_75", (10, 0)),
    "a100": Gpu("sm_80", (11, 0)), "a30": Gpu("sm_80", (11, 0)),
    "a10": _AMPERE, "a10g": _AMPERE, "a40": _AMPERE, "a6000": _AMPERE, "rtx3090": _AMPERE,
    "l4": _ADA, "l40": _ADA, "l40s": _ADA, "rtx4090": _ADA,
    "h20": _HOPPER, "h100": _HOPPER, "h200": _HOPPER, "h800": _HOPPER,
    "gh200": Gpu("sm_90a", (12, 0), arch="aarch64"),
    "b100": _BLACKWELL, "b200": _BLACKWELL,
    "gb200": Gpu("sm_100a", (12, 8), arch="aarch64"),
    "b300": Gpu("sm_103a", (12, 9)),
    "gb300": Gpu("sm_103a", (12, 9), arch="aarch64"),
    "rtxpro6000": Gpu("sm_120a", (12, 8)), "rtx5090": Gpu("sm_120a", (12, 8)),
}  # fmt: skip
"""Every kind that is known, by name."""


def gpu(name: str) -> Gpu:
    """A kind of GPU by its name, whatever its case, dashes and blanks.

    Raises:
        ValueError: when it is not known, with what may have been meant.
    """
    plain = "".join(name.lower().split()).replace("-", "").replace("_", "").replace("nvidia", "")
    if plain not in GPUS:
        raise ValueError(f"no GPU {name!r} is known{did_you_mean(plain, GPUS)}; known are {', '.join(GPUS)}")
    return GPUS[plain]
