"""How a wheel's members were deflated: with which settings zlib gives their very bytes again.

Every member is tried when the delta is made, byte for byte, so that nothing is left to chance on the other side. Members that
do not come back are taken as they lie there.

Example::

    packed = how_packed(lambda: Unpacked(bundle.open(artifact), artifact.size), advance)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mirror.core.archives.zipdirectory import DEFLATED
from mirror.core.bundle.delta.deflating import AS_IS, SETTINGS, deflated
from mirror.core.bundle.delta.unpacked import Unpacked
from mirror.core.progress import Advance
from mirror.core.system.crew import Crew, may_go_on
from mirror.core.wheels.wheelzip import Member

Reopen = Callable[[], Unpacked]
"""The same file once more, for another thread."""

_SAMPLE = 24
"""So many members, of all sizes, are tried with all settings."""


@dataclass(frozen=True)
class Packed:
    """For each member, in the order of their bytes, the settings that give it back; ``AS_IS`` for none."""

    settings: tuple[int, ...]

    @property
    def used(self) -> tuple[int, ...]:
        return tuple(sorted(set(self.settings) - {AS_IS}))


def how_packed(reopen: Reopen, advance: Advance) -> Packed:
    """Try every member of a wheel; of a sample all settings, of the others those that the sample knows.

    Raises:
        BadZip: when it is no zip file that is read here.
    """
    members = reopen().members
    largest = sorted(
        (one for one in members if one.method == DEFLATED and one.packed), key=lambda one: (-one.packed, one.name)
    )
    sample = largest[:: max(1, len(largest) // _SAMPLE)]
    with Crew(min(4, os.cpu_count() or 1)) as crew:

        def tried(some: Sequence[Member], order: Sequence[int]) -> dict[int, int]:
            blocks = [some[at::8] for at in range(8)]  # large ones and small ones in each
            found = crew.map(lambda block: _settings_of_all(reopen(), block, order, advance), blocks)
            return {header: settings for one in found for header, settings in one.items()}

        found = tried(sample, SETTINGS)
        known = [settings for settings in SETTINGS if settings in found.values()]
        if known:
            found.update(tried([one for one in largest if one.header not in found], known))
    return Packed(tuple(found.get(member.header, AS_IS) for member in members))


def _settings_of_all(
    file: Unpacked, members: Sequence[Member], order: Sequence[int], advance: Advance
) -> dict[int, int]:
    """The settings of members of one file, by where each begins."""
    found = {}
    for member in members:
        found[member.header] = next((one for one in order if _comes_back(file, member, one)), AS_IS)
        advance(member.packed)
    return found


def _comes_back(file: Unpacked, member: Member, settings: int) -> bool:
    """Whether deflating a member's content with these settings gives its very bytes."""
    wanted, left = file.packed(member), b""
    for piece in deflated(file.content(member), settings):
        may_go_on()
        while len(left) < len(piece):
            if not (more := next(wanted, b"")):
                return False
            left += more
        if left[: len(piece)] != piece:
            return False
        left = left[len(piece) :]
    return not left and not next(wanted, b"")
