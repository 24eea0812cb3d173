"""What of a generation others than the prefix's owner may write: they decide what runs, and what its digests are.

``mirror.closed.prefix.opened`` refuses a prefix, and a generation's own directory, that are not the owner's alone; this looks
below, by the same rule (``mirror.core.trust.ownership``). Where nobody else gets to, it does not matter whom it lets write.

Example::

    for found in exposures_of(generation.path):
        print(found.place, found.problem)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

from mirror.core.system.durable import facts_of, held_open
from mirror.core.trust.ownership import Exposure, look, reaching

USED = ("manifest.json", "receipt.json", "bin", "bin/mirror", "venv", "venv/bin", "venv/pyvenv.cfg")
"""What every program that is started uses, whatever it is."""

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LEFT_OUT = (".work", ".cache")
"""At the top of a generation: what is being built, and the cache of a user without a home."""


def exposures_of(generation: Path, paths: Optional[Iterable[str]] = None) -> Iterator[Exposure]:
    """What is not the owner's alone.

    Args:
        generation: its directory.
        paths: what is looked at; None for all.

    Raises:
        OSError: when it cannot be told.
    """
    with reaching(generation) as way:
        owners = {way.end.facts.st_uid, os.stat(generation.parents[1]).st_uid}  # noqa: PTH116
        for path in _below(generation) if paths is None else paths:
            place = generation / path
            facts = facts_of(place)
            if facts is None or (facts.st_uid in owners and (_is_link(facts) or not facts.st_mode & _OTHERS)):
                continue
            with held_open(os.open(place, os.O_PATH | os.O_NOFOLLOW)) as descriptor:
                found = look(descriptor, place).exposures(owners)
            yield from (one for one in found if one.owner is not None or not way.is_closed)


def _is_link(facts: os.stat_result) -> bool:
    return stat.S_ISLNK(facts.st_mode)


def _below(generation: Path) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        if not isinstance(error, (FileNotFoundError, PermissionError)):  # bytecode of a user who shows it to nobody
            raise error

    for directory, directories, names in os.walk(generation, onerror=refuse):
        if directory == str(generation):
            directories[:] = [name for name in directories if name not in _LEFT_OUT]
        yield from (os.path.join(directory, name) for name in (*directories, *names))  # noqa: PTH118 - 50,000 files
