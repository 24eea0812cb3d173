"""An ssh-agent: signs with keys that this process never sees, hardware and forwarded ones included.

It holds two requests of the agent protocol (draft-ietf-sshm-ssh-agent): which keys are there, and sign this.
``mirror.connected.signing.signers`` reads files of keys.

Rules: answers are bounded; the agent's signature is only returned, its maker checks it; an agent that waits for a person to
confirm is given two minutes for its whole answer.

Example::

    raw = Agent.from_environment().sign(public, data)
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass

from mirror.core.errors import MirrorError
from mirror.core.signatures.ed25519 import SIGNATURE_BYTES
from mirror.core.signatures.sshsig import PublicKey, from_strings, to_strings

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_MAX_ANSWER_BYTES = 256 << 10  # as OpenSSH's own client


class AgentRefused(MirrorError):
    """There is no ssh-agent, or it did not sign."""

    ref = "agent-refused"
    exit_code = 89
    hint = "Start an agent and add the key (eval $(ssh-agent); ssh-add FILE), or name the private key's file instead."
    message = "ssh-agent: {problem}"

    problem: str


@dataclass(frozen=True)
class Agent:
    """An agent that listens on a Unix socket. Each request opens a connection of its own.

    Attributes:
        timeout_s: for one request and the whole of its answer.
    """

    address: str
    timeout_s: float = 120.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Agent:
        """The agent that ``SSH_AUTH_SOCK`` names. Raises AgentRefused when it names none."""
        address = environment.get("SSH_AUTH_SOCK")
        if not address:
            raise AgentRefused("none is running (SSH_AUTH_SOCK is not set)")
        return cls(address)

    def require(self, public: PublicKey) -> None:
        """Check that the agent holds a key. Raises AgentRefused when it does not, or does not answer."""
        answer = self._ask(_REQUEST_IDENTITIES, b"", _IDENTITIES_ANSWER)
        try:
            held = from_strings(answer[4:])[::2]  # after their count: key, comment, key, comment, ...
        except ValueError as exc:
            raise AgentRefused(f"its list of keys is malformed: {exc}") from exc
        if public.blob not in held:
            raise AgentRefused(f"it does not hold the key {public.fingerprint}")

    def sign(self, public: PublicKey, data: bytes) -> bytes:
        """The 64 bytes of the key's signature over ``data``; not verified here.

        Raises:
            AgentRefused: when the agent does not sign with it, or the answer is malformed.
        """
        request = to_strings(public.blob, data) + struct.pack(">I", 0)
        answer = self._ask(_SIGN_REQUEST, request, _SIGN_RESPONSE)
        try:
            (signature,) = from_strings(answer)
            kind, raw = from_strings(signature)
        except ValueError as exc:
            raise AgentRefused(f"its signature is malformed: {exc}") from exc
        if kind != b"ssh-ed25519" or len(raw) != SIGNATURE_BYTES:
            raise AgentRefused(f"it answered with a signature of type {kind[:40]!r}")
        return raw

    def _ask(self, request: int, body: bytes, expected: int) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(self.timeout_s)
                connection.connect(self.address)
                connection.sendall(to_strings(bytes([request]) + body))
                size = int.from_bytes(_exactly(connection, 4, deadline), "big")
                if not 1 <= size <= _MAX_ANSWER_BYTES:
                    raise AgentRefused(f"its answer has {size} bytes")
                answer = _exactly(connection, size, deadline)
        except OSError as exc:
            raise AgentRefused(f"no answer at {self.address}: {exc.strerror or exc}") from exc
        if answer[0] != expected:
            raise AgentRefused("it refused (locked, or its owner declined)")
        return answer[1:]


def _exactly(connection: socket.socket, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        part = connection.recv(size - len(data))
        if not part:
            raise AgentRefused("it closed the connection")
        data += part
    return data
