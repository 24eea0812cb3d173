"""The index of a file's volumes: ``FILE.volumes``, a text that ``sha256sum -c`` reads, too.

Its first line, a comment to sha256sum, tells the whole file (``# mirror-volumes/1: h100.tar has 5 bytes in volumes of 3, sha256
...``); then each volume has a line, in order (``cdcd...  h100.tar.001``). Where they lie, and whether
they are what it says, is for ``mirror.core.bundle.volumes.opened`` and ``mirror.core.bundle.volumes.splitting``.

Rules: the text is a function of the index, so that there is no second spelling of it; every volume but the last has the same
size; a name is one part of a path, and printable.

Example::

    VolumeIndex("h100.tar", 5, 3, digest, (first, second)).encode()
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn, Optional

from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex, whole_number

SUFFIX = ".volumes"
MAGIC = b"# mirror-volumes/"
MAX_VOLUMES = 999
"""Three digits, so that ``cat FILE.???`` joins them in order."""

MAX_BYTES = 1 << 19

_HEAD = re.compile(r"# mirror-volumes/1: (.+) has ([0-9]+) bytes in volumes of ([0-9]+), sha256 ([0-9a-f]{64})")
_LINE = re.compile(r"([0-9a-f]{64})  .+")
_VOLUME = re.compile(r"(.+)\.([0-9]{3})", re.DOTALL)
_NO_NAME = re.compile("[\x00-\x1f\x7f-\x9f/\\\\\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True)
class VolumeIndex:
    """What is known of a file and its volumes.

    Attributes:
        name: of the file.
        size: of the file, in bytes; at least 1.
        volume_bytes: of each volume but the last.
        sha256: of the file.
        digests: of each volume, in order.
    """

    name: str
    size: int
    volume_bytes: int
    sha256: Sha256Hex
    digests: tuple[Sha256Hex, ...]

    @classmethod
    def parse(cls, data: bytes, name: str) -> VolumeIndex:
        """Inverse of ``encode``; ``name`` is the index's. Raises InvalidDocument: with the line of the fault."""

        def refuse(where: str, problem: str) -> NoReturn:
            error = InvalidDocument(name, where, problem)
            raise error.advised("It was damaged on the way: copy it again, as it was written beside the volumes.")

        if len(data) > MAX_BYTES:
            refuse("", f"it has more than the {MAX_BYTES} bytes allowed")
        try:
            head, *lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError as exc:
            refuse("", f"not UTF-8: {exc}")
        told = _HEAD.fullmatch(head)
        if told is None:
            refuse("line 1", f"expected '# mirror-volumes/1: NAME has ...', got {head[:60]!r}")
        size, volume_bytes = whole_number(told[2]) or 0, whole_number(told[3]) or 0
        count = number_of_volumes(size, volume_bytes) if size and volume_bytes else 0
        if unnameable(told[1]) or not 0 < count <= MAX_VOLUMES:
            refuse("line 1", f"expected a file's name and 1 to {MAX_VOLUMES} volumes, got {head[:120]!r}")
        if len(lines) != count + 1:
            refuse("", f"it has {len(lines) - 1} lines of volumes, its first line tells of {count}")
        digests = []
        for number, line in enumerate(lines[:-1], 2):
            if (one := _LINE.fullmatch(line)) is None:
                refuse(f"line {number}", f"expected a sha256 and a volume's name, got {line[:60]!r}")
            digests.append(Sha256Hex(one[1]))
        index = cls(told[1], size, volume_bytes, Sha256Hex(told[4]), tuple(digests))
        for number, (ours, found) in enumerate(zip(index.encode().decode().split("\n"), (head, *lines)), 1):
            if ours != found:
                refuse(f"line {number}", f"expected {ours[:120]!r}, got {found[:120]!r}")
        return index

    def encode(self) -> bytes:
        """The text, UTF-8."""
        head = f"# mirror-volumes/1: {self.name} has {self.size} bytes in volumes of {self.volume_bytes}, sha256 {self.sha256}"
        lines = (f"{digest}  {self.volume(number)}" for number, digest in enumerate(self.digests, 1))
        return "\n".join((head, *lines, "")).encode()

    def volume(self, number: int) -> str:
        """The name of a volume; they are counted from 1."""
        return volume_name(self.name, number)

    def start(self, number: int) -> int:
        """Where a volume begins in the file."""
        return (number - 1) * self.volume_bytes

    def size_of(self, number: int) -> int:
        """How many bytes a volume has."""
        return min(self.volume_bytes, self.size - self.start(number))


def volume_name(name: str, number: int) -> str:
    return f"{name}.{number:03}"


def volume_of(name: str) -> Optional[tuple[str, int]]:
    """Of which file, by its name, something is which volume; None where the name is none of a volume."""
    found = _VOLUME.fullmatch(name)
    return (found[1], int(found[2])) if found and found[2] != "000" else None


def number_of_volumes(size: int, volume_bytes: int) -> int:
    return -(-size // volume_bytes)


def unnameable(name: str) -> bool:
    """Whether a file's name cannot stand in an index: ``sha256sum`` would write it in another way, or no line could hold it."""
    return name in ("", ".", "..") or name != name.strip() or len(name) > 200 or _NO_NAME.search(name) is not None
