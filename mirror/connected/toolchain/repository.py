"""An RPM repository: signed metadata that says which RPMs there are, with their digests.

``mirror.connected.toolchain.repodata`` parses the signed bytes, ``mirror.connected.toolchain.closure`` chooses among the RPMs,
``mirror.connected.fetching.fetch`` brings them; ``mirror.core.toolkit.rpm`` verifies the signature of each RPM.

Rules, in order, each on the very bytes that the one before has judged (SECURITY.md T16, T17, 45):
(1) the key that the repository offers counts only if its fingerprint is one that the stack pins;
(2) ``repomd.xml`` is signed by that key, as ``repomd.xml.asc`` says; nothing of it is parsed before;
(3) ``primary.xml`` has the size and digest that ``repomd.xml`` names; nothing of it is unpacked before;
(4) each package's location stays below the repository, and no package is described twice with different bytes.

A local copy of a repository is read in the same way, by ``file:`` URLs. ``read`` is
``mirror.connected.fetching.transport.get_bytes`` with a session bound to it, or anything that raises ``MirrorError`` when it
fails.

Example::

    read = functools.partial(get_bytes, session)
    repository = open_repository(wishes.repository, wishes.fingerprints, read)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.transport import HttpRefused
from mirror.connected.toolchain.repodata import InvalidRepodata, PrimaryRecord, parse_primary, parse_repomd
from mirror.connected.toolchain.rpmpackage import RpmPackage, location_url
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.signatures import openpgp

Read = Callable[[str, int], bytes]
"""The bytes behind a URL, at most so many."""

REPOMD, SIGNATURE, KEY = "repodata/repomd.xml", "repodata/repomd.xml.asc", "repodata/repomd.xml.key"

MAX_SMALL_BYTES = 1 << 20
"""repomd.xml, its signature and its key: some kilobytes in practice."""

MAX_PRIMARY_BYTES = 64 << 20
"""As it lies in the repository: NVIDIA's has about 2 MB, that of Fedora's whole distribution 25."""

MAX_KEY_LINE = 200

_TWO_WAYS = (
    "Name a copy of the repository with --toolchain-repo URL-or-DIR, or leave the toolchain out: --without toolchain."
)

_UNSIGNED = (
    "A copy needs repodata/repomd.xml.asc and repodata/repomd.xml.key too: copy both from the vendor, with the metadata that "
    "they sign. Where the metadata is the copy's own (createrepo_c), sign it: gpg --armor --detach-sign repodata/repomd.xml; "
    "gpg --armor --export KEY > repodata/repomd.xml.key; and pin that key with --rpm-fingerprint (the RPMs are held to it, "
    "too). Or go without the CUDA toolchain: --without toolchain."
)
_NO_REPODATA = (
    "Name the directory that holds repodata/, with --toolchain-repo URL-or-DIR; a copy without it gets it from the vendor "
    "(reposync --download-metadata). Or go without the CUDA toolchain: --without toolchain."
)


class RepositoryUnreachable(MirrorError):
    """A file of a repository's metadata could not be fetched."""

    ref = "rpm-repository-unreachable"
    exit_code = 60
    message = "cannot get {file} of the RPM repository from {place}: {reason}"

    place: str
    file: str
    reason: str
    hint: str = _TWO_WAYS


class RepositoryNotSigned(MirrorError):
    """``repomd.xml`` has no signature, or no good one by a key that the stack pins."""

    ref = "rpm-repository-not-signed"
    exit_code = 61
    message = "{url} has no good signature by a pinned key: {reason}"

    url: str
    reason: str
    hint: str = (
        "Get the repository's metadata again. Change [rpms].fingerprints only when the vendor says it has a new key."
    )


class MetadataMismatch(MirrorError):
    """``primary.xml``, or another file, is not the one that the signed ``repomd.xml`` names."""

    ref = "rpm-metadata-mismatch"
    exit_code = 62
    hint = (
        "The repository may have changed while it was read: try again. A local copy may be incomplete: copy it again."
    )
    message = "{url}: the signed repomd.xml says {expected}, the file has {actual}"

    url: str
    expected: str
    actual: str


@dataclass(frozen=True)
class Repository:
    """What a repository's metadata says, checked up to the signature.

    Attributes:
        url: where it was read from, without credentials, with a final slash.
        packages: every RPM it offers, of every architecture.
        fingerprint: of the pinned key that signed it.
        key: that key as the repository offers it, ASCII-armored, with LF line ends.
        repomd: the signed bytes that name its other files.
    """

    url: str
    packages: tuple[RpmPackage, ...]
    fingerprint: str
    key: str
    repomd: bytes = b""


def repository_url(location: str) -> str:
    """A repository's URL with a final slash, for a URL or for the path of a directory."""
    if urlsplit(location).scheme in ("http", "https", "file"):
        return location.rstrip("/") + "/"
    return Path(location).absolute().as_uri().rstrip("/") + "/"


def open_repository(location: str, fingerprints: Sequence[str], read: Read) -> Repository:
    """Read a repository's metadata up the ladder of trust that the module's docstring describes.

    Args:
        location: URL or directory that holds ``repodata/``.
        fingerprints: of the keys that may sign it, hex.

    Raises:
        RepositoryUnreachable, RepositoryNotSigned, MetadataMismatch, LocationEscapes, ContradictoryPackages, InvalidRepodata.
    """
    base = repository_url(location)
    shown = redacted(base)
    repomd = _read(read, base, REPOMD, MAX_SMALL_BYTES)
    signature = _read_proof(read, base, SIGNATURE)
    key = _read_proof(read, base, KEY)
    try:  # rules 1 and 2
        fingerprint = openpgp.verify(repomd, signature, openpgp.read_keys(key), fingerprints)
    except MirrorError as exc:
        raise RepositoryNotSigned(shown + REPOMD, str(exc), exc.hint) from exc
    record = parse_repomd(repomd, shown)
    packages = parse_primary(read_named(base, record, read, MAX_PRIMARY_BYTES), record.location, shown)
    return Repository(shown, packages, fingerprint, _armored(key, shown), repomd)


def read_named(location: str, record: PrimaryRecord, read: Read, max_bytes: int) -> bytes:
    """A file that a repository's signed ``repomd.xml`` names, ``primary.xml`` or another: rule 3.

    Raises:
        RepositoryUnreachable, MetadataMismatch.
    """
    base = repository_url(location)
    url = redacted(base) + record.location
    data = _read(read, base, record.location, max_bytes)
    if record.size is not None and len(data) != record.size:
        raise MetadataMismatch(url, f"{record.size} bytes", f"{len(data)} bytes")
    digest = hashlib.new(record.algorithm, data).hexdigest()
    if digest != record.checksum:
        raise MetadataMismatch(url, f"{record.algorithm} {record.checksum}", digest)
    return data


def _read(read: Read, base: str, file: str, max_bytes: int) -> bytes:
    try:
        return read(location_url(base, file), max_bytes)
    except MirrorError as exc:
        hint = _NO_REPODATA if file == REPOMD and _is_absent(exc) else _TWO_WAYS
        raise RepositoryUnreachable(place_of_url(base), file, str(exc), hint) from exc


def place_of_url(base: str) -> str:
    """The host of a repository, or the directory of a local copy, for people."""
    parts = urlsplit(base)
    return parts.netloc.rpartition("@")[2] or f"the directory {parts.path}"


def _read_proof(read: Read, base: str, file: str) -> bytes:
    """The signature or the key: where there is none, the repository answers and is not signed."""
    try:
        return _read(read, base, file, MAX_SMALL_BYTES)
    except RepositoryUnreachable as exc:
        if _is_absent(exc.__cause__):
            raise RepositoryNotSigned(redacted(base) + REPOMD, f"there is no {file} beside it", _UNSIGNED) from exc
        raise


def _is_absent(error: BaseException | None) -> bool:
    """Whether a repository answered that it has no such file."""
    if isinstance(error, HttpRefused):
        return error.status in (403, 404, 410)
    return isinstance(error, Unreadable) and isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError))


def _armored(key: bytes, url: str) -> str:
    """The key as text that a lock file can hold. Its meaning was judged by ``openpgp``; this looks at its form only."""
    text = key.decode("ascii", "replace").replace("\r\n", "\n").strip() + "\n"
    if not text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n") or "'''" in text:
        raise InvalidRepodata(url, "it is not one ASCII-armored OpenPGP key block")
    if not all(line.isprintable() and line.isascii() and len(line) <= MAX_KEY_LINE for line in text.splitlines()):
        raise InvalidRepodata(url, "the armored key holds other characters than printable ASCII")
    return text
