"""A patch is applied exactly, all of it, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.building.patching import PatchRefused, apply_patch

SETUP = "one\ntwo\nthree\nfour\n"
HEAD = "--- a/setup.py\n+++ b/setup.py\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    (root / "setup.py").write_text(SETUP)
    (root / "old.txt").write_bytes(b"caf\xe9\r\nlast")
    (root / "link").symlink_to(tmp_path)
    return root


def test_files_are_changed_made_and_removed_and_have_the_time_of_the_source(source: Path) -> None:
    patch = (
        b"A word first.\n- with a point\n\ndiff --git a/setup.py b/setup.py\nindex 1..2 100644\n"
        b"--- a/setup.py\t2026-01-01\n+++ b/setup.py\n@@ -1,2 +1,3 @@ def f():\n one\n+and a half\n two\n"
        b"@@ -4 +5 @@\n-four\n+4\n"
        b"--- a/old.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-caf\xe9\r\n-last\n\\ No newline at end of file\n"
        b"--- /dev/null\n+++ b/new/made.txt\n@@ -0,0 +1 @@\n+new\n-- \n2.39\n"
    )
    apply_patch(patch, "one.diff", source, 1_600_000_000)
    assert (source / "setup.py").read_text() == "one\nand a half\ntwo\nthree\n4\n"
    assert not (source / "old.txt").exists() and (source / "new/made.txt").read_text() == "new\n"
    assert {(source / name).stat().st_mtime for name in ("setup.py", "new/made.txt")} == {1_600_000_000}


@pytest.mark.parametrize(
    "patch, problem",
    [
        (HEAD + "@@ -2,1 +2,1 @@\n-twice\n+2\n", "line 5: setup.py line 2 is 'two', not 'twice'"),
        (HEAD + "@@ -3,1 +3,1 @@\n-two\n+2\n", "line 5: setup.py line 3 is 'three', not 'two'"),
        (HEAD + "@@ -2,2 +2,2 @@\n-two\n+2\n", "line 6: the hunk for setup.py is cut short"),
        (HEAD + "@@ -2,1 +2,1 @@\n-two\n+2\n three\n", "line 5: the hunk for setup.py has more lines than it says"),
        (HEAD + "@@ -2,1 +2,1 @@\n-two\n+2\n+2.5\n", "line 5: the hunk for setup.py has more lines than it says"),
        (HEAD + "@@ -2,1 +2,1 @@\n-two\n+2\n@@ nonsense\n-four\n+4\n", "line 6: a hunk belongs to no file"),
        (HEAD + "@@ -9,1 +9,1 @@\n-two\n+2\n", "line 3: setup.py has 4 lines, or the hunk overlaps the one before"),
        (HEAD, "line 2: there is no hunk for setup.py"),
        ("@@ -1 +1 @@\n-one\n+1\n", "line 1: a hunk belongs to no file"),
        ("GIT binary patch\nliteral 3\n", "line 1: it moves a file, or changes one that is no text"),
        ("rename from a\nrename to b\n", "line 1: it moves a file, or changes one that is no text"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n", "line 2: x is not there"),
        ("--- /dev/null\n+++ b/setup.py\n@@ -0,0 +1 @@\n+b\n", "line 2: setup.py is there already"),
        (
            "--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-a\n+b\n",
            "line 1: 'a/../x' is no path such as 'a/setup.py', inside of the source",
        ),
        ("--- a/link/x\n+++ b/link/x\n@@ -1 +1 @@\n-a\n+b\n", "line 1: 'a/link/x' leads through a link"),
        (HEAD + "@@ -1 +1 @@\n-one\n+1\n" + HEAD + "@@ -1 +1 @@\n-1\n+one\n", "line 7: setup.py is changed twice"),
    ],
)
def test_what_does_not_fit_exactly_is_refused_and_nothing_is_written(source: Path, patch: str, problem: str) -> None:
    good = "--- /dev/null\n+++ b/first.txt\n@@ -0,0 +1 @@\n+new\n"
    with pytest.raises(PatchRefused) as caught:
        apply_patch(patch.encode(), "one.diff", source, 0)
    assert str(caught.value) == f"one.diff cannot be applied: {problem}"
    with pytest.raises(PatchRefused):
        apply_patch((good + patch).encode(), "one.diff", source, 0)
    assert sorted(path.name for path in source.iterdir()) == ["link", "old.txt", "setup.py"]
    assert (source / "setup.py").read_text() == SETUP
