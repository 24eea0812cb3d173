"""Index pages, HTML or JSON, from a server that may misbehave."""

from __future__ import annotations

import json as documents
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import BadReply, HostUnreachable, HttpRefused
from mirror.connected.index.pages import Index, ProjectNotOnIndex
from mirror.connected.index.simplepage import file_of, files_of, parse_page
from mirror.core.names import Sha256Hex, project_name
from tests.support.index import LoopbackIndex, LoopbackServer
from tests.support.wheels import make_sdist, make_wheel, sha256_of

A = project_name("a-b")
URL = "https://index.example.org/simple/left-pad/"
IMPATIENT = Patience(attempts=1)


@pytest.mark.parametrize("json", [True, False])
def test_html_and_json_say_the_same(tmp_path: Path, json: bool) -> None:
    wheel = make_wheel(tmp_path, "a-b", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64", build="2")
    sdist = make_sdist(tmp_path, "a-b", "1.0")
    with LoopbackIndex() as server, Index(server.url) as index:
        server.json = json
        url = server.add(wheel, requires_python=">=3.10", yanked="broken & sad")
        server.add(sdist)
        server.add(make_wheel(tmp_path, "a-b", "2.0"))

        assert set(index.versions(A)) == {"1", "2"}
        one, other = index.files(A, "1.0")

    assert (one.filename, one.url, one.sha256, one.kind) == (wheel.name, url, sha256_of(wheel), "wheel")
    assert (one.version, one.build, one.requires_python, one.yanked) == ("1.0", (2, ""), ">=3.10", "broken & sad")
    assert [str(tag) for tag in one.tags] == ["cp311-cp311-manylinux_2_28_x86_64"]
    assert (other.kind, other.yanked, other.sha256) == ("sdist", None, sha256_of(sdist))
    assert (one.size, one.upload_time) == ((wheel.stat().st_size, 1767225600) if json else (None, None))


def test_a_page_is_asked_for_once(tmp_path: Path) -> None:
    with LoopbackIndex() as server, Index(server.url) as index:
        server.add(make_wheel(tmp_path, "a-b", "1.0"))
        index.prefetch_versions([A, A])
        index.prefetch([(A, "1.0")])
        index.files(A, "1.0")
        index.versions(A)
        assert server.count("/simple/a-b/") == 1


def test_the_files_of_a_version_are_asked_for_once(tmp_path: Path) -> None:
    with LoopbackIndex() as server, Index(server.url) as index:
        server.add(make_wheel(tmp_path, "a-b", "1.0"))
        index.prefetch([(A, "1.0"), (A, "1.0")])
        assert len(index.files(A, "1.0")) == len(index.files(A, "1.0.0")) == 1
        assert server.count("/simple/a-b/") == 1


def test_versions_have_one_spelling(tmp_path: Path) -> None:
    with LoopbackIndex() as server, Index(server.url) as index:
        for version in ("1.0.RC1", "2.0+CU128", "1!2.0", "3"):
            server.add(make_wheel(tmp_path, "a-b", version))
        server.add(make_sdist(tmp_path, "a-b", "3.0.0"))
        assert index.versions(A) == ("1rc1", "2+cu128", "1!2", "3")
        assert [file.version for file in index.files(A, "2.0+cu128")] == ["2.0+cu128"]
        assert [file.kind for file in index.files(A, "3.0")] == ["wheel", "sdist"]


def test_a_project_may_have_an_index_of_its_own(tmp_path: Path) -> None:
    with LoopbackIndex() as common, LoopbackIndex() as own, Index(common.url, {A: own.url}) as index:
        common.add(make_wheel(tmp_path, "a-b", "9.0"))
        own.add(make_wheel(tmp_path, "a-b", "1.0"))
        assert index.versions(A) == ("1",)
        assert common.seen == []


def test_what_can_be_no_part_of_a_lock_is_not_seen() -> None:
    digest = "#sha256=" + "a" * 64
    names = ["a_b-1.0.egg", "a_b-1.0.zip", "a-b-1.0.exe", "a_b-1.0-py3.whl", "other-1.0-py3-none-any.whl", "junk"]
    html = "".join(f'<a href="../{name}{digest}">{name}</a>' for name in names)
    html += f'<a href="ftp://x/a_b-1.0-py2-none-any.whl{digest}">a_b-1.0-py2-none-any.whl</a>'
    with LoopbackIndex() as server, Index(server.url) as index:
        server.serve("/simple/a-b/", html.encode(), "text/html")
        assert index.files(A, "1.0") == ()
        assert "" not in index.versions(A)


def test_a_file_without_a_sha256_is_seen_and_hashed_when_it_is_wanted(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a-b", "1.0")
    html = f'<a href="../../{wheel.name}#md5=abc">{wheel.name}</a>'
    with LoopbackIndex() as server, Index(server.url) as index:
        server.serve("/simple/a-b/", html.encode(), "text/html")
        server.serve(f"/{wheel.name}", wheel.read_bytes())
        (file,) = index.files(A, "1.0")
        assert (file.filename, file.sha256) == (wheel.name, "")
        assert index.hashed(file).sha256 == sha256_of(wheel)
        assert index.hashed(replace(file, sha256=Sha256Hex("a" * 64))).sha256 == "a" * 64


def test_a_page_of_links_has_several_projects_and_each_finds_its_own(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, name, "1.0") for name in ("a-b", "c")]
    html = "".join(f'<a href="/{wheel.name}#sha256={sha256_of(wheel)}">{wheel.name}</a>' for wheel in wheels)
    with LoopbackServer() as server:
        url = server.serve("/wheels.html", html.encode(), "text/html")
        with Index(special={A: url, project_name("d"): url}, flat=[url]) as index:
            assert [file.filename for file in index.files(A, "1.0")] == [wheels[0].name]
            with pytest.raises(ProjectNotOnIndex):
                index.versions(project_name("d"))


def test_a_project_that_is_not_there_is_named() -> None:
    with LoopbackIndex() as server, Index(server.url) as index, pytest.raises(ProjectNotOnIndex) as caught:
        index.versions(A)
    assert str(caught.value) == f"a-b is asked for, but the index {server.url} has no such project"


def test_credentials_of_an_index_are_not_shown() -> None:
    with LoopbackIndex() as server:
        url = server.url.replace("//", "//user:secret@")
        with Index(url) as index, pytest.raises(ProjectNotOnIndex) as caught:
            index.versions(A)
    assert "secret" not in str(caught.value)


def test_a_server_that_recovers_is_asked_again(tmp_path: Path) -> None:
    with LoopbackIndex() as server, Index(server.url) as index:
        server.add(make_wheel(tmp_path, "a-b", "1.0"))
        server.fail("/simple/a-b/", status=503, times=1)
        assert index.versions(A) == ("1",)
        server.fail("/simple/a-c/", status=503)
        with pytest.raises(HttpRefused, match="503"):
            index.versions(project_name("a-c"), IMPATIENT)


def test_a_page_that_is_cut_short_is_asked_for_again(tmp_path: Path) -> None:
    with LoopbackIndex() as server, Index(server.url) as index:
        server.add(make_wheel(tmp_path, "a-b", "1.0"))
        server.fail("/simple/a-b/", cut_after=20, times=1)
        assert index.versions(A) == ("1",)
        assert server.count("/simple/a-b/") == 2


def test_a_dead_server_is_named() -> None:
    with LoopbackIndex() as server:
        url = server.url
    with Index(url) as index, pytest.raises(HostUnreachable) as caught:
        index.versions(A, IMPATIENT)
    assert url.split("/")[2] in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"{", b'{"files": 1}', b'{"meta": {"api-version": "9.0"}, "name": "a-b", "files": []}', b"{}"]
)
def test_a_body_that_is_no_page_is_refused(data: bytes) -> None:
    with pytest.raises(BadReply, match="no page of a package index"):
        parse_page(data, "https://user:secret@example.org/simple/a-b/")


@pytest.mark.group(50)
@pytest.mark.parametrize(
    "body",
    [
        b"<a href=" * 100_000,
        b"<a " * 100_000,
        b"<a href='x' " * 100_000,
        b'<a href="' * 100_000,
        b"<!--" * 100_000,
        b"<![CDATA[" * 100_000,
        b"<a " + b"x" * 1_000_000,
    ],
    ids=range(7),
)
def test_a_page_of_tags_without_end_is_refused_at_once(body: bytes) -> None:
    """Python's parser looks for the end of each as far as the page goes: an hour for the first of these."""
    start = time.monotonic()
    with pytest.raises(BadReply, match="no page of a package index"):
        parse_page(body, URL)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "body",
    [
        b'<html><head><meta charset="zip"></head><body><a href="x">x</a></body></html>',
        b'<html><head><meta charset="no-such"></head><body><a href="x">x</a></body></html>',
        b'<html><head><meta charset="hex"></head><body><a href="x">x</a></body></html>',
        b"<html><body><![-><br/></body></html>",
        b'<html><head><base href="http://[::1"></head><body><a href="x">x</a></body></html>',
        b'{"meta": {"api-version": "1.0"}, "name": "a", "files": ' + b"[" * 100_000 + b"}",
        b'{"meta": {"api-version": "1.0"}, "name": "a", "files": [' + b"9" * 5000 + b"]}",
        b'{"meta": {"api-version": ' + b"9" * 5000 + b'}, "name": "a", "files": []}',
        b'{"meta": 1e999}',
    ],
    ids=range(9),
)
def test_whatever_the_parsers_underneath_raise_it_is_no_page(body: bytes) -> None:
    with pytest.raises(BadReply, match="no page of a package index"):
        parse_page(body, URL)


@pytest.mark.parametrize("version", ["9" * 5000, "1." + "9" * 5000, "1+" + "9" * 5000, "\u00b2"])
def test_a_file_of_a_version_that_is_none_hides_no_other(version: str) -> None:
    names = (f"left_pad-{version}-py3-none-any.whl", f"left_pad-{version}.tar.gz", "left_pad-1.0-py3-none-any.whl")
    links = "".join(f'<a href="{name}">{name}</a>' for name in names)
    assert list(parse_page(f"<html><body>{links}</body></html>".encode(), URL)) == ["1"]


def test_a_link_to_what_is_no_address_is_not_seen() -> None:
    files = [
        {"filename": f"left_pad-{number}.0-py3-none-any.whl", "url": url, "hashes": {}}
        for number, url in enumerate(("http://h/left_pad-0.0-py3-none-any.whl", "mailto:x", "http://h:x/y"))
    ]
    page = parse_page(
        documents.dumps({"meta": {"api-version": "1.0"}, "name": "left-pad", "files": files}).encode(), URL
    )
    seen = [file_of(project_name("left-pad"), link) for links in page.values() for link in links]
    assert [one and one.url for one in seen] == ["http://h/left_pad-0.0-py3-none-any.whl", "http://h:x/y"]


@pytest.mark.group(50)
@pytest.mark.parametrize("form", ["json", "html"])
def test_what_a_servers_page_says_of_files_of_this_machine_is_passed_over(form: str) -> None:
    urls = [
        "file:///dev/zero",
        "file:///etc/shadow",
        "FILE:///x",
        "a-1-py3-none-any.whl",
        "https://e.org/b.whl",
    ]
    if form == "json":
        files = [{"filename": "a-1-py3-none-any.whl", "url": url, "hashes": {}} for url in urls]
        data = documents.dumps({"meta": {"api-version": "1.0"}, "name": "a", "files": files}).encode()
    else:
        data = "".join(f'<a href="{url}">a-1-py3-none-any.whl</a>' for url in urls).encode()

    def found(page: str) -> list[str]:
        (links,) = parse_page(data, page).values()
        return [file.url for file in files_of(project_name("a"), links)]

    assert found("http://i.example.org/simple/a/") == [
        "http://i.example.org/simple/a/a-1-py3-none-any.whl", "https://e.org/b.whl",
    ]  # fmt: skip
    assert "file:///etc/shadow" in found("file:///srv/simple/a/index.html")
