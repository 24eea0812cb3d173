"""The GPUs of this host, as the driver's own files describe them: nvidia-smi may hang on a sick one.

Example::

    [facts.get("Model") for facts in describe_gpus()]     # ["NVIDIA H100 80GB HBM3"]
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mirror.core.system.durable import text_of


def describe_gpus(proc: Path = Path("/proc")) -> tuple[Mapping[str, str], ...]:
    """What the driver says of each GPU, by its own words for it, in the order of their bus addresses.

    Returns:
        One mapping for each; an empty one where it cannot be read, none where the driver shows none.
    """
    try:
        places = sorted((proc / "driver/nvidia/gpus").iterdir())
    except OSError:
        return ()
    told = ([line.partition(":") for line in text_of(place / "information").splitlines()] for place in places)
    return tuple({name: value.strip() for name, _, value in lines} for lines in told)
