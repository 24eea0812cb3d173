"""JIT cache directories of this user: whose each is, and which of them nobody needs any more.

``mirror.closed.environment.variables`` chooses their places and names. ``mirror.closed.doctor.installed.caches`` finds stale
caches of other makers; these cannot be stale, but they outlive their generation.

Rules: a cache directory that others may write, or could put another one in the place of, is neither filled nor packed nor
cleared away, by the rule of ``mirror.core.trust.ownership``; what was judged is what is held open. Only directories that are
named like ours, belong to this user and are no links are looked at; a cache is kept when its link ``generation`` leads to an
installed one or its key is one's, when a process uses it, and when somebody has put models for MLC into it; one that cannot be
judged is kept.

Example::

    remember(environment, os.environ)
    with own_directory(jit_home_of(os.environ)) as home:
        for cache in user_caches(home, generations): ...
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mirror.closed.environment.variables import Environment, cache_home, jit_home, load_environment
from mirror.closed.prefix.generations import Generation, generation_at
from mirror.core.errors import FAMILIES, MirrorError, Unwritable, reading
from mirror.core.system.durable import facts_of, held_open, make_private_directory, step_into
from mirror.core.trust.ownership import Way, look, reaching

_NAME = re.compile(r"[0-9a-f]{16}(_0+)?|\.[0-9a-f]{16}(_0+)?\.removed", re.ASCII)
"""The second is what a removal that was killed has left."""

_OWNER = "generation"


class SharedCaches(MirrorError):
    """A cache directory of compiled code may be written by others than its user."""

    ref = "shared-caches"
    exit_code = FAMILIES["install"]
    hint = (
        "Whoever writes there decides what your server runs. Take the right away (chmod go-w), or name a directory of your own "
        "with XDG_CACHE_HOME."
    )
    message = "compiled code in {place} cannot be trusted: {reasons}"

    place: str
    reasons: tuple[str, ...]


@contextmanager
def own_directory(place: Path) -> Iterator[Way | None]:
    """A directory of caches, walked to, judged and held open; None when there is none.

    Raises:
        SharedCaches: when it is not this user's alone, with every reason.
        Unreadable: when that cannot be told.
    """
    with contextlib.ExitStack() as stack:
        way = None
        with reading(place, below=True), contextlib.suppress(NotADirectoryError):
            way = stack.enter_context(reaching(place, is_followed=True))
        if way and not way.missing:
            found = way.exposures({os.geteuid()})
            if found:
                raise SharedCaches(str(place), tuple(f"{one.place} {one.problem}" for one in found))
        yield way if way and not way.missing else None


@contextmanager
def open_below(caches: Way, path: str, is_made: bool = False) -> Iterator[int]:
    """Open what lies below a cache directory, each step judged, and none through a link.

    Args:
        caches: as ``own_directory`` gives it.
        path: relative, with ``/``; empty for the directory itself.
        is_made: whether it is a directory that is made where it is missing, for this user alone.

    Raises:
        SharedCaches: when others could have put it there.
        OSError: when it is a link, or cannot be opened; its ``filename`` is the place.
    """
    mode, flags = (0o700, os.O_DIRECTORY) if is_made else (None, 0)
    with contextlib.ExitStack() as stack:
        place, descriptor = caches.end.place, caches.descriptor
        for part in PurePosixPath(path).parts or (".",):
            place /= part
            descriptor = stack.enter_context(held_open(step_into(descriptor, part, place, mode, flags)))
            found = look(descriptor, place).exposures({os.geteuid()})
            told = tuple(f"{one.place} {one.problem}" for one in found if one.owner is not None or not caches.is_closed)
            if told:
                raise SharedCaches(str(caches.end.place), told)
        yield descriptor


def refuse_shared(place: Path) -> None:
    """Refuse a cache directory that is not this user's alone. Raises as ``own_directory``."""
    with own_directory(place):
        pass


def jit_home_of(base: Mapping[str, str]) -> Path:
    """What holds all caches of the user whose environment ``base`` is."""
    return jit_home(cache_home(base, Path("/nonexistent")))


@dataclass(frozen=True)
class Cache:
    """One directory of compiled kernels.

    Attributes:
        path: the directory.
        kept: why it is kept; empty when nobody needs it.
    """

    path: Path
    kept: str = ""


def remember(environment: Environment, base: Mapping[str, str]) -> None:
    """Make the user's cache directory for a generation, closed to others, and write down whose it is; as ``env.sh`` does.

    So is each one above it that is made. A cache that cannot be made is for the programs to complain about that need it.
    """
    cache = environment.caches(base)
    with contextlib.suppress(OSError, Unwritable):
        make_private_directory(cache)
        (cache / _OWNER).symlink_to(environment.generation)


def user_caches(home: Way, generations: Iterable[Generation], removed: Iterable[Path] = ()) -> list[Cache]:
    """The caches of a user, in order.

    Args:
        home: the directory that holds them.
        generations: those that are known to be installed; others are found by the caches' own links.
        removed: paths of generations that are about to go.
    """
    gone = set(removed)
    keys, unknown = _keys(generation for generation in generations if generation.path not in gone)
    return [_judge(path, keys, gone, unknown) for path in _ours(home)]


def _keys(generations: Iterable[Generation]) -> tuple[dict[str, Path], bool]:
    """Key -> generation, and whether there is one whose key cannot be computed."""
    keys, unknown = {}, False
    for generation in generations:
        try:
            keys[load_environment(generation).jit_key()] = generation.path
        except MirrorError:
            unknown = True
    return keys, unknown


def _ours(home: Way) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        for path in sorted(home.end.place.iterdir()):
            facts = path.lstat()
            if _NAME.fullmatch(path.name) and stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid():
                yield path


def trash_name(path: Path) -> Path:
    """What a cache is called while it is being removed."""
    return path if path.name.startswith(".") else path.with_name(f".{path.name}.removed")


def _judge(path: Path, keys: Mapping[str, Path], gone: set[Path], unknown: bool) -> Cache:
    if trash_name(path) == path:
        return Cache(path)
    key = path.name.partition("_")[0]
    if key in keys:
        return Cache(path, f"it belongs to {keys[key]}")
    try:
        return _looked_into(path, gone, unknown)
    except (OSError, MirrorError) as exc:
        return Cache(path, f"whether somebody needs it cannot be told: {exc}")


def _looked_into(path: Path, gone: set[Path], unknown: bool) -> Cache:
    owner = _owner(path)
    if owner and owner not in gone and _is_installed(owner, path.name.partition("_")[0]):
        return Cache(path, f"it belongs to {owner}")
    if owner is None and unknown:
        return Cache(path, "it may belong to a generation that has lost its manifest")
    if _has_models(path):
        return Cache(path, "models for MLC are in it")
    return Cache(path)


def _owner(path: Path) -> Path | None:
    """Where a cache's link leads; None when it certainly has none.

    Raises:
        OSError: when that cannot be told.
    """
    facts = facts_of(path / _OWNER)
    return (path / _OWNER).readlink() if facts and stat.S_ISLNK(facts.st_mode) else None


def _is_installed(owner: Path, key: str) -> bool:
    """Whether the link of a cache leads to a generation with this key; one that cannot be asked may have it.

    Raises:
        Unreadable: when it cannot be told whether it is complete.
    """
    generation = generation_at(owner)
    if generation is None or not generation.is_complete:
        return False
    try:
        return load_environment(generation).jit_key() == key
    except MirrorError:
        return True


def _has_models(path: Path) -> bool:
    """Raises ``OSError`` when that cannot be told."""

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    return any(files for _, _, files in os.walk(path / "mlc_llm" / "model_weights", onerror=refuse))
