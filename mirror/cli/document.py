"""The one JSON document that a command prints with ``--json``.

A command hands its result over with ``print_json``; ``main`` writes it when the command has ended, so that a failure after it
(a policy that is breached, Ctrl-C) goes into the same document. ``mirror help json`` describes the shapes.

Rules: one document on stdout, whatever happens; its ``format`` names the shape and its version; a failure is under ``error``,
and without any result the document is a ``mirror-error/1``.

Example::

    with collecting() as results:
        code = args.run(args)                   # calls print_json({"current": "2"})
    write_document(results, "rollback")         # {"format": "mirror-rollback/1", "current": "2"}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Optional

from mirror.cli.caller import spoken
from mirror.core.errors import MirrorError


class Result(NamedTuple):
    """What a command found: its facts, and the name of their shape where that is not the command's."""

    facts: Mapping[str, Any]
    shape: str = ""


_results: Optional[list[Result]] = None  # of the command that runs; None where nobody collects them


def print_json(facts: Mapping[str, Any], shape: str = "") -> None:
    """A result for machines.

    Args:
        shape: what the shape is called, when it is not the command's only one: ``bundle-plan`` makes ``mirror-bundle-plan/1``.
    """
    if _results is None:
        print(json.dumps(facts, indent=2))
    else:
        _results.append(Result(facts, shape))


@contextmanager
def collecting() -> Iterator[list[Result]]:
    """Keep what the commands within print, instead of printing it."""
    global _results
    before, _results = _results, []
    try:
        yield _results
    finally:
        _results = before


def write_document(results: list[Result], command: str, error: Optional[MirrorError] = None) -> None:
    """Print the document.

    Args:
        results: of the command; the last one counts.
        command: its words, ``"trust show"``.
        error: what it ended with.
    """
    if results:
        facts, shape = results[-1]
        document = {"format": f"mirror-{shape or command.replace(' ', '-')}/1"}
        document.update((key, value) for key, value in facts.items() if key != "format")
    else:
        document = {"format": "mirror-error/1"}
    if error:
        document["error"] = error_facts(error)
    print(json.dumps(document, indent=2))


def wants_json(words: list[str], command: str) -> bool:
    """Whether a command line asks for a document, also one that cannot be understood.

    ``mirror run`` never does: what follows belongs to the program.
    """
    own = words[: words.index("--")] if "--" in words else words
    return command != "run" and ("--json" in own or "--shell=json" in own or ("--shell", "json") in zip(own, own[1:]))


def error_facts(error: MirrorError) -> Any:
    """A failure for machines: the same that people are told."""
    return {
        "ref": error.ref,
        "exit_code": error.exit_code,
        "message": str(error),
        "context": error.context().splitlines(),
        "hint": spoken(error.hint),
    }
