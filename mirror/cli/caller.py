"""By which name this mirror was called, and words for people who can type no other.

Library code and help say ``mirror verify``. Where mirror runs as ``python3 -I mirror.pyz``, a user has no such program, so what
is printed says the command as it was typed, with ``-I``. Commands that this copy of mirror does not hold are run on another
machine, and stay as they are written; so does what is said to be typed on the connected machine.

Example::

    spoken("'mirror status' lists them")        # "'python3 -I mirror.pyz status' lists them"
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

from mirror.core.commands import find

OWN = "mirror"
INSTALLER = "python3 -I mirror.pyz"
_OPTION = "mirror"
"""``-X mirror=PATH``: the launcher that an install puts on the path says so (``mirror.closed.environment.launcher``)."""

_COMMAND = re.compile(r"on (?:the|a)\s+connected\s+machine(?:[^.;]|\.(?=\S))*|\bmirror(?= ([a-z]+))")


def spoken(text: str, name: str = "") -> str:
    """The same words, with the commands that this copy of mirror holds as the user can type them.

    Args:
        name: what stands for ``mirror``; by default what the user typed.
    """
    name = name or called()
    if name == OWN:
        return text
    return _COMMAND.sub(lambda found: name if found[1] and holds(found[1]) else found[0], text)


def spoken_to_others(text: str) -> str:
    """The same for a page that others read: their interpreter, and where they keep ``mirror.pyz``, are not this user's."""
    return spoken(text, OWN if called() == OWN else INSTALLER)


@cache
def called() -> str:
    """The words that stand for ``mirror`` in what the user types."""
    return name_of(sys.argv[0], typed_words(), dict(sys._xoptions), Path(__file__).parents[2])


def name_of(program: str, typed: list[str], options: dict[str, object], home: Path) -> str:
    """See ``called``.

    Args:
        program: ``sys.argv[0]``.
        typed: the whole command line, the interpreter first; empty where it is not known.
        options: what the interpreter was given with ``-X``.
        home: what holds the package ``mirror``: a directory, or ``mirror.pyz``.
    """
    launcher = options.get(_OPTION)
    if isinstance(launcher, str):
        on_path = shutil.which(OWN)
        return OWN if on_path and os.path.realpath(on_path) == os.path.realpath(launcher) else shlex.quote(launcher)
    if not home.is_file():
        return OWN
    words = typed[: typed.index(program) + 1] if program in typed else ["python3", program]
    if not any(re.fullmatch("-[A-Za-z]*I[A-Za-z]*", word) for word in words[1:-1]):
        words.insert(1, "-I")
    return shlex.join(words)


def typed_words() -> list[str]:
    """The command line of this process, the interpreter's own options too."""
    if sys.version_info >= (3, 10):
        return list(sys.orig_argv)
    try:
        return Path("/proc/self/cmdline").read_text("utf-8", "surrogateescape").split("\0")[:-1]
    except OSError:
        return []


def holds(name: str) -> bool:
    """Whether this copy of mirror has the command: ``mirror.pyz`` lacks the whole connected room."""
    command = find(name)
    return command is not None and importlib.util.find_spec(command.module.rpartition(".")[0]) is not None
