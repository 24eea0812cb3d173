"""An archive of wheels as it comes back from somebody who altered it: one byte flipped, or a wheel exchanged for a stranger's
with every digest beside it made anew.

Whoever carries files must notice the first. The second nobody can notice who goes by digests alone that travel with the files:
that takes a signature whose key is known from elsewhere.

Rules: all that names a digest or a size of what was altered is corrected, through gzip too, and what names that again, until
nothing changes: what is left is an archive that agrees with itself.

Example::

    flipped(members)
    rewritten(members)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping

Members = Mapping[str, bytes]

_ROUNDS = 8
_TEXT = 1 << 20
"""What is larger names no digests."""


def flipped(members: Members) -> dict[str, bytes]:
    """One bit of the largest wheel is another."""
    name, data = _largest(members)
    middle = len(data) // 2
    return {**members, name: data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]}


def rewritten(members: Members) -> dict[str, bytes]:
    """The largest wheel brings a module of a stranger, and everything that speaks of the wheel says so."""
    name, data = _largest(members)
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as wheel:
        wheel.writestr("strangers_module.py", "print('a stranger was here')\n")
    result = {**members, name: stream.getvalue()}
    news = {_sha256(data): _sha256(result[name])}
    texts = {path: text for path, text in members.items() if path != name and len(text) <= _TEXT}
    for _ in range(_ROUNDS):
        before = dict(news)
        for path, text in texts.items():
            result[path] = _corrected(text, news, data, result[name])
            if result[path] != text:
                news[_sha256(text)] = _sha256(result[path])
        if news == before:
            break
    return result


def _largest(members: Members) -> tuple[str, bytes]:
    name = max((one for one in members if one.endswith(".whl")), key=lambda one: len(members[one]))
    return name, members[name]


def _corrected(text: bytes, news: Mapping[str, str], before: bytes, after: bytes) -> bytes:
    if text[:2] == b"\x1f\x8b":
        plain = gzip.decompress(text)
        changed = _corrected(plain, news, before, after)
        return text if changed == plain else gzip.compress(changed, mtime=0)
    named = _sha256(before).encode() in text
    for old, new in news.items():
        text = text.replace(old.encode(), new.encode())
    size = rb"(?<![0-9A-Za-z])%d(?![0-9A-Za-z])" % len(before)  # and no digits of a digest
    return re.sub(size, b"%d" % len(after), text) if named else text


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
