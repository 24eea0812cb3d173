"""A result takes the place of its own kind alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.system.durable import read_file
from mirror.core.system.output import check_output


@pytest.mark.parametrize("found", [b"", b"MANIFEST.json\0and more"])
def test_an_older_one_or_an_empty_file_is_replaced(tmp_path: Path, found: bytes) -> None:
    (tmp_path / "b.tar").write_bytes(found)
    check_output(tmp_path / "b.tar", "bundle", b"MANIFEST.json")
    check_output(tmp_path / "new.tar", "bundle", b"MANIFEST.json")


def test_whatever_else_is_there_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (tmp_path / "link").symlink_to("key")
    for name in ("fifo", "key", "link"):
        with pytest.raises(Unwritable, match="it is there and is no bundle; name another file with -o"):
            check_output(tmp_path / name, "bundle", b"MANIFEST.json")
    for name, step in ((".", "Name a file in it"), ("nowhere/b.tar", "Make the directory first")):
        with pytest.raises(Unwritable) as caught:
            check_output(tmp_path / name, "bundle", b"MANIFEST.json")
        assert caught.value.hint.startswith(step)


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Unreadable, match="it is a pipe, and nothing came from it"):
        read_file(tmp_path / "fifo", 10)
    reader, writer = os.pipe()
    os.write(writer, b"all of it")
    os.close(writer)
    assert read_file(Path(f"/dev/fd/{reader}"), 10) == b"all of it"


@pytest.mark.parametrize("command", ["installer", "detect"])
def test_a_key_in_the_place_of_a_small_result_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    key = tmp_path / "key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert main([command, "-o", str(key)]) == Unwritable.exit_code
    assert "it is there and is no " in capsys.readouterr().err
    assert key.read_text().startswith("-----BEGIN")
    for _ in range(2):  # its own kind is replaced
        assert main([command, "-o", str(tmp_path / "own")]) == 0
