"""One NAME.toml for two targets: locked and bundled for each, one of them alone, each by itself, and one installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_second_day import Builder, Operator

pytestmark = [pytest.mark.index, pytest.mark.slow]

STACK = """\
[target]
python = "3.11"
glibc = "2.28"

[python]
requirements = ["idna==3.7"]

[targets.h100]
arch = "x86_64"

[targets.gh200]
arch = "aarch64"
python.imports = ["idna"]
"""


def test_two_targets_are_locked_bundled_and_one_is_installed(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "builder")
    locks = builder.directory / "lockfiles"
    (locks / "demo.toml").write_text(STACK)
    locked = builder.json("lock", "demo")["targets"]
    assert [one["files"][0]["path"] for one in locked.values()] == [
        "lockfiles/demo.h100.txt",
        "lockfiles/demo.gh200.txt",
    ]
    gh200 = (locks / "demo.gh200.txt").read_text()
    assert '"arch":"aarch64"' in gh200
    assert gh200.startswith("# The Python side of demo.toml, ") and "    # via demo.toml\n" in gh200
    plan = builder.json("bundle", "demo.h100", "--dry-run")
    assert plan["target"]["arch"] == "x86_64" and plan["name"] == "demo.h100"
    bundled = builder.json("bundle", "demo", "--locked", "-o", "both.tar")["targets"]
    assert {name: one["name"] for name, one in bundled.items()} == {"h100": "demo.h100", "gh200": "demo.gh200"}
    assert [Path(one["path"]).name for one in bundled.values()] == ["both.h100.tar", "both.gh200.tar"]

    # One of them alone; one that is none; and what a change in one does to the other: a lock of its own, and a later one.
    assert list(builder.json("lock", "demo", "--target", "gh200")["targets"]) == ["gh200"]
    command = [sys.executable, "-m", "mirror.cli.main", "bundle", "demo", "--target", "gh20"]
    environment = {**os.environ, **builder.environment}
    refused = subprocess.run(command, cwd=builder.directory, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "error: demo.toml has no target 'gh20'; it has h100, gh200; did you mean gh200?" in refused.stderr
    (locks / "demo.toml").write_text(STACK.replace("imports", 'requirements = ["idna==3.6"]\npython.imports'))
    again = builder.json("lock", "demo")["targets"]
    assert [[(one["name"], one["to"]) for one in made["moved"]] for made in again.values()] == [[], [("idna", "3.6")]]

    builder("installer", "-o", "mirror.pyz")
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    operator.prefix = operator.prefix.with_name("demo.h100")
    fingerprint = bundled["h100"]["root_fingerprint"]
    operator("trust", "add", builder.directory / "both.h100.tar", "--fingerprint", fingerprint)
    operator("install", builder.directory / "both.h100.tar")
    assert operator.installed() == "3.7"
