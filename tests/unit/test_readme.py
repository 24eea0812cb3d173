"""README.md says what the code does now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

from mirror.connected.stack.file import Stack
from mirror.core.policy.document import Policy

HOUSE = Path(__file__).parents[2]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently in each Python")
def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, HOUSE / "scripts" / "readme", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, f"README.md is out of date: run scripts/readme\n{done.stderr}"


def test_the_two_commands_are_there_and_can_be_run() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)
    commands = blocks[0].split()
    assert commands == ["scripts/quickstart", "scripts/test"]
    for command in commands:
        assert os.access(HOUSE / command, os.X_OK)


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"`((?:lockfiles|scripts|mirror)/[\w./-]+)`", (HOUSE / "README.md").read_text()))
    missing = {name for name in named if "NAME" not in name and not (HOUSE / name).exists()}
    assert not missing


def samples() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (HOUSE / "README.md").read_text(), re.DOTALL)


def test_the_sample_policy_is_a_policy() -> None:
    policy = Policy.parse(samples()[1].encode())
    assert policy.waivers == ("alice",) and policy.licences and policy.vulnerabilities and policy.files


def test_the_sample_stack_is_a_stack() -> None:
    sample = samples()[0]
    document = tomllib.loads(sample.replace('sha256 = "..."', f'sha256 = "{"0" * 64}"'))
    stack = Stack.from_dict(document, "sample")
    assert (stack.target.cuda, stack.build) == ("12.8", ("mistral-common",))
    assert stack.interpreter is not None
