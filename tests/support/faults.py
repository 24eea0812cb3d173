"""Each call of a command into the file system fails in turn, by strace; then somebody looks.

1. ``Theatre`` makes a scene's state of before, and learns from one run that nothing disturbs what the command changes, and
   which calls of its main thread concern the scene's directory.
2. ``Theatre.trial`` makes one of them fail (an error, or SIGKILL in its place), and tells what is wrong then: the state is
   neither the old nor the new one, something that was and should be is lost, something is left behind, the command said that
   it had worked when it had not, it ended in a traceback or not at all, or it does not succeed when it is run again.

A scene (``tests/support/scenes.py``) says how to make the state, which command is run, and how to tell old from new.

Rules: each trial begins from a copy of the state of before at the same path; nothing is looked at that the command does outside
its directory, its home included; of one that was killed, what it left behind may stay until the next run. A call is found by
its number among those that name its file, or else among all: calls that have nothing to do with the scene (modules that were
compiled meanwhile) are more or fewer in each run. Where another one failed, it is tried again.

Example::

    with Theatre(scene, directory) as theatre:
        for call in theatre.calls:
            for fault in faults_of(call):
                assert theatre.trial(call, fault) == []
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror.closed.prefix.lock import PrefixBusy

HOUSE = Path(__file__).parents[2]
STRACE = shutil.which("strace")

CHANGES = (
    "mkdir", "mkdirat", "rename", "renameat", "renameat2", "symlink", "symlinkat", "link", "linkat", "unlink", "unlinkat",
    "rmdir", "write", "pwrite64", "fsync", "fdatasync", "syncfs", "ftruncate", "chmod", "fchmod", "fchmodat", "utimensat",
    "copy_file_range",
)  # fmt: skip
"""Calls that change what is on the disk, or make it last."""

READS = ("openat", "open", "read", "pread64", "newfstatat", "stat", "lstat", "fstat", "statx", "getdents64", "readlink",
         "readlinkat", "access", "faccessat2", "flock", "statfs", "fstatfs")  # fmt: skip
"""Calls that look at it; an open that creates counts as a change."""

_LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (.*)$")
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{12,}|\d+|\"(?:\\.|[^\"\\])*\"(?=(?:\.\.\.)?, #?\d)|\{.*\}")
"""What differs between calls that are alike: numbers, digests, contents, what stat tells."""
_CONTENT = re.compile(
    r"^((?:\d+ +)?(?:p?(?:read|write)(?:64)?\(\d+<[^<>]*>|readlink(?:at)?\([^\"]*\"[^\"]*\"), )\"(?:\\.|[^\"\\])*\""
)
"""What is read and written, in a line of strace, and what stands before it."""
_MADE_UP = re.compile(r"(\./tmp/(?:[a-z-]+-)?|/archive-v\d+/)[\w-]{8,}(?=[/\">])")
"""Names that each run makes up: Python's for temporary files, uv's in its cache."""
_OF_DESCRIPTOR = ', "", #, AT_EMPTY_PATH'
"""How some C libraries spell fstat(2)."""
_TRACED = tuple(dict.fromkeys(CHANGES + READS))


def can_trace() -> bool:
    """Whether strace is here and may trace."""
    if STRACE is None:
        return False
    return subprocess.run([STRACE, "-o", "/dev/null", "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace, and leave to trace")


class Missed(Exception):
    """The call that was to fail did not: no number leads to it."""


@dataclass(frozen=True)
class Call:
    """One call of the command's main thread that concerns the scene.

    Attributes:
        name: of the system call.
        number: how manieth of its name it is.
        text: as strace wrote it.
    """

    name: str
    number: int
    text: str

    @property
    def alike(self) -> tuple[str, str]:
        """Name and text without what differs between runs and machines: of calls that are alike they are the same."""
        text = _NUMBERS.sub("#", _MADE_UP.sub(r"\1#", self.text))
        if self.name == "newfstatat" and text.endswith(_OF_DESCRIPTOR):
            return "fstat", text[: -len(_OF_DESCRIPTOR)] + ", #"
        return self.name, text

    @property
    def files(self) -> tuple[str, ...]:
        """Files that it names, or has open, by whole paths; ``.`` is the scene's directory."""
        text = re.sub(r"AT_FDCWD<[^<>]*>", "", self.text)
        return tuple(one or other for one, other in re.findall(r"<(\.?/[^<>]*|\.)>|\"(\.?/[^\"]*)\"", text))

    def is_what_failed(self, trace: str) -> bool:
        """Whether the call that strace made fail is this one, by the names of files in it."""
        return _paths(_failed(trace)) == _paths(f"{self.name}({self.text})")

    @property
    def is_change(self) -> bool:
        return self.name in CHANGES or "O_CREAT" in self.text


def faults_of(call: Call) -> tuple[str, ...]:
    """The faults that can befall a call: names of errors, and ``KILL`` for its process."""
    if call.name in ("fsync", "fdatasync", "syncfs"):
        return ("KILL", "EIO", "ENOSPC", "EINTR")
    if call.name in ("write", "pwrite64", "copy_file_range"):
        return ("KILL", "ENOSPC", "EIO", "EINTR")
    if call.is_change:
        return ("KILL", "ENOSPC", "EIO", "EACCES", "EROFS", *(("EINTR", "EMFILE") if "open" in call.name else ()))
    if "open" in call.name:
        return ("EIO", "EACCES", "EMFILE", "EINTR", "ESTALE", "ENOMEM")
    if call.name in ("read", "pread64"):
        return ("EIO", "EINTR", "ESTALE")
    return ("EIO", "EACCES") if call.alike[0] not in ("fstat", "getdents64", "flock") else ("EIO",)


@dataclass(frozen=True)
class Scene:
    """A command, and what it changes.

    Attributes:
        name: as ``scripts/attack faults`` calls it.
        make: makes the state of before in an empty directory.
        words: the command line of mirror, given the directory.
        state: ``"old"``, ``"new"``, or what it is otherwise.
        sound: what is wrong whatever the state is.
        transient: directories of which nobody minds what is in them: caches of other programs.
        again: the command line of the run after the fault, given the directory and the state; None where nothing remains to be
            done.
        beside: what must run meanwhile, a server.
        module: what is run, where it is not mirror's command line.
    """

    name: str
    make: Callable[[Path], None]
    words: Callable[[Path], list[str]]
    state: Callable[[Path], str]
    sound: Callable[[Path], list[str]] = lambda _: []
    transient: tuple[str, ...] = ()
    again: Callable[[Path, str], list[str] | None] | None = None
    beside: Callable[[], AbstractContextManager[object]] = nullcontext
    module: str = "mirror.cli.main"


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        code: exit code; negative for a signal; None when it did not end in time.
    """

    code: int | None
    errors: str
    trace: str = ""


class Theatre(AbstractContextManager["Theatre"]):
    """A scene set up in a directory, to be played again and again.

    Args:
        planted: a bug of ``tests/support/planted.py`` that the command is to have.

    Attributes:
        calls: what can fail.
    """

    calls: tuple[Call, ...]

    def __init__(self, scene: Scene, directory: Path, planted: str = "") -> None:
        self.scene, self._planted = scene, planted
        self.world, self._before, self._trace = directory / "world", directory / "before", directory / "trace"
        self._stack = ExitStack()
        self._spares_temporary = False

    def __enter__(self) -> Theatre:
        self._stack.enter_context(self.scene.beside())
        for name in ("", "home", "tmp"):
            (self.world / name).mkdir()
        self.scene.make(self.world)
        self.world.rename(self._before)
        self._reset()
        assert self.scene.state(self.world) == "old", self.scene.state(self.world)
        self._old = self._listing()
        self.calls = self._learnt()
        assert self.scene.state(self.world) == "new", self.scene.state(self.world)
        self._new = self._listing()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _reset(self) -> None:
        shutil.rmtree(self.world, ignore_errors=True)
        # With cp, for it keeps times and links, and is quick.
        subprocess.run(["cp", "-a", "--reflink=auto", str(self._before), str(self.world)], check=True)

    def _listing(self) -> frozenset[str]:
        found = set()
        for directory, names, files in os.walk(self.world):
            for name in (*names, *files):
                path = str((Path(directory) / name).relative_to(self.world))
                if not any(path == one or path.startswith(f"{one}/") for one in self.scene.transient):
                    found.add(path)
        return frozenset(found)

    def run(self, words: list[str], *options: str) -> Outcome:
        """Run mirror, under strace where options for it are given."""
        program = ["-m", "tests.support.planted", self._planted] if self._planted else ["-m", self.scene.module]
        command = [sys.executable, *program, *words]
        if options:
            assert STRACE is not None
            command = [STRACE, "-o", str(self._trace), "-e", f"trace={','.join(_TRACED)}", *options, *command]
        home = self.world / "home"
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "MIRROR_HOME": str(home / "mirror"), "LANG": "C.UTF-8",
            "XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(self.world / "tmp"),
            "PYTHONPATH": str(HOUSE), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0",
        }  # fmt: skip
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", start_new_session=True
        ) as process:
            try:
                errors = process.communicate(timeout=120)[1].decode("utf-8", "replace")
                code: int | None = process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code, errors = None, process.communicate()[1].decode("utf-8", "replace")
        return Outcome(code, errors, self._trace.read_text("utf-8", "replace") if options else "")

    def fail(self, call: Call, fault: str) -> Outcome:
        """Run the command from the state of before, and make this call of it fail so.

        Raises:
            Missed: when the call has no number that leads to it.
        """
        what = "signal=KILL" if fault == "KILL" else f"error={fault}"
        for number, place in self._numbers(call):
            self._reset()
            options = ["-y", "-e", f"trace={call.name}", "-e", f"inject={call.name}:{what}:when={number}", *place]
            outcome = self.run(self.scene.words(self.world), *options)
            if call.is_what_failed(outcome.trace.replace(str(self.world), ".")):
                return outcome
        raise Missed(f"{call.name} number {call.number}, {call.text}")

    def _numbers(self, call: Call) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Numbers that may lead to a call, the likeliest first, each with strace's word for what is counted."""
        if call.files:
            same = [one for one in self.calls if one.name == call.name and call.files[0] in one.files]
            yield same.index(call) + 1, ("-P", re.sub(r"^\.", str(self.world), call.files[0]))
        which = [one for one in self.calls if one.alike == call.alike].index(call)
        yield call.number, ()
        for _ in range(3):
            again = [one for one in self._learnt() if one.alike == call.alike]
            if which < len(again):
                yield again[which].number, ()

    def _learnt(self) -> tuple[Call, ...]:
        """What an undisturbed run calls."""
        self._reset()
        outcome = self.run(self.scene.words(self.world), "-y")
        assert outcome.code == 0, f"{self.scene.name} ended with {outcome.code} undisturbed: {outcome.errors}"
        return tuple(_calls(outcome.trace, str(self.world)))

    def trial(self, call: Call, fault: str) -> list[str]:
        """What is wrong when this call fails so; nothing, if all is well.

        Raises:
            Missed: as ``fail`` does.
        """
        outcome = self.fail(call, fault)
        self._spares_temporary = _is_removal_of_temporary(outcome.trace.replace(str(self.world), "."))
        wrong = [*self._after_fault(outcome), *self._rerun(outcome)]
        place = f"{self.scene.name}: {fault} at {call.name} number {call.number}, {call.text[:160]}"
        return [f"{one} [{place}]" for one in wrong]

    def _after_fault(self, outcome: Outcome) -> Iterator[str]:
        state, there = self.scene.state(self.world), self._listing()
        killed = outcome.code == -signal.SIGKILL
        if outcome.code is None:
            yield "it did not end"
        elif "Traceback" in outcome.errors or outcome.code == 1:
            yield f"it ended without a named error: {outcome.errors.strip()[-300:]}"
        if outcome.code == 0 and state != "new":
            yield f"it said that it had worked, and the state is {state}"
        if state not in ("old", "new"):
            yield f"the state is {state}"
        yield from self.scene.sound(self.world)
        if lost := (self._old & self._new) - there:
            yield f"lost: {_some(lost)}"
        if not killed and (left := self._unspared(there - (self._old | self._new))):
            yield f"left behind: {_some(left)}"

    def _rerun(self, outcome: Outcome) -> Iterator[str]:
        again = self.scene.again
        words = again(self.world, self.scene.state(self.world)) if again else self.scene.words(self.world)
        if words is None:
            if left := self._left(outcome):
                yield f"left for good: {_some(left)}"
            return
        for _ in range(100):  # a program that outlives a killed run keeps the lock until it too has ended
            rerun = self.run(words)
            if rerun.code != PrefixBusy.exit_code:
                break
            time.sleep(0.1)
        if rerun.code != 0:
            yield f"run again it ends with {rerun.code}: {rerun.errors.strip()[-300:]}"
            return
        if (state := self.scene.state(self.world)) != "new":
            yield f"run again the state is {state}"
        yield from self.scene.sound(self.world)
        if left := self._left(outcome):
            yield f"left behind by the run before: {_some(left)}"
        if lost := self._new - self._listing():
            yield f"lost for good: {_some(lost)}"

    def _left(self, outcome: Outcome) -> frozenset[str]:
        """What is there that an undisturbed run does not leave; who was killed leaves temporary files to the system."""
        left = self._unspared(self._listing() - self._new)
        killed = outcome.code == -signal.SIGKILL
        return frozenset(path for path in left if not (killed and path.startswith("tmp/")))

    def _unspared(self, left: frozenset[str]) -> frozenset[str]:
        """Without temporary files whose own removal was what failed."""
        return frozenset(path for path in left if not (path.startswith("tmp/") and self._spares_temporary))


def distinct(calls: Sequence[Call], most: int = 2) -> tuple[Call, ...]:
    """Of calls that differ in numbers, digests and addresses alone, the first and the last."""
    alike: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        alike.setdefault(call.alike, []).append(call)
    chosen = {call for several in alike.values() for call in (*several[: most - 1], *several[-1:])}
    return tuple(call for call in calls if call in chosen)


def _is_removal_of_temporary(trace: str) -> bool:
    """Whether what failed was part of removing a temporary directory: its own call, or the look into it that comes first."""
    failed = _failed(trace)
    removes = re.match(r"(?:\d+ +)?(?:unlink|unlinkat|rmdir|getdents64)\(", failed)
    looks = re.match(r"(?:\d+ +)?(?:openat|newfstatat|fstat)\(", failed) and re.search(
        r"[\"<]\./tmp/[^/]+[\">]", failed
    )
    return "./tmp/" in failed and bool(removes or (looks and "O_CREAT" not in failed))


def _failed(trace: str) -> str:
    """The line of the call that was made to fail, or was not begun, for its process was killed in its place; empty for none."""
    *lines, last = trace.splitlines() or [""]
    killed = lines[-1] if lines and last.startswith("+++ killed by SIGKILL") else ""
    return next((line for line in lines if line.endswith(" (INJECTED)")), killed)


def _paths(line: str) -> tuple[str, ...]:
    """System call and files of a line; of their names without what a run makes up."""
    found = re.match(r"(?:\d+ +)?(\w+)\(", line)
    names = re.findall(
        r"<([^<>]*)>|\"(\.[^\"]*)\"", _MADE_UP.sub(r"\1#", _CONTENT.sub(r"\1#", line)).partition(") = ")[0]
    )
    return (found[1] if found else "", *(re.sub(r"[0-9a-f]{12,}|\d+", "#", one or other) for one, other in names))


def _some(paths: frozenset[str]) -> str:
    return ", ".join(sorted(paths)[:4]) + (f" and {len(paths) - 4} more" if len(paths) > 4 else "")


def _calls(trace: str, world: str) -> Iterator[Call]:
    counts: Counter[str] = Counter()
    for line in trace.splitlines():
        if found := _LINE.match(line):
            counts[found[1]] += 1
            if world in found[2] or world in found[3]:
                yield Call(found[1], counts[found[1]], found[2].replace(world, "."))
