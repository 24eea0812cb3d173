from __future__ import annotations

import struct
import subprocess
import time
from pathlib import Path

import pytest

from mirror.connected.signing.agent import Agent, AgentRefused
from mirror.core.signatures import ed25519
from mirror.core.signatures.sshsig import to_strings
from tests.support.agents import add_key, answering_agent, ssh_agent
from tests.support.keys import key, signer, write_private_key

PUBLIC = signer("alice").public
HELD = to_strings(b"\x0c" + struct.pack(">I", 1) + to_strings(PUBLIC.blob, b"alice"))


def refusal(address: str) -> str:
    with pytest.raises(AgentRefused) as caught:
        Agent(address).sign(PUBLIC, b"data")
    return str(caught.value)


def test_signs_with_a_key_that_this_process_never_sees(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        add_key(address, write_private_key(tmp_path / "bob", "bob"))
        add_key(address, write_private_key(tmp_path / "key", "alice"))
        agent = Agent.from_environment({"SSH_AUTH_SOCK": address})
        agent.require(PUBLIC)
        assert ed25519.verify(PUBLIC.raw, b"data", agent.sign(PUBLIC, b"data"))


def test_an_agent_without_the_key_is_named(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        add_key(address, write_private_key(tmp_path / "bob", "bob"))
        with pytest.raises(AgentRefused) as caught:
            Agent(address).require(PUBLIC)
    assert str(caught.value) == f"ssh-agent: it does not hold the key {key('alice').public.fingerprint}"


def test_an_agent_that_refuses_to_sign_is_named(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        assert refusal(address) == "ssh-agent: it refused (locked, or its owner declined)"


@pytest.mark.parametrize("environment", [{}, {"SSH_AUTH_SOCK": ""}])
def test_no_agent_is_named(environment: dict[str, str]) -> None:
    with pytest.raises(AgentRefused, match="none is running"):
        Agent.from_environment(environment)


def test_a_socket_where_nobody_listens_is_named(tmp_path: Path) -> None:
    assert refusal(str(tmp_path / "gone")) == (f"ssh-agent: no answer at {tmp_path}/gone: No such file or directory")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "it closed the connection"),
        (b"\0\0", "it closed the connection"),
        (b"\0\0\0\5\x0e", "it closed the connection"),
        (b"\0\0\0\0", "its answer has 0 bytes"),
        (b"\xff\xff\xff\xff", "its answer has 4294967295 bytes"),
        (to_strings(b"\x05"), "it refused"),
        (to_strings(b"\x0e"), "its signature is malformed"),
        (to_strings(b"\x0e" + to_strings(b"\0")), "its signature is malformed"),
        (to_strings(b"\x0e" + to_strings(to_strings(b"rsa-sha2-512", b"\1" * 256))), "b'rsa-sha2-512'"),
        (to_strings(b"\x0e" + to_strings(to_strings(b"ssh-ed25519", b"\1" * 63))), "b'ssh-ed25519'"),
    ],
    ids=map(str, range(10)),
)
def test_an_agent_that_talks_nonsense_is_named(tmp_path: Path, answer: bytes, problem: str) -> None:
    with answering_agent(tmp_path, answer) as address:
        assert problem in refusal(address)


def test_an_agent_that_drips_has_one_deadline_for_the_whole_of_its_answer(tmp_path: Path) -> None:
    started = time.monotonic()
    with answering_agent(tmp_path, to_strings(b"\x0e" * 200), pause_s=0.05) as address:
        with pytest.raises(AgentRefused, match=r"no answer at .*: timed out"):
            Agent(address, timeout_s=0.5).sign(PUBLIC, b"data")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "answer", [HELD[:-1] + b"\xff", to_strings(b"\x0c" + b"\0\0\0\1\xff\xff\xff\xff")], ids=["cut", "long"]
)
def test_a_nonsensical_list_of_keys_is_named(tmp_path: Path, answer: bytes) -> None:
    with answering_agent(tmp_path, answer) as address, pytest.raises(AgentRefused):
        Agent(address).require(signer("bob").public)


def test_ssh_add_sees_the_key_as_we_do(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        add_key(address, write_private_key(tmp_path / "key", "alice"))
        listed = subprocess.run(
            ["ssh-add", "-l"], env={"SSH_AUTH_SOCK": address, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
        ).stdout
    assert PUBLIC.fingerprint in listed
