"""Licences: from a publisher's words to an SPDX expression, and every licence text of a bundle once.

``mirror.connected.contents.wheelcontents`` and ``mirror.connected.contents.packagecontents`` find the words and the texts in an
artifact; a site's policy says what is allowed.

Rules: an expression is taken as it is when it is a valid one (PEP 639); other words count only where they can mean one licence
and nothing else that the publisher says contradicts them ("BSD" alone means three); otherwise the words stay words, for a
person to read. No licence is told from its text, except where the publisher put the whole text in place of a name. The texts
are in order, without time or place; one that is too long is cut, and says so.

Example::

    licence_of("", "Apache 2.0", ["License :: OSI Approved :: Apache Software License"])     # Licence("Apache-2.0", "")
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

MAX_TEXT_BYTES = 1 << 20
"""The most that is kept of one text; the longest of a vLLM stack, torch's, has 351 kB."""

MAX_TOTAL_BYTES = 48 << 20
_MAX_WORDS = 200

_NAME = re.compile(
    r"(?:(?:un)?licen[cs]es?|copying(?:\.lesser)?|copyrights?|notices?|eula"
    r"|third[-_ ]?part(?:y|ies)[-_ ]?(?:notices?|licen[cs]es?)?)(?:[-._ ][\w.+-]*)?",
    re.IGNORECASE | re.ASCII,
)
_NO_TEXT = re.compile(
    r"\.(?:py[cdiox]?|so(?:\.\d+)*|[ch](?:pp|xx|c)?|cuh?|js|css|json|png|svg|gz|zip|exe|dll)", re.IGNORECASE
)

_WORDS = {
    "Apache-2.0": ("apache 2", "apache 2.0", "apache license 2.0", "apache license version 2.0", "asl 2.0"),
    "BSD-2-Clause": ("bsd 2 clause", "2 clause bsd", "simplified bsd", "freebsd"),
    "BSD-3-Clause": ("bsd 3 clause", "3 clause bsd", "new bsd", "modified bsd"),
    "ISC": ("isc",),
    "MIT": ("mit", "the mit", "mit/expat"),
    "MPL-2.0": ("mpl 2.0", "mozilla public license 2.0"),
    "PSF-2.0": ("psf 2.0",),
    "Unlicense": ("the unlicense", "unlicense"),
    "ZPL-2.1": ("zpl 2.1",),
    "Zlib": ("zlib",),
}
"""Common words for one licence, in lower case, without "license", "licence" at the end, dashes and commas."""

_BY_WORDS = {words: licence for licence, every in _WORDS.items() for words in every}

_CLASSIFIED = {
    "Apache Software License": ("Apache-2.0", "Apache-1.1"),
    "BSD License": ("BSD-3-Clause", "BSD-2-Clause", "0BSD", "BSD-4-Clause"),
    "Boost Software License 1.0 (BSL-1.0)": ("BSL-1.0",),
    "European Union Public Licence 1.2 (EUPL 1.2)": ("EUPL-1.2",),
    "GNU Affero General Public License v3": ("AGPL-3.0-only",),
    "GNU Affero General Public License v3 or later (AGPLv3+)": ("AGPL-3.0-or-later",),
    "GNU General Public License v2 (GPLv2)": ("GPL-2.0-only",),
    "GNU General Public License v2 or later (GPLv2+)": ("GPL-2.0-or-later",),
    "GNU General Public License v3 (GPLv3)": ("GPL-3.0-only",),
    "GNU General Public License v3 or later (GPLv3+)": ("GPL-3.0-or-later",),
    "GNU Lesser General Public License v2 or later (LGPLv2+)": ("LGPL-2.0-or-later", "LGPL-2.1-or-later"),
    "GNU Lesser General Public License v3 (LGPLv3)": ("LGPL-3.0-only",),
    "GNU Lesser General Public License v3 or later (LGPLv3+)": ("LGPL-3.0-or-later",),
    "Historical Permission Notice and Disclaimer (HPND)": ("HPND", "MIT-CMU"),
    "ISC License (ISCL)": ("ISC",),
    "MIT License": ("MIT",),
    "MIT No Attribution License (MIT-0)": ("MIT-0",),
    "Mozilla Public License 2.0 (MPL 2.0)": ("MPL-2.0",),
    "Other/Proprietary License": ("LicenseRef-",),
    "Python Software Foundation License": ("PSF-2.0", "Python-2.0", "CNRI-Python"),
    "The Unlicense (Unlicense)": ("Unlicense",),
    "Universal Permissive License (UPL)": ("UPL-1.0",),
    "Zero-Clause BSD (0BSD)": ("0BSD",),
}
"""What a trove classifier can mean (PEP 639 lists which mean one licence); several, or a prefix, only confirm other words."""

_WHOLE_TEXTS = (
    (
        "MIT",
        re.compile(r"(?:the )?mit license (?:\(mit\) )?copyright .*permission is hereby granted, free of charge"),
        1400,
    ),
    ("Apache-2.0", re.compile(r"apache license version 2\.0, january 2004 "), 12_500),
)
"""Texts that publishers put in place of a name: how they begin, and how long they are at most when nothing follows them."""


@dataclass(frozen=True)
class Licence:
    """A publisher's statement.

    Attributes:
        expression: SPDX; empty when the words are none.
        stated: the publisher's own words, where they are no expression; one line.
    """

    expression: str = ""
    stated: str = ""


def licence_of(expression: str, words: str = "", classifiers: Iterable[str] = ()) -> Licence:
    """What a publisher states.

    Args:
        expression: ``License-Expression`` of core metadata 2.4.
        words: the ``License`` field, also an RPM's.
        classifiers: all of a wheel's; those about no licence are ignored.
    """
    if expression.strip():
        valid = _canonical(expression)
        return Licence(valid, "" if valid else _one_line(expression))
    said = {one.rpartition(" :: ")[2]: None for one in classifiers if one.startswith("License ::")}
    said.pop("OSI Approved", None)  # by itself it names none
    families = [_CLASSIFIED.get(one, ()) for one in said]
    meant = _of_words(words)
    if meant and all(_confirms(family, meant) for family in families if family):
        return Licence(meant)
    if not words.strip() and len(families) == 1 and len(families[0]) == 1:
        valid = _canonical(families[0][0])
        if valid:
            return Licence(valid)
    return Licence("", "; ".join(dict.fromkeys(filter(None, [_one_line(words), *said]))))


def _canonical(expression: str) -> str:
    try:
        return canonicalize_license_expression(expression) if expression.strip() else ""
    except InvalidLicenseExpression:
        return ""


def _of_words(words: str) -> str:
    """The one licence that a License field means."""
    if "\n" not in words.strip() and (valid := _canonical(words)):
        return valid
    plain = " ".join(words.lower().split())
    for licence, begins, longest in _WHOLE_TEXTS:
        if begins.match(plain) and len(plain) <= longest:
            return licence
    return _BY_WORDS.get(re.sub(r" licen[cs]e$", "", " ".join(re.sub(r"[-,\"]", " ", plain).split())), "")


def _confirms(family: Sequence[str], expression: str) -> bool:
    """Whether a classifier says one of the licences of an expression."""
    words = expression.replace("(", " ").replace(")", " ").split()
    return any(word.startswith(one) if one.endswith("-") else word == one for one in family for word in words)


def _one_line(words: str) -> str:
    line = next((" ".join(line.split()) for line in words.splitlines() if line.strip()), "")
    return line if len(line) <= _MAX_WORDS else f"{line[:_MAX_WORDS]}..."


def is_licence_file(path: str) -> bool:
    """Whether a file's name is that of a licence text, wherever it lies."""
    name = path.rpartition("/")[2]
    if ".dist-info/licenses/" in path or "/usr/share/licenses/" in path:
        return True  # PEP 639; rpm's place for them
    _, dot, ending = name.rpartition(".")
    return bool(_NAME.fullmatch(name)) and not _NO_TEXT.fullmatch(dot + ending)


def text_of(data: bytes, size: int) -> str:
    """A licence text as it is kept.

    Args:
        data: its beginning, or all of it; no more than ``MAX_TEXT_BYTES`` are kept.
        size: bytes of all of it.
    """
    kept = data[:MAX_TEXT_BYTES]
    text = kept.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    note = f"\n[cut here by mirror: the file has {size} bytes, {len(kept)} are kept]" if len(kept) < size else ""
    return text.rstrip() + note + "\n"


def licences_txt(texts: Iterable[tuple[str, str, str]]) -> bytes:
    """``meta/licences.txt``.

    Args:
        texts: the artifact's path, the licence file's name in it, and the text; in any order.
    """
    owners: dict[str, list[str]] = {}
    for path, name, text in sorted(texts):
        owners.setdefault(text, []).append(f"{path}: {name}")
    groups = sorted(owners.items(), key=lambda item: item[1])
    parts = [
        f"Every licence text in the files of this bundle, as their publishers put it there: {len(groups)} texts, each once, "
        "under\nthe names of the files that hold it. What licence a file is under, its publisher says in meta/dossier.json.\n"
    ]
    room = MAX_TOTAL_BYTES
    for number, (text, names) in enumerate(groups, start=1):
        room -= len(text.encode("utf-8"))
        shown = (
            text
            if room >= 0
            else f"[left out by mirror: more than {MAX_TOTAL_BYTES} bytes of texts; sha256 {_digest(text)}]\n"
        )
        parts.append("\n".join(["", "=" * 100, f"{number}.", *names, "-" * 100, "", shown]))
    return "\n".join(parts).encode("utf-8", "replace")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
