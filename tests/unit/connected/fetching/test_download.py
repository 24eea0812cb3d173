"""A download names plain files at http(s) and file URLs, and never shows a secret."""

from __future__ import annotations

import pytest

from mirror.connected.fetching.download import Download, redacted
from mirror.core.names import sha256_hex

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
