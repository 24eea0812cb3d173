"""What is kept of silence in a generation, and how much of it can be believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.silence.record import KEPT, NAME, Note, prove, read_notes, write_note
from mirror.closed.soundness import check_generation
from mirror.core.errors import InvalidDocument, Unreadable
from tests.support.generations import put_generation

NOTE = Note(5, ("vllm", "serve"), silent=True, tried=0, code=0, way="seccomp", driver="580.1", gpus=("NVIDIA H200",))
REACH = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 53))"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prefix:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Prefix(tmp_path / "h100")


@pytest.fixture
def generation(prefix: Prefix) -> Generation:
    return put_generation(prefix, 1)


def test_nothing_is_noted_of_what_nobody_watched(generation: Generation) -> None:
    assert read_notes(generation.path) == ()


def test_the_newest_is_first_and_the_oldest_goes(prefix: Prefix, generation: Generation) -> None:
    for at in range(KEPT + 2):
        write_note(prefix, generation, Note(at, ("true",), silent=at % 2 == 0, tried=at % 2, code=0, way="strace"))
    notes = read_notes(generation.path)
    assert [note.at for note in notes] == list(range(KEPT + 1, 1, -1))
    assert notes[0] == Note(KEPT + 1, ("true",), silent=False, tried=1, code=0, way="strace")


def test_it_runs_in_the_stacks_environment_and_tells_on_what(generation: Generation, tmp_path: Path) -> None:
    gpu = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    gpu.mkdir(parents=True)
    (gpu / "information").write_text("Model: \t\t NVIDIA H200\nIRQ:   \t\t 4\n")
    show = f'test "$MIRROR_GENERATION" = "{generation.path}"'
    watched, note = prove(
        load_environment(generation), ["sh", "-c", show, "--api-key", "s3cret"], os.environ, tmp_path / "proc"
    )
    assert (watched.code, note.silent, note.tried, note.gpus) == (0, True, 0, ("NVIDIA H200",))
    assert note.command == ("sh", "-c", show, "--api-key", "...")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--api-key", "s3cret", "--port", "8000"], ("--api-key", "...", "--port", "8000")),
        (["--hf-token=s3cret", "-v"], ("--hf-token=...", "-v")),
        (["--SSL-KeyFile", "/a/key"], ("--SSL-KeyFile", "...")),
        (["x" * 500], ("x" * 200,)),
        (["1"] * 100, ("1",) * 59 + ("...",)),
    ],
)
def test_what_is_noted_of_a_command_has_no_secret_and_an_end(
    generation: Generation, words: list[str], told: tuple[str, ...]
) -> None:
    _, note = prove(load_environment(generation), ["true", *words], os.environ)
    assert note.command == ("true", *told)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"format": "mirror-silence-record/2"}', b"\xff" * 10, b"{" * 5000])
def test_a_file_that_is_none_of_ours_is_told_and_replaced(prefix: Prefix, generation: Generation, data: bytes) -> None:
    (generation.path / NAME).write_bytes(data)
    with pytest.raises(InvalidDocument):
        read_notes(generation.path)
    assert main(["status", "--prefix", str(prefix.root)]) == 0
    write_note(prefix, generation, NOTE)
    assert read_notes(generation.path) == (NOTE,)


def test_what_cannot_be_read_is_not_taken_for_nothing(prefix: Prefix, generation: Generation) -> None:
    (generation.path / NAME).mkdir()
    with pytest.raises(Unreadable):
        write_note(prefix, generation, NOTE)


def test_a_note_does_not_damage_what_is_sealed(prefix: Prefix, generation: Generation) -> None:
    before = check_generation(generation).damages
    write_note(prefix, generation, NOTE)
    assert check_generation(generation).damages == before


def test_the_operators_record_is_shown_by_status(
    prefix: Prefix, generation: Generation, capsys: pytest.CaptureFixture[str]
) -> None:
    (generation.path / "venv/bin").mkdir(parents=True, exist_ok=True)
    python = str(Path(os.__file__).parents[2] / "bin/python3")
    record = ["silence", "--record", "--prefix", str(prefix.root), "--", python, "-I", "-c"]
    assert main([*record, ""]) == 0
    assert main(["status", "--prefix", str(prefix.root)]) == 0
    assert f"     silent on {read_day(generation)}" in capsys.readouterr().out
    assert main([*record, REACH]) == 8
    capsys.readouterr()
    assert main(["status", "--prefix", str(prefix.root)]) == 0
    shown = capsys.readouterr().out
    assert f"     not silent (1 address or name) on {read_day(generation)}" in shown
    assert [note.silent for note in read_notes(generation.path)] == [False, True]


def read_day(generation: Generation) -> str:
    import time

    return time.strftime("%Y-%m-%d", time.gmtime(read_notes(generation.path)[0].at))


def test_a_stack_is_named_for_the_record_alone(prefix: Prefix, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exc_info:
        main(["silence", "--prefix", str(prefix.root), "--", "true"])
    assert exc_info.value.code == 2
    assert "a stack is named with --record" in capsys.readouterr().err


def test_nothing_is_run_where_nothing_is_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = tmp_path / "ran"
    assert main(["silence", "--record", "--prefix", str(tmp_path / "none"), "--", "touch", str(ran)]) == 99
    assert not ran.exists()
