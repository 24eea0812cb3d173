"""The self-test of a new generation fills the caches of whoever installs it, so that their first start compiles less.

FlashInfer's sampler alone takes two minutes to compile, and a server needs the very module that the self-test has made. ninja
builds a module again that was moved, so it is made where the server will look.

Rules: only where the self-test compiles such modules at all, into a cache directory that is new, can be made, and is this
user's alone, for what is in it will be run; it stays only when every check has passed. Where one has not, all are made again
with other caches, so that a full or unfit home is no reason to refuse a stack.

Example::

    checks = first_self_test(environment, host, work, os.environ)
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirror.closed.environment.caches import SharedCaches, refuse_shared, remember
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import Check
from mirror.closed.prefix.tree import remove_tree
from mirror.closed.selftest.firststart import samples
from mirror.closed.selftest.selftest import SelfTestFailed, refuse_failures, self_test
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import make_private_directory


def first_self_test(
    environment: Environment,
    host: Host,
    work: Path,
    base: Mapping[str, str],
    progress: Progress = SILENT,
    inherited: Sequence[int] = (),
) -> tuple[Check, ...]:
    """The checks of a generation that nobody has started yet.

    Args:
        work, progress, inherited: as ``self_test``.
        base: the installing user's environment, which says where their caches are.

    Raises:
        SelfTestFailed: with all that have failed; the user's caches are as they were.
    """
    caches = _new_caches(environment, host, base)
    if caches:
        try:
            return refuse_failures(self_test(environment, host, work, progress, inherited, caches, together=True))
        except SelfTestFailed as exc:
            _remove(caches)
            progress.say(f"note: {exc}; all checks are made again with other caches than {caches}")
        except BaseException:
            _remove(caches)
            raise
    return refuse_failures(self_test(environment, host, work, progress, inherited, together=True))


def _new_caches(environment: Environment, host: Host, base: Mapping[str, str]) -> Path | None:
    """The user's cache directory of this generation, made just now; None when it was there, or is not to be used."""
    if not samples(environment.manifest.projects) or not (host.driver and host.gpus):
        return None
    caches = environment.caches(base)
    if environment.generation in caches.parents:  # without a home: what is sealed does not grow
        return None
    try:
        make_private_directory(caches.parent)
        caches.mkdir(mode=0o700)
    except (OSError, Unwritable):
        return None
    remember(environment, base)
    try:
        refuse_shared(caches)
    except (SharedCaches, Unreadable):
        _remove(caches)
        return None
    return caches


def _remove(caches: Path) -> None:
    """What cannot be removed belongs to no generation, and 'mirror gc' knows it."""
    with contextlib.suppress(OSError):
        remove_tree(caches)
