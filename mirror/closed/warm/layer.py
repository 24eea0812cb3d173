"""A layer in a generation: put there whole, held to its digests, taken away.

It lies in ``<generation>/warm.<digest>/``, named by the sha256 of its own document (``layer.json``), with its files below
``files/``; the link ``warm`` leads to it. It belongs to the generation whose paths it was compiled for, is readable for all and
written by nobody after it was made, and goes when the generation goes. FlashInfer's modules are found through a link that the
generation was made with (``mirror.closed.warm.aot``).

Rules: the prefix's lock is held by whoever changes a layer; the link moves last, in one step, after all of the layer is on the
disk; what a killed run has left has no link to it and goes with the next change; a file is believed by its digest only.

Example::

    added = add_layer(Path("h100.warm.tar"), generation, prefix, store, os.environ)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.host.sharing import readable_for_others
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.seal import digest_of
from mirror.closed.prefix.tree import remove_tree, sync_tree
from mirror.closed.preflight import check_owner
from mirror.closed.warm.carried import open_layer
from mirror.closed.warm.document import MAX_BYTES, Layer, Member
from mirror.closed.warm.key import LayerDoesNotFit, faults, key_here, notes
from mirror.core.errors import (
    FAMILIES,
    InvalidDocument,
    MirrorError,
    Unreadable,
    is_absence,
    place_of,
    reading,
    writing,
)
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import facts_of, sync_directory, write_file
from mirror.core.trust.truststore import TrustStore

LINK = "warm"
ACCOUNT = "layer.json"
FILES = "files"
_NAME = re.compile(r"warm\.[0-9a-f]{16}", re.ASCII)
_MAKING = ".warm.new"


_AGAIN = (
    "Nothing is said against the layer: look again. Where this stays so, its owner adds it again: 'mirror cache add FILE', "
    "with the file that it came from."
)


class LayerDamaged(MirrorError):
    """A layer of compiled kernels is not what was added."""

    ref = "layer-damaged"
    exit_code = FAMILIES["install"]
    hint = (
        "Servers start without it. Its owner adds it again: 'mirror cache add FILE', with the file that it came from; without "
        "one, 'mirror cache remove' takes it away."
    )
    message = "{layer} is damaged: {problems}"

    layer: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Added:
    """What was added.

    Attributes:
        directory: where it lies now.
        layer: what it says of itself.
        signers: names of those who signed.
        notes: what differs here and costs a part of it; a sentence each.
        was_there: whether the same was there and whole before.
    """

    directory: Path
    layer: Layer
    signers: tuple[str, ...]
    notes: tuple[str, ...]
    was_there: bool

    def to_dict(self) -> dict[str, Any]:
        told = {"signers": list(self.signers), "notes": list(self.notes), "was_there": self.was_there}
        return {"directory": str(self.directory), **self.layer.summary(), **told}


def layer_of(generation: Generation) -> Path | None:
    """The directory of a generation's layer, as its link says; None when there is no link of ours.

    Raises:
        Unreadable: when that cannot be told.
    """
    link = generation.path / LINK
    with reading(link):
        target = os.readlink(link) if facts_of(link) else ""  # noqa: PTH115 - as it is written
    return generation.path / target if _NAME.fullmatch(target) else None


def read_layer(directory: Path) -> Layer:
    """What a layer says of itself; its name holds the digest of that.

    Raises:
        LayerDamaged: when it is gone or altered.
        Unreadable: when that cannot be told.
    """
    with _reading(directory, ACCOUNT), (directory / ACCOUNT).open("rb") as stream:
        data = stream.read(MAX_BYTES + 1)
    if directory.name != _directory_name(data):
        raise LayerDamaged(str(directory), (f"{ACCOUNT} is not the one that the directory is named after",))
    return Layer.parse(data)


def read_member(directory: Path, member: Member) -> bytes:
    """The contents of one file of a layer.

    Raises:
        LayerDamaged: when it is not what was added.
        Unreadable: when that cannot be told.
    """
    with _reading(directory, f"{FILES}/{member.path}"):
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(directory / FILES / member.path, flags), "rb") as stream:
            data = stream.read(member.size + 1)
    if hashlib.sha256(data).hexdigest() != member.sha256:
        raise LayerDamaged(str(directory), (f"{member.path} was changed",))
    return data


@contextmanager
def _reading(directory: Path, path: str) -> Iterator[None]:
    """What is not there is damage; what cannot be told is none."""
    try:
        yield
    except OSError as exc:
        if is_absence(exc):
            raise LayerDamaged(str(directory), (f"{path.partition('/')[2] or path}: {exc.strerror or exc}",)) from exc
        raise Unreadable(place_of(exc, directory / path), exc.strerror or str(exc)).advised(_AGAIN) from exc


def _directory_name(data: bytes) -> str:
    return f"{LINK}.{hashlib.sha256(data).hexdigest()[:16]}"


def problems_of(directory: Path, progress: Progress = SILENT) -> Iterator[str]:
    """What is not as it was added: a sentence for each file; every file is read.

    Raises:
        LayerDamaged: when the layer cannot even say what it holds.
        Unreadable: when it cannot be told what is there; at the end, when a file cannot be read.
    """

    def refuse(error: OSError) -> None:
        if not is_absence(error):
            raise error

    layer = read_layer(directory)
    expected = {member.path: member for member in layer.files}
    top = directory / FILES
    unread: list[OSError] = []
    with _reading(directory, FILES):
        found = {
            (Path(place) / name).relative_to(top).as_posix()
            for place, directories, names in os.walk(top, onerror=refuse)
            for name in (*names, *(one for one in directories if _is_link(Path(place) / one)))
        }
    yield from (f"{path} is missing" for path in sorted(expected.keys() - found))
    yield from (f"{path} was not added with it" for path in sorted(found - expected.keys()))
    with progress.task("layer", layer.size) as advance:
        for path in sorted(found & expected.keys()):
            try:
                if digest_of(top / path, advance=advance).hex() != expected[path].sha256:
                    yield f"{path} was changed"
            except OSError as exc:
                if is_absence(exc) or not exc.errno:
                    yield f"{path} is no file"
                else:
                    unread.append(exc)
    for one in unread[:1]:
        raise Unreadable(place_of(one, top), one.strerror or str(one)).advised(_AGAIN) from one


def _is_link(path: Path) -> bool:
    facts = facts_of(path)
    return facts is not None and stat.S_ISLNK(facts.st_mode)


def check_layer(generation: Generation, progress: Progress = SILENT) -> tuple[str, ...]:
    """What of a generation's layer is not as it was added; nothing when all is, or there is none. Every file is read.

    Raises:
        Unreadable: when it cannot be told whether there is one, or, of one that has no other fault, whether it is as it was.
    """
    directory, found = layer_of(generation), list[str]()
    try:
        for problem in problems_of(directory, progress) if directory else ():
            found.append(problem)
        return tuple(found)
    except Unreadable as exc:
        if not found:
            raise
        return (*found, str(exc))
    except LayerDamaged as exc:
        return exc.problems
    except InvalidDocument as exc:
        return (str(exc),)


def add_layer(
    path: Path,
    generation: Generation,
    prefix: Prefix,
    store: TrustStore,
    base: Mapping[str, str],
    progress: Progress = SILENT,
    proc: Path = Path("/proc"),
) -> Added:
    """Verify a layer's file and put it into a generation, in place of the one that is there.

    Args:
        generation: a complete one of ``prefix``.
        base: this user's environment, for notes.

    Raises:
        LayerDoesNotFit: when it was compiled for another generation or host; nothing is changed then.
        NotALayer, BadArchive, DigestMismatch: as ``mirror.closed.warm.carried``.
        PreflightFailed: when the prefix is somebody else's.
        PrefixBusy, Unwritable: as ``Prefix.lock``.
    """
    check_owner(prefix.named, "add compiled kernels to")
    with open_layer(path, store, progress=progress) as carried, readable_for_others():
        layer, here = carried.layer, key_here(generation, base, proc=proc)
        wrong = tuple(faults(layer.key, here))
        if wrong:
            raise LayerDoesNotFit(str(path), wrong)
        data = layer.encode()
        directory = generation.path / _directory_name(data)
        with prefix.lock():
            is_whole = layer_of(generation) == directory and _is_whole(generation)
            if is_whole:
                with contextlib.suppress(OSError):  # what a run has left that was killed after the link had moved
                    _sweep(generation, keep=directory)
            else:
                _put(generation, directory, data, carried.files(), layer, progress)
    return Added(directory, layer, carried.signers.names, tuple(notes(layer.key, here)), is_whole)


def _is_whole(generation: Generation) -> bool:
    """Whether the layer needs not be put there again; one that cannot be read is."""
    try:
        return not check_layer(generation)
    except Unreadable:
        return False


def _put(generation: Generation, directory: Path, data: bytes, files: Any, layer: Layer, progress: Progress) -> None:
    making = generation.path / _MAKING
    try:
        with writing(directory, below=True):
            _sweep(generation, keep=layer_of(generation))
            making.mkdir()
            with progress.task("add", layer.size) as advance:
                for member, pieces in files:
                    place = making / FILES / member.path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
                    with open(descriptor, "wb") as stream:
                        for piece in pieces:
                            stream.write(piece)
                            advance(len(piece))
            write_file(making / ACCOUNT, data, mode=0o444)
            sync_tree(making)  # the link promises that all of it is on the disk
            if facts_of(directory):  # the same, damaged: programs that have files of it open keep them
                directory.replace(generation.path / f"{_MAKING}.old")
            making.replace(directory)
            _point(generation, directory.name)
            _sweep(generation, keep=directory)
    except BaseException:
        with contextlib.suppress(OSError, Unreadable):  # what no link leads to goes; else with the next change
            _sweep(generation, keep=layer_of(generation))
        raise


def _point(generation: Generation, target: str) -> None:
    """Move the link, in one step."""
    temporary = generation.path / f"{_MAKING}.link"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(generation.path / LINK)
    sync_directory(generation.path)


def _sweep(generation: Generation, keep: Path | None) -> None:
    """Remove layers that no link leads to, and what killed runs have left."""
    for path in generation.path.iterdir():
        is_ours = _NAME.fullmatch(path.name) or path.name.startswith(_MAKING)
        if is_ours and path != keep:
            remove_tree(path)


def remove_layer(generation: Generation, prefix: Prefix) -> Path | None:
    """Take a generation's layer away; gives its directory, None when there was none. What users have copied stays theirs.

    Raises:
        PreflightFailed, PrefixBusy, Unwritable: as ``add_layer``.
    """
    check_owner(prefix.named, "remove compiled kernels of")
    with prefix.lock():
        found = layer_of(generation)
        with writing(generation.path, below=True):
            (generation.path / LINK).unlink(missing_ok=True)
            sync_directory(generation.path)
            _sweep(generation, keep=None)
    return found
