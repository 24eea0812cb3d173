"""The command line's grammar: argparse, with our help, our errors and the options that every command has.

Rules: a mistake in the command line is a named error like any other (exit code 2), so that ``--json`` tells it too; options
are written out, for an abbreviation becomes ambiguous when an option is added; help is wrapped to the terminal, 80 columns at
most; ``-q`` and ``-v`` may stand before or after the command.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn, Optional, TextIO

from mirror.cli.caller import spoken
from mirror.cli.prose import item, paragraphs
from mirror.cli.terminal import columns, paint_headings
from mirror.core.errors import MirrorError
from mirror.core.words import near


class Usage(MirrorError):
    """The command line is not one that mirror understands.

    Attributes:
        problem: what is wrong with it.
        usage: what it should look like; empty when that would not help.
    """

    ref = "usage"
    exit_code = 2
    message = "{problem}"

    problem: str
    usage: str = ""
    hint: str = "`mirror help` lists the commands."

    def context(self) -> str:
        return self.usage


_ELSEWHERE = {"--upgrade": "`mirror lock {} --upgrade` lets versions move; what is locked is taken then. "}
"""Options that are looked for in the wrong command, and what does it."""


class Formatter(argparse.HelpFormatter):
    """Help whose paragraphs stay paragraphs and whose lines fit the terminal."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, max_help_position=24, width=columns(sys.stdout) - 1)

    def _format_usage(self, usage: Any, actions: Any, groups: Any, prefix: Any) -> str:
        text = super()._format_usage(usage and spoken(usage), actions, groups, prefix)
        if max(map(len, text.splitlines())) <= self._width:
            return text
        return item("usage: ", " ".join(text.split()).replace("usage: ", "", 1), self._width) + "\n\n"

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return paragraphs(spoken(text), width, indent)

    def _expand_help(self, action: argparse.Action) -> str:
        return spoken(super()._expand_help(action))


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` of this house; those of commands and actions are made of the same class."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "formatter_class": Formatter, "allow_abbrev": False})
        self.color = False  # Python 3.14 paints by rules of its own

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; what it does not know is refused by the command that was asked, which knows its options."""
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:
            step = next((_ELSEWHERE[word] for word in rest if word in _ELSEWHERE), "")
            self.error(
                f"unrecognized arguments: {' '.join(rest)}", step.format(getattr(namespace, "stack", None) or "NAME")
            )
        output = getattr(namespace, "output", None)
        if Path("-") in (output if isinstance(output, list) else [output]):
            self.error("argument -o/--output: '-' names no file, and standard output is not written to this way")
        return namespace, rest

    def error(self, message: str, step: str = "") -> NoReturn:
        """Refuse the command line.

        Raises:
            Usage: always.
        """
        raise Usage(
            message, self.format_usage().rstrip(), f"{step or self._meant(message)}`{self.prog} --help` tells more."
        )

    def _meant(self, message: str) -> str:
        options = [word for one in self._actions if one.help is not argparse.SUPPRESS for word in one.option_strings]
        unknown = re.search(r"unrecognized arguments: .*?(--[\w-]+)", message)
        if unknown:
            return near(unknown[1], options)
        choice = re.search(r"invalid choice: '([^']*)'", message)
        return near(choice[1], [str(one) for action in self._actions for one in action.choices or ()]) if choice else ""

    def print_help(self, file: Optional[Any] = None) -> None:
        """Print the help, its headings painted where that can be seen."""
        stream: TextIO = file or sys.stdout
        stream.write(paint_headings(self.format_help(), stream))


def leaves(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """A parser and those of its actions, each with the words that lead to it."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from leaves(inner, f"{name} {word}".strip())


def add_talk_options(parser: argparse.ArgumentParser) -> None:
    """How much is told on stderr: the same for every command, before and after its name."""
    for one in [parser] if not parser._subparsers else [inner for _, inner in leaves(parser, "")]:
        talk = one.add_mutually_exclusive_group()
        for short, word, told in (
            ("-q", "--quiet", "tell nothing on stderr but errors"),
            ("-v", "--verbose", "tell more on stderr: each step, its time, what an error came from"),
        ):
            talk.add_argument(short, word, action="store_true", default=argparse.SUPPRESS, help=told)


def add_bundle_argument(parser: argparse.ArgumentParser, told: str = "the bundle") -> None:
    """FILE, which may lie in volumes, and where these are."""
    parser.add_argument("bundle", type=Path, metavar="FILE", help=told)
    add_volumes_option(parser)


def add_volumes_option(parser: argparse.ArgumentParser) -> None:
    """Where volumes are, besides the directory of what was named."""
    parser.add_argument(
        "--volumes",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a directory in which volumes of 'mirror split' lie, besides FILE's own; may be repeated",
    )
