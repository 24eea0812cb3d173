from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[2]
SCRIPT = TESTS.parent / "scripts" / "doctor-score"


def scored(directory: Path, *words: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, SCRIPT, directory, "--json", *words], capture_output=True, text=True, check=True
    )
    return {row["log"]: row for row in json.loads(done.stdout)["logs"]}


@pytest.mark.parametrize("half", ["a", "b"])
def test_most_logs_of_public_issues_are_told_rightly_or_by_their_layer(half: str) -> None:
    """Half b is never looked at while rules are written."""
    rows = scored(TESTS / "vectors" / "servers", "--half", half).values()
    marks, stated = [row["mark"] for row in rows], [row["mark"] for row in rows if row["stated"]]
    assert len(marks) >= 140
    told = marks.count("right") + marks.count("half")
    assert told >= 0.92 * len(marks) and marks.count("right") >= 0.76 * len(marks)
    assert marks.count("wrong") <= 0.07 * len(marks)
    assert len(stated) >= 0.45 * len(marks) and stated.count("wrong") == 0


def test_each_mark_is_given_for_what_it_says(tmp_path: Path) -> None:
    told = 'layer = "loader"\ncause = "host-library-missing"\nline = 2\nsource = "made"\n'
    logs = {
        "right": "x\nImportError: libnuma.so.1: cannot open shared object file",
        "half": "x\nImportError: libcudnn.so.9: cannot open shared object file",
        "half-unknown": "x\nWeirdError: the moon",
        "silent": "x\ny\nz",
        "wrong": "x\nOSError: [Errno 28] No space left on device",
    }
    for name, text in logs.items():
        (tmp_path / f"{name}.log").write_text(text)
        (tmp_path / f"{name}.toml").write_text(told)
    assert {name: row["mark"] for name, row in scored(tmp_path).items()} == {
        name: name.partition("-")[0] for name in logs
    }
    halves = [set(scored(tmp_path, "--half", half)) for half in "ab"]
    assert halves[0] | halves[1] == set(logs) and not halves[0] & halves[1]
