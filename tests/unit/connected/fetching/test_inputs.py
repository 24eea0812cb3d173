"""What a result hangs on, as one digest; ``tests/unit/connected/test_bundle.py`` shows what bundling makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mirror
from mirror.connected.fetching.inputs import inputs_of


@dataclass(frozen=True)
class One:
    value: object


@dataclass(frozen=True)
class Other:
    value: object


VALUES = [
    None, True, 0, 1, "", "1", b"", b"1", (), ("1",), (1,), ((1,),), {}, {"a": 1}, {"a": "1"}, {1: "a"}, set(), {"1"},
    Path("1"), Requirement("a==1"), Requirement("a==2"), One(1), One("1"), Other(1), One(One(1)),
]  # fmt: skip


def test_different_values_have_different_digests_and_equal_ones_the_same() -> None:
    assert len({inputs_of(value) for value in VALUES}) == len({repr(value) for value in VALUES}) == len(VALUES)
    assert inputs_of({"a": 1, "b": {"x", "y"}}) == inputs_of({"b": {"y", "x"}, "a": 1})
    assert inputs_of("a", "b") != inputs_of("ab") != inputs_of(("a", "b"))


def test_a_value_of_which_no_digest_tells_equal_ones_is_refused() -> None:
    with pytest.raises(TypeError, match="has no digest"):
        inputs_of(One(object()))


@pytest.mark.parametrize("change", ["source", "paper", "library"])
def test_another_mirror_or_library_is_another_input(tmp_path: Path, change: str) -> None:
    def digest() -> str:
        code = "from mirror.connected.fetching.inputs import inputs_of; print(inputs_of('the same'))"
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    shutil.copytree(Path(mirror.__file__).parent, tmp_path / "mirror", ignore=shutil.ignore_patterns("*.pyc"))
    before = digest()
    if change == "source":
        (tmp_path / "mirror/core/words.py").write_text((tmp_path / "mirror/core/words.py").read_text() + "# more\n")
    elif change == "paper":
        (tmp_path / "mirror/connected/tools.txt").write_text("other tools\n")
    else:
        (tmp_path / "lib-1.dist-info").mkdir()
        (tmp_path / "lib-1.dist-info/RECORD").write_text("lib.py,sha256=abc,3\n")
    assert digest() != before
