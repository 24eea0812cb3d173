"""Packing a layer: what a user's caches hold of one generation, written as a small signed bundle.

The file is an ordinary bundle (DESIGN.md section 5) of the stack's name: ``files/caches.tar`` holds the compiled files,
``meta/warm.json`` says what they depend on and names each with its digest. So all that looks at bundles looks at it:
``mirror verify``, ``approve``, ``reject``; and any tar.

Rules: only regular files of this user's own cache directory go in, of which nobody else may write any, nor a directory that
they are in, for what is in it will be run by others; each is read once; a file that names its own directory has a placeholder
there, or stays behind; nothing is written but the output, which is there whole or not at all; it must be signed by a builder of
the trusted root.

Example::

    packed = pack_layer(generation, os.environ, store, sign, Path("h100.warm.tar"), now)
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, Callable

from mirror import __version__
from mirror.closed.environment.caches import open_below, own_directory
from mirror.closed.environment.variables import WIDTH, load_environment
from mirror.closed.prefix.generations import Generation
from mirror.closed.warm.checksums import rechecked
from mirror.closed.warm.document import (
    CACHES,
    DOCUMENT,
    MAX_FILES,
    PLACE,
    PLAIN,
    TOP,
    WIDE_PLACE,
    Key,
    Layer,
    Member,
    member_path,
)
from mirror.closed.warm.key import key_here
from mirror.closed.warm.layer import layer_of, read_layer, read_member
from mirror.closed.warm.private import regular_files
from mirror.closed.warm.programs import AOT, carried_as
from mirror.core.binaries.glibc import newest_glibc
from mirror.core.binaries.native import NativeTally
from mirror.core.bundle.layout import MANIFEST
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.signaturearea import SUMS, root_sums
from mirror.core.bundle.writer import Source, pack
from mirror.core.errors import FAMILIES, MirrorError, Unreadable, reading, writing
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import sha256_of
from mirror.core.system.output import check_output
from mirror.core.trust.chain import fingerprint
from mirror.core.trust.ownership import Way
from mirror.core.trust.root import MANIFEST_NAMESPACE
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import REVIEW, check_manifest

Sign = Callable[[bytes, str], bytes]

_MAX_REWRITTEN = 16 << 20


class NothingToPack(MirrorError):
    """A cache directory holds nothing that was compiled."""

    ref = "nothing-to-pack"
    exit_code = FAMILIES["install"]
    hint = (
        "Start the server once with 'mirror run', as the user who packs, let it answer, and pack then: 'mirror cache status' "
        "shows what is there."
    )
    message = "{place} holds nothing that a program compiled"

    place: str


@dataclass(frozen=True)
class Packed:
    """What was written.

    Attributes:
        path: the file.
        sha256: of it.
        layer: what it says of itself.
        signers: names of the builders who signed.
        left_out: binary files that name the cache directory by a path of another length than ``WIDTH``: by what a link leads
            to, or in a home whose own path is too long.
    """

    path: Path
    sha256: Sha256Hex
    layer: Layer
    signers: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        told = {"signers": list(self.signers), "left_out": list(self.left_out)}
        return {"path": str(self.path), "sha256": self.sha256, **self.layer.summary(), **told}


def pack_layer(
    generation: Generation,
    base: Mapping[str, str],
    store: TrustStore,
    sign: Sign,
    output: Path,
    now: int,
    progress: Progress = SILENT,
    proc: Path = Path("/proc"),
) -> Packed:
    """Write what this user's caches hold of a generation.

    Args:
        generation: a complete one.
        base: the environment of the user.
        sign: makes a signature with the key of a builder.
        output: the file to write.
        now: seconds since 1970 UTC.

    Raises:
        NothingToPack: when nothing was compiled.
        SharedCaches: when others may write the caches, or what is read of them.
        LayerDamaged: when the layer below is not what was added.
        UnknownSigner, ThresholdNotMet: when the key is no builder's of the trusted root.
        Unreadable, Unwritable, NoSpaceForBundle: as the system says.
    """
    environment = load_environment(generation)
    place, key = environment.caches(base), key_here(generation, base, proc=proc)
    with contextlib.ExitStack() as stack:
        caches = stack.enter_context(own_directory(place))
        stack.enter_context(writing(output))
        # Without a name, so that nothing is left whatever ends this run; the writer opens it again by its descriptor.
        payload = stack.enter_context(tempfile.TemporaryFile(dir=output.absolute().parent))
        gathered = _Gathering(place, caches, layer_of(generation), payload, progress)
        layer = gathered.layer(key, now)
        if not layer.compiled:
            raise NothingToPack(str(place))
        packed = Path(f"/proc/self/fd/{payload.fileno()}")
        manifest, sources = _assembled(environment.manifest, layer, packed, gathered.sha256, store)
        data = manifest.encode()
        signature = sign(data, MANIFEST_NAMESPACE)
        signers = check_manifest(data, [signature], store.load_root(), required=REVIEW)
        check_layer_output(output)  # again: the key may have been asked for, for long
        sha256 = pack(manifest, data, [signature], store.root_documents(), sources, output, progress)
    return Packed(output, sha256, layer, signers.by_role["builder"], tuple(gathered.left_out))


def check_layer_output(output: Path) -> None:
    """Raises Unwritable, Unreadable: as ``check_output``, where something else than a layer is there."""
    check_output(output, "layer of compiled kernels", MANIFEST.encode())


def _assembled(
    stack: Manifest, layer: Layer, caches: Path, sha256: Sha256Hex, store: TrustStore
) -> tuple[Manifest, dict[str, Source]]:
    """The manifest of a layer's file, and what each of its members is read from.

    Args:
        stack: the manifest of the bundle that the generation was installed from.
        caches: the tar of files, and ``sha256`` of it.
    """
    documents = store.root_documents()
    found = [Artifact(CACHES, caches.stat().st_size, sha256, "caches")]
    sources: dict[str, Source] = {CACHES: caches}

    def take(path: str, data: bytes) -> None:
        found.append(Artifact(path, len(data), Sha256Hex(hashlib.sha256(data).hexdigest()), path.split("/")[1]))
        sources[path] = data

    take(DOCUMENT, layer.encode())
    sums = (*root_sums(documents), *(f"{one.sha256}  {one.path}" for one in found))
    take(SUMS, "".join(f"{line}\n" for line in sums).encode())
    members = (found[0], *sorted(found[1:], key=lambda one: one.path))
    roots = tuple(fingerprint(document) for document, _ in documents)
    manifest = Manifest(stack.name, layer.packed, stack.target, members, roots, tool=__version__)
    manifest.check()
    return manifest, sources


class _Gathering:
    """The files of a cache directory and of the layer below it, on their way into one tar.

    Attributes:
        left_out: as ``Packed``.
        sha256: of the tar, once ``layer`` was called.
    """

    sha256 = Sha256Hex("")

    def __init__(
        self, place: Path, caches: Way | None, below: Path | None, payload: IO[bytes], progress: Progress
    ) -> None:
        self._place, self._caches, self._below, self._payload, self._progress = place, caches, below, payload, progress
        self._names = tuple(
            dict.fromkeys(name.encode() for name in (str(place), os.path.realpath(place)) if PLAIN.fullmatch(name))
        )
        self._tally = NativeTally(gpus=False)
        self.left_out: list[str] = []

    def layer(self, key: Key, now: int) -> Layer:
        """Write the tar."""
        found = dict(sorted(self._found().items()))
        if len(found) > MAX_FILES:
            raise Unreadable(str(self._place), f"it holds more than {MAX_FILES} files")
        members = []
        task = self._progress.task("caches", sum(size for _, size in found.values()))
        with task as advance, tarfile.open(fileobj=self._payload, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for path, (contents, _) in found.items():
                data = contents()
                advance(len(data))
                place = self._place_in(data)
                if place is None:
                    self.left_out.append(path)
                    continue
                if place:
                    data = self._without_names(data, place)
                self._tally.add(io.BytesIO(data), path)
                info = tarfile.TarInfo(f"{TOP}/{path}")
                info.size, info.mode = len(data), 0o644
                tar.addfile(info, io.BytesIO(data))
                digest = Sha256Hex(hashlib.sha256(data).hexdigest())
                members.append(Member(path, len(data), digest, place == PLACE, place == WIDE_PLACE))
        self._payload.flush()
        self._payload.seek(0)
        self.sha256 = sha256_of(self._payload)
        glibc = newest_glibc(self._tally.native().needs, key.arch)
        return Layer(replace(key, glibc=glibc), now, tuple(members))

    def _found(self) -> dict[str, tuple[Callable[[], bytes], int]]:
        """Path in the layer -> contents and size: what this user has, and FlashInfer's modules out of the layer below."""
        found: dict[str, tuple[Callable[[], bytes], int]] = {}
        if self._below:
            for one in read_layer(self._below).files:
                if one.path.startswith(f"{AOT}/"):
                    found[one.path] = partial(read_member, self._below, one), one.size
        if self._caches:
            for path, facts in regular_files(self._place):
                carried = carried_as(path)
                if carried:
                    found[carried] = partial(_contents, self._caches, path), facts.st_size
        for path in found:
            try:
                member_path(path)
            except ValueError as exc:
                raise Unreadable(str(self._place / path), str(exc)) from exc
        return found

    def _without_names(self, data: bytes, place: bytes) -> bytes:
        written = data
        for name in self._names:
            data = data.replace(name, place)
        return rechecked(written, data) if place == WIDE_PLACE else data

    def _place_in(self, data: bytes) -> bytes | None:
        """What stands in a file for the directory that it was made in: nothing where it names none, None where nothing can."""
        named = [name for name in self._names if name in data]
        if not named:
            return b""
        if len(data) <= _MAX_REWRITTEN and b"\0" not in data and PLACE not in data and _is_text(data):
            return PLACE
        fits = all(len(name) == WIDTH for name in named) and WIDE_PLACE not in data
        return WIDE_PLACE if fits else None


def _is_text(data: bytes) -> bool:
    try:
        return bool(data.decode())
    except UnicodeDecodeError:
        return False


def _contents(caches: Way, path: str) -> bytes:
    place = caches.end.place / path
    with reading(place, below=True), open_below(caches, path) as one, open(one, "rb", closefd=False) as stream:
        return stream.read()
