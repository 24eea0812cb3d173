"""Watching over one command and everything that it starts, so that nothing of it outlives mirror.

Jobs of ninja have process groups of their own, and a build tool may leave a daemon behind: a signal to one group reaches
neither. ``mirror.connected.building.network_isolation`` calls this in the process that it runs in, by path and with the
standard library alone, after it has given up the network.

Rules: whatever a child leaves behind becomes a child of ours (``PR_SET_CHILD_SUBREAPER``), wherever it fled to; when the
command ends, when we are told to stop, when a limit is reached, and when mirror dies (``PR_SET_PDEATHSIG``, which SIGKILL does
not escape), all of it is killed until none is left; only then do we end.

Example::

    status, ended = supervise(["make"], parent=os.getppid(), limit_s=3600.0, limit_bytes=0)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LOOK_S = 1.0
"""How often memory is measured."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


def supervise(command: list[str], parent: int, limit_s: float, limit_bytes: int) -> tuple[int, str]:
    """Run a command to its end, and end what it leaves.

    Args:
        parent: the process whose death ends all; when it is dead already, nothing is run.
        limit_s: seconds that it may take; 0 for any.
        limit_bytes: memory that all its processes may hold together; 0 for any.

    Returns:
        Its exit status, 128 + N when signal N ended it; and which limit ended it, in words, or nothing.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    awaited = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    take_orphans()
    # A change of credentials forgets it, so it comes after the namespace; and it may come after the parent's death.
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 128 + signal.SIGTERM, ""
    child = os.fork()
    if child == 0:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # for whoever kills us too
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            os.execvp(command[0], command)  # noqa: S606  # a list, never shell text
        except OSError as exc:
            sys.stderr.write(f"cannot run {command[0]}: {exc.strerror}\n")
            sys.stderr.flush()
        os._exit(127)
    try:
        return _wait(child, awaited, limit_s, limit_bytes)
    finally:
        end_all()


def _wait(child: int, awaited: set[signal.Signals], limit_s: float, limit_bytes: int) -> tuple[int, str]:
    begun = time.monotonic()
    while True:
        came = signal.sigtimedwait(awaited, _LOOK_S)
        if came is not None and came.si_signo != signal.SIGCHLD:
            return 128 + came.si_signo, ""
        with contextlib.suppress(ChildProcessError):
            while True:
                found, status = os.waitpid(-1, os.WNOHANG)
                if found == child:
                    code = os.waitstatus_to_exitcode(status)
                    return (code if code >= 0 else 128 - code), ""
                if found == 0:
                    break
        if limit_s and time.monotonic() - begun > limit_s:
            return 128 + signal.SIGKILL, too_long(limit_s)
        if limit_bytes and came is None and (held := _memory(descendants())) > limit_bytes:
            allowed = f"the {limit_bytes / (1 << 30):g} GiB that they may"
            return 128 + signal.SIGKILL, f"its processes held {held / (1 << 30):.1f} GiB of memory, more than {allowed}"


def too_long(limit_s: float) -> str:
    return f"it took longer than the {limit_s / 60:g} minutes that it may"


def take_orphans(is_taken: bool = True) -> None:
    """Let what processes below this one leave behind become its children, and not those of a process above; or no more."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, int(is_taken), 0, 0, 0)


def end_strays(known: Collection[int]) -> None:
    """Kill the children of this process that came to it from a session of their own, and what is below them: whoever watched
    over them has been killed.

    Args:
        known: those that this process started.
    """
    while True:
        strays = [
            number
            for number, _, parent, session in _processes()
            if parent == os.getpid() and session != os.getsid(0) and number not in known
        ]
        for process in {*strays, *(one for stray in strays for one in descendants(stray))}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for stray in strays:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(stray, os.WNOHANG)
        if not strays:
            return
        time.sleep(0.005)


def _processes() -> Iterator[tuple[int, bytes, int, int]]:
    """Number, state, parent and session of each, as far as they can be seen."""
    for name in os.listdir("/proc"):  # noqa: PTH208  # numbers are wanted, not paths
        if not name.isascii() or name[0] not in "123456789":
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stream:
                state, parent, _, session = stream.read().rpartition(b")")[2].split()[:4]
        except OSError:
            continue  # it has ended
        yield int(name), state, int(parent), int(session)


def descendants(process: int = 0) -> list[int]:
    """All living processes below one, this one where none is given, as far as they can be seen at one moment."""
    children: dict[int, list[int]] = {}
    for number, state, parent, _ in _processes():
        if state not in (b"Z", b"X"):
            children.setdefault(parent, []).append(number)
    found: list[int] = []
    queue = [process or os.getpid()]
    while queue:
        below = children.pop(queue.pop(), [])
        found += below
        queue += below
    return found


def end_all() -> None:
    """Kill everything below this process until nothing is left, whatever it starts meanwhile."""
    while True:
        for process in descendants():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:  # a subreaper without children has no descendants
            return
        time.sleep(0.005)


def _memory(processes: list[int]) -> int:
    """Bytes of memory of their own, roughly: what is resident and not of a file or shared."""
    held = 0
    for process in processes:
        try:
            with open(f"/proc/{process}/statm", "rb") as stream:
                numbers = stream.read().split()
        except OSError:
            continue
        held += max(0, int(numbers[1]) - int(numbers[2])) * _PAGE
    return held
