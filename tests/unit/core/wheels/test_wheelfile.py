"""A wheel is read once, and whoever judges or describes it takes what was read."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
from pathlib import Path

import pytest

from mirror.core.wheels.record import RecordCheck
from mirror.core.wheels.wheelfile import WheelFile, read_metadata, read_wheel
from mirror.core.wheels.wheelzip import BadZip
from tests.support.libraries import make_library
from tests.support.wheels import make_wheel
from tests.support.zips import Entry, zip_bytes
from tests.unit.core.binaries.test_native import cubin

needs_objcopy = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("objcopy")), reason="needs gcc and objcopy"
)

KERNEL = cubin(0x06005A04)


class Counted(io.BytesIO):
    """Counts the bytes that are read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def whole(tmp_path: Path) -> bytes:
    files = {"a/LICENSE": b"words", "a/k.cubin": KERNEL, "a/noise.bin": random.Random(1).randbytes(1 << 20)}
    return make_wheel(tmp_path, "a", "1", files=files, scripts={"a": "a:main"}).read_bytes()


def test_everything_about_a_wheel_is_found(tmp_path: Path) -> None:
    data = whole(tmp_path)
    wheel = read_wheel(io.BytesIO(data), keep=lambda name: 3 * name.endswith("LICENSE"), scratch=tmp_path)
    assert (wheel.size, wheel.fault, wheel.infos) == (len(data), None, ["a-1.dist-info"])
    assert wheel.texts.keys() == {"METADATA", "WHEEL", "entry_points.txt"}
    assert (wheel.headers("METADATA")["Name"], wheel.kept) == ("a", {"a/LICENSE": b"wor"})
    assert wheel.native.gpus == ("sm_90",)
    assert wheel.record == RecordCheck()
    assert {one.name: one.sha256 for one in wheel.members}["a/k.cubin"] == hashlib.sha256(KERNEL).digest()
    assert wheel.unpacked_size == sum(one.size for one in wheel.members) > 1 << 20


def test_each_byte_is_read_once_when_there_is_room_for_copies(tmp_path: Path) -> None:
    stream = Counted(whole(tmp_path))
    told: list[int] = []
    read_wheel(stream, told.append, scratch=tmp_path)
    assert stream.taken < 1.01 * len(stream.getvalue())
    assert 0 < sum(told) < len(stream.getvalue())


@needs_objcopy
def test_of_a_large_library_nothing_is_written_and_all_of_it_is_found(tmp_path: Path) -> None:
    """Its GPU code lies behind what is random, its section table at its end; it is held neither in memory nor on the disk."""
    noise = f'__asm__(".data\\n.incbin \\"{tmp_path}/noise\\"\\n.text");'
    (tmp_path / "noise").write_bytes(random.Random(1).randbytes(12 << 20))
    architectures = ["sm_80", "sm_90a", "compute_90"]
    library = make_library(tmp_path / "made" / "big.so", source=noise, gpu_code=architectures, versions={"A_1": ["a"]})
    data = make_wheel(tmp_path, "a", "1", files={"a/big.so": library.read_bytes()}).read_bytes()
    wheel = read_wheel(io.BytesIO(data), scratch=tmp_path / "absent")
    assert (wheel.native.gpus, wheel.native.faults, wheel.native.gpu_faults) == (tuple(architectures), (), ())
    assert wheel.native.count == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mirror.core.wheels.wheelfile.IN_MEMORY", 64 << 20)
        assert read_wheel(io.BytesIO(data), scratch=tmp_path).native == wheel.native


def test_without_room_for_copies_nothing_is_said_of_gpus(tmp_path: Path) -> None:
    wheel = read_wheel(io.BytesIO(whole(tmp_path)))
    assert (wheel.native.gpus, wheel.native.faults) == ((), ())


def test_a_compiled_file_is_found_whatever_its_name_is(tmp_path: Path) -> None:
    data = zip_bytes([Entry("LICENSE", b"\x7fELF\2\1" + bytes(40))])
    for scratch in (None, tmp_path):
        wheel = read_wheel(io.BytesIO(data), keep=lambda name: 9, scratch=scratch)
        assert wheel.native.faults == ("LICENSE is no sound ELF file: its header has 64 bytes, the file has 46",)


@pytest.mark.parametrize("names", [[], ["a-1.dist-info", "b-1.dist-info"], ["a-1.dist-info", "b.DIST-INFO"]])
def test_of_none_or_several_dist_infos_no_text_is_taken(names: list[str]) -> None:
    data = zip_bytes([Entry("x.py", b"x"), *(Entry(f"{name}/METADATA", b"Name: a\n") for name in names)])
    wheel = read_wheel(io.BytesIO(data))
    assert (wheel.infos, wheel.texts, wheel.record.problem) == (names, {}, "it has no RECORD")
    assert read_metadata(io.BytesIO(data)) is None


def test_a_text_that_is_too_long_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.core.wheels.wheelfile.MAX_TEXT_BYTES", 9)
    data = zip_bytes([Entry("a-1.dist-info/METADATA", b"0123456789")])
    what = "'a-1.dist-info/METADATA' has 10 bytes, at most 9 are read"
    assert read_wheel(io.BytesIO(data)) == WheelFile(len(data), ("zip-content", what))
    with pytest.raises(BadZip, match="at most 9 are read"):
        read_metadata(io.BytesIO(data))


def test_what_is_kept_of_all_members_together_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.core.wheels.wheelfile.MAX_KEPT_BYTES", 7)
    data = zip_bytes([Entry(name, b"words") for name in "abc"])
    assert read_wheel(io.BytesIO(data), keep=lambda name: 9).kept == {"a": b"words", "b": b"wo", "c": b""}


def test_metadata_is_read_alone(tmp_path: Path) -> None:
    stream = Counted(whole(tmp_path))
    metadata = read_metadata(stream)
    assert metadata and metadata.startswith(b"Metadata-Version:")
    assert stream.taken < len(stream.getvalue())


def test_what_is_no_zip_file_has_its_fault_and_nothing_else() -> None:
    assert read_wheel(io.BytesIO(b"no")) == WheelFile(2, ("zip-structure", "it is too short to be a zip file"))
