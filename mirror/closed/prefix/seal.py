"""The seal of a generation: the digest of each file and the target of each link that no sealed RECORD vouches for.

It is made when a generation is built and lies in it as ``files.json``; the receipt holds its digest. What a wheel brought is
vouched for by the wheel's own RECORD, so of those thousands of files only the RECORDs are digested here.
``mirror.closed.soundness`` compares a generation with its seal.

Rules: compiled bytecode, caches and the files that are written after the seal are not in it; a path of which two RECORDs say
different things (one wheel's file was chosen over another's) is; links are never followed.

Example::

    write_file(generation.files, Seal.of(generation).encode())
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.prefix.generations import Generation
from mirror.closed.venv.sitepackages import records_in
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import project_name, sha256_hex
from mirror.core.progress import Advance
from mirror.core.system.crew import Crew, may_go_on
from mirror.core.wheels.record import Line, Record

FORMAT = "mirror-files/1"
_MAX_BYTES = 64 << 20
_CHUNK = 1 << 20
_LINK = "-> "

_UNSEALED = frozenset(("receipt.json", "files.json", "COMPLETE", ".work", ".cache", "warm", "silence.json"))
_LAYERS = ("warm.", ".warm.")
"""At the top of a generation: written after the seal, the cache of a user without a home, what was noted of silence, and layers
of compiled kernels, which have digests of their own (``mirror.closed.warm.layer``)."""


@dataclass(frozen=True)
class Seal:
    """What a generation held when it was made.

    Attributes:
        entries: by path below the generation, with ``/``: 64 hex digits of a file's sha256, or ``"-> "`` and a link's target.
    """

    entries: Mapping[str, str]

    @classmethod
    def of(cls, generation: Generation, doubted: Collection[str] = ()) -> Seal:
        """Read a generation that has just been built.

        Args:
            doubted: projects whose RECORD is known to say other things than its files are; it vouches for none of them.

        Raises:
            OSError: when something in it cannot be read.
        """
        vouched = {
            path for path, lines in vouching(generation, doubted).items() if len({line.digest for line in lines}) == 1
        }
        links, files = {}, []
        for path, facts in walk(generation.path):
            if stat.S_ISLNK(facts.st_mode):
                links[path] = _LINK + os.readlink(generation.path / path)  # noqa: PTH115 - as text, as it is written
            elif path not in vouched:
                files.append(path)
        with Crew(os.cpu_count()) as crew:
            digests = crew.map(lambda path: digest_of(generation.path / path).hex(), files)
            return cls({**links, **dict(zip(files, digests))})

    @classmethod
    def parse(cls, data: bytes) -> Seal:
        """Read ``files.json``.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        fields = Fields.read(data, "List of files", FORMAT, _MAX_BYTES)
        table = fields.table("files")
        entries = {path: table.checked(path, _entry) for path in table.left()}
        table.end()
        fields.end()
        return cls(entries)

    def encode(self) -> bytes:
        """Inverse of ``parse``."""
        return canonical_json({"format": FORMAT, "files": self.entries})


def _entry(text: str) -> str:
    return text if text.startswith(_LINK) else sha256_hex(text)


def link_to(entry: str) -> str | None:
    """The target that an entry says; None when it is a file's."""
    return entry[len(_LINK) :] if entry.startswith(_LINK) else None


def walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file and link of a generation that a seal speaks of, with what lstat(2) says.

    Raises:
        OSError: when a directory cannot be read, or what a name in it is cannot be told: what is left out here, no seal holds.
    """

    def refuse(error: OSError) -> None:
        raise error

    for directory, directories, names in os.walk(root, onerror=refuse):
        below = posixpath.relpath(directory, root) if directory != str(root) else ""
        if not below:
            directories[:] = [name for name in directories if _is_sealed(name)]
            names = [name for name in names if _is_sealed(name)]
        links = [name for name in directories if stat.S_ISLNK(os.lstat(os.path.join(directory, name)).st_mode)]  # noqa: PTH118
        directories[:] = [name for name in directories if name != "__pycache__" and name not in links]
        for name in (*names, *links):
            if not name.endswith(".pyc") and _is_text(name):
                yield posixpath.join(below, name), os.lstat(os.path.join(directory, name))  # noqa: PTH118 - 50,000 files


def _is_sealed(name: str) -> bool:
    """Whether the seal speaks of a name at the top of a generation."""
    return name not in _UNSEALED and not name.startswith(_LAYERS)


def _is_text(name: str) -> bool:
    """Whether a name can be written in JSON; no wheel and no package brings another."""
    return not any(0xD800 <= ord(letter) < 0xE000 for letter in name)


def records(generation: Generation) -> Iterator[str]:
    """The RECORDs of what is installed in the venv, as paths below the generation.

    Raises:
        OSError: when they cannot be told.
    """
    return (found.relative_to(generation.path).as_posix() for found in records_in(generation.venv))


def lines_of(generation: Generation, record: str) -> dict[str, Line]:
    """What a RECORD says of files within the venv that it has a digest of, by path below the generation.

    A RECORD that is none vouches for nothing.

    Raises:
        OSError: when it cannot be read.
    """
    site = posixpath.dirname(posixpath.dirname(record))
    data = (generation.path / record).read_bytes()
    try:
        lines = Record.parse(data).lines
    except ValueError:
        return {}
    paths = {posixpath.normpath(posixpath.join(site, path)): line for path, line in lines.items() if line.digest}
    return {path: line for path, line in paths.items() if path.startswith("venv/") and not path.endswith(".pyc")}


def vouching(generation: Generation, doubted: Collection[str] = ()) -> dict[str, list[Line]]:
    """What the RECORDs of a generation say of each path, but those of the projects in ``doubted``.

    Raises:
        OSError: when one cannot be read.
    """
    found: dict[str, list[Line]] = {}
    for record in records(generation):
        if project_name(record.split("/")[-2].partition("-")[0]) in doubted:
            continue
        for path, line in lines_of(generation, record).items():
            found.setdefault(path, []).append(line)
    return found


def digest_of(path: Path, algorithm: str = "sha256", advance: Advance | None = None) -> bytes:
    """Hash a regular file.

    Args:
        advance: told of the bytes read.

    Raises:
        OSError: when it cannot be read, or is a link or no regular file.
    """
    digest = hashlib.new(algorithm)
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(0, "it is no regular file", str(path))
        while chunk := stream.read(_CHUNK):
            may_go_on()
            digest.update(chunk)
            if advance:
                advance(len(chunk))
    return digest.digest()
