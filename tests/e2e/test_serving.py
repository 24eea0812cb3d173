"""The page on serving, typed: its own scripts start, switch and replace servers of two generations while a client asks.

A small HTTP server called vllm stands in for vLLM: ready after a while, answering with its generation's version.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mirror.cli.commands.anywhere.help import page
from mirror.connected.packing.installer import write_installer
from tests.support.bundles import SEQUENCE
from tests.support.desk import BASE, Desk, tools
from tests.support.desk import desk as desk
from tests.support.wheels import make_wheel

__all__ = ["tools"]

VLLM = """
import http.server, os, signal, sys, threading, time
VERSION, STARTS = %r, %r

def main():
    port = int(sys.argv[sys.argv.index("--port") + 1])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if not STARTS:
        sys.exit("CUDA error: no kernel image is available")
    time.sleep(1)  # the model is loaded

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = b"" if self.path == "/health" else f"{VERSION} {sys.argv[2]} {os.environ['CUDA_VISIBLE_DEVICES']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.path == "/slow":
                time.sleep(3)
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def blocks() -> list[str]:
    """The indented blocks of the page, as they are to be written into files."""
    found: list[str] = []
    for part in page("serving").replace("\n\n    ", "\n\0\n    ").split("\n\n"):
        lines = part.replace("\0", "").split("\n")
        code = [line for line in lines if line.startswith("    ") or not line]
        if any(line.startswith("    ") for line in lines):
            found.append(textwrap.dedent("\n".join(code)).strip("\n") + "\n")
    return found


def block(start: str) -> str:
    (one,) = (text for text in blocks() if text.startswith(start))
    return one


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Service:
    """A user's ~/serving, made from the page."""

    home: Path
    ports: tuple[str, str]
    front: str
    environment: dict[str, str]
    failures: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)

    @property
    def place(self) -> Path:
        return self.home / "serving"

    def serving(self, *words: str, code: int = 0) -> str:
        command = ["sh", str(self.place / "serving.sh"), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        logs = "".join(f"{path.name}: {path.read_text()}" for path in self.place.glob("*.log"))
        assert done.returncode == code, done.stdout + done.stderr + logs
        return done.stderr

    def ask(self, path: str = "/") -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.front}{path}", timeout=20) as reply:
            text: str = reply.read().decode()
            return text

    def client(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.answers.append(self.ask())
            except OSError as exc:
                self.failures.append(str(exc))
            time.sleep(0.02)


@pytest.fixture
def service(desk: Desk) -> Iterator[Service]:
    home = desk.path / "home"
    (home / "serving").mkdir(parents=True)
    ports = (str(free_port()), str(free_port()))
    path = f"{Path(shutil.which('sh') or '/bin/sh').parent}:{os.environ['PATH']}"
    environment = {
        "HOME": str(home),
        "PATH": path,
        "MIRROR_HOME": str(desk.store.directory),
        "DRAIN": "4",
        "PATIENCE": "60",
    }
    one = Service(home, ports, str(free_port()), environment)
    settings = block("MIRROR=").replace("/h100/", "/demo/")
    for port, gpus in zip(ports, ("0,1,2,3", "4,5,6,7")):
        (one.place / f"{port}.env").write_text(settings.replace("0,1,2,3", gpus))
    (one.place / "serving.sh").write_text(block("#!/bin/sh"))
    (one.place / "front.py").write_text(block('"""front.py').replace("0.0.0.0", "127.0.0.1"))
    write_installer(desk.path / "mirror.pyz")
    yield one
    for place in one.place.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(place.read_text()), signal.SIGKILL)


def install(desk: Desk, service: Service, version: str, sequence: int, starts: bool = True) -> None:
    simulator = desk.simulator(sequence=sequence)
    source = (VLLM % (version, starts)).encode()
    files, scripts = {"vllm.py": source}, {"vllm": "vllm:main"}
    simulator.add_wheel(make_wheel(desk.path / version, "vllm", version, files=files, scripts=scripts))
    simulator.add("tool/mirror.pyz", desk.path / "mirror.pyz")
    bundle = simulator.write(desk.path / f"{version}.tar", ("vllm",))
    command = [sys.executable, "-I", str(desk.path / "mirror.pyz"), "install", str(bundle), "--python", str(BASE)]
    subprocess.run(command, env=service.environment, check=True, capture_output=True)


def test_a_new_generation_takes_over_without_one_failed_request_and_a_bad_one_does_not(
    desk: Desk, service: Service
) -> None:
    install(desk, service, "1.0", SEQUENCE)
    first, second = service.ports
    service.serving("start", first)
    command = [sys.executable, "-I", "front.py", service.front]
    front = subprocess.Popen(command, cwd=service.place, env=service.environment)
    stop = threading.Event()
    client = threading.Thread(target=service.client, args=(stop,))
    try:
        time.sleep(1)
        client.start()
        assert service.ask() == "1.0 /models/llama 0,1,2,3"

        # The next generation: ready before anything is taken from the old one; what began there ends there.
        install(desk, service, "2.0", SEQUENCE + 1)
        slow: list[str] = []
        reader = threading.Thread(target=lambda: slow.append(service.ask("/slow")))
        reader.start()
        service.serving("switch", second, first)
        reader.join()
        assert slow == ["1.0 /models/llama 0,1,2,3"]
        assert service.ask() == "2.0 /models/llama 4,5,6,7"
        assert not (service.place / f"{first}.pid").exists()

        # One that does not start: the old one still serves.
        install(desk, service, "3.0", SEQUENCE + 2, starts=False)
        said = service.serving("switch", first, second, code=1)
        assert f"{first} has ended or is not ready: see {first}.log" in said
        assert f"{second} still serves" in said
        assert service.ask() == "2.0 /models/llama 4,5,6,7"
    finally:
        stop.set()
        client.join()
        front.kill()
        front.wait()
    assert service.failures == []
    assert {answer.split()[0] for answer in service.answers} == {"1.0", "2.0"}

    # Where one alone fits: the bad generation is gone back from.
    service.serving("replace", second, code=1)
    log = (service.place / f"{second}.log").read_text()
    assert "no kernel image is available" in log
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{second}/", timeout=20) as reply:
        assert reply.read().decode().startswith("2.0 ")
    service.serving("stop", second)
    if shutil.which("curl"):
        run_unit(service, first)


def run_unit(service: Service, port: str) -> None:
    """What systemd would start, and how it would learn that it is ready."""
    unit = block("[Unit]").replace("%h", str(service.home)).replace("%i", port).replace("/h100/", "/demo/")
    lines = dict(line.split("=", 1) for line in unit.replace("\\\n", "").splitlines() if "=" in line)
    settings = Path(lines["EnvironmentFile"]).read_text().replace("$HOME", str(service.home))
    environment = {**service.environment, **dict(line.split("=", 1) for line in settings.splitlines())}
    started = lines["ExecStart"].replace("run h100", "run demo").replace("${MODEL} $ARGS", environment["MODEL"])
    server = subprocess.Popen(shlex.split(started), env=environment)
    try:
        subprocess.run(shlex.split(lines["ExecStartPost"]), check=True, timeout=60, env=environment)
        assert server.poll() is None
    finally:
        server.terminate()
        assert server.wait(20) == 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "serving@.service"
    unit.write_text(block("[Unit]").replace("%h/.local/share/mirror/h100/current/bin/mirror", "/bin/sh"))
    (tmp_path / "serving@8001.service").symlink_to(unit)
    command = ["systemd-analyze", "--user", "verify", str(tmp_path / "serving@8001.service")]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert [line for line in done.stderr.splitlines() if "serving@" in line] == []
