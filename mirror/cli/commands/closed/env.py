"""``mirror env``: print the environment of what is installed, for a shell or a program."""

from __future__ import annotations

import argparse
import os
from typing import Any

from mirror.cli.console import Console, print_json
from mirror.cli.options import add_stack_arguments
from mirror.closed.environment.shells import as_document, csh_script, fish_script, sh_script
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.status import choose_prefix, current_generation
from mirror.closed.warm.private import fill_or_tell

_DESCRIPTION = """\
Print what a shell must do to use the installed stack, as its env.sh does:

  sh, bash, zsh, dash   eval "$(mirror env)"
  fish                  mirror env --shell fish | source
  csh, tcsh             eval "`mirror env --shell csh`"
  programs              mirror env --shell json
"""


def configure(subparsers: Any) -> None:
    parser = subparsers.add_parser("env", description=_DESCRIPTION)
    add_stack_arguments(parser)
    parser.add_argument("--shell", choices=("sh", "fish", "csh", "json"), default="sh", help="default: sh")
    parser.add_argument("--json", action="store_const", const="json", dest="shell", help="the same as --shell json")


def run(args: argparse.Namespace) -> int:
    generation = current_generation(choose_prefix(args.name, args.prefix))
    environment = load_environment(generation)
    if args.shell == "json":
        print_json(as_document(environment, os.environ))
    elif args.shell == "csh":
        # As the scripts for other shells do when they are evaluated.
        fill_or_tell(generation, environment, os.environ, Console())
        print(csh_script(environment, os.environ), end="")
    else:
        print((fish_script if args.shell == "fish" else sh_script)(environment), end="")
    return 0
