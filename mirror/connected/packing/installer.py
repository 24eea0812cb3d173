"""The companion installer: ``mirror.pyz``, a zipapp of the closed side.

It holds ``core``, ``review``, ``closed``, their commands and the pages of ``mirror help``, nothing of the connected room and no
third-party code, and runs under ``python3.9 -I``. Its bytes are a function of mirror's sources: members are sorted, stored
without compression (zlib's output differs between its versions) and carry one date.

Example::

    write_installer(Path("mirror.pyz"))
"""

from __future__ import annotations

import io
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mirror.core.commands import COMMANDS
from mirror.core.durable import write_file

ROOMS = ("core", "review", "closed", "help")
"""What it holds besides ``cli``: rooms, and the pages of ``mirror help``."""

_DATE = (1980, 1, 1, 0, 0, 0)

_MAIN = b"""\
# Parses on Python 3.6, so that an old interpreter gets a sentence and not a SyntaxError.
import sys

if sys.version_info < (3, 9):
    sys.exit("mirror.pyz needs Python 3.9 or newer; this is Python %d.%d" % sys.version_info[:2])

try:
    from mirror.cli.main import main

    code = main()
except KeyboardInterrupt:  # before main is there to answer it
    sys.exit(130)
sys.exit(code)
"""


def installer_bytes() -> bytes:
    """The zipapp, ready to be written and marked executable."""
    package = files("mirror")
    members = {"__main__.py": _MAIN, "mirror/__init__.py": (package / "__init__.py").read_bytes()}
    for room in ROOMS:
        members.update(_sources(package / room, f"mirror/{room}"))
    members.update(_sources(package / "cli", "mirror/cli"))
    for command in COMMANDS:
        if not command.is_carried:
            del members[f"mirror/cli/{command.name}.py"]
    buffer = io.BytesIO(b"#!/usr/bin/env python3\n")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _sources(room: Traversable, name: str) -> dict[str, bytes]:
    """Every module of a room, and every page; those of its inner packages too."""
    found = {}
    for item in room.iterdir():
        if item.name.endswith((".py", ".md")):
            found[f"{name}/{item.name}"] = item.read_bytes()
        elif item.is_dir() and item.name != "__pycache__":
            found.update(_sources(item, f"{name}/{item.name}"))
    return found


def write_installer(output: Path) -> None:
    """Write ``mirror.pyz``, executable.

    Raises:
        Unwritable: when the directory or the disk refuses.
    """
    write_file(output, installer_bytes(), mode=0o755)
