"""Running a program in the environment of a generation, in place of this one.

``mirror.closed.environment.variables`` says which variables that sets. The program replaces this process, so signals, the
terminal, exit code and process id are its own: a service manager sees the server and nothing between. It holds the generation
for as long as it runs (``mirror.closed.prefix.usage``), so that ``mirror gc`` does not take it away.

Example::

    launch(load_environment(generation), ["vllm", "serve", "/models/llama"], os.environ)
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from mirror.closed.environment.caches import remember
from mirror.closed.environment.variables import Environment
from mirror.closed.prefix.usage import hold
from mirror.core.errors import MirrorError


class CannotRun(MirrorError):
    """A program is not there, or cannot be run.

    Attributes:
        program: as it was named.
        reason: the system's words.
    """

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
    variables = environment.variables(base, environment.caches(base))
    remember(environment, base)
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        raise CannotRun(command[0], "there is no such program")
    hold(environment.generation)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and what is ignored stays so in the program
    try:
        os.execve(program, list(command), variables)  # noqa: S606 - that no shell is between is the point
    except OSError as exc:
        # A script whose interpreter is gone says "no such file" of itself; that would be believed of the script.
        missing = exc.errno == errno.ENOENT
        raise CannotRun(program, "its interpreter is missing" if missing else exc.strerror or str(exc)) from exc
