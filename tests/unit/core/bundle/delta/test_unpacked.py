from __future__ import annotations

import io
from pathlib import Path

import pytest

from mirror.core.bundle.delta.deflating import SETTINGS, deflated, sample_digest
from mirror.core.bundle.delta.unpacked import FILE, FIRST_MEMBER, FRAMING, Slice, Unpacked
from mirror.core.wheels.wheelzip import BadZip
from tests.support.deltas import code, packed_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Unpacked:
    path = packed_wheel(tmp_path / "w", "a", "1", {"a/x.py": code(1), "a/": b"", "a/y.py": b"abc"})
    return Unpacked(io.BytesIO(path.read_bytes()), path.stat().st_size)


def read(file: Unpacked, part: int, start: int, length: int) -> bytes:
    return b"".join(file.read(Slice(part, start, length)))


def test_framing_and_packed_members_are_all_of_the_file(wheel: Unpacked) -> None:
    whole, out = read(wheel, FILE, 0, wheel.size), b""
    framing = read(wheel, FRAMING, 0, wheel.size_of(FRAMING))
    for (_, gap), member in zip(wheel.gaps(), wheel.members):
        out, framing = out + framing[:gap] + b"".join(wheel.packed(member)), framing[gap:]
    assert out + framing == whole


def test_any_stretch_is_read(wheel: Unpacked) -> None:
    number = FIRST_MEMBER + next(n for n, member in enumerate(wheel.members) if member.name == "a/x.py")
    content = code(1)
    assert wheel.size_of(number) == len(content)
    for start, length in ((0, len(content)), (5, 1), (39_000, 1000), (0, 1)):
        assert read(wheel, number, start, length) == content[start : start + length]
    assert wheel.size_of(99) == -1


def test_what_is_no_zip_has_no_members() -> None:
    with pytest.raises(BadZip):
        Unpacked(io.BytesIO(b"words"), 5).size_of(FRAMING)


def test_the_same_bytes_come_again_whatever_the_pieces() -> None:
    content = code(2, 300_000)
    for settings in SETTINGS:
        whole = b"".join(deflated([content], settings))
        assert b"".join(deflated([content[at : at + 7777] for at in range(0, len(content), 7777)], settings)) == whole
    assert len({sample_digest(settings) for settings in SETTINGS}) > 10
