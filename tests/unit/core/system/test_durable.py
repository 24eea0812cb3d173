import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument, Unreadable, Unwritable, place_of
from mirror.core.system.durable import (
    create_file,
    facts_of,
    make_private_directory,
    read_file,
    read_if_there,
    replacing,
    write_file,
)
from tests.support.tracing import faults, needs_strace, python


def test_a_small_file_is_read_and_a_large_one_refused_at_once(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"12345")
    assert read_file(target, 5) == b"12345"
    os.truncate(target, 1 << 40)
    with pytest.raises(InvalidDocument, match="/a invalid: it has more than the 5 bytes allowed"):
        read_file(target, 5)
    with pytest.raises(Unreadable):
        read_file(tmp_path, 5)


def test_a_pipe_is_read_to_its_end_and_one_from_which_nothing_comes_is_no_empty_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable) as caught:
        read_file(tmp_path / "pipe", 5)
    assert str(caught.value) == f"cannot read {tmp_path}/pipe: it is a pipe, and nothing came from it"
    with subprocess.Popen(["sh", "-c", "sleep 0.3; printf 123"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert read_file(Path(f"/dev/fd/{writer.stdout.fileno()}"), 5) == b"123"


def test_a_pipe_in_the_place_of_a_file_of_ours_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unreadable) as caught:
        read_if_there(tmp_path / "pipe", 5)
    assert str(caught.value) == f"cannot read {tmp_path}/pipe: not a regular file"
    assert read_if_there(tmp_path / "absent", 5) is None


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


def test_what_a_process_left_that_ended_and_that_nobody_asked_is_removed_too(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie from now on
        (tmp_path / f".a.{ended.pid}.tmp").write_text("half")
        write_file(tmp_path / "a", b"x")
        assert os.listdir(tmp_path) == ["a"]


def test_private_directories_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o002)
    try:
        make_private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "a").chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755  # what is there stays as its owner made it


def test_a_private_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(Unwritable, match=r"cannot write .*a/b: "):
        make_private_directory(tmp_path / "a" / "b")


def test_a_file_that_is_being_written_on_another_host_keeps_its_lock_and_is_not_removed(tmp_path: Path) -> None:
    """Its process number means nothing here; its lock does."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    theirs = tmp_path / f".a.{dead.pid}.tmp"
    with theirs.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        write_file(tmp_path / "a", b"x")
        assert theirs.exists()
    write_file(tmp_path / "a", b"y")
    assert os.listdir(tmp_path) == ["a"]


def test_two_writers_of_one_file_do_not_write_into_each_other(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as first:
        first.write(b"first")
        write_file(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_a_file_is_written_in_the_directory_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    descriptor = os.open(tmp_path / "here", os.O_RDONLY)
    try:
        (tmp_path / "here").rename(tmp_path / "moved")
        (tmp_path / "here").mkdir()
        write_file(tmp_path / "here/a", b"x", directory=descriptor)
    finally:
        os.close(descriptor)
    assert [os.listdir(tmp_path / name) for name in ("here", "moved")] == [[], ["a"]]


def test_a_new_file_takes_no_ones_place(tmp_path: Path) -> None:
    create_file(tmp_path / "a", b"x", 0o600)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "a", b"y")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        create_file(tmp_path / "link", b"y")
    with pytest.raises(Unwritable, match="missing/a: No such file or directory"):
        create_file(tmp_path / "missing/a", b"y")
    assert (tmp_path / "a").read_bytes() == b"x"
    assert sorted(os.listdir(tmp_path)) == ["a", "link"]


def test_only_what_certainly_is_not_there_has_no_facts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    assert facts_of(tmp_path / "none") is facts_of(tmp_path / "file/below") is None
    assert facts_of(tmp_path / "dangling") is not None
    with pytest.raises(OSError, match="Too many levels"):
        facts_of(tmp_path / "round/below")


@needs_strace
def test_a_directory_that_is_not_confirmed_says_that_the_file_has_its_new_content(tmp_path: Path) -> None:
    source = "from mirror.core.system.durable import write_file; write_file(Path(sys.argv[1]) / 'a', b'new')"
    (tmp_path / "a").write_bytes(b"old")
    synced = list(faults(python(source, tmp_path), tmp_path, ("fsync",), "error=EIO"))
    (tmp_path / "a").write_bytes(b"old")
    assert "a: Input/output error\n" in synced[0].run().stderr
    assert (tmp_path / "a").read_bytes() == b"old"
    assert "a: Input/output error; it has its new content, but the disk did not confirm" in synced[1].run().stderr
    assert (tmp_path / "a").read_bytes() == b"new"


@needs_strace
@pytest.mark.parametrize("write", ["write_file", "create_file"])
def test_a_look_that_fails_names_the_file_and_leaves_nothing(tmp_path: Path, write: str) -> None:
    source = f"from mirror.core.system.durable import {write}; {write}(Path(sys.argv[1]) / 'a', b'new')"
    looks = list(faults(python(source, tmp_path), tmp_path, ("newfstatat", "fstat", "getdents64"), "error=EIO"))
    (tmp_path / "a").unlink()
    assert len(looks) > 3
    for look in looks:
        said = look.run().stderr
        if (tmp_path / "a").exists():
            (tmp_path / "a").unlink()  # nothing hangs on what failed
        else:
            assert said.endswith(f"cannot write {tmp_path}/a: Input/output error\n"), look
        assert os.listdir(tmp_path) == [], look


def test_an_error_that_names_a_descriptor_names_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(OSError) as failed:
        os.scandir(os.open("/dev/null", os.O_RDONLY))
    assert isinstance(failed.value.filename, int)
    assert place_of(failed.value, tmp_path) == str(tmp_path)
    assert place_of(FileNotFoundError(2, "No such file", b"x"), tmp_path) == "x"
