"""A script of this directory runs in the project's environment, however it was called.

Example::

    from environment import enter

    enter()
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_PYTHON = Path(__file__).resolve().parents[1] / ".venv/bin/python"


def enter() -> None:
    """Start the script again with ``.venv``'s Python where this one lacks what mirror needs; ``scripts/setup`` makes it."""
    if find_spec("packaging") and find_spec("pysequoia"):
        return
    if not _PYTHON.exists() or sys.prefix == str(_PYTHON.parents[1]):
        sys.exit(
            f"{Path(sys.argv[0]).name}: this needs the project's environment: scripts/setup makes it, or renews it"
        )
    os.execv(_PYTHON, [str(_PYTHON), *sys.argv])
