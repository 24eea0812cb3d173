"""Why each artifact is in the bundle: the shortest way to it from something that the stack asks for by name.

The edges are the dossier's ``requires``; the connected side answers for their being complete.

Rules: of several shortest ways the one that begins with the requirement named first; Python projects and CUDA packages are two
worlds, whose names may coincide; what nothing leads to is told as such.

Example::

    reasons(manifest, dossier)["wheels/tokenizers-0.23.3-...whl"].path       # ("vllm", "transformers", "tokenizers")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mirror.core.bundle.dossier import Dossier
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import project_name

ASKED, NEEDED, CARRIED, UNKNOWN = "asked", "needed", "carried", "unknown"

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._+-]*[A-Za-z0-9+])?)", re.ASCII)

_CARRIED = {
    "mirror.pyz": "the installer itself, for later; the one that you install with comes by another way",
    "mirror-probe": "mirror's own GPU probe: a small kernel that shows whether the GPUs work",
    "uv": "installs the wheels on the closed side",
    "pip": "installs the wheels on the closed side where uv cannot",
}


@dataclass(frozen=True)
class Reason:
    """Why one artifact is there.

    Attributes:
        kind: ``ASKED`` for by name, ``NEEDED`` by another artifact, ``CARRIED`` for mirror's own use, or ``UNKNOWN``.
        path: names from the requirement to the artifact itself, both included.
        words: the requirement as it was written, or what mirror carries it for.
    """

    kind: str
    path: tuple[str, ...] = ()
    words: str = ""

    def __str__(self) -> str:
        if self.kind == ASKED:
            return f"asked for: {self.words}"
        return " \u2192 ".join(self.path) if self.kind == NEEDED else self.words or "nothing in the bundle asks for it"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": list(self.path), "words": self.words}


def reasons(manifest: Manifest, dossier: Dossier | None) -> Mapping[str, Reason]:
    """For each artifact outside ``meta/``, by its path, why it is there. Without a dossier little is known."""
    found: dict[str, Reason] = {}
    if dossier:
        found.update(_world(manifest.wheels, dossier, dossier.requirements, _project))
        found.update(_world(manifest.toolchain, dossier, dossier.packages, str.strip))
    for artifact in manifest.artifacts:
        if artifact.kind is not None and artifact.path not in found:
            found[artifact.path] = _carried(artifact)
    return found


def _carried(artifact: Artifact) -> Reason:
    purpose = _CARRIED.get(artifact.name) or (artifact.kind.carried_for if artifact.kind else "")
    if purpose:
        return Reason(CARRIED, words=purpose)
    return Reason(UNKNOWN)


def _world(
    artifacts: Iterable[Artifact], dossier: Dossier, wanted: Iterable[str], normal: Callable[[str], str]
) -> Mapping[str, Reason]:
    """Breadth first, so that the first way found is a shortest one."""
    named: dict[str, list[Artifact]] = {}
    for artifact in artifacts:
        named.setdefault(normal(artifact.name), []).append(artifact)
    requires = {facts.path: facts.requires for facts in dossier.files}
    ways: dict[str, tuple[str, ...]] = {}
    asked: dict[str, str] = {}
    for words in wanted:
        match = _NAME.match(words)
        if match and normal(match.group(1)) in named:
            asked.setdefault(normal(match.group(1)), words)
    ways.update((name, (name,)) for name in asked)
    queue = list(ways)
    for name in queue:  # it grows while it is read
        for artifact in named[name]:
            for other in map(normal, requires.get(artifact.path, ())):
                if other in named and other not in ways:
                    ways[other] = (*ways[name], other)
                    queue.append(other)
    return {
        artifact.path: Reason(ASKED if name in asked else NEEDED, way, asked.get(name, ""))
        for name, way in ways.items()
        for artifact in named[name]
    }


def _project(name: str) -> str:
    try:
        return project_name(name)
    except ValueError:
        return name
