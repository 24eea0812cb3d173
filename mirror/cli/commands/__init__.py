"""The commands, by who types them: ``connected``, ``review``, ``closed`` and ``anywhere``; each is a module with
``configure(subparsers)`` and ``run(args) -> int``, named as it is typed.

``mirror.core.commands`` lists them. Results go to stdout, talk to stderr.
"""
