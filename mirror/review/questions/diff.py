"""What changed from one bundle to the next, so that whoever approved the old one reads only what is new.

It compares two ``Contents``; how the answer is shown is the CLI's and the report's.

Rules: artifacts are matched by directory and name, so that a new version is an update and not a removal with an addition;
the same name and version with other bytes is a rebuild where it was built here, and else the more alarming ``replaced``; what
mirror itself writes (``meta/``) follows from the rest and is compared only in what a person wrote: the stack's TOML.

Example::

    changes = compare(read_contents(old, root), read_contents(new, root))
    changes.updated
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mirror.core.bundle.manifest import Artifact
from mirror.review.questions.contents import Contents

BUILT = "built"
_MADE_HERE = (BUILT, "mirror")
"""Origins of what no publisher released: other bytes of it are no alarm, but to be looked at."""


@dataclass(frozen=True)
class Change:
    """One artifact on both sides, or on one.

    Attributes:
        directory, name: which.
        old, new: the artifact; None on the side that lacks it.
    """

    directory: str
    name: str
    old: Artifact | None
    new: Artifact | None

    @property
    def growth(self) -> int:
        """Bytes more than before."""
        return (self.new.size if self.new else 0) - (self.old.size if self.old else 0)

    def __str__(self) -> str:
        if self.old and self.new and self.old.version != self.new.version:
            return f"{self.name} {self.old.version or '-'} -> {self.new.version or '-'}"
        one = self.new or self.old
        return f"{self.name} {one.version}".rstrip() if one else self.name

    def to_dict(self) -> dict[str, Any]:
        sides = {"old": self.old, "new": self.new}
        return {
            "directory": self.directory,
            "name": self.name,
            **{
                key: {"version": one.version, "sha256": one.sha256, "size": one.size}
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
        rebuilt: the same version, built here again with other bytes.
        replaced: the same version from elsewhere with other bytes; rarely innocent.
        moved: the same bytes from another place (origin).
        same: how many artifacts are the same, byte for byte.
        licences: artifacts whose licence reads differently.
        facts: the target, the tool, the roots, the signers, start-up hooks, GPU architectures.
        older, newer: the sequences: times of locking in seconds since 1970 UTC.
        growth: bytes more than before, of all artifacts.
    """

    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    updated: tuple[Change, ...]
    rebuilt: tuple[Change, ...]
    replaced: tuple[Change, ...]
    moved: tuple[Change, ...]
    same: int
    licences: tuple[Fact, ...]
    facts: tuple[Fact, ...]
    older: int
    newer: int
    growth: int

    GROUPS = ("added", "removed", "updated", "rebuilt", "replaced", "moved")

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
    before, after = _by_name(old), _by_name(new)
    changes = [
        Change(*key, before.get(key), after.get(key)) for key in (*after, *(key for key in before if key not in after))
    ]
    groups: dict[str, list[Change]] = {group: [] for group in (*Changes.GROUPS, "same")}
    for change in changes:
        groups[_group(change)].append(change)
    return Changes(
        **{group: tuple(groups[group]) for group in Changes.GROUPS},
        same=len(groups["same"]),
        licences=tuple(_licences(old, new, changes)),
        facts=tuple(_facts(old, new, changes)),
        older=old.manifest.sequence,
        newer=new.manifest.sequence,
        growth=new.manifest.total_bytes - old.manifest.total_bytes,
    )


def _by_name(contents: Contents) -> dict[tuple[str, str], Artifact]:
    found: dict[tuple[str, str], Artifact] = {}
    for artifact in contents.manifest.artifacts:
        if artifact.kind is not None:
            # Two files of one name (a project's wheels for two Pythons) are told apart by their file names.
            key = (artifact.directory, artifact.name)
            found[(artifact.directory, artifact.filename) if key in found else key] = artifact
    return found


def _group(change: Change) -> str:
    if change.old is None or change.new is None:
        return "added" if change.old is None else "removed"
    if change.old.version != change.new.version:
        return "updated"
    if change.old.sha256 != change.new.sha256:
        return "rebuilt" if change.new.origin in _MADE_HERE else "replaced"
    return "same" if change.old.origin == change.new.origin else "moved"


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


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
