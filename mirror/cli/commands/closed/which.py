"""``mirror which``: which RPM brings a file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mirror.cli.console import print_json
from mirror.cli.options import STACK_HELP
from mirror.cli.parsing import add_volumes_option
from mirror.closed.prefix.status import choose_prefix
from mirror.closed.which.place import Place, bundled_place, installed_place, locked_place
from mirror.closed.which.search import Answer, toml_line, which
from mirror.core.cuda.components import role_of
from mirror.core.cuda.redistnames import asked_for_by
from mirror.core.stackfiles import find_stack
from mirror.core.toolkit.filesearch import Match
from mirror.core.trust.truststore import TrustStore

_DESCRIPTION = """\
Say which RPM of the CUDA toolkit brings a file, whether this stack has it, and what to add to NAME.toml if not.

FILE is a header as it is included (nv/target, cuda_fp8.h), a library or soname (libcublasLt.so, libnvrtc.so.13, -lcublas), a
program (ptxas), or a path. It asks the installed stack; with --bundle a bundle before it is installed (its signature is checked
first); with --stack what is locked on the connected machine. Nothing is read over a network.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("which", description=_DESCRIPTION)
    # -lcublas would be an option to argparse, unless '-l' is one.
    parser.add_argument(
        "-l", dest="library", default="", metavar="LIBRARY", help="the same as FILE, as linkers name it"
    )
    parser.add_argument("words", nargs="*", metavar="FILE [NAME]", help="the file, and the installed stack to be asked")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--prefix", type=Path, metavar="DIR", help="ask the stack installed there")
    where.add_argument("--bundle", type=Path, metavar="FILE", help="ask a bundle")
    add_volumes_option(parser)
    where.add_argument("--stack", "--lock", metavar="NAME", help=f"ask a lock; {STACK_HELP}")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    file, name = _words(args)
    answer = which(_place(args, name), file)
    print_json(answer.to_dict()) if args.json else print(_text(answer))
    return 0


def _words(args: argparse.Namespace) -> tuple[str, str]:
    """The file and the stack's name. Anything else is a mistake in the command line."""
    words = [f"-l{args.library}"] * bool(args.library) + args.words
    if not 1 <= len(words) <= 2:
        args.parser.error(f"expected FILE and at most one NAME, got {len(words)} words")
    file, name = (*words, "")[:2]
    if name and (args.prefix or args.bundle or args.stack):
        args.parser.error(f"a stack's name ({name}) and --prefix, --bundle or --stack exclude each other")
    return file, name


def _place(args: argparse.Namespace, name: str) -> Place:
    if args.bundle:
        return bundled_place(args.bundle, TrustStore.default().load_root(), args.volumes)
    if args.stack:
        found = find_stack(args.stack)
        return locked_place(found.wishes if found.wishes.is_file() else found.lock)
    return installed_place(choose_prefix(name, args.prefix))


def _text(answer: Answer) -> str:
    lines = [line for match in answer.rpms for line in _rpm(answer, match)]
    lines += [line for line in (answer.made, answer.driver) if line]
    lines += [f"also in the venv: {path} (of {project})" for path, project in answer.wheels]
    return "\n".join(lines)


def _rpm(answer: Answer, match: Match) -> list[str]:
    rpm, kind = match.rpm, answer.place.kind
    role = role_of(rpm.name)
    title = " ".join(word for word in (rpm.name, rpm.evr, f"({role})" if role else "") if word)
    brings = f"brings {match.paths[0]}" if match.paths else "is known to bring it"
    more = f" and {len(match.paths) - 1} more" if len(match.paths) > 1 else ""
    head = f"{title} {brings}{more}"
    if not rpm.carried:
        line = (
            f"  it is not in this {'stack' if kind == 'lock' else kind}; "
            f"add to {asked_for_by(rpm.name)[0]} of {answer.place.stack}.toml: "
        )
        return [head, line + toml_line(rpm.name) + (f', or components = [..., "{role}"]' if role else "")]
    if kind != "install":
        return [head, f"  it is in this {'stack' if kind == 'lock' else kind}"]
    file = answer.on_disk(match.paths[0])
    return [
        head,
        f"  it is installed: {file}" if file else f"  it was installed, and is missing now in {answer.place.path}",
    ]
