"""Signing: what makes signatures, and the builder's keys and first root.

It holds signers, which stand on a key file or an agent. ``mirror.connected.signing.keyfile`` reads and writes key files,
``mirror.core.signatures.sshsig`` checks signatures, ``mirror.core.trust.verdict`` decides which of them count.

Rules: a signature is verified before it is handed out, and is byte for byte what ``ssh-keygen -Y sign`` writes; keys are
only made where there were none; the root and the builder have a key each.

Example::

    builder = ensure_builder(TrustStore.default())
    signature = builder.signer.sign(manifest_bytes, MANIFEST_NAMESPACE)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mirror.connected.signing.agent import Agent, AgentRefused
from mirror.connected.signing.keyfile import KeyExists, ask_passphrase, new_key, public_of, read_key
from mirror.core.errors import Unreadable
from mirror.core.signatures import sshsig
from mirror.core.signatures.sshsig import PublicKey, Signature
from mirror.core.system.durable import facts_of, remove_leftovers
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.root import NAMESPACE as ROOT_NAMESPACE
from mirror.core.trust.root import Key, Role, Root
from mirror.core.trust.truststore import TrustStore, written_here

AskPassphrase = Callable[[Path], bytes]
"""Asks a person for the passphrase of a key file."""


@dataclass(frozen=True)
class Signer:
    """Someone who can sign.

    Attributes:
        public: the key by which others know them.
        sign_raw: makes the 64 bytes over given data; a file's key or an agent is behind it.
    """

    public: PublicKey
    sign_raw: Callable[[bytes], bytes] = field(repr=False)

    @classmethod
    def from_private(cls, private: Ed25519PrivateKey) -> Signer:
        """A signer with a key in this process's memory."""
        return cls(public_of(private), private.sign)

    def sign(self, message: bytes, namespace: str) -> bytes:
        """An armored sshsig block over ``message``.

        Raises:
            AgentRefused: when there is an agent behind it, and it did not sign.
            SignatureMismatch: when what it made is no signature by this key.
        """
        raw = self.sign_raw(sshsig.signed_data(message, namespace.encode()))
        armored = Signature(self.public, namespace.encode(), raw).armored()
        sshsig.verify(message, armored, namespace)
        return armored


def load_signer(path: Path, ask: AskPassphrase = ask_passphrase) -> Signer:
    """What signs with the key in a file.

    Args:
        path: a private key, or a public key (``NAME.pub``) whose private key an agent holds.
        ask: called when the private key is locked and no agent holds it.

    Raises:
        MirrorError: as ``read_key``, ``KeyFile.unlock`` and ``ask`` do.
        AgentRefused: when a public key was named and no agent holds it.
    """
    key = read_key(path)
    if key.is_private and not key.is_locked:
        return Signer.from_private(key.unlock(None))
    try:
        agent = Agent.from_environment()
        agent.require(key.public)
    except AgentRefused as exc:
        if not key.is_private:
            raise AgentRefused(f"{exc.problem}, and {path} is a public key, which signs by an agent alone") from exc
        return Signer.from_private(key.unlock(ask(path)))
    return Signer(key.public, partial(agent.sign, key.public))


@dataclass(frozen=True)
class Builder:
    """A builder who is ready to sign.

    Attributes:
        signers: sign manifests; their keys have the builder's role in ``root``. One, but where several were named.
        root: the root that is trusted here.
        created: the store's private keys that a root made now uses, also those that an interrupted run had left; empty
            when a root was trusted already.
        notes: what a person should know of them.
    """

    signers: tuple[Signer, ...]
    root: Root
    created: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def signer(self) -> Signer:
        """The first of them."""
        return self.signers[0]


def ensure_builder(
    store: TrustStore, keys: Sequence[Path] = (), root_key: Path | None = None, ask: AskPassphrase = ask_passphrase
) -> Builder:
    """The builder of the trusted root; on first use the keys and a root of version 1 are made, and trusted here.

    Killed half way, it goes on from the keys that are there. A named key that is refused leaves nothing behind.

    Args:
        keys: the builders' key files; ``keys/builder`` of the store by default, made when it is missing. The first root
            names the first of them.
        root_key: likewise for the root's key; not read when a root is trusted already.

    Raises:
        UnknownSigner: when the root does not name one of the keys as a builder's.
        MirrorError: as ``load_signer``, ``new_key`` and ``TrustStore`` do.
    """
    builder_path, root_path = store.keys / "builder", root_key or store.keys / "root"
    for path in (builder_path, store.keys / "root"):
        with written_here():  # where a file system knows no files without a name, a killed run may leave a second copy
            remove_leftovers(path)
    if store.has_root():
        root = store.load_root()
        if not keys and not facts_of(builder_path):
            raise Unreadable(
                str(builder_path), "a root is trusted here but its builder's key is not: name it with --key"
            )
        signers = [load_signer(path, ask) for path in keys or (builder_path,)]
        _check_builders(signers, [key.public for key in root.builder.keys], tuple(map(str, root.builder.keys)))
        return Builder(_each_once(signers), root)
    named = [load_signer(path, ask) for path in keys]
    _check_builders(named, [one.public for one in named[:1]], ("the first one named",))
    root_signer = load_signer(root_key, ask) if root_key else None
    ours = tuple(path for path, given in ((root_path, root_key), (builder_path, keys)) if not given)
    with written_here():
        found = tuple(str(path) for path in ours if not _make(path))
    root_signer = root_signer or load_signer(root_path, ask)
    builders = named or [load_signer(builder_path, ask)]
    root = Root(1, Role((Key("root", root_signer.public),), 1), Role((Key("builder", builders[0].public),), 1))
    document = root.encode()
    store.add_root(document, root_signer.sign(document, ROOT_NAMESPACE), root.fingerprint)
    notes = (_RESTORED.format(keys=" and ".join(found), directory=store.directory),) if found else ()
    return Builder(_each_once(builders), root, ours, notes)


_RESTORED = (
    "this root, version 1, was made of what was here already: {keys}. If these come from a backup, and a root of theirs is "
    "trusted elsewhere, put back {directory}/roots from it too: the root that you go on from is there"
)


def _check_builders(signers: Sequence[Signer], trusted: Sequence[PublicKey], names: tuple[str, ...]) -> None:
    strangers = tuple(one.public.fingerprint for one in signers if one.public not in trusted)
    if strangers:
        raise UnknownSigner("bundle", strangers, names).advised(
            "Name a builder's key with --key (`mirror trust show` lists them). To make this key a builder's: `mirror trust add "
            "KEY.pub --role builder`, then `mirror trust rotate`."
        )


def _each_once(signers: Sequence[Signer]) -> tuple[Signer, ...]:
    return tuple({one.public: one for one in signers}.values())


def _make(path: Path) -> bool:
    """Make a key; whether it was not there before."""
    with suppress(KeyExists):
        new_key(path, comment=f"mirror-{path.name}")
        return True
    return False
