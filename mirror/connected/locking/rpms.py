"""The lock of RPMs, ``NAME.rpms.toml``, and ``NAME.files.txt`` beside it.

Rules: RPMs that were locked stay as long as they answer the wishes and the repository has them, unless they are to be upgraded.
"""

from __future__ import annotations

from functools import cache, partial

from mirror.connected.fetching.download import shown_place
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.locking.drafts import Draft
from mirror.connected.locking.request import Made, Request
from mirror.connected.pins.ownership import read_own
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain import filelists, hermeto
from mirror.connected.toolchain.lockfile import INDEX_MARK, index_path
from mirror.connected.toolchain.repository import Read, RepositoryUnreachable, open_repository
from mirror.connected.toolchain.rpmlock import RpmLock, lock_rpms
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex


def make(request: Request) -> Made:
    """Ask the repository. Raises as ``lock_rpms`` and ``read_rpms_lock``."""
    options, wishes, target, previous = request.options, request.wishes, request.stack.target, request.previous
    request.progress.say(
        f"closing over {len(wishes.packages)} RPMs of {shown_place(options.toolchain_repo or wishes.repository)}"
    )
    with new_session() as session:
        read: Read = cache(partial(get_bytes, session))  # the index is of the very metadata that was locked from
        lock = lock_rpms(
            wishes,
            target,
            location=options.toolchain_repo,
            read=read,
            now=request.now,
            allowed=_allowed(request, read),
            previous=previous if isinstance(previous, RpmLock) and not options.upgrade.moves_toolchain else None,
            progress=request.progress,
        )
        files = _files(request, lock, read)
    foreign, reader = options.write_rpms_lock, partial(hermeto.parse_rpms_lock, arch=target.arch)
    also = (Draft(foreign, hermeto.encode(lock, target.arch), lock.count, hermeto.MARK, reader),) if foreign else ()
    return Made(lock, (files,), also)


def _allowed(request: Request, read: Read) -> frozenset[Sha256Hex] | None:
    """Digests of the RPMs that may be chosen; None for any."""
    if request.options.rpms_lock is None:
        return None
    wishes: RpmWishes = request.wishes
    named = hermeto.read_rpms_lock(request.options.rpms_lock, request.stack.target.arch)
    repository = open_repository(request.options.toolchain_repo or wishes.repository, wishes.fingerprints, read)
    return named.among(repository, wishes.repository, request.progress)


def _files(request: Request, lock: RpmLock, read: Read) -> Draft:
    """``NAME.files.txt``: the one that is there as long as it belongs to the lock, for filelists are pruned."""
    wishes, target = request.wishes, request.stack.target
    path = index_path(request.directory, request.stack.name)
    data = read_own(path, INDEX_MARK)
    try:
        old = FileIndex.parse(data, str(path)) if data else None
    except InvalidDocument as exc:
        request.progress.say(f"{exc}; it is made anew")
        old = None
    if old and old.source == FILELISTS and not filelists.covers(old, lock.pins, target):
        return Draft(path, old.encode(), old.count, INDEX_MARK, FileIndex.parse)
    location = request.options.toolchain_repo or wishes.repository
    repository = open_repository(location, wishes.fingerprints, read)
    try:
        new = filelists.index_of(repository, location, lock.pins, target, read)
    except RepositoryUnreachable as exc:
        request.progress.say(f"{exc}; the stack is locked without {path.name}")
        new = None
    return Draft(path, new.encode() if new else None, new.count if new else 0, INDEX_MARK, FileIndex.parse)
