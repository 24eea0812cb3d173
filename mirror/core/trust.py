"""Trust: which root this host trusts, and whether a manifest is signed as that root asks.

``check_manifest`` and ``check_root`` are pure functions over bytes; counting signatures is left to
``mirror.core.quorum``. ``TrustStore`` keeps the one trusted root in a directory of the user's. Reading a bundle is left to
``mirror.core.reader``, signing to ``mirror.connected.signing``.

Rules: a root is trusted for the first time only by its fingerprint, told out of band, never because it is there;
signatures come before parsing, and nothing skips them; a root's key does not sign manifests, nor a builder's key roots; a
store that cannot be read, or that is not this user's alone, is an error, never an empty store.

Example::

    root = TrustStore.default().load_root()
    signers = check_manifest(manifest_bytes, signatures, root)
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirror.core import layout, sshsig
from mirror.core.durable import make_private_directory, write_file
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable
from mirror.core.home import home_directory
from mirror.core.names import Sha256Hex
from mirror.core.quorum import Signers, check_quorum
from mirror.core.root import NAMESPACE as ROOT_NAMESPACE
from mirror.core.root import Root, utc

MANIFEST_NAMESPACE = "mirror-manifest@v1"
"""What a manifest's signatures are made for. Fixed here, never read from a bundle (SECURITY.md T11)."""


class UnsafeTrustStore(MirrorError):
    """Others could change what this user trusts.

    Attributes:
        path: the file or directory that others may write.
        owner: the user id that it belongs to, when that is neither this user's nor root's; else None.
    """

    ref = "unsafe-trust-store"
    exit_code = 30
    hint = (
        "Make the store your own (chown, or another MIRROR_HOME) and take the right to write from others (chmod go-w), "
        "then check the fingerprint with `mirror trust show`."
    )

    def __init__(self, path: str, owner: int | None = None) -> None:
        super().__init__(path, owner)
        self.path, self.owner = path, owner

    def __str__(self) -> str:
        if self.owner is not None:
            return (
                f"{self.path} belongs to user id {self.owner}, neither to you ({os.geteuid()}) nor to root, "
                "so the root in it proves nothing"
            )
        return f"{self.path} may be written by other users, so the root in it proves nothing"


class NoTrustedRoot(MirrorError):
    """No root was ever trusted here, so no signature means anything.

    Attributes:
        directory: where one was looked for.
    """

    ref = "no-trusted-root"
    exit_code = 33
    hint = (
        "Run `mirror trust add BUNDLE --fingerprint HEX` with the fingerprint that the builder told you by another way "
        "than the bundle; on the builder's own machine, `mirror trust init`."
    )

    def __init__(self, directory: str) -> None:
        super().__init__(directory)
        self.directory = directory

    def __str__(self) -> str:
        return f"no root is trusted yet: none in {self.directory}"


class UnconfirmedRoot(MirrorError):
    """A root was offered whose fingerprint nobody confirmed.

    Attributes:
        told: the fingerprint that the user gave; empty for none.
        found: the fingerprint of the root that was offered.
    """

    ref = "unconfirmed-root"
    exit_code = 34
    hint = (
        "Ask the builder for the root's fingerprint by another way than the bundle (`mirror trust show` prints it on "
        "the builder's machine) and give it with --fingerprint."
    )

    def __init__(self, told: str, found: Sha256Hex) -> None:
        super().__init__(told, found)
        self.told, self.found = told, found

    def __str__(self) -> str:
        # The found one is never shown: whoever copies it from here has confirmed nothing.
        if not self.told:
            return "a root is trusted for the first time only by its fingerprint, and none was given"
        return f"the root offered is not the one whose fingerprint you gave, {self.told}"


class RootExpired(MirrorError):
    """The trusted root has passed its date.

    Attributes:
        expires, now: seconds since 1970 UTC; ``now`` is this host's clock.
    """

    ref = "root-expired"
    exit_code = 35
    hint = "If this host's clock is right, ask the holders of the root keys for the next root."

    def __init__(self, expires: int, now: int) -> None:
        super().__init__(expires, now)
        self.expires, self.now = expires, now

    def __str__(self) -> str:
        return f"the trusted root expired at {utc(self.expires)}; this host's clock says {utc(self.now)}"


class OtherRootTrusted(MirrorError):
    """This host trusts another root already.

    Attributes:
        directory: where the trusted one is kept.
        trusted, offered: their fingerprints.
    """

    ref = "other-root-trusted"
    exit_code = 39
    hint = "If you mean to change whom this host trusts, move that directory away and add the new root again."

    def __init__(self, directory: str, trusted: Sha256Hex, offered: Sha256Hex) -> None:
        super().__init__(directory, trusted, offered)
        self.directory, self.trusted, self.offered = directory, trusted, offered

    def __str__(self) -> str:
        return f"{self.directory} trusts root {self.trusted}, another was offered: {self.offered}"


def check_manifest(manifest_bytes: bytes, signatures: Sequence[bytes], root: Root, now: float | None = None) -> Signers:
    """Decide whether a manifest may be parsed and believed.

    Args:
        manifest_bytes: exactly as they are in the bundle.
        signatures: armored sshsig blocks, one key each.
        root: the trusted root.
        now: this host's clock, seconds since 1970 UTC; the real one by default.

    Raises:
        RootExpired, NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: in this order.
    """
    # (1) The root, which the caller was told to trust, still holds.
    clock = time.time() if now is None else now
    if root.expires is not None and clock >= root.expires:
        raise RootExpired(root.expires, int(clock))
    # (2) Enough of its builders and approvers signed these bytes, as a manifest.
    return check_quorum("manifest", manifest_bytes, signatures, MANIFEST_NAMESPACE, root, ("builder", "approver"))


def check_root(document: bytes, signatures: bytes) -> Root:
    """Parse a root whose bytes are the ones that the user confirmed, and check that it signed itself.

    Args:
        document: ``root.json``.
        signatures: armored sshsig blocks, one after another.

    Raises:
        InvalidDocument, NotSigned, UnacceptableSignature, SignatureMismatch, UnknownSigner, ThresholdNotMet: in this order.
    """
    # (1) It is a root, by all the rules of one.
    root = Root.parse(document)
    # (2) Its own root role signed it, so whoever made it held those keys.
    check_quorum("root", document, sshsig.split(signatures), ROOT_NAMESPACE, root, ("root",))
    return root


class TrustStore:
    """The directory that holds the trusted root, as ``roots/1.json`` and ``roots/1.sig``, and this user's ``keys/``.

    Attributes:
        directory: need not exist; it is made, for this user alone, when something is saved.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def default(cls, environment: Mapping[str, str] = os.environ) -> TrustStore:
        """The store in ``$MIRROR_HOME``, else ``$XDG_CONFIG_HOME/mirror``, else ``~/.config/mirror``.

        Raises:
            NoHome: when the last is meant and there is no home directory.
        """
        home = environment.get("MIRROR_HOME")
        if home:
            return cls(Path(home))
        config = Path(environment.get("XDG_CONFIG_HOME", ""))
        # XDG base directory specification: a relative path is to be ignored.
        return cls((config if config.is_absolute() else home_directory() / ".config") / "mirror")

    @property
    def keys(self) -> Path:
        """Where this user's private keys are, if there are any."""
        return self.directory / "keys"

    def has_root(self) -> bool:
        """Whether some root is here, good or not.

        Raises:
            Unreadable: when that cannot be told.
        """
        # Not os.path.lexists(), which takes a store that may not be looked into for an empty one.
        try:
            self._documents[0].lstat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as exc:
            raise Unreadable(str(self._documents[0]), exc.strerror or str(exc)) from exc
        return True

    def root_documents(self) -> tuple[tuple[bytes, bytes], ...]:
        """The trusted root's bytes and its signatures, as a bundle carries them: one pair for each version.

        Raises:
            NoTrustedRoot: when there is none.
            UnsafeTrustStore: when it is another user's, or others could have written it.
            Unreadable: when it cannot be read.
        """
        if not self.has_root():
            raise NoTrustedRoot(str(self.directory))
        self._guard_directories()
        document, signatures = (_read_guarded(path) for path in self._documents)
        return ((document, signatures),)

    def load_root(self) -> Root:
        """The root that this host trusts.

        Raises:
            MirrorError: as ``root_documents`` and ``check_root`` do; a damaged root is never taken for no root.
        """
        ((document, signatures),) = self.root_documents()
        return check_root(document, signatures)

    def add_root(self, document: bytes, signatures: bytes, fingerprint: str = "") -> Root:
        """Trust a root. Adding the one that is trusted already changes nothing.

        Args:
            document, signatures: as ``check_root``.
            fingerprint: 64 hex digits, told by another way than the document; needed unless it is trusted already.

        Raises:
            UnconfirmedRoot: when the document is not the one that the user was told of.
            OtherRootTrusted: when this host trusts another.
            InvalidDocument: when it is no root, or not the first of its chain.
            MirrorError: as ``check_root``, ``load_root`` and ``durable.write_file`` do.
        """
        offered = Sha256Hex(hashlib.sha256(document).hexdigest())
        trusted = self.load_root().fingerprint if self.has_root() else None
        # (1) These bytes are the ones that the user was told of, now or before.
        if fingerprint != offered and (fingerprint or trusted is None):
            raise UnconfirmedRoot(fingerprint, offered)
        # (2) Nothing takes the place of a trusted root, least of all silently.
        if trusted not in (None, offered):
            raise OtherRootTrusted(str(self.directory), trusted, offered)
        # (3) They are a root, signed by itself, and the first: later ones are trusted through the ones before.
        root = check_root(document, signatures)
        if root.version != 1:
            raise InvalidDocument("Root", "version", f"expected 1, the first root of a chain, got {root.version}")
        if trusted is None:
            self._save(document, signatures)
        return root

    def _save(self, document: bytes, signatures: bytes) -> None:
        document_path, signatures_path = self._documents
        make_private_directory(document_path.parent)
        self._guard_directories()  # what would not be believed afterwards is not written either
        write_file(signatures_path, signatures)
        write_file(document_path, document)  # last: it is the document that says that a root is trusted

    def _guard_directories(self) -> None:
        roots = self._documents[0].parent
        # A group may write the store itself, as a umask of 002 makes it: whoever puts another roots/ in the place of
        # this one cannot make it belong to this user, and so is found out there.
        for place, unwanted in ((self.directory, stat.S_IWOTH), (roots, _WRITE_BY_OTHERS)):
            try:
                _guard(place, place.stat(), unwanted)
            except OSError as exc:
                raise Unreadable(str(place), exc.strerror or str(exc)) from exc

    @property
    def _documents(self) -> tuple[Path, Path]:
        return self.directory / "roots" / "1.json", self.directory / "roots" / "1.sig"


_WRITE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def _guard(path: Path, status: os.stat_result, unwanted: int) -> None:
    """Refuse what somebody else owns, or may write by one of the ``unwanted`` permission bits."""
    # The owner counts by himself: a file of his can be made writable, written and closed again at any time.
    if status.st_uid not in (0, os.geteuid()):
        raise UnsafeTrustStore(str(path), status.st_uid)
    if status.st_mode & unwanted:
        raise UnsafeTrustStore(str(path))


def _read_guarded(path: Path) -> bytes:
    """Read a file of the store that nobody else may have written."""
    try:
        # What is guarded is what was opened; a link could lead to a place whose directories nobody has looked at.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as stream:
            _guard(path, os.fstat(stream.fileno()), _WRITE_BY_OTHERS)
            return stream.read(layout.MAX_ROOT_BYTES + 1)
    except OSError as exc:
        reason = "it is a symbolic link" if exc.errno == errno.ELOOP else exc.strerror or str(exc)
        raise Unreadable(str(path), reason) from exc
