"""The whole command line as values, for whatever is made of it: completion, the man page, the handbook's list of commands.

Read out of the parsers themselves, so that it cannot say anything else than they do.

Example::

    for place in places(parser()):
        print(place.name, [option.words for option in place.options])
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

from mirror.cli.parsing import leaves
from mirror.core.commands import find

FLAG, FILE, DIRECTORY, TEXT = "flag", "file", "directory", "text"
"""What follows an option: nothing, a file's or directory's name, or words that nobody can guess."""

Value = Union[str, tuple[str, ...]]
"""One of those, or the words to choose from."""


class Option(NamedTuple):
    """An option: how it is written, what it is for, what follows it."""

    words: tuple[str, ...]
    told: str
    value: Value


class Place(NamedTuple):
    """Where the command line stands after ``mirror`` and some words.

    Attributes:
        name: the words, ``"trust add"``; empty at the beginning.
        parser: what parses from there.
        inner: the words that may follow, each with what it is for.
        options: those that count there.
        argument: what a word that is no option is; ``FLAG`` when there is none.
    """

    name: str
    parser: argparse.ArgumentParser
    inner: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]
    argument: Value


def places(top: argparse.ArgumentParser) -> Iterator[Place]:
    """Every place of a command line, from the outside in."""
    for name, parser in leaves(top, ""):
        inner, arguments, options = [], [], []
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                inner = [(word, _told(action, word)) for word in action.choices]
            elif action.help is argparse.SUPPRESS:
                continue  # a name of before, which is still taken
            elif action.option_strings:
                options.append(Option(tuple(action.option_strings), _text(parser, action), _value(action)))
            else:
                arguments.append(_value(action))
        yield Place(name, parser, tuple(inner), tuple(options), arguments[0] if arguments else FLAG)


def _told(action: argparse.Action, word: str) -> str:
    """What a word is for: a command's line is in the table, an action's beside its parser."""
    command = find(word) if action.dest == "command" else None
    choices = getattr(action, "_choices_actions", ())
    return command.summary if command else next((one.help or "" for one in choices if one.dest == word), "")


def _text(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _value(action: argparse.Action) -> Value:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices is not None:
        return tuple(map(str, action.choices))
    if action.nargs == 0:
        return FLAG
    if metavar == "DIR":
        return DIRECTORY
    return FILE if action.type is Path or "FILE" in metavar or "DIR" in metavar else TEXT
