from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uv

from mirror.closed.site.pages import JSON
from mirror.closed.site.server import CannotListen, prefers_json, site_server
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.bundle.volumes.splitting import split
from mirror.core.trust.quorum import ThresholdNotMet
from mirror.core.trust.truststore import NoTrustedRoot, TrustStore
from tests.support.keys import make_root, role, trust_store
from tests.support.site import SiteBundle, pip, serving
from tests.support.wheels import sha256_of


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SiteBundle:
    found = SiteBundle(tmp_path_factory.mktemp("site"))
    found.write()
    return found


@pytest.fixture(scope="module")
def address(bundle: SiteBundle) -> Iterator[str]:
    with serving(bundle.path, bundle.store()) as server:
        yield server.address


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    with closing(HTTPConnection(urlsplit(address).netloc, timeout=10)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()


def test_every_wheel_and_rpm_is_given_byte_for_byte(bundle: SiteBundle, address: str) -> None:
    for directory, paths in (("files", bundle.wheels), ("rpms", bundle.rpms)):
        for path in paths:
            status, headers, body = ask(address, f"/{directory}/{path.name}")
            assert (status, headers["ETag"], body) == (200, f'"{sha256_of(path)}"', path.read_bytes())
            assert ask(address, f"/{directory}/{path.name}", Range="bytes=5-9")[::2] == (206, body[5:10])


def test_pages_are_html_or_json_as_a_client_would_have_them(address: str) -> None:
    for accept, wanted in (("", "text/html; charset=utf-8"), (JSON, JSON)):
        status, headers, body = ask(address, "/simple/left-pad/", Accept=accept)
        assert (status, headers["Content-Type"], headers["Vary"]) == (200, wanted, "Accept")
    (listed,) = json.loads(body)["files"]
    assert (listed["filename"], listed["requires-python"]) == ("left_pad-1.0-py3-none-any.whl", ">=3.8")
    status, _, metadata = ask(address, f"/files/{listed['filename']}.metadata")
    assert status == 200 and b"Requires-Dist: right-pad>=1" in metadata
    assert ask(address, "/simple/left-pad", "HEAD")[:2] == (
        301, {**ask(address, "/simple/left-pad", "HEAD")[1], "Location": "/simple/left-pad/"}
    )  # fmt: skip
    assert ask(address, "/simple/none/")[0] == ask(address, "/files/")[0] == 404


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", False),
        ("*/*", False),
        (f"{JSON}, text/html; q=0.1", True),
        (f"{JSON}; q=0.2, text/html", False),
        (f"{JSON}; q=0, */*", False),
        (f"{JSON}; q=nan", True),
        (";;,,;q=9" * 1000, False),
    ],
)
def test_what_accept_asks_for(accept: str, is_json: bool) -> None:
    assert prefers_json(accept) == is_json


def test_pip_and_uv_install_from_it(address: str, tmp_path: Path) -> None:
    done = pip("--index-url", f"{address}/simple/", "left-pad", target=tmp_path / "pip")
    assert done.returncode == 0, done.stderr
    words = ["pip", "install", "--no-config", "--no-cache", "--index-url", f"{address}/simple/", "left-pad"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    command = [uv.find_uv_bin(), *words, "--target", str(tmp_path / "uv"), "--python", sys.executable]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for place in ("pip", "uv"):
        assert (tmp_path / place / "right_pad.py").exists()


@pytest.mark.skipif(not shutil.which("dnf"), reason="no dnf on this machine")
def test_dnf_fetches_checks_and_installs_from_it(bundle: SiteBundle, address: str, tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("reposdir", "cachedir", "logdir", "persistdir")}
    for place in places.values():
        place.mkdir()
    lines = ["[main]", *(f"{name}={place}" for name, place in places.items())]
    (key,) = re.findall(r'href="rpms/(RPM-GPG-KEY-[^"]+)"', ask(address, "/")[2].decode())
    lines += ["[site]", "name=site", f"baseurl={address}/rpms/", f"gpgkey={address}/rpms/{key}", "gpgcheck=1"]
    (tmp_path / "dnf.conf").write_text("\n".join(lines) + "\n")
    got, command = tmp_path / "got", ["dnf", "-y", "-c", tmp_path / "dnf.conf", "--releasever=1", "--forcearch=x86_64"]
    macros = "%_dbpath /var/lib/rpm\n%_rpmlock_path /var/lib/rpm/.lock\n%_db_backend sqlite\n"
    (tmp_path / ".rpmmacros").write_text(macros)  # Debian's ask a shell, which a new root has not
    environment = {**os.environ, "HOME": str(tmp_path)}

    def dnf(*words: object) -> None:
        done = subprocess.run(list(map(str, [*command, *words])), env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    dnf("--installroot", tmp_path, "install", "--downloadonly", "--downloaddir", got, "cuda-demo")
    assert {path.name: sha256_of(path) for path in got.iterdir()} == {rpm.name: sha256_of(rpm) for rpm in bundle.rpms}
    dnf("--installroot", tmp_path / "root", "install", "cuda-demo")
    assert (tmp_path / "root/var/lib/rpm/rpmdb.sqlite").exists()
    assert [path for path in (tmp_path / "root/usr/local").rglob("*") if path.is_file()]


@pytest.mark.group(76)
def test_a_bundle_that_changes_under_it_is_given_no_more(tmp_path: Path) -> None:
    bundle = SiteBundle(tmp_path / "b")
    bundle.write()
    with serving(bundle.path, bundle.store()) as server:
        path = f"/files/{bundle.wheels[0].name}"
        assert ask(server.address, path)[0] == 200
        data = bytearray(bundle.path.read_bytes())
        data[data.index(bundle.wheels[0].read_bytes()) + 500] ^= 1
        with bundle.path.open("r+b") as stream:
            stream.write(data)
        with pytest.raises(IncompleteRead):
            ask(server.address, path)
        assert ask(server.address, "/simple/")[0] == 503
        assert server.spoilt == f"{path} is not what it was when it was verified"


def test_a_bundle_that_is_replaced_by_another_is_served_as_it_was(tmp_path: Path) -> None:
    bundle, other = SiteBundle(tmp_path / "a"), SiteBundle(tmp_path / "b", "2.0")
    bundle.write()
    with serving(bundle.path, bundle.store()) as server:
        other.write().replace(bundle.path)
        assert ask(server.address, f"/files/{bundle.wheels[0].name}")[2] == bundle.wheels[0].read_bytes()


def test_it_listens_on_ipv6_too(bundle: SiteBundle) -> None:
    with serving(bundle.path, bundle.store(), "::1") as server:
        assert server.address.startswith("http://[::1]:")
        assert ask(server.address, "/")[0] == 200


def test_an_address_that_is_not_to_be_had_is_named(bundle: SiteBundle) -> None:
    with serving(bundle.path, bundle.store()) as server:
        port = server.socket.getsockname()[1]
        with (
            verified_bundle(bundle.path, store=bundle.store()) as opened,
            pytest.raises(CannotListen, match=rf"cannot listen on 192\.0\.2\.1, port {port}: "),
        ):
            site_server(opened, read_shelf(opened), ("192.0.2.1", port))


def test_what_install_would_refuse_is_not_served(bundle: SiteBundle, tmp_path: Path) -> None:
    strict = trust_store(tmp_path / "strict", make_root(approver=role("alice")))
    waiting = SiteBundle(tmp_path / "w")
    waiting.simulator.root = make_root(approver=role("alice"))
    waiting.write()
    damaged = tmp_path / "damaged.tar"
    data = bytearray(bundle.path.read_bytes())
    data[data.index(bundle.wheels[0].read_bytes()) + 100] ^= 1
    damaged.write_bytes(data)
    cases = [
        (waiting.path, strict, ThresholdNotMet),
        (damaged, bundle.store(), DigestMismatch),
        (bundle.path, TrustStore(tmp_path / "nobody"), NoTrustedRoot),
    ]
    for path, store, error in cases:
        with pytest.raises(error), verified_bundle(path, store=store):
            pass


def test_the_command_serves_until_ctrl_c(bundle: SiteBundle, tmp_path: Path) -> None:
    bundle.store()
    command = [sys.executable, "-m", "mirror.cli.main", "serve", "--verbose", bundle.path, "--port", "0"]
    environment = {**os.environ, "MIRROR_HOME": str(bundle.directory / "trust")}
    process = subprocess.Popen(
        list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said, line = process.stdout.readline(), process.stdout.readline()
    assert said == f"serving {bundle.path}: 2 wheels, 2 RPMs\n"
    address = line.split()[3].removesuffix("/simple/")
    assert ask(address, "/simple/\x1b[2J".replace("\x1b", "%1b"))[0] == 404
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 0, err
    assert err.splitlines()[-1].endswith("stopped")
    assert "GET /simple/%1b[2J" in err and "\x1b" not in err


def test_a_bundle_in_volumes_is_served_where_they_lie(bundle: SiteBundle, tmp_path: Path) -> None:
    media = [tmp_path / "a", tmp_path / "b"]
    for place in media:
        place.mkdir()
    split(bundle.path, bundle.path.stat().st_size // 3, media[:1])
    volumes = sorted(media[0].glob(f"{bundle.path.name}.[0-9]*"))
    assert len(volumes) > 2
    volumes[1].rename(media[1] / volumes[1].name)
    index = media[0] / f"{bundle.path.name}.volumes"
    with (
        verified_bundle(index, store=bundle.store(), volumes=media) as opened,
        site_server(opened, read_shelf(opened), ("127.0.0.1", 0)) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path in bundle.wheels:
            assert ask(server.address, f"/files/{path.name}")[2] == path.read_bytes()
        server.shutdown()
