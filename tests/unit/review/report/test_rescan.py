"""What has become known of a bundle since it was made."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from mirror.cli import main
from mirror.connected.packing.installer import write_installer
from mirror.core.advisories.known import PATH, Advisories, Source
from mirror.core.advisories.record import OsvRecord
from mirror.core.advisories.search import Search
from mirror.core.policy.rules import PolicyBreached
from mirror.core.trust.quorum import UnknownSigner
from mirror.core.trust.truststore import TrustStore
from mirror.review.report.rescan import compare
from tests.e2e.conftest import find_python
from tests.support.bundles import BundleSimulator
from tests.support.osv import CRITICAL, Record, record, wheel, write_dump, write_zip

TORCH = wheel("torch", "2.11.0")


def known(*records: Record, date: str = "") -> Advisories:
    search = Search([TORCH])
    for one in records:
        search.add(OsvRecord.of({**one, **({"modified": date} if date else {})}))
    return search.finish(Source("dump", "all.zip", "a" * 64))


def simulated(path: Path, carried: Advisories | None) -> Path:
    simulator = BundleSimulator()
    simulator.add(TORCH.path, b"x", "torch", "2.11.0")
    if carried:
        simulator.add(PATH, carried.encode())
    return simulator.write(path)


def test_each_kind_of_news_has_its_place() -> None:
    manifest = BundleSimulator().manifest()
    before = known(
        record("GHSA-same", "torch", fixed="3"),
        record("GHSA-gone", "torch"),
        record("GHSA-fixed", "torch", aliases=["CVE-1"]),
        record("GHSA-worse", "torch", word="LOW"),
        record("GHSA-better", "torch", word="HIGH"),
    )
    now = known(
        record("GHSA-same", "torch", fixed="3"),
        record("GHSA-gone", "torch", withdrawn="2027-01-01T00:00:00Z"),
        record("PYSEC-fixed", "torch", aliases=["CVE-1"], fixed="2.12"),
        record("GHSA-worse", "torch", word="CRITICAL"),
        record("GHSA-better", "torch", word="LOW"),
        record("GHSA-new", "torch"),
        record("GHSA-newer", "torch", word="HIGH"),
    )
    result = compare(manifest, before, now)
    assert [one.id for one in result.new] == ["GHSA-newer", "GHSA-new"]
    assert [one.id for one in result.gone] == ["GHSA-gone"]
    assert [one.id for one in result.fixed] == ["CVE-1"]
    assert [one.id for one in result.worse] == ["GHSA-worse"]
    assert result.known == 4 and not result.is_older
    assert compare(manifest, now, now).new == ()


def test_without_advisories_of_its_own_everything_is_new() -> None:
    result = compare(BundleSimulator().manifest(), None, known(record("GHSA-1", "torch")))
    assert [one.id for one in result.new] == ["GHSA-1"] and not result.is_older and result.to_dict()["before"] is None


def test_an_older_dump_is_told(tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    carried = known(record("GHSA-1", "torch"), date="2027-01-01T00:00:00Z")
    bundle = simulated(tmp_path / "b.tar", carried)
    BundleSimulator().store(mirror_home)
    dump = write_dump(tmp_path / "dump", record("GHSA-1", "torch"), record("GHSA-2", "torch", introduced="soon"))
    assert main.main(["rescan", str(bundle), "--osv", str(dump)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        "known vulnerabilities by a directory of 2026-11-20: 1 unknown; 1 of its records could not be judged"
    )
    assert out[1:] == [
        "the bundle's own advisories: all.zip of 2027-01-01: 1 unknown",
        "note: this dump is older than what the bundle carries",
        "",
        "nothing new",
        f"note: {TORCH.path}: GHSA-2 cannot be judged: expected a version, got 'soon'",
    ]


def test_a_bundle_that_nobody_trusted_signed_is_not_read(tmp_path: Path, mirror_home: Path) -> None:
    simulator = BundleSimulator()
    simulator.store(mirror_home)
    simulator.signers = ("stranger",)
    bundle = simulator.write(tmp_path / "b.tar")
    dump = write_dump(tmp_path / "dump", record("GHSA-1", "torch"))
    assert main.main(["rescan", str(bundle), "--osv", str(dump)]) == UnknownSigner.exit_code


def test_a_policy_without_a_rule_about_vulnerabilities_is_refused(
    tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_text("[waivers]\nby = []\n")
    words = ["rescan", str(tmp_path / "b.tar"), "--osv", str(tmp_path), "--policy", str(tmp_path / "p.toml")]
    assert main.main(words) == 12
    assert "at 'vulnerabilities': missing: a rescan applies no other rule" in capsys.readouterr().err


def test_what_the_policy_ignores_is_told_with_its_reason(
    tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = simulated(tmp_path / "b.tar", None)
    BundleSimulator().store(mirror_home)
    dump = write_dump(tmp_path / "dump", record("GHSA-1", "torch", vector=CRITICAL))
    (tmp_path / "p.toml").write_text(
        '[vulnerabilities]\nblock = ["critical"]\n'
        '[[vulnerabilities.ignored]]\nid = "GHSA-1"\nreason = "not reachable"\nexpires = "9999-12-31"\n'
    )
    assert main.main(["rescan", str(bundle), "--osv", str(dump), "--policy", str(tmp_path / "p.toml")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == f"ignored by {tmp_path / 'p.toml'}: torch 2.11.0: GHSA-1: not reachable, until 9999-12-31"


def test_the_installer_rescans_on_the_oldest_python(tmp_path: Path, mirror_home: Path) -> None:
    python = find_python("3.9")
    if python is None:
        pytest.skip("no Python 3.9 on this machine")
    simulated(tmp_path / "b.tar", known())
    BundleSimulator().store(mirror_home)
    write_installer(tmp_path / "mirror.pyz")
    write_zip(tmp_path / "all.zip", record("GHSA-1", "torch", vector=CRITICAL))
    (tmp_path / "p.toml").write_text("[vulnerabilities]\nblock = ['critical']\n")
    words = ["rescan", "b.tar", "--osv", "all.zip", "--policy", "p.toml", "--json"]
    done = subprocess.run(
        [python, "-I", "mirror.pyz", *words],
        cwd=tmp_path,
        env={**os.environ, "MIRROR_HOME": str(mirror_home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == PolicyBreached.exit_code, done.stderr
    assert "error: against the policy: torch 2.11.0: GHSA-1, critical 9.8" in done.stderr
    assert [one["id"] for one in json.JSONDecoder().raw_decode(done.stdout)[0]["new"]] == ["GHSA-1"]


def test_the_trust_store_is_not_changed(tmp_path: Path, mirror_home: Path) -> None:
    bundle = simulated(tmp_path / "b.tar", None)
    BundleSimulator().store(mirror_home)
    before = TrustStore.default().load_root()
    main.main(["rescan", str(bundle), "--osv", str(write_dump(tmp_path / "dump", record("A-1", "torch")))])
    assert TrustStore.default().load_root() == before
