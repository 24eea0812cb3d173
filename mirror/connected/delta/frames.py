"""One frame after another: a stream cut into pieces, each compressed with what the base has in its place.

``Layout`` tells of a stream which stretches it has and what each corresponds to; a piece's prefix is made of what corresponds
to its stretches, with a margin where a large member is cut. ``zstd -d --patch-from=PREFIX`` reads a frame.

Example::

    for piece in frames(stream, layout, counterpart, out.write): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mirror.core.bundle.delta.document import PIECE_BYTES, PREFIX_BYTES, Piece
from mirror.core.bundle.delta.unpacked import Slice, Unpacked

_LEAST_PREFIX = 8
"""zstd takes no shorter dictionary."""

_MARGIN = 1 << 20
LEVEL = 12


@dataclass(frozen=True)
class Stretch:
    """A part of a stream, and the base's part that it corresponds to.

    Attributes:
        size: bytes.
        part: of the base's counterpart; -1 for none.
        part_size: of that, in bytes.
    """

    size: int
    part: int = -1
    part_size: int = 0


def frames(
    stream: Iterable[bytes], layout: Sequence[Stretch], base: Unpacked | None, write: Callable[[bytes], object]
) -> Iterator[Piece]:
    """Compress a stream, and give each piece once its frame was written.

    Args:
        stream: exactly as long as the layout.
        base: the counterpart; None without one.
    """
    for start, data in _cut(stream):
        slices = prefix_of(layout, start, len(data)) if base else ()
        prefix = b"".join(part for one in slices for part in base.read(one)) if base else b""
        if len(prefix) < _LEAST_PREFIX:
            slices, prefix = (), b""
        frame = compressed(data, prefix)
        write(frame)
        yield Piece(len(frame), slices)


def compressed(data: bytes, prefix: bytes) -> bytes:
    """One frame, as ``zstd --patch-from`` makes it."""
    from backports import zstd  # not at the top: only deltas need it, and Python 3.14 has it elsewhere

    window = max(10, min(31, (len(prefix) + len(data)).bit_length()))
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: LEVEL,
        zstd.CompressionParameter.window_log: window,
        zstd.CompressionParameter.checksum_flag: 1,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    dictionary = zstd.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None
    return bytes(zstd.compress(data, options=options, zstd_dict=dictionary))


def _cut(stream: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Pieces with their places; all but the last have ``PIECE_BYTES``."""
    start, gathered = 0, bytearray()
    for data in stream:
        gathered += data
        while len(gathered) >= PIECE_BYTES:
            yield start, bytes(gathered[:PIECE_BYTES])
            start += PIECE_BYTES
            del gathered[:PIECE_BYTES]
    if gathered:
        yield start, bytes(gathered)


def prefix_of(layout: Sequence[Stretch], start: int, size: int) -> tuple[Slice, ...]:
    """What of the base a piece is compressed with: what corresponds to its stretches, as far as there is room."""
    inside: list[tuple[Stretch, int, int]] = []
    at = 0
    for stretch in layout:
        low, high = max(start, at) - at, min(start + size, at + stretch.size) - at
        if low < high and stretch.part >= 0:
            inside.append((stretch, low, high))
        at += stretch.size
        if at >= start + size:
            break
    chosen: dict[int, tuple[int, int]] = {}
    left = PREFIX_BYTES
    cut = [one for one in inside if one[2] - one[1] < one[0].size]
    for stretch, low, high in sorted(
        inside, key=lambda one: one in cut
    ):  # those that are cut take what the others leave
        if stretch.part in chosen or not stretch.part_size:
            continue
        first, last = 0, stretch.part_size
        if high - low < stretch.size:
            scale = stretch.part_size / stretch.size
            share = max(_MARGIN, (left - int((high - low) * scale)) // (2 * len(cut)))
            first, last = max(0, int(low * scale) - share), min(last, int(high * scale) + share)
        last = min(last, first + left)
        if first < last:
            chosen[stretch.part] = (first, last)
            left -= last - first
    return tuple(Slice(part, first, last - first) for part, (first, last) in sorted(chosen.items()))
