"""Running a command that cannot reach any network, as an ordinary user.

``mirror.connected.building.network_isolation``, which runs inside, gives the network up; the builder decides what is run, and
why.

Rules: there is no way to run without that isolation; the command gets exactly the environment that it is given, and no open
file but its log; whatever ends the wait ends the command and all that it has started, mirror's own death too
(``mirror.connected.building.supervision``). What watches over it there may be stopped or killed by the command, which runs as
the same user: so the time is limited here as well, and what it leaves comes to us and is ended here.

Example::

    status = run_cut_off(["make"], cwd=source, environment={"PATH": "/usr/bin:/bin"}, log=stream)
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from mirror.connected.building import network_isolation
from mirror.connected.building.supervision import descendants, end_strays, take_orphans, too_long
from mirror.core.errors import MirrorError
from mirror.core.system.signals import held_signals

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
"""What a build or a trial finds programs by, whatever the caller's PATH is."""

_TICK_S = 30.0

_GRACE_S = 10.0
"""What watches over a command has so long to end all of it; then we do."""

_MAX_REPORT_BYTES = 64 << 10

_watching: set[int] = set()
"""The processes of ours that watch over commands at this moment."""
_starting = threading.Lock()
"""Nobody is taken for a stray who was started and is not written down yet."""


class NetworkCutUnavailable(MirrorError):
    """This machine cannot cut a build off from the network, so nothing is built here.

    Attributes:
        reason: each way that was tried and the kernel's words.
    """

    ref = "network-cut-unavailable"
    exit_code = 81
    hint = (
        "Builds run without network, always. Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0) or seccomp in this container, or build on another machine."
    )
    message = "a build must not reach the network, and this machine has no way to cut it off: {reason}"

    reason: str


@dataclass(frozen=True)
class Limits:
    """What a command may take: seconds, and bytes that all its processes may hold together; 0 for any."""

    seconds: float = 0
    memory: int = 0


class LimitReached(Exception):
    """A command was ended because it took more than it may; the text says which limit. Never leaves ``connected.building``."""


def run_cut_off(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: BinaryIO,
    without: str = "",
    limits: Limits = Limits(),
    tick: Callable[[int], None] | None = None,
) -> int:
    """Run a command without network and wait for it.

    Args:
        environment: all of it; nothing is inherited.
        log: gets stdout and stderr; must have a descriptor.
        without: fences not to use (``"namespace"``); only tests have a reason.
        limits: what it may take.
        tick: called about every half minute while it runs, with a process below which all of it is.

    Returns:
        The exit status; 128 + N when signal N ended the command.

    Raises:
        NetworkCutUnavailable: the command was not run.
        LimitReached: it was ended.
    """
    reading, writing = os.pipe()
    words = (str(writing), str(os.getpid()), without, str(limits.seconds), str(limits.memory))
    inside = [sys.executable, "-I", str(Path(network_isolation.__file__)), *words, *command]
    with open(reading, "rb", buffering=0) as report:
        process = None
        try:
            with held_signals(), _starting:
                take_orphans()
                try:
                    process = subprocess.Popen(
                        inside,
                        cwd=cwd,
                        env=dict(environment),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        pass_fds=(writing,),
                        umask=0o022,
                        start_new_session=True,
                    )
                finally:
                    os.close(writing)
                _watching.add(process.pid)
            said = _read_to_its_end(report, process, limits.seconds, tick)
        finally:
            if process is not None:
                status = _end(process)
    fence, _, ended = said.partition("\n")
    if not fence.startswith("cut off by "):
        raise NetworkCutUnavailable(fence or f"the process that cuts it off ended with status {status}")
    if ended:
        raise LimitReached(ended)
    return status if status >= 0 else 128 - status


def _read_to_its_end(
    report: FileIO, process: subprocess.Popen[bytes], limit_s: float, tick: Callable[[int], None] | None
) -> str:
    """What the helper says; the end comes when it ends, for nobody else is given the pipe.

    Raises:
        LimitReached: it should have ended the command long ago.
    """
    said, latest = b"", time.monotonic() + limit_s + _GRACE_S if limit_s else math.inf
    while True:
        if select.select([report], [], [], max(0, min(_TICK_S, latest - time.monotonic())))[0]:
            piece = report.read(4096)
            if not piece:
                break
            said = (said + piece)[:_MAX_REPORT_BYTES]
        elif process.poll() is not None:
            break  # and somebody has taken the pipe
        elif time.monotonic() >= latest:
            raise LimitReached(too_long(limit_s))
        else:
            process.send_signal(signal.SIGCONT)  # nobody stops it but the command
            if tick:
                tick(process.pid)
    return said.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> int:
    """End what watches over a command, which ends all that the command has left, and then itself; its status."""
    try:
        process.terminate()
        process.send_signal(signal.SIGCONT)
        try:
            status = process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            # First what is below it: once it is dead its children are ours, and would do to us what they did to it.
            for one in descendants(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            process.kill()
            status = process.wait()
        if status < 0:  # it had no time to
            with _starting:
                end_strays(_watching)
        return status
    finally:
        with _starting:
            _watching.discard(process.pid)
            take_orphans(bool(_watching))  # nobody else's, who may wait until they are gone
