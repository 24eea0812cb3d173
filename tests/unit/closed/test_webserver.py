"""The web server and clients that mean it ill, are slow, or are many; and a file that changes while it is served."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, IncompleteRead

import pytest

from mirror.closed.webserver import Refusal, Resource, WebServer

DATA = bytes(range(256)) * 4000
TAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


class Shop:
    """A server of one file, and what it said."""

    def __init__(self) -> None:
        self.data = DATA
        self.said: list[str] = []
        self.alarms: list[str] = []

    def find(self, path: str, accept: str) -> Resource | Refusal:
        if path == "/broken":
            raise RuntimeError("nobody foresaw this")
        if path != "/file":
            return Refusal(404)
        return Resource(lambda: io.BytesIO(self.data), len(DATA), TAG.strip('"'))

    @contextmanager
    def open(self, head_s: float = 20, max_clients: int = 128) -> Iterator[tuple[str, int]]:
        server = WebServer(self.find, ("127.0.0.1", 0), say=self.said.append, alarm=self.alarms.append)
        server.head_s, server.max_clients = head_s, max_clients
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield ("127.0.0.1", server.socket.getsockname()[1])
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@pytest.fixture
def shop() -> Shop:
    return Shop()


def ask(address: tuple[str, int], path: str = "/file", **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(HTTPConnection(*address, timeout=10)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def send(address: tuple[str, int], data: bytes) -> bytes:
    """The answer to raw bytes, to its end."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while part := client.recv(65536):
                answer += part
        except ConnectionResetError:
            pass  # it did not read all that we sent
        return answer


def test_asks_back_by_digest_and_goes_on_where_it_was_cut(shop: Shop) -> None:
    with shop.open() as address:
        assert ask(address)[2] == DATA
        assert ask(address, If_None_Match=f'"x", W/{TAG}')[:1] == (304,)
        assert ask(address, If_None_Match="*")[::2] == (304, b"")
        assert ask(address, If_None_Match='"x"')[0] == 200
        assert ask(address, Range="bytes=1000-", If_Range=TAG)[::2] == (206, DATA[1000:])
        assert ask(address, Range="bytes=1000-", If_Range='"of yesterday"')[::2] == (200, DATA)


@pytest.mark.group(75)
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET /file HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n", b"431"),
        (b"GET /file HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"431"),
        (b"POST /file HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"501"),
        (b"GET /file HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /file HTTP/\xff\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /file%00 HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /%ff%fe\x1b[2J HTTP/1.1\r\n\r\n", b"404"),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /file/ HTTP/1.1\r\n\r\n", b"404"),
    ],
)
def test_what_is_no_request_for_the_file_is_refused_without_a_traceback(
    shop: Shop, request_: bytes, status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with shop.open() as address:
        assert send(address, request_).split(b" ", 2)[1] == status
        assert ask(address)[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.group(75)
def test_a_body_that_nobody_reads_is_no_second_request(shop: Shop) -> None:
    hidden = b"GET /file HTTP/1.1\r\n\r\n"
    with shop.open() as address:
        answer = send(address, b"GET /none HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_what_nobody_foresaw_ends_one_connection_and_not_the_server(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    with shop.open() as address:
        assert send(address, b"GET /broken HTTP/1.1\r\n\r\n") == b""
        assert ask(address)[0] == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.group(75)
def test_a_request_that_does_not_come_in_time_is_let_go(shop: Shop) -> None:
    with shop.open(head_s=0.1) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET /file HT")
        assert client.recv(100) == b""
        assert ask(address)[0] == 200


@pytest.mark.group(75)
def test_more_clients_than_it_serves_are_told_to_come_again(shop: Shop) -> None:
    with shop.open(max_clients=1) as address, socket.create_connection(address, timeout=10) as client:
        client.sendall(b"GET /file HTTP/1.1\r\n")  # and the rest never
        status, headers, _ = ask(address)
        assert (status, headers["Retry-After"]) == (503, "5")
        client.sendall(b"Connection: close\r\n\r\n")
        while client.recv(65536):
            pass
        status = 503
        while status == 503:  # its place is free a moment later
            status = ask(address)[0]


def test_many_clients_at_once_each_get_the_whole_file(shop: Shop) -> None:
    found: list[bytes] = []
    with shop.open() as address:
        threads = [threading.Thread(target=lambda: found.append(ask(address)[2])) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [DATA] * 30


@pytest.mark.group(76)
@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA[:300_000]], ids=["altered", "cut"])
def test_a_file_that_changed_is_never_given_whole_and_nothing_is_from_then_on(shop: Shop, data: bytes) -> None:
    with shop.open() as address:
        assert ask(address)[0] == 200
        shop.data = data
        for _ in range(2):
            try:
                assert ask(address)[0] == 503
            except IncompleteRead as exc:
                assert len(exc.partial) < len(DATA)
        assert ask(address)[0] == 503
    assert shop.alarms == ["/file is not what it was when it was verified"]


@pytest.mark.group(76)
@pytest.mark.parametrize("is_known", [True, False], ids=["after a range", "before any"])
def test_a_file_that_changed_is_not_given_whole_by_ranges_either_and_nothing_is_from_then_on(
    shop: Shop, is_known: bool
) -> None:
    with shop.open() as address:
        if is_known:
            assert ask(address, Range="bytes=0-0")[::2] == (206, DATA[:1])
        shop.data = DATA[:500_000] + b"x" + DATA[500_001:]
        got = []
        for part in ("0-499999", "500000-"):
            with contextlib.suppress(IncompleteRead):
                got.append(ask(address, Range=f"bytes={part}"))
        assert [answer[0] for answer in got] != [206, 206]
        assert [ask(address, Range="bytes=0-0")[0], ask(address)[0]] == [503, 503]
    assert shop.alarms == ["/file is not what it was when it was verified"]


@pytest.mark.group(76)
def test_who_has_the_altered_beginning_gets_no_end_to_it(shop: Shop) -> None:
    with shop.open() as address:
        shop.data = b"x" + DATA[1:]
        with closing(HTTPConnection(*address, timeout=10)) as connection:
            connection.request("GET", "/file")
            assert connection.getresponse().read(1000)[:1] == b"x"  # and no more of it
        assert ask(address, Range="bytes=1000-")[0] == 503


def test_ranges_across_pieces_are_the_files_bytes(shop: Shop) -> None:
    with shop.open() as address:
        for start, stop in ((0, 1), (262_143, 262_145), (5, 600_000), (len(DATA) - 1, len(DATA)), (262_144, 524_288)):
            assert ask(address, Range=f"bytes={start}-{stop - 1}")[::2] == (206, DATA[start:stop])


def test_ending_cuts_who_is_being_served_and_waits_for_them(shop: Shop) -> None:
    with shop.open() as address:
        client = socket.create_connection(address, timeout=10)
        client.sendall(b"GET /file HTTP/1.1\r\n\r\n")
        client.recv(10)
    with closing(client), contextlib.suppress(ConnectionResetError):
        while client.recv(65536):
            pass
    with socket.socket() as late:
        assert late.connect_ex(address) != 0


def test_requests_are_told(shop: Shop) -> None:
    with shop.open() as address:
        ask(address)
    assert shop.said == ['127.0.0.1 "GET /file HTTP/1.1" 200 -']
