"""What a person sees while mirror works."""

from __future__ import annotations

import contextlib
import io
import re
import time

import pytest

from mirror.cli.console import Console, human_bytes, talk
from mirror.cli.failure import tell
from mirror.cli.terminal import has_colours
from mirror.core.errors import Unreadable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal like most, and nobody who asked for more or less."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


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


@pytest.mark.parametrize("wide", [20, 60, 80])
def test_a_bar_is_drawn_at_once_and_fits(wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(wide))
    stream = Terminal()
    with Console(stream).task("toolchain", 5 << 30) as advance:
        assert "toolchain" in stream.getvalue()
        time.sleep(0.6)
        advance(3 << 30)
        drawn = stream.getvalue()
    lines = [re.sub(r"\x1b\[K", "", line) for line in drawn.split("\r")]
    assert max(map(len, lines)) < wide
    assert wide == 20 or any("[" in line and "3.00 GiB of 5.00 GiB" in line for line in lines)


def test_work_that_tells_no_amount_shows_that_time_passes() -> None:
    stream = Terminal()
    console = Console(stream)
    console.say("resolving")
    time.sleep(1.2)
    assert stream.getvalue().startswith("resolving\n") and "  ... 1 s\r" in stream.getvalue()
    console.say("done")
    assert stream.getvalue().endswith("\r\x1b[Kdone\n")
    with console.task("build") as advance:
        time.sleep(1.2)
        assert "build      1 s" in stream.getvalue()
        advance(1)


def test_quiet_says_nothing_but_errors(capsys: pytest.CaptureFixture[str]) -> None:
    talk(quiet=True, verbose=False)
    stream = Terminal()
    console = Console(stream)
    console.say("hello")
    with console.task("fetch", 10) as advance:
        advance(10)
    assert stream.getvalue() == ""
    tell(Unreadable("x", "gone"), debug=False)
    assert capsys.readouterr().err.startswith("error: cannot read x: gone\n")


def test_verbose_says_when_a_step_begins_and_what_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    talk(quiet=False, verbose=True)
    stream = io.StringIO()
    console = Console(stream)
    with console.task("fetch", 2048) as advance:
        advance(2048)
    assert re.fullmatch(
        r" +0\.0 s  fetch      begins, 2\.0 KiB\n +0\.0 s  fetch      2\.0 KiB in 0\.0 s\n", stream.getvalue()
    )
    error = Unreadable("x", "gone")
    error.__cause__ = OSError("the disk")
    tell(error, debug=False)
    assert "caused by: OSError: the disk\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colours_are_where_a_terminal_is(
    variables: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not has_colours(io.StringIO())
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_colours(Terminal()) is wanted


def test_an_error_on_a_terminal_is_painted_and_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    with contextlib.redirect_stderr(stream):
        tell(Unreadable("/a/path/that/is/quite/long/and/stays/whole", "No such file or directory"), debug=False)
    assert (
        "\x1b[1;31merror:\x1b[0m cannot read\n       /a/path/that/is/quite/long/and/stays/whole: " in stream.getvalue()
    )
