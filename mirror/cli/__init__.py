"""The door: parse, call one library function, print. Nothing else in mirror prints or exits.

Each command is a module with ``configure(subparsers)`` and ``run(args) -> int``. Results go to stdout, talk to stderr.
"""
