"""Numbers, ways back, and gc over every count: what is told to stay stays."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import NoSuchGeneration, Prefix
from mirror.closed.prefix.history import History, record
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.status import read_status
from mirror.closed.prefix.switching import roll_back
from tests.support.generations import put_generation

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Each generation is flushed to its disk, which a few hundred of them would wait for."""


def numbers(prefix: Prefix) -> list[int]:
    stack = read_stack(prefix)
    return [stack.number(generation) for generation in stack.generations]


@settings(max_examples=30, deadline=None)
@given(
    count=some.integers(1, 7),
    keep=some.integers(0, 9),
    moves=some.lists(some.integers(1, 7), max_size=4),
    again=some.integers(2, 3),
)
def test_gc_keeps_the_current_one_what_was_rolled_back_from_and_as_many_as_it_was_told(
    count: int, keep: int, moves: list[int], again: int
) -> None:
    with tempfile.TemporaryDirectory(dir=_MEMORY) as directory:
        prefix = Prefix(Path(directory) / "h100")
        for sequence in range(1, count + 1):
            put_generation(prefix, sequence)
        current, left = count, 0
        for to in moves:
            roll_back(prefix, str(min(to, count)))
            if min(to, count) != current:
                current, left = min(to, count), current
        stay = {current, *range(max(1, current - keep), current), *([left] if keep and left else [])}
        later = [number for number in range(count, current, -1) if number not in stay]
        stay |= {*later[: max(0, keep + 1 - len(stay))]}
        for _ in range(again):
            report = collect([prefix], keep)
            assert numbers(prefix) == sorted(stay)
        assert report.removed == ()
        if keep and current > 1:
            assert roll_back(prefix).number == current - 1
            assert roll_back(prefix, str(current)).before_number == current - 1


def test_to_keep_none_says_that_nothing_is_left_to_go_back_to(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    assert [item.why for item in collect([prefix], keep=0).removed] == [
        "older than what is kept",
        "older than what is kept; 'mirror rollback' cannot go back to it",
    ]


def test_numbers_are_in_the_order_of_installing_and_are_never_given_again(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    for sequence in (5, 3, 9):  # 3 was allowed on top of 5
        record(prefix, "installed", put_generation(prefix, sequence), 1)
    stack = read_stack(prefix)
    assert [(stack.number(one), one.identity.sequence) for one in stack.generations] == [(1, 5), (2, 3), (3, 9)]
    assert roll_back(prefix).number == 2
    assert roll_back(prefix).number == 1
    collect([prefix], keep=0)
    record(prefix, "installed", put_generation(prefix, 10), 1)
    assert numbers(prefix) == [1, 4]


def test_a_prefix_without_a_history_has_numbers_too_and_keeps_them(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    assert numbers(prefix) == [1, 2, 3]
    roll_back(prefix)
    assert [event.action for event in History(prefix.root).events()] == ["installed"] * 3 + ["rolled-back"]
    collect([prefix], keep=0)
    assert numbers(prefix) == [2]


def test_a_generation_is_named_by_number_name_or_the_beginning_of_its_name(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    first, second = put_generation(prefix, 21), put_generation(prefix, 22)
    stack = read_stack(prefix)
    assert stack.named("1") == stack.named(first.name) == stack.named("21") == first
    assert stack.named("2") == second
    for text in ("3", "x", "", "2-"):
        with pytest.raises(NoSuchGeneration) as exc_info:
            stack.named(text)
        assert f"it holds 1 ({first.name}), 2 ({second.name})" in str(exc_info.value)


def test_status_shows_a_generation_whose_receipt_is_damaged(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    first, _ = put_generation(prefix, 1), put_generation(prefix, 2)
    first.receipt.write_bytes(b"{")
    status = read_status(prefix)
    assert [(one.number, one.receipt is None) for one in status.generations] == [(1, True), (2, False)]
    assert roll_back(prefix).number == 1
