"""Asking a hub, as it is, as it refuses, and as it lies; and whom the user's token is shown to."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import BadReply, HostUnreachable, HttpRefused
from mirror.connected.models.hub import HubAuth, HubFile, HubRepository, ModelUnavailable, hub_of, hub_session
from mirror.connected.stack.models import HUB
from mirror.core.errors import InvalidDocument
from tests.support.hub import LoopbackHub, authorization, git_sha1, make_model
from tests.support.index import LoopbackServer
from tests.support.scripted import Reply, ScriptedServer, reply

REVISION = "0123456789abcdef0123456789abcdef01234567"
ONCE = Patience(attempts=1)
SECRET = "hf_secret"
MODEL = make_model()


def repository(hub: LoopbackHub, name: str, revision: str, patience: Patience = ONCE) -> HubRepository:
    return HubRepository(hub.origin, name, revision, patience)


def digests(hub: LoopbackHub, name: str, revision: str) -> dict[str, str]:
    with repository(hub, name, revision) as asked:
        return {file.path: asked.sha256(file) for file in asked.files()}


def test_every_file_has_its_size_and_the_digest_of_its_bytes(hub: LoopbackHub) -> None:
    revision = hub.add("org/tiny", MODEL)
    with repository(hub, "org/tiny", revision) as asked:
        files = asked.files()
    assert {file.path: file.size for file in files} == {path: len(data) for path, data in MODEL.items()}
    assert [file.path for file in files] == sorted(MODEL)
    assert digests(hub, "org/tiny", revision) == {
        path: hashlib.sha256(data).hexdigest() for path, data in MODEL.items()
    }


def test_weights_are_not_fetched_to_be_locked(hub: LoopbackHub) -> None:
    digests(hub, "org/tiny", hub.add("org/tiny", MODEL))
    assert hub.cdn.seen == []
    assert not any(seen.path.endswith(".safetensors") for seen in hub.seen)


def test_names_with_odd_characters_are_asked_for(hub: LoopbackHub) -> None:
    files = {"a b/100%#?.txt": b"odd", "é.txt": b"e"}
    found = digests(hub, "org/odd", hub.add("org/odd", files))
    assert found == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_an_unknown_repository_is_named(hub: LoopbackHub) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        digests(hub, "org/none", REVISION)
    assert str(caught.value) == (
        f"org/none at {REVISION} cannot be fetched from {hub.origin}: "
        "the hub knows no such repository, asked without a token (401)"
    )
    assert f"Look whether there is a {hub.origin}/org/none." in caught.value.hint


def test_an_unknown_repository_is_named_to_a_member_too(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.members.add(SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with pytest.raises(ModelUnavailable, match=r"asked with this user's token \(404\)"):
        digests(hub, "org/none", REVISION)


def test_an_unknown_revision_is_named(hub: LoopbackHub) -> None:
    hub.add("org/tiny", MODEL)
    with pytest.raises(ModelUnavailable, match="it has no such revision") as caught:
        digests(hub, "org/tiny", REVISION)
    assert caught.value.hint == f"Copy the 40 digits of a commit from {hub.origin}/org/tiny/commits/main."


@pytest.mark.parametrize("closed", ["all", "files"])
@pytest.mark.parametrize(("token", "status"), [("", 401), ("hf_stranger", 403)])
def test_a_gated_repository_says_where_to_accept(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, closed: str, token: str, status: int
) -> None:
    revision = hub.add("org/gated", MODEL, closed=closed)
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ModelUnavailable) as caught:
        digests(hub, "org/gated", revision)
    assert caught.value.problem == f"the hub gives it only to accounts that accepted its terms ({status})"
    assert caught.value.hint == (
        f"Accept them on {hub.origin}/org/gated, set HF_TOKEN to a token of that account, and lock again."
    )


@pytest.mark.parametrize("closed", ["all", "files"])
def test_a_member_is_given_a_gated_repository_and_the_token_is_told_to_nobody_else(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, closed: str
) -> None:
    caplog.set_level(logging.DEBUG)
    revision = hub.add("org/gated", MODEL, closed=closed)
    hub.members.add(SECRET)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert len(digests(hub, "org/gated", revision)) == len(MODEL)
    with hub_session() as session:
        url = f"{hub.origin}/org/gated/resolve/{revision}/model.safetensors"
        assert session.get(url).content == MODEL["model.safetensors"]
    assert set(map(authorization, hub.seen)) == {f"Bearer {SECRET}"}
    assert list(map(authorization, hub.cdn.seen)) == [""]
    assert SECRET not in caplog.text


def test_a_hub_that_only_the_stack_names_is_not_shown_the_token(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    with LoopbackHub() as other:
        assert len(digests(other, "org/tiny", other.add("org/tiny", MODEL))) == len(MODEL)
        assert other.seen and set(map(authorization, other.seen)) == {""}


def test_other_servers_are_given_what_their_address_or_netrc_has_for_them(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login bob password two\n")
    with LoopbackServer() as index, hub_session() as session:
        index.serve("/a", b"")
        session.get(f"{index.origin}/a")
        session.get(f"{index.origin.replace('http://', 'http://eve:one@')}/a")
        (tmp_path / "netrc").write_text("")
        session.get(f"{index.origin}/a")
        words = [authorization(seen) for seen in index.seen]
    assert [base64.b64decode(word.removeprefix("Basic ")) for word in words] == [b"bob:two", b"eve:one", b""]


def test_the_token_is_for_one_scheme_and_port() -> None:
    auth = HubAuth(SECRET, "https://hub.example.org")
    assert auth.token_for("https://hub.example.org/org/tiny") == SECRET
    for url in ("http://hub.example.org/", "https://hub.example.org:8443/", "https://hub.example.org.evil.test/"):
        assert auth.token_for(url) is None
    request = requests.Request("GET", "https://hub.example.org/a", auth=auth).prepare()
    assert request.headers["Authorization"] == f"Bearer {SECRET}"


def test_a_hub_that_is_not_well_is_asked_again(hub: LoopbackHub) -> None:
    revision = hub.add("org/tiny", MODEL)
    path = f"/api/models/org/tiny/revision/{revision}"
    hub.fail(path, status=503, times=2)
    with repository(hub, "org/tiny", revision, Patience(attempts=3, first_wait_s=0.01)) as asked:
        assert len(asked.files()) == len(MODEL)
    assert hub.count(path) == 3
    hub.fail(path, status=503)
    with pytest.raises(HttpRefused, match=r"/api/models/org/tiny/revision/[0-9a-f]{40}: the server answers 503"):
        digests(hub, "org/tiny", revision)


def test_a_hub_that_is_not_there_is_named() -> None:
    with LoopbackServer() as server:
        gone = server.origin
    with pytest.raises(
        HostUnreachable, match=f"cannot reach {gone.removeprefix('http://')} for {gone}/api/models/org/tiny"
    ):
        HubRepository(gone, "org/tiny", REVISION, ONCE).files()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"<html>sign in</html>", "its answer is not that of a hub: it is no JSON"),
        (b"[]", "its answer is not that of a hub: its JSON has another form"),
        (b'{"id": "org/tiny", "sha": "' + b"f" * 40 + b'"}', f"it answers with revision '{'f' * 40}'"),
        ([{"rfilename": "a"}], "it gives no size and digest of 'a'"),
        ([{"rfilename": "a", "size": 1}], "it gives no size and digest of 'a'"),
        ([{"rfilename": "a", "size": 1, "lfs": {"size": 1}}], "its answer is not that of a hub: it lacks '\\w+'"),
        (
            [{"rfilename": "a", "size": 1, "lfs": {"size": 1, "sha256": "x", "pointerSize": 1}}],
            "its sha256 of 'a' is none",
        ),
    ],
)
def test_an_answer_that_is_no_hubs_is_refused(answer: bytes | list[dict[str, object]], problem: str) -> None:
    if isinstance(answer, list):
        answer = json.dumps({"id": "org/tiny", "sha": REVISION, "siblings": answer}).encode()
    with LoopbackServer() as server:
        server.serve(f"/api/models/org/tiny/revision/{REVISION}", answer, "application/json")
        with pytest.raises(BadReply, match=problem):
            HubRepository(server.origin, "org/tiny", REVISION, ONCE).files()


def listed(path: object, length: object = 1, **lfs: object) -> dict[str, object]:
    return {"rfilename": path, "size": length, "lfs": {"sha256": "b" * 64, "size": length, "pointerSize": 1, **lfs}}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([listed("a", -5)], "its size of 'a' is none: -5 and -5"),
        ([listed("a", 1.5)], "its size of 'a' is none: 1.5"),
        ([listed("a", True)], "its size of 'a' is none: True"),
        ([listed("a", "9")], "its size of 'a' is none: '9'"),
        ([listed("a", 10**18)], "its size of 'a' is none: 1000000000000000000"),
        ([listed("a", 1, size=2)], "its size of 'a' is none: 1 and 2"),
        ([{"rfilename": "a", "size": -1, "blobId": "c" * 40}], "its size of 'a' is none: -1$"),
        ([listed("a", 1, sha256=5)], "its sha256 of 'a' is none"),
        ([listed(5)], "it lists a file by what is no name: 5"),
        ([listed("")], "it lists a file by what is no name: ''"),
        ([listed("\ud800")], r"it lists a file by what is no name: '\\ud800'"),
        ([listed("a/" * 3000)], "it lists a file by what is no name: 'a/a/"),
        ([listed("a"), listed("b"), listed("a", 2)], "it lists 'a' twice"),
        ([listed("x/a"), listed("x/a.b"), listed("x/a/b/c")], "it lists 'x/a' and 'x/a/b/c'"),
    ],
)
def test_what_no_lock_can_hold_is_refused_when_the_hub_says_it(files: list[dict[str, object]], problem: str) -> None:
    answer = json.dumps({"id": "org/tiny", "sha": REVISION, "siblings": files}).encode()
    with LoopbackServer() as server:
        server.serve(f"/api/models/org/tiny/revision/{REVISION}", answer, "application/json")
        with pytest.raises(BadReply, match=problem):
            HubRepository(server.origin, "org/tiny", REVISION, ONCE).files()


def test_small_files_are_held_to_what_git_calls_them(hub: LoopbackHub) -> None:
    url = hub.serve("/config.json", b"{ }")
    file = HubFile("config.json", 3, None, git_sha1(b"{}!"), url)
    with repository(hub, "org/tiny", REVISION) as asked:
        with pytest.raises(BadReply, match=f"the hub lists git object {git_sha1(b'{}!')}, the bytes that came are"):
            asked.sha256(file)
        with pytest.raises(BadReply, match="larger than the 2 bytes allowed"):
            asked.sha256(HubFile("config.json", 2, None, git_sha1(b"{ }"), url))


def test_another_hub_stands_in_for_the_hub_and_for_no_other() -> None:
    environment = {"HF_ENDPOINT": "https://copy.example.org/"}
    assert hub_of(HUB, environment) == "https://copy.example.org"
    assert hub_of("https://hub.example.org", environment) == "https://hub.example.org"
    assert hub_of(HUB, {}) == HUB
    with pytest.raises(InvalidDocument, match="HF_ENDPOINT invalid: expected a URL that begins with https or http"):
        hub_of(HUB, {"HF_ENDPOINT": "copy.example.org"})


@pytest.mark.parametrize("token", ["hf_a b", "hf_\u00e9", "hf_a\x7f"])
def test_a_token_that_no_request_can_carry_is_refused_and_not_shown(
    hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(InvalidDocument) as caught:
        digests(hub, "org/tiny", REVISION)
    assert str(caught.value) == "HF_TOKEN invalid: a token has printable ASCII characters alone, and no blanks"
    assert hub.seen == []


def test_a_shell_that_was_made_for_a_closed_network_is_named() -> None:
    program = (
        "from mirror.connected.models.hub import HubRepository\n"
        f"HubRepository('http://127.0.0.1:9', 'org/tiny', {REVISION!r}).files()"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        "cannot be fetched from http://127.0.0.1:9: HF_HUB_OFFLINE is set here"
    )


def test_a_proxy_that_refuses_is_not_taken_for_the_models_owner(hub: LoopbackHub) -> None:
    revision = hub.add("org/tiny", MODEL)
    hub.fail(f"/api/models/org/tiny/revision/{revision}", status=403)
    with pytest.raises(ModelUnavailable, match=r"the hub, or a proxy on the way to it, refuses \(403\)") as caught:
        digests(hub, "org/tiny", revision)
    assert "name a copy of it in HF_ENDPOINT" in caught.value.hint


def test_a_small_file_that_the_hub_cannot_serve_is_named(hub: LoopbackHub) -> None:
    revision = hub.add("org/tiny", MODEL)
    hub.fail(f"/org/tiny/resolve/{revision}/config.json", status=500)
    with pytest.raises(HttpRefused, match=r"resolve/[0-9a-f]{40}/config\.json: the server answers 500"):
        digests(hub, "org/tiny", revision)


@pytest.mark.group(50)
@pytest.mark.parametrize(
    "answer",
    [
        Reply(b"HTTP/1.1 200 OK\r\n\r\n[", again=b"1," * 30_000),
        Reply(b"HTTP/1.1 404 Not Found\r\n\r\n[", again=b"1," * 30_000),
        Reply(b"HTTP/1.1 200 OK\r\n", again=b"X: x\r\n" * 10_000),
        Reply(b"HTTP/1.1 200 OK\r\n\r\n", again=b"1", every_s=0.1),
        Reply(b"HTTP/1.1 302 Found\r\nLocation: /y\r\n\r\n", again=b"x" * 60_000),
        Reply(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n"),
        reply(200, gzip.compress(bytes(1 << 20)), "Content-Encoding: gzip"),
        reply(200, b"[" * 100_000),
        reply(200, b'{"sha": ' + b"9" * 5000 + b"}"),
        reply(200, b'{"sha": "x", "lastModified": "99999-99-99T99:99:99.000Z"}'),
    ],
    ids=["list", "error", "head", "drip", "redirect", "no address", "compressed", "nested", "digits", "time"],
)
def test_a_list_of_files_has_the_limits_of_every_exchange(answer: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mirror.connected.models.hub.MAX_LIST_BYTES", 1 << 20)
    haste = Patience(attempts=1, connect_s=5, read_s=0.5, window_s=0.5, document_s=1.0)
    with (
        ScriptedServer(answer) as server,
        HubRepository(server.url("")[:-1], "org/tiny", "0" * 40, haste) as asked,
        pytest.raises((BadReply, HostUnreachable, HttpRefused, ModelUnavailable)),
    ):
        asked.files()
