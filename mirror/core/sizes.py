"""Sizes in words, the same wherever a person reads one.

Example::

    >>> human_bytes(1536)
    '1.5 KiB'
"""

from __future__ import annotations


def human_bytes(size: float) -> str:
    """Bytes in the largest unit that leaves at least one before the point."""
    for unit in ("B", "KiB", "MiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} GiB"


def counted(count: int, one: str, many: str = "") -> str:
    """``"1 file"``, ``"2 files"``; ``many`` where an s is not all that differs."""
    return f"{count} {one if count == 1 else many or one + 's'}"
