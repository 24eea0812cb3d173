"""Across the gap, the second time: the next bundle goes as a delta, in volumes, on two media of which one is bad.

Every step is a command as a user types it: the builder's, the reviewer's and the operator's, each with a home of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import find_python, run
from tests.e2e.test_second_day import Builder, Operator

pytestmark = pytest.mark.index


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@contextmanager
def serving(directory: Path) -> Iterator[str]:
    """Any web server, which knows nothing of packages."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(directory))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_next_bundle_goes_as_a_delta_in_volumes_of_which_one_is_lost(tmp_path: Path) -> None:
    if find_python("3.11") is None:
        pytest.skip("no Python 3.11 on this machine")
    builder = Builder(tmp_path / "builder")
    key = tmp_path / "alice"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, "-C", "alice"])
    builder("trust", "init")
    builder("trust", "add", f"{key}.pub", "--role", "approver", "--name", "alice")
    builder("trust", "rotate", "--threshold", "approver=1")

    # The first time everything is carried: the bundle in volumes, read where they lie.
    builder("init", "demo", "idna==3.6", "six<1.17")
    first = builder.json("bundle", "demo", "-o", "first.tar")
    assert first["delta"] is None
    builder("installer", "-o", "mirror.pyz")
    shelf, media = tmp_path / "shelf", [tmp_path / "a", tmp_path / "b"]
    for directory in (shelf, *media):
        directory.mkdir()
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    made = builder.json("split", "first.tar", "--size", "10M", "-o", media[0])
    assert len(made["volumes"]) > 1 and made["sha256"] == first["sha256"]
    shutil.move(media[0] / "first.tar.002", media[1])
    operator(
        "trust",
        "add",
        media[0] / "first.tar.volumes",
        "--volumes",
        media[1],
        "--fingerprint",
        first["root_fingerprint"],
    )
    volumes = (media[0] / "first.tar.volumes", "--volumes", media[1])
    operator("approve", *volumes, "--key", key)
    assert operator("verify", *volumes).startswith(f"ok: first.tar, in {len(made['volumes'])} volumes, is intact")
    operator("install", *volumes)
    assert operator.installed() == "3.6"

    # The next is made with its delta, which is split; one volume is lost, one is bad: each is named, and copied again.
    toml = builder.directory / "lockfiles" / "demo.toml"
    toml.write_text(toml.read_text().replace("idna==3.6", "idna==3.7"))
    second = builder.json("bundle", "demo", "-o", "second.tar", "--from", "first.tar")
    delta = second["delta"]
    assert delta["size"] < second["size"] / 4
    assert delta["base"]["file"] == "first.tar"
    again = builder.json("bundle", "demo", "-o", "second.tar", "--from", "first.tar")["delta"]
    assert again == delta
    made = builder.json("split", delta["path"], "--size", "3K")
    assert len(made["volumes"]) >= 3
    for number, volume in enumerate(made["volumes"]):
        shutil.copy(builder.directory / volume["path"], media[number % 2])
    index = Path(builder.directory / made["indexes"][0])
    shutil.copy(index, shelf)
    lost, bad = (media[number % 2] / Path(made["volumes"][number]["path"]).name for number in (1, 2))
    lost.unlink()
    flip(bad)
    named = shelf / index.name
    places = [word for directory in media for word in ("--volumes", directory)]
    base = tmp_path / "closed" / "first.tar"
    shutil.copy(builder.directory / "first.tar", base)
    said = operator.refused("apply", named, "--base", base, *places)
    assert f"{lost.name} is missing: it lies in none of" in said and "ref: bad-volumes" in said
    shutil.copy(builder.directory / lost.name, media[1])
    said = operator.refused("apply", named, "--base", base, *places)
    assert f"{bad} is damaged, or of another file" in said and lost.name not in said
    checked = operator.refused("split", "--check", named, *places)
    assert f"{bad}: BAD" in checked and f"{lost}: ok" in checked
    shutil.copy(builder.directory / bad.name, bad.parent)

    # What comes out is the very bundle; it is approved and installed as any other.
    result = json.loads(operator("apply", named, "--base", base, *places, "-o", "second.tar", "--json"))
    target = operator.directory / "second.tar"
    assert result["sha256"] == second["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert target.read_bytes() == (builder.directory / "second.tar").read_bytes()
    assert "not ok (threshold-not-met)" in operator.refused("verify", "second.tar")
    operator("approve", "second.tar", "--key", key)
    assert "idna 3.6 -> 3.7" in operator("diff", "first.tar", "second.tar")
    operator("install", "second.tar")
    assert operator.installed() == "3.7"

    # And in one step, where the base lies beside the delta.
    operator("rollback")
    desk = tmp_path / "desk"
    desk.mkdir()
    for path in (base, builder.directory / delta["path"], operator.directory / "second.tar.approval.sig"):
        shutil.copy(path, desk)
    operator("install", desk / Path(delta["path"]).name)
    assert operator.installed() == "3.7"
    assert (desk / "second.tar").read_bytes() == target.read_bytes()

    # The site's own index gets it; a user who has nothing of ours installs from there.
    site = tmp_path / "www"
    assert "published 2 files in" in operator("publish", "second.tar", "--to", site)
    assert "published 0 files in" in operator("publish", "second.tar", "--to", site)
    with serving(site) as address:
        words = ["-m", "pip", "--isolated", "install", "-q", "--no-cache-dir", "--target", tmp_path / "user"]
        run([sys.executable, "-I", *words, "--index-url", f"{address}/simple/", "idna"])
    assert (tmp_path / "user/idna-3.7.dist-info").is_dir()
