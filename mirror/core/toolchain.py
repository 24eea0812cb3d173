"""A CUDA toolchain out of RPM packages, without rpm and without root.

Whose a package is and what it holds is ``mirror.core.rpm``'s and ``mirror.core.payload``'s, what goes where
``mirror.core.cudatree``'s, the links that scriptlets would have made ``mirror.core.cudalinks``'s.
``usr/local/cuda-X.Y/<rest>`` of a package becomes ``<root>/<rest>``; the tree can be moved as a whole, for nvcc finds its
parts from where it lies (CUDA.md A5).

Rules:
(1) every header's signature is judged before anything is written, and the whole tree is planned from those headers; where
    the source names a sha256 or a NEVRA, the very bytes that were judged are held to them, for a vendor signs many packages;
(2) each archive is compared with its header, each file with its digest, as ``mirror.core.payload`` says;
(3) the tree is new: files are created, never opened; links come last, so nothing is ever written through one; modes are
    0755 and 0644; when anything fails, the tree is removed;
(4) scriptlets are never run, files for other places (``/etc``, ``/usr/share``) not written: both are listed.

Example::

    toolchain = unpack_toolchain(paths, root, target, keys=armored, fingerprints=pinned)
    toolchain.home / "bin" / "nvcc"
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Union

from mirror.core import cudalinks
from mirror.core.cudatree import BadToolchain, Tree, plan_tree
from mirror.core.errors import Interrupted, InvalidDocument, Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.openpgp import read_keys
from mirror.core.payload import Content, check_payload, contents
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.reader import DigestMismatch
from mirror.core.rpm import Rpm, read_rpm
from mirror.core.target import Target

__all__ = ["BadToolchain", "RpmSource", "Toolchain", "unpack_toolchain"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class RpmSource:
    """A package that is no file of its own, such as a member of a bundle.

    Attributes:
        label: its file name, for messages.
        open: opens it at its first byte; called twice, from any thread.
        sha256: of the whole file, where the signed manifest names it.
        nevra: what the signed list says it is; empty where there is none.
    """

    label: str
    open: Callable[[], BinaryIO]
    sha256: Sha256Hex | None = None
    nevra: str = ""

    @classmethod
    def of(cls, source: Union[RpmSource, Path]) -> RpmSource:
        if isinstance(source, RpmSource):
            return source
        path = source

        def opened() -> BinaryIO:
            try:
                return open(path, "rb")
            except OSError as exc:
                raise Unreadable(str(path), exc.strerror or str(exc)) from exc

        return cls(path.name, opened)


@dataclass(frozen=True)
class Toolchain:
    """An unpacked tree.

    Attributes:
        home: the CUDA home, with ``bin/nvcc`` if a compiler was among the packages.
        packages: name-epoch:version-release.arch of each, in the order given.
        owners: the package of each file and link that came from one, by path below ``home``.
        made: links that were made here, as ``"path -> target"``.
        dangling: links that lead nowhere, each with the name of the package that is likely missing.
        dropped: paths that were not written, being for other places than the CUDA home.
        scriptlets: what was not run, as ``"package: kinds"``.
    """

    home: Path
    packages: tuple[str, ...]
    owners: Mapping[str, str]
    made: tuple[str, ...]
    dangling: tuple[str, ...]
    dropped: tuple[str, ...]
    scriptlets: tuple[str, ...]


def unpack_toolchain(
    sources: Iterable[Union[RpmSource, Path]],
    root: Path,
    target: Target,
    *,
    keys: Union[str, bytes],
    fingerprints: Iterable[str],
    jobs: int = 0,
    progress: Progress = SILENT,
) -> Toolchain:
    """Unpack packages into a new tree.

    Args:
        sources: the packages.
        root: the tree's top, which must not exist; it is removed again when anything fails.
        target: its CUDA release says which ``/usr/local/cuda-X.Y`` is meant.
        keys: the vendors' public keys, armored.
        fingerprints: the pinned ones.
        jobs: how many packages are read at once; 0 for one per processor.
        progress: told of the bytes written.

    Raises:
        MirrorError: what ``read_rpm``, ``check_payload`` and ``contents`` raise; ``BadToolchain`` when the packages do not fit
            together; ``Unwritable`` when the tree cannot be written.
        DigestMismatch: when a package's bytes are not those of its source's sha256.
        InvalidDocument: when a package is another than its source's NEVRA says.
    """
    opened = [RpmSource.of(source) for source in sources]
    certificates, pinned = read_keys(keys), tuple(fingerprints)

    def judge(source: RpmSource) -> Rpm:
        with source.open() as stream:
            hashing = _Hashing(stream)
            buffered = io.BufferedReader(hashing, _BLOCK)
            rpm = read_rpm(buffered, source.label, certificates, pinned)
            check_payload(rpm, buffered)
            _hold_to_source(rpm, source, hashing)
        return rpm

    with ThreadPoolExecutor(max_workers=jobs or os.cpu_count()) as pool:
        rpms = list(pool.map(judge, opened))
        plan = plan_tree(rpms, target)
        with _removed_on_failure(root):
            with progress.task("toolchain", sum(file.size for file, _ in plan.files.values())) as advance:
                _Writer(plan, root, advance).write(list(zip(opened, rpms)), pool)
            made = cudalinks.complete(root, target.cuda_targets)
            lost = tuple(_name_missing(plan, *link) for link in cudalinks.dangling(root))
    return Toolchain(
        home=root,
        packages=tuple(rpm.nevra for rpm in rpms),
        owners={path: plan.owner(path).nevra for path in sorted({*plan.files, *plan.links})},
        made=made,
        dangling=lost,
        dropped=plan.dropped,
        scriptlets=tuple(f"{rpm.name}: {', '.join(rpm.scriptlets)}" for rpm in rpms if rpm.scriptlets),
    )


class _Hashing(io.RawIOBase):
    """A stream that hashes what is read through it, so that the bytes that were judged are the bytes that were hashed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._digest = stream, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants its own Buffer protocol
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        return len(data)

    def sha256(self) -> Sha256Hex:
        """Of the whole stream: what nobody has read yet is read now."""
        for block in iter(lambda: self._stream.read(_BLOCK), b""):
            self._digest.update(block)
        return Sha256Hex(self._digest.hexdigest())


def _hold_to_source(rpm: Rpm, source: RpmSource, hashing: _Hashing) -> None:
    """Rule 1: it is not only a package of the vendor's, but the one that was chosen."""
    if source.sha256 is not None:
        actual = hashing.sha256()
        if actual != source.sha256:
            raise DigestMismatch(source.label, source.sha256, actual)
    if source.nevra and rpm.nevra != source.nevra:
        raise InvalidDocument("RPM list", source.label, f"it says {source.nevra}, the package itself is {rpm.nevra}")


@contextmanager
def _removed_on_failure(root: Path) -> Iterator[None]:
    try:
        root.mkdir()
    except OSError as exc:
        raise Unwritable(str(root), exc.strerror or str(exc)) from exc
    try:
        yield
    except BaseException as exc:
        shutil.rmtree(root, ignore_errors=True)
        if isinstance(exc, OSError):
            raise Unwritable(exc.filename or str(root), exc.strerror or str(exc)) from exc
        raise


class _Writer:
    """Writes a planned tree, several packages at once; the first failure stops all."""

    def __init__(self, plan: Tree, root: Path, advance: Advance) -> None:
        self._plan, self._root, self._advance = plan, root, advance
        self._stop = threading.Event()

    def write(self, packages: Sequence[tuple[RpmSource, Rpm]], pool: ThreadPoolExecutor) -> None:
        # Explicit modes, whatever the umask: the tree is for other users of the host too (rule 3).
        for directory in ("", *self._plan.directories):
            path = self._root / directory
            path.mkdir(exist_ok=not directory)
            path.chmod(0o755)
        # The largest first: one begun last would be waited for alone.
        order = sorted(packages, key=lambda package: -sum(file.size for file in package[1].files))
        futures = [pool.submit(self._unpack, package) for package in order]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        for link, (target, _) in sorted(self._plan.links.items()):
            (self._root / link).symlink_to(target)

    def _unpack(self, package: tuple[RpmSource, Rpm]) -> None:
        """Write the files that are this package's to write; read the others to their end, for their digests."""
        source, rpm = package
        mine = {file.path: self._root / path for path, (file, owner) in self._plan.files.items() if owner is rpm}
        with source.open() as stream:
            _skip(stream, rpm.payload_offset)
            for content in contents(rpm, stream):
                names = (content.file, *content.also)
                self._create([mine[file.path] for file in names if file.path in mine], content)

    def _create(self, paths: Sequence[Path], content: Content) -> None:
        """Write a file under its first name and link the others to it; no names at all is a file that is only judged."""
        if not paths:
            for _ in content.pieces:
                pass
            return
        mode = 0o755 if content.file.mode & 0o111 else 0o644
        descriptor = os.open(paths[0], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with open(descriptor, "wb") as out:
            for piece in content.pieces:
                if self._stop.is_set():
                    raise Interrupted  # by the failure of another package, which is the one that is told
                out.write(piece)
                self._advance(len(piece))
            os.fchmod(out.fileno(), mode)
        for path in paths[1:]:
            os.link(paths[0], path)


def _skip(stream: BinaryIO, count: int) -> None:
    while count:
        block = stream.read(min(count, _BLOCK))
        if not block:
            return  # what follows finds the archive cut short
        count -= len(block)


def _name_missing(plan: Tree, path: str, target: str) -> str:
    """A dangling link in words. A devel package's link leads to a library of the package without ``-devel``."""
    owner = plan.links[path][1].name
    runtime = owner.replace("-devel", "", 1)
    return f"{path} -> {target} (of {owner}{f'; {runtime} brings it' if runtime != owner else ''})"
