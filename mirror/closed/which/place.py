"""A place to ask for files: an installed generation, a bundle that is not installed yet, or a lock; each has a file index.

``mirror.core.toolkit.fileindex`` holds the index's format, ``mirror.closed.which.search`` answers from it.

Rules: of a bundle, the signature and the index's digest are checked before it is believed; ``mirror verify`` checks its other
members. An install that came without an index is asked by its receipt, which knows the files that were unpacked and no others.

Example::

    place = installed_place(Prefix(Path("~/.local/share/mirror/h100")))
    place.index.carried
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.receipt import read_receipt
from mirror.closed.prefix.status import current_generation
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.system.durable import read_if_there
from mirror.core.target import Target
from mirror.core.toolkit.fileindex import BUNDLED, HEADERS, INSTALLED, MAX_BYTES, FileIndex, IndexedRpm, is_kept
from mirror.core.trust.root import Root
from mirror.core.trust.verdict import REVIEW

_NEVRA = re.compile(r"(.+?)-([0-9][^-]*(?:-[^-]+)?)\.([^.]+)", re.ASCII)
"""Name, version and architecture; ``cuda_nvcc-12.6.85.linux-x86_64`` of a component archive too."""


class NoFileIndex(MirrorError):
    """There is no file index where one was looked for."""

    ref = "no-file-index"
    exit_code = 109
    hint = (
        "A stack without RPMs has none, nor has one that an older mirror made: on the connected machine, "
        "'mirror lock NAME' writes it and 'mirror which FILE --stack NAME' asks it."
    )
    message = "{place} holds no index of the files of CUDA's packages"

    place: str


@dataclass(frozen=True)
class Place:
    """Where a question is asked.

    Attributes:
        kind: ``"install"``, ``"bundle"`` or ``"lock"``.
        path: the generation, the bundle or the lock.
        stack: its name.
        index: what is known there.
    """

    kind: str
    path: Path
    stack: str
    index: FileIndex

    def __str__(self) -> str:
        return f"the {self.kind} {self.path}"


def installed_place(prefix: Prefix) -> Place:
    """The current generation of a prefix.

    Raises:
        NothingInstalled, NoFileIndex: when there is none, or it has neither index nor toolchain.
        MirrorError: as ``read_receipt``, ``load_environment`` and ``FileIndex.parse``.
    """
    generation = current_generation(prefix)
    receipt, file = read_receipt(generation), generation.path / INSTALLED
    if receipt.toolchain and not file.exists():
        index = _recorded(receipt.toolchain, load_environment(generation).manifest.target)
    else:
        index = _read(file, f"the install {generation.path}")
    return Place("install", generation.path, receipt.name, index)


def _recorded(record: ToolchainRecord, target: Target) -> FileIndex:
    """What a receipt says of the files that were unpacked, as an index."""
    rpms = []
    for package in record.packages:
        named = _NEVRA.fullmatch(package.nevra)
        name, evr, arch = named.groups() if named else (package.nevra, "", "")
        paths = tuple(path for path in package.files if is_kept(path, target.arch))
        rpms.append(IndexedRpm(name, evr, arch, True, paths))
    return FileIndex(target.cuda, target.arch, HEADERS, tuple(rpms))


def bundled_place(path: Path, root: Root, volumes: Iterable[Path] = ()) -> Place:
    """A bundle, its signature and its index checked.

    Args:
        volumes: directories in which volumes of it may lie.

    Raises:
        NoFileIndex: when it carries none.
        MirrorError: as ``open_bundle``, ``Bundle.trust`` and ``Bundle.read``.
    """
    with open_bundle(path, volumes) as bundle:
        manifest = bundle.trust(root, required=REVIEW)  # it is asked what is in it, before anybody approves
        artifact = manifest.find(BUNDLED)
        if artifact is None:
            raise NoFileIndex(f"the bundle {path}")
        return Place("bundle", path, manifest.name, FileIndex.parse(bundle.read(artifact)))


def locked_place(path: Path) -> Place:
    """A lock, named by any of its files: ``NAME.toml``, ``NAME.txt``.

    Raises:
        NoFileIndex: when no ``NAME.files.txt`` is there.
        MirrorError: as ``FileIndex.parse``.
    """
    name = re.sub(r"(\.(build|rpms|redist|files))?\.(toml|txt)$", "", path.name)
    file = path.with_name(f"{name}.files.txt")
    if not path.exists():
        raise Unreadable(str(path), "No such file or directory")
    return Place("lock", path, name, _read(file, f"the lock {path}"))


def _read(file: Path, place: str) -> FileIndex:
    data = read_if_there(file, MAX_BYTES)
    if data is None:
        raise NoFileIndex(place)
    return FileIndex.parse(data, str(file))
