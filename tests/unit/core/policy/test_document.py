"""policy.toml: strict, and the example of its own documentation."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.policy import document as module
from mirror.core.policy.document import FileRule, Ignored, LicenceRule, Policy, VulnerabilityRule, read_policy


def test_the_documented_example_is_read(tmp_path: Path) -> None:
    assert module.__doc__
    example = textwrap.dedent(module.__doc__.split("rules nothing::\n")[1].split("Rules:")[0])
    (tmp_path / "policy.toml").write_text(example)
    assert read_policy(tmp_path / "policy.toml") == Policy(
        LicenceRule(
            ("Apache-2.0", "BSD-3-Clause", "MIT"),
            ("NVIDIA Proprietary Software",),
            False,
            (("nvidia-cudnn-cu13", "our contract with NVIDIA covers it"),),
        ),
        VulnerabilityRule(
            ("critical", "high", "unknown"),
            (Ignored("CVE-2026-0001", "the HTTP server is not used here", "2026-12-31"),),
        ),
        ("alice",),
        (
            ("hooks", FileRule(("setuptools",))),
            ("native", FileRule(True)),
            ("setuid", FileRule(False)),
            ("unsigned", FileRule(True)),
            ("built", FileRule(True)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "policy.toml invalid: it has no rule: it needs [licences], [vulnerabilities], [waivers] or [files]"),
        ("[files]", "policy.toml invalid: it has no rule"),
        ("[licenses]", "policy.toml invalid at 'licenses': unknown key"),
        ("[licences]\n", "policy.toml invalid at 'licences.allowed': missing"),
        ("[licences]\nallowed = ['MIT or so']", "at 'licences.allowed[0]': expected an SPDX licence"),
        ("[licences]\nallowed = []\nmore = 1", "at 'licences.more': unknown key"),
        ("[licences]\nallowed = []\n[[licences.exception]]\nname = 'x'", "at 'licences.exception[0].reason': missing"),
        (
            "[licences]\nallowed = []\n[[licences.exception]]\nname = 'x'\nreason = ' '",
            "at 'licences.exception[0].reason': a reason is needed",
        ),
        ("[vulnerabilities]", "at 'vulnerabilities.block': missing"),
        ("[vulnerabilities]\nblock = ['bad']", "at 'vulnerabilities.block[0]': expected one of critical, high,"),
        ("[vulnerabilities]\nblock = []\n[[vulnerabilities.ignored]]\nid = 'CVE-1'", "ignored[0].reason': missing"),
        (
            "[vulnerabilities]\nblock = []\n[[vulnerabilities.ignored]]\nid = 'CVE-1'\nreason = 'x'\nexpires = '2026-13-01'",
            "at 'vulnerabilities.ignored[0].expires': expected a date such as '2026-12-31', got '2026-13-01'",
        ),
        (
            "[vulnerabilities]\nblock = []\n[[vulnerabilities.ignored]]\nid = 'CVE-1'\nreason = 'x'\nexpires = '20261231'",
            "expected a date such as",
        ),
        ("[waivers]\n", "at 'waivers.by': missing"),
        ("[waivers]\nby = 'alice'", "at 'waivers.by': expected list, got str"),
        ("[files]\nhooks = 'no'", "at 'files.hooks': expected bool, got str"),
        ("[files]\nhook = false", "at 'files.hook': unknown key"),
        ("files = 1", "at 'files': expected dict, got int"),
        (
            "[licences\n",
            "policy.toml invalid: not valid TOML: Expected ']'",
        ),
    ],
)
def test_what_would_not_rule_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Policy.parse(text.encode())
    assert problem in str(caught.value)


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"policy\.toml"):
        read_policy(tmp_path / "policy.toml")


def test_what_is_ignored_counts_up_to_its_last_day() -> None:
    one = Ignored("CVE-1", "x", "2026-12-31")
    assert one.counts("2026-12-31") and not one.counts("2027-01-01") and Ignored("CVE-1", "x").counts("2999-01-01")


def test_an_empty_list_allows_nothing() -> None:
    policy = Policy.parse(b"[waivers]\nby = []\n[files]\nhooks = []\n")
    assert policy.waivers == () and policy.needs_dossier
    assert not dict(policy.files)["hooks"].allows_for("x")
