"""The decompressor of hosts without one: a carried wheel run by the target's Python, or the host's program."""

from __future__ import annotations

import os
import random
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.closed.toolkit.zstd import ZstdFinder, ZstdProcess
from mirror.core.archives.zstdframe import OneFrame
from tests.support.wheels import zstd_wheel

PYTHON = Path(sys.executable)
HELLO = bytes.fromhex("28b52ffd200529000068656c6c6f")
"""``hello`` in one raw block."""

NO_PROGRAM = ("no-such-zstd",)


def read(finder: ZstdFinder, data: bytes) -> bytes:
    frame, out, at = OneFrame(finder()), [], 0
    try:
        while not frame.eof:
            block = data[at : at + (1 << 18)] if frame.needs_input else b""
            assert block or not frame.needs_input, "it asks for more than there is"
            at += len(block)
            out.append(frame.decompress(block, 1 << 20))
    finally:
        frame.close()
    return b"".join(out)


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    if sys.version_info < (3, 14):
        pytest.importorskip("backports.zstd")
    return zstd_wheel(tmp_path)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_the_carried_wheel_decompresses_in_the_targets_python(wheel: Path, work: Path) -> None:
    finder = ZstdFinder(PYTHON, wheel, work, NO_PROGRAM)
    assert read(finder, HELLO) == b"hello"
    assert read(finder, HELLO) == b"hello"


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the standard library comes first there")
def test_much_goes_through_in_little_pieces(wheel: Path, work: Path) -> None:
    zstd = pytest.importorskip("backports.zstd")
    content = random.Random(1).randbytes(3_000_000) + b"abc" * 5_000_000
    assert read(ZstdFinder(PYTHON, wheel, work, NO_PROGRAM), zstd.compress(content)) == content


@pytest.mark.skipif(shutil.which("zstd") is None, reason="this host has no zstd program")
def test_the_hosts_program_is_the_second_choice(work: Path) -> None:
    assert read(ZstdFinder(Path("/nowhere/python"), None, work), HELLO) == b"hello"


def test_a_wheel_for_another_python_is_passed_over(tmp_path: Path, work: Path) -> None:
    """A bundle for Python 3.12, say, whose interpreter turns out to be another: it says so, and the program is used."""
    wheel = tmp_path / "backports_zstd-1.8.0-cp312-cp312-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("backports/zstd/__init__.py", "raise ImportError('built for another Python')\n")
    fake = program(tmp_path / "fake", "cat >/dev/null; printf mirror")
    if sys.version_info < (3, 14):
        with pytest.raises(LookupError, match="built for another Python; the program no-such-zstd: it is not on PATH"):
            ZstdFinder(PYTHON, wheel, work, NO_PROGRAM)()
    assert read(ZstdFinder(Path("/nowhere/python"), wheel, work, (str(fake),)), HELLO) == b"mirror"


def test_what_decompresses_wrongly_is_not_believed(tmp_path: Path, work: Path) -> None:
    liars = [
        program(tmp_path / f"liar{number}", text) for number, text in enumerate(("cat", "cat >/dev/null", "exit 3"))
    ]
    finder = ZstdFinder(Path("/nowhere/python"), None, work, tuple(map(str, liars)))
    with pytest.raises(LookupError) as caught:
        finder()
    words = str(caught.value)
    assert "no carried wheel with /nowhere/python: No such file or directory" in words
    assert "liar0: it makes b'(\\xb5/\\xfd \\x061\\x00\\x00mirror' of a known frame" in words
    assert "liar1: it makes b'' of a known frame" in words
    assert "liar2: its decompressor ended with 3" in words


def test_members_with_odd_names_are_left_in_the_wheel(tmp_path: Path, work: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        for name in ("../evil.py", "/evil.py", "backports/zstd/../../evil.py", "backports/__init__.py", "evil.py"):
            archive.writestr(name, "raise SystemExit('evil')\n")
    assert read(ZstdFinder(PYTHON, wheel, work, NO_PROGRAM), HELLO) == b"hello"
    assert not list(tmp_path.rglob("evil.py"))
    assert {path.relative_to(work).parts[1:3] for path in work.rglob("*.py")} <= {("backports", "zstd")}


def test_a_wheel_that_is_none_or_unpacks_to_too_much_is_passed_over(tmp_path: Path, work: Path) -> None:
    bomb = tmp_path / "backports_zstd-1.0-bomb.whl"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("backports/zstd/__init__.py", bytes(17 << 20))
    broken = tmp_path / "backports_zstd-1.0-broken.whl"
    broken.write_bytes(b"no wheel")
    for wheel, words in ((bomb, "it holds more than 16777216 bytes"), (broken, "File is not a zip file")):
        with pytest.raises(LookupError, match=words):
            ZstdFinder(Path("/nowhere/python"), wheel, work, NO_PROGRAM)()


@pytest.fixture
def child(tmp_path: Path, work: Path) -> Iterator[ZstdProcess]:
    """A program that writes down what it sees of its surroundings, then reads for ever."""
    made = ZstdProcess([str(program(tmp_path / "p", "env > seen; ls -l /proc/self/fd > open; cat"))], work)
    yield made
    made.close()


def test_a_child_sees_nothing_of_the_users_and_ends_with_its_stream(
    child: ZstdProcess, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert child.needs_input
    out = child.decompress(b"abc", 10)
    while not out:
        out = child.decompress(b"", 10)
    assert out == b"abc"
    assert "PYTHON" not in (work / "seen").read_text()
    child.close()
    assert child._process.returncode is not None
    child.close()


def test_a_childs_refusal_is_a_value_error_in_its_words(tmp_path: Path, work: Path) -> None:
    child = ZstdProcess([str(program(tmp_path / "p", "echo 'I do not like it' >&2; exit 1"))], work)
    with pytest.raises(ValueError, match="I do not like it"):
        while True:
            child.decompress(b"x" * 100_000, 10)
    child.close()


def test_a_child_that_stops_early_is_not_believed(tmp_path: Path, work: Path) -> None:
    child = ZstdProcess([str(program(tmp_path / "p", "exit 0"))], work)
    with pytest.raises(ValueError, match="its decompressor ended with 0"):
        while True:
            child.decompress(b"x" * 100_000, 10)
    child.close()


def test_a_child_that_closes_its_output_and_stays_is_ended(tmp_path: Path, work: Path) -> None:
    child = ZstdProcess([str(program(tmp_path / "p", "exec >&-; sleep 100"))], work, patience_s=0.2)
    with pytest.raises(ValueError, match="its decompressor ended with -1"):
        child.decompress(b"x", 10)
        child.finish()
        child.decompress(b"", 10)
    child.close()
    assert child._process.returncode == -9


def test_a_child_that_says_nothing_is_not_waited_for_for_ever(tmp_path: Path, work: Path) -> None:
    child = ZstdProcess([str(program(tmp_path / "p", "sleep 100"))], work, patience_s=0.2)
    child.decompress(b"x", 10)
    child.finish()
    with pytest.raises(ValueError, match="has said nothing for 0 s"):
        child.decompress(b"", 10)
    child.close()


def test_no_descriptor_is_left_open(wheel: Path, work: Path) -> None:
    finder = ZstdFinder(PYTHON, wheel, work, NO_PROGRAM)
    read(finder, HELLO)
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        read(finder, HELLO)
    with pytest.raises(OSError, match="No such file"):
        ZstdProcess(["/nowhere"], work)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert len(list(work.glob("zstd-*"))) == 1, "the wheel is unpacked once"
