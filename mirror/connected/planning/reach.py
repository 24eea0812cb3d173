"""What a bundle is made without: optional files that are not here and that their server does not give.

A file that was pinned and cannot be reached (a Python's archive behind a firewall, FlashInfer's compiled kernels) need not keep
a stack from being bundled, where ``NAME.toml`` calls it optional. It is said, with the way to bring the file by hand.

Rules: what is here is always carried; a server is asked once, with little patience; a bundle that lacks something is older by a
second for each than the whole one, because two bundles of one lock may not have one sequence number: whoever installed it can
install the whole one later.

Example::

    smaller = within_reach(plan, store)
    smaller.notes      # ("goes without python 3.11 ...: github.com is out of reach; ...",)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import BadReply, HostUnreachable, answered, new_session
from mirror.connected.planning.plan import Part, Plan

_PATIENCE = Patience(attempts=1, connect_s=5.0, read_s=10.0)
_NO_HEAD = (405, 501)
"""What a server answers that knows GET alone."""


def within_reach(plan: Plan, store: Store) -> Plan:
    """The plan without the optional files that cannot be had, and a sentence about each."""
    wanted = [
        one for one in plan.parts if one.is_optional and not store.find(one.download.sha256, one.download.filename)
    ]
    if not wanted:
        return plan
    with new_session(1) as session:
        lost = {part: why for part in wanted if (why := _why_not(part, session))}
    if not lost:
        return plan
    return replace(
        plan,
        parts=tuple(part for part in plan.parts if part not in lost),
        sequence=plan.sequence - len(lost),
        notes=(*plan.notes, *(_sentence(part, why) for part, why in lost.items())),
    )


def _why_not(part: Part, session: requests.Session) -> str:
    """Why its file cannot be had; empty when it can, as far as its server tells before it is fetched."""
    url = urlsplit(part.download.url)
    if url.scheme == "file":
        return "" if Path(unquote(url.path)).is_file() else f"there is no file {unquote(url.path)}"
    try:
        with answered(session, "HEAD", part.download.url, {}, _PATIENCE) as response:
            status = response.status_code
    except (HostUnreachable, BadReply):
        return f"{url.hostname} is out of reach"
    return "" if status < 400 or status in _NO_HEAD else f"{url.hostname} answers {status}"


def _sentence(part: Part, why: str) -> str:
    return (
        f"goes without {part.name} {part.version}, which is optional: {why}. To carry it, put {part.download.filename} (sha256 "
        f"{part.download.sha256}) from {part.download.shown_url} into a directory and bundle again with --wheelhouse DIRECTORY"
    )
