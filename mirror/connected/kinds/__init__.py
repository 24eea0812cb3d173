"""The kinds of artifacts on the connected side: one class each, with what ``facet`` asks of it: ``tool``, ``wheel``, ``rpm``
and ``redist`` with what they share as ``packages``, ``interpreter``, ``file``, ``model``. A new kind is a module and a line
here.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from requests import Session

from mirror.connected.kinds.facet import Facet
from mirror.connected.kinds.file import Files
from mirror.connected.kinds.interpreter import Interpreters
from mirror.connected.kinds.model import Models
from mirror.connected.kinds.redist import Archives
from mirror.connected.kinds.rpm import Rpms
from mirror.connected.kinds.tool import Tools
from mirror.connected.kinds.wheel import Wheels
from mirror.connected.planning.plan import Plan
from mirror.core.kinds import Kind

FACETS: tuple[Facet, ...] = (Tools(), Wheels(), Rpms(), Archives(), Interpreters(), Files(), Models())
"""In the bundle's order."""


def session_for(plan: Plan, connections: int) -> AbstractContextManager[Session | None]:
    """What the files of a plan are fetched with: the session of the first kind in it that has one; of None where none has."""
    made = (facet.session(connections) for facet in FACETS if plan.of(facet.KIND))
    return next((session for session in made if session), nullcontext())


def facet_of(kind: Kind) -> Facet:
    """What is done with a kind."""
    return next(one for one in FACETS if one.KIND is kind)
