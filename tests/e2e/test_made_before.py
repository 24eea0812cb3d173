"""What mirror made before stays readable: two bundles and a prefix by commit c23d5e1, with which this one goes on.

``tests/vectors/c23d5e1/make.py`` made them, with that commit's own commands.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.main import main
from tests.e2e.conftest import run
from tests.support.desk import BASE, MINOR

MADE = Path(__file__).parents[1] / "vectors" / "c23d5e1" / "made.tar.xz"
PLACE, PYTHON = b"/tmp/mirror-of-before", b"/usr/bin/python3.11"
"""Where the prefix was made, and with which Python."""

pytestmark = pytest.mark.skipif(
    MINOR != "3.11" or os.uname().machine != "x86_64", reason="the bundles are for Python 3.11 on x86_64"
)


class Operator:
    """Who types commands, on a host of their own without a compiler, and trusts the root of these bundles.

    Attributes:
        old, new: the bundles.
        prefix: to which both were installed, as if it had been made here: a venv knows its own place.
    """

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self._capsys = directory, capsys
        self.old, self.new, self.prefix = (directory / name for name in ("1.0.tar", "1.1.tar", "p"))
        with tarfile.open(MADE) as archive:
            archive.extractall(directory, filter="fully_trusted")
        changed = {PLACE: str(directory), PYTHON: str(BASE), b"home = /usr/bin\n": f"home = {BASE.parent}\n"}
        for path in self.prefix.rglob("*"):
            if path.is_symlink() and os.fsencode(path.readlink()) == PYTHON:
                path.unlink()
                path.symlink_to(BASE)
            elif path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                for old, new in changed.items():
                    data = data.replace(old, os.fsencode(new))
                path.write_bytes(data)
        self("trust", "add", self.old, "--fingerprint", (directory / "fingerprint").read_text().strip())

    def __call__(self, *words: object, code: int = 0) -> str:
        self._capsys.readouterr()
        ended = main([str(word) for word in words])
        out, err = self._capsys.readouterr()
        assert ended == code, f"{words}\n{out}\n{err}"
        return out

    def json(self, *words: object, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*words, "--json", code=code))
        return document


def version(prefix: Path) -> str:
    """What a user gets who sources env.sh and starts Python."""
    command = f'. "{prefix}/current/env.sh" && python -c "import left_pad; print(left_pad.__version__)"'
    return run(["/bin/sh", "-c", command], {"PATH": os.defpath}).strip()


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "none"))  # the carried nvcc is a script: nothing links what it writes
    monkeypatch.chdir(tmp_path)
    return Operator(tmp_path, capsys)


def test_a_bundle_made_before_is_verified_reported_compared_and_installed(operator: Operator) -> None:
    old, new = operator.old, operator.new
    verified = operator.json("verify", "--deep", old)
    assert (verified["name"], verified["deep"]["open"]) == ("demo", [])
    assert {name: one["count"] for name, one in verified["directories"].items()} == {
        "tool": 2, "wheels": 4, "rpms": 3, "meta": 16
    }  # fmt: skip
    report = operator.json("report", old, "-o", operator.directory / "report.html")
    told = {one["key"]: [finding["path"] for finding in one["findings"]] for one in report["questions"]}
    left_pad = ["wheels/left_pad-1.0-py3-none-any.whl"]
    assert (told["vulnerable"], told["waived"], told["hooks"]) == (left_pad, left_pad, left_pad)
    assert told["built-here"] == [f"wheels/{one}-1.0-py3-none-any.whl" for one in ("mirror_probe", "right_pad")]
    assert "left-pad 1.0 -> 1.1" in operator("diff", old, new)
    assert "cuda-cudart-devel-13-0 13.0.96-1" in operator("which", "cuda.h", "--bundle", old)
    operator("install", old, "--prefix", operator.directory / "fresh", "--python", BASE)
    assert version(operator.directory / "fresh") == "1.0"


def test_a_prefix_made_before_is_used_upgraded_repaired_rolled_back_and_doctored(operator: Operator) -> None:
    prefix = operator.prefix
    assert version(prefix) == "1.0"
    (stack,) = operator.json("status", "--prefix", prefix)["stacks"]
    assert [(one["counts"], one["current"], one["problem"]) for one in stack["generations"]] == [
        ({"wheel": 4, "rpm": 3}, True, ""),
        ({"wheel": 4, "rpm": 3}, False, ""),
    ]
    operator("status", "--check", "--prefix", prefix)
    operator("install", operator.old, "--prefix", prefix, "--python", BASE)  # it is there already
    operator("install", operator.new, "--prefix", prefix, "--python", BASE)  # and so is this one
    assert version(prefix) == "1.1"
    operator("rollback", "--prefix", prefix)
    assert version(prefix) == "1.0"
    findings = operator.json("doctor", "--prefix", prefix, code=110)["findings"]
    problems = {one["subject"] for one in findings if one["level"] == "problem"}
    assert problems == {"compiler", "toolkit"}  # there is no gcc, and three RPMs of a few lines are no CUDA toolkit
    next((prefix / "current").glob("venv/lib/*/site-packages/left_pad.py")).unlink()
    assert "left_pad.py" in operator("status", "--check", "--prefix", prefix, code=105)
    operator("install", operator.old, "--prefix", prefix, "--python", BASE, "--repair")
    assert version(prefix) == "1.0"
    (stack,) = operator.json("status", "--prefix", prefix)["stacks"]
    assert [one["last"]["action"] for one in stack["generations"]] == [
        "rolled-back", "made-current", "installed"
    ]  # fmt: skip
    operator("gc", "--keep", 0, "--prefix", prefix)
    assert version(prefix) == "1.0"
    assert len(list((prefix / "gens").iterdir())) == 1
