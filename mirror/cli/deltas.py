"""A delta where a command takes a bundle: the bundle is made first, beside the delta.

Example::

    path = made_of_delta(args.bundle, args.base, args.volumes, store) or args.bundle
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from mirror.cli.console import Console
from mirror.cli.parsing import Usage
from mirror.core.bundle.delta.opened import is_delta
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.names import whole_number
from mirror.core.system.durable import open_regular
from mirror.core.trust.truststore import TrustStore
from mirror.core.words import bundle_words

if TYPE_CHECKING:
    from mirror.closed.delta.applying import Applied


def made_of_delta(path: Path, base: Optional[Path], volumes: Sequence[Path], store: TrustStore) -> Optional[Path]:
    """The bundle that a delta makes, made now; None when the path names no delta.

    Raises:
        Usage: when a base is named and it is none.
        MirrorError: as ``apply_delta``.
    """
    if not is_delta(path, volumes):
        if base:
            raise Usage(f"--base is for a delta, and {path} is none", hint="Leave --base out, or name the delta.")
        return None
    return applied_delta(path, base, None, volumes, store).path


def bundle_to_look_at(path: Path, older: Optional[Path], volumes: Sequence[Path], store: TrustStore) -> Path:
    """The bundle that is meant; of a delta the one that it makes, of the older bundle named, or else of its base beside it.

    Args:
        older: the bundle that it is compared with, where there is one; or its manifest alone.

    Raises:
        MirrorError: as ``apply_delta``.
    """
    if not is_delta(path, volumes):
        return path
    from mirror.closed.delta.applying import WrongBase

    base = None if older is None or older.name == "MANIFEST.json" else older
    try:
        made = applied_delta(path, base, None, volumes, store)
    except WrongBase as wrong:  # an older one than that: the base may lie beside the delta
        try:
            made = applied_delta(path, None, None, volumes, store)
        except MirrorError:
            raise wrong from None
    if not made.was_there:
        Console().say(f"note: the delta makes {made.path}, which stays")
    return made.path


class NoBundleOfHost(MirrorError):
    """The bundle that a host has current is not there, so no delta can go from it."""

    ref = "no-bundle-of-host"
    exit_code = FAMILIES["files"]
    message = "{document} says that {current} is current there: {problem}"
    hint = "Name the file of that bundle with --from, or put it beside the new one."

    document: str
    current: str
    problem: str

    def __post_init__(self) -> None:
        if self.current == "nothing":
            self.hint = "Leave --from out: that host needs the whole bundle."


def bundle_of_host(path: Path, stack: str, directory: Path) -> Path:
    """The bundle from which a delta goes: the one that was named; of a host's ``mirror status --json``, what that has current.

    Args:
        path: a bundle, or such a document.
        stack: which of a host's stacks is meant.
        directory: where bundles lie.

    Raises:
        NoBundleOfHost: when no bundle there is the one.
        Unreadable, InvalidDocument: when the document cannot be read.
    """
    try:
        with open_regular(path) as stream:
            is_document = stream.read(1) == b"{"
    except OSError:
        return path  # whoever opens it says so
    if not is_document:
        return path
    from mirror.closed.delta.applying import bundle_in
    from mirror.closed.prefix.comparison import read_host_statuses

    (status,) = read_host_statuses([path])
    places = {facts["current"]: prefix for (name, prefix), facts in status.stacks.items() if name == stack}
    if len(places) > 1:
        raise NoBundleOfHost(str(path), "more than one bundle", f"it has {stack} in {' and in '.join(places.values())}")
    current = next(iter(places), "")
    sequence, _, digest = current.partition("-")
    if not digest:
        raise NoBundleOfHost(str(path), "nothing", status.problem or f"there is no {stack} to go from")
    if found := bundle_in(directory, digest):
        return found
    number = whole_number(sequence)
    said = f"{stack} {sequence}" if number is None else bundle_words(stack, number)
    raise NoBundleOfHost(str(path), said, f"no bundle in {directory.absolute()} has manifest {digest}")


def applied_delta(
    delta: Path, base: Optional[Path], output: Optional[Path], volumes: Sequence[Path], store: TrustStore
) -> Applied:
    """``apply_delta``, whose module only those import who have a delta."""
    from mirror.closed.delta.applying import Options, apply_delta

    return apply_delta(delta, Options(base, output, tuple(volumes)), store, Console())
