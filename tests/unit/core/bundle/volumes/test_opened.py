"""A bundle in volumes, at the door where every bundle is opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.bundle.volumes.opened import BadVolumes, NoVolumeIndex, VolumesMixed, open_file
from mirror.core.bundle.volumes.splitting import check_volumes, split
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable
from mirror.core.trust.sidecars import sidecar_paths
from tests.support.bundles import BundleSimulator, flip_last_byte_of
from tests.support.keys import make_root

SIZE = 4000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of six volumes or so, whose contents differ."""
    directory = tmp_path_factory.mktemp("made")
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", bytes(range(256)) * 30)
    simulator.add("meta/b.txt", b"words" * 2000)
    simulator.write(directory / "b.tar")
    split(directory / "b.tar", SIZE)
    return directory


@pytest.fixture
def media(made: Path, tmp_path: Path) -> Path:
    """Two media, ``a`` with the index and the odd volumes, ``b`` with the others."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    for path in made.glob("b.tar.*"):
        odd = path.suffix == ".volumes" or int(path.suffix[1:]) % 2
        shutil.copy(path, tmp_path / ("a" if odd else "b"))
    return tmp_path


def verified(path: Path, *places: Path) -> None:
    with open_bundle(path, places) as bundle:
        bundle.trust(make_root())
        bundle.verify()


def refused(path: Path, *places: Path) -> MirrorError:
    with pytest.raises(MirrorError) as caught:
        verified(path, *places)
    return caught.value


@pytest.mark.parametrize("name", ["a/b.tar.volumes", "a/b.tar.001", "b/b.tar.002", "a/b.tar", "b/b.tar"])
def test_a_bundle_is_read_where_its_volumes_lie(media: Path, name: str) -> None:
    verified(media / name, media / "a", media / "b")


def test_every_byte_comes_out_whatever_the_pieces(made: Path, media: Path) -> None:
    whole = (made / "b.tar").read_bytes()
    with open_file(media / "a/b.tar", [media / "b"]) as file:
        assert file.size == len(whole)
        for size in (1, 999, 4001, 1 << 20):
            found = b""
            while data := file.read_at(size, len(found)):
                found += data
            assert found == whole
    assert b"".join(path.read_bytes() for path in sorted(made.glob("b.tar.???"))) == whole


def test_a_file_that_is_whole_is_taken_before_its_volumes(made: Path) -> None:
    with open_file(made / "b.tar") as file:
        assert type(file).__name__ == "OpenFile"


def test_what_lies_beside_is_beside_the_index_or_where_the_whole_was_named(media: Path) -> None:
    for named, beside in (("a/b.tar.volumes", "a"), ("b/b.tar", "b"), ("b/b.tar.002", "a")):
        with open_bundle(media / named, [media / "a", media / "b"]) as bundle:
            assert sidecar_paths(bundle.path, "approval")[0] == media / beside / "b.tar.approval.sig"


Damage = Callable[[Path], object]


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


FOREIGN = "is damaged, or of another file: its sha256 is"
FAULTS: dict[str, tuple[Damage, str]] = {
    "missing": (lambda m: (m / "b/b.tar.002").unlink(), "b.tar.002 is missing: it lies in none of {a}, {b}"),
    "shorter": (lambda m: (m / "b/b.tar.002").write_bytes(b"x"), "{b}/b.tar.002 has 1 bytes, the index says 4000"),
    "a bit of a member": (lambda m: flip(m / "b/b.tar.004", 99), f"{{b}}/b.tar.004 {FOREIGN}"),
    "a bit of the manifest": (lambda m: flip(m / "a/b.tar.001", 600), f"{{a}}/b.tar.001 {FOREIGN}"),
    "copied twice": (
        lambda m: shutil.copy(m / "a/b.tar.001", m / "b/b.tar.002"),
        "{b}/b.tar.002 holds what b.tar.001 should: exchanged, renamed or copied twice",
    ),
    "renamed": (
        lambda m: (m / "b/b.tar.002").rename(m / "b/b.tar.007"),
        "b.tar.002 is missing: it lies in none of {a}, {b}",
    ),
}


@pytest.mark.group(4, 57)
@pytest.mark.parametrize("name", FAULTS)
def test_the_volume_that_is_to_blame_is_named_and_copying_it_again_is_enough(
    name: str, made: Path, media: Path
) -> None:
    damage, words = FAULTS[name]
    damage(media)
    error = refused(media / "a/b.tar.volumes", media / "b")
    assert isinstance(error, BadVolumes)
    (fault,) = error.faults
    assert fault.startswith(words.format(a=media / "a", b=media / "b"))
    for number in range(1, len(list(made.glob("b.tar.???"))) + 1):
        shutil.copy(made / f"b.tar.{number:03}", media / "b")
    for path in (media / "a").glob("b.tar.0*"):
        path.unlink()  # those of the other medium are as good
    verified(media / "a/b.tar.volumes", media / "b")


@pytest.mark.parametrize("named", ["a/b.tar.volumes", "b/b.tar.002"])
def test_of_two_copies_the_good_one_is_read_and_the_bad_one_named(media: Path, made: Path, named: str) -> None:
    shutil.copy(made / "b.tar.002", media / "a")
    flip(media / Path(named).parent / "b.tar.002", 5)
    verified(media / named, media / "b", media / "a")
    with open_bundle(media / named, [media / "b", media / "a"]) as bundle:
        (fault,) = bundle.passed_over
    assert fault.startswith(f"{(media / named).with_name('b.tar.002')} {FOREIGN}")
    flip(media / "a/b.tar.002", 7)
    flip(media / "b/b.tar.002", 7)
    assert isinstance(refused(media / named, media / "b", media / "a"), BadVolumes)


def test_exchanged_volumes_are_both_named(media: Path) -> None:
    (media / "b/b.tar.002").rename(media / "t")
    (media / "a/b.tar.003").rename(media / "b/b.tar.002")
    (media / "t").rename(media / "a/b.tar.003")
    error = refused(media / "a/b.tar.volumes", media / "b")
    assert isinstance(error, BadVolumes) and len(error.faults) == 2


def test_a_signed_file_that_is_damaged_before_it_was_split_is_no_volumes_fault(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "b.tar", tmp_path)
    flip_last_byte_of(tmp_path / "b.tar", b"words" * 2000)
    split(tmp_path / "b.tar", SIZE)
    assert isinstance(refused(tmp_path / "b.tar.volumes"), DigestMismatch)


@pytest.mark.group(13)
def test_volumes_of_two_bundles_are_not_mixed(media: Path, tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", b"other")
    (tmp_path / "other").mkdir()
    (index,) = split(simulator.write(tmp_path / "other/b.tar"), SIZE).indexes
    shutil.copy(index, media / "b")
    error = refused(media / "a/b.tar.volumes", media / "b")
    assert isinstance(error, VolumesMixed)
    assert str(error).startswith(f"{media}/a/b.tar.volumes and {media}/b/b.tar.volumes are indexes of different files")


@pytest.mark.parametrize("name", ["b.tar", "b.tar.001", "b.tar.003"])
def test_volumes_without_their_index_ask_for_it(media: Path, name: str) -> None:
    (media / "a/b.tar.volumes").unlink()
    error = refused(media / "a" / name, media / "b")
    assert isinstance(error, NoVolumeIndex)
    assert str(error) == f"b.tar.volumes, the index of its volumes, lies in none of {media}/a, {media}/b"


def test_an_index_that_is_damaged_is_refused_with_its_line(media: Path) -> None:
    flip(media / "a/b.tar.volumes", 30)
    assert isinstance(refused(media / "a/b.tar.volumes", media / "b"), InvalidDocument)


@pytest.mark.group(16)
def test_what_is_no_file_is_not_waited_for(media: Path) -> None:
    (media / "b/b.tar.002").unlink()
    os.mkfifo(media / "b/b.tar.002")
    assert isinstance(refused(media / "a/b.tar.volumes", media / "b"), BadVolumes)
    assert isinstance(refused(media / "nothing.tar"), Unreadable)


def test_volumes_are_checked_by_the_name_of_the_whole_that_is_still_there(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "c")
    assert not any(one.fault for one in check_volumes(tmp_path / "c/b.tar").volumes)
    (tmp_path / "c/b.tar.volumes").unlink()
    with pytest.raises(NoVolumeIndex):
        check_volumes(tmp_path / "c/b.tar")


def test_each_volume_is_checked_alone(media: Path) -> None:
    flip(media / "b/b.tar.002", 5)
    found = check_volumes(media / "b/b.tar.004", [media / "a"])
    assert [(one.name, one.fault) for one in found.volumes] == [("b.tar.004", "")]
    with pytest.raises(BadVolumes, match=r"b\.tar\.002 is damaged, or of another file"):
        check_volumes(media / "b/b.tar.002", [media / "a"]).enforce()
    alone = check_volumes(media / "a/b.tar.volumes")
    assert [bool(one.fault) for one in alone.volumes] == [
        number % 2 == 0 for number in range(1, len(alone.volumes) + 1)
    ]
