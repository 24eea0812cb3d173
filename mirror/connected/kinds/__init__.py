"""The kinds of artifacts on the connected side: one module each, with what ``facet`` asks of it: ``tool``, ``wheel``, ``rpm``
and ``redist`` with what they share as ``packages``, ``interpreter``, ``file``, ``model``. A new kind is a module and a line
here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from requests import Session

from mirror.connected.kinds import file, interpreter, model, redist, rpm, tool, wheel
from mirror.connected.kinds.facet import Facet
from mirror.connected.planning.plan import Plan
from mirror.core.kinds import Kind

FACETS: tuple[Facet, ...] = (tool, wheel, rpm, redist, interpreter, file, model)
"""In the bundle's order."""


def session_for(plan: Plan, connections: int) -> AbstractContextManager[Session | None]:
    """What the files of a plan are fetched with: the session of the first kind in it that has one; of None where none has."""
    made = (facet.session(connections) for facet in FACETS if plan.of(facet.KIND))
    return next((session for session in made if session), nullcontext())


def facet_of(kind: Kind) -> Facet:
    """The module of a kind."""
    return next(one for one in FACETS if one.KIND is kind)
