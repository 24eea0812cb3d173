from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.core.bundle.volumes.splitting import CannotSplit, split
from mirror.core.errors import Unreadable, Unwritable
from tests.support.mounts import needs_mounts


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "f.tar"
    path.write_bytes(bytes(range(250)) * 10)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_volumes_and_index_lie_beside_the_file(file: Path) -> None:
    made = split(file, 1000)
    assert names(file.parent) == ["f.tar", "f.tar.001", "f.tar.002", "f.tar.003", "f.tar.volumes"]
    assert [path.stat().st_size for path in made.volumes] == [1000, 1000, 500]
    assert made.indexes == (file.with_name("f.tar.volumes"),)


def test_a_second_run_writes_none_again_and_mends_what_is_bad(file: Path) -> None:
    split(file, 1000)
    before = [path.stat().st_ino for path in sorted(file.parent.glob("f.tar.00*"))]
    good = file.with_name("f.tar.002").read_bytes()
    file.with_name("f.tar.002").write_bytes(bytes(1000))
    made = split(file, 1000)
    after = [path.stat().st_ino for path in sorted(file.parent.glob("f.tar.00*"))]
    assert made.kept == 2 and [before[0], before[2]] == [after[0], after[2]]
    assert file.with_name("f.tar.002").read_bytes() == good


def test_a_volume_that_stands_elsewhere_is_kept_there(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    split(file, 1000, [tmp_path / "b"])
    (tmp_path / "b/f.tar.001").unlink()
    made = split(file, 1000, [tmp_path / "a", tmp_path / "b"])
    assert [path.parent.name for path in made.volumes] == ["a", "b", "b"]
    assert [path.parent.name for path in made.indexes] == ["a", "b"]
    assert split(file, 1000, [tmp_path / "a", tmp_path / "b"]).kept == 3


@pytest.mark.parametrize("size", [900, 1100])
def test_finished_volumes_of_another_size_are_not_replaced(file: Path, size: int) -> None:
    made = split(file, 1000)
    before = {name: (file.parent / name).read_bytes() for name in names(file.parent)}
    with pytest.raises(
        CannotSplit, match=f"is of volumes of 1000 bytes, not of {size}: remove it with its volumes"
    ) as told:
        split(file, size)
    assert str(made.indexes[0]) in str(told.value)
    assert {name: (file.parent / name).read_bytes() for name in names(file.parent)} == before
    made.indexes[0].write_text("no index")
    assert split(file, 1000).kept == len(made.volumes)


def test_what_another_split_left_is_named_before_anything_is_written(file: Path) -> None:
    split(file, 1000)
    with pytest.raises(CannotSplit) as caught:
        split(file, 2000)
    left = file.with_name("f.tar.003")
    assert str(caught.value) == f"{file} is not split: {left} is left from another split; this one makes 2: remove it"
    assert file.with_name("f.tar.001").stat().st_size == 1000


@pytest.mark.parametrize(
    ("name", "data", "size", "words"),
    [
        ("e", b"", 5, "it is empty"),
        ("e", b"x" * 1000, 1, "1000 volumes of 1 bytes; 999 are allowed: 2 bytes each"),
        ("e\n", b"x", 1, "its name cannot stand in an index: give it a shorter one of plain characters"),
        ("e\\", b"x", 1, "its name cannot stand in an index: give it a shorter one of plain characters"),
        ("e", b"# mirror-volumes/1: x", 5, "it is an index of volumes"),
    ],
)
def test_what_cannot_be_split_is_refused(tmp_path: Path, name: str, data: bytes, size: int, words: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CannotSplit) as caught:
        split(tmp_path / name, size)
    assert str(caught.value).endswith(f"is not split: {words}")
    assert names(tmp_path) == [name]


def test_a_file_or_a_directory_that_is_not_there_is_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"cannot read .*nothing: No such file"):
        split(tmp_path / "nothing", 5)
    with pytest.raises(Unwritable, match=r"cannot write .*nothing: No such file"):
        split(file, 5000, [tmp_path / "nothing"])
    with pytest.raises(Unreadable, match="not a regular file"):
        split(tmp_path, 5)


SCRIPT = """
import sys
from mirror.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@needs_mounts
@pytest.mark.group(49)
def test_media_that_are_full_are_gone_on_with_by_one_more(tmp_path: Path) -> None:
    file = tmp_path / "f.tar"
    file.write_bytes(os.urandom(9 << 20))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    # Two stick-like media of 7 MiB: the third volume of 3 MiB fits on the first no more.
    mounted = "mount -t tmpfs -o size=7m x a && mount -t tmpfs -o size=7m x b"
    split_ = f"{sys.executable} -m mirror.cli.main split f.tar --size 3MiB"
    first, second = f"! {split_} -o a 2>said && ls a", f"{split_} -o a -o b"
    script = f"{mounted} && {first} && {second} && cd b && sha256sum -c --ignore-missing f.tar.volumes"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )
    assert done.stdout.startswith("f.tar.001\nf.tar.002\n"), done.stderr
    assert "2 were there already" in done.stdout and "f.tar.003: OK" in done.stdout
    said = (tmp_path / "said").read_text()
    assert "cannot write a/f.tar.003: it takes 3145728 bytes; a has" in said and "the same command goes on" in said


def test_a_run_that_is_killed_leaves_only_whole_volumes(file: Path) -> None:
    """What is half written has a temporary name, and goes with the next run."""
    split(file, 1000)
    shutil.copy(file.with_name("f.tar.002"), file.with_name(".f.tar.002.999999.tmp"))
    file.with_name("f.tar.002").unlink()
    file.with_name("f.tar.volumes").unlink()
    assert split(file, 1000).kept == 2
    assert names(file.parent) == ["f.tar", "f.tar.001", "f.tar.002", "f.tar.003", "f.tar.volumes"]


def test_what_a_killed_run_left_goes_also_where_its_volume_is_not_written_again(file: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    split(file, 1000, [tmp_path / "a"])
    for left in (".f.tar.002.999999.tmp", ".f.tar.009.999999.1.tmp", ".f.tar.volumes.999999.tmp"):
        (tmp_path / "a" / left).write_bytes(b"x")
    (tmp_path / "a/.other.tar.001.999999.tmp").write_bytes(b"another's")
    assert split(file, 1000, [tmp_path / "a"]).kept == 3
    expected = [".other.tar.001.999999.tmp", "f.tar.001", "f.tar.002", "f.tar.003", "f.tar.volumes"]
    assert names(tmp_path / "a") == expected
