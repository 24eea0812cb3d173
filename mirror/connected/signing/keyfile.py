"""Key files: ed25519 keys in OpenSSH's formats, made here or brought along (an existing ``~/.ssh/id_ed25519`` works).

It reads, writes and unlocks them. What is done with a key is left to ``mirror.connected.signing.signers``.

Rules: a private key is written once, mode 0600, and neither it nor a public one is ever replaced; killed anywhere, a private
key is in one file or in none, and one whose ``.pub`` is missing gets it by the same command; one that others may read is
refused; only plain ed25519 keys (no certificates, no other types), one a file, with LF line ends; a passphrase is only asked
for on a terminal.

Example::

    public = new_key(Path("builder"))
    private = read_key(Path("builder")).unlock(None)
"""

from __future__ import annotations

import binascii
import getpass
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror.core.errors import MirrorError, Unwritable, reading, writing
from mirror.core.signatures.sshsig import PublicKey, take_string
from mirror.core.system.durable import create_file, facts_of, make_private_directory, open_unblocked, remove_leftovers
from mirror.core.system.filekinds import KEYS, kind_of_file

_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
_END = b"-----END OPENSSH PRIVATE KEY-----\n"
_MAGIC = b"openssh-key-v1\0"
_MAX_BYTES = 16 << 10


class KeyExists(MirrorError):
    """A new key would replace an existing file."""

    ref = "key-exists"
    exit_code = 85
    hint = "Use that key, or name another file. A lost key cannot be made again, so none is ever replaced."
    message = "{path} exists already"

    path: str


class ExposedKey(MirrorError):
    """A private key that other users may read or write."""

    ref = "exposed-key"
    exit_code = 86
    hint = "If nobody can have copied it, chmod 600 the file; else make a new key with `mirror key new`."
    message = "the private key {path} has mode {mode:04o}, expected 0600: others may use it"

    path: str
    mode: int


class UnusableKey(MirrorError):
    """A file that holds no key of the one kind that mirror signs with."""

    ref = "unusable-key"
    exit_code = 87
    hint = (
        "Name the file of an ed25519 key: your private one, or its NAME.pub where an agent holds it (`ssh-keygen -t ed25519` "
        "makes one). If it is that file, copy it again, as binary."
    )
    message = "{path}: {problem}"

    path: str
    problem: str


class LockedKey(MirrorError):
    """A private key needs its passphrase, and none or a wrong one was given."""

    ref = "locked-key"
    exit_code = 88
    hint = "Add the key to an agent (eval $(ssh-agent); ssh-add FILE), or run mirror from a terminal to be asked."
    message = "the private key {path} is locked: {problem}"

    path: str
    problem: str


def ask_passphrase(path: Path) -> bytes:
    """Ask the person at the terminal. Raises LockedKey when nobody is there, so that a script never hangs."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise LockedKey(str(path), "it needs a passphrase and there is no terminal to ask on")
    return getpass.getpass(f"Passphrase for {path}: ").encode()


def new_key(path: Path, comment: str = "mirror", passphrase: bytes = b"") -> PublicKey:
    """Make a private key and, beside it, ``NAME.pub``. Missing directories are made for this user alone.

    A private key that is there without its ``NAME.pub`` is one that was cut short while it was made: it gets it, and is what
    was made, if it is locked or not as this one was to be.

    Args:
        path: a file that does not exist.
        comment: ends the line in ``NAME.pub``.
        passphrase: locks the key; empty for none.

    Raises:
        KeyExists: when the file, or ``NAME.pub``, exists.
        Unwritable: when the path names no file, or the directory or the disk refuses.
    """
    if not path.name:
        raise Unwritable(str(path), "it is a directory, and no name of a key").advised(
            "Name the file that the key is to be."
        )
    beside = path.with_name(path.name + ".pub")
    make_private_directory(path.parent)
    remove_leftovers(path)
    is_there, has_public = _is_there(path), _is_there(beside)
    if is_there and not has_public:
        public = _public_half(path, bool(passphrase))
    elif is_there or has_public:  # the public half of a key that an agent holds, or that is kept elsewhere
        raise KeyExists(str(path if is_there else beside))
    else:
        private = Ed25519PrivateKey.generate()
        lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        _create(
            path, private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, lock), 0o600
        )
        public = public_of(private)
    _create(beside, f"{public.openssh()} {comment}\n".encode(), 0o644)
    return public


def public_of(private: Ed25519PrivateKey) -> PublicKey:
    """The other half of a key; also where a reviewer's own Python brings cryptography 38, which has no shorter word."""
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return PublicKey(private.public_key().public_bytes(*raw))


def _is_there(path: Path) -> bool:
    with writing(path):
        return facts_of(path) is not None


def _public_half(path: Path, is_locked: bool) -> PublicKey:
    """The public half of a private key, which is in the clear also in one that is locked.

    Raises:
        KeyExists: when it is no private key of our kind, or not locked as asked.
    """
    try:
        key = read_key(path)
    except MirrorError as exc:
        raise KeyExists(str(path)) from exc
    if not key.is_private or key.is_locked != is_locked:
        raise KeyExists(str(path))
    return key.public


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        create_file(path, data, mode)
    except FileExistsError as exc:
        raise KeyExists(str(path)) from exc


@dataclass(frozen=True)
class KeyFile:
    """A key file, read and checked but not unlocked.

    Attributes:
        public: the key, or the public half of it.
        is_private: whether it holds the private key too.
        is_locked: whether that needs a passphrase.
    """

    path: Path
    public: PublicKey
    is_private: bool
    is_locked: bool
    data: bytes = field(repr=False)

    def unlock(self, passphrase: bytes | None) -> Ed25519PrivateKey:
        """The private key in it.

        Raises:
            LockedKey: when the passphrase is wrong.
            UnusableKey: when the private half is damaged.
        """
        try:
            private = serialization.load_ssh_private_key(self.data, passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
            if self.is_locked:
                problem = "the passphrase is wrong" if isinstance(exc, ValueError) else str(exc)
                raise LockedKey(str(self.path), problem) from exc
            raise UnusableKey(str(self.path), f"the private key is damaged: {exc}") from exc
        # The public half is stored twice; a file in which the two differ was tampered with.
        if not isinstance(private, Ed25519PrivateKey) or public_of(private) != self.public:
            raise UnusableKey(str(self.path), "the private key is damaged: its public key is another")
        return private


def read_key(path: Path) -> KeyFile:
    """Read a private key, or a public one (``NAME.pub``).

    Raises:
        Unreadable: when the file cannot be read.
        ExposedKey: when it holds a private key and others may use it.
        UnusableKey: when it holds no key of our kind.
    """
    data = _read_guarded(path)
    try:
        if data.startswith(_BEGIN):
            cipher, blob = _clear_fields(data)
            return KeyFile(path, PublicKey.from_blob(blob), True, cipher != b"none", data)
        if b"PRIVATE KEY" in data:
            raise ValueError("expected a private key in OpenSSH's format, got another format")
        if (kind := kind_of_file(data)) not in KEYS:
            raise ValueError(f"expected a key, got {kind or 'something else'}")
        line, _, rest = data.decode("ascii").partition("\n")
        if rest:
            raise ValueError("expected one public key on one line, got more lines")
        words = line.split(" ")[:2]  # what follows is a comment
        return KeyFile(path, PublicKey.from_openssh(" ".join(words)), False, False, data)
    except ValueError as exc:
        raise UnusableKey(str(path), str(exc)) from exc


def read_public(path: Path) -> PublicKey:
    """A public key that somebody sent to be named in a root.

    Raises:
        UnusableKey: also for a private key, which nobody sends.
        MirrorError: as ``read_key``.
    """
    key = read_key(path)
    if key.is_private:
        raise UnusableKey(str(path), "it is a private key, and a root names public ones").advised(
            f"Name its public half, {path}.pub ('ssh-keygen -y' prints it); the private one stays with its holder."
        )
    return key.public


def _read_guarded(path: Path) -> bytes:
    with reading(path), open_unblocked(path) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnusableKey(str(path), "expected a key file, got a device or a pipe")
        data = stream.read(_MAX_BYTES + 1)
    if b"PRIVATE KEY" in data and status.st_mode & 0o077:
        raise ExposedKey(str(path), stat.S_IMODE(status.st_mode))
    if len(data) > _MAX_BYTES:
        what = kind_of_file(data) or f"one of more than {_MAX_BYTES} bytes"
        raise UnusableKey(str(path), f"expected a key file, got {what}")
    if b"\r" in data:
        raise UnusableKey(str(path), "it has DOS line ends: it was altered on its way here")
    return data


def _clear_fields(data: bytes) -> tuple[bytes, bytes]:
    """Cipher name and public key of a private key file, which are in the clear (OpenSSH's PROTOCOL.key).

    Raises:
        ValueError: when it is no such file, or holds more than one key.
    """
    if not data.endswith(_END):
        raise ValueError("expected nothing after the END OPENSSH PRIVATE KEY line")
    blob = binascii.a2b_base64(data[len(_BEGIN) : -len(_END)])
    if not blob.startswith(_MAGIC):
        raise ValueError("expected a private key in OpenSSH's format, got another format")
    cipher, rest = take_string(blob[len(_MAGIC) :])
    _, rest = take_string(rest)  # how a passphrase becomes a key
    _, rest = take_string(rest)  # its salt and rounds
    if rest[:4] != b"\0\0\0\1":
        raise ValueError("expected one key in the file, got another number")
    return cipher, take_string(rest[4:])[0]
