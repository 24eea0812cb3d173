"""How a command fails: whatever ended it becomes a named error, and a person is told on stderr.

Rules: what the operating system refused and no module had a better name for is named here; what nobody expected is called our
bug; words of a bundle move no cursor.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mirror.cli import console
from mirror.cli.caller import spoken
from mirror.cli.prose import item
from mirror.cli.streams import STDOUT
from mirror.cli.terminal import BAD, FAINT, STRONG, columns, is_terminal, paint, paint_label
from mirror.core.commands import find
from mirror.core.errors import FAMILIES, NO_DESCRIPTORS, MirrorError, Unreadable, Unwritable, place_of
from mirror.review.markup import visible


class Interrupted(MirrorError):
    """The user asked mirror to stop (Ctrl-C).

    It is made here, of what ended a command, and raised nowhere.

    Attributes:
        hint: what is true of the command that was stopped; without one, that it only reads.
    """

    ref = "interrupted"
    exit_code = 130
    message = "interrupted"

    hint: str = "It only reads: nothing was changed, and the same command begins anew."


class Terminated(Interrupted):
    """The system asked mirror to stop (SIGTERM); what was half written has been removed."""

    ref = "terminated"
    exit_code = 143
    message = "stopped by SIGTERM"


class HungUp(Interrupted):
    """The terminal that mirror ran in was closed (SIGHUP); what was half written has been removed."""

    ref = "hung-up"
    exit_code = 129
    message = "stopped by SIGHUP"


class Bug(MirrorError):
    """Something that nobody foresaw: a bug in mirror."""

    ref = "bug"
    exit_code = 1
    hint = "This is a bug in mirror; run again with --debug and report what it prints."
    message = "internal error: {kind}: {words}"

    kind: str
    words: str


class PythonIncomplete(MirrorError):
    """The Python that runs mirror lacks a module that mirror needs, one of the standard library, too."""

    ref = "python-incomplete"
    exit_code = FAMILIES["install"]
    hint = (
        "Run mirror with another Python 3.9 or newer; a distribution's own is complete. One that was built on a machine "
        "without the headers of zlib, bzip2, xz or libffi lacks the modules zlib, bz2, lzma or ctypes. What 'pip install' was "
        "to bring, it brings when mirror is installed again."
    )
    message = "{python} has no module {module}, which mirror needs"

    python: str
    module: str


class ModuleUnloadable(MirrorError):
    """Python could not load a file of its own or of mirror's: damaged, unreadable, replaced while it ran."""

    ref = "module-unloadable"
    exit_code = FAMILIES["install"]
    hint = (
        "What was half written has been removed: run the same command again. If it fails again, see who may read that file and "
        "what the system's log says of its disk; copy or install mirror again, or run it with another Python 3.9 or newer."
    )
    message = "{python} could not load a part of itself or of mirror: {words}"

    python: str
    words: str


class OutOfMemory(MirrorError):
    """The system gave no more memory, or no more threads, to mirror; what was half written has been removed."""

    ref = "out-of-memory"
    exit_code = FAMILIES["files"]
    hint = (
        "mirror itself needs at most 256 MiB, and the programs that it starts more. 'ulimit -v' and 'ulimit -u' show limits of "
        "this shell, a job's system has its own: raise them, or end other programs, and run again."
    )
    message = "not enough memory: {words}"

    words: str


class Stopped(SystemExit):
    """A signal came; no ``except Exception`` on the way keeps it."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = signal.Signals(number)


LOST_OUTPUT = (
    "Only what the command prints is lost: what it was to do may be done. Look before you run it again ('mirror status', "
    "'mirror trust show', the file that it writes), and let its output go where there is room."
)

NOWHERE = (
    "'cd' to a directory that is there, and run again: from the one that this shell is in, which was removed, no name leads "
    "anywhere."
)

CAUGHT = (Exception, KeyboardInterrupt, Stopped)
"""What ends a command. ``SystemExit`` of argparse, after ``--help``, does not."""

_LOADERS = ("<frozen importlib._bootstrap_external>", "<frozen zipimport>")
"""What Python calls the code of its own that reads modules."""

_SIGNALS = {signal.SIGTERM: Terminated, signal.SIGHUP: HungUp}


def stop_at_signals() -> None:
    """Make SIGTERM and SIGHUP end the command as Ctrl-C does."""
    for number in _SIGNALS:
        # nohup: neither mirror nor a program of 'mirror run' ends with the terminal then
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


def named(exc: BaseException, command: str = "") -> MirrorError:
    """The named error for whatever ended a command; it keeps the traceback, and says what an interrupted one has left."""
    error: MirrorError
    if isinstance(exc, MirrorError):
        if isinstance(exc, (Unreadable, Unwritable)) and not Path(exc.path).is_absolute() and _is_nowhere():
            exc.hint = NOWHERE
        return exc
    known = find(command.partition(" ")[0])
    kept = known.kept if known else Interrupted.hint
    if isinstance(exc, KeyboardInterrupt):
        error = Interrupted(kept)
    elif isinstance(exc, Stopped):
        error = _SIGNALS[exc.number](kept)
    elif isinstance(exc, MemoryError) or "can't start new thread" in str(exc) or _gives_no_process(exc):
        error = OutOfMemory(str(exc) or "the system gives no more")
    elif _ended_loading(exc):
        error = ModuleUnloadable(_python(), str(exc))
    elif isinstance(exc, FileNotFoundError) and exc.filename is None and _is_nowhere():
        error = Unreadable("the directory that this shell is in", "it was removed").advised(NOWHERE)
    elif isinstance(exc, FileNotFoundError) and str(exc.strerror).startswith("No usable temporary directory"):
        error = Unwritable("a temporary file", str(exc.strerror))
    elif isinstance(exc, OSError) and exc.errno in NO_DESCRIPTORS:
        error = Unreadable(place_of(exc, "one more file"), os.strerror(exc.errno or 0))
    elif isinstance(exc, OSError):
        place, reason = place_of(exc, "a file"), exc.strerror or str(exc)
        error = (Unreadable if isinstance(exc, FileNotFoundError) else Unwritable)(place, reason)
        if place == STDOUT:
            error.hint = LOST_OUTPUT
    elif isinstance(exc, ModuleNotFoundError) and exc.name and exc.name.partition(".")[0] != "mirror":
        error = PythonIncomplete(_python(), exc.name.lstrip("_"))
    else:
        error = Bug(type(exc).__name__, str(exc))
    return error.with_traceback(exc.__traceback__)


def _is_nowhere() -> bool:
    """Whether the working directory was removed: no relative path leads anywhere then."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _gives_no_process(exc: BaseException) -> bool:
    """Whether fork(2) or mmap(2) ended it: what names no file, and is for want of memory or of processes."""
    return isinstance(exc, OSError) and exc.filename is None and exc.errno in (errno.ENOMEM, errno.EAGAIN)


def _ended_loading(exc: BaseException) -> bool:
    """Whether Python was loading a module, and had found its file, when this ended it."""
    if isinstance(exc, SyntaxError):
        return True
    if isinstance(exc, ImportError) and exc.path and exc.path.endswith(tuple(EXTENSION_SUFFIXES)):
        return True  # of an ImportError Python hides its own frames
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(exc.__traceback__)]
    return bool(frames) and frames[-1] in _LOADERS


def _python() -> str:
    return f"Python {'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"


def tell(error: MirrorError, debug: bool) -> None:
    """Say it on stderr: the sentence, its context, the next step, the ref."""
    console.rest()
    if debug:
        traceback.print_exception(type(error), error, error.__traceback__)
    lines = [paint_label(_fitted("error: ", visible(spoken(str(error)))), BAD, sys.stderr)]
    if error.context():
        lines.append(visible(error.context()))
    if console.is_verbose():
        lines += [visible(f"caused by: {type(cause).__name__}: {cause}") for cause in _causes(error)]
    if error.hint:
        lines.append(paint_label(_fitted("hint: ", visible(spoken(error.hint))), STRONG, sys.stderr))
    print("\n".join(lines), paint(f"ref: {error.ref}", FAINT, sys.stderr), sep="\n", file=sys.stderr)


def _fitted(label: str, text: str) -> str:
    """A sentence on a terminal goes on below where it began; in a log it stays one line."""
    return item(label, text, columns(sys.stderr) - 1) if is_terminal(sys.stderr) and "\n" not in text else label + text


def _causes(error: BaseException) -> list[BaseException]:
    """What an error came from, nearest first."""
    found: list[BaseException] = []
    cause = error.__cause__
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__
    return found


def forget_stdout() -> None:
    """Nobody reads stdout any more: what is still to be written to it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
