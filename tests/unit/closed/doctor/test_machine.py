from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

from mirror.closed.doctor.facts import Facts, read_facts
from mirror.closed.doctor.host.driverapi import Answer
from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.closed.doctor.host.resources import Resources
from mirror.closed.doctor.host.toolbox import Toolbox
from mirror.closed.doctor.machine import guarded, judge_machine
from mirror.closed.host.machine import Host
from mirror.core.errors import Unreadable
from mirror.core.logs.finding import GOOD, LEVELS, NOTE, PROBLEM, WARNING, Finding
from mirror.core.target import Target
from tests.support.stacks import Stack

HERE = Target("{}.{}".format(*sys.version_info), os.uname().machine, "2.17", "sm_90a", "13.0")


def test_looks_at_this_machine_without_a_stack() -> None:
    facts = read_facts(None, {"PATH": "/usr/bin:/bin", "HOME": "/nowhere"})
    found = list(judge_machine(facts))
    assert {finding.level for finding in found} <= set(LEVELS)
    assert {"disk", "loopback", "Python.h", "ninja"} <= {finding.subject for finding in found}


def test_a_driver_without_a_stack_says_what_it_allows() -> None:
    nvidia = Nvidia("580.65.06", (Gpu("NVIDIA H100", "9.0"),), 1, ("/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm"))
    facts = Facts({}, Host("x86_64", (2, 34)), nvidia, Resources(), Toolbox({}, {}), Answer(802))
    told = {finding.subject: finding for finding in judge_machine(facts)}
    assert told["driver"].what == "driver 580.65.06 allows CUDA 13.0 and older"
    assert (told["CUDA driver"].level, told["CUDA driver"].row) == (PROBLEM, "52")


def test_a_service_without_a_home_is_warned() -> None:
    found = [finding for finding in judge_machine(read_facts(None, {"PATH": ""})) if finding.row == "44"]
    assert [finding.level for finding in found] == [WARNING]


def test_a_temporary_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    facts = read_facts(None, {"TMPDIR": str(tmp_path / "gone"), "HOME": str(tmp_path)})
    found = [finding for finding in judge_machine(facts) if finding.row == "14"]
    assert [finding.level for finding in found] == [PROBLEM]


def test_the_stacks_interpreter_is_asked_for_its_headers(tmp_path: Path) -> None:
    stack = Stack(tmp_path, HERE)
    (python,) = [f for f in judge_machine(read_facts(stack.environment(), {})) if f.subject in ("Python", "Python.h")]
    assert python.subject == "Python.h"
    assert platform.python_version() in python.what


def test_an_interpreter_that_went_away_is_a_problem(tmp_path: Path) -> None:
    stack = Stack(tmp_path, HERE)
    (stack.venv / "bin/python").unlink()
    (stack.venv / "bin/python").symlink_to("/gone/python3.11")
    (found,) = [f for f in judge_machine(read_facts(stack.environment(), {})) if f.subject == "Python"]
    assert found.level == PROBLEM
    assert "does not answer as a Python does" in found.what


def test_compilers_are_wanted_by_what_the_stack_holds(tmp_path: Path) -> None:
    stack = Stack(tmp_path, HERE)
    stack.project("numpy", "2.0")
    variables = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    assert [
        f for f in judge_machine(read_facts(stack.environment(), variables)) if f.level == PROBLEM and f.row in "928"
    ] == []
    stack.project("triton", "3.6.0")
    rows = [f.row for f in judge_machine(read_facts(stack.environment(), variables)) if f.subject == "compiler"]
    assert "28" in rows


def test_ninja_is_wanted_where_something_compiles(tmp_path: Path) -> None:
    stack = Stack(tmp_path, HERE)
    stack.project("numpy", "2.0")
    variables = {"PATH": str(tmp_path), "HOME": str(tmp_path)}

    def levels() -> list[str]:
        found = judge_machine(read_facts(stack.environment(), variables))
        return [finding.level for finding in found if finding.subject == "ninja"]

    assert levels() == []
    stack.project("flashinfer-python", "0.6.13")
    assert levels() == [PROBLEM]


@pytest.mark.parametrize("error", [OSError("gone"), Unreadable("/x", "no"), ValueError("odd")])
def test_what_cannot_be_looked_at_is_a_note(error: Exception) -> None:
    def fails() -> object:
        yield Finding(GOOD, "a", "b")
        raise error

    found = list(guarded("disk", fails()))  # type: ignore[arg-type]
    assert [finding.level for finding in found] == [GOOD, NOTE]
    assert found[1].what.startswith("it could not be looked at: ")


def test_an_interpreter_that_may_not_be_started_is_not_called_removed(tmp_path: Path) -> None:
    stack = Stack(tmp_path, HERE)
    (stack.venv / "bin/python").unlink()
    (stack.venv / "bin/python").write_text("#!/bin/sh\n")
    (found,) = (
        finding
        for finding in judge_machine(read_facts(stack.environment(), {}))
        if finding.subject == "Python" and finding.level == PROBLEM
    )
    assert "Permission denied" in found.what
    assert found.cause.startswith("you may not enter the directory")
