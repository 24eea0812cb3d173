"""The site as a directory of files, for any web server: written once, added to by every later bundle.

``mirror.closed.site.tree`` says what lies where. What was published before is in ``mirror-site.json`` at its top, by which the
pages and the repodata are made anew with what a bundle adds.

Rules: a bundle adds, and removes nothing; other bytes under a name that is taken are refused before anything is written; each
file appears whole, in the order wheels and RPMs, ``mirror-site.json``, pages, so that no page names what is not there; cut
anywhere, the same command goes on with the file that it was at; a directory that holds what mirror did not put there is left
alone; nothing is written through a link below the directory, whoever put it there.

Example::

    published = publish_directory(bundle, read_shelf(bundle), Path("/srv/www/site"))
    published.added
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mirror.closed.host.sharing import readable_for_others
from mirror.closed.kinds.copying import pieces_of
from mirror.closed.prefix.lock import holding
from mirror.closed.prefix.opened import names_in
from mirror.closed.site.pages import SiteWheel
from mirror.closed.site.rpmmetadata import Package, read_package
from mirror.closed.site.shelf import NameTaken, Published, PublishedChanged, Shelf, left_out
from mirror.closed.site.tree import WHEELS, file_path, made_files
from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import FAMILIES, MirrorError, reading, writing
from mirror.core.fields import Fields, canonical_json
from mirror.core.kinds import RPM
from mirror.core.names import sha256_hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.system.durable import (
    facts_of,
    held_open,
    open_regular,
    read_if_there,
    remove_leftovers_of,
    replacing,
    sha256_of,
    step_into,
    write_file,
)

RECORD = "mirror-site.json"
_FORMAT = "mirror-site/1"
_MAX_BYTES = 64 << 20
_OWN = (RECORD, ".lock")


class NotASite(MirrorError):
    """A directory to publish to holds what mirror did not put there."""

    ref = "not-a-site"
    exit_code = FAMILIES["install"]
    hint = "Name a directory that is empty, or is not there yet: a page of ours would hide what another program lists."
    message = "{path} holds {found}, and no {record}: mirror did not publish there"

    path: str
    found: str
    record: str = RECORD


@dataclass(frozen=True)
class SitePackage:
    """What is remembered of an RPM; the rest is in its header."""

    filename: str
    size: int
    sha256: str


@dataclass(frozen=True)
class SiteRecord:
    """``mirror-site.json``: everything that was published.

    Attributes:
        revision: when the newest of the bundles was locked.
    """

    wheels: tuple[SiteWheel, ...] = ()
    packages: tuple[SitePackage, ...] = ()
    revision: int = 1

    @property
    def digests(self) -> dict[str, str]:
        """Of every file, by its name."""
        wheels = {one.filename: one.sha256 for one in self.wheels}
        return {**wheels, **{one.filename: one.sha256 for one in self.packages}}

    @classmethod
    def parse(cls, data: bytes, name: str = RECORD) -> SiteRecord:
        """Raises ``InvalidDocument``."""
        fields = Fields.read(data, name, _FORMAT, _MAX_BYTES)
        wheels = tuple(_listed(one, SiteWheel) for one in fields.tables("wheels"))
        packages = tuple(_listed(one, SitePackage) for one in fields.tables("packages"))
        record = cls(wheels, packages, fields.number("revision", minimum=1))
        fields.end()
        return record

    def encode(self) -> bytes:
        """Inverse of ``parse``."""
        lists = {"wheels": [vars(one) for one in self.wheels], "packages": [vars(one) for one in self.packages]}
        return canonical_json({"format": _FORMAT, "revision": self.revision, **lists})

    def with_shelf(self, shelf: Shelf, packages: Sequence[SitePackage]) -> SiteRecord:
        """And what a bundle adds."""
        wheels = {one.filename: one for one in (*self.wheels, *shelf.wheels)}
        rpms = {one.filename: one for one in (*self.packages, *packages)}
        return SiteRecord(tuple(wheels.values()), tuple(rpms.values()), max(self.revision, shelf.revision))


def _listed(fields: Fields, kind: Any) -> Any:
    filename, digest = fields.checked("filename", _plain_name), fields.checked("sha256", sha256_hex)
    return fields.fill(kind, filename=filename, sha256=digest)


def _plain_name(text: str) -> str:
    if "/" in text or text in ("", ".", "..") or not text.isprintable():
        raise ValueError(f"expected the name of a file, got {text!r}")
    return text


def publish_directory(bundle: Bundle, shelf: Shelf, root: Path, progress: Progress = SILENT) -> Published:
    """Add what a verified bundle has to a site's directory, which is made if need be.

    Raises:
        NotASite: when the directory is somebody else's.
        NameTaken, PublishedChanged: when it has other bytes under a name of the bundle's; then nothing was written.
        PrefixBusy: when another run publishes there.
        Unwritable, Unreadable, InvalidDocument: when the disk refuses, or the record is damaged.
        DigestMismatch: when the bundle has changed since it was verified.
    """
    with writing(root, below=True), readable_for_others(), _opened(root) as descriptor:
        return _Directory(root, descriptor, bundle, shelf, progress).publish(_read_record(root))


@contextmanager
def _opened(root: Path) -> Iterator[int]:
    """The directory, ours or new, open and locked."""
    root.mkdir(parents=True, exist_ok=True)
    with held_open(os.open(root, os.O_RDONLY | os.O_DIRECTORY)) as descriptor:
        _refuse_foreign(root, descriptor)
        with holding(descriptor, root):
            yield descriptor


def _refuse_foreign(root: Path, descriptor: int) -> None:
    names = sorted(names_in(descriptor))
    strange = [name for name in names if name not in _OWN and not name.startswith(f".{RECORD}.")]
    if strange and RECORD not in names:
        raise NotASite(str(root), strange[0])


def _read_record(root: Path) -> SiteRecord:
    path = root / RECORD
    data = read_if_there(path, _MAX_BYTES)
    return SiteRecord() if data is None else SiteRecord.parse(data, str(path))


@dataclass(frozen=True)
class _Directory:
    """One bundle on its way into one directory."""

    root: Path
    descriptor: int
    bundle: Bundle
    shelf: Shelf
    progress: Progress

    def publish(self, found: SiteRecord) -> Published:
        there = self._there(found)
        new = [one for one in self.shelf.artifacts.values() if one.filename not in there]
        if not facts_of(self.root / RECORD):
            self._write(RECORD, found.encode())  # from here on the directory is known as ours
        self._copy(new)
        gone, kept = _without_lost(self.root, found)
        rpms = [one for one in self.shelf.artifacts.values() if one.filename.endswith(".rpm")]
        record = kept.with_shelf(self.shelf, [SitePackage(one.filename, one.size, one.sha256) for one in rpms])
        packages = (*self._older_packages(record), *self.shelf.packages)
        self._write(RECORD, record.encode())
        made = made_files(record.wheels, packages, self.shelf.metadata, self.shelf.keys, record.revision)
        for path, data in made.items():
            self._write(path, data)
        notes = tuple(f"{name} was published before and is gone: the pages do not name it any more" for name in gone)
        added = tuple(one.filename for one in new)
        return Published(str(self.root), added, tuple(there), (*notes, *left_out(self.bundle.manifest)))

    def _there(self, found: SiteRecord) -> dict[str, str]:
        """The files of the bundle that are there already, with their digests.

        Raises:
            PublishedChanged: when one of them has not the bytes any more that were published.
            NameTaken: when one of them, or one that was published and is gone, has other bytes.
        """
        known = found.digests
        there = self._digests()
        changed, taken = [], []
        for artifact in self.shelf.artifacts.values():
            name, digest = artifact.filename, there.get(artifact.filename, "")
            published = known.get(name, digest or artifact.sha256)
            if digest not in ("", artifact.sha256) and published == artifact.sha256:
                changed.append(name)
            elif (digest or published) != artifact.sha256:
                taken.append((name, digest or published, str(artifact.sha256)))
        if taken:
            raise NameTaken(str(self.root), tuple(taken))
        if changed:
            paths = tuple(str(self.root / file_path(name)) for name in changed)
            raise PublishedChanged(paths, there[changed[0]], known[changed[0]])
        return there

    def _digests(self) -> dict[str, str]:
        """The sha256 of each file of the bundle's names that is there."""
        paths = {one.filename: self.root / file_path(one.filename) for one in self.shelf.artifacts.values()}
        sizes = {name: facts.st_size for name, path in paths.items() if (facts := facts_of(path))}
        if not sizes:
            return {}
        with self.progress.task("compare", sum(sizes.values())) as advance:
            found = {name: _digest_of(paths[name], advance) for name in sizes}
        return {name: digest for name, digest in found.items() if digest}

    def _copy(self, artifacts: Sequence[Artifact]) -> None:
        for name in (WHEELS, RPM.directory):
            with self._below(name) as directory:
                remove_leftovers_of(self.root / name, r".+\.(whl|rpm)", directory)  # also of what this bundle has not
        with self.progress.task("publish", sum(one.size for one in artifacts)) as advance:
            for artifact in artifacts:
                path = self.root / file_path(artifact.filename)
                with self._below(*_parents(file_path(artifact.filename))) as directory:
                    copy_out(self.bundle, artifact, path, advance, directory)

    @contextmanager
    def _below(self, *parts: str) -> Iterator[int]:
        """A directory below the site's, or itself, open; it is made if need be, and never reached through a link."""
        place = self.root
        with contextlib.ExitStack() as way:
            directory = self.descriptor
            for part in parts:
                place /= part
                directory = way.enter_context(held_open(step_into(directory, part, place, 0o777)))
            yield directory

    def _older_packages(self, record: SiteRecord) -> Iterator[Package]:
        """The RPMs of bundles before, whose headers the repodata needs again."""
        here = {package.filename for package in self.shelf.packages}
        for one in record.packages:
            if one.filename not in here:
                path = self.root / file_path(one.filename)
                with reading(path), path.open("rb") as stream:
                    yield read_package(stream, one.filename, one.size, one.sha256)

    def _write(self, path: str, data: bytes) -> None:
        """Unless it is there, to the byte."""
        target = self.root / path
        with self._below(*_parents(path)) as directory:
            with contextlib.suppress(FileNotFoundError):
                if target.read_bytes() == data:
                    return
            write_file(target, data, directory=directory)


def _parents(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts[:-1]


def copy_out(
    bundle: Bundle,
    artifact: Artifact,
    path: Path,
    advance: Advance = lambda amount: None,
    directory: int | None = None,
) -> None:
    """Write an artifact under its final name, whole or not at all, its digest checked on the way.

    Args:
        directory: as ``replacing`` takes it.

    Raises:
        DigestMismatch: when the bytes are not the signed ones.
        Unreadable: when the bundle cannot be read.
        Unwritable: when the disk refuses.
    """
    with replacing(path, directory=directory) as out:
        for piece in pieces_of(bundle, artifact):
            with writing(path):
                out.write(piece)
            advance(len(piece))


def _without_lost(root: Path, record: SiteRecord) -> tuple[tuple[str, ...], SiteRecord]:
    """What was published and is gone, and the rest."""
    lost = [name for name in record.digests if not facts_of(root / file_path(name))]
    wheels = tuple(one for one in record.wheels if one.filename not in lost)
    packages = tuple(one for one in record.packages if one.filename not in lost)
    return tuple(lost), SiteRecord(wheels, packages, record.revision)


def _digest_of(path: Path, advance: Advance) -> str:
    """The sha256 of a file that may be there; empty when it certainly is not.

    Raises:
        Unreadable: when it cannot be read, or is no file.
    """
    absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with reading(path), absent, open_regular(path) as stream:
        return sha256_of(stream, advance)
    return ""
