"""One request: what is sent, what is followed, what is retried, and what each failure is called."""

from __future__ import annotations

import gzip
import os
import pickle
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests

from mirror import __version__
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import (
    BadReply,
    HostUnreachable,
    HttpRefused,
    Truncated,
    body,
    get_bytes,
    get_digest,
    new_session,
    opened,
)
from mirror.core.errors import MirrorError, Unreadable
from tests.support.scripted import Reply, ScriptedServer, reply

HASTE = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=1.5, connect_s=5, read_s=0.5, window_s=0.2, slowest=1000)


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as made:
        yield made


def get(session: requests.Session, url: str, max_bytes: int = 1000) -> bytes:
    return get_bytes(session, url, max_bytes, HASTE)


def test_the_body_is_given_and_the_request_says_who_asks(session: requests.Session) -> None:
    with ScriptedServer(reply(200, b"page")) as server:
        assert get(session, server.url("simple/")) == b"page"
    assert f"User-Agent: mirror/{__version__}\r\n".encode() in server.requests[0]
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


def test_a_file_url_is_read(session: requests.Session, tmp_path: Path) -> None:
    path = tmp_path / "repo md.xml"
    path.write_bytes(b"<xml/>")
    assert get(session, path.as_uri()) == b"<xml/>"


def test_a_file_url_that_leads_nowhere_is_unreadable(session: requests.Session, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        get(session, (tmp_path / "none").as_uri())


@pytest.mark.group(50)
@pytest.mark.parametrize("ask", [lambda session, url: get_bytes(session, url, 100), get_digest])
def test_a_file_url_of_what_has_no_end_is_refused_at_once(
    session: requests.Session, tmp_path: Path, ask: Callable[[requests.Session, str], object]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(Unreadable, match=r"not a regular file|Is a directory"):
            ask(session, path.as_uri())


def test_a_file_url_of_another_host_is_refused(session: requests.Session) -> None:
    with pytest.raises(Unreadable, match="not of elsewhere"):
        get(session, "file://elsewhere/etc/passwd")


@pytest.mark.group(50)
def test_a_compressed_body_is_refused_not_unpacked(session: requests.Session) -> None:
    bomb = gzip.compress(b"\0" * 1_000_000)
    labelled = reply(200, bomb, "Content-Encoding: gzip")
    with ScriptedServer(labelled) as server, pytest.raises(BadReply, match="compressed although identity was asked"):
        get(session, server.url("x"), max_bytes=10_000)
    assert len(server.requests) == 1


@pytest.mark.group(50)
def test_a_body_past_the_cap_is_refused(session: requests.Session) -> None:
    endless = reply(200, b"x" * 1001, length=False)
    with ScriptedServer(endless) as server, pytest.raises(BadReply, match="larger than the 1000 bytes allowed"):
        get(session, server.url("x"))


@pytest.mark.group(50)
@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_leads_to_http_only(session: requests.Session, place: str) -> None:
    away = reply(302, b"", f"Location: {place}")
    with ScriptedServer(away) as server, pytest.raises(BadReply, match="to something that is no http or https address"):
        get(session, server.url("x"))


def test_a_redirect_is_followed(session: requests.Session) -> None:
    with ScriptedServer(reply(200, b"there")) as there:
        away = reply(307, b"", f"Location: {there.url('y')}")
        with ScriptedServer(away) as here:
            assert get(session, here.url("x")) == b"there"


@pytest.mark.group(50)
def test_a_redirect_loop_ends(session: requests.Session) -> None:
    with (
        ScriptedServer(reply(302, b"", "Location: /x")) as server,
        pytest.raises(BadReply, match="more than 10 redirects"),
    ):
        get(session, server.url("x"))
    assert len(server.requests) == 11


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_not_well_is_asked_again(session: requests.Session, status: int) -> None:
    with ScriptedServer(reply(status), reply(200, b"now")) as server:
        assert get(session, server.url("x")) == b"now"


@pytest.mark.parametrize(
    ("status", "hint"),
    [(404, "removed upstream"), (410, "removed upstream"), (401, "credentials"), (403, "credentials"), (407, "proxy")],
)
def test_a_refusal_is_told_at_once_with_the_next_step(session: requests.Session, status: int, hint: str) -> None:
    with ScriptedServer(reply(status)) as server, pytest.raises(HttpRefused) as caught:
        get(session, server.url("x", "user:secret@"))
    assert len(server.requests) == 1
    assert str(caught.value) == f"{server.url('x')}: the server answers {status} Scripted"
    assert hint in caught.value.hint


@pytest.mark.group(56)
def test_retry_after_is_waited_for(session: requests.Session) -> None:
    with ScriptedServer(reply(503, b"", "Retry-After: 1"), reply(200, b"now")) as server:
        start = time.monotonic()
        assert get(session, server.url("x")) == b"now"
    assert time.monotonic() - start >= 1


def test_a_server_that_asks_for_too_long_a_wait_is_given_up_on(session: requests.Session) -> None:
    later = format_datetime(datetime.now(timezone.utc) + timedelta(hours=1), usegmt=True)
    for value in ("3600", later):
        with ScriptedServer(reply(503, b"", f"Retry-After: {value}")) as server, pytest.raises(HttpRefused) as caught:
            get(session, server.url("x"))
        assert len(server.requests) == 1
        assert caught.value.retry_after_s is not None
        assert 3590 <= caught.value.retry_after_s <= 3600


def test_a_broken_off_body_is_asked_for_again_then_told(session: requests.Session) -> None:
    half = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    with ScriptedServer(half) as server, pytest.raises(Truncated) as caught:
        get(session, server.url("x"))
    assert len(server.requests) == 3
    assert str(caught.value) == f"{server.url('x')}: the body broke off after 4 bytes, before 10 bytes"


@pytest.mark.group(50)
def test_a_silent_server_is_given_up_on(session: requests.Session) -> None:
    with ScriptedServer(Reply(b"", pause_s=30)) as server:
        start = time.monotonic()
        with pytest.raises(HostUnreachable, match="timed out"):
            get(session, server.url("x"))
    assert time.monotonic() - start < 10


@pytest.mark.group(50)
def test_a_dripping_server_is_given_up_on(session: requests.Session) -> None:
    clock = iter(range(0, 10_000, 10))  # ten seconds a byte
    with ScriptedServer(reply(200, b"x" * 50, length=False)) as server:
        url = server.url("x")
        with (
            opened(session, url, {}, HASTE) as response,
            pytest.raises(HostUnreachable, match="50 bytes in 10 seconds"),
        ):
            list(body(response, HASTE, clock=lambda: float(next(clock))))


def test_a_port_where_nobody_listens_is_named(session: requests.Session) -> None:
    with ScriptedServer(reply(200)) as server:
        url = server.url("simple/", "user:secret@")
    with pytest.raises(HostUnreachable) as caught:
        get(session, url)
    shown = server.url("simple/")
    assert str(caught.value) == f"cannot reach {caught.value.host} for {shown}: [Errno 111] Connection refused"
    assert "secret" not in str(caught.value) + str(caught.value.args)


def test_the_machines_ca_bundle_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with new_session() as plain:
        assert plain.verify is True
    monkeypatch.setenv("SSL_CERT_FILE", "/site/ssl.pem")
    with new_session() as from_ssl:
        assert from_ssl.verify == "/site/ssl.pem"
    monkeypatch.setenv("PIP_CERT", "/site/pip.pem")
    with new_session() as from_pip:
        assert from_pip.verify == "/site/pip.pem"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/site/requests.pem")
    with new_session() as from_requests:
        assert from_requests.verify == "/site/requests.pem"


def test_the_machines_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(reply(200, b"by proxy")) as proxy, new_session() as session:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get(session, "http://index.invalid/simple/") == b"by proxy"
    assert proxy.requests[0].startswith(b"GET http://index.invalid/simple/ HTTP/1.1")


@pytest.mark.parametrize(
    "error",
    [
        HostUnreachable("https://example.org/a", "refused"),
        HttpRefused("https://example.org/a", 404, "Not Found"),
        Truncated("https://example.org/a", None, 3),
        BadReply("https://example.org/a", "odd"),
    ],
)
def test_errors_survive_pickling(error: MirrorError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.hint, copy.exit_code) == (str(error), error.hint, error.exit_code)
