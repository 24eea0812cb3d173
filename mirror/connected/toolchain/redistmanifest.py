"""NVIDIA's ``redistrib_X.Y.Z.json``: which component archives a CUDA release has, for which platform, with their digests.

``mirror.connected.stack.redistwishes`` says what is wanted of it, ``mirror.connected.toolchain.redistlock`` keeps the choice,
``mirror.connected.fetching.fetch`` brings the archives.

Rules, in order:
(1) the file's bytes have the digest that the stack pins; nothing of it is parsed before. Nobody signs it: the pin is all;
(2) it is of the target's CUDA release;
(3) only what is wanted is looked at: texts at the top (``release_date``), other platforms and variants are passed over;
(4) each archive is a ``.tar.xz`` below the file's own directory.

A copy of the directory is read in the same way, by ``file:`` URLs.

Example::

    manifest = open_manifest(wishes, location=None, read=read)
    pins = manifest.select(wishes, "linux-x86_64", "12.6")
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror.connected.fetching.download import redacted
from mirror.connected.stack.redistwishes import RedistWishes
from mirror.connected.toolchain.redistpin import RedistPin, archive_location
from mirror.connected.toolchain.repository import Read, RepositoryUnreachable, place_of_url, repository_url
from mirror.connected.toolchain.rpmpackage import location_url, rpm_version
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.fields import Fields, strict_json
from mirror.core.names import Sha256Hex, sha256_hex, whole_number

MAX_BYTES = 4 << 20
"""The list of 12.6.3 has 49 kB."""

_WAYS = "Name a copy of its directory with --toolchain-repo URL-or-DIR, or go without the toolchain with --without toolchain."


class RedistUnreachable(RepositoryUnreachable):
    """The list of archives could not be fetched."""

    ref = "redist-unreachable"
    exit_code = 101
    hint = _WAYS
    message = "cannot get {file} from {place}: {reason}"


class RedistNotPinned(MirrorError):
    """The list of archives is not the one that the stack pins."""

    ref = "redist-not-pinned"
    exit_code = 27
    hint = (
        "NVIDIA does not sign this list: the digest in [redist].sha256 is all that vouches for it. Get the list by another "
        "way, compare, and change the pin only when you know why it changed."
    )
    message = "{url} is not the pinned one: its sha256 is {actual}, NAME.toml says {expected}"

    url: str
    expected: Sha256Hex
    actual: Sha256Hex


class RedistComponentMissing(MirrorError):
    """The list has no archive of a component for the target's platform."""

    ref = "redist-component-missing"
    exit_code = 28
    hint = "Correct [redist].components in NAME.toml, or name the list of a release that has them."
    message = "{source} lacks {missing} for {platform}; {known:it has %s|it has no archive for that platform at all}"

    source: str
    missing: tuple[str, ...]
    platform: str
    known: tuple[str, ...]


class InvalidRedist(MirrorError):
    """The list has the pinned bytes, and cannot be used: another release, or a form that is not NVIDIA's."""

    ref = "redist-invalid"
    exit_code = 29
    hint = (
        "Let [redist].manifest and its sha256 name NVIDIA's redistrib_X.Y.Z.json of a patch release of [target].cuda."
    )
    message = "{source} cannot be used: {problem}"

    source: str
    problem: str


@dataclass(frozen=True)
class RedistManifest:
    """A list whose bytes are the pinned ones.

    Attributes:
        source: its file name.
        release: the patch release that it is of, ``"12.6.3"``.
        components: its tables by key, as they stand there.
    """

    source: str
    release: str
    components: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parse(cls, data: bytes, source: str) -> RedistManifest:
        """Raises InvalidRedist when it is no JSON object with a release in it."""
        try:
            document = strict_json(data, source, MAX_BYTES)
        except InvalidDocument as exc:
            raise InvalidRedist(source, str(exc)) from exc
        label = document.get("release_label") if isinstance(document, dict) else None
        if not isinstance(label, str):
            raise InvalidRedist(source, "it has no release_label")
        return cls(source, label, {key: value for key, value in document.items() if isinstance(value, dict)})

    def select(self, wishes: RedistWishes, platform: str, release: str) -> tuple[RedistPin, ...]:
        """The archives that answer the wishes, in order of name.

        Args:
            release: the target's CUDA release, ``"12.6"``.

        Raises:
            InvalidRedist: when the list is of another release, or describes a wanted archive badly.
            RedistComponentMissing: when something that is needed is not there.
        """
        if not is_of(self.release, release):
            raise InvalidRedist(self.source, f"it is of CUDA {self.release}, [target].cuda says {release}")
        known = self.names(platform)
        missing = tuple(key for key in wishes.needed if key not in known)
        if missing:
            raise RedistComponentMissing(self.source, missing, platform, known)
        taken = {*wishes.needed, *(key for key in wishes.extras if key in known)}
        return tuple(self._pin(key, platform) for key in sorted(taken))

    def names(self, platform: str) -> tuple[str, ...]:
        """The components that have an archive for a platform, in order."""
        entries = ((key, table.get(platform)) for key, table in self.components.items())
        return tuple(sorted(key for key, entry in entries if isinstance(entry, dict) and "relative_path" in entry))

    def _pin(self, key: str, platform: str) -> RedistPin:
        table = self.components[key]
        try:
            about = Fields(table, self.source, key)
            archive = about.table(platform)
            return RedistPin(
                name=key,
                version=about.checked("version", rpm_version),
                platform=platform,
                location=archive.checked("relative_path", archive_location),
                size=archive.checked("size", _size),
                sha256=archive.checked("sha256", sha256_hex),
            )
        except InvalidDocument as exc:
            raise InvalidRedist(self.source, f"at {exc.where!r}: {exc.problem}") from exc


def is_of(patch: str, release: str) -> bool:
    """Whether a patch release (``"12.6.3"``) is one of a release (``"12.6"``)."""
    return patch == release or patch.startswith(f"{release}.")


def _size(text: str) -> int:
    """Sizes are texts there."""
    number = whole_number(text)
    if not number or len(text) > 13:
        raise ValueError(f"expected a number of bytes, got {text!r}")
    return number


def redist_base(wishes_or_lock_url: str, location: str | None) -> str:
    """URL of the directory that the archives lie below, with a final slash.

    Args:
        location: a copy's URL or directory that stands in for the list's own; None for that itself.
    """
    return repository_url(location or wishes_or_lock_url.rpartition("/")[0])


def open_manifest(wishes: RedistWishes, location: str | None, read: Read) -> RedistManifest:
    """Read the list and hold it to the pin (rule 1).

    Args:
        location: a copy's URL or directory that stands in for the list's own; None for that itself.
        read: gives the bytes behind a URL, see ``mirror.connected.toolchain.repository``.

    Raises:
        RedistUnreachable, RedistNotPinned, InvalidRedist.
    """
    base = redist_base(wishes.manifest, location)
    url = location_url(base, wishes.filename)
    try:
        data = read(url, MAX_BYTES)
    except MirrorError as exc:
        raise RedistUnreachable(place_of_url(base), wishes.filename, str(exc)) from exc
    actual = Sha256Hex(hashlib.sha256(data).hexdigest())
    if actual != wishes.sha256:
        raise RedistNotPinned(redacted(url), wishes.sha256, actual)
    return RedistManifest.parse(data, wishes.filename)
