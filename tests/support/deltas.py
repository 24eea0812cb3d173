"""Two bundles of one stack with a file for every way in which a delta brings one; and deltas with one edit.

Example::

    pair = make_pair(tmp_path)
    edit(pair.delta, lambda head: head["target"].update(size=1))
"""

from __future__ import annotations

import hashlib
import json
import random
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.connected.delta.making import MadeDelta, make_delta
from mirror.core.bundle.delta.document import Delta
from mirror.core.bundle.delta.opened import open_delta
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.keys import make_root
from tests.support.wheels import add_dist_info, make_wheel

DATE = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Pair:
    """What was carried before, what is next, and the delta from one to the other, in one directory."""

    old: Path
    new: Path
    made: MadeDelta

    @property
    def delta(self) -> Path:
        return self.made.path


def code(seed: int, size: int = 40_000) -> bytes:
    """Words as they are in programs: they pack to a third, and are not those of another seed."""
    draw = random.Random(seed)
    words = [draw.randbytes(draw.randint(2, 9)).hex() for _ in range(size // 80)]
    return " ".join(draw.choice(words) for _ in range(size // 8)).encode()[:size]


def changed(data: bytes, seed: int) -> bytes:
    """The same with some words others, and a few more."""
    draw, out = random.Random(seed), bytearray(data)
    for _ in range(6):
        at = draw.randrange(len(out))
        out[at : at + 4] = draw.randbytes(draw.randint(1, 9))
    return bytes(out)


def packed_wheel(directory: Path, name: str, version: str, files: dict[str, bytes], level: int = 6) -> Path:
    """A wheel whose members are deflated."""
    directory.mkdir(exist_ok=True)
    path = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for member, data in files.items():
            archive.writestr(zipfile.ZipInfo(member, DATE), data, zipfile.ZIP_DEFLATED, level)
        add_dist_info(archive, path.name)
    return path


def foreign_wheel(directory: Path, name: str, version: str, data: bytes) -> Path:
    """A wheel that another packer deflated: with settings that are none of those that are tried."""
    path = packed_wheel(directory, name, version, {"a.py": data})
    packer = zlib.compressobj(6, zlib.DEFLATED, -15, 5)
    with zipfile.ZipFile(path) as archive:
        before = archive.infolist()[0]
        start = before.header_offset + 30 + len("a.py")
        whole = path.read_bytes()
    packed = packer.compress(data) + packer.flush()
    grown = len(packed) - before.compress_size
    out = bytearray(whole[:start] + packed + whole[start + before.compress_size :])
    out[18:22] = len(packed).to_bytes(4, "little")
    at = out.index(b"PK\1\2")
    out[at + 20 : at + 24] = len(packed).to_bytes(4, "little")
    while (at := out.find(b"PK\1\2", at + 1)) > 0:
        out[at + 42 : at + 46] = (int.from_bytes(out[at + 42 : at + 46], "little") + grown).to_bytes(4, "little")
    end = out.index(b"PK\5\6")
    out[end + 16 : end + 20] = (int.from_bytes(out[end + 16 : end + 20], "little") + grown).to_bytes(4, "little")
    path.write_bytes(out)
    return path


def make_pair(directory: Path) -> Pair:
    """Bundles ``old.tar`` and ``new.tar``, and the delta."""
    directory.mkdir(exist_ok=True)
    program, library, words = code(1), code(2, 90_000), code(3)
    members = {"alpha/__init__.py": b"", "alpha/program.py": program, "alpha.libs/lib-0a1b2c3d.so": library}
    later = {
        "alpha/__init__.py": b"",
        "alpha/program.py": changed(program, 4),
        "alpha/added.py": words[:5000],
        "alpha.libs/lib-99aabbcc.so": changed(library, 5),
    }
    noise = random.Random(6).randbytes(30_000)
    old, new = (directory / f"{name}.tar" for name in ("old", "new"))
    for name, sequence, files, level in (("old", SEQUENCE, members, 6), ("new", SEQUENCE + 1, later, 9)):
        simulator = BundleSimulator(sequence=sequence)
        made, version = directory / f"{name}-wheels", "1.0" if name == "old" else "2.0"
        simulator.add_wheel(packed_wheel(made, "alpha", version, files, level))
        simulator.add_wheel(make_wheel(made, "kept", "1.0", files={"kept.py": noise}))
        foreign = words if name == "old" else changed(words, 7)
        simulator.add_wheel(foreign_wheel(made, "foreign", version, foreign))
        simulator.add("meta/words.txt", words if name == "old" else changed(words, 8), name="words.txt")
        if name == "new":
            simulator.add("files/fresh.bin", random.Random(9).randbytes(20_000))
        simulator.write(directory / f"{name}.tar")
    return Pair(old, new, make_delta(old, new, make_root()))


def edit(
    path: Path, change: Callable[[dict[str, Any]], object], body: Callable[[bytes], bytes] = lambda data: data
) -> Path:
    """A delta whose head says something else, with its digests right: what somebody writes who wants to do harm."""
    with open_delta(path) as delta:
        head = json.loads(_json(delta.head))
        data = body(b"".join(delta.body(0, delta.head.body_bytes)))
    head["body_sha256"] = hashlib.sha256(data).hexdigest()
    change(head)
    import gzip

    packed = gzip.compress(json.dumps(head).encode(), mtime=0)
    path.write_bytes(
        b"mirror-delta/1 %d %s\n" % (len(packed), hashlib.sha256(packed).hexdigest().encode()) + packed + data
    )
    return path


def _json(head: Delta) -> bytes:
    return zlib.decompress(head.encode(), 31)


def part(head: dict[str, Any], name: str) -> dict[str, Any]:
    """The part of a head whose path contains a word."""
    found: dict[str, Any] = next(one for one in head["parts"] if name in one["path"])
    return found
