"""The kinds of artifacts on the closed side: what installs each into a generation, in the order in which one needs the other.

``destination`` is what they install into, ``copying`` takes a file out of a bundle; ``interpreter``, ``wheel``, ``toolchain``,
``file``, ``model`` and ``tool`` install theirs. A new kind is a module and a line here.
"""

from __future__ import annotations

from typing import Callable

from mirror.closed.kinds import file, interpreter, model, tool, toolchain, wheel
from mirror.closed.kinds.destination import Destination

INSTALL: tuple[Callable[[Destination], None], ...] = (
    interpreter.install,
    wheel.install,
    toolchain.install,
    file.install,
    model.install,
    tool.install,
)
