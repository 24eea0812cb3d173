"""What ``mirror verify --deep`` looks at again of a kind, besides wheels and the toolchain's packages, which ``mirror.core``
judges: ``interpreter``, ``model``. A new kind of which something can be judged is a module and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Callable

from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.kinds import INTERPRETER, MODEL, Kind
from mirror.core.vetting.rules import Finding
from mirror.review.kinds import interpreter, model

LOOKS: Mapping[Kind, Callable[[Bundle, Artifact], tuple[Finding, ...]]] = {
    INTERPRETER: interpreter.look,
    MODEL: model.look,
}
"""Each tells what is wrong with one artifact of a verified bundle, and raises ``MirrorError`` where it cannot be read."""
