"""What stands before a message, taken off: who says it, and how grave it is in its own words."""

from __future__ import annotations

import pytest

from mirror.core.logs.origin import Origin, origin
from mirror.core.logs.suspects import shape, shown


@pytest.mark.parametrize(
    ("prefix", "process", "level"),
    [
        ("", "", "ERROR"),
        ("2026-11-20T08:00:00.123Z stderr F ", "", "ERROR"),
        ("Nov 20 08:00:00 node1 vllm[17]: ", "", "ERROR"),
        ("[rank3]: ", "rank3", "ERROR"),
        ("(Worker_TP1 pid=81) WARNING 11-20 08:00:00 [core.py:9] ", "Worker_TP1 pid=81", "WARNING"),
        ("INFO:     ", "", "INFO"),
        ("host1:1:114 [2] NCCL INFO ", "", "INFO"),
        (
            "Nov 20 08:00:00 node1 vllm[17]: (EngineCore_DP0 pid=73) ERROR 11-20 08:00:00 ",
            "EngineCore_DP0 pid=73",
            "ERROR",
        ),
    ],
)
def test_prefixes_are_taken_off_one_after_the_other(prefix: str, process: str, level: str) -> None:
    assert origin(f"{prefix}RuntimeError: no") == Origin(process, level, "RuntimeError: no")


def test_a_message_that_speaks_of_a_warning_is_none() -> None:
    assert origin("the WARNING above is harmless").level == "ERROR"


def test_lines_that_differ_in_their_numbers_alone_have_one_shape() -> None:
    assert shape("rank 3 failed at 17:05") == shape("rank 12 failed at 9:41") != shape("rank 3 ended at 17:05")


def test_what_is_shown_of_a_line_is_short_and_moves_no_cursor() -> None:
    line = "\x1b[31mError\x1b[0m" + "x" * 10_000
    told = shown(line, 5, 0, len(line))
    assert "\x1b" not in told and len(told) < 300
