"""Safetensors headers: good ones, and each way in which one can describe another file."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.vetting.safetensors import MAX_HEADER_BYTES, TensorHeader, read_header
from tests.support.hub import make_safetensors


def header_of(data: bytes, size: int | None = None) -> TensorHeader:
    return read_header(io.BytesIO(data), len(data) if size is None else size)


def file_of(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def one(**changes: Any) -> dict[str, Any]:
    return {"w": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8], **changes}}


def test_a_header_says_how_many_tensors_of_which_types() -> None:
    found = header_of(
        make_safetensors({"a": ("F32", [2], bytes(8)), "b": ("BF16", [], bytes(2)), "c": ("F32", [0], b"")})
    )
    assert found == TensorHeader(3, ("BF16", "F32"))


def test_a_file_without_tensors_is_one() -> None:
    assert header_of(file_of({})) == TensorHeader(0, ())


def test_half_bytes_are_counted_in_bits() -> None:
    assert header_of(file_of(one(dtype="F4", shape=[16]), bytes(8))).types == ("F4",)


def test_the_order_in_the_header_is_not_that_in_the_file() -> None:
    header = {**one(data_offsets=[2, 10]), "v": {"dtype": "I8", "shape": [2], "data_offsets": [0, 2]}}
    assert header_of(file_of(header, bytes(10))).tensors == 2


def test_a_type_that_is_newer_than_mirror_is_taken_at_its_word() -> None:
    assert header_of(file_of(one(dtype="F2_E1M0"), bytes(8))).types == ("F2_E1M0",)


def test_a_file_of_many_gibibytes_is_judged_by_its_beginning() -> None:
    size = 9 << 30
    head = file_of(one(dtype="U8", shape=[size], data_offsets=[0, size]))
    assert header_of(head, len(head) + size).tensors == 1
    with pytest.raises(InvalidDocument, match=f"its tensors end at byte {size}, its data has {size + 1} bytes"):
        header_of(head, len(head) + size + 1)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "its header would have 0 bytes, the file has 0"),
        (b"\x02\0\0\0\0\0\0", "the file has 7"),
        (b"\xff" * 8 + b"{}", "its header would have 18446744073709551615 bytes, the file has 10"),
        (file_of({})[:-1], "its header would have 2 bytes, the file has 9"),
        (file_of(b""), "its header is no JSON object"),
        (file_of(b"[]"), "its header is no JSON object"),
        (file_of(b" {}"), "its header is no JSON object"),
        (file_of(b"{"), "not valid JSON"),
        (file_of(b'{"w": 1, "w": 2}'), "a key occurs twice"),
        (file_of({"w": 1}), "safetensors header invalid at 'w': expected dict, got int"),
        (file_of(one(dtype=1), bytes(8)), r"w\.dtype': expected str"),
        (file_of(one(shape=[2, -2]), bytes(8)), r"w\.shape': expected whole numbers from 0 on, got \[2, -2\]"),
        (file_of(one(shape=[True]), bytes(8)), r"w\.shape': expected whole numbers"),
        (file_of(one(shape=[2, 3]), bytes(8)), r"BF16 of shape \[2, 3\] has 96 bits, its range 8 bytes"),
        (file_of(one(data_offsets=[8, 0]), bytes(8)), r"expected a beginning and an end, got \[8, 0\]"),
        (file_of(one(data_offsets=[0]), bytes(8)), "expected a beginning and an end"),
        (file_of(one(more=1), bytes(8)), r"w\.more': unknown key"),
        (file_of(one(), bytes(7)), "its tensors end at byte 8, its data has 7 bytes"),
        (file_of(one(), bytes(9)), "its tensors end at byte 8, its data has 9 bytes"),
        (file_of(one(data_offsets=[1, 9]), bytes(9)), "tensor 'w' begins at byte 1, the one before ends at 0"),
        (file_of({**one(), "v": one()["w"]}, bytes(8)), "begins at byte 0, the one before ends at 8"),
        (file_of({"__metadata__": {"format": 1}}), r"__metadata__\.format': expected str"),
    ],
)
def test_a_header_that_describes_another_file_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        header_of(data)


def test_a_header_that_would_fill_the_memory_is_not_read() -> None:
    data = (MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}"
    with pytest.raises(InvalidDocument, match="more than the 100000000 allowed"):
        header_of(data, 1 << 40)
