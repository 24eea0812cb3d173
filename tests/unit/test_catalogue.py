"""Every group of hostile inputs that ``mirror help security`` lists is shown by a test."""

from __future__ import annotations

import subprocess
import sys

from tests.support.catalogue import TESTS, behaviours, marked, shown_by

GROUPS = tuple(range(1, 79))


def test_the_page_lists_all_78_groups_each_with_what_it_leads_to() -> None:
    assert tuple(behaviours()) == GROUPS
    assert all(len(text) > 20 and text.endswith(".") for text in behaviours().values())


def test_no_group_is_without_a_test_that_runs_in_ci() -> None:
    assert [number for number, tests in shown_by().items() if not tests] == []


def test_every_mark_names_groups_that_there_are_once_each_in_order() -> None:
    wrong = [one for one in marked() if list(one.groups) != sorted(set(one.groups) & set(GROUPS))]
    assert wrong == []


def test_every_test_whose_name_tells_a_row_has_its_mark() -> None:
    by_name = {one.test: one.groups for one in marked()}
    for path in TESTS.rglob("test_*.py"):
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("def test_row_"):
                name, number = line[4:].partition("(")[0], int(line.split("_")[2])
                assert number in by_name[f"{path.relative_to(TESTS)}::{name}"]


def test_the_table_has_a_row_for_each_group() -> None:
    ran = subprocess.run(
        [sys.executable, str(TESTS.parent / "scripts/attack"), "table"], capture_output=True, text=True, check=True
    )
    rows = [line for line in ran.stdout.splitlines() if line.startswith("| ")][1:]
    assert [int(row.split(" | ")[0][2:]) for row in rows] == list(GROUPS)
    assert all("::test_" in row for row in rows)
