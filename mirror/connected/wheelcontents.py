"""What is inside a wheel: its METADATA, licence texts, compiled files, and what it would do to an environment.

Whether it is a sound wheel is ``mirror.core.vetting``'s; here a part that cannot be read is named, and the rest is read.

Rules: a compiled file is copied out of the archive one at a time, for the largest of CUDA's have half a gigabyte; nothing is
run.

Example::

    read_wheel(Path("torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl"), scratch, advance).native.gpus
"""

from __future__ import annotations

import configparser
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.metadata import parse_email

from mirror.connected.contents import Contents, count_native, web_address, words
from mirror.connected.licences import MAX_TEXT_BYTES, is_licence_file, licence_of, text_of
from mirror.core.native import NativeTally
from mirror.core.progress import Advance

_MAX_METADATA_BYTES = 16 << 20
_PIECE = 1 << 20
_INFO = re.compile(r"[^/]+\.dist-info/(METADATA|entry_points\.txt)")
_TO_PATH = re.compile(r"[^/]+\.data/(?:scripts|data/bin)/([^/]+)")
_TO_SITE = re.compile(r"[^/]+\.data/(?:(?:pure|plat)lib|data/lib(?:64)?/python3\.\d+/site-packages)/")
_HOOK = re.compile(r"[^/]+\.pth|(?:site|user)customize(?:\.[^/]+|/__init__\.[^/]+)")
"""What Python runs when it starts, at the top of site-packages."""

_SETUID = 0o6000
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
        tally, texts, info = NativeTally(), dict[str, str](), dict[str, bytes]()
        files = [member for member in self._archive.infolist() if not member.is_dir()]
        for member in files:
            name = member.filename
            try:
                if match := _INFO.fullmatch(name):
                    info[match[1]] = self._head(name, _MAX_METADATA_BYTES)
                elif is_licence_file(name):
                    texts[words(name)] = text_of(self._head(name, MAX_TEXT_BYTES), member.file_size)
                else:
                    count_native(tally, name, self._pieces(name), self._scratch)
            except _BROKEN as exc:
                self._faults.append(f"{words(name)} cannot be read: {str(exc) or type(exc).__name__}")
            advance(member.compress_size)
        names = [member.filename for member in files]
        return Contents(
            texts=tuple(sorted(texts.items())),
            native=tally.native(),
            hooks=tuple(sorted(words(name) for name in names if _is_hook(name))),
            scripts=tuple(sorted({*self._commands(info.get("entry_points.txt", b"")), *_programs(names)})),
            setuid=tuple(sorted(words(one.filename) for one in files if one.external_attr >> 16 & _SETUID)),
            faults=tuple(self._faults),
            **_said(info.get("METADATA", b"")),
        )

    def _pieces(self, name: str) -> Iterator[bytes]:
        with self._archive.open(name) as stream:
            yield stream.read(4)
            while piece := stream.read(_PIECE):
                yield piece

    def _head(self, name: str, limit: int) -> bytes:
        with self._archive.open(name) as stream:
            return stream.read(limit)

    def _commands(self, data: bytes) -> Iterator[str]:
        """The programs that an installer makes of the entry points."""
        parser = configparser.ConfigParser(delimiters=("=",), strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]  # names are case-sensitive
        try:
            parser.read_string(data.decode("utf-8", "replace"))
        except configparser.Error as exc:
            self._faults.append(f"its entry points cannot be read: {words(str(exc))}")
            return
        for section in ("console_scripts", "gui_scripts"):
            if parser.has_section(section):
                yield from (words(name) for name, _ in parser.items(section))


def _is_hook(name: str) -> bool:
    return bool(_HOOK.fullmatch(_TO_SITE.sub("", name, count=1)))


def _programs(names: Iterable[str]) -> Iterator[str]:
    """The files that an installer puts beside the environment's Python."""
    return (words(match[1]) for name in names if (match := _TO_PATH.fullmatch(name)))


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
