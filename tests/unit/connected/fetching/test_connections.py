"""Servers that never come to an end, or come to it a byte at a time: each exchange has limits as a whole."""

from __future__ import annotations

import ipaddress
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mirror.connected.fetching import connections
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import (
    BadReply,
    HostUnreachable,
    HttpRefused,
    Truncated,
    body,
    content_size,
    get_bytes,
    get_digest,
    new_session,
    opened,
)
from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from tests.support.scripted import Reply, ScriptedServer, reply

HASTE = Patience(attempts=1, connect_s=5, read_s=0.5, window_s=0.5, slowest=1000, document_s=1.0)
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
AWAY = b"HTTP/1.1 302 Found\r\nLocation: /y\r\n"
LINE = b"X-Filler: " + b"x" * 60_000 + b"\r\n"

pytestmark = pytest.mark.group(50)

FLOODS = {
    "a head without end": Reply(OK, again=LINE),
    "one header line without end": Reply(OK + b"X: ", again=b"x" * 60_000),
    "a status line without end": Reply(b"HTTP/1.1 200 ", again=b"O" * 60_000),
    "1xx answers without end": Reply(b"", again=b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "1xx answers with headers without end": Reply(b"", again=b"HTTP/1.1 100 Continue\r\n" + LINE + b"\r\n"),
    "a body without end": Reply(OK + b"\r\n", again=b"x" * 60_000),
    "chunks without end": Reply(CHUNKED, again=b"ea60\r\n" + b"x" * 60_000 + b"\r\n"),
    "trailers without end": Reply(CHUNKED + b"1\r\nx\r\n0\r\n", again=LINE),
    "one trailer without end": Reply(CHUNKED + b"1\r\nx\r\n0\r\nX: ", again=b"x" * 60_000),
    "one chunk's size without end": Reply(CHUNKED, again=b"0" * 60_000),
    "one chunk's extension without end": Reply(CHUNKED + b"1;e=", again=b"x" * 60_000),
    "an extension for each byte": Reply(CHUNKED, again=b"1;e=" + b"x" * 60_000 + b"\r\nx\r\n"),
    "an error's body without end": Reply(b"HTTP/1.1 404 Not Found\r\n\r\n", again=b"x" * 60_000),
    "a redirect's body without end": Reply(AWAY + b"\r\n", again=b"x" * 60_000),
    "a redirect's chunks without end": Reply(AWAY + CHUNKED[15:], again=b"ea60\r\n" + b"x" * 60_000 + b"\r\n"),
}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as made:
        yield made


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and the certificate for 127.0.0.1 that it signed, in one file."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, now, now + timedelta(days=1))
    signed = made.add_extension(address, critical=False).sign(private, SHA256())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    text = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(text + signed.public_bytes(Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """For a server that is trusted here."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(autouse=True)
def short_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 1.0)


@pytest.mark.parametrize("flood", FLOODS)
def test_an_answer_without_end_is_broken_off(session: requests.Session, flood: str) -> None:
    start = time.monotonic()
    with ScriptedServer(FLOODS[flood]) as server:
        with pytest.raises((BadReply, HttpRefused, HostUnreachable, Truncated)):
            get_bytes(session, server.url("x"), 1 << 20, HASTE)
        content_size(session, server.url("x"), HASTE)
    assert time.monotonic() - start < 10


def test_no_flood_is_read_into_memory() -> None:
    """All of them in a process of its own, that may grow by 64 MiB, while each server would send a gigabyte in its seconds."""
    script = """
import resource, sys
from mirror.connected.fetching import connections
from mirror.connected.fetching.transport import get_bytes, get_digest, new_session
from mirror.core.errors import MirrorError
from tests.support.scripted import ScriptedServer
from tests.unit.connected.fetching.test_connections import FLOODS, HASTE
connections.HEAD_S = 1.0

def peak():
    return int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0])

before = peak()
with new_session() as session:
    for name, flood in FLOODS.items():
        with ScriptedServer(flood) as server:
            try:
                get_bytes(session, server.url("x"), 1 << 20, HASTE)
            except MirrorError as exc:
                continue
        sys.exit(f"{name} was taken")
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 64 << 10


def test_what_has_come_over_tls_is_taken_at_once(session: requests.Session, secure: ssl.SSLContext) -> None:
    """A record has at most 16 KiB, of which a reader that comes late finds many."""
    data = os.urandom(320 << 10)
    with ScriptedServer(reply(200, data), secure=secure) as server, opened(session, server.url("x"), {}, HASTE) as one:
        time.sleep(0.2)
        pieces = list(body(one, HASTE))
    assert b"".join(pieces) == data
    assert len(pieces) < len(data) / (32 << 10) and max(map(len, pieces)) <= connections.STEP_BYTES


def test_a_tls_connection_that_breaks_off_gives_what_came_and_is_no_end(
    session: requests.Session, secure: ssl.SSLContext
) -> None:
    half = OK + b"Content-Length: 400000\r\n\r\n" + b"x" * 200_000
    came = 0
    with (
        ScriptedServer(Reply(half, pause_s=0.2, is_broken_off=True), secure=secure) as server,
        pytest.raises(Truncated),
        opened(session, server.url("x"), {}, HASTE) as one,
    ):
        for piece in body(one, HASTE):
            came += len(piece)
            time.sleep(0.1)
    assert came == 200_000


@pytest.mark.parametrize("says_end", [False, True])
def test_a_body_without_a_length_is_whole_over_tls_only_where_its_end_is_said(
    session: requests.Session, secure: ssl.SSLContext, says_end: bool
) -> None:
    answer = Reply(OK + b"\r\n" + b"<a>half", says_end=says_end)
    with ScriptedServer(answer, secure=secure) as server:
        if says_end:
            assert get_bytes(session, server.url("x"), 100, HASTE) == b"<a>half"
        else:
            with pytest.raises(Truncated, match="/x: the body broke off after 7 bytes, before its end"):
                get_bytes(session, server.url("x"), 100, HASTE)


DRIPS = {
    "its status line": Reply(OK + b"\r\nx" * 99, drip_s=0.1),
    "its headers": Reply(OK + b"X: " + b"x" * 999, drip_s=0.1, drip_from=len(OK)),
    "1xx answers": Reply(b"HTTP/1.1 100 Continue\r\n\r\n", again=b"HTTP/1.1 100 Continue\r\n\r\n", every_s=0.1),
    "its body": Reply(OK + b"\r\n" + b"x" * 99, drip_s=0.1, drip_from=len(OK) + 2),
    "its chunks": Reply(CHUNKED, again=b"1\r\nx\r\n", every_s=0.1),
    "a chunk's size": Reply(CHUNKED + b"0" * 999, drip_s=0.1, drip_from=len(CHUNKED)),
    "its trailers": Reply(CHUNKED + b"0\r\nX: " + b"x" * 999, drip_s=0.1, drip_from=len(CHUNKED)),
    "many trailers": Reply(CHUNKED + b"0\r\n", again=b"X: x\r\n", every_s=0.1),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_comes_a_byte_at_a_time_is_given_up_on(session: requests.Session, drip: str) -> None:
    """Each byte comes well before the socket's timeout of half a second."""
    start = time.monotonic()
    with ScriptedServer(DRIPS[drip]) as server, pytest.raises((HostUnreachable, Truncated)):
        get_bytes(session, server.url("x"), 1 << 20, HASTE)
    assert time.monotonic() - start < 5


def test_a_body_that_is_fast_enough_for_ever_is_not_waited_for(session: requests.Session) -> None:
    steady = Reply(OK + b"\r\n", again=b"x" * 1000, every_s=0.1)
    with ScriptedServer(steady) as server, pytest.raises(HostUnreachable, match=r"\d+ bytes are all that came in time"):
        get_bytes(session, server.url("x"), 1 << 20, HASTE)


def test_a_redirects_body_is_not_read_and_not_waited_for(session: requests.Session) -> None:
    """It drips for as long as anybody listens; the next request is over another connection."""
    slow = Reply(AWAY + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000, drip_s=0.1, drip_from=len(AWAY) + 27)
    start = time.monotonic()
    with ScriptedServer(slow, reply(200, b"there")) as server:
        assert get_bytes(session, server.url("x"), 1000, HASTE) == b"there"
    assert time.monotonic() - start < 2
    assert [one.split()[1] for one in server.requests] == [b"/x", b"/y"]


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1", "http://[v1.x]/", "//[", "http://127.0.0.1:99999999/", "http://127.0.0.1:x/", "http:///x", "http://",
        "http://a b/", "http://xn--/", "http://\xff\xfe/", "\xff", "http://" + "a" * 70 + ".test/", "http://*.test/",
        "http://.test/", "http://user:pass\x00@127.0.0.1/", "mailto:x", "javascript:x", "data:,x", "http://%zz/", "x" * 70_000,
    ],
)  # fmt: skip
def test_a_redirect_to_what_is_no_address_has_a_name(session: requests.Session, location: str) -> None:
    raw = b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location.encode("latin-1") + b"\r\n\r\n"
    with ScriptedServer(Reply(raw), reply(404)) as server:
        with pytest.raises((BadReply, HostUnreachable, HttpRefused)):
            get_bytes(session, server.url("x"), 1000, HASTE)
        assert content_size(session, server.url("x"), HASTE) is None


@pytest.mark.parametrize("length", ["9" * 5000, "9" * 18, "-5", "+4", "4_0", "٤", "4, 4", "4, 5", "x", ""])
def test_a_length_that_is_none_is_the_servers_word_and_no_more(session: requests.Session, length: str) -> None:
    raw = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + length.encode() + b"\r\n\r\n" + b"page"
    with ScriptedServer(Reply(raw)) as server:
        content_size(session, server.url("x"), HASTE)
        try:
            assert get_bytes(session, server.url("x"), 1000, HASTE) == b"page"
        except (Truncated, HostUnreachable) as exc:
            assert "before" in str(exc) or "Content-Length" in str(exc)


@pytest.mark.parametrize("size", ["-5", "-1", "f" * 60_000, "x", "", "0x5", " 5 ", "1_0"])
def test_a_chunks_size_that_is_none_has_a_name(session: requests.Session, size: str) -> None:
    answer = Reply(CHUNKED + size.encode() + b"\r\nxxxxx\r\n0\r\n\r\n")
    with ScriptedServer(answer) as server, suppress(BadReply, Truncated, HostUnreachable):
        assert get_bytes(session, server.url("x"), 1000, HASTE) in (b"xxxxx", b"")


@pytest.mark.parametrize(
    "value",
    [
        "9" * 5000, "-1", "1e999", "nan", "Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "x",
        "Mon, 99 Jan 2026 00:00:00 GMT", "Mon, 01 Jan 2026 00:00:00 +99999999999", "Mon, 01 Jan " + "9" * 5000,
        "Fri, 31 Dec 9999 23:59:59 -2359", ",", " ", "0 0 0 0 0", "1 Jan 2026 99:99:99",
    ],
)  # fmt: skip
def test_a_time_to_wait_that_is_none_is_as_if_nothing_was_said(session: requests.Session, value: str) -> None:
    with ScriptedServer(reply(503, b"", f"Retry-After: {value}")) as server, pytest.raises(HttpRefused) as caught:
        get_bytes(session, server.url("x"), 1000, HASTE)
    wait_s = caught.value.retry_after_s
    assert wait_s is None or wait_s >= 0


ODD = [
    b"", b"\r\n", b"\0" * 100, b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 -200 OK\r\n\r\n", b"<html>",
    b"HTTP/1.1 99999999999 OK\r\n\r\n", b"HTTP/1.1 200\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\xff\xfe: \xff\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 101 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; expires=Mon, 99-Jan-99999 99:99:99 GMT; max-age=" + b"9" * 5000 + b"\r\n\r\n",
    b"HTTP/1.1 206 Partial\r\nContent-Range: bytes " + b"9" * 5000 + b"-/\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=\xff\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.1 300 Choices\r\n\r\n", b"HTTP/1.1 301 Moved\r\n\r\n", b"HTTP/1.1 302 Found\r\nLocation:\r\n\r\n",
    b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: " + b"x" * 60_000 + b"\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", ODD, ids=range(len(ODD)))
def test_whatever_a_server_answers_nothing_but_our_own_errors_come_of_it(
    session: requests.Session, data: bytes
) -> None:
    with ScriptedServer(Reply(data)) as server:
        for ask in (
            lambda: get_bytes(session, server.url("x"), 1000, HASTE),
            lambda: get_digest(session, server.url("x"), HASTE),
            lambda: content_size(session, server.url("x"), HASTE),
        ):
            try:
                ask()
            except MirrorError as exc:
                assert str(exc)


def test_a_download_is_held_to_the_same_limits(tmp_path: object, session: requests.Session) -> None:
    store = Store(tmp_path)  # type: ignore[arg-type]  # a Path
    with ScriptedServer(Reply(CHUNKED + b"4\r\npart\r\n0\r\n", again=LINE)) as server:
        wanted = Download(server.url("a-1.whl"), "a-1.whl", Sha256Hex("0" * 64))
        with pytest.raises(BadReply, match="what is around the body is larger than the 524320 bytes allowed"):
            fetch([wanted], store, session=session, patience=HASTE)


def test_a_proxys_answer_to_connect_has_the_limits_of_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    for answer in (
        Reply(b"HTTP/1.1 200 Connected\r\n", again=b"X: x\r\n" * 1000),
        Reply(b"HTTP/1.1 200 Connected\r\n", again=b"X: x\r\n", every_s=0.1),
    ):
        with ScriptedServer(answer) as proxy, new_session() as session:
            monkeypatch.setenv("https_proxy", proxy.url(""))
            with pytest.raises((BadReply, HostUnreachable), match="the head of the answer"):
                get_bytes(session, "https://index.invalid/simple/", 1000, HASTE)


def test_no_cookie_is_kept(session: requests.Session) -> None:
    with ScriptedServer(reply(200, b"a", "Set-Cookie: who=we")) as server:
        get_bytes(session, server.url("x"), 1000, HASTE)
        get_bytes(session, server.url("x"), 1000, HASTE)
    assert b"who" not in server.requests[1]
