"""What is inside a wheel: what its publisher says in METADATA, its licence texts, its compiled files.

Whether it is a sound wheel, and what it does to an environment (scripts, start-up hooks), is ``mirror.core.vetting.wheel``'s;
here a part that cannot be read is named, and the rest is read.

Rules: a compiled file is copied out of the archive one at a time, for the largest of CUDA's have half a gigabyte; nothing is
run.

Example::

    read_wheel(Path("torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"), scratch, advance).native.gpus
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.metadata import parse_email

from mirror.connected.contents.inside import Contents, count_native, web_address, words
from mirror.connected.contents.licences import MAX_TEXT_BYTES, is_licence_file, licence_of, text_of
from mirror.core.binaries.native import NativeTally
from mirror.core.progress import Advance

_MAX_METADATA_BYTES = 16 << 20
_PIECE = 1 << 20
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")
_HOMES = ("homepage", "home", "home page", "website", "source", "source code", "repository", "github", "code")
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""zipfile's words for damage, a cut member, an unknown compression, and encryption."""


def read_wheel(path: Path, scratch: Path, advance: Advance) -> Contents:
    """Read a wheel through.

    Args:
        scratch: a directory for temporary copies of compiled files.
        advance: is told the bytes of the archive that were gone through.

    Raises:
        OSError: when the file cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Wheel(archive, scratch).read(advance)
    except _BROKEN as exc:
        return Contents(faults=(f"{path.name} cannot be read as a zip file: {str(exc) or type(exc).__name__}",))


class _Wheel:
    """One wheel that is being read."""

    def __init__(self, archive: zipfile.ZipFile, scratch: Path) -> None:
        self._archive, self._scratch = archive, scratch
        self._faults: list[str] = []

    def read(self, advance: Advance) -> Contents:
        tally, texts, metadata = NativeTally(), dict[str, str](), b""
        for member in self._archive.infolist():
            name = member.filename
            try:
                if _METADATA.fullmatch(name):
                    metadata = self._head(name, _MAX_METADATA_BYTES)
                elif is_licence_file(name) and not member.is_dir():
                    texts[words(name)] = text_of(self._head(name, MAX_TEXT_BYTES), member.file_size)
                else:
                    count_native(tally, name, self._pieces(name), self._scratch)
            except _BROKEN as exc:
                self._faults.append(f"{words(name)} cannot be read: {str(exc) or type(exc).__name__}")
            advance(member.compress_size)
        return Contents(
            texts=tuple(sorted(texts.items())), native=tally.native(), faults=tuple(self._faults), **_said(metadata)
        )

    def _pieces(self, name: str) -> Iterator[bytes]:
        with self._archive.open(name) as stream:
            yield stream.read(4)
            while piece := stream.read(_PIECE):
                yield piece

    def _head(self, name: str, limit: int) -> bytes:
        with self._archive.open(name) as stream:
            return stream.read(limit)


def _said(metadata: bytes) -> dict[str, Any]:
    """What the publisher says in METADATA."""
    raw, _ = parse_email(metadata)  # what occurs twice, or is in no encoding, is left out by it
    licence = licence_of(raw.get("license_expression", ""), raw.get("license", ""), raw.get("classifiers", ()))
    return {
        "summary": words(raw.get("summary", "")),
        "homepage": _homepage(raw.get("home_page", ""), raw.get("project_urls", {})),
        "licence": licence.expression,
        "licence_stated": words(licence.stated),
        "needs": tuple(raw.get("requires_dist", ())),
    }


def _homepage(home: str, addresses: Mapping[str, str]) -> str:
    labelled = {label.strip().lower(): address for label, address in addresses.items()}
    wanted = [home, *(labelled.get(label, "") for label in _HOMES), *addresses.values()]
    return next((found for address in wanted if (found := web_address(address))), "")
