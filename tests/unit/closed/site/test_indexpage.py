from __future__ import annotations

import contextlib
import json

import pytest

from mirror.closed.site.indexpage import listed_files

A, B = "ab" * 32, "CD" * 32
BASE = "http://index.example/simple/left-pad/"


@pytest.mark.parametrize(
    ("page", "name", "url", "digest"),
    [
        (f'<a href="../../files/a.whl#sha256={A}">a.whl</a>', "a.whl", "http://index.example/files/a.whl", A),
        (f"<A HREF='/f/a%2Bcu.whl?x=1#sha256={B}'>", "a+cu.whl", "http://index.example/f/a%2Bcu.whl?x=1", B.lower()),
        (f'<a href="a.whl#egg=x&amp;sha256={A}&amp;y">', "a.whl", f"{BASE}a.whl", A),
        ('<a href="a.whl#md5=00">', "a.whl", f"{BASE}a.whl", ""),
        ('<a href="a.whl#sha256=short">', "a.whl", f"{BASE}a.whl", ""),
        (f'<a href="https://cdn.example/a.whl#sha256={A}">', "a.whl", "https://cdn.example/a.whl", A),
    ],
)
def test_a_link_names_a_file_and_its_digest(page: str, name: str, url: str, digest: str) -> None:
    found = listed_files(page.encode(), "text/html; charset=utf-8", BASE)
    assert {key: (one.url, one.sha256) for key, one in found.items()} == {name: (url, digest)}


def test_json_says_the_same() -> None:
    page = {
        "meta": {"api-version": "1.1"},
        "name": "x",
        "files": [{"url": "a.whl", "hashes": {"sha256": A}, "size": 1}],
    }
    found = listed_files(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json", BASE)
    assert found["a.whl"].sha256 == A


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b'{"files": [{"hashes": {}}]}', "application/json"),
        (b"[]", "application/json"),
        (b'{"files": [{"url": "http://[/", "hashes": {}}]}', "application/json"),
        (b'<a href="http://[/">', "text/html"),
        (b"<![if x]>" * 10 + b"<!foo[", "text/html"),
    ],
)
def test_a_page_that_is_none_is_a_value_error_or_lists_nothing(data: bytes, kind: str) -> None:
    with contextlib.suppress(ValueError):
        assert listed_files(data, kind, BASE) == {}
