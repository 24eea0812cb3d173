"""The site out of a bundle: its index and its repository, served straight out of the file that was verified.

``mirror.closed.webserver`` speaks HTTP; ``mirror.closed.site.tree`` made the pages. Here is only what a path stands for.

Rules: every path is in a table that was made at the start, so a client's path is looked up and never opened; a page is given in
JSON to a client that would rather have it (PEP 691); a directory without its slash is one with it.

Example::

    with site_server(bundle, read_shelf(bundle), ("127.0.0.1", 8000)) as server:
        server.serve_forever()
"""

from __future__ import annotations

import hashlib
import io
import re
from functools import partial
from typing import Callable, Tuple, Union
from urllib.parse import quote

from mirror.closed.site.pages import JSON
from mirror.closed.site.shelf import Shelf
from mirror.closed.site.tree import content_type, file_path, made_files
from mirror.closed.webserver import Find, Refusal, Resource, WebServer
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import FAMILIES, MirrorError

_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)", re.ASCII)


class CannotListen(MirrorError):
    """The address for serving is not to be had."""

    ref = "cannot-listen"
    exit_code = FAMILIES["install"]
    hint = (
        "Another program may have the port: name another with --port, 0 for any. --bind takes an address of this host."
    )
    message = "cannot listen on {host}, port {port}: {reason}"

    host: str
    port: int
    reason: str


def site_server(
    bundle: Bundle,
    shelf: Shelf,
    address: Tuple[str, int],
    say: Callable[[str], None] = lambda line: None,
    alarm: Callable[[str], None] = lambda line: None,
) -> WebServer:
    """A server that listens already; the bundle must stay open as long as it serves.

    Raises:
        CannotListen: when the address is not to be had.
    """
    try:
        return WebServer(site_table(bundle, shelf), address, say=say, alarm=alarm)
    except (OSError, OverflowError) as exc:
        raise CannotListen(*address, getattr(exc, "strerror", None) or str(exc)) from exc


def site_table(bundle: Bundle, shelf: Shelf) -> Find:
    """What each path stands for."""
    made = made_files(shelf.wheels, shelf.packages, shelf.metadata, shelf.keys, shelf.revision)
    found = {f"/{path}": _page(path, data) for path, data in made.items()}
    for name, one in shelf.artifacts.items():
        path = f"/{file_path(name)}"
        found[path] = Resource(partial(bundle.open, one), one.size, one.sha256, content_type(path))

    def find(path: str, accept: str) -> Union[Resource, Refusal]:
        if path.endswith("/"):
            as_json = found.get(f"{path}index.json")
            page = as_json if as_json and prefers_json(accept) else found.get(f"{path}index.html")
            return page or Refusal(404)
        if f"{path}/index.html" in found:
            return Refusal(301, f"{quote(path)}/")
        return found.get(path) or Refusal(404)

    return find


def _page(path: str, data: bytes) -> Resource:
    digest = hashlib.sha256(data).hexdigest()
    varies = path.rpartition("/")[2].startswith("index.")
    return Resource(partial(io.BytesIO, data), len(data), digest, content_type(path), varies)


def prefers_json(accept: str) -> bool:
    """Whether an ``Accept`` header would rather have PEP 691's JSON than HTML."""
    weights = {"json": 0.0, "html": 0.0}
    for one in accept.split(","):
        kind, _, parameters = one.strip().partition(";")
        weight = _WEIGHT.search(parameters)
        name = {JSON: "json", "application/vnd.pypi.simple.latest+json": "json"}.get(kind.strip().lower(), "html")
        weights[name] = max(weights[name], float(weight[1]) if weight else 1.0)
    return weights["json"] > 0 and weights["json"] >= weights["html"]
