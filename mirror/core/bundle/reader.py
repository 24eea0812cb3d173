"""Reading a bundle: a small state machine over one open file.

1. ``open_bundle`` reads the manifest's bytes, the signatures and the root chain, each under a cap, and parses nothing.
2. ``trust`` asks ``mirror.core.trust.verdict`` whether those bytes are signed, and only then parses them.
3. ``verify`` makes one pass over the whole file: each header is recomputed and compared, each digest checked, the end found;
   then the roots' signatures are held to the checksums. ``verify_whole`` does it for who wants the file's digest as well.
4. ``open`` gives an artifact's bytes; callers that need them unchanged since ``verify`` check the digest again as they read.

Reading is by offset (pread), so threads may share a bundle. Nothing here writes. A bundle in volumes is read where these lie
(``mirror.core.bundle.volumes.opened``); where something in it is not what was signed, the volume that is to blame is named.

Example::

    with open_bundle(path) as bundle:
        manifest = bundle.trust(root)
        bundle.verify()
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mirror.core.archives.pieces import Places
from mirror.core.bundle import layout
from mirror.core.bundle.layout import BLOCK, BadLayout
from mirror.core.bundle.manifest import MAX_BYTES, Artifact, Manifest
from mirror.core.bundle.signaturearea import SUMS, fault_of_order, fault_of_sums
from mirror.core.bundle.volumes.opened import OpenFile, open_file
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Advance, Progress
from mirror.core.signatures.sshsig import MAX_SIGNATURE_BYTES, SignatureMismatch, UnacceptableSignature
from mirror.core.system.crew import Crew, may_go_on
from mirror.core.system.filekinds import DELTA, HEAD, kind_of_file
from mirror.core.trust import chain
from mirror.core.trust import verdict as trust
from mirror.core.trust.chain import MAX_ROOTS
from mirror.core.trust.quorum import MAX_SIGNATURES, PACK_AGAIN, ThresholdNotMet, UnknownSigner
from mirror.core.trust.root import MAX_ROOT_BYTES
from mirror.core.trust.sidecars import Sidecars, find_sidecars, named_otherwise, shell_word, signing_command

if TYPE_CHECKING:
    from mirror.core.trust.quorum import Signers
    from mirror.core.trust.root import Root

_CHUNK = 1 << 20


class DigestMismatch(MirrorError):
    """A member's bytes are not the ones that the signed manifest names."""

    ref = "digest-mismatch"
    exit_code = 14
    hint = "The copy is damaged or was altered. Copy the bundle again; if it persists, ask its maker for a new one."
    message = "{name}{bundle: of %s}: sha256 is {actual}, the manifest says {expected}"

    name: str
    expected: Sha256Hex
    actual: Sha256Hex
    bundle: str = ""


class IsDelta(MirrorError):
    """A delta was named where a bundle was expected; it may well be whole."""

    ref = "is-delta"
    exit_code = FAMILIES["files"]
    hint = (
        "'mirror apply DELTA --base PREV' makes the bundle: name that. 'report', 'install' and 'diff', as the newer one, take "
        "the delta, too."
    )
    message = "{path} is a delta, and no bundle: apply it first"

    path: str

    def __post_init__(self) -> None:
        self.hint = self.hint.replace("DELTA", shell_word(self.path))


class Bundle:
    """An open bundle. Use ``open_bundle``.

    Attributes:
        path: the file's path, for messages.
        volumes, passed_over: of a file in volumes, as ``OpenFile`` has them.
        manifest_bytes: what is signed; not to be parsed before ``trust``.
        signatures: armored sshsig blocks, in order.
        root_documents: ``(root.json, its signatures)`` for versions 1, 2, ...; untrusted.
        signers: whose signatures counted; None before ``trust``.
        sidecars: approvals and refusals beside the file; empty before ``trust``.
        root: the root that judged them: the trusted one, or the newest that follows it here; None before ``trust``.
    """

    signers: Signers | None = None
    root: Root | None = None
    sidecars: Sidecars = Sidecars()

    def __init__(self, file: OpenFile) -> None:
        self.path, self.volumes, self.passed_over = file.path, file.volumes, file.passed_over
        self._file = file
        self._offset = 0
        self._size = file.size
        self._offsets: dict[str, int] = {}
        self._manifest: Manifest | None = None
        self.manifest_bytes = self._take(layout.MANIFEST, MAX_BYTES)
        self.signatures = tuple(self._take_signatures())
        self.root_documents = tuple(self._take_roots())

    def _take(self, name: str, limit: int) -> bytes:
        self._check_length(name, BLOCK)
        size = layout.read_size(self._exactly(self._offset, BLOCK), name, self._offset, limit, str(self.path))
        self._check_length(name, layout.member_bytes(size))
        data = self._exactly(self._offset + BLOCK, size)
        padding = self._exactly(self._offset + BLOCK + size, -size % BLOCK)
        if padding.strip(b"\0"):
            raise self._bad(f"padding of {name} is not zero", self._offset + BLOCK + size)
        self._offset += layout.member_bytes(size)
        return data

    def _bad(self, problem: str, offset: int) -> BadLayout:
        return BadLayout(problem, offset, str(self.path))

    def _check_length(self, name: str, size: int) -> None:
        """Refuse a file that ends within the next ``size`` bytes, which are ``name``'s."""
        if self._size < self._offset + size:
            kind = "" if self._offset else layout.file_kind(self._exactly(0, min(self._size, BLOCK)))
            if kind:
                raise self._bad(kind, 0)
            raise self._bad(f"the file is truncated: it has {self._size} bytes and ends within {name}", self._offset)

    def _next_is(self, directory: bytes) -> bool:
        self._check_length(f"{directory.decode()} or what follows it", len(directory))
        return self._exactly(self._offset, len(directory)) == directory

    def _take_signatures(self) -> Iterator[bytes]:
        for number in range(1, MAX_SIGNATURES + 1):
            if not self._next_is(b"SIG/"):
                return
            yield self._take(layout.signature_name(number), MAX_SIGNATURE_BYTES)

    def _take_roots(self) -> Iterator[tuple[bytes, bytes]]:
        for version in range(1, MAX_ROOTS + 1):
            if not self._next_is(b"ROOT/"):
                return
            document, signature = layout.root_names(version)
            yield self._take(document, MAX_ROOT_BYTES), self._take(signature, MAX_ROOT_BYTES)

    def _exactly(self, offset: int, size: int, whole: _Whole | None = None) -> bytes:
        """Read ``size`` bytes at ``offset``. ``whole`` is fed what is read, too."""
        data = self._file.exactly(size, offset, lambda end: self._bad("the file is truncated", end))
        if whole and data:
            whole.feed(data)
        return data

    def trust(self, root: Root, required: Sequence[str] = ("builder", "approver")) -> Manifest:
        """Check the signatures against the newest root, parse the manifest, and check the root chain that it names.

        Args:
            root: the trusted one; where the bundle's chain goes on from it, the newest of the chain is the judge.
            required: whose thresholds must be met; ``trust.REVIEW`` for those who look at it before all have signed.

        Raises:
            MirrorError: as ``chain.continued``, ``trust.check_manifest``, ``Manifest.parse`` and ``chain.check_chain`` do.
            RootForked: when the chain has another root in the trusted one's place.
            BadLayout: when the roots in the bundle are not the ones that the manifest names, or the signatures are not in their
                one order.
        """
        self.root = chain.continued(root, self.root_documents)
        self.sidecars = find_sidecars(self.path, self.manifest_bytes, self._file.places)
        # What lies beside the file was put there by anybody: a stranger's signature is no reason to refuse.
        named = {key.public for _, role in self.root.roles() for key in role.keys}
        approvals = (approval.block for approval in self.sidecars.approvals if approval.signer in named)
        signatures = (*self.signatures, *approvals)
        try:
            self.signers = trust.check_manifest(self.manifest_bytes, signatures, self.root, required=required)
        except UnknownSigner as exc:
            exc.hint = PACK_AGAIN
            raise
        except ThresholdNotMet as exc:
            beside = (*self.sidecars.ignored, *named_otherwise(self.path, self.manifest_bytes))
            raise ThresholdNotMet(exc.document, exc.shortfalls, signing_command(self.path), beside) from exc
        manifest = Manifest.parse(self.manifest_bytes)
        if tuple(chain.fingerprint(document) for document, _ in self.root_documents) != manifest.roots:
            raise self._bad("the roots in it are not the ones that its manifest names", self._offset)
        if chain.is_forked(root, self.root_documents):
            raise chain.RootForked(root.version, root.fingerprint, manifest.roots[root.version - 1])
        if self.root_documents:
            chain.check_chain(self.root_documents)
        fault = fault_of_order(self.signatures, self.root_documents)
        if fault:
            raise self._bad(fault, layout.member_bytes(len(self.manifest_bytes)))
        offset = self._offset
        for artifact in manifest.artifacts:
            self._offsets[artifact.path] = offset
            offset += layout.member_bytes(artifact.size)
        self._manifest = manifest
        return manifest

    @property
    def digest(self) -> Sha256Hex:
        """The sha256 of the manifest's bytes: one word that names everything in the bundle."""
        return Sha256Hex(hashlib.sha256(self.manifest_bytes).hexdigest())

    @property
    def manifest(self) -> Manifest:
        """The trusted manifest; ``trust`` must have succeeded."""
        assert self._manifest is not None, "trust() comes first"
        return self._manifest

    def verify(self, progress: Progress = SILENT, threads: int = 0) -> None:
        """Check every byte after the manifest group, hashing members in parallel.

        Args:
            threads: how many members to hash at once; 0 for one per processor, at most 8.

        Raises:
            BadLayout: at the first place where the file is not the tar that the manifest describes.
            DigestMismatch: for the first member, in manifest order, whose bytes differ.
        """
        end = self._end()
        if self._file.size != end + len(layout.END):
            raise self._fault(0)
        with (
            progress.task("verify", self.manifest.total_bytes) as advance,
            Crew(threads or min(8, os.cpu_count() or 1)) as crew,
        ):
            checks = [crew.submit(self._check, artifact, advance) for artifact in self.manifest.artifacts]
            for check in checks:
                check.result()
        if self._exactly(end, len(layout.END)) != layout.END:
            raise self._bad("the end of the archive is not two zero blocks", end)
        self._check_sums()

    def verify_whole(self, progress: Progress = SILENT) -> Sha256Hex:
        """``verify``, and the digest of the whole file, of one reading of it: each byte is read once and goes into two digests,
        its member's and the file's, which are made at the same time.

        What comes before the artifacts was read as the bundle was opened, and is read again here: it must still be that.

        Raises:
            BadLayout, DigestMismatch: as ``verify``.
        """
        end, beginning = self._end(), layout.head(self.manifest_bytes, self.signatures, self.root_documents)
        if self._file.size != end + len(layout.END):
            raise self._fault(0)
        with progress.task("verify", self.manifest.total_bytes) as advance, Crew(1) as crew:
            whole = _Whole(crew)
            if self._exactly(0, self._offset, whole) != beginning:
                raise self._bad("what comes before its artifacts has changed since it was opened", 0)
            for artifact in self.manifest.artifacts:
                self._check(artifact, advance, whole)
            if self._exactly(end, len(layout.END), whole) != layout.END:
                raise self._bad("the end of the archive is not two zero blocks", end)
            digest = whole.hexdigest()
        self._check_sums()
        return digest

    def _check_sums(self) -> None:
        """Hold the roots' signatures, which the manifest does not name, to the checksums, which it does."""
        sums = self.manifest.find(SUMS)
        if sums is None:
            return
        # Each of its lines is shorter than what the manifest says of the same file.
        large = sums.size > MAX_BYTES
        fault = f"{SUMS} has {sums.size} bytes" if large else fault_of_sums(self.read(sums), self.root_documents)
        if fault:
            raise self._bad(fault, self._offsets[SUMS] if large else layout.member_bytes(len(self.manifest_bytes)))

    def _end(self) -> int:
        last = self.manifest.artifacts[-1] if self.manifest.artifacts else None
        return self._offsets[last.path] + layout.member_bytes(last.size) if last else self._offset

    def _check(self, artifact: Artifact, advance: Advance, whole: _Whole | None = None) -> None:
        """Check all of a member, header and padding; ``whole`` is fed every byte of it."""
        offset = self._offsets[artifact.path]
        if self._exactly(offset, BLOCK, whole) != layout.header(artifact.path, artifact.size):
            raise self._fault(self.manifest.artifacts.index(artifact))
        digest = hashlib.sha256()
        position, left = offset + BLOCK, artifact.size
        while left:
            chunk = self._exactly(position, min(left, _CHUNK), whole)
            digest.update(chunk)
            advance(len(chunk))
            position += len(chunk)
            left -= len(chunk)
        actual = Sha256Hex(digest.hexdigest())
        if actual != artifact.sha256:
            raise DigestMismatch(artifact.path, artifact.sha256, actual, str(self.path))
        if self._exactly(position, -artifact.size % BLOCK, whole).strip(b"\0"):
            raise self._bad(f"padding of {artifact.path} is not zero", position)

    def _fault(self, index: int) -> BadLayout:
        """What is wrong with a file that is not the tar which the manifest describes, from artifact number ``index`` on."""
        size, artifacts, end = self._file.size, self.manifest.artifacts, self._end()
        counts = f"{size} bytes, the manifest describes {end + len(layout.END)}"
        for artifact in artifacts[index:]:
            offset = self._offsets[artifact.path]
            if offset + BLOCK <= size and self._exactly(offset, BLOCK) != layout.header(artifact.path, artifact.size):
                return self._bad(self._displaced(artifact, offset, size), offset)
            if size < offset + layout.member_bytes(artifact.size):
                here = max(0, size - offset - BLOCK)
                part = f"it ends within {artifact.path}, of which it has {min(here, artifact.size)} of {artifact.size} bytes"
                return self._bad(f"the file is truncated: {counts}; {part}", size)
        problem = "the file is truncated" if size < end + len(layout.END) else "there is trailing data"
        return self._bad(f"{problem}: {counts}", min(size, end))

    def _displaced(self, artifact: Artifact, offset: int, size: int) -> str:
        """What is at ``offset`` in place of an artifact, in words: the names of all that follows tell what is missing."""
        listed = [one.path for one in self.manifest.artifacts]
        found = [name for name, _, _ in islice(self.members(offset), 2 * len(listed) + 1)]
        here = found[0] if found else ""
        if not here:
            zeros = not self._exactly(offset, BLOCK).strip(b"\0")
            if zeros and offset + len(layout.END) == size:
                return f"{artifact.path} is missing: the archive ends where it should begin"
            if zeros:
                return f"the header of {artifact.path} was overwritten with zeros"
            return f"the header of {artifact.path} is not the one the manifest describes"
        if here == artifact.path:
            return f"the header of {artifact.path} is not the one the manifest describes: it tells another size"
        before = listed[: listed.index(artifact.path)]
        missing = [path for path in listed[len(before) :] if path not in found]
        if here in before or found.count(here) > 1:
            return f"{here} is there twice: it begins again where {artifact.path} should"
        if here not in listed:
            return f"{here!r} is not in the manifest: it begins where {artifact.path} should"
        if artifact.path in missing:
            more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
            return f"{artifact.path}{more} is missing: here begins {here}"
        return f"{here} and {artifact.path} are in another order: {here} begins where {artifact.path} should"

    def read_at(self, offset: int, size: int) -> bytes:
        """Exactly these bytes of the file, unchecked.

        Raises:
            BadLayout: when it ends before.
            Unreadable: when the system cannot read it.
        """
        return self._exactly(offset, size)

    def check_volumes(self) -> None:
        """For those who found something in it that is not what it should be.

        Raises:
            BadVolumes: when it lies in volumes and one of them is to blame.
        """
        self._file.check()

    def members(self, offset: int = 0) -> Iterator[tuple[str, int, int]]:
        """Name, offset and size of every member from ``offset`` on, by its header: whatever the manifest says.

        It ends where no header of ours follows.
        """
        while offset + BLOCK <= self._file.size and (found := layout.read_member(self._exactly(offset, BLOCK))):
            name, size = found
            yield name, offset + BLOCK, size
            offset += layout.member_bytes(size)

    def stream(self, start: int, size: int) -> BinaryIO:
        """A seekable stream over bytes of the file, unchecked; valid while the bundle is open."""
        return io.BufferedReader(_Range(self._file, start, size), _CHUNK)

    def offset(self, artifact: Artifact) -> tuple[int, int]:
        """Where an artifact's data is in the file: ``(offset, size)`` in bytes."""
        return self._offsets[artifact.path] + BLOCK, artifact.size

    def open(self, artifact: Artifact) -> BinaryIO:
        """A seekable stream over one artifact's bytes; valid while the bundle is open."""
        return self.stream(*self.offset(artifact))

    def read(self, artifact: Artifact) -> bytes:
        """A small artifact's bytes, digest checked. Raises DigestMismatch: when they are not the signed ones."""
        data = self._exactly(*self.offset(artifact))
        actual = Sha256Hex(hashlib.sha256(data).hexdigest())
        if actual != artifact.sha256:
            raise DigestMismatch(artifact.path, artifact.sha256, actual, str(self.path))
        return data


class _Whole:
    """The digest of all that goes by, made in a thread of its own: hashlib lets go of the interpreter while it works, so that
    what is hashed here meanwhile takes no longer.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew, self._digest = crew, hashlib.sha256()
        self._fed: Future[None] | None = None

    def feed(self, data: bytes) -> None:
        """The next bytes; not before those of the last time are done, so that no more than two pieces are held."""
        self._wait()
        self._fed = self._crew.submit(self._digest.update, data)

    def hexdigest(self) -> Sha256Hex:
        self._wait()
        return Sha256Hex(self._digest.hexdigest())

    def _wait(self) -> None:
        if self._fed:
            self._fed.result()


class _Range(Places):
    """A byte range of a file, read with pread so that it shares no position with anyone."""

    def __init__(self, file: OpenFile, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants its own Buffer protocol
        may_go_on()
        wanted = min(len(buffer), self._size - self._offset)
        if wanted <= 0:
            return 0
        data = self._file.read_at(wanted, self._start + self._offset)
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)


_DAMAGE = (BadLayout, DigestMismatch, InvalidDocument, SignatureMismatch, UnacceptableSignature)
"""What bytes that are not the signed ones look like, among other causes."""


@contextmanager
def open_bundle(path: Path, volumes: Iterable[Path] = ()) -> Iterator[Bundle]:
    """Open a bundle and read its manifest group, unparsed and untrusted.

    Args:
        path: as ``open_file`` takes it.
        volumes: directories in which volumes of it may lie.

    Raises:
        MirrorError: as ``open_file``; while the bundle is open, ``BadVolumes`` in place of what a bad volume brings about.
        IsDelta, BadLayout: when it does not begin as a bundle does.
    """
    with open_file(path, volumes) as file:
        head = file.exactly(min(HEAD, file.size), 0, lambda end: BadLayout("the file is truncated", end, str(path)))
        if kind_of_file(head) == DELTA:
            raise IsDelta(str(path))
        try:
            yield Bundle(file)
        except _DAMAGE:
            file.check()
            raise
