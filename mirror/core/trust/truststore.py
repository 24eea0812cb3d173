"""The trust store: the one chain of roots that this user trusts, in a directory of their own.

``mirror.core.trust.chain`` checks that one root follows another, ``mirror.core.trust.verdict`` that a manifest is signed as a
root asks; ``mirror.core.trust.ownership`` is the rule of whose the store is.

Rules: a root is trusted for the first time only by its fingerprint, told out of band, never because it is there; a first trust
stands whole or not at all, so that no root below the confirmed one is ever trusted alone; a store that cannot be read, or that
is not this user's alone, is an error, never an empty store; nor is the way to it anybody else's, who could put another store of
this user's, an older one, in its place.

Example::

    root = TrustStore.default().load_root()
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mirror.core.errors import FAMILIES, MirrorError, Unreadable, Unwritable, place_of, reading, writing
from mirror.core.names import Sha256Hex, whole_number
from mirror.core.system.durable import facts_of, held_open, make_private_directory, write_file
from mirror.core.system.home import user_directory
from mirror.core.trust.chain import BrokenChain, Documents, RootForked, check_chain, fingerprint
from mirror.core.trust.ownership import Way, look, reaching
from mirror.core.trust.root import MAX_ROOT_BYTES, Root
from mirror.core.words import grouped


class UnsafeTrustStore(MirrorError):
    """Others could change what this user trusts.

    Attributes:
        path: the file or directory that others may write, or a link or directory on the way to the store.
        problem: a clause: ``"may be written by every user"``.
        owner: the user id that it belongs to, when that is neither this user's nor root's; else None.
    """

    ref = "unsafe-trust-store"
    exit_code = 30
    hint = (
        "Make the store your own (chown, or another MIRROR_HOME) and take the right to write from others (chmod go-w), of it "
        "and of every directory above it, then check the fingerprint with `mirror trust show`."
    )

    path: str
    problem: str
    owner: int | None = None

    def __str__(self) -> str:
        if self.owner is not None:
            return (
                f"{self.path} belongs to user id {self.owner}, neither to you ({os.geteuid()}) nor to root, "
                "so the root in it proves nothing"
            )
        return f"{self.path} {self.problem}, so the root in it proves nothing"


class NoTrustedRoot(MirrorError):
    """No root was ever trusted here, so no signature means anything."""

    ref = "no-trusted-root"
    exit_code = 33
    hint = (
        "Run `mirror trust add BUNDLE --fingerprint HEX` with the fingerprint that the builder told you by another way "
        "than the bundle; the builder's own machine makes a root with the first bundle."
    )
    message = "no root is trusted yet: none in {directory}"

    directory: str


class TrustStoreDamaged(MirrorError):
    """What this user trusts is not what it was when it was trusted: a file of the store was changed, or cut by a full disk."""

    ref = "trust-store-damaged"
    exit_code = FAMILIES["trust"]
    hint = (
        "No bundle is at fault. Move this file, the .sig beside it and those of higher versions away, then bring them back out "
        "of your newest bundle: `mirror trust add BUNDLE`; where it is 1.json, with --fingerprint, as at first."
    )
    message = "{path}, which was trusted here, is damaged: {problem}"

    path: str
    problem: str


class UnconfirmedRoot(MirrorError):
    """A root was offered whose fingerprint nobody confirmed.

    Attributes:
        given: the fingerprint that the user gave; empty for none.
        found: the fingerprint of the root that was offered.
    """

    ref = "unconfirmed-root"
    exit_code = 34
    hint = (
        "Ask the builder for the root's fingerprint by another way than the bundle (`mirror trust show` prints it on "
        "the builder's machine) and give it with --fingerprint. That of the root offered here is not shown on purpose: whoever "
        "copied it from here would have confirmed nothing."
    )

    given: str
    found: Sha256Hex

    def __str__(self) -> str:
        # The found one is never shown: the hint says why.
        if not self.given:
            return "a root is trusted for the first time only by its fingerprint, and none was given"
        return f"the root offered is not the one whose fingerprint you gave, {grouped(self.given)}"


class OtherRootTrusted(MirrorError):
    """This host trusts another root already."""

    ref = "other-root-trusted"
    exit_code = 39
    hint = "If you mean to change whom this host trusts, move that directory away and add the new root again."
    message = "{directory} trusts root {trusted:grouped}, another was offered: {offered:grouped}"

    directory: str
    trusted: Sha256Hex
    offered: Sha256Hex


class TrustStore:
    """The directory that holds the trusted roots, as ``roots/N.json`` and ``roots/N.sig``, and this user's ``keys/``.

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
        return cls(user_directory("XDG_CONFIG_HOME", ".config", environment) / "mirror")

    @property
    def keys(self) -> Path:
        """Where this user's private keys are, if there are any."""
        return self.directory / "keys"

    def has_root(self) -> bool:
        """Whether some root is here, good or not. Raises Unreadable: when that cannot be told."""
        first, _ = self._paths(1)
        with reading(first):
            return facts_of(first) is not None

    def root_documents(self) -> Documents:
        """The trusted chain's bytes and signatures, as a bundle carries them: one pair for each version.

        Raises:
            NoTrustedRoot: when there is none.
            UnsafeTrustStore: when it is another user's, or others could have written it.
            Unreadable: when it cannot be read, or a version is missing between others.
        """
        if not self.has_root():
            raise NoTrustedRoot(str(self.directory))
        with self._opened() as roots:
            pairs = map(self._paths, range(1, self._versions(roots) + 1))
            return tuple((read_guarded(d, roots), read_guarded(s, roots)) for d, s in pairs)

    def load_root(self) -> Root:
        """The newest root that this host trusts.

        Raises:
            TrustStoreDamaged: a damaged root is never taken for no root.
            MirrorError: as ``root_documents`` does.
        """
        return self._checked(self.root_documents())[-1]

    def _checked(self, documents: Documents) -> tuple[Root, ...]:
        """The roots that are trusted here. Raises TrustStoreDamaged, with the first that does not follow."""
        try:
            return check_chain(documents)
        except MirrorError as exc:
            for version in range(1, len(documents)):
                try:
                    check_chain(documents[:version])
                except MirrorError as first:
                    raise TrustStoreDamaged(str(self._paths(version)[0]), str(first)) from first
            raise TrustStoreDamaged(str(self._paths(len(documents))[0]), str(exc)) from exc

    def add_root(self, document: bytes, signatures: bytes, confirmed_fingerprint: str = "") -> Root:
        """Trust a root: the first one, or the next of the chain that is trusted. Arguments and errors as ``add_chain``."""
        return self.add_chain(((document, signatures),), confirmed_fingerprint)

    def add_chain(self, documents: Documents, confirmed_fingerprint: str = "") -> Root:
        """Trust a chain of roots, or what it adds to the one that is trusted.

        Args:
            documents: from version 1 on; where something is trusted already, also from a later one on.
            confirmed_fingerprint: of one of them, 64 hex digits, which the user got by another way than the documents; needed
                unless the chain goes on from one that is trusted already.

        Returns:
            The newest root that is trusted now.

        Raises:
            UnconfirmedRoot: when no document has the confirmed fingerprint.
            OtherRootTrusted: when this host trusts another first root.
            RootForked: when it trusts another root of one of the versions.
            BrokenChain: when it does not go on from what is trusted.
            TrustStoreDamaged: when what it trusts is damaged.
            MirrorError: as ``check_chain``, ``root_documents`` and ``durable.write_file`` do.
        """
        asked, offered = documents, [fingerprint(document) for document, _ in documents]
        trusted = self.root_documents() if self.has_root() else ()
        if trusted:
            self._checked(trusted)  # a damaged store is an error, never a store that trusts something else
        # (1) These bytes are the ones that the user confirmed, now or before.
        if confirmed_fingerprint not in offered and (confirmed_fingerprint or not trusted):
            raise UnconfirmedRoot(confirmed_fingerprint, offered[-1])
        first = Root.parse(documents[0][0]).version if trusted else 1
        if first > len(trusted) + 1:
            raise BrokenChain(len(trusted) + 1, first)
        documents = (*trusted[: first - 1], *documents)
        offered = [fingerprint(document) for document, _ in documents]
        # (2) Nothing takes the place of a trusted root, least of all silently.
        for version, (ours, theirs) in enumerate(zip((fingerprint(document) for document, _ in trusted), offered), 1):
            if ours != theirs and version == 1:
                raise OtherRootTrusted(str(self.directory), ours, theirs)
            if ours != theirs:
                raise RootForked(version, ours, theirs)
        # (3) Each is a root that follows the one before.
        whole = (*trusted, *documents[len(trusted) :])
        roots = check_chain(whole)
        with written_here():
            # What would not be believed afterwards is not written either.
            with writing(self._roots), reaching(self.directory.absolute(), is_followed=True) as way:
                _judge(way)
            make_private_directory(self._roots)
            with self._opened() as place, _alone(place):
                is_as_seen = (self._versions(place) if self.has_root() else 0) == len(trusted)
                if is_as_seen and trusted:
                    for version in range(len(trusted) + 1, len(whole) + 1):
                        self._write(place, version, *whole[version - 1])
                elif is_as_seen:
                    self._establish(place, whole)
        return roots[-1] if is_as_seen else self.add_chain(asked, confirmed_fingerprint)

    def _establish(self, roots: int, whole: Documents) -> None:
        """Trust a first chain: without version 1 nothing is trusted here, and so it is written after those that follow it."""
        self._clear(roots)  # what a run that was killed has left; a version of another chain is none of this one
        try:
            for version in range(len(whole), 0, -1):
                self._write(roots, version, *whole[version - 1])
        except BaseException:
            with contextlib.suppress(OSError, Unwritable):
                if not facts_of("1.json", roots):  # else it stands, and only that it lasts could not be made sure of
                    self._clear(roots)
            raise

    def _write(self, roots: int, version: int, document: bytes, signatures: bytes) -> None:
        document_path, signatures_path = self._paths(version)
        write_file(signatures_path, signatures, directory=roots)
        # Last: it is the document that says that a root is trusted.
        write_file(document_path, document, directory=roots)

    def _clear(self, roots: int) -> None:
        """Remove roots of which none is trusted."""
        try:
            for name in map(Path, os.listdir(roots)):
                if name.suffix in (".json", ".sig") and whole_number(name.stem) is not None:
                    os.unlink(name, dir_fd=roots)
        except OSError as exc:
            raise Unwritable(str(self._roots / place_of(exc, "")), exc.strerror or str(exc)) from exc

    def _versions(self, roots: int) -> int:
        """How many roots there are; a gap between them means that one was lost, never that the chain ends there."""
        with reading(self._roots):
            names = [Path(name) for name in os.listdir(roots)]
        stems = (name.stem for name in names if name.suffix == ".json")
        versions = sorted(number for stem in stems if (number := whole_number(stem)) is not None)
        for expected, found in enumerate(versions, 1):
            if expected != found:
                raise Unreadable(str(self._paths(expected)[0]), f"it is missing, while version {found} is there")
        return len(versions)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """The store's directory, judged with the way to it, and held open.

        Raises:
            UnsafeTrustStore: when others could put something else in its place.
            Unreadable: when it is not there, or that cannot be told.
        """
        with contextlib.ExitStack() as stack:
            with reading(self.directory):
                way = stack.enter_context(reaching(self.directory.absolute(), is_followed=True))
                _judge(way)
                if way.missing:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=way.descriptor)
                stack.enter_context(held_open(directory))
            yield directory

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The directory of the roots, judged and held open."""
        with self.opened() as store, contextlib.ExitStack() as stack:
            with reading(self._roots):
                roots = os.open("roots", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=store)
                stack.enter_context(held_open(roots))
                _guard(self._roots, roots)
            yield roots

    @property
    def _roots(self) -> Path:
        return self.directory / "roots"

    def _paths(self, version: int) -> tuple[Path, Path]:
        return self._roots / f"{version}.json", self._roots / f"{version}.sig"


@contextmanager
def written_here() -> Iterator[None]:
    """What cannot be written in the block was to be written into a trust store: say how another one is named."""
    try:
        yield
    except Unwritable as exc:
        exc.hint = (
            "Free space there, get the right to write, or set MIRROR_HOME to a directory that is to be the trust store."
        )
        raise


@contextmanager
def _alone(directory: int) -> Iterator[None]:
    """Whoever trusts something here at the same time waits, and then meets what is trusted."""
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(directory, fcntl.LOCK_EX)
    yield  # closing it ends the lock


def _judge(way: Way) -> None:
    """Refuse a store, or a place for one, that is not this user's alone.

    A group may write the store itself, as a umask of 002 makes it: whoever puts another roots/ in the place of this one cannot
    make it belong to this user, and so is found out there.
    """
    for found in way.exposures({os.geteuid()}):
        is_store = not way.missing and found.place == way.end.place
        if found.owner is not None or not is_store or way.end.facts.st_mode & stat.S_IWOTH:
            raise UnsafeTrustStore(str(found.place), found.problem, found.owner)


def _guard(path: Path, descriptor: int) -> None:
    """Refuse what somebody else owns, or may write."""
    for found in look(descriptor, path).exposures({os.geteuid()}):
        # The owner counts by himself: a file of his can be made writable, written and closed again at any time.
        raise UnsafeTrustStore(str(path), found.problem, found.owner)


def read_guarded(path: Path, directory: int) -> bytes:
    """Read a file of the store that nobody else may have written, and no more than one byte too many of it.

    Args:
        directory: that it is in, open.

    Raises:
        UnsafeTrustStore: when somebody else owns it, or may write it.
        Unreadable: when it cannot be read, or is a link.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        # What is guarded is what was opened; a link could lead to a place whose directories nobody has looked at.
        with open(os.open(path.name, flags, dir_fd=directory), "rb") as stream:
            _guard(path, stream.fileno())
            return stream.read(MAX_ROOT_BYTES + 1)
    except OSError as exc:
        reason = "it is a symbolic link" if exc.errno == errno.ELOOP else exc.strerror or str(exc)
        raise Unreadable(str(path), reason) from exc
