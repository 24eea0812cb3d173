"""A download names plain files at http(s) and file URLs, and never shows a secret."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mirror.connected.fetching.download import Download, clean_url, redacted, redacted_words
from mirror.connected.stack.models import hub_url
from mirror.core.names import index_url, sha256_hex

DIGEST = sha256_hex("0" * 64)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/simple/a/", "https://example.org/simple/a/"),
        ("https://user:secret@example.org:8443/a.whl", "https://example.org:8443/a.whl"),
        ("https://secret@example.org/a.whl?token=secret#secret", "https://example.org/a.whl"),
        ("https://user:p@secret@example.org/a.whl", "https://example.org/a.whl"),
        ("file:///srv/a.whl", "file:///srv/a.whl"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown
    assert Download(url, "a.whl", DIGEST).shown_url == shown


NO_URLS = ("http://[x/", "http://[::1/", "http://exam\u2100ple/", "http://h:99999/", "http://h:abc/", "http://h:-1/",
           "http://h:+8/", "http://h:\u0663/",
           "http://u:pass?w@h/", "http://\u0661\u0662\u0667.0.0.1:1/", "http://m\u00fcnchen.example/", "http://a..b/",
           "http://*/", "http://[v1.x]/", "http://a\0b/", "http://h/\n", "http://h/\u202e",
           f"http://{'a' * 300}/", "http://:80/", "http://127.0.0.1\\@evil/")  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
@pytest.mark.parametrize("check", [clean_url, index_url, hub_url])
def test_a_url_whose_host_and_port_cannot_be_asked_for_is_refused_without_its_secrets(
    check: Callable[[str], str], url: str
) -> None:
    with pytest.raises(ValueError, match=r"expected a |a query in") as caught:
        check(url)
    assert "pass" not in str(caught.value) and "a\0b" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8080/", "https://[::1]:1/", "http://[fe80::1%25eth0]/", "https://a_b.xn--mnchen-3ya.example./x y/",
     "file:///srv/a b"],
)  # fmt: skip
def test_a_url_that_can_be_asked_for_is_taken(url: str) -> None:
    assert clean_url(url) == index_url(url) == url


def test_a_url_that_cannot_be_read_is_not_shown() -> None:
    assert redacted("http://[x?token=secret") == "a URL that cannot be read"


@pytest.mark.group(78)
def test_what_a_program_says_is_shown_without_the_secrets_of_its_urls() -> None:
    words = "cause: Failed to fetch: `http://u:s@cret@h:1/a.whl?token=secret`\n  caused by: (http://h/x) and file:///a/b, http://["
    assert redacted_words(words) == (
        "cause: Failed to fetch: `http://h:1/a.whl`\n  caused by: (http://h/x) and file:///a/b, a URL that cannot be read"
    )


@pytest.mark.group(78)
@pytest.mark.parametrize("url", ["http://h/simple/?token=secret", "http://h/simple/#secret"])
def test_an_index_and_a_hub_have_no_query_in_their_url(url: str) -> None:
    for check, step in ((index_url, "netrc"), (hub_url, "HF_TOKEN")):
        with pytest.raises(ValueError, match=f"a query in .* URL is refused: .*{step}") as caught:
            check(url)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.org/a", "javascript:1", "a.whl", "git+https://example.org/a", ""])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an http, https or file URL"):
        Download(url, "a.whl", DIGEST)


@pytest.mark.parametrize(
    "name", ["torch-2.11.0+cu130-cp311-cp311-linux_x86_64.whl", "a-1~rc1^2-1.x86_64.rpm", "a_b-1!2.tar.gz"]
)
def test_names_of_wheels_sdists_and_rpms_are_taken(name: str) -> None:
    assert Download("https://example.org/x", name, DIGEST).filename == name


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", ".hidden", "a b", "a\n", "a\0", "-rf", "a" * 256])
def test_names_that_are_no_plain_file_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a plain file name"):
        Download("https://example.org/x", name, DIGEST)


def test_a_size_of_nothing_counts_as_unknown() -> None:
    empty = Download("https://example.org/a.whl", "a.whl", DIGEST, size=0, size_hint=0)
    assert (empty.size, empty.size_hint, empty.likely_size) == (None, None, None)


def test_the_locked_size_goes_before_a_hint() -> None:
    assert Download("https://example.org/a.whl", "a.whl", DIGEST, size=5, size_hint=7).likely_size == 5
    assert Download("https://example.org/a.whl", "a.whl", DIGEST, size_hint=7).likely_size == 7
