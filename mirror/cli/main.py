"""``mirror``: finds the command, turns named errors into words and exit codes.

Which commands there are is told by ``mirror.core.commands``; only the module of the one that runs is imported, and none for
``--version``, ``--help`` and a bare ``mirror``. ``mirror.pyz`` lacks the commands of the connected room; they, and one that
needs a newer Python, are refused with a sentence that says where they run.

Rules: a ``MirrorError`` gives its sentence, context, hint, ref and exit code; Ctrl-C gives 130, SIGTERM 143, SIGHUP 129;
anything else is a bug and says so (``--debug`` shows the traceback). With ``--json`` each of these is one document on stdout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from mirror import __version__
from mirror.cli.streams import keep_streams
from mirror.core.commands import COMMANDS as TABLE
from mirror.core.commands import ROOMS, find

TYPE_CHECKING = False  # importing 'typing' for this costs as much as half of what '--version' does
if TYPE_CHECKING:
    import argparse
    from typing import Optional

    from mirror.cli.parsing import Parser
    from mirror.core.errors import MirrorError

COMMANDS = tuple(command.name for command in TABLE)

_USAGE = "usage: mirror [-h | --version] [--debug] [-q | -v] COMMAND"

_END = """\
`mirror COMMAND --help` shows a command's options, `mirror help` the handbook. Every failure ends with its ref and an exit
code: `mirror help exit-codes`. Results go to stdout, everything else to stderr. MIRROR_HOME is the directory of keys and
trusted roots (default: ~/.config/mirror)."""


def overview() -> str:
    """The help of ``mirror`` itself: every command that this copy holds, by room, in one line each."""
    from mirror.cli.caller import called, spoken
    from mirror.cli.prose import item, paragraphs
    from mirror.cli.terminal import columns, paint_headings

    width = columns(sys.stdout) - 1
    lines = [
        paragraphs(_USAGE.replace("mirror", called()), width),
        "",
        "Carry a GPU inference stack into a closed network.",
    ]
    for room, title in ROOMS.items():
        commands = [command for command in TABLE if command.room == room and is_available(command.name)]
        if commands:
            lines += ["", f"{title}:", *(item(f"  {one.name:<11} ", one.summary, width) for one in commands)]
    lines += ["", "options:", *(item(f"  {words:<15} ", told, width) for words, told in _OPTIONS)]
    end = spoken(_END).replace("`mirror COMMAND", f"`{called()} COMMAND")
    return paint_headings("\n".join([*lines, "", paragraphs(end, width), ""]), sys.stdout)


_OPTIONS = (
    ("-h, --help", "show this and exit"),
    ("--version", "show the version and exit"),
    ("--debug", "show the traceback of an error"),
    ("-q, --quiet", "tell nothing on stderr but errors"),
    ("-v, --verbose", "tell more on stderr"),
)


def parser(commands: Sequence[str] = COMMANDS) -> Parser:
    """The command line of those of the commands that this copy of mirror holds.

    Args:
        commands: the one that is going to run, where that is known: importing the others takes longer than some of them run.
    """
    import importlib

    from mirror.cli.caller import called
    from mirror.cli.parsing import Parser, add_talk_options

    top = Parser(prog=called(), usage=_USAGE.replace("usage: mirror", called()))
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    add_talk_options(top)
    subparsers = top.add_subparsers(prog=called(), title="commands", dest="command", metavar="COMMAND", required=True)
    for command in TABLE:
        if command.name in commands and is_available(command.name):
            module = importlib.import_module(command.module)
            module.configure(subparsers)
            own = subparsers.choices[command.name]
            own.set_defaults(run=module.run, parser=own)
            add_talk_options(own)
    return top


def is_available(command: str) -> bool:
    """Whether this copy of mirror holds the command and this Python can run it."""
    known = find(command)
    if known is None or known.is_carried:
        return known is not None
    return sys.version_info >= (3, 11) and _is_held(command)


def _is_held(command: str) -> bool:
    from mirror.cli.caller import holds

    return holds(command)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command and return its exit code; ``argv`` is without the program's name."""
    keep_streams()
    # A umask takes rights from others; what its owner could not read would stand in the way of every later command.
    os.umask(os.umask(0o077) & 0o077)
    words = list(sys.argv[1:] if argv is None else argv)
    name = next((word for word in words if not word.startswith("-")), "")
    own = words[: words.index(name)] if name else words or ["--help"]
    debug = "--debug" in own
    try:
        if "--version" in own:
            print(f"mirror {__version__}", flush=True)
            return 0
        if "-h" in own or "--help" in own:
            from mirror.cli.pager import show

            return show(overview())
        return _answer(words, name, debug)
    except KeyboardInterrupt:  # before anything is imported that could answer it
        return 130
    except OSError as exc:  # a full disk under `> file`: what a command itself meets is answered before
        return _unwritten(exc, debug)


def _unwritten(exc: OSError, debug: bool) -> int:
    from mirror.cli import failure

    error = failure.named(exc)
    failure.tell(error, debug)
    return error.exit_code


def _answer(words: list[str], name: str, debug: bool) -> int:
    """Run the command, tell what it ended with, and write its document where one was asked for."""
    from mirror.cli import failure
    from mirror.cli.console import rest
    from mirror.cli.document import collecting, wants_json, write_document

    error: Optional[MirrorError] = None
    code = 0
    with collecting() as results:
        try:
            failure.stop_at_signals()
            args = _parsed(words, name)
            name = f"{args.command} {getattr(args, 'action', None) or ''}".strip()
            code = args.run(args)
        except BrokenPipeError:
            failure.forget_stdout()  # its reader went away (`mirror inspect ... | head`); that is no error of anyone's
        except failure.CAUGHT as exc:
            error = failure.named(exc, name)
            code = error.exit_code
            failure.tell(error, debug)
    rest()
    try:
        if results or (error and wants_json(words, name)):
            write_document(results, name, error)
        sys.stdout.flush()
    except BrokenPipeError:
        failure.forget_stdout()
    if error and error.exit_code == _USAGE_ERROR:
        raise SystemExit(_USAGE_ERROR)  # as argparse does: a caller in this process knows it from a command's own code
    return code


_USAGE_ERROR = 2


def _parsed(words: list[str], name: str) -> argparse.Namespace:
    """The command line, understood.

    Raises:
        Usage: when it is none.
    """
    from mirror.cli.console import talk

    if not name:
        parser([]).error("name a command")
    if name not in COMMANDS:
        raise _unknown(name)
    if not is_available(name):
        raise _elsewhere(name)
    args = parser([name]).parse_args(words)
    talk(quiet=getattr(args, "quiet", False), verbose=getattr(args, "verbose", False))
    return args


def _unknown(name: str) -> MirrorError:
    from mirror.cli.parsing import Usage
    from mirror.core.words import near

    return Usage(f"there is no command {name!r}", _USAGE, f"{near(name, COMMANDS)}{Usage.hint}")


def _elsewhere(name: str) -> MirrorError:
    from mirror.cli.parsing import Usage

    if _is_held(name):
        version = ".".join(map(str, sys.version_info[:2]))
        needed = f"needs Python 3.11 or newer; this is Python {version}"
    else:
        needed = "is not in mirror.pyz, the installer for the closed network"
    hint = "Ask the builder of your bundles: `mirror help start` tells who does what."
    return Usage(f"'{name}' runs on the connected machine, and {needed}", hint=hint)


if __name__ == "__main__":
    sys.exit(main())
