"""The files of the generation: whether they still are what was installed.

``mirror.closed.soundness`` compares; this module reports what it found as findings.

Rules: a few damaged files are named each, many are counted by package; what could not be checked is a note, never good.

Example::

    findings = list(judge_files(generation, progress))
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator

from mirror.closed.prefix.generations import Generation
from mirror.closed.remedy import remedies
from mirror.closed.soundness import EXPOSED, check_generation
from mirror.core.logs.finding import About, Finding
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import counted as counting

_NAMED = 5


def judge_files(generation: Generation, progress: Progress = SILENT) -> Iterator[Finding]:
    """Read every file of a generation and compare it."""
    found = check_generation(generation, progress)
    exposed = [damage for damage in found.damages if damage.kind == EXPOSED]
    damages = [damage for damage in found.damages if damage.kind != EXPOSED]
    if exposed:
        yield About("files").problem(
            f"others than its owner may write {counting(len(exposed), 'place')} in it",
            cause="a copy, or somebody, has given them the right: they decide what runs, and what its digests are",
            proof="\n".join(f"{damage.owner}: {generation.path / damage.path}" for damage in exposed[:_NAMED]),
            fix=f"'chmod -R go-w {shlex.quote(str(generation.path))}'; 'mirror status --check' names every place, and how to "
            "build it anew",
        )
    if damages:
        owners = Counter(damage.owner or "no package" for damage in damages)
        counted = ", ".join(f"{count} of {owner}" for owner, count in owners.most_common(_NAMED))
        more = ", and more" * (len(owners) > _NAMED)
        yield About("files").problem(
            f"{len(damages)} of {found.checked} files not as installed: {counted}{more}",
            cause="a disk, a copy or somebody who may write there has changed them",
            proof="\n".join(f"{damage.kind}: {generation.path / damage.path}" for damage in damages[:_NAMED]),
            fix=" ".join((*remedies(generation, TrustStore.default()), "'mirror status --check' names every file")),
        )
    for reason in found.unchecked:
        yield About("files").note(
            f"could not be checked: {reason}",
            cause="what was written down of them when they were installed is not there, or not whole",
            proof=str(generation.path),
            fix="'mirror install' of the same bundle puts a generation beside this one that can be checked",
        )
    if found.is_whole:
        yield About("files").good(f"all {found.checked} are as they were installed")
