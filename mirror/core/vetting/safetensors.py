"""The header of a safetensors file, held against the format and the file's size.

A safetensors file is 8 bytes of length (little-endian), that many bytes of JSON, and the tensors' bytes without a gap. Readers
map the file and go by the header, so what it says must lie within the file. The tensors themselves are not read.

Rules: the header has at most 100 MB, as the format's own library holds it; each tensor's range begins where the one before
ends, and the last ends with the file; its length is that of its type and shape, where the type is one that we know.

Example::

    with open("model.safetensors", "rb") as stream:
        read_header(stream, size_bytes).types       # ("BF16",)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, NoReturn

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, strict_json

MAX_HEADER_BYTES = 100_000_000
_LENGTH_BYTES = 8
_BITS = {
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
"""Bits of one element, by the name of its type. A type that is not here is newer than this list."""


@dataclass(frozen=True)
class TensorHeader:
    """What a header says: how many tensors there are, and the types of their elements, each once, sorted."""

    tensors: int
    types: tuple[str, ...]


def read_header(stream: BinaryIO, size: int) -> TensorHeader:
    """Read the header from the beginning of a file of ``size`` bytes.

    Raises:
        InvalidDocument: when it is none, or describes another file.
        OSError: when the file cannot be read.
    """
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if size < _LENGTH_BYTES or length > size - _LENGTH_BYTES:
        _refuse(f"its header would have {length} bytes, the file has {size}")
    if length > MAX_HEADER_BYTES:
        _refuse(f"its header would have {length} bytes, more than the {MAX_HEADER_BYTES} allowed")
    data = stream.read(length)
    if not data.startswith(b"{"):
        _refuse("its header is no JSON object")
    fields = Fields(strict_json(data, "safetensors header", MAX_HEADER_BYTES), "safetensors header")
    notes = fields.table("__metadata__")
    for name in notes.left():
        notes.text(name)
    ranges, types = [], set()
    for name in fields.left():
        begin, end, kind = _tensor(fields.table(name))
        ranges.append((begin, end, name))
        types.add(kind)
    _check_ranges(ranges, size - _LENGTH_BYTES - length)
    return TensorHeader(len(ranges), tuple(sorted(types)))


def _tensor(fields: Fields) -> tuple[int, int, str]:
    kind = fields.text("dtype")
    shape, offsets = _numbers(fields, "shape"), _numbers(fields, "data_offsets")
    fields.end()
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        fields.fail("data_offsets", f"expected a beginning and an end, got {offsets}")
    begin, end = offsets
    if kind in _BITS:
        bits = _BITS[kind]
        for length in shape:
            bits *= length
        if bits != (end - begin) * 8:
            fields.fail("data_offsets", f"{kind} of shape {shape} has {bits} bits, its range {end - begin} bytes")
    return begin, end, kind


def _numbers(fields: Fields, key: str) -> list[int]:
    values = fields.take(key, list)
    if not all(type(value) is int and value >= 0 for value in values):
        fields.fail(key, f"expected whole numbers from 0 on, got {values}")
    return values


def _check_ranges(ranges: list[tuple[int, int, str]], size: int) -> None:
    """Every byte after the header belongs to one tensor."""
    expected = 0
    for begin, end, name in sorted(ranges):
        if begin != expected:
            _refuse(f"tensor {name[:100]!r} begins at byte {begin}, the one before ends at {expected}")
        expected = end
    if expected != size:
        _refuse(f"its tensors end at byte {expected}, its data has {size} bytes")


def _refuse(problem: str) -> NoReturn:
    raise InvalidDocument("safetensors header", "", problem)
