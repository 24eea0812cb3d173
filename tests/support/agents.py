"""A real ssh-agent, and one that misbehaves.

Example::

    with ssh_agent(tmp_path) as address:
        add_key(address, private_key_file)
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def ssh_agent(directory: Path) -> Iterator[str]:
    """Run ssh-agent; yields the path of its socket."""
    address = directory / "agent.sock"
    output = subprocess.run(["ssh-agent", "-s", "-a", address], check=True, capture_output=True, text=True).stdout
    process = int(output.split("SSH_AGENT_PID=")[1].split(";")[0])
    try:
        yield str(address)
    finally:
        os.kill(process, signal.SIGTERM)


def add_key(address: str, private_key: Path) -> None:
    subprocess.run(["ssh-add", "-q", private_key], check=True, env={**os.environ, "SSH_AUTH_SOCK": address})


@contextmanager
def answering_agent(directory: Path, *answers: bytes, pause_s: float = 0) -> Iterator[str]:
    """Something that answers the n-th connection with the n-th of these bytes, whatever was asked, and hangs up.

    Args:
        pause_s: between one byte and the next; 0 for all at once.
    """
    address = str(directory / "fake.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        listener.listen()

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(BrokenPipeError):
                    connection.recv(65536)
                    for place in range(len(answer) if pause_s else 0):
                        connection.sendall(answer[place : place + 1])
                        time.sleep(pause_s)
                    connection.sendall(b"" if pause_s else answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield address
        thread.join(5)
