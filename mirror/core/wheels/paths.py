"""The paths in a wheel: which are plain, and where an installer puts each file below a venv (PEP 427, 491).

``mirror.core.vetting.wheel`` judges what is in the files.

Rules (SECURITY.md 21 and 27): a path stays below where it is put; what only surprises (a trailing dot, two names that differ
in case) is told apart from what escapes; a ``.data`` directory has the scheme keys that installers know and no other.

Example::

    layout = WheelLayout("torch-2.11.0", "torch", "3.11")
    layout.installed("torch-2.11.0.data/scripts/torchrun")        # "bin/torchrun"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

INSTALLERS_FILES = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "INSTALLER", "REQUESTED", "direct_url.json")
"""What installers read or write in a ``.dist-info`` directory."""

SCHEMES = ("purelib", "platlib", "headers", "scripts", "data")

_HOOK = re.compile(r"[^/]*\.pth|(?:site|user)customize(?:\.[^/]+|/__init__\.[^/]+)")
"""What Python's ``site`` runs at every start, at the top of site-packages; a file called ``.pth`` too, before 3.13."""

_MAX_PATH_BYTES = 3500
"""Linux takes paths of 4,095 bytes; what is above a wheel's own is its user's."""

_ORDINARY = re.compile(r"(?:[A-Za-z0-9_.+-]{0,254}[A-Za-z0-9_+-]/)*(?:[A-Za-z0-9_.+-]{0,254}[A-Za-z0-9_+-])/?")
"""Names of which there is nothing to say, as nearly all are: looking once at each saves looking for every fault."""

_COMPILED = re.compile(r"((?:[^/]+/)*?)(?:__pycache__/([^/.]+)\.[^/]+\.pyc|([^/.]+)\.py[co])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_ENVIRONMENT = re.compile(
    r"pyvenv\.cfg|bin/(?:(?:python|pythonw|pydoc|pip)[0-9.]*|(?:de)?activate(?:[._].*)?)", re.ASCII | re.IGNORECASE
)


def escape_of(name: str) -> str:
    """Why a member's name may lead out of where it is put, or is read differently by different programs; empty when not."""
    if _ORDINARY.fullmatch(name):
        return ""
    if _CONTROL.search(name):
        return "has a control character"
    if "\\" in name or _DRIVE.match(name):
        return "is a path of another system"
    parts = name[:-1].split("/") if name.endswith("/") else name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "is absolute, or has an empty part, '.' or '..'"
    return ""


def oddity_of(name: str) -> str:
    """What is unusual, though harmless on Linux, in a member's name; empty for nothing."""
    if len(name) <= _MAX_PATH_BYTES and _ORDINARY.fullmatch(name):
        return ""
    if not name.isprintable():
        return "has characters that are not seen"
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_PATH_BYTES:
        return f"of more than {_MAX_PATH_BYTES} bytes"
    for part in name.rstrip("/").split("/"):
        if part.endswith((".", " ")):
            return "has a part that ends in a dot or a space"
        if len(part.encode("utf-8", "surrogatepass")) > 255:
            return "has a part of more than 255 bytes"
    return ""


def clashes(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that are one where case or Unicode's form is ignored."""
    seen: dict[str, str] = {}
    for name in names:
        # ASCII has one form, and folding is lowering it.
        plain = name.lower() if name.isascii() else _folded(name)
        other = seen.setdefault(plain.rstrip("/"), name)
        if other != name:
            yield other, name


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def nested(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names of files that are directories of other names, too, each with the first of those.

    No installer can make both. A directory's own name, which ends with a slash, is never a file's.
    """
    files = {name for name in names if not name.endswith("/")}
    seen = set()
    for name in sorted(names):
        parent = name.rpartition("/")[0]
        while parent and parent not in seen:  # with a directory all above it were seen
            seen.add(parent)
            if parent in files:
                yield parent, name
            parent = parent.rpartition("/")[0]


@dataclass(frozen=True)
class WheelLayout:
    """Where one wheel's files go.

    Attributes:
        stem: the part of its ``.dist-info`` directory's name before the dot.
        project: the directory of its headers.
        python: the target's minor version.
    """

    stem: str
    project: str
    python: str

    @property
    def site(self) -> str:
        return f"lib/python{self.python}/site-packages"

    def installed(self, name: str) -> str:
        """Where a member goes, below the venv.

        Raises:
            ValueError: when it is in a ``.data`` directory that is not this wheel's, under no known scheme, or where
                installers do not take it.
        """
        top, _, rest = name.partition("/")
        if not top.endswith(".data"):
            return f"{self.site}/{name}"
        if not rest:
            raise ValueError(
                f"{name!r} is a file where installers expect a directory"
            )  # pip, whatever comes before ".data"
        scheme, _, inner = rest.partition("/")
        if top != f"{self.stem}.data":
            raise ValueError(f"{name!r} is in a .data directory of another name than {self.stem}.data")
        if scheme not in SCHEMES or not inner:
            raise ValueError(f"{name!r} is under none of the schemes {', '.join(SCHEMES)}")
        if scheme in ("purelib", "platlib"):
            return f"{self.site}/{inner}"
        if scheme == "headers":
            return f"include/site/python{self.python}/{self.project}/{inner}"
        if scheme == "scripts":
            if "/" in inner:
                raise ValueError(f"{name!r} is in a directory of scripts, where installers take files only")
            return f"bin/{inner}"
        return re.sub(r"^lib64/", "lib/", inner)  # in a venv lib64 is a link to lib

    def fault_of(self, directory: str) -> str:
        """Why uv does not take a directory that the wheel lists in its ``.data``, be it empty; empty when it does."""
        top, _, rest = directory.rstrip("/").partition("/")
        if top != f"{self.stem}.data" or not rest:
            return ""
        try:
            self.installed(f"{directory}file")
        except ValueError as exc:
            return str(exc).replace(f"{directory}file", directory)
        return ""

    def directories(self) -> tuple[str, ...]:
        """The venv's own directories, with a final slash."""
        return "bin/", "include/", "lib64/", f"{self.site}/"

    def is_hook(self, installed: str) -> bool:
        """Whether Python runs the file when it starts: ``*.pth`` and ``sitecustomize`` at the top of site-packages."""
        head, _, rest = installed.partition(f"{self.site}/")
        if head or not rest:
            return False
        return bool(_HOOK.fullmatch(rest))


def source_of(name: str) -> str:
    """The module's source that a file of compiled Python stands for, wherever it is imported from; empty for any other file.

    >>> source_of("a/__pycache__/b.cpython-311.opt-1.pyc")
    'a/b.py'
    """
    match = _COMPILED.fullmatch(name)
    return f"{match[1]}{match[2] or match[3]}.py" if match else ""


def is_environments(installed: str) -> bool:
    """Whether the file belongs to the venv itself: its Python, pip, activate, ``pyvenv.cfg``."""
    return bool(_ENVIRONMENT.fullmatch(installed))
