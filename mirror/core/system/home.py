"""The user's home directory, which not every user has.

It holds how ``~`` is expanded, and what stands in for a directory in it. ``mirror.core.trust.truststore``,
``mirror.connected.fetching.store`` and ``mirror.closed.prefix.generations`` decide what is kept there.

Rules: a user id without a passwd entry and without HOME (usual in containers) is a named error, never a guess; so is a
HOME that is empty or not absolute, because it would mean another place in each directory.

Example::

    config = home_directory() / ".config"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mirror.core.errors import MirrorError


class NoHome(MirrorError):
    """A home directory is needed, and there is none.

    Attributes:
        user: whose, as a path names it: ``"~"`` for the user who runs mirror, ``"~ann"`` for ann.
    """

    ref = "no-home"
    exit_code = 23
    hint = (
        "Set HOME to an absolute path, or name the place itself: MIRROR_HOME for the trust store, XDG_CACHE_HOME for what "
        "is fetched and built, --prefix for a stack."
    )

    user: str

    def __str__(self) -> str:
        if self.user != "~":
            return f"{self.user} is nobody's home directory on this host"
        return f"user id {os.getuid()} has no home directory: HOME is {os.environ.get('HOME', 'not set')!r}"


def home_directory() -> Path:
    """The home directory of the user who runs mirror. Raises NoHome: when there is none."""
    return expand_home(Path("~"))


def user_directory(variable: str, name: str, environment: Mapping[str, str] = os.environ) -> Path:
    """What the variable names, such as ``XDG_CACHE_HOME``; ``name`` in the home directory where it names none.

    Raises:
        NoHome: when the last is meant and there is no home directory.
    """
    stated = Path(environment.get(variable, ""))
    # XDG base directory specification: a relative path is to be ignored.
    return stated if stated.is_absolute() else home_directory() / name


def expand_home(path: Path) -> Path:
    """A path with its leading ``~`` or ``~user`` replaced; any other is given back as it is.

    Raises:
        NoHome: when that user has none.
    """
    if not path.parts or not path.parts[0].startswith("~"):
        return path
    # An empty HOME would be the root directory.
    if path.parts[0] == "~" and not os.environ.get("HOME", "/").startswith("/"):
        raise NoHome("~")
    # Not Path.expanduser(): without a home it raises RuntimeError or KeyError, as the Python's version likes.
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111
    if not expanded.is_absolute():
        raise NoHome(path.parts[0])
    return expanded
