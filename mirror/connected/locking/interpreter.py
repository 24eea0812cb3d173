"""The interpreter's lock, ``NAME.python.toml``: one relocatable CPython of python-build-standalone, by its address and digest.

Which archives there are, and their digests, is told by ``pbs-installer``, a package of the index that is made from each release
of python-build-standalone; nothing is asked of a network. ``mirror.connected.stack.interpreter`` reads the wish.

Rules: of a minor version the newest patch release that is known is taken, and kept until somebody upgrades; the archive is the
``install_only_stripped`` one for the target's architecture and glibc; a setting of this machine (``PBS_INSTALLER_BASE_URL``)
does not get into the lock.

Example::

    lock_interpreter(InterpreterWish("3.11"), stack.target, now).pins[0].url
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import Any, ClassVar

from pbs_installer import get_download_link

from mirror.connected.fetching.download import clean_url
from mirror.connected.stack.interpreter import InterpreterWish
from mirror.connected.toolchain.lockfile import LockFile
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by
from mirror.core.kinds import INTERPRETER, Kind
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.target import Target, architecture

_ARCHIVE = "-install_only_stripped.tar.gz"


@dataclass(frozen=True)
class ArchivePin:
    """One archive: the patch release in it, the architecture that it is for, where it is, and its digest."""

    version: str
    arch: str = field(metadata=by(architecture))
    url: str = field(metadata=by(clean_url))
    sha256: Sha256Hex


@dataclass(frozen=True)
class InterpreterLock(LockFile):
    """The contents of ``NAME.python.toml``: one pin."""

    KIND: ClassVar[Kind] = INTERPRETER
    TITLE: ClassVar[str] = INTERPRETER.name
    FORMAT: ClassVar[str] = "mirror-interpreter/1"
    ENDING: ClassVar[str] = "python.toml"
    TABLE: ClassVar[str] = "archive"
    NAMED_BY: ClassVar[str] = "version"

    locked: int
    pins: tuple[ArchivePin, ...]

    @classmethod
    def answers(cls, wishes: Any) -> bool:
        return isinstance(wishes, InterpreterWish)

    @classmethod
    def pin(cls, fields: Fields) -> ArchivePin:
        return fields.fill(ArchivePin)

    @property
    def versions(self) -> Mapping[str, str]:
        return dict.fromkeys(("cpython",), self.pins[0].version)

    def _differences(self, wishes: InterpreterWish, target: Target) -> Iterator[str]:
        for pin in self.pins:
            if not f"{pin.version}.".startswith(f"{wishes.version}."):
                yield f"the stack wants Python {wishes.version}, the lock has {pin.version}"
            if pin.arch != target.arch:
                yield f"the target is {target.arch}, the locked Python is for {pin.arch}"


def lock_interpreter(
    wish: InterpreterWish, target: Target, now: int, previous: InterpreterLock | None = None
) -> InterpreterLock:
    """Pin the archive of a version.

    Args:
        now: the time of locking, in seconds since 1970 UTC.
        previous: a lock whose archive is kept where it still answers; None to take the newest.

    Raises:
        InvalidDocument: when no archive of that version is known.
    """
    if previous and not previous.differences(wish, target):
        return previous
    source = f"pbs-installer {installed_version('pbs-installer')}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # it reads its table in a way that 3.11 and 3.12 frown upon
            found, (url, digest) = get_download_link(wish.version, target.arch, "linux", base_url="")
    except ValueError:
        raise _unknown(wish, target, source) from None
    if not digest or not url.endswith(_ARCHIVE):
        raise _unknown(wish, target, source)
    version = f"{found.major}.{found.minor}.{found.micro}"
    return InterpreterLock(now, (ArchivePin(version, target.arch, clean_url(url), sha256_hex(digest)),))


def _unknown(wish: InterpreterWish, target: Target, source: str) -> InvalidDocument:
    return InvalidDocument(
        "NAME.toml", "interpreter.version", f"{source} knows no CPython {wish.version} for Linux on {target.arch}"
    ).advised(
        "Take another patch release, a newer pbs-installer (pip install -U pbs-installer), or name url and sha256."
    )
