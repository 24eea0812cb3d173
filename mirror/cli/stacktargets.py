"""The stacks that a command line means where one NAME.toml is for several targets.

``mirror.core.stackfiles`` knows which files belong to each.

Rules: without ``--target`` all of them are meant; what is for one machine (a file, a base, a place to write to) asks for one of
them.

Example::

    meant = meant_stacks(find_stack("demo"), "gh200", {"--rpms-lock": args.rpms_lock})
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from mirror.cli.parsing import Usage
from mirror.core.errors import Unreadable
from mirror.core.stackfiles import StackFiles, find_stack
from mirror.core.words import did_you_mean


def meant_stacks(found: StackFiles, target: str | None, for_one: Mapping[str, object]) -> Mapping[str, StackFiles]:
    """The stack of each target that is meant; of a stack that names no targets, nothing.

    Args:
        target: the word of ``--target``.
        for_one: options that make sense for one target alone, with what was given.

    Raises:
        Usage: when the target is unknown, or an option is for one and several are meant.
    """
    stacks = found.targets
    if not stacks:
        return {}
    file, known = found.wishes.name, ", ".join(stacks)
    if target is not None and target not in stacks:
        if Path(target).is_file():
            hint = f"`mirror lock NAME.TARGET --target {target}` says what to write into [targets.TARGET] of {file}."
            raise Usage(f"{target} is a host's file, and {file} is for several targets: {known}", hint=hint)
        hint = "Name one of them, or leave --target out for all."
        raise Usage(f"{file} has no target {target!r}; it has {known}{did_you_mean(target, stacks)}", hint=hint)
    meant = {target: stacks[target]} if target is not None else dict(stacks)
    given = next((option for option, value in for_one.items() if value), "")
    if given and len(meant) > 1:
        hint = f"Add --target with one of {known}."
        raise Usage(f"{given} is for one target, and {file} has several", hint=hint)
    return meant


def found_stack(args: argparse.Namespace) -> StackFiles:
    """The files of the stack that is meant: by a lock as it is named, or by a name."""
    if bool(args.stack) == bool(args.lock):
        args.parser.error("expected one stack: NAME, or --lock LOCK")
    word = str(args.stack or args.lock)
    path = Path(word)
    found = find_stack(word)
    return StackFiles(found.wishes, path) if path.suffix != ".toml" and path.is_file() else found


def wheelhouse_of(args: argparse.Namespace, lock: Path) -> Path | None:
    """``--wheelhouse``, or else ``wheelhouse/`` beside the lock's directory, as in mirror's own repository.

    Raises:
        Unreadable: when it was named and is no directory.
    """
    if args.wheelhouse and not args.wheelhouse.is_dir():
        raise Unreadable(str(args.wheelhouse), "no such directory")
    beside = lock.absolute().parent.parent / "wheelhouse"
    return args.wheelhouse or (beside if beside.is_dir() else None)
