"""What the reviewer is told about a bundle, and by whom it is vouched for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.trust.quorum import UnknownSigner
from mirror.review.report.inventory import take_inventory
from tests.support.bundles import BundleSimulator, flip_last_byte_of
from tests.support.keys import make_root, role
from tests.support.wheels import make_wheel


@pytest.fixture
def simulator(tmp_path: Path) -> BundleSimulator:
    made = BundleSimulator("demo", sequence=1_790_000_000)
    made.add_wheel(make_wheel(tmp_path / "w", "alpha", "1.0"))
    made.add("meta/notes", b"some notes")
    return made


def test_says_what_is_inside(simulator: BundleSimulator, tmp_path: Path) -> None:
    path = simulator.write(tmp_path / "b.tar")
    with open_bundle(path) as bundle:
        inventory = take_inventory(bundle, simulator.root, complete=True)
        digest = bundle.digest
    facts = inventory.to_dict()
    assert (facts["name"], facts["locked"], facts["verified"]) == ("demo", "2026-09-21T14:13:20Z", "every byte")
    assert facts["manifest_sha256"] == digest
    assert facts["signers"]["builder"] == ["builder"]
    assert facts["directories"]["wheels"]["count"] == 1
    assert facts["bytes"] == sum(item["size"] for item in facts["artifacts"])
    assert inventory.manifest.sizes()["meta"][0] == len(inventory.manifest.within("meta"))


def test_without_the_whole_pass_it_says_so_and_reads_no_member(simulator: BundleSimulator, tmp_path: Path) -> None:
    path = simulator.write(tmp_path / "b.tar")
    flip_last_byte_of(path, b"some notes")
    with open_bundle(path) as bundle:
        assert take_inventory(bundle, simulator.root, complete=False).to_dict()["verified"] == "signature"
    with open_bundle(path) as bundle, pytest.raises(DigestMismatch, match=r"^meta/notes of .*b\.tar: sha256 is"):
        take_inventory(bundle, simulator.root, complete=True)


def test_says_nothing_of_a_bundle_that_the_root_does_not_vouch_for(simulator: BundleSimulator, tmp_path: Path) -> None:
    path = simulator.write(tmp_path / "b.tar")
    with open_bundle(path) as bundle, pytest.raises(UnknownSigner):
        take_inventory(bundle, make_root(builder=role("stranger")), complete=False)


@pytest.mark.parametrize("of_each", [1, 2])
def test_inspect_counts_what_it_lists(
    of_each: int, tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = BundleSimulator("demo", sequence=1_790_000_000)
    for directory in ("tool", "wheels", "rpms", "redist", "python", "meta"):
        for number in range(of_each):
            simulator.add(f"{directory}/a{number}-1.x", b"x", f"a{number}", "1")
    simulator.store(mirror_home)
    assert main(["inspect", str(simulator.write(tmp_path / "b.tar"))]) == 0
    sections = capsys.readouterr().out.rpartition("\n\n")[0].split("\n\n")[1:]
    assert len(sections) == 6
    for section in sections:
        heading, *rows = section.splitlines()
        assert heading.split("/  ")[1].split(",")[0] == ("1 file" if len(rows) == 1 else f"{len(rows)} files")
        assert len(rows) >= of_each
