"""CVE-2025-4517: links, each of which looks harmless, that together lead out of the directory of an archive."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.connected.sdists.source import unpack_sdist
from mirror.core.archives.tarstream import BadArchive, measure
from mirror.core.archives.untar import unpack_tar
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError

DEEP = "d" * 247
"""So long that a path of sixteen of them is longer than what the operating system resolves (PATH_MAX)."""


def chain(path: Path) -> Path:
    """An archive that ends in ``top/escape``, which leads four directories up, and writes ``owned`` there."""
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, kind: bytes = tarfile.DIRTYPE, link: str = "", data: bytes = b"") -> None:
            info = tarfile.TarInfo(f"top/{name}" if name else "top")
            info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o755
            archive.addfile(info, io.BytesIO(data))

        add("")
        place = ""
        for step in "abcdefghijklmnop":
            add(f"{place}{DEEP}")
            add(f"{place}{step}", tarfile.SYMTYPE, DEEP)
            place += f"{step}/"
        long = f"{place}{'l' * 254}"
        add(long, tarfile.SYMTYPE, "../" * 16)
        add("escape", tarfile.SYMTYPE, f"{long}/../../..")
        add("escape/owned", tarfile.REGTYPE, data=b"written outside")
    return path


def verify(path: Path, root: Path) -> None:
    with open_bundle(path):
        pass


def sdist(path: Path, root: Path) -> None:
    root.mkdir()
    unpack_sdist(path, root)


def interpreter(path: Path, root: Path) -> None:
    unpack_tar(path, root, 1 << 20)


def component(path: Path, root: Path) -> None:
    with path.open("rb") as stream:
        measure(stream, path.name, 1 << 20)


READERS: tuple[Callable[[Path, Path], None], ...] = (verify, sdist, interpreter, component)


@pytest.mark.group(20)
@pytest.mark.parametrize("read", READERS)
def test_a_chain_of_links_is_refused_and_no_file_is_made(tmp_path: Path, read: Callable[[Path, Path], None]) -> None:
    root = tmp_path / "far/down/in/root"
    root.parent.mkdir(parents=True)
    archive = chain(tmp_path / "a-1.0.tar.gz")
    with pytest.raises(MirrorError) as caught:
        read(archive, root)
    if read is component:
        assert isinstance(caught.value, BadArchive)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path != archive] == []
    assert [path for path in tmp_path.rglob("*") if path.is_symlink()] == []


@pytest.mark.group(20)
@pytest.mark.skipif(hasattr(os.path, "ALLOW_MISSING"), reason="this Python's tarfile is mended")
def test_the_chain_is_a_real_one_for_it_leads_tarfile_out(tmp_path: Path) -> None:
    """With its filter for data, too: this is why nothing here extracts with it."""
    root = tmp_path / "far/down/in/root"
    root.mkdir(parents=True)
    with tarfile.open(chain(tmp_path / "a-1.0.tar.gz")) as archive:
        archive.extractall(root, filter="data")
    assert [path.resolve().is_relative_to(root) for path in tmp_path.rglob("owned")] == [False]
