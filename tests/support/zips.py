"""Zip files written byte by byte, so that a test can break one field at a time.

Example::

    data = zip_bytes([Entry("a.py", b"x = 1")])
    data = zip_bytes([Entry("a.py", b"x = 1", local={"crc": 0})])
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Entry:
    """One member.

    Attributes:
        data: content; its CRC and sizes are right unless said otherwise.
        packed: bytes in the archive; deflated or stored content by default.
        both, central, local: header fields that are other than right: ``name``, ``flags``, ``method``, ``crc``, ``packed``,
            ``size``, ``extra``, ``comment``, ``disk``, ``made``, ``attributes``, ``offset``.
        before: bytes before its local header.
        after: bytes after its content (a data descriptor).
    """

    name: str
    data: bytes = b""
    method: int = 8
    packed: bytes | None = None
    mode: int = 0o100644
    both: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)
    local: Mapping[str, Any] = field(default_factory=dict)
    before: bytes = b""
    after: bytes = b""

    def fields(self) -> dict[str, Any]:
        return {
            "name": self.name.encode(),
            "flags": 0 if self.name.isascii() else 0x800,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "packed": len(self.content()),
            "size": len(self.data),
            "extra": b"",
            "comment": b"",
            "disk": 0,
            "made": 3 << 8 | 20,
            "attributes": self.mode << 16,
            **self.both,
        }

    def content(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def local_header(fields: Mapping[str, Any]) -> bytes:
    head = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, fields["flags"], fields["method"], 0, 33, fields["crc"], fields["packed"],
        fields["size"], len(fields["name"]), len(fields["extra"]),
    )  # fmt: skip
    return head + bytes(fields["name"]) + bytes(fields["extra"])


def central_header(fields: Mapping[str, Any]) -> bytes:
    head = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", fields["made"], 20, fields["flags"], fields["method"], 0, 33, fields["crc"],
        fields["packed"], fields["size"], len(fields["name"]), len(fields["extra"]), len(fields["comment"]),
        fields["disk"], 0, fields["attributes"], fields["offset"],
    )  # fmt: skip
    return head + bytes(fields["name"]) + bytes(fields["extra"]) + bytes(fields["comment"])


def end_of(count: int, size: int, offset: int, comment: bytes = b"", **other: Any) -> bytes:
    values = {"disk": 0, "first": 0, "here": count, "count": count, "size": size, "offset": offset, **other}
    return struct.pack("<4s4H2LH", b"PK\x05\x06", *values.values(), len(comment)) + comment


def end64_of(count: int, size: int, offset: int, where: int, locator: Mapping[str, int] | None = None) -> bytes:
    """A ZIP64 end and its locator, ``where`` being where the end begins."""
    leads = {"disk": 0, "offset": where, "disks": 1, **(locator or {})}
    return (
        struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
        + struct.pack("<4sLQL", b"PK\x06\x07", *leads.values())
    )  # fmt: skip


def zip_bytes(
    entries: Sequence[Entry],
    *,
    before_directory: bytes = b"",
    before_end: bytes = b"",
    end: Mapping[str, Any] | None = None,
    listed: Sequence[int] | None = None,
) -> bytes:
    """A zip file.

    Args:
        before_directory: bytes between the last member and the directory.
        before_end: bytes between the directory and the end.
        end: what the end says otherwise.
        listed: which entries the directory lists; all by default.
    """
    body, directory = b"", b""
    for index, entry in enumerate(entries):
        body += entry.before
        fields = {**entry.fields(), "offset": len(body)}
        body += local_header({**fields, **entry.local}) + entry.content() + entry.after
        if listed is None or index in listed:
            directory += central_header({**fields, **entry.central})
    body += before_directory
    count = len(entries) if listed is None else len(listed)
    says: dict[str, Any] = {"count": count, "size": len(directory), "offset": len(body), **(end or {})}
    return body + directory + before_end + end_of(**says)
