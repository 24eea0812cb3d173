"""Where FlashInfer looks for finished modules: a link in its package that leads to the layer of the generation.

FlashInfer loads ``flashinfer/data/aot/NAME/NAME.so`` where it is there, and compiles NAME where it is not (0.6.13,
``jit/core.py``). The link is made with the generation, so it is a part of what is sealed; as long as there is no layer it leads
nowhere, and FlashInfer compiles as ever. With the package ``flashinfer-jit-cache`` FlashInfer looks there instead.

Example::

    link_modules(generation)
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mirror.closed.prefix.generations import Generation
from mirror.closed.venv.sitepackages import site_packages
from mirror.closed.warm.layer import FILES, LINK
from mirror.closed.warm.programs import AOT
from mirror.core.system.durable import facts_of


def link_modules(generation: Generation) -> tuple[Path, ...]:
    """Make the link in a generation that is being built; gives what was made.

    Raises:
        OSError: when it cannot be made.
    """
    made = []
    for site in site_packages(generation.venv):
        data = site / "flashinfer" / "data"
        facts, link = facts_of(data), data / "aot"
        if facts is None or not stat.S_ISDIR(facts.st_mode) or facts_of(link):
            continue
        up = os.path.relpath(generation.path / LINK / FILES / AOT, data)
        link.symlink_to(up)
        made.append(link)
    return tuple(made)
