"""What may lie where a file belongs and is none: a FIFO waits, a device has no end, a directory takes no bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _replace(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def fifo(path: Path) -> None:
    _replace(path)
    os.mkfifo(path)


def device(path: Path) -> None:
    _replace(path)
    path.symlink_to("/dev/zero")


def directory(path: Path) -> None:
    _replace(path)
    path.mkdir()
    (path / "file").write_text("in it")


def nowhere(path: Path) -> None:
    _replace(path)
    path.symlink_to("nowhere")


NO_FILES = pytest.mark.parametrize("puts", [fifo, device, directory, nowhere])
