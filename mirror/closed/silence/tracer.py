"""What strace(1) tells, where the kernel gives no notices: a host without them that has strace.

``mirror.closed.silence.notified`` sees the same by itself.

Rule: strace prints every text in hexadecimal (``-xx``), and of each descriptor its protocol and its peer (``-yy``), so that
nothing that a program sends can be taken for strace's own words.

Example::

    for line in log: read_line(line, seen)
"""

from __future__ import annotations

import re
from pathlib import Path

from mirror.closed.silence.attempts import DNS_PORT, Seen
from mirror.closed.silence.questions import NSCD, RESOLVED, nscd_request, question

_CALL = re.compile(
    r"^(?P<process>\d+) +(?P<call>connect|sendto|sendmsg|sendmmsg)\(\d+<(?P<kind>[A-Za-z0-9-]+)(?P<rest>.*)$"
)
_INET = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("((?:\\x[0-9a-f]{2})+)"\)')
_INET6 = re.compile(r'sin6_port=htons\((\d+)\), [^}]*?inet_pton\(AF_INET6, "((?:\\x[0-9a-f]{2})+)"')
_UNIX = re.compile(r'sun_path="((?:\\x[0-9a-f]{2})+)"')
_PEER = re.compile(r"^:\[[^\]]*?->\[?(?P<address>[0-9a-fA-F.:]+?)\]?:(?P<port>\d+)\]")
_UNIX_PEER = re.compile(r"nscd/socket")
_DATA = re.compile(r'(?:iov_base=|^[^"{]*?, )"((?:\\x[0-9a-f]{2})+)"')
_OTHER = re.compile(r"sa_family=(AF_\w+|0x[0-9a-f]+)")
_LOCAL = ("AF_UNSPEC", "AF_UNIX", "AF_LOCAL", "AF_NETLINK", "AF_ALG", "AF_INET", "AF_INET6")


def command(strace: Path, log: Path) -> list[str]:
    """The words that go before a program's own."""
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    return [str(strace), "-f", "-qq", "-yy", "-xx", "-s", "512", "-e", calls, "-e", "signal=none", "-o", str(log), "--"]


def read_line(line: str, seen: Seen) -> None:
    """Count what one line of a log tells; nothing for lines of other calls."""
    match = _CALL.match(line)
    if not match:
        return
    program, kind, rest = f"process {match['process']}", match["kind"], match["rest"]
    protocol = {"TCP": "tcp", "TCPv6": "tcp", "UDP": "udp", "UDPv6": "udp"}.get(kind, "ip")
    named = [(_text(found[2]), int(found[1])) for pattern in (_INET, _INET6) for found in pattern.finditer(rest)]
    for address, port in named:
        seen.address(protocol, address, port, program)
    for family in _OTHER.findall(rest):
        if family not in _LOCAL:
            seen.other(int(family, 16) if family.startswith("0x") else 0, program)
    if match["call"] == "connect" and RESOLVED in map(_text, _UNIX.findall(rest)):
        seen.asked("a name, by systemd-resolved", RESOLVED, program)
    if peer := _PEER.match(rest):
        named.append((peer["address"], int(peer["port"])))
    for server, port in named[-1:] if named else []:
        for data in map(_bytes, _DATA.findall(rest)) if port == DNS_PORT else ():
            if name := question(data):
                seen.asked(name, server, program)
    if kind.startswith("UNIX") and _UNIX_PEER.search(rest):
        for data in map(_bytes, _DATA.findall(rest)):
            if name := nscd_request(data):
                seen.asked(name, NSCD[0], program)


def _bytes(hexadecimal: str) -> bytes:
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


def _text(hexadecimal: str) -> str:
    return _bytes(hexadecimal).decode("utf-8", "backslashreplace")
