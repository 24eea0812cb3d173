"""The doctor's rows and the tests that they have: excerpts of logs, and tests that make the real fault.

``tests/vectors/logs`` holds what the tools print; a test that makes a row's fault says so with ``@made("16")``. Both are read
by ``tests/unit/core/logs/symptoms/test_symptoms.py``, which holds that no row is without, and by ``scripts/doctor-table``.

Example::

    @made("16")
    def test_a_library_that_is_not_there(...): ...
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, TypeVar

import mirror

TESTS = Path(__file__).parents[1]
LOGS = TESTS / "vectors" / "logs"
MAKERS = (TESTS / "unit" / "core" / "logs", TESTS / "unit" / "closed" / "doctor")

PAGE = Path(mirror.__file__).parent / "help" / "cuda.md"
ROWS = tuple(re.findall(r"(?m)^- \*\*(\w+)\*\*", PAGE.read_text("utf-8").partition("\n## E")[2]))
"""Of CUDA.md section E, in its order."""

_Test = TypeVar("_Test", bound=Callable[..., object])


@dataclass(frozen=True)
class Excerpt:
    """A piece of a log.

    Attributes:
        name: of the test's case, ``"E1-04"``.
        row: that is to be found, and no other.
        line: that it is first seen on.
        words: of its finding.
        source: where the text is from.
        text: the log.
    """

    name: str
    row: str
    line: int
    words: str
    source: str
    text: str


def excerpts() -> list[Excerpt]:
    """All of them, in the order of the rows."""
    found = []
    for path in sorted(LOGS.glob("*.txt")):
        for number, section in enumerate(path.read_text("utf-8").split("\n=== ")[1:], 1):
            head, _, text = section.partition("\n")
            row, line, words, source = head.split(" | ", 3)
            log = text.rstrip("\n").replace("\u241b", "\x1b") + "\n"
            found.append(Excerpt(f"{path.stem}-{number:02}-row-{row}", row, int(line), words, source, log))
    return found


def made(*rows: str) -> Callable[[_Test], _Test]:
    """Marks a test that makes the fault of these rows with the real tool."""
    assert set(rows) <= set(ROWS), rows

    def mark(test: _Test) -> _Test:
        return test

    return mark


def made_tests() -> Mapping[str, list[str]]:
    """Row -> the tests that make its fault, as ``test_file.py::test_name``; read from the source, nothing is imported."""
    found: dict[str, list[str]] = {}
    for path in sorted(path for place in MAKERS for path in place.rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            for call in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "made":
                    assert isinstance(node, ast.FunctionDef)
                    for argument in call.args:
                        assert isinstance(argument, ast.Constant), f"{path.name}::{node.name}: rows are written out"
                        found.setdefault(str(argument.value), []).append(f"{path.name}::{node.name}")
    return found
