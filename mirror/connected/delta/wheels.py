"""How a wheel's members were deflated: with which settings zlib gives their very bytes again.

Every member is tried when the delta is made, byte for byte, so that nothing is left to chance on the other side. Members that
do not come back are taken as they lie there.

Example::

    packed = how_packed(lambda: Unpacked(bundle.open(artifact), artifact.size))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mirror.core.delta.deflating import AS_IS, SETTINGS, deflated
from mirror.core.delta.unpacked import DEFLATED, Unpacked
from mirror.core.progress import Advance
from mirror.core.wheels.wheelzip import Member

Reopen = Callable[[], Unpacked]
"""The same file once more, for another thread."""

_PATIENCE = 8
"""After so many members in a row that no settings gave back, only those are tried that gave back another."""

_BLOCK = 32


@dataclass(frozen=True)
class Packed:
    """For each member its settings, and whether most of the wheel can be packed again."""

    settings: tuple[int, ...]

    @property
    def used(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.settings) - {AS_IS}))


def how_packed(reopen: Reopen, advance: Advance) -> Packed:
    """Try every member of a wheel.

    Raises:
        BadZip: when it is no zip file that is read here.
    """
    members = reopen().members
    order, misses, found = list(SETTINGS), 0, {}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        deflated_ones = [one for one in members if one.method == DEFLATED and one.packed]
        blocks = [deflated_ones[at : at + _BLOCK] for at in range(0, len(deflated_ones), _BLOCK)]
        for block, tried in zip(blocks, _map(pool, reopen, blocks, order, advance)):
            for member, settings in zip(block, tried):
                found[member.header] = settings
                misses = misses + 1 if settings == AS_IS else 0
                if settings in order[1:]:
                    order.remove(settings)
                    order.insert(0, settings)
            if misses >= _PATIENCE:
                order[:] = [one for one in order if one in found.values()]
    return Packed(tuple(found.get(member.header, AS_IS) for member in members))


def _map(
    pool: ThreadPoolExecutor, reopen: Reopen, blocks: Sequence[Sequence[Member]], order: list[int], advance: Advance
) -> Iterator[list[int]]:
    """The blocks' settings in order; those that wait are tried with what was learned meanwhile."""

    def try_block(block: Sequence[Member]) -> list[int]:
        file, found = reopen(), []
        for member in block:
            found.append(_settings_of(file, member, tuple(order)))
            advance(member.packed)
        return found

    return pool.map(try_block, blocks)


def _settings_of(file: Unpacked, member: Member, order: Sequence[int]) -> int:
    return next((settings for settings in order if _comes_back(file, member, settings)), AS_IS)


def _comes_back(file: Unpacked, member: Member, settings: int) -> bool:
    """Whether deflating a member's content with these settings gives its very bytes."""
    wanted, left = file.packed(member), b""
    for piece in deflated(file.content(member), settings):
        while len(left) < len(piece):
            if not (more := next(wanted, b"")):
                return False
            left += more
        if left[: len(piece)] != piece:
            return False
        left = left[len(piece) :]
    return not left and not next(wanted, b"")
