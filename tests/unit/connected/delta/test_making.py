from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.delta.applying import Options, apply_delta
from mirror.connected.delta.frames import Stretch, prefix_of
from mirror.connected.delta.making import NoDelta, check_base, make_delta
from mirror.connected.delta.wheels import how_packed
from mirror.core.bundle.delta.deflating import AS_IS
from mirror.core.bundle.delta.document import PIECE_BYTES, PREFIX_BYTES, RECORD
from mirror.core.bundle.delta.opened import open_delta
from mirror.core.bundle.delta.unpacked import Slice, Unpacked
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.deltas import Pair, code, foreign_wheel, make_pair, packed_wheel
from tests.support.keys import make_root, trust_store


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair"))


def test_each_file_goes_the_smallest_way(pair: Pair) -> None:
    ways = {part.path.partition("/")[2].partition("-")[0]: part for part in pair.made.head.parts[1:]}
    assert {name: part.how for name, part in ways.items()} == {
        "alpha": "members", "kept": "same", "foreign": "bytes", "words.txt": "bytes", "fresh.bin": "whole",
        "install.txt": "bytes",
    }  # fmt: skip
    assert ways["alpha"].packed < 4000 < 40_000 < ways["alpha"].size
    assert pair.made.size == pair.delta.stat().st_size < pair.new.stat().st_size / 4


def test_the_same_bundles_give_the_same_delta(pair: Pair, tmp_path: Path) -> None:
    for path in (pair.old, pair.new):
        shutil.copy(path, tmp_path)
    again = make_delta(tmp_path / "old.tar", tmp_path / "new.tar", make_root())
    assert again.path.read_bytes() == pair.delta.read_bytes()
    assert again.path.name == f"new.tar.from-{SEQUENCE}.delta"


def test_a_delta_for_another_zlib_takes_no_wheel_apart(pair: Pair, tmp_path: Path) -> None:
    shutil.copy(pair.new, tmp_path)
    made = make_delta(pair.old, tmp_path / "new.tar", make_root(), redeflate=False)
    assert made.head.counts()["members"] == 0 and made.head.samples == ()
    out = apply_delta(made.path, Options(pair.old, tmp_path / "out.tar"), trust_store(tmp_path / "t", make_root()))
    assert out.path.read_bytes() == pair.new.read_bytes()


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program")
def test_a_frame_is_what_zstd_takes_by_hand(pair: Pair, tmp_path: Path) -> None:
    """With nothing but unzip's equal and zstd; `mirror help media` says how."""
    with open_delta(pair.delta) as delta:
        start = 0
        for part in delta.head.parts:
            if part.path.startswith("wheels/alpha"):
                break
            start += part.packed
        (tmp_path / "frame").write_bytes(b"".join(delta.body(start, part.packed)))
    base = pair.old.parent / "old-wheels/alpha-1.0-py3-none-any.whl"
    file = Unpacked(io.BytesIO(base.read_bytes()), base.stat().st_size)
    (piece,) = part.pieces
    (tmp_path / "prefix").write_bytes(b"".join(data for one in piece.slices for data in file.read(one)))
    command = ["zstd", "-q", "-d", f"--patch-from={tmp_path}/prefix", f"{tmp_path}/frame", "-o", f"{tmp_path}/stream"]
    subprocess.run(command, check=True)
    stream = (tmp_path / "stream").read_bytes()
    assert len(stream) == part.stream
    assert stream[part.members * RECORD.size :].startswith(b"PK\3\4")
    assert code(3)[:5000] in stream


@pytest.mark.parametrize("level", [1, 6, 9])
def test_the_settings_of_a_wheel_are_found(tmp_path: Path, level: int) -> None:
    path = packed_wheel(tmp_path / "w", "a", "1", {f"{n}.py": code(n, 9000) for n in range(40)}, level)
    packed = how_packed(lambda: Unpacked(io.BytesIO(path.read_bytes()), path.stat().st_size), lambda size: None)
    assert level in packed.used and len(packed.settings) == 43
    assert AS_IS not in packed.settings


def test_members_that_do_not_come_back_are_told(tmp_path: Path) -> None:
    path = foreign_wheel(tmp_path / "w", "a", "1", code(1))
    packed = how_packed(lambda: Unpacked(io.BytesIO(path.read_bytes()), path.stat().st_size), lambda size: None)
    assert packed.settings[0] == AS_IS and AS_IS not in packed.settings[1:]


def test_a_member_larger_than_a_piece_is_cut_and_comes_back(tmp_path: Path) -> None:
    block = code(1, 2000)
    big = block * (PIECE_BYTES // len(block) + 40)
    paths = []
    for name, data, sequence in (
        ("old", big, SEQUENCE),
        ("new", big[:9_000_000] + b"more" + big[9_000_000:], SEQUENCE + 1),
    ):
        simulator = BundleSimulator(sequence=sequence)
        simulator.add_wheel(packed_wheel(tmp_path / name, "a", str(sequence), {"a.so": data}, 1))
        paths.append(simulator.write(tmp_path / f"{name}.tar"))
    made = make_delta(paths[0], paths[1], make_root())
    part = made.head.parts[1]
    assert part.how == "members" and len(part.pieces) == 2 and made.size < 200_000
    assert all(sum(one.length for one in piece.slices) <= PREFIX_BYTES for piece in part.pieces)
    out = apply_delta(made.path, Options(output=tmp_path / "out.tar"), trust_store(tmp_path / "t", make_root()))
    assert out.path.read_bytes() == paths[1].read_bytes()


def test_a_cut_member_gets_what_is_around_its_place_in_the_base() -> None:
    layout = [Stretch(10), Stretch(1000, 1, 900), Stretch(1 << 30, 2, 1 << 30), Stretch(5, 3, 0)]
    first, *rest = prefix_of(layout, 0, PIECE_BYTES)
    assert first == Slice(1, 0, 900)
    assert [one.part for one in rest] == [2] and rest[0].start == 0
    (middle,) = prefix_of(layout, 1 << 29, PIECE_BYTES)
    assert middle.start < (1 << 29) and middle.start + middle.length > (1 << 29) + PIECE_BYTES
    assert middle.length <= PREFIX_BYTES
    assert prefix_of(layout, 1010 + (1 << 30), 5) == ()


def test_bundles_of_which_no_delta_makes_sense_are_refused(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(NoDelta) as caught:
        make_delta(pair.old, pair.old, make_root())
    assert str(caught.value) == f"no delta from {pair.old} to {pair.old}: they are the same bundle"
    other = BundleSimulator("other").write(tmp_path / "other.tar")
    with pytest.raises(NoDelta, match="one is of the stack demo, the other of other"):
        make_delta(pair.old, other, make_root())
    (tmp_path / "-x.tar").symlink_to(pair.new)
    with pytest.raises(NoDelta, match=r"expected a file's name such as 'bundle\.tar', got '-x\.tar'"):
        make_delta(pair.old, tmp_path / "-x.tar", make_root())
    with pytest.raises(NoDelta, match="they are one file: name another for the new bundle with -o"):
        check_base(pair.old, pair.old)
