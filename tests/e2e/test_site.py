"""Into the site: a stack is made, approved, served, published as files and to a real index, and prepared on several hosts.

Every step is a command as a user types it, on the closed side by an isolated Python with mirror.pyz alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.e2e.conftest import run
from tests.support.site import SiteBundle, pip
from tests.support.wheels import sha256_of

pytestmark = pytest.mark.index

MIRROR = [sys.executable, "-m", "mirror.cli.main"]


def venv_with(directory: Path, *packages: str) -> Path:
    """The programs of some packages of the index."""
    run([uv.find_uv_bin(), "venv", "-q", directory])
    run([uv.find_uv_bin(), "pip", "install", "-q", "--python", directory / "bin/python", *packages])
    return directory / "bin"


@contextmanager
def running(command: list[object], log: Path, port: int) -> Iterator[str]:
    """A server, from when it listens until the block ends."""
    with log.open("w") as stream:
        process = subprocess.Popen([str(word) for word in command], stdout=stream, stderr=stream)
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Site:
    """The closed network: an isolated Python, mirror.pyz, and whom it trusts."""

    def __init__(self, directory: Path, installer: Path, python: Path) -> None:
        directory.mkdir()
        self.directory, self.command = directory, [python, "-I", installer]
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "MIRROR_HOME": str(directory / "keys"),
            "XDG_DATA_HOME": str(directory / "data"), "LANG": "C.UTF-8",
        }  # fmt: skip

    def __call__(self, *words: object, code: int = 0, more: Mapping[str, str] | None = None) -> str:
        command = [str(word) for word in (*self.command, *words)]
        environment = {**self.environment, **(more or {})}
        done = subprocess.run(command, env=environment, cwd=self.directory, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr * bool(code)

    @contextmanager
    def serving(self, bundle: Path) -> Iterator[str]:
        command = [str(word) for word in (*self.command, "serve", bundle, "--port", "0")]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process.stdout:
            address = next(match[1] for line in process.stdout if (match := re.search(r"(http://\S+/)simple/", line)))
            yield address
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0


def test_a_stack_is_made_approved_and_given_to_a_site(tmp_path: Path) -> None:
    builder, home = tmp_path / "builder", {"MIRROR_HOME": str(tmp_path / "home")}
    (builder / "lockfiles").mkdir(parents=True)

    def mirror(*words: object) -> str:
        return run([*MIRROR, *words], home, cwd=builder)

    # The builder's machine: a stack, and a root that asks for an approver.
    mirror("key", "new", "alice")
    mirror("trust", "init")
    mirror("trust", "add", "alice.pub", "--role", "approver")
    mirror("trust", "rotate", "--threshold", "approver=1")
    mirror("init", "demo", "idna==3.7", "six==1.16.0")
    mirror("lock", "demo")
    made = json.loads(mirror("bundle", "demo", "-o", "bundle.tar", "--json"))
    mirror("installer", "-o", "mirror.pyz")
    bundle = builder / "bundle.tar"

    # Carried: nothing is given out before it is approved.
    twine = venv_with(tmp_path / "twine", "twine", "pypiserver")
    site = Site(tmp_path / "site", builder / "mirror.pyz", Path(sys.executable))
    site.environment["PATH"] = f"{twine}:{os.environ['PATH']}"
    site("trust", "add", bundle, "--fingerprint", made["root_fingerprint"])
    for words in (("serve", bundle, "--port", "0"), ("publish", bundle, "--to", "www")):
        assert "ref: threshold-not-met" in site(*words, code=38)
    assert not (site.directory / "www").exists()
    mirror("approve", "bundle.tar", "--key", "alice")

    with site.serving(bundle) as address:
        done = pip("--index-url", f"{address}simple/", "idna", "six", target=tmp_path / "served")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "served/six.py").exists()

    assert "published 2 files in www" in site("publish", bundle, "--to", "www")
    www = site.directory / "www"
    port = free_port()
    with running(
        [sys.executable, "-m", "http.server", "-d", www, "-b", "127.0.0.1", port], tmp_path / "log", port
    ) as url:
        done = pip("--index-url", f"{url}simple/", "idna", target=tmp_path / "published")
        assert done.returncode == 0, done.stderr

    # The site's own index, which knows a user.
    port, packages = free_port(), tmp_path / "packages"
    packages.mkdir()
    (tmp_path / "users").write_text("")
    server = [
        twine / "pypi-server",
        "run",
        "-p",
        port,
        "-i",
        "127.0.0.1",
        "-P",
        ".",
        "-a",
        ".",
        "--disable-fallback",
        packages,
    ]
    credentials = {"TWINE_USERNAME": "me", "TWINE_PASSWORD": "words"}
    with running(server, tmp_path / "log", port) as url:
        first = json.loads(site("publish", bundle, "--to", url, "--json", more=credentials))
        again = json.loads(site("publish", bundle, "--to", url, "--json", more=credentials))
        assert (len(first["added"]), len(again["added"]), len(again["kept"])) == (2, 0, 2)
        done = pip("--index-url", f"{url}simple/", "idna", target=tmp_path / "uploaded")
        assert done.returncode == 0, done.stderr
        for path in packages.glob("idna*"):
            path.write_bytes(path.read_bytes() + b"x")
        said = site("publish", bundle, "--to", url, more=credentials, code=8)
        assert "has another idna-3.7-py3-none-any.whl: sha256 " in said and "ref: name-taken" in said

    # Two hosts: prepared, then activated.
    hosts = [Site(tmp_path / name, builder / "mirror.pyz", Path(sys.executable)) for name in ("n1", "n2")]
    for host in hosts:
        host("trust", "add", bundle, "--fingerprint", made["root_fingerprint"])
        prepared = json.loads(host("install", "--prepare", bundle, "--json"))
        assert not prepared["is_current"]
    generation = Path(prepared["generation"]).name
    hosts[0]("activate", "demo", generation)
    for host in hosts:
        (tmp_path / f"{host.directory.name}.json").write_text(host("status", "--json"))
    files = [tmp_path / f"{host.directory.name}.json" for host in hosts]
    assert f"n2: demo: current none; elsewhere {generation}" in site("status", "--compare", *files, code=8)
    hosts[1]("activate", "demo", generation)
    files[1].write_text(hosts[1]("status", "--json"))
    assert site("status", "--compare", *files).startswith("2 of 2 hosts have the same:\n")


def test_a_real_pypiserver_that_tells_no_sha256_gets_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = SiteBundle(tmp_path / "b", rpms=False)
    made.write()
    made.trust(monkeypatch)
    programs, port, packages = venv_with(tmp_path / "venv", "pypiserver"), free_port(), tmp_path / "packages"
    packages.mkdir()
    server = [
        programs / "pypi-server",
        "run",
        "-p",
        port,
        "-i",
        "127.0.0.1",
        "-P",
        ".",
        "-a",
        ".",
        "--hash-algo",
        "md5",
    ]
    environment = {"TWINE_USERNAME": "me", "TWINE_PASSWORD": "words"}
    with running([*server, packages], tmp_path / "log", port) as url:  # with its fallback to the public index
        words = [*MIRROR, "publish", made.path, "--to", url, "--json"]
        first, again = (json.loads(run(words, environment)) for _ in range(2))
    assert (len(first["added"]), again["added"]) == (2, [])
    assert {path.name: sha256_of(path) for path in packages.iterdir()} == {
        wheel.name: sha256_of(wheel) for wheel in made.wheels
    }


@pytest.mark.slow
def test_a_real_devpi_gets_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SiteBundle(tmp_path / "b", rpms=False)
    made.write()
    made.trust(monkeypatch)
    programs, port, served = venv_with(tmp_path / "venv", "devpi-server"), free_port(), tmp_path / "devpi"
    run([programs / "devpi-init", "--serverdir", served, "--no-root-pypi", "--root-passwd", "words"])
    command = [programs / "devpi-server", "--serverdir", served, "--port", port, "--host", "127.0.0.1"]
    with running(command, tmp_path / "log", port) as address:
        token = _asked(f"{address}+login", "POST", {"user": "root", "password": "words"})["result"]["password"]
        _asked(f"{address}root/site", "PUT", {"type": "stage", "bases": [], "volatile": False}, f"root:{token}")
        words = [*MIRROR, "publish", made.path, "--to", f"{address}root/site/", "--json"]
        wrong = {**os.environ, "TWINE_USERNAME": "root", "TWINE_PASSWORD": "wrong"}
        refused = subprocess.run(list(map(str, words)), env=wrong, capture_output=True, text=True)
        assert json.loads(refused.stdout)["error"]["ref"] == "index-refused"
        right = {"TWINE_USERNAME": "root", "TWINE_PASSWORD": "words"}
        first, again = (json.loads(run(words, right)) for _ in range(2))
        assert (len(first["added"]), again["added"]) == (2, [])
        done = pip("--index-url", f"{address}root/site/+simple/", "left-pad", target=tmp_path / "t")
        assert done.returncode == 0, done.stderr


def _asked(url: str, method: str, facts: dict[str, Any], login: str = "") -> Any:
    headers = {"Content-Type": "application/json"}
    if login:
        headers["X-Devpi-Auth"] = base64.b64encode(login.encode()).decode()
    request = urllib.request.Request(url, json.dumps(facts).encode(), headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())
