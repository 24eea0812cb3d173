"""The kinds of artifacts on the connected side: one module each, with what ``facet`` asks of it. A new kind is a module and a
line here."""

from __future__ import annotations

from mirror.connected.kinds import file, interpreter, model, redist, rpm, tool, wheel
from mirror.connected.kinds.facet import Facet
from mirror.core.kinds import Kind

FACETS: tuple[Facet, ...] = (tool, wheel, rpm, redist, interpreter, file, model)
"""In the bundle's order."""


def facet_of(kind: Kind) -> Facet:
    """The module of a kind."""
    return next(one for one in FACETS if one.KIND is kind)
