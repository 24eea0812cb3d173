from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mirror.closed.doctor.trial import context_of, try_out
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import read_host
from mirror.core.logs.finding import GOOD, PROBLEM
from mirror.core.target import Target
from tests.support.stacks import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path, Target("3.11", os.uname().machine, "2.17"))


def importing(stack: Stack, *modules: str) -> Environment:
    environment = stack.environment()
    return dataclasses.replace(environment, manifest=dataclasses.replace(environment.manifest, imports=modules))


def test_what_works_is_good(stack: Stack) -> None:
    assert [(f.level, f.what) for f in try_out(importing(stack, "json"), read_host())] == [
        (GOOD, "import json: passed")
    ]


def test_what_fails_is_explained_as_a_log_would_be(stack: Stack) -> None:
    python = stack.venv / "bin/python"
    python.unlink()
    python.write_text(
        "#!/bin/sh\necho 'OSError: libcudart.so.12: cannot open shared object file: No such file' >&2\nexit 1\n"
    )
    python.chmod(0o755)
    (found,) = try_out(importing(stack, "torch"), read_host())
    assert (found.level, found.row) == (PROBLEM, "38")
    assert found.what.startswith("import torch failed: ")
    assert found.fix


def test_what_fails_by_its_form_is_explained_too(stack: Stack) -> None:
    (found,) = try_out(importing(stack, "no_such_module_anywhere"), read_host())
    assert (found.level, found.layer) == (PROBLEM, "Python package")
    assert found.what.startswith(
        "import no_such_module_anywhere failed: the Python module no_such_module_anywhere is not"
    )
    assert "No module named" in found.proof


def test_what_nobody_knows_shows_its_last_words(stack: Stack) -> None:
    python = stack.venv / "bin/python"
    python.unlink()
    python.write_text("#!/bin/sh\necho 'WeirdError: the moon is full' >&2\nexit 1\n")
    python.chmod(0o755)
    (found,) = try_out(importing(stack, "torch"), read_host())
    assert (found.level, found.what, found.proof) == (PROBLEM, "import torch failed", "WeirdError: the moon is full")


def test_the_context_of_a_stack_names_its_packages(stack: Stack) -> None:
    stack.toolkit()
    context = context_of(stack.environment())
    assert context.packages == ("cuda-nvcc-13-0",)
    assert context.cuda_home == stack.cuda
    assert context.env_script == f"{stack.root}/env.sh"
    assert context_of(None).packages == ()
