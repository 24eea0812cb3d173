"""Looking inside wheels while others are still being fetched, where a processor has nothing else to do.

What is found is remembered as ``mirror.connected.contents.inspection`` would have remembered it, which then finds it there; it
alone says what is inside, and names what is wrong.

Rules: a file is looked into when its digest was checked and it has its name; nothing that goes wrong here is told, for whoever
asks for it meets it again; where the memory is not believed, nothing is looked into; when the work around it fails or is broken
off, what has not begun does not begin.

Example::

    with looking_inside(store, progress) as arrived:
        fetch(downloads, store, arrived=lambda download, path: arrived(Task.of_wheel("", path, download.sha256)))
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, as_completed
from contextlib import contextmanager

from mirror.connected.contents.inspection import MAX_JOBS, Task, is_remembered, look_inside
from mirror.connected.fetching.store import Store
from mirror.core.errors import MirrorError
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew, may_go_on


@contextmanager
def looking_inside(store: Store, progress: Progress = SILENT) -> Iterator[Callable[[Task], None]]:
    """Whom to tell of files as they arrive, from any thread; the block ends when all of them were looked into."""
    if not store.is_own:
        yield lambda task: None
        return
    begun: list[Future[None]] = []
    with Crew(min(MAX_JOBS, len(os.sched_getaffinity(0)))) as crew:
        yield lambda task: begun.append(crew.submit(_look, task, store))
        left = [one for one in begun if not one.done()]
        with progress.task("look inside", len(left), "files") as advance:
            for _ in as_completed(left):
                advance(1)


def _look(task: Task, store: Store) -> None:
    with contextlib.suppress(OSError, MirrorError):
        if is_remembered(task, store):
            return
        with store.scratch() as scratch:
            look_inside(task, scratch, lambda amount: may_go_on(), store)
