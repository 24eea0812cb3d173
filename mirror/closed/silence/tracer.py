"""What strace(1) tells, where the kernel gives no notices: a host without them that has strace.

``mirror.closed.silence.notified`` sees the same by itself.

Rule: strace prints every text in hexadecimal (``-xx``), and of each descriptor its protocol and its peer (``-yy``), so that
nothing that a program sends can be taken for strace's own words.

It is told to end with how each process ended. Where that is missing, or words of a call are none that we know, something may
have been missed, and that is told.

Example::

    log = Log(seen)
    log.feed(data)
    log.end(code)
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

from mirror.closed.silence.attempts import DNS_PORT, Seen
from mirror.closed.silence.questions import NSCD, RESOLVED, nscd_request, question

_LINE = re.compile(r"(?P<process>\d+) +(?P<said>.*)", re.ASCII)
_END = re.compile(
    r"\+\+\+ (?:exited with|killed by (?P<signal>\w+)|superseded by execve in pid (?P<other>\d+))", re.ASCII
)
_UNFINISHED = "<unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>", re.ASCII)
_CALL = re.compile(
    r"(?P<call>connect|sendto|sendmsg|sendmmsg|io_uring_setup)\((?:-?\d+(?:<(?P<kind>[A-Za-z0-9-]+))?)?(?P<rest>.*)",
    re.ASCII,
)
_INET = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("((?:\\x[0-9a-f]{2})+)"\)')
_INET6 = re.compile(r'sin6_port=htons\((\d+)\), [^}]*?inet_pton\(AF_INET6, "((?:\\x[0-9a-f]{2})+)"')
_UNIX = re.compile(r'sun_path="((?:\\x[0-9a-f]{2})+)"')
_PEER = re.compile(r"^:\[[^\]]*?->\[?(?P<address>[0-9a-fA-F.:]+?)\]?:(?P<port>\d+)\]")
_UNIX_PEER = re.compile(r"nscd/socket")
_DATA = re.compile(r'(?:iov_base=|^[^"{]*?, )"((?:\\x[0-9a-f]{2})+)"')
_OTHER = re.compile(r"sa_family=(AF_\w+|0x[0-9a-f]+)")
_LEFT_OUT = re.compile(r"[\[{,] ?\.\.\.[\]}]")
_NO_ADDRESS = re.compile(r"connect\([^{]*, 0x[0-9a-f]+, \d+\)", re.ASCII)
_LOCAL = ("AF_UNSPEC", "AF_UNIX", "AF_LOCAL", "AF_NETLINK", "AF_ALG", "AF_INET", "AF_INET6")


def command(strace: Path, log: Path) -> list[str]:
    """The words that go before a program's own."""
    calls = "trace=connect,sendto,sendmsg,sendmmsg,?io_uring_setup"
    # -s is also how many messages and parts of one are shown: 1024 is what the kernel takes. One -q keeps how a process ended.
    return [str(strace), "-f", "-q", "-yy", "-xx", "-s", "1024", "-e", calls, "-e", "signal=none", "-o", str(log), "--"]


class Log:
    """What strace writes, read as it comes.

    Args:
        seen: where it is counted.
    """

    def __init__(self, seen: Seen) -> None:
        self._seen, self._rest = seen, b""
        self._begun: dict[str, str] = {}
        """Of each process that has not ended, the call that it is in; empty for none that is traced."""
        self._signals: set[str] = set()
        self._has_ended = False

    def feed(self, data: bytes) -> None:
        """More of it."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", "replace"))

    def end(self, code: int) -> None:
        """There is no more; strace ended with this code, by a signal where it is below 0."""
        for process, said in self._begun.items():
            self._read(process, said)
        # strace ends by the signal that ended the program, which it has told then.
        is_cut = bool(self._rest or self._begun) or not self._has_ended
        if is_cut or (code < 0 and signal.Signals(-code).name not in self._signals):
            self._seen.missed("what strace told ends before the command does: it was killed, or could not write")

    def _line(self, line: str) -> None:
        match = _LINE.match(line)
        if not match:
            return
        process, said = match["process"], match["said"]
        if ended := _END.match(said):
            gone = ended["other"] or process
            self._read(gone, self._begun.pop(gone, ""))
            self._has_ended = self._has_ended or not ended["other"]
            self._signals.add(ended["signal"] or "")
            return
        if resumed := _RESUMED.match(said):
            said = self._begun.get(process, "") + said[resumed.end() :]
        if said.endswith(_UNFINISHED):
            self._begun[process] = said[: -len(_UNFINISHED)]
            return
        self._begun[process] = ""
        self._read(process, said)

    def _read(self, process: str, said: str) -> None:
        """Count what one call tells; nothing for lines of other calls."""
        match = _CALL.match(said)
        if not match:
            return
        seen, program, kind, rest = self._seen, f"process {process}", match["kind"] or "", match["rest"]
        if match["call"] == "io_uring_setup":
            if " = -1 " not in rest:
                seen.missed(f"{program} uses io_uring, and what it calls that way is not seen")
            return
        protocol = {"TCP": "tcp", "TCPv6": "tcp", "UDP": "udp", "UDPv6": "udp"}.get(kind, "ip")
        named = [(_text(found[2]), int(found[1])) for pattern in (_INET, _INET6) for found in pattern.finditer(rest)]
        for address, port in named:
            seen.address(protocol, address, port, program)
        families = _OTHER.findall(rest)
        for family in families:
            if family not in _LOCAL:
                seen.other(int(family, 16) if family.startswith("0x") else 0, program)
        is_sent = match["call"] != "connect"
        unread = [one for one in families if one in ("AF_INET", "AF_INET6") or (is_sent and one == "AF_UNSPEC")]
        if len(unread) > len(named) or _LEFT_OUT.search(rest) or _NO_ADDRESS.match(said):
            seen.missed(f"{program} called {match['call']}, and strace does not show all of whereto")
        if not is_sent and RESOLVED in map(_text, _UNIX.findall(rest)):
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
