"""mirror's command line on a host on which nothing else runs: of a run that looks at processes the calls have the same numbers.

``python -m tests.support.alone WORDS...`` runs mirror so. strace is a process, too: where it names a generation's file on its
own command line, gc would find that generation in use.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from mirror.closed.prefix import usage


def stand_alone() -> None:
    """Before anything imports what asks for processes."""

    def nobody(directories: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
        return dict.fromkeys(directories, ())

    usage.processes_below = nobody


if __name__ == "__main__":
    stand_alone()
    from mirror.cli.main import main

    sys.exit(main(sys.argv[1:]))
