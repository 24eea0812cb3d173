"""The files of the generation: whether they still are what was installed.

``mirror.closed.soundness`` compares; this module reports what it found as findings.

Rules: a few damaged files are named each, many are counted by package; what could not be checked is a note, never good.

Example::

    findings = list(judge_files(generation, progress))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror.closed.prefix.generations import Generation
from mirror.closed.remedy import remedies
from mirror.closed.soundness import check_generation
from mirror.core.logs.finding import About, Finding
from mirror.core.progress import SILENT, Progress
from mirror.core.trust.truststore import TrustStore

_NAMED = 5


def judge_files(generation: Generation, progress: Progress = SILENT) -> Iterator[Finding]:
    """Read every file of a generation and compare it."""
    found = check_generation(generation, progress)
    if found.damages:
        owners = Counter(damage.owner or "no package" for damage in found.damages)
        counted = ", ".join(f"{count} of {owner}" for owner, count in owners.most_common(_NAMED))
        more = ", and more" * (len(owners) > _NAMED)
        yield About("files").problem(
            f"{len(found.damages)} of {found.checked} files not as installed: {counted}{more}",
            cause="a disk, a copy or somebody who may write there has changed them",
            proof="\n".join(f"{damage.kind}: {generation.path / damage.path}" for damage in found.damages[:_NAMED]),
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
