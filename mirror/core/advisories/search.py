"""Putting together what an advisory database says of a bundle's artifacts, record by record.

The result is a document, ``mirror.core.advisories.known``; ``mirror.core.advisories.record`` reads one record.

Rules: only what matches is kept, so that a database of any size takes no memory; the order in which records come does not
matter; names of one thing (GHSA, CVE, PYSEC) are one finding, with the worst severity that any of them states.

Example::

    search = Search(manifest.artifacts)
    for record in records:
        search.add(record)
    search.finish(Source("dump", "all.zip", digest)).findings
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mirror.core.advisories.cvss import SEVERITIES, worst
from mirror.core.advisories.known import Advisories, Finding, Remark, Source
from mirror.core.advisories.record import Match, OsvRecord, one_line
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import ProjectName, project_name
from mirror.core.wheels.versions import Version

_PREFERRED = ("CVE-", "GHSA-", "PYSEC-")


class Search:
    """Holds records against artifacts, one by one; only what matches is kept."""

    def __init__(self, artifacts: Iterable[Artifact]) -> None:
        self._wanted: dict[ProjectName, list[Artifact]] = {}
        self._looked_at: list[str] = []
        self._not_covered: list[Remark] = []
        self._unjudged: list[Remark] = []
        self._matches: dict[str, list[tuple[Artifact, OsvRecord, Match]]] = {}
        self._date, self._records, self._unreadable = "", 0, 0
        for artifact in artifacts:
            self._take(artifact)

    def _take(self, artifact: Artifact) -> None:
        if artifact.kind is None:
            return
        if not artifact.path.endswith(".whl"):
            self._not_covered.append(Remark(artifact.path, artifact.kind.unknown_to_advisories or "no wheel"))
            return
        try:
            name = project_name(artifact.name)
        except ValueError as exc:
            self._not_covered.append(Remark(artifact.path, one_line(str(exc))))
            return
        self._wanted.setdefault(name, []).append(artifact)
        self._looked_at.append(artifact.path)

    @property
    def wanted(self) -> tuple[tuple[ProjectName, str], ...]:
        """The projects and versions to ask about, in order."""
        return tuple(sorted({(name, one.version) for name, group in self._wanted.items() for one in group}))

    def add(self, record: OsvRecord) -> None:
        """Take in a record."""
        self._records += 1
        self._date = max(self._date, record.modified)
        for project in {one.project for one in record.affected} & self._wanted.keys():
            for artifact in self._wanted[project]:
                self._hold(record, project, artifact)

    def _hold(self, record: OsvRecord, project: ProjectName, artifact: Artifact) -> None:
        try:
            match = record.affects(project, artifact.version)
        except ValueError as exc:
            self._unjudged.append(Remark(artifact.path, one_line(str(exc)), record.id))
            return
        if match:
            self._matches.setdefault(artifact.path, []).append((artifact, record, match))

    def is_found(self, project: ProjectName, version: str, record_id: str) -> bool:
        """Whether a record was found to be about a version, or to be undecidable."""
        paths = {one.path for one in self._wanted.get(project, ()) if one.version == version}
        return any(one.path in paths and one.id == record_id for one in self._unjudged) or any(
            record.id == record_id for path in paths for _, record, _ in self._matches.get(path, ())
        )

    def doubt(self, project: ProjectName, version: str, record_id: str, reason: str) -> None:
        """Note a record that cannot be judged, for another reason than its ranges."""
        for artifact in self._wanted.get(project, ()):
            if artifact.version == version:
                self._unjudged.append(Remark(artifact.path, reason, record_id))

    def skip(self) -> None:
        """Count a record that could not be read."""
        self._unreadable += 1

    def finish(self, source: Source) -> Advisories:
        """All of it, in order; the source's date and counts are filled in."""
        found = [finding for matches in self._matches.values() for finding in _findings(matches)]
        return Advisories(
            source=Source(source.kind, source.name, source.sha256, self._date, self._records, self._unreadable),
            looked_at=tuple(sorted(self._looked_at)),
            not_covered=tuple(sorted(self._not_covered, key=lambda one: one.path)),
            unjudged=tuple(sorted(set(self._unjudged), key=lambda one: (one.path, one.id, one.reason))),
            findings=tuple(sorted(found, key=lambda one: (one.path, SEVERITIES.index(one.severity), one.id))),
        )


def _findings(matches: Sequence[tuple[Artifact, OsvRecord, Match]]) -> list[Finding]:
    """One finding for each group of records that have a name in common."""
    groups: list[tuple[set[str], list[tuple[Artifact, OsvRecord, Match]]]] = []
    for match in sorted(matches, key=lambda one: one[1].id):
        names, members = {match[1].id, *match[1].aliases}, [match]
        apart = []
        for other_names, other_members in groups:
            if names & other_names:
                names |= other_names
                members = [*other_members, *members]
            else:
                apart.append((other_names, other_members))
        groups = [*apart, (names, members)]
    return [_finding_of(names, members) for names, members in groups]


def _finding_of(names: set[str], members: Sequence[tuple[Artifact, OsvRecord, Match]]) -> Finding:
    artifact = members[0][0]
    ordered = sorted(names, key=_rank)
    score = max(match.score for _, _, match in members)
    fixed = {text for _, _, match in members for text in match.fixed}
    return Finding(
        path=artifact.path,
        project=project_name(artifact.name),
        version=artifact.version,
        id=ordered[0],
        aliases=tuple(sorted(ordered[1:])),
        severity=worst(*(match.severity for _, _, match in members)),
        score=f"{score // 10}.{score % 10}" if score >= 0 else "",
        summary=next((record.summary for _, record, _ in members if record.summary), ""),
        fixed=tuple(sorted(fixed, key=lambda text: (Version(text).key, text))),
        modified=max(record.modified for _, record, _ in members),
    )


def _rank(name: str) -> tuple[int, str]:
    """CVE numbers first: they are what a security team's other lists go by."""
    return next((index for index, prefix in enumerate(_PREFERRED) if name.startswith(prefix)), len(_PREFERRED)), name
