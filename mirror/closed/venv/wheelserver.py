"""The bundle's wheels as a find-links page on 127.0.0.1, served straight out of the tar.

So that uv or pip reads each wheel once, from the bundle, and no second copy of gigabytes is written (DESIGN.md
section 6). ``mirror.closed.webserver`` answers, whole or one byte range, because uv reads a wheel's metadata from its end
first.

Rules: bound to 127.0.0.1 only; every address holds a token that cannot be guessed; it serves the manifest's wheels
and nothing else, by exact name. It promises nothing about the bytes: uv and pip check each against the signed
``install.txt``.

Example::

    with serving(bundle.open, manifest.of(WHEEL)) as url:
        ...
"""

from __future__ import annotations

import hmac
import html
import io
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, Callable, Union
from urllib.parse import quote

from mirror.closed.webserver import Refusal, Resource, WebServer
from mirror.core.bundle.manifest import Artifact
from mirror.core.progress import Advance

Opener = Callable[[Artifact], BinaryIO]
"""Gives a seekable stream over an artifact's bytes; may be called from several threads."""


@contextmanager
def serving(opener: Opener, wheels: Sequence[Artifact], advance: Advance = lambda amount: None) -> Iterator[str]:
    """Serve wheels until the block ends; gives the address of the page that links to them.

    Args:
        advance: called with the number of bytes as they are sent.

    Raises:
        OSError: when there is no loopback device to listen on.
    """
    token, page = secrets.token_urlsafe(32), _page(wheels)
    found = {wheel.filename: Resource(partial(opener, wheel), wheel.size, "", "application/zip") for wheel in wheels}
    found[""] = Resource(partial(io.BytesIO, page), len(page), "", "text/html; charset=utf-8")

    def find(path: str, accept: str) -> Union[Resource, Refusal]:
        given, _, name = path.lstrip("/").partition("/")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            return Refusal(403)
        return found.get(name, Refusal(404))

    server = WebServer(find, ("127.0.0.1", 0), advance)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{server.address}/{token}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _page(wheels: Sequence[Artifact]) -> bytes:
    links = "\n".join(
        f'<a href="{quote(wheel.filename)}#sha256={wheel.sha256}">{html.escape(wheel.filename)}</a><br>'
        for wheel in wheels
    )
    return f"<!DOCTYPE html>\n<html><body>\n{links}\n</body></html>\n".encode("ascii")
