"""Programs that the installation starts: uv, pip, the new interpreter, nvcc.

It holds how they are run: without a terminal, in an environment written here (nothing of the caller's but what is
named), in a process group of their own, so that whatever stops us stops them too. The
caller knows what they are run for.

Rule: no program of ours outlives its call, and none sees a setting of the user's that could change what gets
installed.

Example::

    finished = run([uv, "--version"], clean_environment(work))
    if finished.code: ...
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mirror.core.errors import writing
from mirror.core.system.crew import may_go_on
from mirror.core.system.signals import held_signals

_KEPT_BYTES = 64 << 10
_LOOK_S = 0.25

CANNOT_START = 127
"""The exit code that a shell gives for a program that cannot be started; ``run`` does the same."""

TIMED_OUT = 124
"""What timeout(1) gives."""


@dataclass(frozen=True)
class Finished:
    """A program that ended.

    Attributes:
        code: its exit status; negative for a signal; ``CANNOT_START`` or ``TIMED_OUT`` when it never began or we ended it.
        output: the last 64 KiB of its standard output.
        errors: the last 64 KiB of its standard error.
    """

    code: int
    output: str
    errors: str

    def tail(self, lines: int = 15) -> str:
        """The last lines of all that it said, for a person."""
        return "\n".join((self.output + self.errors).strip().splitlines()[-lines:])


def clean_environment(work: Path) -> dict[str, str]:
    """An environment in which no configuration of the user's or the site's is found.

    Args:
        work: an existing directory, the program's HOME and TMPDIR; whoever made it removes it.
    """
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(work),
        "TMPDIR": str(work),
        "XDG_CONFIG_HOME": str(work),
        "XDG_CACHE_HOME": str(work),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_NO_CONFIG": "1",
    }


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None = None,
    timeout_s: float = 3600,
    inherited: Sequence[int] = (),
) -> Finished:
    """Run a program to its end and keep the tail of what it says.

    Args:
        command: the program's path and arguments.
        environment: all of its environment.
        inherited: descriptors that it keeps open, such as a lock's.

    Raises:
        Unwritable: when there is no directory for temporary files.
    """
    with _temporary_file() as output, _temporary_file() as errors:
        process = None
        try:
            with held_signals():
                process = subprocess.Popen(
                    list(command),
                    env=dict(environment),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    pass_fds=tuple(inherited),
                    start_new_session=True,
                )
            code = _awaited(process, timeout_s)
        except subprocess.TimeoutExpired:
            code = TIMED_OUT
        except OSError as exc:
            return Finished(CANNOT_START, "", f"{command[0]}: {exc.strerror or exc}")
        finally:
            if process is not None and process.returncode is None:
                _end(process)
        late = f"\nended after {timeout_s:.0f} s without a result" if code == TIMED_OUT else ""
        return Finished(code, _tail(output), _tail(errors) + late)


def _awaited(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    """Its exit status. Raises ``TimeoutExpired``, or ``Stopped`` when nobody waits for it any more."""
    until = time.monotonic() + timeout_s
    while True:
        try:
            return process.wait(min(_LOOK_S, max(0.0, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            may_go_on()
            if time.monotonic() >= until:
                raise


def _temporary_file() -> IO[bytes]:
    with writing("a temporary file in the directory that TMPDIR names, or else in /tmp"):
        return tempfile.TemporaryFile()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole group: the program may have started others (nvcc starts seven)."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _tail(stream: IO[bytes]) -> str:
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _KEPT_BYTES))
    return stream.read().decode("utf-8", "replace")
