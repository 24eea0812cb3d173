"""What a program tried to reach: addresses, and names that it asked for.

It judges an address and counts. ``mirror.closed.silence.notified`` and ``mirror.closed.silence.tracer`` see the calls.

Rules: loopback is no attempt, but for its port 53, behind which a name server asks others; an address of this host's own is
told and is no way out; a connected UDP socket is an attempt although it sends nothing; what cannot be read is told as missed.

Example::

    seen = Seen()
    seen.address("udp", "8.8.8.8", 80, "python3")
    seen.is_silent      # False
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Union

DNS_PORT = 53

_OWN_ADDRESS = (
    "so vLLM and SGLang ask for this host's own address, and send nothing: export VLLM_HOST_IP (SGLANG_HOST_IP): 127.0.0.1 "
    "for a server on one host; on several, each host's own address in the network that they share"
)

_KNOWN = {("udp", "8.8.8.8", 80): _OWN_ADDRESS, ("udp", "2001:4860:4860::8888", 80): _OWN_ADDRESS}

_Address = Union[IPv4Address, IPv6Address]


@dataclass(frozen=True)
class Attempt:
    """One place that a program tried to reach.

    Attributes:
        protocol: ``"tcp"``, ``"udp"``, ``"ip"`` where that is not known, or the family of a socket that knows no addresses.
        address: ``"8.8.8.8"``, or what is known in its place.
        port: 0 where there is none.
        program: the name of the process.
        is_own: whether the address is this host's own, so that nothing leaves it.
    """

    protocol: str
    address: str
    port: int
    program: str
    is_own: bool = False

    @property
    def known(self) -> str:
        """What is known of it, with the next step; empty when nothing is."""
        return _KNOWN.get((self.protocol, self.address, self.port), "")

    def to_dict(self) -> dict[str, Any]:
        told = ("protocol", "address", "port", "program", "known")
        return {name: getattr(self, name) for name in told}

    def __str__(self) -> str:
        place = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.protocol} {place}{f':{self.port}' if self.port else ''}"


@dataclass(frozen=True)
class Name:
    """One name that a program asked for: a DNS question, or one to the host's own cache of names."""

    name: str
    server: str
    program: str


@dataclass
class Seen:
    """All that was seen, counted.

    Attributes:
        attempts: each place, and how often.
        names: each name, and how often.
        unseen: what may have been missed; one sentence each.
    """

    attempts: dict[Attempt, int] = field(default_factory=dict)
    names: dict[Name, int] = field(default_factory=dict)
    unseen: dict[str, None] = field(default_factory=dict)

    @property
    def outward(self) -> tuple[Attempt, ...]:
        return tuple(one for one in self.attempts if not one.is_own)

    @property
    def own(self) -> tuple[Attempt, ...]:
        return tuple(one for one in self.attempts if one.is_own)

    @property
    def is_silent(self) -> bool:
        """Whether nothing was tried, and nothing may have been missed."""
        return not (self.outward or self.names or self.unseen)

    def address(self, protocol: str, address: str, port: int, program: str) -> None:
        """An address was named in a call. Raises ``ValueError`` for what is none."""
        ip = _plain(address)
        if (ip.is_loopback or ip.is_unspecified) and port != DNS_PORT:
            return
        is_own = not ip.is_loopback and not ip.is_unspecified and is_own_address(ip) and port != DNS_PORT
        self._count(Attempt(protocol, str(ip), port, program, is_own))

    def other(self, family: int, program: str) -> None:
        """A socket of a family that is neither IP's nor local to this host was used."""
        self._count(Attempt(f"family {family}", "an address that is no IP address", 0, program))

    def asked(self, name: str, server: str, program: str) -> None:
        """A name was asked for."""
        key = Name(name, server, program)
        self.names[key] = self.names.get(key, 0) + 1

    def missed(self, sentence: str) -> None:
        self.unseen[sentence] = None

    def _count(self, attempt: Attempt) -> None:
        self.attempts[attempt] = self.attempts.get(attempt, 0) + 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "silent": self.is_silent,
            "attempts": [{**one.to_dict(), "count": self.attempts[one]} for one in self.outward],
            "names": [{**vars(one), "count": count} for one, count in self.names.items()],
            "own": [{**one.to_dict(), "count": self.attempts[one]} for one in self.own],
            "unseen": list(self.unseen),
        }


def _plain(address: str) -> _Address:
    """An address, an IPv4 one that is written as IPv6 as what it is."""
    ip = ip_address(address.partition("%")[0])
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def is_own_address(ip: _Address) -> bool:
    """Whether this host has an address: only its own can be bound."""
    family = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True
