"""``mirror silence``: what a command tried to reach, for people and for programs."""

from __future__ import annotations

import json
import sys

import pytest

from mirror.cli.main import main
from tests.support.shapes import faults

LOUD = "from socket import *; import sys; socket(AF_INET, SOCK_DGRAM).connect_ex(('192.0.2.8', 80)); sys.exit(5)"


def test_a_loud_command_ends_with_an_error_that_names_its_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "--", sys.executable, "-I", "-c", LOUD]) == 8
    output, errors = capsys.readouterr()
    first, second, third = output.splitlines()[:3]
    assert first.startswith("tried      udp 192.0.2.8:80, by python")
    assert second == "not silent"
    assert third == "seen by seccomp, which has its limits:"
    assert "error: the command was not silent: 1 address or name, listed above (its own exit code was 5)" in errors
    assert "ref: not-silent" in errors


def test_a_silent_commands_exit_code_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "--json", "--", sys.executable, "-I", "-c", "print('said'); raise SystemExit(5)"]) == 5
    document = json.loads(capsys.readouterr().out)  # what the command says goes to stderr
    assert (document["silent"], document["code"], document["way"]) == (True, 5, "seccomp")
    assert document["attempts"] == document["names"] == document["own"] == document["unseen"] == []
    assert document["command"][0] == sys.executable


def test_the_json_of_a_loud_command_is_one_document_with_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "--json", "--", sys.executable, "-I", "-c", LOUD]) == 8
    document = json.loads(capsys.readouterr().out)
    (attempt,) = document["attempts"]
    assert {**attempt, "program": ""} == {
        "protocol": "udp",
        "address": "192.0.2.8",
        "port": 80,
        "program": "",
        "known": "",
        "count": 1,
    }
    assert document["error"]["ref"] == "not-silent"


def test_the_documents_are_of_the_shape_that_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (LOUD, LOUD.replace("192.0.2.8", "8.8.8.8"), "raise SystemExit(3)"):
        main(["silence", "--json", "--", sys.executable, "-I", "-c", words])
        assert faults(json.loads(capsys.readouterr().out)) == []


def test_what_is_known_of_an_attempt_says_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "--", sys.executable, "-I", "-c", LOUD.replace("192.0.2.8", "8.8.8.8")]) == 8
    assert "export VLLM_HOST_IP (SGLANG_HOST_IP): 127.0.0.1 for a server on one host;" in capsys.readouterr().out


def test_options_behind_the_dashes_are_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["silence", "--", "no-such-program", "--json"]) == 106
    assert capsys.readouterr().out == ""


def test_without_a_command_it_says_what_is_missing() -> None:
    with pytest.raises(SystemExit) as exc_info:
        main(["silence"])
    assert exc_info.value.code == 2
