"""The command line's parser: argparse's, whose refusals say what may have been meant.

What commands and options there are is each command's module's; what is close, ``mirror.core.nearmiss``'s.

Example::

    top = Parser(prog="mirror")
    top.add_subparsers()        # their parsers are of the same kind
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import NoReturn

from mirror.core.nearmiss import did_you_mean

_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from ")
_UNKNOWN = "unrecognized arguments: "


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` that answers a near miss with a question."""

    def error(self, message: str) -> NoReturn:
        super().error(message + self._meant(message))

    def _meant(self, message: str) -> str:
        choice = _CHOICE.search(message)
        if choice:
            return did_you_mean(choice[1], re.findall(r"[\w-]+", message[choice.end() :]))
        if not message.startswith(_UNKNOWN):
            return ""
        words = (word.partition("=")[0] for word in message[len(_UNKNOWN) :].split())
        options = set(_options(self))
        meant = (did_you_mean(word, options) for word in words if word.startswith("-"))
        return next((one for one in meant if one), "")


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every long option of a parser and of the commands below it."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _options(below)
