"""The root of trust: which keys may sign what, and how many of them must. Its bytes are signed by its own root role.

It holds the document ``root.json``. Which root a host trusts, and whether enough of its keys have signed something, is
left to ``mirror.core.trust.verdict``.

Rules: three roles, ``root`` (signs the next root), ``builder`` (signs manifests) and ``approver`` (counter-signs them); a
key, by its bytes, has one role; a threshold counts keys, is at least 1 (0 for the approver) and at most the number of
keys; the document has one encoding, so equal roots have equal bytes and one fingerprint. A ``Root`` that breaks a rule
cannot be made.

Example::

    root = Root.parse(data)
    root.builder.threshold, root.fingerprint
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, canonical_json
from mirror.core.names import Sha256Hex
from mirror.core.signatures.sshsig import PublicKey
from mirror.core.words import MAX_TIME

FORMAT = "mirror-root/1"
NAMESPACE = "mirror-root@v1"
"""What a root's signatures are made for; a signature over a manifest can never be taken for one over a root."""

MANIFEST_NAMESPACE = "mirror-manifest@v1"
"""What a manifest's signatures are made for. Fixed here, never read from a bundle (SECURITY.md T11)."""

STATEMENT_NAMESPACE = "mirror-review@v1"
"""What signatures over approvers' statements are made for."""

MAX_ROOT_BYTES = 64 << 10

ROLES = ("root", "builder", "approver")
MAX_VERSION = 2**31 - 1

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@-]{0,62}[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True)
class Key:
    """A public key and the name by which messages call its holder."""

    name: str
    public: PublicKey

    def __str__(self) -> str:
        return f"{self.name} ({self.public.fingerprint})"


@dataclass(frozen=True)
class Role:
    """Who may do one thing: the keys that may, in order of their names, and how many of them must."""

    keys: tuple[Key, ...]
    threshold: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(sorted(self.keys, key=lambda key: key.name)))


@dataclass(frozen=True)
class Root:
    """Who is trusted.

    Attributes:
        version: 1 for the first root; each next one is greater by one.
        root: signs this document and the next version's.
        builder: signs manifests.
        approver: counter-signs manifests; a threshold of 0 asks for no approval.
        expires: seconds since 1970 UTC after which nothing is trusted by it; None for never.

    Raises:
        InvalidDocument: when it would break a rule of this module.
    """

    version: int
    root: Role
    builder: Role
    approver: Role = Role((), 0)
    expires: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.version <= MAX_VERSION:
            _refuse("version", f"expected 1 to {MAX_VERSION}, got {self.version}")
        if self.expires is not None and self.expires > MAX_TIME:
            _refuse("expires", f"expected seconds since 1970, at most {MAX_TIME}, got {self.expires}")
        for name, role in self.roles():
            _check_threshold(name, role)
        self._check_keys()

    def _check_keys(self) -> None:
        holders: dict[PublicKey, str] = {}
        names: set[str] = set()
        for role_name, role in self.roles():
            for key in role.keys:
                where = f"roles.{role_name}.keys.{key.name}"
                if not _NAME.fullmatch(key.name):
                    _refuse(where, f"expected a name such as 'alice' or 'alice@example.org', got {key.name!r}")
                if key.name in names:
                    _refuse(where, "another key has this name")
                if key.public in holders:
                    # Thresholds count people: a key that could serve twice would be one person counted as two.
                    _refuse(where, f"the same key as {holders[key.public]}; a key serves once, in one role")
                names.add(key.name)
                holders[key.public] = where

    @classmethod
    def parse(cls, data: bytes) -> Root:
        """Parse a root document. Verifies no signature. Raises InvalidDocument: with the path to the fault."""
        fields = Fields.read(data, "Root", FORMAT, MAX_ROOT_BYTES)
        version = fields.number("version")
        expires = fields.number("expires") if "expires" in fields else None
        roles = fields.table("roles")
        parsed = [_parse_role(roles, name) for name in ROLES]
        roles.end()
        fields.end()
        root = cls(version, parsed[0], parsed[1], parsed[2], expires)
        if root.encode() != data:
            fields.fail("", "not in the one encoding of a root (sorted keys, two spaces, a final newline)")
        return root

    def encode(self) -> bytes:
        """The bytes that are signed; inverse of ``parse``."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "version": self.version,
            "roles": {
                name: {"threshold": role.threshold, "keys": {key.name: key.public.openssh() for key in role.keys}}
                for name, role in self.roles()
            },
        }
        if self.expires is not None:
            document["expires"] = self.expires
        return canonical_json(document)

    @property
    def fingerprint(self) -> Sha256Hex:
        """What is carried across once, out of band: the sha256 of the document's bytes."""
        return Sha256Hex(hashlib.sha256(self.encode()).hexdigest())

    def roles(self) -> Iterator[tuple[str, Role]]:
        """The three roles with their names."""
        return zip(ROLES, (self.root, self.builder, self.approver))

    def allowed_signers(self, roles: Sequence[str] = ("builder", "approver")) -> str:
        """The keys of some roles as ``ssh-keygen -Y verify -f`` reads them, one a line (ssh-keygen(1), ALLOWED SIGNERS).

        Each may sign what its role signs and nothing else. When the root expires, so do they.
        """
        until = "" if self.expires is None else time.strftime(',valid-before="%Y%m%d%H%M%S"', time.gmtime(self.expires))
        namespaces = {
            "root": NAMESPACE,
            "builder": MANIFEST_NAMESPACE,
            "approver": f"{MANIFEST_NAMESPACE},{STATEMENT_NAMESPACE}",
        }
        return "".join(
            f'{key.name} namespaces="{namespaces[name]}"{until} {key.public.openssh()}\n'
            for name, role in self.roles()
            if name in roles
            for key in role.keys
        )

    @property
    def is_one_person(self) -> bool:
        """Whether a single builder's key decides alone what the closed hosts install."""
        return self.builder.threshold == 1 and self.approver.threshold == 0


def _refuse(where: str, problem: str) -> NoReturn:
    raise InvalidDocument("Root", where, problem)


def _check_threshold(name: str, role: Role) -> None:
    least, most = (0 if name == "approver" else 1), len(role.keys)
    if not least <= role.threshold <= most:
        problem = f"expected {least} to {most}, the number of its keys" if most >= least else "the role has no key"
        _refuse(f"roles.{name}.threshold", f"{problem}, got {role.threshold}")


def _parse_role(roles: Fields, name: str) -> Role:
    if name not in roles:
        roles.fail(name, "missing")
    fields = roles.table(name)
    threshold, keys = fields.number("threshold"), fields.table("keys")
    role = Role(tuple(Key(word, keys.checked(word, PublicKey.from_openssh)) for word in keys.left()), threshold)
    fields.end()
    return role
