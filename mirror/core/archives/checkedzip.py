"""A zip whose digest was right: a wheel out of a bundle or out of a build.

``zipfile`` takes a failed read of a zip's end for "no zip file". Of a file whose digest was right that can only mean the disk.

Example::

    with open_checked_zip(Path("uv-0.9.7-py3-none-manylinux_2_17_x86_64.whl")) as archive:
        archive.namelist()
"""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_checked_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, for reading. Raises OSError: when it cannot be read, now or while its members are."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        raise OSError(errno.EIO, f"{str(exc).rstrip('.')}, where its digest was right before", str(path)) from exc
