"""What a person sees while mirror works."""

from __future__ import annotations

import io

import pytest

from mirror.cli.console import Console, human_bytes


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.00 GiB")]
)
def test_sizes_are_readable(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_elsewhere_than_on_a_terminal_there_are_plain_lines() -> None:
    stream = io.StringIO()
    console = Console(stream)
    console.say("hello")
    with console.task("fetch", 2048) as advance:
        advance(1024)
        advance(1024)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "hello"
    assert lines[1].startswith("fetch      2.0 KiB in ")
    assert "\r" not in stream.getvalue()


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Console(stream).task("verify", 100, "files") as advance:
        advance(50)
    assert "verify     [############            ] 50 files of 100 files" in stream.getvalue()


def test_a_dumb_terminal_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Console(stream).task("verify", 100) as advance:
        advance(50)
    assert "\r" not in stream.getvalue()


def test_a_task_with_nothing_to_do_says_nothing() -> None:
    stream = io.StringIO()
    with Console(stream).task("fetch", 0):
        pass
    assert stream.getvalue() == ""
