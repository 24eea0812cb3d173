"""The probe: a source distribution of ours that proves a GPU build from end to end.

It holds the recipe for packing the tree in ``mirror/connected/probe/source/``: a kernel of about 60 lines, an in-tree PEP 517
backend without requirements, and a module that launches the kernel on each GPU. ``mirror.connected.building.builder`` builds it
into a wheel, like any other sdist.

Rules: the bytes depend on the tree alone, not on the machine or its zlib, so that a lock can name their digest.

Example::

    sdist = probe_sdist(Path("wheelhouse"))  # wheelhouse/mirror_probe-1.0.tar.gz
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from email.parser import HeaderParser
from pathlib import Path

from mirror.core.system.durable import write_file

_TREE = Path(__file__).parent / "source"
_FILES = (
    "PKG-INFO",
    "backend.py",
    "kernel.cu",
    "mirror_probe/__init__.py",
    "mirror_probe/__main__.py",
    "mirror_probe/driver.py",
    "pyproject.toml",
)
_STORED_BLOCK_BYTES = 0xFFFF


def probe_version() -> str:
    """The version in the tree's PKG-INFO."""
    return str(HeaderParser().parsestr((_TREE / "PKG-INFO").read_text(encoding="utf-8"))["Version"])


def probe_sdist(directory: Path) -> Path:
    """Write the sdist into an existing directory and say where. Raises Unwritable when the directory refuses."""
    stem = f"mirror_probe-{probe_version()}"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in _FILES:
            data = (_TREE / name).read_bytes()
            member = tarfile.TarInfo(f"{stem}/{name}")  # mode 0644, owner 0, time 0
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    path = directory / f"{stem}.tar.gz"
    write_file(path, _gzip_stored(packed.getvalue()))
    return path


def _gzip_stored(data: bytes) -> bytes:
    """RFC 1952 around RFC 1951's stored blocks: what zlib makes of the same bytes differs between its versions."""
    parts = [bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])]
    for start in range(0, len(data), _STORED_BLOCK_BYTES):
        block = data[start : start + _STORED_BLOCK_BYTES]
        is_last = start + _STORED_BLOCK_BYTES >= len(data)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(data), len(data)))
    return b"".join(parts)
