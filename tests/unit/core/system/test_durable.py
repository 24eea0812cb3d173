import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.core.errors import Unwritable
from mirror.core.system.durable import make_private_directory, replacing, write_file


def test_a_file_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a"
    with replacing(target) as stream:
        stream.write(b"x")
        assert not target.exists()
    assert target.read_bytes() == b"x"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.group(55)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_goes_wrong_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: "type[BaseException]") -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(error), replacing(target) as stream:
        stream.write(b"new")
        raise error
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_names_the_file_that_cannot_be_written(tmp_path: Path) -> None:
    target = tmp_path / "missing" / "a"
    with pytest.raises(Unwritable) as caught:
        write_file(target, b"x")
    assert str(caught.value) == f"cannot write {target}: No such file or directory"


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="Is a directory"):
        write_file(tmp_path, b"x")
    assert os.listdir(tmp_path) == []


def test_an_error_about_another_file_passes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        (tmp_path / "other").read_bytes()


@pytest.mark.group(49)
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit gives the same kind of error as a full disk: write(2) refuses half way."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from mirror.core.system.durable import write_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from mirror.core.errors import Unwritable\n"
        "try: write_file(Path(sys.argv[1]), bytes(5000))\n"
        "except Unwritable as exc: print(exc)"
    )
    target = tmp_path / "a"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot write {target}: File too large\n"
    assert os.listdir(tmp_path) == []


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    (tmp_path / f".a.{os.getpid()}.tmp").symlink_to(victim)
    with pytest.raises(Unwritable):
        write_file(tmp_path / "a", b"x")
    assert victim.read_bytes() == b"safe"


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / f".a.{dead.pid}.tmp").write_bytes(b"half")
    running = tmp_path / f".a.{os.getppid()}.tmp"
    running.write_bytes(b"half")
    write_file(tmp_path / "a", b"x")
    assert sorted(os.listdir(tmp_path)) == sorted([running.name, "a"])


def test_private_directories_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o002)
    try:
        make_private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755  # what is there is its owner's business


def test_a_private_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(Unwritable, match=r"cannot write .*a/b: "):
        make_private_directory(tmp_path / "a" / "b")
