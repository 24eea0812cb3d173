"""Garbage: generations that are neither current nor the way back, unfinished ones, and caches whose generation is gone.

It decides what may go, and removes it. ``mirror.closed.prefix.generations`` removes a generation in a safe order,
``mirror.closed.prefix.usage`` tells who uses what.

Rules (SECURITY.md 61): the current generation is never removed, nor one that was prepared to follow it, nor one that a process
uses or ``mirror run`` has locked; one that lacks files is no way back, where whole ones are there; the lock of the prefix is
held from the decision to the end; what cannot be told is never taken for "nobody needs it"; every removal is in the prefix's
history, so that a bundle older than what is gone stays refused; killed anywhere, what is left is complete or garbage to the
next run.

Example::

    report = collect([prefix], keep=1, caches=os.environ)
    report.freed_bytes
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Optional

from mirror.closed.environment.caches import jit_home_of, own_directory, refuse_shared, trash_name, user_caches
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.history import REPAIR, History, record_removal
from mirror.closed.prefix.numbered import Stack, read_stack
from mirror.closed.prefix.status import NothingInstalled
from mirror.closed.prefix.tree import disk_usage, remove_below
from mirror.closed.prefix.usage import is_held, mounted_below, processes_below
from mirror.closed.preflight import check_owner
from mirror.closed.remedy import whole_beside
from mirror.closed.soundness import is_whole
from mirror.core.errors import writing
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import facts_of

_SHOWN = 3


@dataclass(frozen=True)
class Item:
    """Something that goes or stays.

    Attributes:
        kind: ``"generation"``, ``"unfinished"`` or ``"cache"``.
        path: its directory.
        why: one clause.
        size: bytes on the disk; 0 of what stays, which is not measured.
    """

    kind: str
    path: Path
    why: str
    size: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "path": str(self.path)}


@dataclass(frozen=True)
class Report:
    """What was removed, or would be, and what stayed and why."""

    removed: tuple[Item, ...]
    kept: tuple[Item, ...]

    @property
    def freed_bytes(self) -> int:
        return sum(item.size for item in self.removed)


def collect(
    prefixes: Sequence[Prefix],
    keep: int = 1,
    caches: Optional[Mapping[str, str]] = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Report:
    """Remove garbage.

    Args:
        prefixes: the stacks.
        keep: how many bundles' generations stay besides the current one: those that were installed last before it, and what the
            last rollback came from; of damaged ones, whole ones stay in addition. With 0 the current one alone, if it is whole.
        caches: the environment of the user whose unused JIT caches go too; None to leave caches alone.
        dry_run: whether to tell only.
        progress: told of each removal before it begins.

    Raises:
        NothingInstalled: when a prefix holds nothing.
        PrefixBusy: when something is being installed there.
        SharedCaches: when the caches are not this user's alone; nothing was removed then.
        MirrorError: as ``Prefix`` and ``record``.
    """
    if caches is not None:
        refuse_shared(jit_home_of(caches))
    removed: list[Item] = []
    kept: list[Item] = []
    installed: list[Generation] = []
    for prefix in prefixes:
        check_owner(prefix.named, "remove generations of")
        if not prefix.installed() and not prefix.unfinished():
            raise NothingInstalled(str(prefix.root))  # before the lock, which would make the directory
        with prefix.lock():
            goes, stays = _judge(prefix, keep)
            for generation, item in goes:
                if not dry_run:
                    progress.say(f"removing {item.path}: {item.why}")
                    record_removal(prefix, generation, int(time.time()))
            removed += [item for _, item in goes] + _unfinished(prefix, dry_run, progress)
            installed += prefix.installed()
            stays += _strange(prefix, dry_run, [item.path for item in removed])
        kept += stays
    if caches is not None:
        gone, left = _collect_caches(caches, installed, [item.path for item in removed], dry_run, progress)
        removed += gone
        kept += left
    return Report(tuple(removed), tuple(kept))


def _judge(prefix: Prefix, keep: int) -> tuple[list[tuple[Generation, Item]], list[Item]]:
    prefix.refuse_strange_current()
    History(prefix.root).events()  # it tells which ones 'mirror rollback' goes back to: damaged, nothing may go
    stack = read_stack(prefix)
    current, installed = stack.current, stack.generations
    anchor = current or stack.newest  # without a current one the newest is the one to go back to
    before = stack.before(anchor) if anchor else ()
    left = _left_by_rollback(stack, prefix) if keep else None
    ways_back = _ways_back(stack, anchor, keep, left) if anchor else ()
    repair = stack.replaced_by(anchor) if anchor else None
    prepared = [generation for generation in installed if stack.waits(generation)]
    held = (anchor, *ways_back, left, repair, *prepared)
    candidates = [generation for generation in installed if generation not in held]
    users = processes_below(generation.path for generation in candidates)
    goes, stays = [], []
    for generation in installed:
        if generation == anchor:
            why = "it is current" if current else "it is the newest"
        elif generation == repair:
            why = f"it was built to repair generation {stack.number(anchor) if anchor else 0}, which is current"
        elif generation == left:
            why = "the last rollback came from it; --keep 0 keeps it no more"
        elif generation in ways_back:
            why = "kept for 'mirror rollback'"
        elif generation in prepared:
            why = "it is prepared: 'mirror activate' makes it current"
        else:
            why = _in_use(users[generation.path], is_held(generation.path), mounted_below(generation.path))
        if why:
            stays.append(Item("generation", generation.path, why))
        else:
            why = _why_removed(stack, generation, before)
            goes.append((generation, Item("generation", generation.path, why, disk_usage(generation.path))))
    return goes, stays


def _ways_back(stack: Stack, anchor: Generation, keep: int, left: Generation | None) -> tuple[Generation, ...]:
    """Those that were installed before, and as many more as it takes for ``keep`` whole ones: a damaged one is no way back.

    Args:
        anchor: the current one; where that is damaged itself, one whole one stays in any case.
        left: what the last rollback came from, which stays as well.
    """
    found = list(stack.before(anchor)[:keep])
    others = [g for g in stack.generations if g not in (anchor, left, *found)]
    if not others:
        return tuple(found)
    wanted = keep if keep or is_whole(anchor) else 1
    lacking = wanted - sum(map(is_whole, {*found, *([left] if left else [])})) if wanted else 0
    more = (one for one in whole_beside(stack, anchor, is_whole) if one in others)
    return (*found, *islice(more, max(0, lacking)))


def _left_by_rollback(stack: Stack, prefix: Prefix) -> Generation | None:
    """What was current before the current one was rolled back to; None when it was not, or when that is gone or repaired."""
    current = left = ""
    for event in History(prefix.root).events():
        name = event.generation
        is_repair = event.action == "installed" and event.reason.startswith(REPAIR)
        if event.action == "rolled-back":
            left, current = current, name
        elif event.action in ("installed", "made-current") and not is_repair:
            left, current = "", name
        elif is_repair and _bundle_of(name) == _bundle_of(current):
            current = name
    return next((g for g in stack.generations if g.name == left and not stack.replaced_by(g)), None)


def _bundle_of(name: str) -> str:
    """What the names of all builds from one bundle begin with."""
    return name.partition(".")[0]


def _why_removed(stack: Stack, generation: Generation, before: Sequence[Generation]) -> str:
    if replacement := stack.replaced_by(generation):
        return f"repaired: generation {stack.number(replacement)} has taken its place"
    if generation.name in stack.prepared:
        return "prepared, but a later one was installed and made current"
    if generation not in before:
        return "newer than the current one"
    # Told to keep none: then it is said what that costs.
    return "older than what is kept" + "; 'mirror rollback' cannot go back to it" * (generation == before[0])


def _in_use(users: tuple[str, ...], held: bool, points: tuple[str, ...]) -> str:
    if points:
        return f"something is mounted there: {', '.join(points)}"
    if users:
        more = f" and {len(users) - _SHOWN} more" * (len(users) > _SHOWN)
        return f"in use by {', '.join(users[:_SHOWN])}{more}"
    return "in use by a program that 'mirror run' started" if held else ""


def _unfinished(prefix: Prefix, dry_run: bool, progress: Progress) -> list[Item]:
    """With the lock held nothing is being installed: what has no mark is garbage."""
    found = [
        Item("unfinished", path, "left by a run that was killed", disk_usage(path))
        for path in map(prefix.path_of, prefix.leftovers())
    ]
    if not dry_run:
        for item in found:
            progress.say(f"removing {item.path}: {item.why}")
        prefix.sweep()
    return found


def _strange(prefix: Prefix, dry_run: bool, removed: Sequence[Path]) -> list[Item]:
    """What is neither installed nor a killed run's: somebody may still want it."""
    pointed = prefix.pointed_to()
    left = [prefix.path_of(name) for name in prefix.unfinished()]
    found = [path for path in left if not (dry_run and path in removed)]
    return [
        Item(
            "unfinished",
            path,
            "it is what 'current' points to, and has lost its mark"
            if pointed and path == pointed.path
            else "its mark COMPLETE is damaged, or mirror did not make it: look at it, and remove it by hand",
        )
        for path in found
    ]


def _collect_caches(
    base: Mapping[str, str], installed: Iterable[Generation], removed: Iterable[Path], dry_run: bool, progress: Progress
) -> tuple[list[Item], list[Item]]:
    with own_directory(jit_home_of(base)) as home:
        if home is None:
            return [], []
        found = user_caches(home, installed, removed)
        unused = [cache.path for cache in found if not cache.kept]
        users = processes_below(unused)
        goes = []
        stays = [Item("cache", cache.path, cache.kept) for cache in found if cache.kept]
        for path in unused:
            why = _in_use(users[path], False, mounted_below(path))
            if why:
                stays.append(Item("cache", path, why))
                continue
            item = Item("cache", path, "its generation is gone", disk_usage(path))
            goes.append(item)
            if not dry_run:
                progress.say(f"removing {item.path}: {item.why}")
                _remove_cache(path, home.descriptor)
        return goes, stays


def _remove_cache(path: Path, home: int) -> None:
    """A new name first: a program that starts meanwhile makes itself a new cache, and never finds half of one.

    Args:
        home: the directory that holds it, open.
    """
    trash = trash_name(path)
    with writing(path, below=True):
        if trash != path:
            if facts_of(trash.name, home):
                remove_below(home, trash.name, trash)
            os.rename(path.name, trash.name, src_dir_fd=home, dst_dir_fd=home)
        remove_below(home, trash.name, trash)
