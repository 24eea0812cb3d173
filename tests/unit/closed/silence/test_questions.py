from __future__ import annotations

import struct

import pytest

from mirror.closed.silence.questions import nscd_request, question

HEAD = bytes(2) + b"\1\0" + b"\0\1" + bytes(6)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (HEAD + b"\7example\3com\0\0\1\0\1", "example.com"),
        (HEAD + b"\0\0\1\0\1", "."),
        (HEAD + b"\2\xff.\0\0\1\0\1", "\\xff."),
        (HEAD + b"\7example", ""),
        (HEAD + b"\xc0\x0c\0\1\0\1", ""),  # a pointer, which no question begins with
        (bytes(2) + b"\x81\0" + b"\0\1" + bytes(6) + b"\7example\3com\0\0\1\0\1", ""),  # an answer
        (b"GET / HTTP/1.1\r\nHost: example.com\r\n", ""),
        (b"", ""),
    ],
)
def test_the_name_of_a_question(data: bytes, name: str) -> None:
    assert question(data) == name


def test_nscd_is_asked_for_hosts_and_for_users() -> None:
    assert nscd_request(struct.pack("=iii", 2, 14, 12) + b"example.com\0") == "example.com"
    assert nscd_request(struct.pack("=iii", 2, 1, 5) + b"root\0") == ""
    assert nscd_request(b"") == ""
