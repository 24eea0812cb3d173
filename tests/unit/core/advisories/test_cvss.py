"""Base scores of CVSS 3, and words for them."""

from __future__ import annotations

import hashlib
import itertools

import pytest

from mirror.core.advisories.cvss import SEVERITIES, base_score, severity_of, worst

METRICS = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
VALUES = ("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN")


@pytest.mark.parametrize(
    ("metrics", "score"),
    [
        ("AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),  # CVE-2013-1937, phpMyAdmin
        ("AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64),  # CVE-2013-0375, MySQL
        ("AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 31),  # CVE-2014-3566, POODLE
        ("AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 99),  # CVE-2012-1516, VMware
        ("AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 42),  # CVE-2009-0783, Tomcat
        ("AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 88),  # CVE-2012-0384, Cisco IOS
        ("AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 78),  # CVE-2015-1098, iWork
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 75),  # CVE-2014-0160, Heartbleed
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),  # CVE-2014-6271, Shellshock
        ("AV:N/AC:H/PR:N/UI:N/S:C/C:N/I:H/A:N", 68),  # CVE-2008-1447, DNS
        ("AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
        ("AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0),
    ],
)
def test_the_published_examples_have_their_scores(metrics: str, score: int) -> None:
    assert base_score(f"CVSS:3.1/{metrics}") == base_score(f"CVSS:3.0/{metrics}") == score


def test_every_vector_has_the_score_of_another_implementation() -> None:
    """The digest was made with the ``cvss`` package of Red Hat's product security, from all 2,592 vectors in this order."""
    vectors = ("/".join(map(":".join, zip(METRICS, values, strict=True))) for values in itertools.product(*VALUES))
    scores = [base_score(f"CVSS:3.1/{vector}") for vector in vectors]
    text = ",".join(f"{score // 10}.{score % 10}" for score in scores if score is not None)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "5f321f7c7911e204e55f67130ebe8a9a7b782938d907d265da46e9389cbc17c3"
    )


def test_other_metrics_do_not_change_the_base_score() -> None:
    assert base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:U/MAV:P") == 98


@pytest.mark.parametrize(
    "vector",
    [
        "",
        "AV:N/AC:L/Au:N/C:P/I:P/A:P",
        "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/A:N",
        "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/",
        "CVSS:3.1/" + "AV:N/" * 100_000 + "A:H",
    ],
)
def test_what_is_no_vector_has_no_score(vector: str) -> None:
    assert base_score(vector) is None


def test_a_score_has_a_word() -> None:
    words = {0: "none", 1: "low", 39: "low", 40: "medium", 69: "medium", 70: "high", 89: "high", 90: "critical"}
    assert {score: severity_of(score) for score in words} == words


def test_unknown_is_no_better_than_anything_and_no_worse_than_what_is_known() -> None:
    assert worst("unknown", "low") == "low" and worst("low", "critical", "high") == "critical"
    assert worst() == "unknown" == SEVERITIES[-1]
