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
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mirror.connected.fetching.download import redacted
from mirror.core.binaries.glibc import GlibcNeed
from mirror.core.binaries.native import Native
from mirror.core.fields import Fields
from mirror.core.wheels.wheelfile import WheelFile

FORMAT = "mirror-contents/5"
"""Change it with whatever changes what is found: then every artifact is read anew."""

_MAX_BYTES = 64 << 20
MAX_WORDS = 300


@dataclass(frozen=True)
class Contents:
    """What is in it.

    Attributes:
        summary, homepage, licence, licence_stated, scripts, setuid, scriptlets, signer: see ``FileFacts``; programs and
            modes of packages only, for those of wheels are found by whoever vets ``wheel``.
        texts: name and text of each licence file.
        needs: requirements (PEP 508) of a wheel, capabilities of an RPM, as they are written.
        offers: capabilities and files by which other RPMs need it.
        native: its compiled files.
        faults: what could not be read; one sentence each.
        wheel: the wheel as it is vetted, where it is one.
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
    wheel: WheelFile | None = None

    def encode(self) -> bytes:
        native = {**vars(self.native), "needs": [vars(need) for need in self.native.needs]}
        wheel = self.wheel.to_dict() if self.wheel else {}
        return json.dumps({"format": FORMAT, **vars(self), "native": native, "wheel": wheel}).encode("ascii")

    @classmethod
    def parse(cls, data: bytes) -> Contents:
        """Inverse of ``encode``. Raises InvalidDocument when it is not what this version writes."""
        fields = Fields.read(data, "contents", FORMAT, _MAX_BYTES)
        native = fields.table("native")
        counted = native.fill(
            Native,
            libstdcxx=_texts_by_name(native.table("libstdcxx")),
            needs=tuple(need.fill(GlibcNeed) for need in native.tables("needs")),
            machines=_texts_by_name(native.table("machines")),
        )
        try:
            texts = tuple((str(name), str(text)) for name, text in fields.take("texts", list))
        except (TypeError, ValueError):
            fields.fail("texts", "expected pairs of texts")
        inside = fields.table("wheel")
        wheel = WheelFile.from_dict(inside, counted) if inside.left() else None
        return fields.fill(cls, native=counted, texts=texts, wheel=wheel)


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
        urlsplit(line)
    except ValueError:
        return ""
    return redacted(line)
