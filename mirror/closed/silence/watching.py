"""Running a program and watching what it tries to reach: by the kernel's notices, or else by strace.

It chooses the way, runs the program and ends what it leaves behind. Nothing is kept from the program: what it tries, it does.

Rules: a way is tried out on a call of our own before the program is started; without a way nothing is run, and nothing is
called silent; the program's output goes to our standard error, its signals are its own.

Example::

    watched = watch(["vllm", "serve", "/models/llama"], os.environ)
    watched.seen.is_silent, watched.code
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from mirror.closed.environment.launch import CannotRun, find_program
from mirror.closed.host.signals import passing_on
from mirror.closed.silence import tracer
from mirror.closed.silence.attempts import Seen
from mirror.closed.silence.notified import Reader
from mirror.closed.silence.notifier import Notifier
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.system.durable import held_open
from mirror.core.words import counted

SECCOMP, STRACE = "seccomp", "strace"

BLIND = {
    SECCOMP: (
        "what is written with write(2) over a connection is not read: a name server that is asked so is told by its address",
        "a program that means to deceive can show one address and use another",
        "connections that the command was given open by its caller are not told",
        "set-user-ID programs run without their rights, and io_uring is refused, as by a kernel without it",
    ),
    STRACE: (
        "what is written with write(2) over a connection is not read: a name server that is asked so is told by its address",
        "what is called by way of io_uring is not seen: whether a command uses it is",
        "connections that the command was given open by its caller are not told",
        "set-user-ID programs run without their rights",
    ),
}
"""What each way cannot see, or changes."""

_PR_SET_CHILD_SUBREAPER = 36
_LEFT_S = 5.0
"""How long what a program leaves running may take to end by itself."""


class CannotWatch(MirrorError):
    """This host allows no way to see what a program tries to reach."""

    ref = "cannot-watch"
    exit_code = FAMILIES["install"]
    hint = (
        "Nothing was run, so nothing is known. It works on Linux 5.6 or newer where seccomp is not taken away (containers: "
        "--security-opt seccomp=unconfined), or with strace on the PATH where programs may be traced."
    )
    message = "what a program tries to reach cannot be seen on this host: {reasons:; }"

    reasons: tuple[str, ...]


class NotSilent(MirrorError):
    """The command tried to reach something outside this host, asked for a name, or did what could not be read."""

    ref = "not-silent"
    exit_code = FAMILIES["install"]
    hint = (
        "'mirror run' sets the switches for what is known to phone home, 'mirror env' shows them: start it with that."
    )

    count: int
    code: int

    def __str__(self) -> str:
        seen = (
            counted(self.count, "address or name", "addresses and names")
            if self.count
            else "calls that could not be read"
        )
        return f"the command was not silent: {seen}, listed above (its own exit code was {self.code})"


@dataclass(frozen=True)
class Watched:
    """A program that ended.

    Attributes:
        way: ``SECCOMP`` or ``STRACE``.
        code: its exit code; 128 and the signal's number when one ended it.
        seen: what it tried.
    """

    way: str
    code: int
    seen: Seen


def watch(command: Sequence[str], variables: Mapping[str, str], ways: Sequence[str] = (SECCOMP, STRACE)) -> Watched:
    """Run a program to its end.

    Args:
        command: the program and its arguments; at least one word.
        variables: all of its environment.
        ways: which to try, in order.

    Raises:
        CannotRun: when there is no such program.
        CannotWatch: when no way works here; nothing was run.
    """
    words = [find_program(command[0], variables), *command[1:]]
    reasons = []
    for way in ways:
        try:
            return _by_notices(words, variables) if way == SECCOMP else _by_strace(words, variables)
        except _Unusable as exc:
            reasons.append(f"{way}: {exc}")
    raise CannotWatch(tuple(reasons))


class _Unusable(Exception):
    """A way does not work here; the program was not started."""


class _Starter(threading.Thread):
    """Takes on the filter, tries it on a call of its own, and starts the program when that was seen.

    Attributes:
        listener: tells of calls; -1 before it is there.
        ready: set when ``listener`` is there, or ``problem`` says why not.
        may_start: set by whoever saw the trial.
        process: the program, once it was started.
    """

    def __init__(self, notifier: Notifier, words: Sequence[str], variables: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self._notifier, self._words, self._variables = notifier, words, variables
        self.listener, self.problem = -1, ""
        self.ready, self.may_start = threading.Event(), threading.Event()
        self.is_cancelled = False
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.refusal: Optional[OSError] = None

    def run(self) -> None:
        try:
            self.listener = self._notifier.enter()
        except OSError as exc:
            self.problem = str(exc)
        self.ready.set()
        if self.listener < 0:
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial, contextlib.suppress(OSError):
            trial.connect(("127.0.0.1", 53))
        self.may_start.wait()
        if self.is_cancelled:
            return
        try:
            self.process = _start(self._words, self._variables)
        except OSError as exc:
            self.refusal = exc


def _by_notices(words: Sequence[str], variables: Mapping[str, str]) -> Watched:
    try:
        notifier = Notifier(os.uname().machine)
    except OSError as exc:
        raise _Unusable(exc.strerror or str(exc)) from exc
    starter = _Starter(notifier, words, variables)
    starter.start()
    starter.ready.wait()
    if starter.listener < 0:
        raise _Unusable(starter.problem)
    try:
        _try_out(notifier, starter.listener)
        with _adopting(), passing_on(lambda: starter.process):
            starter.may_start.set()
            return _follow(notifier, starter, words)
    finally:
        starter.is_cancelled = True
        starter.may_start.set()
        os.close(starter.listener)


def _try_out(notifier: Notifier, listener: int) -> None:
    """See the starter's own call as a program's will be seen."""
    seen, trial = Seen(), Seen()
    trial.address("udp", "127.0.0.1", 53, Path("/proc/self/comm").read_text("utf-8", "replace").strip())
    try:
        if not _is_told(listener, 10_000):
            raise _Unusable("the kernel told of no call")
        notice = notifier.receive(listener)
        if notice is None:
            raise _Unusable("the kernel told of no call")
        Reader(notifier, listener, seen).look(notice)
        notifier.go_on(listener, notice)
    except OSError as exc:
        raise _Unusable(exc.strerror or str(exc)) from exc
    places = {(one.address, one.port) for one in seen.attempts}
    if seen.unseen or places != {(one.address, one.port) for one in trial.attempts}:
        raise _Unusable("; ".join(seen.unseen) or "a call of our own was not seen as it was")


def _follow(notifier: Notifier, starter: _Starter, words: Sequence[str]) -> Watched:
    """Let every call go on once it was counted, until the program and all that it started have ended."""
    seen = Seen()
    reader = Reader(notifier, starter.listener, seen)
    status: Optional[int] = None
    ends_at = 0.0
    while True:
        if _is_told(starter.listener, 50) and (notice := notifier.receive(starter.listener)):
            reader.look(notice)
            notifier.go_on(starter.listener, notice)
            continue
        if starter.refusal:
            raise CannotRun(words[0], starter.refusal.strerror or str(starter.refusal)) from starter.refusal
        if starter.process is None:
            continue
        found, is_alone = _reap(starter.process.pid)
        status = found if status is None else status
        if status is None:
            continue
        if is_alone:
            break
        ends_at = ends_at or time.monotonic() + _LEFT_S
        if time.monotonic() > ends_at:
            _end_children()
    starter.process.returncode = _code(status)
    return Watched(SECCOMP, _code(status), seen)


def _is_told(listener: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    events = poll.poll(timeout_ms)
    if events and not events[0][1] & select.POLLIN:
        time.sleep(timeout_ms / 1000)  # nobody has the filter any more: it says so at once, again and again
        return False
    return bool(events)


def _reap(process: int) -> tuple[Optional[int], bool]:
    """The status of the program, if it has ended now, and whether there is no child left."""
    status = None
    while True:
        try:
            number, found = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status, True
        if number == 0:
            return status, False
        if number == process:
            status = found


def _end_children() -> None:
    """Kill what a program has left running; what those had started comes to us then, and goes next."""
    own = str(os.getpid())
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            if path.read_text("utf-8", "replace").rpartition(")")[2].split()[1] == own:
                os.kill(int(path.parent.name), signal.SIGKILL)


def _by_strace(words: Sequence[str], variables: Mapping[str, str]) -> Watched:
    strace = shutil.which("strace")
    if strace is None:
        raise _Unusable("it is not installed")
    with tempfile.TemporaryDirectory(prefix="mirror-silence-") as place:
        log = Path(place, "log")
        traced = tracer.command(Path(strace), log)
        try:
            os.mkfifo(log)  # no file: that could fill the disk, and nobody would learn what was not written
            reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as exc:
            raise _Unusable(exc.strerror or str(exc)) from exc
        with held_open(reader):
            with open(Path(place, "said"), "w+b") as said:
                trial = subprocess.Popen([*traced, "true"], stdout=subprocess.DEVNULL, stderr=said)
                if code := _traced(trial, reader, Seen()):
                    said.seek(0)
                    raise _Unusable((said.read().decode("utf-8", "replace").strip() or f"exit {code}").splitlines()[-1])
            try:
                process = _start([*traced, *words], variables)
            except OSError as exc:
                raise CannotRun(words[0], exc.strerror or str(exc)) from exc
            seen = Seen()
            with passing_on(lambda: process):
                code = _traced(process, reader, seen)
    return Watched(STRACE, code if code >= 0 else 128 - code, seen)


def _traced(process: subprocess.Popen[bytes], reader: int, seen: Seen) -> int:
    """Read what strace tells until it has ended; its exit code."""
    log = tracer.Log(seen)
    while True:
        has_ended = process.poll() is not None
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(reader, 1 << 16)
        log.feed(data)
        if has_ended and not data:
            log.end(process.returncode)
            return process.returncode
        if not data:
            _is_told(reader, 50)


def _start(words: Sequence[str], variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Results are ours, on standard output: what the program says goes to standard error."""
    return subprocess.Popen(list(words), env=dict(variables), stdout=2, stderr=2)


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """What the program's own children leave behind becomes ours for the time of the block, so that we know when all is over."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _code(status: int) -> int:
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
