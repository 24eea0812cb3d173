"""README.md and the handbook say what the code does now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

from mirror.cli.commands.anywhere.help import TOPICS, page
from mirror.connected.stack.stack import Stack
from mirror.core.kinds import INTERPRETER
from mirror.core.policy.document import Policy

HOUSE = Path(__file__).parents[2]
README = (HOUSE / "README.md").read_text()
PAGES = [HOUSE / "mirror" / "help" / f"{topic}.md" for topic in TOPICS]


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="argparse words its help differently in each Python")
def test_the_generated_parts_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, HOUSE / "scripts" / "readme", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_two_commands_are_there_and_can_be_run() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    commands = blocks[0].split()
    assert commands == ["scripts/quickstart", "scripts/test"]
    for command in commands:
        assert os.access(HOUSE / command, os.X_OK)


@pytest.mark.parametrize("path", [HOUSE / "README.md", *PAGES], ids=lambda path: path.stem)
def test_every_file_it_names_is_there(path: Path) -> None:
    named = set(re.findall(r"`((?:lockfiles|scripts|mirror)/[\w./-]+)`", path.read_text()))
    missing = {name for name in named if "NAME" not in name and not (HOUSE / name).exists()}
    assert not missing


def test_every_link_in_the_readme_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", README, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (target[1:] in headings) if target.startswith("#") else (HOUSE / target).is_file(), target


def test_the_readme_is_short_and_the_handbook_has_the_rest() -> None:
    assert len(README.splitlines()) < 170
    assert all(f"mirror/help/{topic}.md" in README for topic in TOPICS)


def sample(topic: str) -> str:
    found: list[str] = re.findall(r"```toml\n(.*?)```", page(topic), re.DOTALL)
    return found[0]


def test_the_sample_policy_is_a_policy() -> None:
    policy = Policy.parse(sample("policy").encode())
    assert policy.waivers == ("alice",) and policy.licences and policy.vulnerabilities and policy.files


def test_the_sample_stack_is_a_stack() -> None:
    document = tomllib.loads(sample("stack").replace('sha256 = "..."', f'sha256 = "{"0" * 64}"'))
    stack = Stack.from_dict(document, "sample")
    assert (stack.target.cuda, stack.build) == ("12.8", ("mistral-common",))
    assert INTERPRETER in stack.wishes
