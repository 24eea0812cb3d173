"""``mirror``: finds the command, turns named errors into words and exit codes.

Commands are listed in the order of the journey. ``mirror.pyz`` holds only those of the closed side; a command that is not
there, or that needs a newer Python, is refused with a sentence that says where it runs.

Rules: a ``MirrorError`` gives its sentence, context, hint, ref and exit code; Ctrl-C gives 130, SIGTERM 143, SIGHUP 129;
anything else is a bug and says so (``--debug`` shows the traceback).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from mirror import __version__
from mirror.cli.parser import Parser
from mirror.core.errors import Interrupted, MirrorError, Unreadable, Unwritable
from mirror.core.nearmiss import did_you_mean
from mirror.review.markup import visible

CONNECTED = ("init", "lock", "bundle", "installer", "key")
"""Commands of the connected machine: they need Python 3.11 and the libraries that pip installs with mirror."""

COMMANDS = (
    "init", "lock", "bundle",
    "verify", "inspect", "report", "diff", "rescan", "approve", "reject",
    "installer", "install", "env", "run", "which", "doctor", "status", "rollback", "gc",
    "key", "trust",
)  # fmt: skip

_DESCRIPTION = """\
Carry a GPU inference stack into a closed network.

  connected machine:  mirror init, mirror lock, mirror bundle, mirror installer
  reviewer:           mirror verify, mirror inspect, mirror report, mirror diff, mirror rescan,
                      mirror approve, mirror reject
  closed network:     mirror install, mirror env, mirror run, mirror which, mirror doctor,
                      mirror status, mirror rollback, mirror gc
"""

_EPILOG = """\
Every failure ends with a ref and an exit code of its own; README.md lists them. Results go to stdout, everything else to
stderr. Environment: MIRROR_HOME holds keys and trusted roots (default ~/.config/mirror).
"""


def parser(commands: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line of those of the commands that this copy of mirror holds.

    Args:
        commands: the one that is going to run, where that is known: importing the others takes longer than some of them run.
    """
    top = Parser(
        prog="mirror",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"mirror {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command in commands:
        if is_available(command):
            importlib.import_module(f"mirror.cli.{command}").configure(subparsers)
    return top


def is_available(command: str) -> bool:
    """Whether this copy of mirror holds the command and this Python can run it."""
    if command in CONNECTED and sys.version_info < (3, 11):
        return False
    return importlib.util.find_spec(f"mirror.cli.{command}") is not None


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``argv`` is without the program's name."""
    words = list(sys.argv[1:] if argv is None else argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if (
            signal.getsignal(number) != signal.SIG_IGN
        ):  # nohup: nor does a program of 'mirror run' end with the terminal
            signal.signal(number, _stop)
    command = next((word for word in words if not word.startswith("-")), "")
    if not words:
        print(parser().format_help(), end="", file=sys.stderr)
        return 2
    if command and command not in COMMANDS:
        usage, meant = parser().format_usage(), did_you_mean(command, filter(is_available, COMMANDS))
        print(f"{usage}mirror: error: there is no command '{command}'{meant}", file=sys.stderr)
        return 2
    if command in COMMANDS and not is_available(command):
        print(f"mirror: error: {_why_missing(command)}", file=sys.stderr)
        return 2
    try:
        args = parser([command] if command in COMMANDS else COMMANDS).parse_args(words)
    except KeyboardInterrupt:  # the commands' modules are imported there, which takes as long as some commands do
        return _report(Interrupted(), argparse.Namespace(debug=False))
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except MirrorError as exc:
        return _report(exc, args)
    except KeyboardInterrupt as exc:
        return _report(Interrupted().with_traceback(exc.__traceback__), args)
    except BrokenPipeError:
        # The reader of our output went away (`mirror inspect ... | head`); that is no error of anyone's.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except OSError as exc:
        return _report(_named(exc), args)
    except Exception as exc:  # noqa: BLE001 - the last resort: say that it is our bug, without a traceback
        if args.debug:
            traceback.print_exc()
        print(f"mirror: internal error: {type(exc).__name__}: {exc}", file=sys.stderr)
        print("hint: this is a bug in mirror; run again with --debug and report what it prints", file=sys.stderr)
        return 1


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    print(f"error: stopped by {signal.Signals(number).name}", file=sys.stderr)
    raise SystemExit(128 + number)


def _why_missing(command: str) -> str:
    if command in CONNECTED and sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:2]))
        return f"'{command}' runs on the connected machine with Python 3.11 or newer; this is Python {version}"
    return f"'{command}' runs on the connected machine; this is mirror.pyz, the installer for the closed network"


def _named(error: OSError) -> MirrorError:
    """What the operating system refused, when no module had a better name for it."""
    place, reason = os.fsdecode(error.filename or "a file"), error.strerror or str(error)
    return (Unreadable if isinstance(error, FileNotFoundError) else Unwritable)(place, reason)


def _report(error: MirrorError, args: argparse.Namespace) -> int:
    if args.debug:
        traceback.print_exception(type(error), error, error.__traceback__)
    lines = [f"error: {error}", error.context(), f"hint: {error.hint}" if error.hint else "", f"ref: {error.ref}"]
    # What is wrong with a bundle is told in its own words, too: they must not move the cursor.
    print(visible("\n".join(line for line in lines if line)), file=sys.stderr)
    if getattr(args, "json", False):
        words = {"ref": error.ref, "exit_code": error.exit_code, "message": str(error), "hint": error.hint}
        print(json.dumps({"error": words}, indent=2))
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
