"""Names in what a program sends: DNS questions, and requests to nscd, the host's cache of names.

Rule: RFC 1035 section 4.1, the first question alone (resolvers send one); what is no question gives nothing.

Example::

    question(bytes(4) + b"\\0\\1" + bytes(6) + b"\\7example\\3com\\0" + b"\\0\\1\\0\\1")     # 'example.com'
"""

from __future__ import annotations

import struct

NSCD = ("/var/run/nscd/socket", "/run/nscd/socket")
RESOLVED = "/run/systemd/resolve/io.systemd.Resolve"
"""Where glibc's nss_resolve asks systemd-resolved, with JSON in place of DNS."""

_NSCD_HOSTS = (4, 5, 6, 7, 14)
"""GETHOSTBYNAME, GETHOSTBYNAMEv6, GETHOSTBYADDR, GETHOSTBYADDRv6, GETAI (glibc nscd/nscd-client.h)."""


def question(data: bytes) -> str:
    """The name that a DNS message asks for, with backslashes for what is no letter; empty when it is no question."""
    if len(data) < 17:
        return ""
    flags, questions = struct.unpack(">HH", data[2:6])
    if flags & 0x8000 or not questions:
        return ""
    labels: list[str] = []
    place = 12
    while place < len(data):
        size = data[place]
        if size == 0:
            return ".".join(labels) or "."
        if size > 63:
            return ""
        labels.append(data[place + 1 : place + 1 + size].decode("ascii", "backslashreplace"))
        place += 1 + size
    return ""


def nscd_request(data: bytes) -> str:
    """The host name that a request to nscd asks for; empty when it asks for something else, such as a user."""
    if len(data) < 13:
        return ""
    _, kind, size = struct.unpack("=iii", data[:12])
    if kind not in _NSCD_HOSTS:
        return ""
    return data[12 : 12 + size].rstrip(b"\0").decode("utf-8", "backslashreplace")
