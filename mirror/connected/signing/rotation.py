"""Rotation: the next root, drafted, signed by the holders of the root keys, and trusted when enough of them have signed.

A draft lies in the trust store as ``next-root.json`` with its signatures in ``next-root.sig``. Holders who work elsewhere get
both files, sign, and send them back. ``mirror.core.trust.chain`` checks that a root follows another.

Rules: a draft is always a whole root, one version after the trusted one; changing it throws its signatures away; nothing is
trusted before the thresholds of the old and of the new root role have signed; a signature is added, never replaced; a draft
that somebody sent is signed as it is or refused, never made up when it is missing or of another version; one in the trust store
is this user's alone, as the roots there are; what was told is what is signed; from reading a draft to writing it nobody else
changes it; what was done is not told as a failure because something could not be cleared away after it, and done again it is
the same.

Example::

    rotation = Rotation(TrustStore.default())
    rotation.draft(with_key(rotation.next_root(), "approver", Key("alice", public)))
    rotation.sign([load_signer(store.keys / "root")]).is_trusted
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.connected.signing.signers import Signer
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unreadable, reading, writing
from mirror.core.signatures import sshsig
from mirror.core.system.durable import facts_of, held_open, open_unblocked, read_file, write_file
from mirror.core.trust.chain import BrokenChain, check_successor
from mirror.core.trust.ownership import look, reaching
from mirror.core.trust.quorum import Tally, tally, unmet
from mirror.core.trust.root import MAX_ROOT_BYTES, NAMESPACE, ROLES, Key, Role, Root
from mirror.core.trust.truststore import TrustStore, UnsafeTrustStore, read_guarded, written_here
from mirror.core.words import utc


class NoSuchKey(MirrorError):
    """A root names no key of that name."""

    ref = "no-such-key"
    exit_code = 116
    hint = "Name a key as `mirror trust show` does."
    message = "the root names no key {name!r}; it names {known}"

    name: str
    known: tuple[str, ...]


class KeyInRoot(MirrorError):
    """A key was to be added to a root that names it already."""

    ref = "key-in-root"
    exit_code = FAMILIES["trust"]
    hint = (
        "Nothing is to be added: `mirror trust show` lists who is trusted, `mirror trust rotate` signs what is drafted."
    )
    message = "the root has this key already: {name}, as {has}; a key serves once, in one role"

    name: str
    has: str
    wanted: str

    def __post_init__(self) -> None:
        if self.has != self.wanted:
            self.hint = (
                f"Take it out first, `mirror trust remove {self.name}`, or have another key made as {self.wanted}."
            )


class RoleTooSmall(MirrorError):
    """A role would have fewer keys than must sign."""

    ref = "role-too-small"
    exit_code = FAMILIES["trust"]
    hint = "First add another key to the role: `mirror trust add KEY.pub --role ROLE`"
    message = "{name} cannot go: {threshold} must sign as {role}, and {left:%s|no other} would be left"

    name: str
    role: str
    left: int
    threshold: int

    def __post_init__(self) -> None:
        fewer = max(self.left, 0 if self.role == "approver" else 1)
        # One draft: a root between, in which fewer are enough and this key is still there, would let it sign alone.
        less = f", or let fewer sign: `mirror trust remove {self.name} --threshold {self.role}={fewer}`"
        other = less * (fewer < self.threshold)
        self.hint = f"{self.hint.replace('ROLE', self.role)}{other}."


class NotARootKey(MirrorError):
    """A key without the root role, in this root or the one before, was to sign a root."""

    ref = "not-a-root-key"
    exit_code = 117
    hint = "Sign with a key of the root role: --key FILE (`mirror trust show` lists them)."
    message = "{signer} may not sign this root; {holders} may"

    signer: str
    holders: tuple[str, ...]


class NoRootKey(MirrorError):
    """A root was to be signed where no key is that could.

    Attributes:
        draft: what is to be signed; it is kept.
    """

    ref = "no-root-key"
    exit_code = FAMILIES["trust"]
    hint = "Name your root key with --key FILE, wherever it is kept (NAME.pub where an ssh agent holds it)."
    message = "nothing was signed: there is no root key here, for {path} is missing"

    path: str
    draft: str

    def __post_init__(self) -> None:
        self.hint += f" Where others hold the root keys, send them {self.draft}; they run `mirror trust rotate FILE`."


class DraftBusy(MirrorError):
    """Another run of mirror drafts or signs the next root at this moment."""

    ref = "draft-busy"
    exit_code = FAMILIES["trust"]
    hint = "Wait until it has ended (it may be asking for a passphrase), then run this again: nothing was changed here."
    message = "another run of mirror is at work on {path}"

    path: str


class DraftChanged(MirrorError):
    """A draft is another one than was told to whoever was about to sign it."""

    ref = "draft-changed"
    exit_code = FAMILIES["trust"]
    hint = "Nothing was signed. Ask who sent it, copy it to a directory of your own, and sign it there."
    message = "{path} was root {told:grouped} when it was told what it changes, and is {found:grouped} now"

    path: str
    told: str
    found: str


def check_lasting(root: Root) -> None:
    """Refuse a root that has expired before it is signed: who trusts it would trust nothing.

    Raises:
        InvalidDocument: when this host's clock is past its date.
    """
    if root.expires is not None and root.expires <= time.time():
        raise InvalidDocument("Root", "expires", f"expected a time to come, got {utc(root.expires)}").advised(
            "Give the next root another date: `mirror trust rotate --expires YYYY-MM-DD` (or 'never')."
        )


def with_key(root: Root, role: str, key: Key) -> Root:
    """The root with a key more.

    Raises:
        KeyInRoot: when the key is in it already.
        InvalidDocument: when another has its name.
    """
    for name, one in root.roles():
        for there in one.keys:
            if there.public == key.public:
                raise KeyInRoot(there.name, name, role)
    old: Role = getattr(root, role)
    return _with_role(root, role, Role((*old.keys, key), old.threshold))


def without_key(root: Root, name: str) -> Root:
    """The root without a key: whoever held it signs no more, nor counts what they signed before.

    Raises:
        NoSuchKey: when it names none of that name.
        RoleTooSmall: when the role would have fewer keys than its threshold asks for.
    """
    for role_name, role in root.roles():
        left = tuple(key for key in role.keys if key.name != name)
        if len(left) < len(role.keys):
            if len(left) < role.threshold:
                raise RoleTooSmall(name, role_name, len(left), role.threshold)
            return _with_role(root, role_name, Role(left, role.threshold))
    raise NoSuchKey(name, tuple(key.name for _, role in root.roles() for key in role.keys))


def with_threshold(root: Root, role: str, threshold: int) -> Root:
    """The root with another number of signatures asked of a role. Raises InvalidDocument when the role has fewer keys."""
    return _with_role(root, role, Role(getattr(root, role).keys, threshold))


def changes(before: Root, after: Root) -> tuple[str, ...]:
    """What one root has otherwise than another, for whoever is about to sign: a phrase each."""
    found = []
    for (name, old), (_, new) in zip(before.roles(), after.roles()):
        found += [f"{name} loses {key}" for key in old.keys if key not in new.keys]
        found += [f"{name} gets {key}" for key in new.keys if key not in old.keys]
        if old.threshold != new.threshold:
            found.append(f"{name} needs {new.threshold}, not {old.threshold}")
    if before.expires != after.expires:
        old_date, new_date = ("never" if one is None else utc(one) for one in (before.expires, after.expires))
        found.append(f"it expires {new_date}, not {old_date}")
    return tuple(found)


def _with_role(root: Root, name: str, role: Role) -> Root:
    assert name in ROLES
    roles = {**dict(root.roles()), name: role}
    try:
        return Root(root.version, roles["root"], roles["builder"], roles["approver"], root.expires)
    except InvalidDocument as exc:
        before: Role = getattr(root, name)
        if len(role.keys) < role.threshold:
            exc.hint = (
                f"Add another key to the role first (`mirror trust add KEY.pub --role {name}`), or require fewer signatures of "
                f"it (`mirror trust rotate --threshold {name}=N`)."
            )
        elif len(role.keys) > len(before.keys):
            exc.hint = (
                "Give the key another name with --name, or take the other one out first: `mirror trust remove NAME`."
            )
        raise


@dataclass(frozen=True)
class Signed:
    """Where a draft stands after somebody signed it.

    Attributes:
        root: the draft.
        is_trusted: whether enough have signed, so that it is trusted here now.
        shortfalls: else, who is still to sign.
        path: of the draft, to be sent to them with the signatures beside it.
    """

    root: Root
    is_trusted: bool
    shortfalls: tuple[Tally, ...]
    path: Path


class Rotation:
    """The draft of the next root in a trust store.

    Attributes:
        path: the draft; the store's own by default, else one that another holder sent.
    """

    def __init__(self, store: TrustStore, path: Path | None = None) -> None:
        self.store, self.path = store, path or store.directory / "next-root.json"
        self._is_sent = path is not None

    @property
    def signatures(self) -> Path:
        return self.path.with_suffix(".sig")

    @property
    def own_key(self) -> Path:
        """The root key that a store has where it made its first root itself."""
        return self.store.keys / "root"

    def own_keys(self) -> tuple[Path, ...]:
        """The same, where it is there. Raises Unreadable when that cannot be told."""
        return (self.own_key,) if _is_there(self.own_key) else ()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes or signs the draft while the block runs.

        Raises:
            DraftBusy: when another process does.
            MirrorError: as ``TrustStore.opened``.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError, Unreadable):  # it is missing, or its file system keeps no locks
                sent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY) if self._is_sent else None
                place = stack.enter_context(self.store.opened() if sent is None else held_open(sent))
                try:
                    fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as exc:
                    raise DraftBusy(str(self.path)) from exc
            yield

    def others(self) -> tuple[str, ...]:
        """Who else could change a draft that was sent, a clause each. Raises Unreadable when that cannot be told."""
        if not self._is_sent:
            return ()
        own = {os.geteuid()}
        with reading(self.path), reaching(self.path.parent.absolute(), is_followed=True) as way:
            with open_unblocked(self.path) as stream:
                file = look(stream.fileno(), self.path)
            return tuple(f"{found.place} {found.problem}" for found in (*way.exposures(own), *file.exposures(own)))

    def _read(self, path: Path) -> bytes | None:
        """The draft or its signatures; None when they certainly are not there.

        Raises:
            UnsafeTrustStore: when it is in the trust store, and somebody else may have written it.
            MirrorError: as ``read_file``.
        """
        if not _is_there(path):
            return None
        if self._is_sent:
            return read_file(path, MAX_ROOT_BYTES)
        try:
            with self.store.opened() as directory:
                return read_guarded(path, directory)
        except UnsafeTrustStore as exc:
            if exc.path == str(path):
                exc.hint = f"Others may have written it: remove it, draft anew, and chmod go-w {self.store.directory}."
            raise

    def next_root(self) -> Root:
        """The draft, or else the trusted root as the next version would be without any change.

        Raises:
            BrokenChain, Unreadable: when a draft that was sent is of another version, or is not there.
            MirrorError: as ``TrustStore.load_root`` and ``Root.parse``.
        """
        trusted = self.store.load_root()
        data = read_file(self.path, MAX_ROOT_BYTES) if self._is_sent else self._read(self.path)
        if data is not None:
            drafted = Root.parse(data)
            if drafted.version == trusted.version + 1:
                return drafted
            if self._is_sent:
                raise BrokenChain(trusted.version + 1, drafted.version)
            # else our own draft of an older root, which was overtaken
        return replace(trusted, version=trusted.version + 1)

    def add_key(self, role: str, key: Key) -> Root:
        """The next root with a key more; one that the draft has got already stays in it. Raises as ``with_key``."""
        root, trusted = self.next_root(), self.store.load_root()
        is_drafted = key in getattr(root, role).keys and key not in getattr(trusted, role).keys
        return root if is_drafted else with_key(root, role, key)

    def remove_key(self, name: str, thresholds: Iterable[tuple[str, int]] = ()) -> Root:
        """The next root without a key; one that the draft has lost already stays out of it.

        Args:
            thresholds: roles of which another number of signatures is asked from the same root on.

        Raises:
            MirrorError: as ``without_key`` and ``with_threshold`` do.
        """
        root, trusted = self.next_root(), self.store.load_root()
        for role, number in thresholds:
            root = with_threshold(root, role, number)
        return root if _names(root, name) < _names(trusted, name) else without_key(root, name)

    def draft(self, root: Root) -> None:
        """Write the draft; what was signed before was another one.

        Raises:
            Unwritable: when it cannot be written; the signatures that are left may be of no draft then.
        """
        if self._read(self.path) != root.encode():
            with self._written():
                with writing(self.signatures):
                    self.signatures.unlink(missing_ok=True)
                write_file(self.path, root.encode())

    def sign(self, signers: Iterable[Signer], told: Root | None = None) -> Signed:
        """Add signatures, and trust the draft when they are enough.

        Args:
            told: what is signed, or nothing; by default the draft as it is now.

        Raises:
            DraftChanged: when the draft is not what was told.
            NotARootKey: when a signer holds the root role neither of the trusted root nor of the draft.
            InvalidDocument: when the draft has expired.
            NoRootKey: when nobody signs, and the signatures that are there do not suffice.
            MirrorError: as ``Signer.sign``, ``check_successor`` and ``TrustStore.add_root``.
        """
        if done := self.finished():
            return done
        before, root = self.store.load_root(), self.next_root()
        if told is not None and told != root:
            raise DraftChanged(str(self.path), told.fingerprint, root.fingerprint)
        check_lasting(root)
        self.draft(root)
        document = root.encode()
        holders = tuple(dict.fromkeys((*before.root.keys, *root.root.keys)))
        found = dict.fromkeys(sshsig.split(self._read(self.signatures) or b""))
        signers = tuple(signers)
        for signer in signers:
            if signer.public not in [key.public for key in holders]:
                raise NotARootKey(signer.public.fingerprint, tuple(map(str, holders)))
            found[signer.sign(document, NAMESPACE)] = None  # ed25519: the same key makes the same block
        shortfalls = _shortfalls(before, root, document, tuple(found))
        if shortfalls and not signers:
            raise NoRootKey(str(self.own_key), str(self.path))
        with self._written():
            write_file(self.signatures, b"".join(found))
        if not shortfalls:
            check_successor(before, document, b"".join(found))
            self.store.add_root(document, b"".join(found))
            self._forget()
        return Signed(root, not shortfalls, shortfalls, self.path)

    def _written(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._is_sent else written_here()

    def finished(self) -> Signed | None:
        """Clear away a draft that is trusted already, by a run that could not do so; None when there is none."""
        trusted = self.store.load_root()
        if trusted.version == 1 or self._read(self.path) != trusted.encode():
            return None
        self._forget()
        return Signed(trusted, True, (), self.path)

    def _forget(self) -> None:
        """The draft is a root now; a file that another holder sent stays theirs.

        One that cannot be removed is known by its version, and is no reason to call what was done a failure.
        """
        if self.path.parent == self.store.directory:
            for path in (self.signatures, self.path):
                with contextlib.suppress(OSError):
                    path.unlink()


def _names(root: Root, name: str) -> int:
    return sum(key.name == name for _, role in root.roles() for key in role.keys)


def _shortfalls(before: Root, root: Root, document: bytes, blocks: Sequence[bytes]) -> tuple[Tally, ...]:
    """Which of the two root roles still lack signatures."""
    signers = {sshsig.verify(document, block, NAMESPACE) for block in blocks}
    return unmet(tally(f"holder of root version {one.version}", one.root, signers) for one in (before, root))


def _is_there(path: Path) -> bool:
    with reading(path):
        return facts_of(path) is not None
