"""mirror(1): the man page, made from the same parsers as the help.

In a shell::

    mirror help --man > ~/.local/share/man/man1/mirror.1
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from mirror import __version__
from mirror.cli.grammar import FLAG, Place, places


def man_page(top: argparse.ArgumentParser) -> str:
    """The page in roff's man macros; the same bytes each time, so it bears no date."""
    lines = [
        f'.TH MIRROR 1 "" "mirror {__version__}" "User Commands"',
        ".SH NAME",
        r"mirror \- carry a GPU inference stack into a closed network",
        ".SH SYNOPSIS",
        r".B mirror",
        r"[\-h] [\-\-version] [\-\-debug] [\-q | \-v]",
        r".I COMMAND ...",
        ".SH DESCRIPTION",
        _escaped(
            "Lock, bundle, sign, verify, install: without internet and without root. `mirror help` has the handbook."
        ),
        ".SH COMMANDS",
    ]
    for place in places(top):
        if place.name:
            lines += _section(place)
    lines += [
        ".SH ENVIRONMENT",
        *_item("MIRROR_HOME", "The directory of keys and trusted roots (default: ~/.config/mirror)."),
        *_item("NO_COLOR, FORCE_COLOR", "No colours; colours also where there is no terminal."),
        *_item("PAGER", "What shows long pages of mirror help (default: less)."),
        ".SH EXIT STATUS",
        _escaped("0 on success, 2 on a mistake in the command line, 130 on Ctrl-C. Every other failure has a code of its own: "
                 "`mirror help exit-codes`."),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _section(place: Place) -> Iterator[str]:
    parser = place.parser
    usage = re.sub(r"^usage: ", "", " ".join(parser.format_usage().split()))
    yield f".SS {_escaped(f'mirror {place.name}')}"
    yield _escaped(usage)
    for text in (parser.description, parser.epilog):
        for block in re.split(r"\n{2,}", (text or "").strip("\n")):
            if block:
                yield from (
                    [".PP", ".nf", _escaped(block), ".fi"] if block.startswith(" ") else [".PP", _escaped(block)]
                )
    for word, told in place.inner:
        yield from _item(word, told)
    for option in place.options:
        metavar = "" if option.value == FLAG else f" {_metavar(parser, option.words[0])}"
        yield from _item(", ".join(option.words) + metavar, option.told)


def _metavar(parser: argparse.ArgumentParser, word: str) -> str:
    action = parser._option_string_actions[word]
    return str(action.metavar) if action.metavar else "{" + ",".join(map(str, action.choices or ())) + "}"


def _item(word: str, told: str) -> list[str]:
    return [".TP", f"\\fB{_escaped(word)}\\fR", _escaped(told)]


def _escaped(text: str) -> str:
    """Text of which roff takes nothing for a request or an escape."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\(ga")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)
