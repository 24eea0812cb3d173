"""The user's home directory, which not every user has.

It holds how ``~`` is expanded. ``mirror.core.trust.truststore`` and ``mirror.closed.prefix.generations`` decide
what is kept there.

Rules: a user id without a passwd entry and without HOME (usual in containers) is a named error, never a guess; so is a
HOME that is not absolute, because it would mean another place in each directory.

Example::

    config = home_directory() / ".config"
"""

from __future__ import annotations

import os
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
        "Set HOME to an absolute path, or name the place itself: MIRROR_HOME for the trust store, --prefix for a stack."
    )

    user: str

    def __str__(self) -> str:
        if self.user != "~":
            return f"{self.user} is nobody's home directory on this host"
        return f"user id {os.getuid()} has no home directory: HOME is {os.environ.get('HOME', 'not set')!r}"


def home_directory() -> Path:
    """The home directory of the user who runs mirror. Raises NoHome: when there is none."""
    return expand_home(Path("~"))


def expand_home(path: Path) -> Path:
    """A path with its leading ``~`` or ``~user`` replaced; any other is given back as it is.

    Raises:
        NoHome: when that user has none.
    """
    if not path.parts or not path.parts[0].startswith("~"):
        return path
    # Not Path.expanduser(): without a home it raises RuntimeError or KeyError, as the Python's version likes.
    expanded = Path(os.path.expanduser(path))  # noqa: PTH111
    if not expanded.is_absolute():
        raise NoHome(path.parts[0])
    return expanded
