"""The groups of hostile inputs of ``mirror help security``, section 3, and the tests that show them.

A test says with ``@pytest.mark.group(16)`` which groups it shows; it may show several. The behaviour is the page's own words.
Read by ``tests/unit/test_catalogue.py``, which holds that no group is without, and by ``scripts/attack table``.

Example::

    shown_by()[16]    # ["core/bundle/test_reader.py::test_what_is_no_regular_file_is_named", ...]
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mirror.cli.commands.anywhere.help import page

TESTS = Path(__file__).parents[1]
_GROUP = re.compile(r"^- \*\*(\d+)\*\* (.*(?:\n {2}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A test that shows one group or more.

    Attributes:
        test: ``"unit/core/bundle/test_reader.py::test_..."``, below ``tests``.
        groups: their numbers.
        is_slow: it runs before an issue is said to be resolved, not in CI.
    """

    test: str
    groups: tuple[int, ...]
    is_slow: bool


def behaviours() -> Mapping[int, str]:
    """Group -> what it is and what it leads to, as the page says it, on one line."""
    section = page("security").partition("\n## 3. ")[2].partition("\n## ")[0]
    return {int(number): " ".join(text.split()) for number, text in _GROUP.findall(section)}


@cache
def marked() -> tuple[Shown, ...]:
    """Every test that is marked; read from the sources, nothing is imported."""
    return tuple(_marked())


def _marked() -> Iterator[Shown]:
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                marks = [mark for one in node.decorator_list for mark in ast.walk(one)]
                groups = tuple(number for mark in marks for number in _numbers(mark))
                if groups:
                    slow = any(isinstance(mark, ast.Attribute) and mark.attr == "slow" for mark in marks)
                    yield Shown(f"{path.relative_to(TESTS)}::{node.name}", groups, slow)


def _numbers(mark: ast.AST) -> Iterator[int]:
    if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == "group":
        for number in mark.args:
            yield ast.literal_eval(number)


def shown_by() -> Mapping[int, list[str]]:
    """Group -> the tests that show it and run in CI; every group is there."""
    found: dict[int, list[str]] = {number: [] for number in behaviours()}
    for shown in marked():
        for number in () if shown.is_slow else shown.groups:
            found.setdefault(number, []).append(shown.test)
    return found
