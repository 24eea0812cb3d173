"""A repository's ``filelists.xml``: which package holds which file, made into a lock's file index.

``mirror.connected.toolchain.repository`` fetches the metadata and has checked its signature; ``mirror.core.toolkit.fileindex``
is the index; ``mirror.connected.lock`` decides when it is made and written.

Rules: ``filelists.xml`` has the size and digest that the signed ``repomd.xml`` names, as ``primary.xml`` has; a package's files
are looked up by its sha256 of ``primary.xml``, so the two cannot disagree about which package is meant; besides what is locked,
the newest of each package of the target's CUDA release is indexed; a repository without filelists gives no index.

Example::

    index = index_of(repository, location, lock.pins, target, read)
    Path("lockfiles/h100.files.txt").write_bytes(index.encode())
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

import solv

from mirror.connected.toolchain.repodata import InvalidRepodata, parse_repomd
from mirror.connected.toolchain.repodataprocess import NotReadable, entries
from mirror.connected.toolchain.repository import Read, Repository, read_named
from mirror.connected.toolchain.rpmpackage import RpmPackage, RpmPin, ToolchainPin, toolkit_release
from mirror.core.errors import InvalidDocument
from mirror.core.target import Target
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex, IndexedRpm, kept_paths

MAX_FILELISTS_BYTES = 256 << 20
"""As it lies in the repository; that of Fedora's whole distribution has 60 MiB."""


def index_of(
    repository: Repository, location: str, pins: Sequence[RpmPin], target: Target, read: Read
) -> FileIndex | None:
    """The file index of a lock.

    Args:
        location: URL or directory where it was read.
        target: its CUDA release and architecture say which packages and paths belong in.
        read: gives the bytes behind a URL.

    Returns:
        The index; None when the repository has no filelists.

    Raises:
        RepositoryUnreachable, MetadataMismatch, LocationEscapes, InvalidRepodata.
    """
    if b'type="filelists"' not in repository.repomd:
        return None
    record = parse_repomd(repository.repomd, repository.url, "filelists")
    data = read_named(location, record, read, MAX_FILELISTS_BYTES)
    locked = {pin.name for pin in pins}
    others = newest(
        package
        for package in repository.packages
        if package.arch in (target.arch, "noarch")
        and toolkit_release(package.name) == target.cuda
        and package.name not in locked
    )
    files = parse_filelists(data, repository.url, {pin.sha256 for pin in (*pins, *others)})
    for pin in pins:
        if pin.sha256 not in files:
            raise InvalidRepodata(repository.url, f"its filelists.xml lacks {pin.nevra}, which its primary.xml has")
    rpms = [_entry(pin, True, files, target) for pin in pins]
    rpms += [entry for package in others if (entry := _entry(package, False, files, target)).paths]
    return FileIndex(target.cuda, target.arch, FILELISTS, tuple(sorted(rpms, key=lambda rpm: rpm.name)))


def _entry(pin: RpmPin, carried: bool, files: dict[str, list[str]], target: Target) -> IndexedRpm:
    paths = kept_paths(files.get(pin.sha256, ()), target.cuda, target.arch)
    return IndexedRpm(pin.name, pin.evr, pin.arch, carried, paths)


def newest(packages: Iterable[RpmPackage]) -> tuple[RpmPackage, ...]:
    """Of each name the package with the newest version, as libsolv compares them; in order of name."""
    pool = solv.Pool()
    pool.setdisttype(solv.Pool.DISTTYPE_RPM)
    repo = pool.add_repo("repository")
    found: dict[str, tuple[RpmPackage, Any]] = {}
    for package in sorted(packages, key=lambda package: package.nevra):
        solvable = repo.add_solvable()
        solvable.name, solvable.evr, solvable.arch = package.name, package.evr, package.arch
        if package.name not in found or found[package.name][1].evrcmp(solvable) < 0:
            found[package.name] = (package, solvable)
    return tuple(found[name][0] for name in sorted(found))


def covers(index: FileIndex, pins: Sequence[ToolchainPin], target: Target) -> tuple[str, ...]:
    """Where an index no longer belongs to a lock: one sentence for each difference, none when it does."""
    return tuple(_differences(index, pins, target))


def _differences(index: FileIndex, pins: Sequence[ToolchainPin], target: Target) -> Iterator[str]:
    if (index.release, index.arch) != (target.cuda, target.arch):
        yield f"its target is CUDA {target.cuda} for {target.arch}, the index is of CUDA {index.release} for {index.arch}"
    locked = {pin.nevra for pin in pins}
    yield from (f"{nevra} is locked, the index does not have it" for nevra in sorted(locked - index.carried))
    yield from (f"the index has {nevra}, which is not locked" for nevra in sorted(index.carried - locked))


def parse_filelists(data: bytes, url: str, wanted: Iterable[str]) -> dict[str, list[str]]:
    """The files of packages, their directories left out.

    Args:
        data: a ``filelists.xml`` whose digest is good, in whatever compression.
        url: the repository's, for errors.
        wanted: sha256 of the packages that matter; the others, of which a repository has thousands, are skipped.

    Returns:
        Absolute paths by the package's sha256.

    Raises:
        InvalidRepodata: when it cannot be read.
    """
    found: dict[str, list[str]] = {}
    try:
        with closing(entries("filelists", data, wanted)) as listed:
            for entry in listed:
                found[entry.text("checksum")] = list(entry.texts("files"))
    except (NotReadable, InvalidDocument) as exc:
        raise InvalidRepodata(url, f"its filelists.xml is not readable: {exc}") from exc
    return found
