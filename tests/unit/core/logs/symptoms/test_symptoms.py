"""The rows of CUDA.md section E: each has a symptom and a test, and each is found in what its tool prints."""

from __future__ import annotations

import re
import string
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mirror.core.logs.explained.log import explain
from mirror.core.logs.layers import LAYERS
from mirror.core.logs.symptom import Context, Symptom, bring, package_of
from mirror.core.logs.symptoms import BY_ROW, CONSEQUENCES, SYMPTOMS
from tests.support.symptoms import ROWS, Excerpt, excerpts, made_tests

EXCERPTS = excerpts()
SILENT = {"57", "58"}
"""Rows that print nothing: ``mirror.closed.doctor.installed.caches`` looks for them."""

RELEASES = (("-12-1", "12.1"), ("-12-6", "12.6"), ("-12-8", "12.8"), ("-13-0", "13.0"), ("-13-3", "13.3"))


def context_of(excerpt: Excerpt) -> Context:
    return Context(next((release for end, release in RELEASES if excerpt.words.endswith(end)), ""))


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=lambda excerpt: excerpt.name)
def test_what_a_tool_prints_is_told_as_its_row_and_as_no_other(excerpt: Excerpt) -> None:
    explanation = explain(excerpt.text.splitlines(), context_of(excerpt))
    assert [sighting.finding.row for sighting in explanation.sightings] == [excerpt.row]
    (sighting,) = explanation.sightings
    assert sighting.line == excerpt.line
    assert excerpt.words in f"{sighting.finding.what} {sighting.finding.fix} {sighting.finding.cause}"
    assert sighting.finding.proof.startswith(f"line {excerpt.line}")


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=lambda excerpt: excerpt.name)
def test_and_so_it_is_behind_a_prefix_of_a_log_collector(excerpt: Excerpt) -> None:
    prefix = "2026-11-21T05:01:13.123456789Z stdout F [rank3]: "
    explanation = explain(prefix + line for line in excerpt.text.splitlines())
    assert [sighting.finding.row for sighting in explanation.sightings] == [excerpt.row]


def test_each_row_has_a_symptom_and_a_test() -> None:
    assert list(dict.fromkeys(symptom.row for symptom in SYMPTOMS)) == list(ROWS)
    tested = {excerpt.row for excerpt in EXCERPTS} | set(made_tests())
    assert tested == set(ROWS)
    assert set(ROWS) - {excerpt.row for excerpt in EXCERPTS} == SILENT | {"17"}, "17 prints what 16 does"


def test_a_row_without_words_has_a_test_that_makes_it() -> None:
    assert {symptom.row for symptom in SYMPTOMS if not symptom.fragments} == SILENT
    assert set(made_tests()) >= SILENT


@pytest.mark.parametrize("symptom", (*SYMPTOMS, *CONSEQUENCES), ids=lambda symptom: f"{symptom.row}-{symptom.subject}")
def test_a_symptom_says_all_that_it_must(symptom: Symptom) -> None:
    known = {"file", "rpm", "bring"}
    for pattern in (symptom.pattern, symptom.lead, symptom.near):
        known |= {name.rstrip("0123456789") for name in re.compile(pattern).groupindex}
    if symptom.row in SILENT:
        known |= {"path", "was", "now", "first", "holder"}
    for name in ("what", "cause", "check", "fix", "file"):
        text = getattr(symptom, name)
        assert {field for _, field, _, _ in string.Formatter().parse(text) if field} <= known, name
        assert "\n" not in text and (name == "file" or not text.endswith(".")), (
            f"{name} is one line, without a full stop"
        )
    assert symptom.what and symptom.cause and symptom.fix
    assert symptom.check or not symptom.row
    for fragment in symptom.fragments:
        assert len(fragment) >= 6 and not set(fragment) & set("`\u2018\u2019\u201c\u201d\n"), fragment


def test_rows_that_others_speak_of_are_there() -> None:
    for symptom in SYMPTOMS:
        assert {*symptom.over, *symptom.explains} <= set(BY_ROW)
        assert symptom.row not in {*symptom.over, *symptom.explains}
        if symptom.over:
            assert not {symptom.row} & {row for other in symptom.over for row in BY_ROW[other].over}, (
                "over goes one way"
            )


def test_no_pattern_has_a_repeat_without_a_bound_that_could_run_away() -> None:
    for symptom in SYMPTOMS:
        for pattern in (symptom.pattern, symptom.lead, symptom.near):
            bare = re.sub(r"\[[^\]]*\]|\\.", "x", pattern)
            assert not re.search(r"[*+](?![?+]?\))|\.\*", bare.replace("g++", "gxx")), f"row {symptom.row}: {pattern}"


@pytest.mark.parametrize(
    ("file", "release", "package"),
    [
        ("nv/target", "12.8", "cuda-cccl-12-8"),
        ("nv/target", "13.3", "cccl-13-3"),
        ("nvvm/bin/cicc", "12.8", "cuda-nvvm-12-8"),
        ("nvvm/bin/cicc", "", "cuda-nvvm-X-Y or libnvvm-X-Y"),
        ("crt/host_config.h", "", "cuda-crt-X-Y"),
        ("nobody_knows.h", "13.0", ""),
    ],
)
def test_an_rpm_is_named_as_its_release_calls_it(file: str, release: str, package: str) -> None:
    assert package_of(file, release) == package


def test_the_step_depends_on_what_is_installed() -> None:
    missing = bring("nv/target", Context("13.0", ("cuda-crt-13-0",)))
    assert missing == 'add "cuda-cccl-13-0" to packages under [rpms] in NAME.toml, then lock, bundle and install again'
    there = bring("nv/target", Context("13.0", ("cuda-cccl-13-0",), env_script="/p/env.sh"))
    assert there.startswith("cuda-cccl-13-0 is part of this install, so another toolkit was used: ")
    assert there.endswith("a shell that ran '. /p/env.sh'")
    assert bring("nobody_knows.h", Context("13.0")).startswith("ask 'mirror which nobody_knows.h'")


def test_words_of_a_log_are_quoted_where_they_become_a_command() -> None:
    text = "sh: 1: /data/$(touch${IFS}x);/nvcc: Permission denied"
    (sighting,) = explain([text]).sightings
    assert sighting.finding.fix.startswith("chmod +x '/data/$(touch${IFS}x);/nvcc'")
    assert "findmnt -no OPTIONS -T '/data/" in sighting.finding.proof


def test_the_table_has_a_line_for_each_row() -> None:
    script = Path(__file__).parents[5] / "scripts" / "doctor-table"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    head, rule, *lines = done.stdout.splitlines()
    assert head.count("|") == rule.count("|") == 7
    assert [line.split("|")[1].strip() for line in lines] == list(ROWS)
    assert {line.split("|")[2].strip() for line in lines} <= set(LAYERS)
    kinds = {line.split("|")[1].strip(): line.split("|")[6].strip() for line in lines}
    assert kinds["57"] == "made here"
    assert set(kinds.values()) == {"made here", "text", "made here, text"}


def test_a_symptom_is_made_of_what_its_rows_need() -> None:
    assert {field.name for field in fields(Symptom)} >= {"row", "what", "cause", "check", "fix", "fragments"}
