"""Two real locks that differ in three packages, bundled and compared."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import run

pytestmark = pytest.mark.index

SAME = ["idna==3.10", "click==8.1.8"]
OLD = ["packaging==24.2", "certifi==2025.1.31", "six==1.16.0"]
NEW = ["packaging==25.0", "certifi==2025.4.26", "six==1.17.0"]


def bundle(directory: Path, requirements: list[str], environment: dict[str, str]) -> Path:
    stack = directory / "small.toml"
    directory.mkdir()
    stack.write_text(
        '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n'
        f"[python]\nrequirements = {json.dumps([*SAME, *requirements])}\n"
    )
    mirror = [sys.executable, "-m", "mirror.cli.main"]
    run([*mirror, "bundle", "--lock", directory / "small.txt", "-o", directory / "small.tar"], environment)
    return directory / "small.tar"


def test_two_real_locks_that_differ_in_three_packages(tmp_path: Path) -> None:
    environment = {"MIRROR_HOME": str(tmp_path / "keys")}
    old, new = bundle(tmp_path / "old", OLD, environment), bundle(tmp_path / "new", NEW, environment)
    mirror = [sys.executable, "-m", "mirror.cli.main"]
    changes = json.loads(run([*mirror, "diff", old, new, "--json"], environment))
    updated = {one["name"]: (one["old"]["version"], one["new"]["version"]) for one in changes["updated"]}
    assert updated == {
        "packaging": ("24.2", "25.0"),
        "certifi": ("2025.1.31", "2025.4.26"),
        "six": ("1.16.0", "1.17.0"),
    }
    assert not any(changes[group] for group in ("added", "removed", "rebuilt", "replaced", "moved"))
    text = run([*mirror, "diff", old, new], environment)
    assert "updated (3)" in text and "six 1.16.0 -> 1.17.0" in text
    page = tmp_path / "report.html"
    run([*mirror, "report", new, "-o", page, "--since", old], environment)
    assert "six" in page.read_text("utf-8")
