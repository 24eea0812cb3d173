"""What was found inside one artifact, whatever kind it is of and whatever stack it is for.

``mirror.connected.contents.wheelcontents`` and ``mirror.connected.contents.packagecontents`` read it out,
``mirror.connected.contents.inspection`` remembers it; ``mirror.connected.papers.dossier`` says what it means in one bundle.

Rules: a function of the artifact's bytes alone, so that it is found once; the publisher's words are cut to one line without
control characters, for they end up in tables.

Example::

    Contents.parse(contents.encode()) == contents
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from mirror.connected.fetching.download import redacted
from mirror.core.binaries.elf import MAGIC
from mirror.core.binaries.glibc import GlibcNeed
from mirror.core.binaries.native import Native, NativeTally
from mirror.core.fields import Fields, canonical_json

FORMAT = "mirror-contents/2"
"""Change it with whatever changes what is found: then every artifact is read anew."""

MAX_WORDS = 300
_LISTS = ("needs", "offers", "scripts", "setuid", "scriptlets", "faults")
_IN_MEMORY = 8 << 20
"""A compiled file up to this size is held in memory, a larger one in a temporary file."""


@dataclass(frozen=True)
class Contents:
    """What is in it.

    Attributes:
        summary, homepage, licence, licence_stated, scripts, setuid, scriptlets, signer: see ``FileFacts``; programs and
            modes of packages only, for those of wheels are found by whoever vets them.
        texts: name and text of each licence file.
        needs: requirements (PEP 508) of a wheel, capabilities of an RPM, as they are written.
        offers: capabilities and files by which other RPMs need it.
        native: its compiled files.
        faults: what could not be read; one sentence each.
    """

    summary: str = ""
    homepage: str = ""
    licence: str = ""
    licence_stated: str = ""
    texts: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    native: Native = field(default_factory=Native)
    scripts: tuple[str, ...] = ()
    setuid: tuple[str, ...] = ()
    scriptlets: tuple[str, ...] = ()
    signer: str = ""
    faults: tuple[str, ...] = ()

    def encode(self) -> bytes:
        native = {**vars(self.native), "needs": [vars(need) for need in self.native.needs]}
        return canonical_json({"format": FORMAT, **vars(self), "native": native})

    @classmethod
    def parse(cls, data: bytes) -> Contents:
        """Inverse of ``encode``.

        Raises:
            InvalidDocument, ValueError: when it is not what this version writes.
        """
        fields = Fields(json.loads(data), "contents")  # our own file: strict_json would take longer than the reading
        if fields.text("format") != FORMAT:
            raise ValueError(f"expected {FORMAT}")
        native = fields.table("native")
        counted = Native(
            native.number("count"),
            native.texts("gpus"),
            _texts_by_name(native.table("libstdcxx")),
            native.texts("faults"),
            tuple(GlibcNeed(**_texts_by_name(need)) for need in native.tables("needs")),
        )
        words: Any = {key: fields.text(key) for key in ("summary", "homepage", "licence", "licence_stated", "signer")}
        lists: Any = {key: fields.texts(key) for key in _LISTS}
        texts = tuple((str(name), str(text)) for name, text in fields.take("texts", list))
        found = cls(native=counted, texts=texts, **words, **lists)
        fields.end()
        return found


def _texts_by_name(fields: Fields) -> dict[str, str]:
    return {key: fields.text(key) for key in fields.left()}


def words(text: str) -> str:
    """A publisher's words as one line of a table."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(plain.split())
    line = "" if line == "UNKNOWN" else line  # what setuptools wrote for nothing
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS]}..."


def web_address(text: str) -> str:
    """A publisher's URL, without what may be a secret in it; empty for anything else."""
    line = words(text)
    if not line.startswith(("https://", "http://")) or any(character in line for character in " <>\"'\\^`{|}"):
        return ""
    try:
        return redacted(line)
    except ValueError:
        return ""


def count_native(tally: NativeTally, name: str, pieces: Iterator[bytes], scratch: Path) -> None:
    """Count a file if it is a compiled one.

    Args:
        pieces: its bytes; read no further than to see that it is none.
        scratch: a directory for a temporary copy, on a disk that has room for the largest file.
    """
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= len(MAGIC):
            break
    if not head.startswith(MAGIC):
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(scratch)) as copy:
        copy.write(head)
        for piece in pieces:
            copy.write(piece)
        tally.add(cast(BinaryIO, copy), name)
