"""The kinds of artifacts that a bundle carries, in the order in which they lie in it: the spine of the house.

A kind is one module in each room that it needs: here what it is called and where it lies; in ``mirror.connected.kinds`` how it
is pinned, planned, read and described; in ``mirror.review.kinds`` what of it is looked at again; in ``mirror.closed.kinds`` how
it is installed. A new kind is those modules and its line in each room's registry; whatever speaks of all artifacts loops over
these.

``kind`` is what all are; ``tool``, ``wheel``, ``rpm``, ``redist``, ``interpreter``, ``file`` and ``model`` are in this order
in a bundle.
"""

from __future__ import annotations

from mirror.core.kinds.file import FILE
from mirror.core.kinds.interpreter import INTERPRETER
from mirror.core.kinds.kind import Kind
from mirror.core.kinds.model import MODEL
from mirror.core.kinds.redist import REDIST
from mirror.core.kinds.rpm import RPM
from mirror.core.kinds.tool import TOOL
from mirror.core.kinds.wheel import WHEEL

__all__ = [
    "DIRECTORIES",
    "FILE",
    "INTERPRETER",
    "KINDS",
    "META",
    "MODEL",
    "REDIST",
    "RPM",
    "SHOWN",
    "TOOL",
    "WHEEL",
    "Kind",
    "kind_named",
    "kind_of",
]

KINDS = (TOOL, WHEEL, RPM, REDIST, INTERPRETER, FILE, MODEL)

SHOWN = tuple(sorted(KINDS, key=lambda kind: kind.is_installers))
"""As people look at them: what no stack asks for comes last."""

META = "meta"
"""The directory of what mirror itself says of the others: no kind, and always the last."""

DIRECTORIES = (*(kind.directory for kind in KINDS), META)
"""Where artifacts lie in the tar, in the order in which they are packed (DESIGN.md section 5)."""

_BY_DIRECTORY = {kind.directory: kind for kind in KINDS}
_BY_NAME = {kind.name: kind for kind in KINDS}


def kind_of(directory: str) -> Kind:
    """The kind whose files lie in a directory of a bundle.

    Raises:
        KeyError: for ``meta``, and what is no such directory.
    """
    return _BY_DIRECTORY[directory]


def kind_named(name: str) -> Kind:
    """The kind that documents call so. Raises ValueError: for what is no kind's name."""
    if name not in _BY_NAME:
        raise ValueError(f"expected one of {', '.join(_BY_NAME)}, got {name!r}")
    return _BY_NAME[name]
