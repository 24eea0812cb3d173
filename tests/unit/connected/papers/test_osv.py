"""Asking an advisory database, by its API on the loopback or by a dump; and the whole way of its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror.cli import main
from mirror.connected.bundle import bundle
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import BadReply, HostUnreachable, HttpRefused
from mirror.connected.papers.osv import ask
from mirror.core.advisories.known import PATH, Advisories
from mirror.core.bundle.reader import open_bundle
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import FactsMissing, PolicyBreached
from mirror.core.trust.truststore import TrustStore
from tests.support.osv import CRITICAL, OsvServer, record, wheel, write_dump, write_zip
from tests.unit.connected.test_bundle import World, world

__all__ = ["world"]

TORCH, UV = wheel("torch", "2.11.0+cu130"), wheel("uv", "0.9")
HASTE = Patience(attempts=2, first_wait_s=0.01, connect_s=5, read_s=5)
RECORDS = (
    record("GHSA-1", "torch", fixed="2.12", aliases=["CVE-1"], vector=CRITICAL),
    record("PYSEC-1", "torch", fixed="2.12", aliases=["CVE-1"]),
    record("GHSA-2", "uv", fixed="0.8"),
)
FOUND = {("torch", "2.11.0"): ["GHSA-1", "PYSEC-1"], ("uv", "0.9"): ["GHSA-2"]}


def test_the_api_and_a_dump_of_it_say_the_same(tmp_path: Path) -> None:
    with OsvServer(*RECORDS, found={("torch", "2.11.0"): ["GHSA-1", "PYSEC-1"]}) as server:
        known = ask(server.origin, [TORCH, UV], patience=HASTE)
        assert ask(server.origin + "/v1/", [TORCH, UV], patience=HASTE).encode() == known.encode()
    dumped = ask(str(write_dump(tmp_path / "dump", *RECORDS)), [TORCH, UV])
    assert [one.id for one in known.findings] == ["CVE-1"] and known.findings == dumped.findings
    assert (known.source.kind, known.source.name, known.source.records) == ("api", server.origin, 2)
    assert server.questions[0]["queries"] == [
        {"package": {"name": "torch", "ecosystem": "PyPI"}, "version": "2.11.0"},
        {"package": {"name": "uv", "ecosystem": "PyPI"}, "version": "0.9"},
    ]
    assert ask((tmp_path / "dump").as_uri(), [TORCH, UV]) == dumped


def test_what_the_api_names_and_its_record_does_not_is_told() -> None:
    withdrawn = record("GHSA-3", "uv", withdrawn="2026-01-01T00:00:00Z")
    found = {**FOUND, ("uv", "0.9"): ["GHSA-2", "GHSA-3"]}
    with OsvServer(*RECORDS, withdrawn, found=found) as server:
        known = ask(server.origin, [TORCH, UV], patience=HASTE)
    assert [(one.path, one.id, one.reason) for one in known.unjudged] == [
        (UV.path, "GHSA-2", "the source names it, its own versions do not")
    ]


def test_an_answer_in_pages_is_read_to_its_end() -> None:
    records = [record(f"GHSA-{number}", "torch") for number in range(5)]
    with OsvServer(*records, found={("torch", "2.11.0"): [one["id"] for one in records]}) as server:
        server.page = 2
        known = ask(server.origin, [TORCH, UV], patience=HASTE)
    assert len(known.findings) == 5
    assert [len(one["queries"]) for one in server.questions] == [2, 1, 1]


def test_more_questions_than_the_api_takes_are_asked_in_turns() -> None:
    with OsvServer(found={("p7", "1"): []}) as server:
        known = ask(server.origin, [wheel(f"p{number}", "1") for number in range(1001)], patience=HASTE)
    assert [len(one["queries"]) for one in server.questions] == [1000, 1] and len(known.looked_at) == 1001


def test_credentials_in_the_address_are_used_and_never_shown() -> None:
    with OsvServer(*RECORDS, found=FOUND) as server:
        known = ask(server.origin.replace("//", "//user:canary@"), [TORCH], patience=HASTE)
    assert b"canary" not in known.encode() and known.source.name == server.origin


def test_a_version_that_is_none_is_asked_for_as_it_is() -> None:
    with OsvServer() as server:
        ask(server.origin, [wheel("odd", "mine+x")], patience=HASTE)
    assert server.questions[0]["queries"][0]["version"] == "mine+x"


def _page(token: object) -> bytes:
    return json.dumps({"results": [{"next_page_token": token}]}).encode()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"[]", "expected an object, got list"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"{}", "expected 1 results to 1 questions"),
        (b'{"results": [{}, {}]}', "expected 1 results to 1 questions"),
        (b'{"results": [1]}', "no result in OSV's form"),
        (b'{"results": [{"vulns": [{}]}]}', "no result in OSV's form"),
        (b'{"results": [{"vulns": [{"id": "../../x"}]}]}', "is no id"),
        (_page(7), "next_page_token is no text"),
    ],
)
def test_an_answer_that_is_none_is_refused(answer: bytes, problem: str) -> None:
    with OsvServer() as server:
        server.answers = [answer]
        with pytest.raises(BadReply, match=problem):
            ask(server.origin, [TORCH], patience=HASTE)


def test_an_answer_without_end_is_refused() -> None:
    with OsvServer() as server:
        server.answers = [_page("again")] * 200
        with pytest.raises(BadReply, match="go on after 100 pages"):
            ask(server.origin, [TORCH], patience=HASTE)


@pytest.mark.parametrize(
    ("served", "problem"),
    [(RECORDS[1], "it is the record PYSEC-1"), ({"id": "GHSA-1", "affected": 1}, "no OSV record: affected")],
)
def test_a_record_that_is_another_or_none_is_refused(served: Any, problem: str) -> None:
    with OsvServer(*RECORDS, found=FOUND) as server:
        server.records["GHSA-1"] = served
        with pytest.raises(BadReply, match=problem):
            ask(server.origin, [TORCH], patience=HASTE)


def test_a_server_that_refuses_or_is_gone_is_named() -> None:
    refused = pytest.raises(HttpRefused, match=r"/v1/vulns/GHSA-1: the server answers 404")
    with OsvServer(found=FOUND) as server, refused:
        ask(server.origin, [TORCH], patience=HASTE)
    with pytest.raises(HostUnreachable):
        ask(server.origin, [TORCH], patience=HASTE)


ALLOWED = b"[licences]\nallowed = ['Apache-2.0']\nunknown = true\n[vulnerabilities]\nblock = ['critical']\n"


@pytest.fixture
def made(world: World, tmp_path: Path, mirror_home: Path) -> Callable[..., Path]:
    """Makes a bundle with advisories whose root the command line trusts."""

    def make(*records: dict[str, Any], policy: bytes = ALLOWED) -> Path:
        dump = write_dump(tmp_path / "dump", *records)
        options = replace(world.options(tmp_path / "b.tar"), osv=str(dump), policy=Policy.parse(policy))
        result = bundle(options, world.store, world.trust)
        trusted = TrustStore(mirror_home)
        trusted.add_chain(world.trust.root_documents(), result.builder.root.fingerprint)
        assert any(note.startswith("known vulnerabilities by a directory of 2026") for note in result.notes)
        return result.path

    return make


def test_a_bundle_is_judged_when_it_is_made_when_it_is_checked_and_years_later(
    made: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made(record("GHSA-1", "beta", fixed="2.0", word="HIGH"), record("GHSA-9", "delta", word="LOW"))
    with open_bundle(path) as opened:
        manifest = opened.trust(TrustStore.default().load_root())
        artifact = manifest.find(PATH)
        assert artifact and artifact.name == "vulnerabilities.json"
        known = Advisories.parse(opened.read(artifact))
    assert [(one.project, one.id, one.severity) for one in known.findings] == [
        ("beta", "GHSA-1", "high"),
        ("delta", "GHSA-9", "low"),
    ]
    assert "tool/mirror.pyz" in {one.path for one in known.not_covered}

    mild, strict = tmp_path / "mild.toml", tmp_path / "strict.toml"
    mild.write_bytes(ALLOWED)
    strict.write_bytes(ALLOWED.replace(b"'critical'", b"'critical', 'high'"))
    assert main.main(["verify", str(path), "--policy", str(mild)]) == 0
    assert "policy:    nothing against it" in capsys.readouterr().out
    assert main.main(["verify", str(path), "--policy", str(strict), "--json"]) == PolicyBreached.exit_code == 123
    said = capsys.readouterr()
    assert "error: against the policy: beta 1.1: GHSA-1, high, fixed in 2.0: a summary; the policy blocks" in said.err
    assert json.JSONDecoder().raw_decode(said.out)[0]["breaches"][0]["rule"] == "vulnerabilities"

    newer = write_zip(
        tmp_path / "all.zip",
        record("GHSA-1", "beta", fixed="2.0", vector=CRITICAL, modified="2027-02-01T00:00:00Z"),
        record("CVE-7", "alpha", fixed="1.1", vector=CRITICAL, modified="2027-02-01T00:00:00Z"),
    )
    assert main.main(["rescan", str(path), "--osv", str(newer)]) == 0
    out = capsys.readouterr().out
    assert "new since the bundle was made (1)\n  alpha 1.0: CVE-7, critical 9.8, fixed in 1.1: a summary" in out
    assert "rated worse now (1)\n  beta 1.1: GHSA-1" in out
    assert "withdrawn or corrected (1)\n  delta 2.0: GHSA-9" in out
    assert main.main(["rescan", str(path), "--osv", str(newer), "--policy", str(mild), "--json"]) == 123
    said = capsys.readouterr()
    assert "(and 1 more)" in said.err
    assert [one["id"] for one in json.JSONDecoder().raw_decode(said.out)[0]["new"]] == ["CVE-7"]


def test_a_policy_stops_a_bundle_before_it_is_signed(made: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(PolicyBreached, match=r"beta 1\.1: GHSA-1, critical 9\.8"):
        made(record("GHSA-1", "beta", vector=CRITICAL))
    with pytest.raises(
        PolicyBreached, match=r"mirror\.pyz is under 'Apache-2\.0', the policy allows MIT \(and 5 more\)"
    ) as caught:
        made(record("GHSA-1", "other"), policy=b"[licences]\nallowed = ['MIT']\n")
    assert "alpha 1.0 names no licence, the policy allows MIT" in caught.value.context()
    assert not (tmp_path / "b.tar").exists()


def test_a_policy_about_vulnerabilities_needs_a_database(world: World, tmp_path: Path) -> None:
    options = replace(world.options(tmp_path / "b.tar"), policy=Policy.parse(ALLOWED))
    with pytest.raises(FactsMissing, match=r"carries no meta/vulnerabilities\.json"):
        bundle(options, world.store, world.trust)


def test_the_same_dump_gives_the_same_bundle(made: Callable[..., Path]) -> None:
    first = made(record("GHSA-1", "beta")).read_bytes()
    assert made(record("GHSA-1", "beta")).read_bytes() == first


def test_a_database_that_is_not_there_and_a_policy_that_is_none_are_refused_before_the_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main.main(["bundle", "--lock", "x.txt", "--osv", str(tmp_path / "none")])
    assert "there is no file or directory" in capsys.readouterr().err
    (tmp_path / "policy.toml").write_text("[licenses]\n")
    assert main.main(["bundle", "--lock", "x.txt", "--policy", str(tmp_path / "policy.toml")]) == 12
    assert "at 'licenses': unknown key" in capsys.readouterr().err
