"""Whether a generation still is what was installed: each file and link compared with its digest, one read of all of it.

It compares and changes nothing; ``mirror.closed.install`` builds anew.

Whom it believes, in this order: the receipt, which holds the digest of the seal; the seal (``mirror.closed.prefix.seal``),
which holds the digest of each RECORD and of all that no RECORD lists; and each RECORD that is as it was sealed, of its wheel.
An altered RECORD is damage itself, and what it says is not believed. This finds what a disk, a slip or another program did. Who
may write the generation can write the receipt too: against them only a bundle helps, which ``install --repair`` builds from.

What others may write is damage too, for it may have been changed together with its digest (``mirror.closed.prefix.exposed``).
A generation that was moved or copied, or whose host's Python was removed, is damaged too, though each file is as it was.

Rules: what could not be checked is said, never counted as good: generations made before there was a seal have digests of their
wheels' files only. Compiled bytecode (``.pyc``) is not judged. A file that nobody knows is damage: it may hide another one.

Example::

    found = check_generation(generation, progress)
    found.damages, found.unchecked
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirror.closed.environment.variables import has_manifest
from mirror.closed.prefix.exposed import exposures_of
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.receipt import Receipt, former_place, lost_python, read_receipt
from mirror.closed.prefix.seal import Seal, digest_of, lines_of, link_to, records, walk
from mirror.core.errors import MirrorError, Unreadable, is_absence, reading
from mirror.core.kinds import INTERPRETER
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.crew import Crew
from mirror.core.system.durable import facts_of

MISSING, CHANGED, EXTRA, UNREADABLE, MOVED = "missing", "changed", "extra", "unreadable", "moved"
EXPOSED = "exposed"


@dataclass(frozen=True, order=True)
class Damage:
    """One thing that is not as it was installed.

    Attributes:
        path: below the generation.
        kind: ``"missing"``, ``"changed"``, ``"extra"``, ``"unreadable"``; ``"moved"`` of the whole, ``"."``; ``"exposed"`` of
            what others than the prefix's owner may write, a directory as well.
        owner: the wheel or package that it belongs to, ``"torch 2.10.0"``; ``"mirror"`` for what mirror wrote; empty of what
            nobody brought; of what was moved, where it was; of what is exposed, to whom.
    """

    path: str
    kind: str
    owner: str


@dataclass(frozen=True)
class Soundness:
    """What a check found.

    Attributes:
        generation: which.
        checked: how many files and links were compared.
        damages: by path.
        unchecked: what could not be compared, and why; one sentence each.
    """

    generation: Generation
    checked: int
    damages: tuple[Damage, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether all could be checked and all is as it was."""
        return not self.damages and not self.unchecked

    def to_dict(self) -> dict[str, Any]:
        damages = [vars(damage) for damage in self.damages]
        return {**vars(self), "generation": str(self.generation.path), "damages": damages}


@dataclass
class _Expected:
    """What should be there, as far as it is known."""

    links: dict[str, str] = field(default_factory=dict)
    digests: dict[str, set[tuple[str, bytes]]] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    knows_all: bool = True

    def paths(self) -> set[str]:
        return {*self.links, *self.digests, *self.present}


def check_generation(generation: Generation, progress: Progress = SILENT, at_a_glance: bool = False) -> Soundness:
    """Compare a generation with what was installed.

    Args:
        progress: told of the bytes read.
        at_a_glance: whether to look only for what is missing or not known, and to read none but mirror's own files and RECORDs.

    Raises:
        OSError: when a directory cannot be read.
    """
    expected = _Expected()
    receipt = _receipt(generation, expected)
    expected.damages += _displaced(generation, receipt)
    seal = _seal(generation, receipt, expected)
    _expect_records(generation, seal, expected)
    if seal:
        _expect_sealed(seal, expected)
    else:
        _expect_unsealed(generation, receipt, expected)
    found = dict(walk(generation.path))
    if at_a_glance:
        expected.present |= expected.digests.keys()
        expected.digests = {}
    exposed = () if at_a_glance else _exposed(generation)
    damages = [*exposed, *expected.damages, *_compare(generation.path, expected, found, progress)]
    paths = expected.paths()
    if expected.knows_all:
        damages += [Damage(path, EXTRA, "") for path in found if path not in paths]
    named = {
        damage.path: Damage(damage.path, damage.kind, damage.owner or _owner(damage, receipt, expected))
        for damage in damages
    }
    return Soundness(generation, len(paths), tuple(sorted(named.values())), tuple(expected.unchecked))


def is_whole(generation: Generation) -> bool:
    """Whether nothing of it is missing; what was changed is not looked for. What seems to be missing is looked for twice.

    Raises:
        Unreadable: when it cannot be told.
    """
    with reading(generation.path):
        for _ in range(2):
            damages = check_generation(generation, at_a_glance=True).damages
            if not damages:
                return True
        for damage in damages:
            facts = facts_of(generation.path / damage.path)
            if facts and stat.S_ISREG(facts.st_mode):
                with open(generation.path / damage.path, "rb") as stream:
                    stream.read(1)
    return False


def seems_whole(generation: Generation) -> bool:
    """The same for messages: what cannot be looked at is not whole."""
    try:
        return is_whole(generation)
    except MirrorError:
        return False


def _receipt(generation: Generation, expected: _Expected) -> Receipt | None:
    try:
        if not generation.is_complete:
            expected.damages.append(Damage("COMPLETE", _state(generation.complete), "mirror"))
        elif not has_manifest(generation):
            expected.damages.append(Damage("manifest.json", _state(generation.manifest), "mirror"))
    except Unreadable as exc:
        expected.damages.append(Damage(Path(exc.path).name, UNREADABLE, "mirror"))
    try:
        return read_receipt(generation)
    except MirrorError as exc:
        expected.damages.append(Damage("receipt.json", _kind(exc, generation.receipt), "mirror"))
        return None


def _displaced(generation: Generation, receipt: Receipt | None) -> Iterator[Damage]:
    """What makes files useless that are as they were."""
    if receipt and (place := former_place(generation.path, receipt)):
        yield Damage(".", MOVED, place)
    if python := lost_python(generation.path):
        yield Damage("venv/bin/python", MISSING, f"the host's Python, {python}")


def _exposed(generation: Generation) -> Iterator[Damage]:
    for found in exposures_of(generation.path):
        yield Damage(found.place.relative_to(generation.path).as_posix(), EXPOSED, found.problem)


def _seal(generation: Generation, receipt: Receipt | None, expected: _Expected) -> Seal | None:
    """The seal, if it is the one that the receipt speaks of, or if no receipt is there to contradict it."""
    if receipt and not receipt.files_sha256:
        return None
    try:
        data = generation.files.read_bytes()
        if receipt and hashlib.sha256(data).hexdigest() != receipt.files_sha256:
            raise ValueError
        return Seal.parse(data)
    except (OSError, ValueError, MirrorError) as exc:
        if receipt:
            expected.damages.append(Damage("files.json", _kind(exc, generation.files), "mirror"))
        return None


def _expect_records(generation: Generation, seal: Seal | None, expected: _Expected) -> None:
    """The files of every wheel whose RECORD can be believed."""
    known = [path for path in (seal.entries if seal else ()) if path.endswith(".dist-info/RECORD")]
    for record in known or records(generation):
        owner = _wheel_of(record)
        try:
            if seal and digest_of(generation.path / record).hex() != seal.entries[record]:
                raise ValueError("it is not the one that was sealed")
            lines = lines_of(generation, record)
        except (OSError, ValueError) as exc:
            kind = _kind(exc, generation.path / record)
            expected.damages.append(Damage(record, kind, owner))
            problem = "cannot be read" if kind == UNREADABLE else "is not the one that was installed"
            expected.unchecked.append(f"the files of {owner}: its RECORD {problem}")
            expected.knows_all = False
            continue
        if not lines and not seal:
            expected.unchecked.append(f"the files of {owner}: its RECORD lists none")
        for path, line in lines.items():
            expected.digests.setdefault(path, set()).add((line.algorithm, line.digest))
            expected.owners.setdefault(path, owner)


def _expect_sealed(seal: Seal, expected: _Expected) -> None:
    for path, entry in seal.entries.items():
        target = link_to(entry)
        if target is None:
            expected.digests[path] = {("sha256", bytes.fromhex(entry))}
        else:
            expected.links[path] = target


def _expect_unsealed(generation: Generation, receipt: Receipt | None, expected: _Expected) -> None:
    """What a generation without a seal says of itself: which files its packages brought, and nothing of their bytes."""
    expected.knows_all = False
    expected.present.add("env.sh")
    if receipt and receipt.toolchain:
        brought = {f"cuda/{path}" for package in receipt.toolchain.packages for path in package.files}
        expected.present |= brought
        expected.unchecked.append(f"the bytes of {len(brought)} files of the CUDA toolkit: only whether they are there")
    why = (
        "this generation has no list of digests" if receipt and not receipt.files_sha256 else "its list cannot be used"
    )
    expected.unchecked.append(f"whether a RECORD was altered, and files that no wheel brought: {why}")


def _compare(
    root: Path, expected: _Expected, found: Mapping[str, os.stat_result], progress: Progress
) -> Iterator[Damage]:
    for path in sorted({*expected.paths()} - {*found}):
        yield Damage(path, _state(root / path), "")
    for path, target in expected.links.items():
        if path in found and not (
            stat.S_ISLNK(found[path].st_mode) and os.readlink(root / path) == target  # noqa: PTH115 - as it is written
        ):
            yield Damage(path, CHANGED, "")
    wanted = sorted(path for path in expected.digests if path in found)
    total = sum(found[path].st_size for path in wanted)
    with progress.task("check", total) as advance, Crew(os.cpu_count()) as crew:
        kinds = crew.map(lambda path: _judge(root / path, expected.digests[path], found[path], advance), wanted)
        yield from (Damage(path, kind, "") for path, kind in zip(wanted, kinds) if kind)


def _judge(path: Path, digests: set[tuple[str, bytes]], facts: os.stat_result, advance: Advance) -> str:
    """The kind of a file's damage; empty when it has one of the digests."""
    if not stat.S_ISREG(facts.st_mode):
        return CHANGED
    algorithms = sorted({algorithm for algorithm, _ in digests})
    try:
        good = any((algorithm, digest_of(path, algorithm, advance)) in digests for algorithm in algorithms)
    except FileNotFoundError:  # somebody writes there now
        return MISSING
    except OSError:
        return UNREADABLE
    return "" if good else CHANGED


def _kind(problem: Exception, path: Path) -> str:
    """What is wrong with a document: one that could not be read may be as it was."""
    cause = problem.__cause__ if isinstance(problem, Unreadable) else problem
    is_unknown = isinstance(cause, OSError) and cause.errno and not is_absence(cause)
    return UNREADABLE if is_unknown else _state(path)


def _state(path: Path) -> str:
    try:
        return CHANGED if facts_of(path) else MISSING
    except OSError:
        return UNREADABLE


def _wheel_of(record: str) -> str:
    """``"torch 2.10.0"`` of the path of its RECORD."""
    return record.split("/")[-2][: -len(".dist-info")].replace("-", " ", 1)


def _owner(damage: Damage, receipt: Receipt | None, expected: _Expected) -> str:
    path = damage.path
    if path in expected.owners:
        return expected.owners[path]
    if path.endswith(".dist-info/RECORD"):
        return _wheel_of(path)
    if damage.kind == EXTRA:
        return ""
    if path.startswith("cuda/"):
        brought = receipt.toolchain.owner(path[len("cuda/") :]) if receipt and receipt.toolchain else None
        return brought.nevra if brought else "the CUDA toolkit"
    if path.startswith(INTERPRETER.path("")):
        return "the carried Python"
    return "the venv" if path.startswith("venv/") else "mirror"
