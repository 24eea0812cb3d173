"""The driver's stub library, which no wheel holds: a ``libcuda.so`` to link against where no driver is installed.

An ELF shared object with the SONAME ``libcuda.so.1`` that exports each function of the driver's headers. All lead to one
function that returns ``CUDA_ERROR_STUB_LIBRARY``, as NVIDIA's own stub does. At run time the driver's real ``libcuda.so.1``
is loaded in its place. Written here rather than with a compiler, whose version would show in the bytes.

Example::

    library = stub_library("libcuda.so.1", driver_functions([cuda_h]))
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence

CUDA_ERROR_STUB_LIBRARY = 34

_DECLARED = re.compile(r"\bCUDAAPI\s+(cu[A-Z]\w*)\s*\(")
_RENAMED = re.compile(r"^\s*#\s*define\s+cu[A-Z]\w*\s+(cu[A-Z]\w*)\s*$", re.MULTILINE)
_PER_THREAD = re.compile(r"__CUDA_API_(PTDS|PTSZ)\((cu[A-Z]\w*)\)")

_PAGE = 0x1000
_CODE = b"\xb8" + struct.pack("<I", CUDA_ERROR_STUB_LIBRARY) + b"\xc3"  # mov eax, 34; ret
_SECTION_NAMES = ("", ".hash", ".dynsym", ".dynstr", ".text", ".dynamic", ".shstrtab")


def driver_functions(headers: Iterable[str]) -> list[str]:
    """The functions that the texts of ``cuda.h`` and its kin declare, sorted.

    A name stands for its newest version (``#define cuMemAlloc cuMemAlloc_v2``) and, with per-thread streams, for one with
    ``_ptds`` or ``_ptsz`` at its end. Old and new names are all exported.
    """
    names: set[str] = set()
    for text in headers:
        names.update(_DECLARED.findall(text), _RENAMED.findall(text))
        for kind, name in _PER_THREAD.findall(text):
            names.update((name, f"{name}_{kind.lower()}"))
    return sorted(names)


def stub_library(soname: str, functions: Sequence[str]) -> bytes:
    """A shared object for x86-64 that exports ``functions``."""
    strings = bytearray(b"\0")
    offsets = [_append(strings, name) for name in (soname, *functions)]
    sizes = {
        ".hash": len(_hash_table(functions)),
        ".dynsym": 24 * (len(functions) + 1),
        ".dynstr": len(strings),
        ".text": len(_CODE),
    }
    place, at = {}, 64 + 4 * 56  # after the file header and four program headers
    for name, size in sizes.items():
        at += -at % 16
        place[name] = at
        at += size
    code_end, dynamic = at, at + -at % 16
    symbols = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", offset, 0x12, 0, _SECTION_NAMES.index(".text"), place[".text"], len(_CODE))
        for offset in offsets[1:]
    )
    tags = [(14, offsets[0]), (4, place[".hash"]), (5, place[".dynstr"]), (6, place[".dynsym"])]
    tags += [(10, len(strings)), (11, 24), (0, 0)]
    out = bytearray(dynamic)
    contents = {".hash": _hash_table(functions), ".dynsym": symbols, ".dynstr": bytes(strings), ".text": _CODE}
    for name, data in contents.items():
        out[place[name] : place[name] + len(data)] = data
    out += b"".join(struct.pack("<QQ", *tag) for tag in tags)
    place[".dynamic"], sizes[".dynamic"] = dynamic, 16 * len(tags)
    segments = _segments(code_end, dynamic, sizes[".dynamic"])
    sections_at = _append_sections(out, place, sizes)
    out[: 64 + len(segments)] = _file_header(sections_at) + segments
    return bytes(out)


def _append(strings: bytearray, name: str) -> int:
    offset = len(strings)
    strings += name.encode() + b"\0"
    return offset


def _file_header(sections_at: int) -> bytes:
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    count = len(_SECTION_NAMES)
    # type DYN, machine x86-64, no entry point
    return identity + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, 4, 64, count, count - 1)


def _segments(code_end: int, dynamic: int, dynamic_size: int) -> bytes:
    """Code and tables read-only; ``.dynamic`` on a page of its own, for the loader writes into it; no executable stack."""
    moved = dynamic + _PAGE
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, code_end, code_end, _PAGE)
    data = struct.pack("<IIQQQQQQ", 1, 6, dynamic, moved, moved, dynamic_size, dynamic_size, _PAGE)
    entry = struct.pack("<IIQQQQQQ", 2, 6, dynamic, moved, moved, dynamic_size, dynamic_size, 8)
    stack = struct.pack("<IIQQQQQQ", 0x6474E551, 6, 0, 0, 0, 0, 0, 16)
    return load + data + entry + stack


def _append_sections(out: bytearray, place: dict[str, int], sizes: dict[str, int]) -> int:
    """Section headers, which linkers read; returns where they begin."""
    names = bytearray()
    offsets = [_append(names, name) for name in _SECTION_NAMES]
    place[".shstrtab"], sizes[".shstrtab"] = len(out), len(names)
    out += names
    out += bytes(-len(out) % 8)
    start = len(out)
    # type, flags, link, info, alignment, entry size
    kinds = {
        ".hash": (5, 2, 2, 0, 8, 4),
        ".dynsym": (11, 2, 3, 1, 8, 24),
        ".dynstr": (3, 2, 0, 0, 1, 0),
        ".text": (1, 6, 0, 0, 16, 0),
        ".dynamic": (6, 3, 3, 0, 8, 16),
        ".shstrtab": (3, 0, 0, 0, 1, 0),
    }
    out += bytes(64)
    for name, offset in zip(_SECTION_NAMES[1:], offsets[1:], strict=True):
        kind, flags, link, info, alignment, entry = kinds[name]
        address = place[name] + _PAGE * (name == ".dynamic") if flags else 0
        out += struct.pack(
            "<IIQQQQIIQQ", offset, kind, flags, address, place[name], sizes[name], link, info, alignment, entry
        )
    return start


def _hash_table(functions: Sequence[str]) -> bytes:
    """The System V symbol hash table, by which the loader finds a name."""
    buckets, chain = [0] * (len(functions) | 1), [0] * (len(functions) + 1)
    for index, name in enumerate(functions, 1):
        slot = _elf_hash(name) % len(buckets)
        chain[index], buckets[slot] = buckets[slot], index
    return struct.pack(f"<II{len(buckets)}I{len(chain)}I", len(buckets), len(chain), *buckets, *chain)


def _elf_hash(name: str) -> int:
    value = 0
    for byte in name.encode():
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high
    return value
