from __future__ import annotations

import pytest

from mirror.closed.doctor.host.proxies import judge_proxies, proxies, redacted
from mirror.core.logs.finding import NOTE, WARNING


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://me:secret@proxy:3128/", "http://***@proxy:3128/"),
        ("http://me:s@cret@proxy:3128", "http://***@proxy:3128"),
        ("http://me:s/cret@proxy:3128", "http://***@proxy:3128"),
        ("me:secret@proxy:3128", "***@proxy:3128"),
        ("socks5h://token@proxy", "socks5h://***@proxy"),
    ],
)
def test_nothing_before_the_hosts_name_is_shown(url: str, shown: str) -> None:
    assert "secret" not in redacted(url)
    assert "cret" not in redacted(url)
    assert redacted(url) == shown


def test_a_proxy_without_exceptions_for_this_host_is_a_warning() -> None:
    (found,) = judge_proxies({"HTTPS_PROXY": "http://me:secret@proxy:3128", "no_proxy": "10.0.0.0/8"})
    assert found.level == WARNING
    assert "HTTPS_PROXY=http://***@proxy:3128" in found.what
    assert "secret" not in str(found)


@pytest.mark.parametrize("exempt", ["localhost, 127.0.0.1", "127.0.0.1", "*"])
def test_a_proxy_with_them_is_a_note(exempt: str) -> None:
    assert [finding.level for finding in judge_proxies({"http_proxy": "http://p:1", "NO_PROXY": exempt})] == [NOTE]


def test_none_is_none() -> None:
    assert list(judge_proxies({"http_proxy": "", "proxy": "x"})) == []
    assert proxies({"all_proxy": "p"}) == {"all_proxy": "p"}
