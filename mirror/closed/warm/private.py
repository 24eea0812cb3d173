"""A user's own caches above a layer: filled from it once, and what was compiled since.

Programs write beside what they read, lock it, and note absolute paths in it, so a shared directory cannot serve them: what the
layer holds is copied into the user's own cache directory of the generation, at the first use after it was added. FlashInfer's
modules are not: they are read where they lie (``mirror.closed.warm.aot``).

Rules: a cache directory that others may write, or one below it, is not filled, for what is in it is run, and nothing is written
through a link in it; each file is compared with its digest as
it is copied, and appears whole or not at all; nothing that is there is replaced; the note that the layer was copied
(``warm.<digest>.json``) is written last, so a run that was killed is gone on with; two at once do it once.

Example::

    filled = fill(generation, os.environ)
    state = read_state(generation, os.environ)      # state.compiled: {} when nothing was compiled since
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.environment.caches import SharedCaches, open_below, own_directory, refuse_shared, remember
from mirror.closed.environment.variables import WIDTH, Environment, load_environment
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.tree import sync_tree
from mirror.closed.warm.checksums import rechecked
from mirror.closed.warm.document import PLACE, PLAIN, WIDE_PLACE, Layer, Member
from mirror.closed.warm.key import LayerDoesNotFit, faults, key_here, notes
from mirror.closed.warm.layer import layer_of, read_layer, read_member
from mirror.closed.warm.programs import AOT, DRIVER, carried_as, counted_by_program, graph_key
from mirror.core.errors import MirrorError, Unreadable, Unwritable, place_of, reading, writing
from mirror.core.fields import Fields, canonical_json
from mirror.core.progress import Progress
from mirror.core.system.durable import facts_of, held_open, make_private_directory, read_if_there, write_file
from mirror.core.trust.ownership import Way

FORMAT = "mirror-warm-copy/1"
_MAX_BYTES = 64 << 20
_LOCK = ".warm.lock"


@dataclass(frozen=True)
class Filled:
    """What a user got from a layer.

    Attributes:
        place: their cache directory.
        files: how many were copied now; 0 when that was done before.
        notes: what was left out, and why; a sentence each.
    """

    place: Path
    files: int
    notes: tuple[str, ...] = ()


def fill(generation: Generation, base: Mapping[str, str], proc: Path = Path("/proc")) -> Filled | None:
    """Copy a generation's layer into the user's caches, unless that was done; None when there is no layer.

    Args:
        generation: a complete one.
        base: the user's environment.

    Raises:
        SharedCaches, LayerDamaged, LayerDoesNotFit: when it is not to be used.
        Unreadable, Unwritable: as the system says.
    """
    directory = layer_of(generation)
    if directory is None:
        return None
    environment = load_environment(generation)
    place = environment.caches(base)
    with reading(place, below=True):
        if facts_of(place / f"{directory.name}.json"):
            return Filled(place, 0)
    make_private_directory(place)
    remember(environment, base)
    with own_directory(place) as caches:
        layer, here = read_layer(directory), key_here(generation, base, proc=proc)
        wrong = tuple(faults(layer.key, here))
        if wrong:
            raise LayerDoesNotFit(str(directory), wrong)
        left_out = (*notes(layer.key, here), *_unplaced(layer, place))
        if caches is None:
            raise Unwritable(str(place), "it was removed meanwhile")
        with writing(place, below=True), _alone(caches) as opened:
            name = f"{directory.name}.json"
            if facts_of(name, opened):
                return Filled(place, 0)
            wanted = [one for one in layer.files if _is_wanted(one, layer, here.driver, place)]
            copied = [one for one in wanted if _copy(one, directory, caches, place)]
            sync_tree(place)
            account = {path: [facts.st_size, facts.st_mtime_ns // 1000] for path, facts in _files(place)}
            note = {"format": FORMAT, "layer": directory.name, "at": int(time.time()), "files": account}
            write_file(place / name, canonical_json(note), mode=0o600, directory=opened)
    return Filled(place, len(copied), left_out)


@contextmanager
def _alone(caches: Way) -> Iterator[int]:
    """The cache directory, open and locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open_below(caches, "") as opened, held_open(os.open(_LOCK, flags, 0o600, dir_fd=opened)) as descriptor:
        with suppress(OSError):  # where no locks are kept, both copy the same
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield opened


def _is_wanted(member: Member, layer: Layer, driver: str, place: Path) -> bool:
    top = member.path.split("/", 1)[0]
    if top == AOT or (top == DRIVER and layer.key.driver != driver):
        return False
    return _can_name(member, place)


def _can_name(member: Member, place: Path) -> bool:
    """Whether a file can name this cache directory where it named the one that it was made in."""
    if member.has_wide_place and len(os.fsencode(place)) != WIDTH:
        return False
    return not member.has_place or PLAIN.fullmatch(str(place)) is not None


def _unplaced(layer: Layer, place: Path) -> Iterator[str]:
    count = sum(not _can_name(member, place) for member in layer.files)
    if count:
        yield (
            f"{count} of {len(layer.files)} files are not used, for they hold the path of their cache directory, and {place} "
            f"is too long or too odd for that: XDG_CACHE_HOME can name a shorter one"
        )


def _copy(member: Member, directory: Path, caches: Way, place: Path) -> bool:
    """Copy one file; False when something of its name is there.

    Args:
        directory: the layer's.
        caches: the user's cache directory, which programs know as ``place``.

    Raises:
        LayerDamaged: when it is not what was added.
        SharedCaches: when others could put something where it goes.
        OSError: as the disk says.
    """
    parent, name = posixpath.split(member.path)
    with open_below(caches, parent, is_made=True) as opened:
        if facts_of(name, opened):
            return False
        data = read_member(directory, member)
        if member.has_place:
            data = data.replace(PLACE, os.fsencode(place))
        if member.has_wide_place:
            data = rechecked(data, data.replace(WIDE_PLACE, os.fsencode(place)))
        temporary = f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.{os.getpid()}.tmp"
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=opened)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = os.open(temporary, flags, 0o600, dir_fd=opened)
        try:
            with open(descriptor, "wb") as stream:
                stream.write(data)
            os.replace(temporary, name, src_dir_fd=opened, dst_dir_fd=opened)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=opened)
            raise
    return True


def regular_files(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files below a directory, with what lstat(2) says; links are not followed, and what goes meanwhile is none.

    Raises:
        Unreadable: when it cannot be told.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # a program's own temporary directory
            raise Unreadable(place_of(error, place), error.strerror or str(error)) from error

    for top, _, names in os.walk(place, onerror=refuse):
        for name in names:
            path = Path(top) / name
            try:
                facts = path.lstat()
            except OSError as exc:
                refuse(exc)
                continue
            if stat.S_ISREG(facts.st_mode):
                yield path.relative_to(place).as_posix(), facts


def _files(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What of a cache directory would be carried."""
    for path, facts in regular_files(place):
        if carried_as(path) or path.startswith(".cache/flashinfer/"):
            yield path, facts


@dataclass(frozen=True)
class State:
    """A user's caches of a generation, and the layer below them.

    Attributes:
        generation: its directory.
        directory: the layer's; None when there is none.
        layer: what it says of itself.
        place: the user's cache directory.
        copied: when the layer was copied there, in seconds since 1970 UTC; None when it was not.
        added: files that programs have made since, below ``place``; all, when nothing was copied.
        changed: files that were copied and are other ones now.
        faults: why the layer is of no use here.
        notes: what costs a part of it.
    """

    generation: Path
    directory: Path | None
    layer: Layer | None
    place: Path
    copied: int | None
    added: tuple[str, ...]
    changed: tuple[str, ...]
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def compiled(self) -> dict[str, int]:
        """By program, how many objects were compiled since; empty when none. A graph that the layer brought is none of them."""
        brought = {graph_key(member.path) for member in self.layer.files} - {""} if self.layer else set()
        return counted_by_program(path for path in self.added if graph_key(path) not in brought)

    def to_dict(self) -> dict[str, Any]:
        return {
            "generation": str(self.generation),
            "layer": str(self.directory) if self.directory else None,
            "key": self.layer.key.to_dict() if self.layer else None,
            "carried": self.layer.compiled if self.layer else {},
            "caches": str(self.place),
            "copied": self.copied,
            "compiled": self.compiled,
            "added": list(self.added),
            "changed": list(self.changed),
            "faults": list(self.faults),
            "notes": list(self.notes),
        }


def read_state(generation: Generation, base: Mapping[str, str], proc: Path = Path("/proc")) -> State:
    """Look at a user's caches and the layer below them; nothing is changed.

    Raises:
        LayerDamaged: when the layer cannot say what it is.
        Unreadable, InvalidDocument: when something cannot be told.
    """
    directory = layer_of(generation)
    place = load_environment(generation).caches(base)
    layer = read_layer(directory) if directory else None
    copied, account = _account(place / f"{directory.name}.json") if directory else (None, {})
    added, changed = [], []
    for path, facts in sorted(_files(place)):
        before = account.get(path)
        if before is None:
            added.append(path)
        elif before != [facts.st_size, facts.st_mtime_ns // 1000]:
            changed.append(path)
    here = key_here(generation, base, proc=proc) if layer else None
    wrong, told = (tuple(faults(layer.key, here)), tuple(notes(layer.key, here))) if layer and here else ((), ())
    return State(generation.path, directory, layer, place, copied, tuple(added), tuple(changed), wrong, told)


def _account(path: Path) -> tuple[int | None, dict[str, list[int]]]:
    """When a layer was copied, and what was there then; None and nothing when it was not."""
    data = read_if_there(path, _MAX_BYTES)
    if data is None:
        return None, {}
    fields = Fields.read(data, "Copied layer", FORMAT, _MAX_BYTES)
    fields.text("layer")
    table = fields.table("files")
    account = {name: table.take(name, list) for name in table.left()}
    at = fields.number("at")
    fields.end()
    return at, account


def fill_or_tell(generation: Generation, environment: Environment, base: Mapping[str, str], progress: Progress) -> None:
    """``fill`` before a program is started: what keeps it from being done is told, and keeps nobody from that.

    So is what lets others write the caches that the program will use.

    Args:
        environment: the generation's.
    """
    filled, is_told = None, False
    try:
        with reading(generation.path, below=True):
            filled = fill(generation, base)
    except MirrorError as exc:
        is_told = isinstance(exc, SharedCaches)
        reasons = " ".join(exc.context().split())
        progress.say(
            f"note: carried kernels are not used, what is needed is compiled: {exc}{': ' * bool(reasons)}{reasons}"
        )
    if filled and filled.files:
        progress.say(f"note: copied {filled.files} compiled files of the stack's layer to {filled.place}")
        for note in filled.notes:
            progress.say(f"note: {note}")
    if environment.is_data or is_told:
        return
    remember(environment, base)
    try:
        with suppress(Unreadable):  # where this user does not get to, nothing is used
            refuse_shared(environment.caches(base))
    except SharedCaches as exc:
        progress.say(f"warning: {exc}. {exc.hint}")
