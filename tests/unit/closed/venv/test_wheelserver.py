from __future__ import annotations

import hashlib
import io
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead
from typing import BinaryIO
from urllib.parse import urlsplit

import pytest

from mirror.closed.venv.wheelserver import serving
from mirror.closed.webserver import byte_range
from mirror.core.bundle.manifest import Artifact
from mirror.core.names import sha256_hex

DATA = os.urandom(3_000_000)
WHEEL = Artifact(
    "wheels/left_pad-1!2.0+cu130-py3-none-any.whl", len(DATA), sha256_hex(hashlib.sha256(DATA).hexdigest()), "left-pad"
)
NAME = "left_pad-1%212.0%2Bcu130-py3-none-any.whl"


def opener(artifact: Artifact) -> BinaryIO:
    assert artifact == WHEEL
    return io.BytesIO(DATA)


@pytest.fixture
def page() -> Iterator[str]:
    with serving(opener, [WHEEL]) as url:
        yield url


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.netloc, timeout=10)) as connection:
        connection.request(method, parts.path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_the_page_links_each_wheel_with_its_digest(page: str) -> None:
    status, headers, body = ask(page)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert f'<a href="{NAME}#sha256={WHEEL.sha256}">{WHEEL.filename}</a>' in body.decode()


def test_serves_a_wheel_whole(page: str) -> None:
    status, headers, body = ask(page + NAME)
    assert (status, headers["Content-Length"], headers["Accept-Ranges"]) == (200, str(len(DATA)), "bytes")
    assert body == DATA


def test_serves_a_head_without_a_body(page: str) -> None:
    status, headers, body = ask(page + NAME, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(DATA)), b"")


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=-5", -5, None),
        ("bytes=2999990-", 2999990, None),
        ("bytes=0-", 0, None),
    ],
)
def test_serves_a_byte_range(page: str, header: str, start: int, stop: int | None) -> None:
    status, headers, body = ask(page + NAME, Range=header)
    assert status == 206
    assert body == DATA[start:stop]
    first = start % len(DATA)
    assert headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(DATA)}"


def test_a_range_outside_is_refused(page: str) -> None:
    status, headers, _ = ask(page + NAME, Range=f"bytes={len(DATA)}-")
    assert (status, headers["Content-Range"]) == (416, f"bytes */{len(DATA)}")


@pytest.mark.parametrize("path", ["/", "/x/", "/x/" + NAME, "/" + NAME])
def test_nothing_is_served_without_the_token(page: str, path: str) -> None:
    assert ask(f"http://{urlsplit(page).netloc}{path}")[0] == 403


@pytest.mark.parametrize("name", ["other.whl", "../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", NAME + "/x"])
def test_nothing_else_is_served(page: str, name: str) -> None:
    assert ask(page + name)[0] == 404


def test_it_listens_on_the_loopback_only_and_stops_with_its_block() -> None:
    with serving(opener, [WHEEL]) as url:
        address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
        assert address[0] == "127.0.0.1"
    with socket.socket() as client:
        assert client.connect_ex(address) != 0


def test_each_run_has_a_token_of_its_own() -> None:
    with serving(opener, []) as first, serving(opener, []) as second:
        assert urlsplit(first).path != urlsplit(second).path
        assert len(urlsplit(first).path) > 40


def test_progress_counts_the_bytes_sent() -> None:
    sent: list[int] = []
    with serving(opener, [WHEEL], sent.append) as url:
        ask(url + NAME)
        ask(url + NAME, "HEAD")
        deadline = time.monotonic() + 30
        while sum(sent) < len(DATA) and time.monotonic() < deadline:
            time.sleep(0.01)  # the last piece has arrived before the server says that it was sent
        assert sum(sent) == len(DATA)


def test_a_file_that_shrinks_cuts_the_connection_short() -> None:
    with (
        serving(lambda artifact: io.BytesIO(DATA[:100]), [WHEEL]) as url,
        pytest.raises(IncompleteRead),
    ):
        ask(url + NAME)


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1,4-5", "bytes=9-3"])
def test_a_range_that_is_not_understood_means_the_whole_file(header: str) -> None:
    assert byte_range(header, 100) is None


@pytest.mark.parametrize(("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)])
def test_a_range_without_bytes_is_an_error(header: str, size: int) -> None:
    with pytest.raises(ValueError, match="of"):
        byte_range(header, size)
