"""``mirror help``: the handbook, without internet: the same pages as in ``mirror/help/``, and each command's help."""

from __future__ import annotations

import argparse
import pkgutil
import sys
from typing import Any

from mirror.cli.pager import show
from mirror.cli.parsing import Usage, leaves
from mirror.cli.prose import rendered
from mirror.core.commands import find
from mirror.core.words import near

DOCUMENTS = ("design", "security", "cuda")
"""Pages that the sources cite, as DESIGN.md, SECURITY.md and CUDA.md, by their sections and rows."""

TOPICS = (
    "start", "stack", "bundle", "building", "trust", "offline", "policy", "upgrade", "carrying", "serving", "sharing", "site",
    "foreign-locks",
    "troubleshooting", "speed", "json", "exit-codes", "commands", "contributing", *DOCUMENTS,
)  # fmt: skip
"""The pages in the order in which they are listed; each is ``mirror/help/NAME.md``, whose first line is its title."""

_DESCRIPTION = """\
Show a page of the handbook, or the help of a command. Without a topic: which pages there are. Needs no network; on a
terminal, long pages go through $PAGER.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("help", description=_DESCRIPTION)
    parser.add_argument("words", nargs="*", metavar="TOPIC", help="a topic, or a command and its action")
    parser.add_argument("--man", action="store_true", help="print the man page instead, for man -l or mirror.1")


def run(args: argparse.Namespace) -> int:
    if args.man:
        from mirror.cli.main import parser
        from mirror.cli.manpage import man_page

        print(man_page(parser()), end="")
        return 0
    return show(text_of(args.words))


def text_of(words: list[str]) -> str:
    """What is shown for these words.

    Raises:
        Usage: when there is no such page or command.
    """
    if not words:
        return _contents()
    if words[0] in TOPICS and len(words) == 1:
        return _shown(page(words[0]) + (_MORE.format(words[0]) if find(words[0]) else ""))
    return _command_help(words)


_MORE = "\n`mirror {} --help` shows the options of the command.\n"


def page(topic: str) -> str:
    """A page of the handbook, in Markdown."""
    data = pkgutil.get_data("mirror", f"help/{topic}.md")
    assert data is not None, "the pages are part of the package, and of mirror.pyz"
    return data.decode()


def title(topic: str) -> str:
    """What a page is about."""
    return page(topic).splitlines()[0].lstrip("# ")


def _shown(markdown: str) -> str:
    return rendered(markdown, sys.stdout) + "\n"


def _contents() -> str:
    lines = ["`mirror help TOPIC` shows a page:", ""]
    lines += [f"    {topic:<16} {title(topic)}" for topic in TOPICS]
    lines += ["", "`mirror help COMMAND` shows the options of a command; `mirror --help` lists the commands."]
    return _shown("\n".join(lines))


def _command_help(words: list[str]) -> str:
    from mirror.cli.main import COMMANDS, is_available, parser

    name = " ".join(words)
    if words[0] not in COMMANDS:
        raise Usage(
            f"there is no topic {name!r}", hint=f"{near(words[0], (*TOPICS, *COMMANDS))}`mirror help` lists the topics."
        )
    if not is_available(words[0]):
        raise Usage(f"'{words[0]}' is not in this copy of mirror", hint="`mirror help commands` has its options.")
    found = dict(leaves(parser([words[0]]), ""))
    if name not in found:
        raise Usage(f"there is no command {name!r}", hint=f"`mirror {words[0]} --help` lists what it takes.")
    return found[name].format_help()
