"""The document of what is known: strict, and the same bytes for the same knowledge."""

from __future__ import annotations

import json
from typing import Any, Callable

import pytest

from mirror.core.advisories.known import Advisories, Finding, Remark, Source
from mirror.core.errors import InvalidDocument

PATH = "wheels/torch-2.11.0-py3-none-any.whl"
FINDING = Finding(
    PATH,
    "torch",
    "2.11.0",
    "CVE-1",
    ("GHSA-1",),
    "critical",
    "9.8",
    "it opens a door",
    ("2.12",),
    "2026-11-20T08:00:00Z",
)
FULL = Advisories(
    Source("dump", "all.zip", "a" * 64, "2026-11-20T08:00:00Z", 10, 1),
    (PATH,),
    (Remark("rpms/a.rpm", "the source knows no CUDA packages"),),
    (Remark(PATH, "it names no versions", "CVE-2"),),
    (FINDING, Finding(PATH, "torch", "2.11.0", "CVE-3")),
)


def test_it_is_read_as_it_was_written() -> None:
    assert Advisories.parse(FULL.encode()) == FULL
    assert Advisories.parse(FULL.encode()).encode() == FULL.encode()
    empty = Advisories(Source("api", "http://127.0.0.1/"), ())
    assert Advisories.parse(empty.encode()) == empty


def changed(change: Callable[[Any], object]) -> bytes:
    document = json.loads(FULL.encode())
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d.update(format="mirror-vulnerabilities/2"), "Advisories invalid at 'format': this mirror reads"),
        (lambda d: d.update(more=1), "at 'more': unknown key"),
        (lambda d: d["source"].update(kind="rumour"), "at 'source.kind': expected one of api, dump, got 'rumour'"),
        (lambda d: d["source"].update(more=1), "at 'source.more': unknown key"),
        (lambda d: d["source"].pop("date"), "at 'source.date': missing"),
        (lambda d: d["findings"][1].update(severity="bad"), r"at 'findings\[1\].severity': expected one of critical, "),
        (lambda d: d["findings"][1].update(path="/etc/passwd"), r"at 'findings\[1\].path': expected a path"),
        (lambda d: d["findings"][0].update(more=1), r"at 'findings\[0\].more': unknown key"),
        (lambda d: d["unjudged"][0].update(more=1), r"at 'unjudged\[0\].more': unknown key"),
        (lambda d: d.update(looked_at=["../x"]), r"at 'looked_at\[0\]': expected a path"),
    ],
)
def test_what_breaks_its_form_is_refused(change: Callable[[Any], object], problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        Advisories.parse(changed(change))


def test_a_finding_is_a_sentence() -> None:
    assert str(FINDING) == "torch 2.11.0: CVE-1, critical 9.8, fixed in 2.12: it opens a door"
    assert str(FULL.findings[1]) == "torch 2.11.0: CVE-3, unknown, no fixed version is named"


def test_all_of_it_is_a_sentence() -> None:
    assert FULL.counts() == "1 critical, 1 unknown"
    assert FULL.summary() == (
        "known vulnerabilities by all.zip of 2026-11-20: 1 critical, 1 unknown; 1 files are not covered by it; "
        "1 of its records could not be judged; 1 of its records could not be read"
    )
