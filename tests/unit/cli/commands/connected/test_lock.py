from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from mirror.cli.commands.connected import lock
from mirror.cli.main import main
from mirror.connected.lock import LockOptions
from mirror.connected.resolving.resolver import RESOLVERS
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel
from tests.unit.core.targets.test_detected import HOST

TOML = """\
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.28"
[python]
requirements = ["a"]
[indexes]
default = "{url}"
"""


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "demo.toml"


def test_says_what_was_written_and_then_what_was_not(
    tmp_path: Path, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LoopbackIndex() as server:
        server.add(make_wheel(tmp_path, "a", "1.0"))
        toml.write_text(TOML.format(url=server.url))
        assert main(["lock", str(toml)]) == 0
        assert (
            capsys.readouterr().out
            == f"{tmp_path}/demo.txt  1 pins  written\n{tmp_path}/demo.build.txt  0 pins  written\n"
        )
        assert main(["lock", str(toml), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "format": "mirror-lock/1",
        "name": "demo",
        "files": [
            {"path": f"{tmp_path}/demo.txt", "pins": 1, "changed": False},
            {"path": f"{tmp_path}/demo.build.txt", "pins": 0, "changed": False},
        ],
        "unpinned": [],
        "moved": [],
        "kept_out": [],
        "notes": [],
    }


def test_a_failure_ends_with_its_code_and_the_resolvers_words(
    tmp_path: Path, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LoopbackIndex() as server:
        server.add(make_wheel(tmp_path, "a", "1.0", requires=["b"]))
        toml.write_text(TOML.format(url=server.url))
        assert main(["lock", str(toml)]) == 54
    said = capsys.readouterr().err
    assert "error: uv could not resolve demo for Python 3.11, x86_64, glibc 2.28\n" in said
    assert "ref: resolution-failed" in said
    assert "b was not found" in said


def test_another_tools_file_has_no_wishes_to_lock_but_a_stack_can_be_made_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("pyproject.toml", "requirements.in", "theirs.txt"):
        theirs = tmp_path / name
        theirs.write_text('[project]\nname = "p"\n')
        assert main(["lock", str(theirs)]) == 11
        assert capsys.readouterr().err.splitlines() == [
            f"error: cannot read {theirs}: it is no stack's NAME.toml, and there is none beside it",
            f"hint: 'mirror init NAME --from {theirs}' writes one for what it asks for.",
            "ref: unreadable",
        ]


def test_of_several_targets_the_file_that_is_there_is_named_and_so_is_the_step_with_a_hosts_file(
    tmp_path: Path, toml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with LoopbackIndex() as server:
        server.add(make_wheel(tmp_path, "a", "1.0"))
        toml.write_text(TOML.format(url=server.url) + "[targets.one]\n[targets.two]\n")
        assert main(["lock", str(toml)]) == 0
        said = capsys.readouterr().err
        assert "resolving demo.toml for Python 3.11" in said and "demo.one.toml" not in said
    host = tmp_path / "target.toml"
    host.write_bytes(HOST.encode())
    with pytest.raises(SystemExit):
        main(["lock", str(toml), "--target", str(host)])
    said = " ".join(capsys.readouterr().err.split())
    assert f"{host} is a host's file, and demo.toml is for several targets: one, two" in said
    assert f"`mirror lock NAME.TARGET --target {host}` says what to write into [targets.TARGET] of demo.toml." in said


def test_the_resolvers_offered_are_those_that_there_are() -> None:
    parser = argparse.ArgumentParser()
    lock.configure(parser.add_subparsers())
    for resolver in RESOLVERS:
        assert parser.parse_args(["lock", "x.toml", "--resolver", resolver]).resolver == resolver
    assert parser.parse_args(["lock", "x.toml"]).resolver == LockOptions().resolver
