"""Options and arguments that several commands share."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import Callable, NamedTuple, TypeVar

from mirror.core.signatures import fingerprints

T = TypeVar("T")


class Action(NamedTuple):
    """A word after a command.

    Attributes:
        told: what it is for, in a line.
        declare: adds its arguments; the docstring is what its help says at length.
        act: what it does; the command's ``run`` finds it under this name.
    """

    name: str
    told: str
    declare: Callable[[argparse.ArgumentParser], None]
    act: Callable[..., int]


def add_actions(parser: argparse.ArgumentParser, *actions: Action) -> None:
    """The actions of a command, in order."""
    group = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    for one in actions:
        action = group.add_parser(one.name, help=one.told, description=inspect.getdoc(one.declare))
        one.declare(action)
        action.add_argument("--json", action="store_true", help="print the result as JSON")
        action.set_defaults(act=one.act)


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """Where the toolchain comes from, who signs it, and what is done without."""
    parser.add_argument(
        "--toolchain-repo",
        type=place,
        metavar="URL-or-DIR",
        help="a copy of the RPM repository that NAME.toml names, or of the directory of its redist manifest",
    )
    parser.add_argument("--rpm-repo", type=place, dest="toolchain_repo", help=argparse.SUPPRESS)  # its name of before
    parser.add_argument(
        "--rpm-fingerprint",
        type=openpgp_fingerprint,
        action="append",
        default=[],
        metavar="HEX",
        help="the OpenPGP key that signs that copy, when it is not one that NAME.toml pins; may be repeated",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="PART",
        help="leave out 'toolchain' (the CUDA toolchain), or a requirement that NAME.toml calls optional; may be repeated",
    )


STACK_HELP = "the stack: its name, such as h100, or a path to its NAME.toml or NAME.txt"
"""How a stack is named, wherever a command takes one: see ``mirror.core.stackfiles``."""


def add_locked_stack_arguments(parser: argparse.ArgumentParser) -> None:
    """Which stack's locks are meant; ``mirror.cli.stacktargets.found_stack`` finds them."""
    parser.add_argument("stack", nargs="?", metavar="NAME", help=STACK_HELP)
    parser.add_argument("--lock", metavar="LOCK", help="the same by its lock, e.g. lockfiles/h100.txt")


def add_wheelhouse_option(parser: argparse.ArgumentParser) -> None:
    """Where files may be already; ``mirror.cli.stacktargets.wheelhouse_of`` reads it."""
    parser.add_argument(
        "--wheelhouse",
        type=Path,
        metavar="DIR",
        help="files that are here already, found by digest (default: wheelhouse/ beside the lock's directory)",
    )


def add_builder_options(parser: argparse.ArgumentParser) -> None:
    """How what a lock names is fetched, built and told."""
    parser.add_argument("-j", "--jobs", type=int, default=8, metavar="N", help="downloads at once (default: 8)")
    parser.add_argument("--python", type=Path, metavar="FILE", help="the target's Python, to build wheels with")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def add_index_option(parser: argparse.ArgumentParser) -> None:
    """Which index stands in for the default one."""
    parser.add_argument(
        "--index-url",
        type=index,
        metavar="URL",
        help="take packages from this index (default: NAME.toml's; or else uv's or pip's, from the environment or pip.conf)",
    )


SOURCED = "the one whose env.sh is sourced, else the only one"
"""Which stack is meant where none is named."""


def add_stack_arguments(parser: argparse.ArgumentParser, default: str = SOURCED) -> None:
    """Which installed stack is meant: by its name, or by its prefix. ``default`` says which without either."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help=f"the stack's name (default: {default})")
    parser.add_argument("--prefix", type=Path, metavar="DIR", help="where it is, if not in the default place")


def add_command_words(parser: argparse.ArgumentParser, told: str) -> None:
    """What ``words_of`` takes apart."""
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="[NAME] -- COMMAND [ARGUMENT ...]", help=told)


def words_of(words: list[str]) -> tuple[str, list[str]]:
    """What stands behind the options of a command that runs another: ``[NAME] -- COMMAND ...``; the name, and the command.

    Some versions of argparse take a leading ``--`` away; without one, all words are the command's.
    """
    mark = words.index("--") if "--" in words[:2] else -1
    return "".join(words[: max(mark, 0)]), words[mark + 1 :]


def checked(check: Callable[[str], T]) -> Callable[[str], T]:
    """A check of a word, as a ``type`` of argparse: the words of its ``ValueError`` are told."""

    def argument(text: str) -> T:
        try:
            return check(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return argument


fingerprint, openpgp_fingerprint = checked(fingerprints.root_fingerprint), checked(fingerprints.openpgp_fingerprint)
"""Fingerprints of a root and of an OpenPGP key, as people write them down."""


def url(text: str) -> str:
    """An address to fetch from. It may hold credentials, so an error shows none of it."""
    from mirror.core.names import split_url  # here, for most commands take none

    parts = checked(split_url)(text)
    if parts.scheme not in ("http", "https", "file") or not (parts.netloc or parts.scheme == "file"):
        raise argparse.ArgumentTypeError("expected a URL that begins with https://, http:// or file:")
    return text


def index(text: str) -> str:
    """The address of a package index."""
    from mirror.core.names import index_url

    return checked(index_url)(url(text))


def place(text: str) -> str:
    """The address of a directory, or its path here."""
    if "://" in text or text.startswith("file:"):
        return url(text)
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {text!r}")
    return text
