"""What lies beside a bundle: approvals and refusals that people signed after it was made, so that its own bytes stay.

- ``FILE.approval.sig``, ``FILE.approval.2.sig``, ...: signatures over the manifest's bytes, as ``SIG/`` in the bundle holds
  its packer's; ``ssh-keygen -Y sign -n mirror-manifest@v1`` over the extracted MANIFEST.json makes the same bytes.
  Approvers sign so, and builders other than the one who packed it: the root says for which role a key counts.
- ``FILE.approval.json``, ``FILE.rejection.json``, ... with ``.json.sig`` beside each: a statement, what its signer decided,
  when, and why. A refusal is a statement alone; with an approval it only tells the time and the note.

Finding and parsing is here; ``mirror.core.trust.verdict`` and ``mirror.core.trust.quorum`` decide which signatures count.

Beside it is where the path says, where a link leads, and where volumes lie. A statement names its bundle in itself, so it is
heard there under any name: no bundle escapes a refusal by being renamed, nor what took it back.

Rules: what cannot be read, is for another bundle or is damaged is set aside with its reason, and counts for nothing, neither
for nor against (SECURITY.md 17): whoever can put files beside a bundle must not be able to stop it by rubbish; of each kind
the name without a number and those with 1 to ``MAX`` are looked at first, so that no others crowd them out, each under a cap.

Example::

    found = find_sidecars(Path("bundle.tar"), manifest_bytes)
    found.approvals, found.statements, found.ignored
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shlex
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mirror.core.errors import MirrorError, Unreadable, reading
from mirror.core.fields import Fields, canonical_json, told
from mirror.core.names import Sha256Hex
from mirror.core.signatures import sshsig
from mirror.core.signatures.sshsig import MAX_SIGNATURE_BYTES, PublicKey
from mirror.core.system.durable import facts_of, open_unblocked
from mirror.core.trust.root import MANIFEST_NAMESPACE, STATEMENT_NAMESPACE

FORMAT = "mirror-review/1"
APPROVED, REJECTED = "approved", "rejected"
MAX = 16
MAX_STATEMENT_BYTES = 64 << 10
MAX_NOTE = 4000

_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
"""Not ``str.isprintable``: each Python knows the characters of its own Unicode version, and a refusal that was written with a
newer one must count on an older one."""


@dataclass(frozen=True)
class Statement:
    """What one person says of one bundle.

    Attributes:
        manifest_sha256: the bundle.
        decision: ``APPROVED`` or ``REJECTED``.
        at: when, by the signer's clock, in seconds since 1970 UTC.
        note: why; their words.
    """

    manifest_sha256: Sha256Hex
    decision: str
    at: int
    note: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Statement:
        """Inverse of ``encode``. Raises InvalidDocument: with the path to the fault."""
        fields = Fields.read(data, "Statement", FORMAT, MAX_STATEMENT_BYTES)
        statement = fields.fill(cls)
        if statement.decision not in (APPROVED, REJECTED):
            fields.fail("decision", f"expected {APPROVED!r} or {REJECTED!r}, got {statement.decision!r}")
        if statement.at > 253_402_300_799:
            fields.fail("at", f"expected seconds since 1970, got {statement.at}")
        if len(statement.note) > MAX_NOTE or _UNSEEN.search(statement.note):
            fields.fail("note", f"expected at most {MAX_NOTE} printable characters")
        return statement

    def encode(self) -> bytes:
        """The bytes that are signed."""
        return canonical_json({"format": FORMAT, **told(self, "at")})


@dataclass(frozen=True)
class Approval:
    """A good signature over the manifest, found beside the bundle."""

    path: Path
    signer: PublicKey
    block: bytes


@dataclass(frozen=True)
class Signed:
    """A statement with a good signature, about this bundle. Whether its signer has a say is for the root to tell."""

    path: Path
    signer: PublicKey
    statement: Statement


@dataclass(frozen=True)
class Sidecars:
    """Everything that was found.

    Attributes:
        approvals: signatures over this manifest, one for each key.
        statements: about this bundle.
        ignored: the rest: a sentence for each file, with its reason.
    """

    approvals: tuple[Approval, ...] = ()
    statements: tuple[Signed, ...] = ()
    ignored: tuple[str, ...] = ()


def find_sidecars(bundle: Path, manifest: bytes, places: Iterable[Path] = ()) -> Sidecars:
    """Read what lies beside a bundle, of whose manifest these are the exact bytes.

    Args:
        places: other directories in which parts of it lie.

    Raises:
        Unreadable: when the system cannot say what a statement beside it says: it may be a refusal.
    """
    names = {
        (one.parent.resolve(), one.name): one for one in (*(p / bundle.name for p in places), bundle.resolve(), bundle)
    }
    digest = Sha256Hex(hashlib.sha256(manifest).hexdigest())
    approvals: dict[PublicKey, Approval] = {}
    statements: list[Signed] = []
    ignored: list[str] = []
    own = tuple(path for one in names.values() for path in _beside(one))
    for path in own:
        try:
            if path.name.endswith(".json"):
                statements.append(_statement(path, digest))
            else:
                block = _read(path, MAX_SIGNATURE_BYTES)
                signer = sshsig.verify(manifest, block, MANIFEST_NAMESPACE)
                approvals.setdefault(signer, Approval(path, signer, block))
        except MirrorError as exc:
            ignored.append(f"{path.name}: {exc}")
        except OSError as exc:
            if path.name.endswith(".json") and exc.errno not in _NO_STATEMENT:
                raise _unread(path, exc) from exc
            ignored.append(f"{path.name}: {exc.strerror}")
    for directory in dict.fromkeys(place for place, _ in names):
        statements += _statements(directory, digest, {path.name for path in own})
    return Sidecars(tuple(approvals.values()), tuple(statements), tuple(ignored))


def _statements(directory: Path, digest: Sha256Hex, known: Collection[str]) -> Iterator[Signed]:
    """What was said of this bundle under the name of another; what is damaged, or of that other one, is none of it.

    Raises:
        Unreadable: when the directory may be listed, and cannot be.
    """
    with reading(directory), suppress(PermissionError):
        others = (path for path in directory.iterdir() if path.name not in known and _STATEMENT.fullmatch(path.name))
        for path in sorted(others)[: 4 * MAX]:
            with suppress(MirrorError, OSError):
                if Statement.parse(_read(path, MAX_STATEMENT_BYTES)).manifest_sha256 == digest:
                    yield _statement(path, digest)


def named_otherwise(bundle: Path, manifest: bytes) -> tuple[str, ...]:
    """Signatures over these very bytes under the name of another bundle, as one has that was renamed: a sentence each."""
    found = []
    with suppress(OSError):
        others = (
            path for path in bundle.absolute().parent.iterdir() if not path.name.startswith(f"{bundle.name}.approval")
        )
        for path in sorted(path for path in others if _SIGNATURE.fullmatch(path.name))[: 2 * MAX]:
            with suppress(MirrorError, OSError):
                sshsig.verify(manifest, _read(path, MAX_SIGNATURE_BYTES), MANIFEST_NAMESPACE)
                wanted = bundle.name + _SIGNATURE.sub(r"\1", path.name)
                found.append(f"{path.name}: it is over this very bundle, and counts once it is called {wanted}")
    return tuple(found)


_SIGNATURE = re.compile(r".+(\.approval(?:\.[0-9]+)?\.sig)", re.DOTALL)
_STATEMENT = re.compile(r".+\.(approval|rejection)(\.[0-9]+)?\.json", re.DOTALL)


_NO_STATEMENT = (0, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)
"""Words of the system that leave nothing open: what is there is no signed statement. 0: our own words."""


def _unread(path: Path, exc: OSError) -> Unreadable:
    error = Unreadable(str(path), exc.strerror or str(exc))
    error.hint = (
        "It may be a refusal of this bundle. Make it readable, or copy it again; move it away only if you know that it is "
        "none."
    )
    return error


def signing_command(bundle: Path) -> str:
    """What somebody types who is still to sign a bundle, as a builder or as an approver."""
    return f"mirror approve {shell_word(str(bundle))} --key KEY"


def shell_word(name: str) -> str:
    """A file's name as a word of sh that no command takes for an option."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def sidecar_paths(bundle: Path, kind: str) -> tuple[Path, Path]:
    """Where the next sidecar of a kind goes, ``"approval"`` or ``"rejection"``: the signature, and the statement.

    Raises:
        FileExistsError: when there are ``MAX`` of them.
    """
    for number, (signature, statement) in enumerate(sidecar_places(bundle, kind)):
        if number != 1 and not any(map(facts_of, (signature, statement, signed(statement)))):
            return signature, statement
    words = f"{MAX} files {bundle.name}.{kind}* lie beside it; remove those of earlier bundles, which count for nothing here"
    raise FileExistsError(17, words, str(bundle))


def sidecar_places(bundle: Path, kind: str) -> Iterator[tuple[Path, Path]]:
    """Where sidecars of a kind may be: the first has no number; 1 is left to those who name their file themselves."""
    for number in range(MAX + 1):
        stem = f"{bundle.name}.{kind}" + (f".{number}" if number else "")
        yield bundle.with_name(f"{stem}.sig"), bundle.with_name(f"{stem}.json")


def signed(statement: Path) -> Path:
    """The file of a statement's signature."""
    return statement.with_name(f"{statement.name}.sig")


def signer_of(signature: Path) -> PublicKey | None:
    """The key that a signature's file says made it, unverified; None for what is no signature."""
    try:
        return sshsig.parse(_read(signature, MAX_SIGNATURE_BYTES)).public
    except MirrorError:
        return None


def _beside(bundle: Path) -> Iterator[Path]:
    """What is there of the names that are looked at, and what cannot be looked at: reading says why it counts for nothing."""
    approvals = (path for pair in sidecar_places(bundle, "approval") for path in pair)
    rejections = (statement for _, statement in sidecar_places(bundle, "rejection"))
    return (path for path in (*approvals, *rejections) if _may_be_there(path))


def _may_be_there(path: Path) -> bool:
    try:
        return facts_of(path) is not None
    except OSError as exc:
        return exc.errno != errno.ENAMETOOLONG  # no file has such a name


def _statement(path: Path, digest: Sha256Hex) -> Signed:
    data = _read(path, MAX_STATEMENT_BYTES)
    block = _read(signed(path), MAX_SIGNATURE_BYTES)
    signer = sshsig.verify(data, block, STATEMENT_NAMESPACE)
    statement = Statement.parse(data)
    if statement.manifest_sha256 != digest:
        raise OSError(0, f"it is about another bundle, {statement.manifest_sha256[:12]}; this one is {digest[:12]}")
    return Signed(path, signer, statement)


def _read(path: Path, limit: int) -> bytes:
    with open_unblocked(path) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(0, "it is no regular file")
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise OSError(0, f"it is larger than {limit} bytes")
    return data
