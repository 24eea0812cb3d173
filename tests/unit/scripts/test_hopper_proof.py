"""What the proof carries, cut and put together again; the proof itself needs a Hopper GPU."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from scripts.hopper_proof.carry import follow_recipe, join, split, write_recipe


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_pieces_from_several_directories_make_the_file_again(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar"
    bundle.write_bytes(bytes(range(256)) * 10)
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    pieces = split(bundle, places[0], 1000)
    assert [piece.name for piece in pieces] == ["bundle.tar.00", "bundle.tar.01", "bundle.tar.02"]
    pieces[1].rename(places[1] / pieces[1].name)
    join(places, "bundle.tar", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_a_missing_piece_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar").write_bytes(bytes(3000))
    split(tmp_path / "bundle.tar", tmp_path, 1000)[1].unlink()
    with pytest.raises(SystemExit, match=r"pieces of bundle\.tar are missing: there are \[0, 2\]"):
        join([tmp_path], "bundle.tar", tmp_path / "again.tar")


def test_the_second_bundle_is_made_of_the_first_and_of_what_differs(tmp_path: Path) -> None:
    big = bytes(range(256)) * 40
    old = tar(tmp_path / "old.tar", {"MANIFEST.json": b"1", "a": big, "b": b"same size, other bytes", "gone": b"x"})
    new = tar(tmp_path / "new.tar", {"MANIFEST.json": b"2", "b": b"same size, other BYTES", "a": big, "more": b"y"})
    write_recipe(old, new, tmp_path / "recipe", tmp_path / "rest")
    assert json.loads((tmp_path / "recipe").read_text())[1][0] == "old"
    assert (tmp_path / "rest").stat().st_size == new.stat().st_size - len(big)
    follow_recipe(old, tmp_path / "recipe", tmp_path / "rest", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == new.read_bytes()


def test_a_short_rest_ends_the_run(tmp_path: Path) -> None:
    old, new = tar(tmp_path / "old.tar", {"a": b"1"}), tar(tmp_path / "new.tar", {"a": b"2"})
    write_recipe(old, new, tmp_path / "recipe", tmp_path / "rest")
    (tmp_path / "rest").write_bytes(b"")
    with pytest.raises(SystemExit, match="too short"):
        follow_recipe(old, tmp_path / "recipe", tmp_path / "rest", tmp_path / "again.tar")
