"""Each question finds what it is about, and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mirror.core.advisories.known import Advisories, Finding, Remark, Source
from mirror.core.bundle.dossier import FileFacts, Waiver
from mirror.core.policy.document import read_policy
from mirror.review.page import page
from mirror.review.questions.judgement import Judgement
from mirror.review.questions.question import DECIDE, KNOW, LOOK
from tests.support.reports import Case, details, found

A = "wheels/a-1-py3-none-any.whl"
R = "rpms/cuda-crt-1-1.x86_64.rpm"
Z = "redist/cuda_crt-1-archive.tar.xz"


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A bundle in which there is nothing to look at: a wheel and an RPM, all known and well."""
    case = Case(tmp_path)
    case.add(A)
    case.add(R)
    return case


def test_a_bundle_in_which_nothing_is_to_be_looked_at(case: Case) -> None:
    report = case.report()
    assert found(report) == {}
    assert {question.key for question in report.questions if question.unknown} == {
        "replaced", "added", "updated", "relabelled", "rebuilt", "vulnerable", "unjudged", "not-covered", "policy",
    }  # fmt: skip


def test_what_the_hosts_python_brings_is_looked_at_by_the_wheel_that_needs_it(case: Case) -> None:
    case.simulator.host_packages = (("numpy", (("a", ">=2"),)), ("torch", (("a", "==2.11.0"), ("gone", ""))))
    assert found(case.report()) == {"host-packages": [A, A, "gone"]}
    assert details(case.report(), "host-packages") == [
        "uses numpy>=2 of the host's Python",
        "uses torch==2.11.0 of the host's Python",
        "uses torch of the host's Python",
    ]


@pytest.mark.parametrize(
    ("facts", "key", "detail"),
    [
        ({"yanked": "broken"}, "yanked", "broken"),
        ({"hooks": ("a.pth", "sitecustomize.py")}, "hooks", "a.pth, sitecustomize.py"),
        ({"setuid": ("bin/su",)}, "setuid", "bin/su"),
        ({"licence": ""}, "no-licence", "names none"),
        ({"licence_stated": "BSD"}, "licence-words", "BSD"),
        ({"scriptlets": ("%post",)}, "scriptlets", "%post"),
        ({"native": 1}, "native", "1 file"),
        ({"native": 3}, "native", "3 files"),
        ({"gpus": ("sm_80", "sm_100a")}, "gpu", "has sm_80, sm_100a"),
        ({"gpus": ("sm_9",)}, "gpu", "has sm_9"),
        ({"gpus": ("nonsense",)}, "gpu", "has nonsense"),
        ({"glibc": "2.29"}, "glibc", "needs glibc 2.29"),
        ({"glibc": "2.x"}, "glibc", "needs glibc 2.x"),
    ],
    ids=str,
)
def test_a_fact_to_look_at_is_found_once(case: Case, facts: dict[str, Any], key: str, detail: str) -> None:
    path = "wheels/b-1-py3-none-any.whl"
    case.add(path, **facts)
    report = case.report()
    assert found(report) == {key: [path]}
    assert details(report, key) == [detail]


def test_each_waiver_is_told_with_its_reason_and_its_author(case: Case) -> None:
    path = "wheels/b-1-py3-none-any.whl"
    case.add(path, waivers=(Waiver("record-incomplete", "known", "alice"), Waiver("hook", "needed", "bob", "a.pth")))
    report = case.report()
    assert found(report) == {"waived": [path, path]}
    assert details(report, "waived") == [
        "record-incomplete: known \u2014 accepted by alice",
        "hook (a.pth): needed \u2014 accepted by bob",
    ]
    assert [len(question.findings) for question in report.questions if question.findings] == [2]


@pytest.mark.parametrize(
    "facts",
    [
        {"gpus": ("sm_80", "sm_90")},
        {"gpus": ("sm_90a",)},
        {"gpus": ("compute_80",)},
        {"glibc": "2.28"},
        {"glibc": "2.4"},
        {"licence": "Apache-2.0 OR MIT"},
        {"scripts": ("tool",)},
        {"libstdcxx": "3.4.29"},
    ],
    ids=str,
)
def test_a_fact_that_is_in_order_is_no_finding(case: Case, facts: dict[str, Any]) -> None:
    case.add("wheels/b-1-py3-none-any.whl", **facts)
    assert found(case.report()) == {}


def test_without_a_gpu_no_gpu_code_is_missing(case: Case) -> None:
    case.simulator.target = type(case.simulator.target)(python="3.11", arch="x86_64", glibc="2.28")
    case.add("wheels/b-1-py3-none-any.whl", gpus=("sm_80",))
    assert found(case.report()) == {}


def test_what_was_built_here_is_told_with_its_source(case: Case) -> None:
    case.add("wheels/b-1-py3-none-any.whl", origin="built", source_sha256="ab" * 32)
    report = case.report()
    assert found(report) == {"built-here": ["wheels/b-1-py3-none-any.whl"]}
    assert details(report, "built-here") == [f"from the source with sha256 {'ab' * 32}"]


def test_packages_without_a_signature_are_told_and_wheels_are_not(case: Case) -> None:
    case.add(Z)
    case.add("rpms/unsigned-1-1.x86_64.rpm", signer="")
    report = case.report()
    assert found(report) == {"unsigned": [Z, "rpms/unsigned-1-1.x86_64.rpm"]}
    assert details(report, "unsigned") == ["an archive; its publisher signs none", "an RPM without a signature"]


def test_what_came_from_a_directory_is_told(case: Case) -> None:
    case.add("wheels/b-1-py3-none-any.whl", origin="file:///srv/wheels/b.whl")
    report = case.report()
    assert found(report) == {"local": ["wheels/b-1-py3-none-any.whl"]}
    assert details(report, "local") == ["file:///srv/wheels/b.whl"]


def test_what_nothing_asks_for_is_told(case: Case) -> None:
    case.add("wheels/b-1-py3-none-any.whl", asked=False)
    assert found(case.report()) == {"unexplained": ["wheels/b-1-py3-none-any.whl"]}


def test_a_dossier_that_does_not_fit_the_bundle_is_told(case: Case) -> None:
    case.add("wheels/b-1-py3-none-any.whl")
    case.facts[-1] = FileFacts("wheels/ghost-1-py3-none-any.whl", "wheel", licence="MIT")
    report = case.report()
    assert found(report) == {"undescribed": ["wheels/b-1-py3-none-any.whl", "wheels/ghost-1-py3-none-any.whl"]}
    assert details(report, "undescribed") == [
        "the dossier says nothing of it",
        "the dossier tells of it, and it is not in the bundle",
    ]


def test_without_a_dossier_nothing_is_taken_for_clean(case: Case) -> None:
    case.has_dossier = False
    case.add("wheels/b-1-py3-none-any.whl", origin="built")
    report = case.report()
    assert found(report) == {"built-here": ["wheels/b-1-py3-none-any.whl"]}
    unknown = {
        question.key for question in report.questions if question.unknown.startswith("the bundle carries no dossier")
    }
    assert unknown >= {"yanked", "hooks", "setuid", "no-licence", "native", "gpu", "glibc", "unsigned", "waived"}


def test_changes_are_found_by_kind(case: Case, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = Case(tmp_path / "old", sequence=1_780_000_000)
    old.add(A)
    old.add(R, b"other bytes")
    old.add("wheels/b-1-py3-none-any.whl")
    old.add("wheels/c-1-py3-none-any.whl", b"before", origin="built")
    case.add("wheels/b-2-py3-none-any.whl")
    case.add("wheels/c-1-py3-none-any.whl", b"after", origin="built")
    case.add("wheels/d-1-py3-none-any.whl")
    report = case.report(old.contents())
    assert found(report) == {
        "replaced": [R],
        "added": ["wheels/d-1-py3-none-any.whl"],
        "updated": ["wheels/b-2-py3-none-any.whl"],
        "rebuilt": ["wheels/c-1-py3-none-any.whl"],
        "built-here": ["wheels/c-1-py3-none-any.whl"],
    }
    assert details(report, "updated") == ["1 → 2"]
    assert details(report, "added") == [""]
    assert details(report, "replaced")[0].startswith("before: sha256 ")


def advisories(*findings: Finding, **remarks: tuple[Remark, ...]) -> Judgement:
    return Judgement(
        Advisories(Source("dump", "all.zip", date="2026-11-20T08:00:00Z"), (A,), findings=findings, **remarks)
    )


def test_vulnerabilities_are_told_the_worst_first(case: Case) -> None:
    known = advisories(
        Finding(A, "a", "1", "CVE-2026-1", severity="low"),
        Finding(
            A, "a", "1", "CVE-2026-2", severity="critical", score="9.8", summary="runs anything", fixed=("1.1", "2.0")
        ),
    )
    report = case.report(judgement=known)
    assert found(report) == {"vulnerable": [A, A]}
    assert details(report, "vulnerable") == [
        "critical 9.8, CVE-2026-2, fixed in 1.1, 2.0: runs anything",
        "low, CVE-2026-1, no fixed version is named",
    ]
    assert [len(question.findings) for question in report.questions if question.findings] == [2]


def test_what_the_advisories_leave_open_is_told(case: Case) -> None:
    left_open = advisories(
        not_covered=(Remark(R, "no CUDA packages"),), unjudged=(Remark(A, "no version", "GHSA-1"), Remark(A, "odd"))
    )
    report = case.report(judgement=left_open)
    assert found(report) == {"unjudged": [A, A], "not-covered": [R]}
    assert details(report, "unjudged") == ["GHSA-1: no version", "odd"]


def test_advisories_that_found_nothing_are_an_answer(case: Case) -> None:
    report = case.report(judgement=advisories())
    assert found(report) == {}
    assert not next(question for question in report.questions if question.key == "vulnerable").unknown


def policy(path: Path, text: str) -> Judgement:
    path.write_text(text)
    return Judgement(policy=read_policy(path), policy_file="site.toml", today="2026-11-21")


def test_breaches_of_the_policy_are_told(case: Case, tmp_path: Path) -> None:
    report = case.report(judgement=policy(tmp_path / "p.toml", '[licences]\nallowed = ["Apache-2.0"]\n'))
    assert found(report) == {"policy": [A, R]}
    assert details(report, "policy")[0] == "licences: is under 'MIT', the policy allows Apache-2.0"
    assert report.policy_result.policy == "site.toml on 2026-11-21"


def test_a_policy_that_is_kept_is_an_answer(case: Case, tmp_path: Path) -> None:
    report = case.report(judgement=policy(tmp_path / "p.toml", '[licences]\nallowed = ["MIT"]\n'))
    assert found(report) == {}
    assert not next(question for question in report.questions if question.key == "policy").unknown


def test_a_policy_that_cannot_be_applied_is_not_taken_for_kept(case: Case, tmp_path: Path) -> None:
    report = case.report(judgement=policy(tmp_path / "p.toml", '[vulnerabilities]\nblock = ["high"]\n'))
    unknown = next(question for question in report.questions if question.key == "policy").unknown
    assert unknown.startswith("the policy cannot be applied in full: the bundle carries no meta/vulnerabilities.json")


def test_a_policy_that_is_applied_in_part_is_not_said_to_be_unasked(case: Case, tmp_path: Path) -> None:
    rules = '[licences]\nallowed = ["Apache-2.0"]\n[vulnerabilities]\nblock = ["high"]\n'
    report = case.report(judgement=policy(tmp_path / "p.toml", rules))
    (asked,) = (question for question in report.questions if question.key == "policy")
    assert asked.looked == "looked for in part" and len(asked.findings) == 2
    assert "<strong>Looked for in part</strong> (the policy cannot be applied in full: the bundle carries no" in page(
        report
    )
    silent = next(question for question in report.questions if question.key == "vulnerable")
    assert silent.looked == "not looked for" and found(report)


def test_what_the_policy_ignores_is_listed_with_its_reason(case: Case, tmp_path: Path) -> None:
    text = '[vulnerabilities]\nblock = ["high"]\n[[vulnerabilities.ignored]]\nid = "CVE-1"\nreason = "unused"\n'
    known = advisories(Finding(A, "a", "1.0", "CVE-1", severity="high"))
    judgement = dataclasses.replace(policy(tmp_path / "p.toml", text), advisories=known.advisories)
    (detail,) = details(case.report(judgement=judgement), "vulnerable")
    assert detail == "high, CVE-1, no fixed version is named; ignored by the policy: unused, without an end"


def test_questions_are_told_apart_and_the_weighty_ones_come_first(case: Case) -> None:
    questions = case.report().questions
    assert (
        len({question.key for question in questions})
        == len({question.title for question in questions})
        == len(questions)
    )
    order = [[DECIDE, LOOK, KNOW].index(question.weight) for question in questions]
    assert order == sorted(order)
    assert all(question.why.endswith((".", "?")) for question in questions)
