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
from mirror.core.trust.truststore import TrustStore

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
    """The bundle that is meant; of a delta the one that it makes, of its base beside it, or else of the older bundle named.

    Args:
        older: the bundle that it is compared with, where there is one; or its manifest alone.

    Raises:
        MirrorError: as ``apply_delta``.
    """
    if not is_delta(path, volumes):
        return path
    from mirror.closed.delta.applying import NoBase

    try:
        made = applied_delta(path, None, None, volumes, store)
    except NoBase:
        if older is None or older.name == "MANIFEST.json":
            raise
        made = applied_delta(path, older, None, volumes, store)
    if not made.was_there:
        Console().say(f"note: the delta makes {made.path}, which stays")
    return made.path


def applied_delta(
    delta: Path, base: Optional[Path], output: Optional[Path], volumes: Sequence[Path], store: TrustStore
) -> Applied:
    """``apply_delta``, whose module only those import who have a delta."""
    from mirror.closed.delta.applying import Options, apply_delta

    return apply_delta(delta, Options(base, output, tuple(volumes)), store, Console())
