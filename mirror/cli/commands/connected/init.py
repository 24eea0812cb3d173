"""``mirror init``: a new stack's NAME.toml."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mirror.cli.console import out, print_json

if TYPE_CHECKING:
    from mirror.connected.newstack.draft import NewStack

_DESCRIPTION = """\
Write a new stack: NAME.toml, in lockfiles/ if there is one here, else in this directory. An existing file is never overwritten.

The file is commented and can be locked as it is. REQUIREMENTs are written as in a requirements file ("vllm==0.25.1"); --from
takes over those of a project, and says what it could not take over.
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "init",
        help="write a new stack's NAME.toml",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="the stack's name, such as h100; or a path to the file")
    parser.add_argument("requirements", nargs="*", metavar="REQUIREMENT", help="what must be installed")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="take over what a requirements.txt or .in, a pyproject.toml or a pylock.toml asks for",
    )
    parser.add_argument(
        "--gpu",
        default="",
        metavar="GPU",
        help="the closed hosts' GPU: h100, b200, l40s ..., or a capability such as sm_90a",
    )
    parser.add_argument(
        "--cuda", default="", metavar="X.Y", help="the CUDA toolkit's release (default with --gpu: 13.0)"
    )
    parser.add_argument("--python", default="", metavar="X.Y", help="the closed hosts' Python (default: 3.11)")
    parser.add_argument("--glibc", default="", metavar="X.Y", help="the oldest glibc among them (default: 2.31)")
    parser.add_argument(
        "--arch", default="", metavar="ARCH", help="as uname -m prints it there (default: the GPU's, or x86_64)"
    )
    parser.add_argument(
        "--toolchain",
        nargs="?",
        const="flashinfer-jit",
        default="",
        metavar="COMPONENT",
        help="carry the CUDA toolchain too (default: flashinfer-jit); without, it is in the file as a comment",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    from mirror.connected.newstack.draft import Choices, new_stack

    choices = Choices(
        requirements=tuple(args.requirements),
        source=args.source,
        gpu=args.gpu,
        python=args.python,
        arch=args.arch,
        glibc=args.glibc,
        cuda=args.cuda,
        toolchain=args.toolchain,
    )
    made = new_stack(args.name, choices)
    print_json(made.to_dict()) if args.json else _print(made)
    return 0


def _print(made: NewStack) -> None:
    out(f"{made.path}  for {made.stack.target}")
    for line in made.left_out:
        out(f"not taken over: {line}")
    if made.stack.toolchain is None and made.stack.target.gpu:
        out("note: no CUDA toolchain yet; what compiles kernels there (FlashInfer) needs it: see [rpms] in the file")
    if made.stack.requirements:
        out(f"next: {made.next_command}")
    else:
        out(f"next: write what you want into [python].requirements, then: {made.next_command}")
