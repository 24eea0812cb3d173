"""The companion installer: ``mirror.pyz``, a zipapp of the closed side.

It holds ``core``, ``review``, ``closed``, their commands and the pages of ``mirror help``, nothing of the connected room, and
runs under ``python3.9 -I``. The one package of others in it is tomli, which reads TOML below Python 3.11: taken from where
mirror's dependencies are installed, held to the digests in ``tomli.txt``. So its bytes are a function of mirror's sources:
members are sorted, stored without compression (zlib's output differs between its versions) and carry one date.
No bytecode is in it and none is kept: what runs is what its digest speaks of, and its importer compiles each module once.

Example::

    write_installer(Path("mirror.pyz"))
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from mirror.core.commands import CONNECTED
from mirror.core.errors import Unreadable
from mirror.core.system.durable import write_file
from mirror.core.system.output import check_output

ROOMS = ("core", "review", "closed", "help")
"""What it holds besides ``cli``: rooms, and the pages of ``mirror help``."""

_DATE = (1980, 1, 1, 0, 0, 0)

_MAIN = b"""\
# Parses on Python 3.6, so that an old interpreter gets a sentence and not a SyntaxError.
import sys

if sys.version_info < (3, 9):
    sys.exit("mirror.pyz needs Python 3.9 or newer; this is Python %d.%d" % sys.version_info[:2])

import _signal

if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C gives no traceback while mirror.cli.start is looked for

import zipimport


# Python 3.9 to 3.13 compile each module of a zip twice: to learn its file name, and to run it.
class Importer(zipimport.zipimporter):
    def get_filename(self, fullname):
        name = fullname.rpartition(".")[2]
        tail = "/__init__.py" if self.is_package(fullname) else ".py"
        return self.archive + "/" + self.prefix + name + tail


sys.path_hooks.insert(0, Importer)
sys.path_importer_cache.pop(sys.path[0], None)

from mirror.cli.start import start

start()
"""


_SHEBANG = b"#!/usr/bin/env python3\n"


def installer_bytes() -> bytes:
    """The zipapp, ready to be written and marked executable. Raises Unreadable: tomli is not installed here as it is pinned."""
    package = files("mirror")
    members = {"__main__.py": _MAIN, "mirror/__init__.py": (package / "__init__.py").read_bytes(), **_tomli()}
    for room in ROOMS:
        members.update(_sources(package / room, f"mirror/{room}"))
    commands = _sources(package / "cli", "mirror/cli")
    left = f"mirror/cli/commands/{CONNECTED}/"
    members.update({name: text for name, text in commands.items() if not name.startswith(left)})
    buffer = io.BytesIO(_SHEBANG)
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _tomli() -> dict[str, bytes]:
    """The pinned files of tomli, and its licence."""
    lines = (files("mirror.connected") / "tomli.txt").read_text(encoding="utf-8").splitlines()
    found = {}
    for digest, name in (line.split("  ") for line in lines if not line.startswith("#")):
        try:
            found[name] = Path(str(distribution("tomli").locate_file(name))).read_bytes()
        except (PackageNotFoundError, OSError) as exc:
            raise _unfit(name, "it is not installed") from exc
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise _unfit(name, "its sha256 is not the one that mirror pins")
    return found


def _unfit(name: str, problem: str) -> Unreadable:
    return Unreadable(name, problem).advised(
        "mirror.pyz carries this file. Install mirror's dependencies again, or this one: pip install tomli==2.4.1"
    )


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
        Unreadable: tomli is not installed here as it is pinned.
        Unwritable: when the directory or the disk refuses, or another file has that name.
    """
    check_output(output, "mirror.pyz", _SHEBANG + b"PK")
    data = installer_bytes()
    check_output(output, "mirror.pyz", _SHEBANG + b"PK")  # again: it took a moment
    write_file(output, data, mode=0o755)
