"""RPM files as the packages of a toolchain: judged once, then read again for their contents.

``mirror.core.toolkit.rpm`` verifies the signer, ``mirror.core.toolkit.payload`` reads the archive; this module joins the two
behind the words of ``mirror.core.toolkit.package``.

Rules:
(1) the header's signature, then the archive's digest; where the source names a sha256 or a NEVRA, the very bytes that were
    judged are held to them, for a vendor signs many packages;
(2) at the second reading each file is held to the digest of the header that was judged at the first.

Example::

    packages = [source.judge() for source in trusted_rpms(paths, keys=armored, fingerprints=pinned)]
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Callable, Union

from mirror.core.archives.zstdframe import Zstd
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex
from mirror.core.signatures.openpgp import read_keys
from mirror.core.signatures.pgpkeys import Certificate
from mirror.core.toolkit.package import Content, Hashing, Package, opened
from mirror.core.toolkit.payload import check_payload, contents
from mirror.core.toolkit.rpm import Rpm, read_rpm

_BLOCK = 1 << 20


@dataclass(frozen=True)
class RpmSource:
    """An RPM that is no file of its own, such as a member of a bundle.

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
        return cls(source.name, partial(opened, source))


def trusted_rpms(
    sources: Iterable[Union[RpmSource, Path]],
    *,
    keys: Union[str, bytes],
    fingerprints: Iterable[str],
    zstd: Zstd | None = None,
) -> tuple[TrustedRpm, ...]:
    """RPMs as sources for ``unpack_toolchain``.

    Args:
        keys: the vendors' public keys, armored.
        fingerprints: the pinned ones.
        zstd: makes a decompressor for zstd where this Python's standard library has none.

    Raises:
        MalformedOpenPgp: ``keys`` cannot be read.
    """
    certificates, pinned = read_keys(keys), tuple(fingerprints)
    return tuple(TrustedRpm(RpmSource.of(source), certificates, pinned, zstd) for source in sources)


@dataclass(frozen=True)
class TrustedRpm:
    """An RPM and whom it must be signed by: a ``PackageSource``."""

    source: RpmSource
    keys: tuple[Certificate, ...]
    fingerprints: tuple[str, ...]
    zstd: Zstd | None = None

    def judge(self) -> Package:
        """Rule 1.

        Raises:
            MirrorError: what ``read_rpm`` and ``check_payload`` raise.
            DigestMismatch: when its bytes are not those of the source's sha256.
            InvalidDocument: when it is another than the source's NEVRA says.
        """
        with self.source.open() as stream:
            hashing = Hashing(stream)
            buffered = io.BufferedReader(hashing, _BLOCK)
            rpm = read_rpm(buffered, self.source.label, self.keys, self.fingerprints)
            check_payload(rpm, buffered)
            sha256 = self._held(rpm, hashing.sha256())
        contents = partial(self._contents, rpm)
        return Package(rpm.name, rpm.nevra, rpm.arch, sha256, rpm.files, contents, rpm.scriptlets, rpm.fingerprint)

    def _contents(self, rpm: Rpm) -> Iterator[Content]:
        """Rule 2. Raises what ``mirror.core.toolkit.payload.contents`` does."""
        with self.source.open() as stream:
            _skip(stream, rpm.payload_offset)
            yield from contents(rpm, stream, self.zstd)

    def _held(self, rpm: Rpm, actual: Sha256Hex) -> Sha256Hex:
        """It is not only a package of the vendor's, but the one that was chosen."""
        label, nevra = self.source.label, self.source.nevra
        if self.source.sha256 not in (None, actual):
            assert self.source.sha256 is not None
            raise DigestMismatch(label, self.source.sha256, actual)
        if nevra and rpm.nevra != nevra:
            raise InvalidDocument("RPM list", label, f"it says {nevra}, the package itself is {rpm.nevra}")
        return actual


def _skip(stream: BinaryIO, count: int) -> None:
    while count:
        block = stream.read(min(count, _BLOCK))
        if not block:
            return  # what follows finds the archive cut short
        count -= len(block)
