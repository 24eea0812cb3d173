"""The history of a prefix: cut, shortened, lost, and taken back when it cannot be written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.history import Event, History, HistoryLost, HistorySeal
from mirror.closed.prefix.switching import roll_back
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import Sha256Hex
from tests.support.generations import put_generation
from tests.support.tracing import faults, needs_strace, python

pytestmark = pytest.mark.group(58)

DIGEST = Sha256Hex("ab" * 32)
FIRST = Event("installed", 1, "5-abababababab", 5, DIGEST)
SECOND = Event("installed", 2, "6-abababababab", 6, DIGEST, ("ann",), "because {of} the driver}")
THIRD = Event("removed", 3, "5-abababababab", 5, DIGEST)


def history_of(directory: Path, *events: Event) -> History:
    history = History(directory)
    for event in events:
        history.append(event)
    return history


def test_a_line_cut_anywhere_also_after_a_brace_blocks_nothing(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = history_of(tmp_path / "whole", FIRST, SECOND)
    data = whole.path.read_bytes()
    begin = data.index(b"\n") + 1
    for cut in range(begin, len(data)):
        place = tmp_path / str(cut)
        place.mkdir()
        history = history_of(place, FIRST)
        history.path.write_bytes(data[:cut])
        is_all_there = cut == len(data) - 1  # but for the end of the line
        before = (FIRST, SECOND) if is_all_there else (FIRST,)
        assert history.events() == before, cut
        history.append(THIRD)
        assert history.events() == (*before, THIRD), cut
        history.append(SECOND)
        assert history.events() == (*before, THIRD, SECOND), cut


def test_a_power_loss_that_left_zeros_blocks_nothing(tmp_path: Path) -> None:
    history = history_of(tmp_path, FIRST)
    with history.path.open("ab") as stream:
        stream.write(bytes(100))
    assert history.events() == (FIRST,)
    history.append(SECOND)
    assert history.events() == (FIRST, SECOND)


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_history_that_lost_lines_is_missed_where_no_generation_is_left_to_tell(tmp_path: Path, left: int) -> None:
    history = history_of(tmp_path, FIRST, THIRD, SECOND)
    size = history.path.stat().st_size
    lines = history.path.read_bytes().splitlines(keepends=True)
    history.path.write_bytes(b"".join(lines[:left]))
    with pytest.raises(HistoryLost) as caught:
        history.greatest()
    kept = len(b"".join(lines[:left]))
    assert str(caught.value) == f"{history.path}: it has {kept} bytes, history.json beside it knows of {size}"
    assert "than that of 1970-01-01T00:00:06Z, the newest" in caught.value.hint
    history.path.unlink()
    with pytest.raises(HistoryLost):
        history.events()


def test_a_history_with_another_beginning_is_missed_too(tmp_path: Path) -> None:
    history = history_of(tmp_path, FIRST, SECOND)
    history.path.write_bytes(history.path.read_bytes().replace(b'"sequence": 5', b'"sequence": 4'))
    with pytest.raises(HistoryLost, match=r"its first .* bytes are not those that history\.json beside it knows of"):
        history.events()


def test_what_tells_that_lines_are_lost_is_not_lost_with_the_next_line(tmp_path: Path) -> None:
    """A rollback works when all else is broken; it writes a line, and the loss stays a loss."""
    prefix = Prefix(tmp_path / "p")
    for sequence in (1, 2):
        put_generation(prefix, sequence)
    roll_back(prefix)
    history = History(prefix.root)
    history.path.unlink()
    assert roll_back(prefix, "2-").number == 2
    assert history.path.exists()
    with pytest.raises(HistoryLost):
        history.greatest()
    assert HistorySeal.parse(history.path.with_name("history.json").read_bytes()).greatest == 2


def test_a_history_of_before_there_were_seals_is_believed_and_sealed_with_the_next_line(tmp_path: Path) -> None:
    history = history_of(tmp_path, FIRST)
    seal = history.path.with_name("history.json")
    seal.unlink()
    assert history.events() == (FIRST,)
    history.append(SECOND)
    found = HistorySeal.parse(seal.read_bytes())
    assert (found.size, found.greatest) == (history.path.stat().st_size, 6)
    assert HistorySeal.parse(found.encode()) == found


def test_a_damaged_seal_and_a_seal_that_is_a_link_are_named(tmp_path: Path) -> None:
    history = history_of(tmp_path, FIRST)
    seal = history.path.with_name("history.json")
    seal.write_bytes(b"{")
    with pytest.raises(InvalidDocument) as caught:
        history.events()
    assert f"move {seal} away" in caught.value.hint
    seal.unlink()
    seal.symlink_to("history.jsonl")
    with pytest.raises(Unreadable, match=r"history\.json: Too many levels"):
        history.events()


def test_a_damaged_line_says_what_can_be_done(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b'{"reason": "cut by a mirror of before }\n')
    with pytest.raises(InvalidDocument) as caught:
        History(tmp_path).events()
    assert "Put the file back from a backup; without one" in caught.value.hint


APPEND = """
import resource, signal
from mirror.closed.prefix.history import Event, History
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if len(sys.argv) > 2: resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
History(Path(sys.argv[1])).append(Event("installed", 2, "6-abababababab", 6, "ab" * 32))
"""


def test_what_a_full_disk_cut_short_is_taken_back(tmp_path: Path) -> None:
    history = history_of(tmp_path, FIRST)
    before = history.path.read_bytes()
    finished = subprocess.run(python(APPEND, tmp_path, len(before) + 40), capture_output=True, text=True)
    assert "File too large" in finished.stderr
    assert history.path.read_bytes() == before


@needs_strace
@pytest.mark.parametrize("kind", ["signal=KILL", "error=EIO"])
def test_whatever_call_fails_a_line_is_there_or_not_and_the_next_one_is_written(tmp_path: Path, kind: str) -> None:
    names = ("openat", "write", "fsync", "renameat", "flock", "unlinkat", "ftruncate")
    place = tmp_path / "p"
    place.mkdir()
    history = history_of(place, FIRST)
    begin = {path.name: path.read_bytes() for path in place.iterdir()}
    for fault in faults(python(APPEND, place), place, names, kind):
        for path in place.iterdir():
            path.unlink()
        for name, data in begin.items():
            (place / name).write_bytes(data)
        finished = fault.run()
        told = history.events()
        assert told in ((FIRST,), (FIRST, told[-1])), fault
        if finished.returncode == 0:
            assert len(told) == 2, fault
        history.append(SECOND)
        assert history.events() == (*told, SECOND), fault
        assert sorted(path.name for path in place.iterdir()) == ["history.json", "history.jsonl"], fault
