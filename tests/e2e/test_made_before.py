"""What mirror made before stays readable: two bundles and a prefix by commit c23d5e1, with which this one goes on.

``tests/vectors/c23d5e1/make.py`` made them, with that commit's code.
"""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.main import main
from tests.support.desk import BASE, MINOR, version_in

BEFORE = Path(__file__).parents[1] / "vectors" / "c23d5e1"
OLD, NEW = BEFORE / "left-pad-1.0.tar", BEFORE / "left-pad-1.1.tar"
PLACE, PYTHON = b"/tmp/mirror-of-before", b"/usr/bin/python3.11"
"""Where the prefix was made, and with which Python."""

pytestmark = pytest.mark.skipif(
    MINOR != "3.11" or os.uname().machine != "x86_64", reason="the bundles are for Python 3.11 on x86_64"
)


class Operator:
    """Who types commands, on a host of their own, and trusts the root of these bundles."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self._capsys = directory, capsys
        self("trust", "add", OLD, "--fingerprint", (BEFORE / "fingerprint").read_text().strip())

    def __call__(self, *words: object, code: int = 0) -> str:
        self._capsys.readouterr()
        ended = main([str(word) for word in words])
        out, err = self._capsys.readouterr()
        assert ended == code, f"{words}\n{out}\n{err}"
        return out

    def json(self, *words: object, code: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*words, "--json", code=code))
        return document


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Operator:
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Operator(tmp_path, capsys)


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """The prefix, as if it had been made here: a venv knows its own place."""
    with tarfile.open(BEFORE / "prefix.tar.gz") as archive:
        archive.extractall(tmp_path, filter="fully_trusted")
    changed = {PLACE: str(tmp_path), PYTHON: str(BASE), b"home = /usr/bin\n": f"home = {BASE.parent}\n"}
    for path in (tmp_path / "p").rglob("*"):
        if path.is_symlink() and os.fsencode(path.readlink()) == PYTHON:
            path.unlink()
            path.symlink_to(BASE)
        elif path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            for old, new in changed.items():
                data = data.replace(old, os.fsencode(new))
            path.write_bytes(data)
    return tmp_path / "p"


def test_a_bundle_made_before_is_verified_reported_compared_and_installed(operator: Operator) -> None:
    assert operator.json("verify", OLD)["name"] == "demo"
    assert operator.json("verify", "--deep", OLD)["deep"]["open"] == []
    report = operator.json("report", OLD, "-o", operator.directory / "report.html")
    assert [one["name"] for one in report["artifacts"]] == ["pip", "left-pad"]
    assert "left-pad" in operator("diff", OLD, NEW)
    operator("install", OLD, "--prefix", operator.directory / "fresh", "--python", BASE)
    assert version_in(operator.directory / "fresh") == "1.0"


def test_a_prefix_made_before_is_used_upgraded_rolled_back_and_doctored(operator: Operator, prefix: Path) -> None:
    assert version_in(prefix) == "1.0"
    (stack,) = operator.json("status", "--prefix", prefix)["stacks"]
    (generation,) = stack["generations"]
    assert (generation["counts"], generation["current"], generation["problem"]) == ({"wheel": 1}, True, "")
    operator("status", "--check", "--prefix", prefix)
    operator("install", OLD, "--prefix", prefix, "--python", BASE)  # it is there already
    operator("install", NEW, "--prefix", prefix, "--python", BASE)
    assert version_in(prefix) == "1.1"
    operator("rollback", "--prefix", prefix)
    assert version_in(prefix) == "1.0"
    findings = operator.json("doctor", "--prefix", prefix)["findings"]
    assert [one for one in findings if one["level"] == "problem"] == []
    (stack,) = operator.json("status", "--prefix", prefix)["stacks"]
    assert [one["last"]["action"] for one in stack["generations"]] == ["rolled-back", "installed"]
    operator("gc", "--keep", 1, "--prefix", prefix)
    assert version_in(prefix) == "1.0"
