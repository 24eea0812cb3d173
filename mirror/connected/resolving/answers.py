"""What a resolver answered, remembered: a lock that is made again of the same wishes asks it nothing.

A resolver stays with the versions that it is told to prefer as long as they fit together. So where it was asked to prefer
exactly what it answered, it would answer that again, whatever else an index offers by now: only what the index says of those
versions themselves can change it.

Rules: an answer hangs on everything that was asked, the resolver and its release, and on every file that the index lists of
each version in it (name, digest, Pythons, whether it was withdrawn): one that differs, and the resolver is asked; whoever
recalls an answer has asked the index for each of those pages; where others than the user can write, nothing is believed.

Example::

    answers = Answers(store)
    answers.recall(question, "uv", index)      # None: the resolver is to be asked
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from mirror.connected.fetching.store import Store
from mirror.connected.index.pages import Index, ProjectNotOnIndex
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.resolving.resolver import Question, Resolved
from mirror.connected.sdists.sdist import Sdist
from mirror.core.fields import canonical_json
from mirror.core.names import ProjectName
from mirror.core.progress import SILENT, Progress

_FORMAT = "mirror-answer/2"
_MAX_BYTES = 16 << 20
_PACKAGES = {"uv": "uv", "pip-tools": "pip-tools"}


class Answers:
    """The memory of one store: of each stack the last answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def recall(
        self, question: Question, resolver: str, index: Index, progress: Progress = SILENT
    ) -> tuple[Resolved, ...] | None:
        """The answer that the resolver would give; None when it is to be asked.

        Raises:
            HostUnreachable, HttpRefused, Truncated, BadReply: as ``Index.versions``.
        """
        document = self._store.recall(self._path(question), _MAX_BYTES)
        try:
            asked, offered = document["asked"], document["offered"]
            answer = tuple(Resolved(ProjectName(name), str(one), tuple(via)) for name, one, via in document["answer"])
        except (LookupError, TypeError, ValueError):  # none, or another version's
            return None
        try:
            if asked != _asked(question, resolver, _preferred(question)):
                return None
            return answer if offered == _offered(answer, index, progress) else None
        except ProjectNotOnIndex:
            return None

    def remember(
        self, question: Question, resolver: str, answer: Sequence[Resolved], index: Index, progress: Progress = SILENT
    ) -> None:
        """Write it down, as the answer to the question that prefers it.

        Raises:
            As ``recall``.
        """
        document = {
            "asked": _asked(question, resolver, [(one.name, one.version) for one in answer]),
            "offered": _offered(answer, index, progress),
            "answer": [[one.name, one.version, list(one.via)] for one in answer],
        }
        self._store.note(self._path(question), canonical_json(document))

    def _path(self, question: Question) -> Path:
        whose = _digest([question.root, question.target.to_dict(), question.default_index])
        return self._store.root / "answers" / f"{whose}.json"


def _preferred(question: Question) -> list[tuple[ProjectName, str]]:
    """What the resolver is told to stay with."""
    lock = parse_lock(question.previous, f"{question.name}.txt") if question.previous else PythonLock(())
    return [(pin.name, pin.version) for pin in lock.pins]


def _asked(question: Question, resolver: str, preferred: list[tuple[ProjectName, str]]) -> str:
    """Everything that the answer hangs on, but for what the index says."""
    return _digest(
        [
            *(_FORMAT, resolver, version(_PACKAGES[resolver]), question.name, question.root),
            question.target.to_dict(),
            [[str(one) for one in ones] for ones in (question.requirements, question.constraints)],
            *(question.default_index, dict(question.indexes), sorted(question.flat)),
            question.cutoff.isoformat() if question.cutoff else "",
            [[_words(one) for one in ones] for ones in (question.sdists, question.wheels)],
            list(question.without),
            sorted(question.archived),
            sorted(preferred),
        ]
    )


def _words(sdist: Sdist) -> list[object]:
    requires = [str(one) for one in sdist.requires]
    return [sdist.name, sdist.version, requires, sorted(sdist.extras), sdist.requires_python]


def _offered(answer: Sequence[Resolved], index: Index, progress: Progress) -> str:
    """What the index says of every version in an answer. Raises as ``Index.versions``."""
    index.prefetch(((one.name, one.version) for one in answer), progress)
    return _digest([[one.name, *(file.to_dict() for file in index.files(one.name, one.version))] for one in answer])


def _digest(words: list[object]) -> str:
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()
