"""What changed from one bundle to the next, so that whoever approved the old one reads only what is new.

It compares two ``Contents``; how the answer is shown is the CLI's and the report's.

Rules: artifacts are matched by directory and name, so that a new version is an update and not a removal with an addition; the
same version with other bytes is a rebuild only where both were made here, and else the more alarming ``replaced``; where
something came from is told whenever that differs, also of a new version; what mirror itself writes (``meta/``) follows from
the rest and is compared only in what a person wrote: the stack's TOML.

Example::

    changes = compare(read_contents(old, root), read_contents(new, root))
    changes.updated
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit

from mirror.core.bundle.manifest import BUILT, MADE, Artifact
from mirror.core.trust.root import Role
from mirror.core.wheels.versions import same_version
from mirror.review.questions.contents import Contents


@dataclass(frozen=True)
class Change:
    """One artifact on both sides, or on one: None on the side that lacks it."""

    directory: str
    name: str
    old: Artifact | None
    new: Artifact | None

    @property
    def growth(self) -> int:
        """Bytes more than before."""
        return (self.new.size if self.new else 0) - (self.old.size if self.old else 0)

    @property
    def group(self) -> str:
        """Its kind: an attribute of ``Changes``."""
        old, new = self.old, self.new
        if old is None or new is None:
            return "added" if old is None else "removed"
        is_same_version = same_version(old.version, new.version)
        if old.sha256 == new.sha256:
            return "relabelled" if not is_same_version else "moved" if old.origin != new.origin else "same"
        if not is_same_version:
            return "updated"
        return "rebuilt" if old.origin == new.origin and old.origin in (BUILT, MADE) else "replaced"

    @property
    def places(self) -> tuple[str, str] | None:
        """Where it came from before, and where from now, in words; None where both are the same, or one side lacks it."""
        if self.old is None or self.new is None:
            return None
        before, now = place(self.old)[0], place(self.new)[0]
        return None if before == now else (before, now)

    def __str__(self) -> str:
        one = self.new or self.old
        title = f"{self.name} {one.version}".rstrip() if one else self.name
        if self.old and self.new and self.old.version != self.new.version:
            title = f"{self.name} {self.old.version or '-'} -> {self.new.version or '-'}"
        return f"{title} ({self.places[0]} -> {self.places[1]})" if self.places else title

    def to_dict(self) -> dict[str, Any]:
        sides = {"old": self.old, "new": self.new}
        return {
            "directory": self.directory,
            "name": self.name,
            **{
                key: {"version": one.version, "sha256": one.sha256, "size": one.size, "origin": one.origin}
                for key, one in sides.items()
                if one
            },
        }


@dataclass(frozen=True)
class Fact:
    """Something said of the bundle or an artifact that reads differently now: ``subject``, before and after."""

    subject: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.old or '-'} -> {self.new or '-'}"


@dataclass(frozen=True)
class Changes:
    """Everything that differs.

    Attributes:
        added, removed: on one side only.
        updated: another version.
        rebuilt: the same version, made here both times (built from source, or by mirror itself), with other bytes.
        replaced: the same version with other bytes otherwise: released anew, or built here in place of what was released, or
            the other way round; rarely innocent.
        moved: the same bytes from another place (origin).
        relabelled: the same bytes, said to be another version.
        same: how many artifacts are the same, byte for byte.
        licences: artifacts whose licence reads differently.
        facts: the target, the tool, the roots, who may sign, who signed, start-up hooks, GPU architectures.
        older, newer: the sequences: times of locking in seconds since 1970 UTC.
        strangers: that they are two stacks' and not one's, with both names; empty where they are one's.
        growth: bytes more than before, of all artifacts.
    """

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    updated: tuple[Change, ...]
    rebuilt: tuple[Change, ...]
    replaced: tuple[Change, ...]
    moved: tuple[Change, ...]
    relabelled: tuple[Change, ...]
    same: int
    licences: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    older: int
    newer: int
    growth: int
    strangers: str = ""

    GROUPS = ("added", "removed", "updated", "rebuilt", "replaced", "moved", "relabelled")

    @property
    def is_empty(self) -> bool:
        return not any(getattr(self, group) for group in self.GROUPS) and not self.licences and not self.facts

    def to_dict(self) -> dict[str, Any]:
        groups = {group: [change.to_dict() for change in getattr(self, group)] for group in self.GROUPS}
        return {
            "older": self.older,
            "newer": self.newer,
            "growth_bytes": self.growth,
            "same": self.same,
            **groups,
            "licences": [vars(fact) for fact in self.licences],
            "facts": [vars(fact) for fact in self.facts],
        }


def compare(old: Contents, new: Contents) -> Changes:
    """Everything that differs, in the order of the new bundle; what is gone comes in the order of the old one."""
    changes = _matched(old.manifest.artifacts, new.manifest.artifacts)
    groups: dict[str, list[Change]] = {group: [] for group in (*Changes.GROUPS, "same")}
    for change in changes:
        groups[change.group].append(change)
    return Changes(
        **{group: tuple(groups[group]) for group in Changes.GROUPS},
        same=len(groups["same"]),
        licences=tuple(_licences(old, new, changes)),
        facts=tuple(_facts(old, new, changes)),
        older=old.manifest.sequence,
        newer=new.manifest.sequence,
        growth=new.manifest.total_bytes - old.manifest.total_bytes,
        strangers=_strangers(old.manifest.name, new.manifest.name),
    )


def _strangers(old: str, new: str) -> str:
    return f"these are two stacks, and not one: {old} before, {new} now" if old != new else ""


def place(artifact: Artifact) -> tuple[str, str]:
    """Where an artifact is from, in words, and the path there."""
    if artifact.origin == BUILT:
        return "built here", ""
    if artifact.origin == MADE:
        return "made by mirror", ""
    try:
        parts = urlsplit(artifact.origin)
        host = parts.hostname or ""
    except ValueError:
        return artifact.origin, ""
    if parts.scheme == "file":
        return "a directory of the builder's", parts.path
    return (host, parts.path) if host else (artifact.origin, "")


def _matched(before: Iterable[Artifact], after: Iterable[Artifact]) -> list[Change]:
    """Each artifact with the one that it was.

    Of several of one name (a project's wheels for two Pythons), those go together whose file names are the same, then those
    whose file names differ in the version only, then what is left, in order.
    """
    olds, news = _by_name(before), _by_name(after)
    pairs: dict[Artifact, Artifact] = {}
    for key, group in news.items():
        left = olds.get(key, [])
        for alike in (attrgetter("filename"), _filename_without_version, attrgetter("name")):
            for new in (one for one in group if one not in pairs):
                old = next((one for one in left if alike(one) == alike(new)), None)
                if old:
                    pairs[new] = old
                    left = [one for one in left if one is not old]
    gone = set(pairs.values())
    changes = [Change(*key, pairs.get(new), new) for key, group in news.items() for new in group]
    return changes + [Change(*key, old, None) for key, group in olds.items() for old in group if old not in gone]


def _by_name(artifacts: Iterable[Artifact]) -> dict[tuple[str, str], list[Artifact]]:
    found: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in artifacts:
        if artifact.kind is not None:
            found.setdefault((artifact.directory, artifact.name), []).append(artifact)
    return found


def _filename_without_version(artifact: Artifact) -> str:
    return artifact.filename.replace(artifact.version, "", 1) if artifact.version else artifact.filename


def _licences(old: Contents, new: Contents, changes: list[Change]) -> Iterator[Fact]:
    for change in changes:
        before, after = (side.facts(one.path) if one else None for side, one in ((old, change.old), (new, change.new)))
        if before and after:
            words = tuple(facts.licence or facts.licence_stated for facts in (before, after))
            if words[0] != words[1]:
                yield Fact(change.name, *words)


def _facts(old: Contents, new: Contents, changes: list[Change]) -> Iterator[Fact]:
    sides = old.manifest, new.manifest
    pairs = [
        ("stack", sides[0].name, sides[1].name),
        ("target", str(sides[0].target), str(sides[1].target)),
        ("mirror", sides[0].tool, sides[1].tool),
        ("roots", *(f"{len(one.roots)}, the last {one.roots[-1][:12]}" if one.roots else "" for one in sides)),
        ("imports", *(", ".join(one.imports) for one in sides)),
    ]
    if old.root and new.root:
        pairs += [
            (role, _asked(before), _asked(now)) for (role, before), (_, now) in zip(old.root.roles(), new.root.roles())
        ]
    if old.signers is not None and new.signers is not None:
        roles = list(dict.fromkeys((*old.signers, *new.signers)))
        pairs += [
            (f"signed as {role}", *(", ".join(s.get(role, ())) for s in (old.signers, new.signers))) for role in roles
        ]
    for change in changes:
        before, after = (side.facts(one.path) if one else None for side, one in ((old, change.old), (new, change.new)))
        if after and (before or change.old is None):
            for word in ("hooks", "gpus", "setuid", "yanked", "signer"):
                values = tuple(_shown(getattr(facts, word)) if facts else "" for facts in (before, after))
                if values[0] != values[1] and (before or word in ("hooks", "setuid", "yanked")):
                    pairs.append((f"{change.name} {word}", *values))
    return (Fact(*pair) for pair in pairs if pair[1] != pair[2])


def _asked(role: Role) -> str:
    return f"needs {role.threshold} of {', '.join(map(str, role.keys)) or 'nobody'}"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
