"""Drift: an RPM repository that has moved on since its stack was locked.

NVIDIA's prunes old RPMs, and releases them again under another number or, as any repository may, the same (CUDA.md A1). A lock
pins bytes, so ``mirror.connected.fetching.fetch`` fails on them as on any file; this module says of an RPM what has become of
it, by asking the repository's own signed metadata.

Rules: an error is given another name only when it is known what happened: a file that is gone, or one that the signed metadata
lists with another digest. A file that is not what the metadata still says keeps its own error: it is damaged or altered.

Example::

    with drift_named(lock, location=None):
        fetch(lock.downloads(None), store)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from urllib.parse import unquote, urlsplit

from mirror.connected.fetching.download import redacted
from mirror.connected.fetching.fetch import SeveralFailures
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.transport import GONE, HostUnreachable, HttpRefused, Truncated, get_bytes, new_session
from mirror.connected.toolchain.lockfile import ToolchainLock
from mirror.connected.toolchain.repository import open_repository, repository_url
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.connected.toolchain.rpmpackage import RpmPackage, RpmPin
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.names import Sha256Hex

_TWO_WAYS = (
    "Lock again (mirror lock NAME.toml) to take what the repository has now; to keep what is locked, name a copy of the "
    "repository that still has it with --toolchain-repo DIR."
)


_COPY = (
    "A stack that was locked with --toolchain-repo DIR is bundled with it too; --without toolchain leaves the CUDA "
    "toolchain out."
)


class RpmPruned(MirrorError):
    """A locked RPM is no longer where it was locked from.

    Attributes:
        place: the repository, or its copy, without credentials.
        now: what the repository has instead, or why that cannot be told.
    """

    ref = "rpm-pruned"
    exit_code = 17
    hint = _TWO_WAYS
    message = "{nevra} is locked (sha256 {sha256}) and gone from {place}: {now}"

    nevra: str
    sha256: Sha256Hex
    place: str
    now: str


class RpmRespun(MirrorError):
    """A repository has other bytes under the name, version and architecture of a locked RPM, and its metadata says so too.

    Attributes:
        actual: the sha256 that the signed metadata lists now.
        place: the repository, or its copy, without credentials.
    """

    ref = "rpm-respun"
    exit_code = 18
    hint = "Ask the vendor why, or compare the two: their names say that they are the same. " + _TWO_WAYS
    message = "{nevra} was made anew: the lock says sha256 {expected}, {place} now lists {actual}"

    nevra: str
    expected: Sha256Hex
    actual: Sha256Hex
    place: str


@contextmanager
def drift_named(lock: ToolchainLock | None, location: str | None) -> Iterator[None]:
    """Fetch under this: a failure that the repository's drift explains is raised as that.

    Args:
        lock: whose packages are fetched, among other files; only a repository of RPMs is known to move on.
        location: a copy's URL or directory that stands in for the repository; None for the repository itself.

    Raises:
        RpmPruned, RpmRespun, SeveralFailures with them, or whatever was raised inside.
    """
    try:
        yield
    except MirrorError as error:
        if not isinstance(lock, RpmLock):
            raise
        named = _Drift(lock, location).named(error)
        if named is error:
            raise
        raise named from error


class _Drift:
    """What has become of a lock's RPMs. The repository is asked once, and only when there is a reason to."""

    def __init__(self, lock: RpmLock, location: str | None) -> None:
        self.lock, self.base = lock, repository_url(location or lock.repository)
        self.pins = dict(zip((item.shown_url for item in lock.downloads(location)), lock.pins, strict=True))
        self._packages: Sequence[RpmPackage] | None = None
        self._problem = ""

    def named(self, error: MirrorError) -> MirrorError:
        """The error under the name of its cause; the very same one when drift is not its cause."""
        if not isinstance(error, SeveralFailures):
            return self._named(error)
        errors = tuple(self._named(one) for one in error.errors)
        error.hint = errors[0].hint
        return error if errors == error.errors else SeveralFailures(errors)

    def _named(self, error: MirrorError) -> MirrorError:
        if isinstance(error, HostUnreachable) and error.url in self.pins:
            error.hint = f"{error.hint} {_COPY}"
            return error
        pin = self._pin(error)
        if pin is None:
            return error
        same = next((package for package in self.packages() if package.nevra == pin.nevra), None)
        if same is not None and same.sha256 != pin.sha256:
            return RpmRespun(pin.nevra, pin.sha256, same.sha256, redacted(self.base))
        if isinstance(error, (DownloadMismatch, Truncated)):
            return error
        return RpmPruned(pin.nevra, pin.sha256, redacted(self.base), self._now(pin))

    def _pin(self, error: MirrorError) -> RpmPin | None:
        """The pin that an error is about, if it is one that drift can cause."""
        if isinstance(error, HttpRefused):
            return self.pins.get(error.url) if error.status in GONE else None
        if isinstance(error, (DownloadMismatch, Truncated)):
            return self.pins.get(error.url)
        if isinstance(error, Unreadable) and isinstance(error.__cause__, FileNotFoundError):
            places = {unquote(urlsplit(url).path): pin for url, pin in self.pins.items()}
            return places.get(error.path)
        return None

    def _now(self, pin: RpmPin) -> str:
        if self._problem:
            return f"what it has now cannot be told ({self._problem})"
        others = [package for package in self.packages() if package.name == pin.name and package.arch == pin.arch]
        if any(package.nevra == pin.nevra for package in others):
            return "its metadata still lists it, but the file is not there"
        if not others:
            return f"it has no {pin.name} any more"
        return f"it now has {', '.join(sorted(package.evr for package in others))}"

    def packages(self) -> Sequence[RpmPackage]:
        """What the repository lists now; nothing when its metadata cannot be fetched, or is not signed by the lock's key."""
        if self._packages is None:
            try:
                with new_session() as session:
                    read = partial(get_bytes, session)
                    self._packages = open_repository(self.base, self.lock.fingerprints, read).packages
            except MirrorError as exc:
                self._packages, self._problem = (), str(exc)
        return self._packages
