"""Running a program in the environment of a generation, in place of this one or followed to its end.

``mirror.closed.environment.variables`` says which variables that sets. A launched program replaces this process, so signals,
the terminal, exit code and process id are its own: a service manager sees the server and nothing between. A followed one is a
child whose last words are kept. Each holds the generation for as long as it runs (``mirror.closed.prefix.usage``), so that
``mirror gc`` does not take it away.

Example::

    launch(load_environment(generation), ["vllm", "serve", "/models/llama"], os.environ)
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from mirror.closed.environment.caches import remember
from mirror.closed.environment.variables import Environment, GenerationDamaged
from mirror.closed.host.sharing import closed_directory
from mirror.closed.host.signals import passing_on
from mirror.closed.prefix.generations import generation_at
from mirror.closed.prefix.receipt import former_place, lost_python, receipt_or_problem
from mirror.closed.prefix.usage import hold
from mirror.core.errors import MirrorError, reading
from mirror.core.system.durable import write_all


class CannotRun(MirrorError):
    """A program is not there, or cannot be run."""

    ref = "cannot-run"
    exit_code = 106
    hint = "Programs are looked for in the venv, the CUDA toolkit and then on your PATH; 'mirror env' shows the search path."
    message = "cannot run {program}: {reason}"

    program: str
    reason: str


def launch(environment: Environment, command: Sequence[str], base: Mapping[str, str]) -> NoReturn:
    """Become a program.

    Args:
        command: the program and its arguments; at least one word.
        base: the environment before.

    Raises:
        CannotRun: when there is no such program, or it cannot be started.
    """
    program, variables = _found(environment, command, base)
    hold(environment.generation)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so in the program
    try:
        os.execve(program, list(command), variables)  # noqa: S606 - that no shell is between is the point
    except OSError as exc:
        raise not_started(program, exc) from exc


@dataclass(frozen=True)
class Followed:
    """A program that ended.

    Attributes:
        code: its exit code; 128 and the signal's number when one ended it.
        last: the end of what it said, on standard output and standard error as they came.
    """

    code: int
    last: bytes


_KEPT = 1 << 20
"""Bytes of what a program said last."""


def follow(environment: Environment, command: Sequence[str], base: Mapping[str, str]) -> Followed:
    """Run a program to its end as a child, pass on what it says at once, and keep the end of that.

    Both its outputs are pipes, so that it does not see a terminal; requests to end are handed on to it. Python programs are
    told not to hold back what they say.

    Args:
        command, base: as ``launch``.

    Raises:
        CannotRun: as ``launch``.
    """
    program, variables = _found(environment, command, base)
    held = hold(environment.generation)
    process: subprocess.Popen[bytes] | None = None
    with passing_on(lambda: process):
        try:
            process = subprocess.Popen(
                list(command),
                executable=program,
                env={"PYTHONUNBUFFERED": "1", **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[held] if held >= 0 else [],
            )
        except OSError as exc:
            raise not_started(program, exc) from exc
        assert process.stdout and process.stderr, "both are pipes"
        last = _pass_on(process, {process.stdout.fileno(): 1, process.stderr.fileno(): 2}, _KEPT)
        code = process.wait()
    return Followed(code if code >= 0 else 128 - code, last)


def _pass_on(process: subprocess.Popen[bytes], outputs: Mapping[int, int], kept: int) -> bytes:
    """Copy what comes from each descriptor to another; the last of it.

    What a program leaves running may hold them open for ever: once it has ended, what is there is taken, and no more awaited.
    """
    last, size = deque[bytes](), 0
    with selectors.DefaultSelector() as selector:
        for source, target in outputs.items():
            selector.register(source, selectors.EVENT_READ, target)
        while selector.get_map():
            has_ended = process.poll() is not None
            ready = selector.select(0.2)
            if has_ended and not ready:
                break
            for key, _ in ready:
                data = os.read(key.fd, 64 << 10)
                if not data:
                    selector.unregister(key.fd)
                    continue
                with contextlib.suppress(OSError):  # nobody reads it any more; what it means is told all the same
                    write_all(key.data, data)
                last.append(data)
                size += len(data)
                while size - len(last[0]) >= kept:
                    size -= len(last.popleft())
    return b"".join(last)


def _found(environment: Environment, command: Sequence[str], base: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The program's file, and the environment that it gets.

    Raises:
        CannotRun: when there is no such program.
        GenerationDamaged: when the generation has no Python here: one of the host's would be found in its place.
    """
    _check_place(environment)
    variables = environment.variables(base, environment.caches(base))
    remember(environment, base)
    return find_program(command[0], variables), variables


def _check_place(environment: Environment) -> None:
    path = environment.generation
    generation = generation_at(path)
    receipt = receipt_or_problem(generation)[0] if generation else None
    with reading(path):
        place, python = former_place(path, receipt) if receipt else "", lost_python(path)
    if place:
        raise GenerationDamaged(str(path), f"it was installed as {place}, and was moved or copied")
    if python:
        raise GenerationDamaged(str(path), f"the Python that its venv was made from, {python}, is gone")


def find_program(name: str, variables: Mapping[str, str]) -> str:
    """A program's file, by the search path of these variables.

    Raises:
        CannotRun: when there is no such program, or it leads where this user does not get.
    """
    path = variables.get("PATH", os.defpath)
    places = [Path(name)] if "/" in name else [Path(one, name) for one in path.split(os.pathsep)]
    for place in places:
        if closed := _out_of_reach(place):
            raise closed  # one of this name further on is not the one that was installed
        if shutil.which(str(place)):
            break
    program = shutil.which(name, path=path)
    if program is None:
        raise CannotRun(name, "there is no such program")
    return program


def not_started(program: str, exc: OSError) -> CannotRun:
    """A script says of itself that it is not there, or may not be run, where that is so of its interpreter."""
    interpreter = _interpreter(program)
    if exc.errno == errno.EACCES and interpreter and (closed := _out_of_reach(Path(interpreter))):
        closed.program = program
        return closed
    missing = exc.errno == errno.ENOENT
    return CannotRun(program, "its interpreter is missing" if missing else exc.strerror or str(exc))


def _interpreter(script: str) -> str:
    """What the first line of a script names; empty where it names none."""
    with contextlib.suppress(OSError), open(script, "rb") as stream:
        words = stream.readline(4096)
        return os.fsdecode(words[2:].split()[0]) if words.startswith(b"#!") and words[2:].strip() else ""
    return ""


def _out_of_reach(place: Path) -> CannotRun | None:
    """Why this user, who did not install it, cannot get to what a program leads to; None for one who can."""
    with contextlib.suppress(OSError):
        place.lstat()
        try:
            place.stat()
        except PermissionError:
            target = os.path.realpath(place)
            why = closed_directory(Path(target)) or "permission denied"
            return CannotRun(str(place), f"it leads to {target}, which you cannot reach: {why}").advised(
                "Ask the owner of this install to open that directory, or to install with a Python that all users of the host "
                "can reach: 'mirror install' takes it as --python."
            )
    return None
