"""Our repodata beside createrepo_c's, of the same packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import createrepo_c
import pytest

from mirror.closed.site.rpmmetadata import Package, read_package, repodata
from mirror.core.toolkit.rpmheader import MalformedRpm
from tests.support.rpms import Packager
from tests.support.site import SiteBundle
from tests.support.wheels import sha256_of

FACTS = (
    "name", "arch", "epoch", "version", "release", "pkgId", "summary", "description", "url", "time_build", "size_package",
    "size_installed", "location_href", "rpm_license", "rpm_vendor", "rpm_group", "rpm_buildhost", "rpm_sourcerpm",
    "rpm_header_start", "rpm_header_end", "provides", "conflicts", "obsoletes",
)  # fmt: skip


def read(path: Path) -> Package:
    with path.open("rb") as stream:
        return read_package(stream, path.name, path.stat().st_size, sha256_of(path))


def parsed(directory: Path, files: dict[str, bytes]) -> dict[str, Any]:
    """What createrepo_c reads out of repodata, by package name."""
    (directory / "repodata").mkdir(parents=True)
    for name, data in files.items():
        (directory / "repodata" / name).write_bytes(data)
    metadata = createrepo_c.Metadata()
    metadata.locate_and_load_xml(str(directory))
    return {metadata.get(key).name: metadata.get(key) for key in metadata.keys()}  # noqa: SIM118


def test_it_says_what_createrepo_says(tmp_path: Path) -> None:
    made = SiteBundle(tmp_path / "b").rpms
    found = parsed(tmp_path / "repo", repodata([read(path) for path in made], 7))
    for path in made:
        theirs = createrepo_c.package_from_rpm(str(path))
        ours = found[theirs.name]
        theirs.location_href = path.name
        assert {fact: getattr(ours, fact) or None for fact in FACTS} == {
            fact: getattr(theirs, fact) or None for fact in FACTS
        }
        assert [(one[0] or "", *one[1:3]) for one in ours.files] == [one[:3] for one in theirs.files]
        assert {one[:5] for one in ours.requires} == {one[:5] for one in theirs.requires}


def test_the_same_packages_give_the_same_bytes_in_whatever_order(tmp_path: Path) -> None:
    packages = [read(path) for path in SiteBundle(tmp_path / "b").rpms]
    first = repodata(packages, 7)
    assert repodata(packages[::-1], 7) == first
    assert list(first)[-1] == "repomd.xml"
    assert repodata(packages, 8)["repomd.xml"] != first["repomd.xml"]


def test_words_that_no_xml_may_hold_and_that_are_no_utf8_are_replaced(tmp_path: Path) -> None:
    draft = Packager().draft("cuda-odd", {"/etc/a\x01<&>": b""}, "1.0")
    draft.edit = lambda entries: entries.update({1004: (6, "a\x1bb ]]> <c>"), 1005: (6, "x\udcff")})
    path = tmp_path / draft.spec.filename
    try:
        path.write_bytes(draft.bytes())
    except UnicodeEncodeError:
        draft.edit = lambda entries: entries.update({1004: (6, "a\x1bb ]]> <c>")})
        path.write_bytes(draft.bytes())
    found = parsed(tmp_path / "repo", repodata([read(path)], 1))["cuda-odd"]
    assert found.summary == "a\ufffdb ]]> <c>"
    assert ("/etc/", "a\ufffd<&>") in [one[1:] for one in found.files]


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({1049: (8, ["a", "b"]), 1048: (4, [0]), 1050: (8, ["", ""])}, "its requires are lists of different lengths"),
        ({1116: (4, [7])}, "its file lists are of different lengths"),
    ],
)
def test_lists_that_do_not_fit_each_other_are_refused(tmp_path: Path, entries: dict[int, Any], problem: str) -> None:
    draft = Packager().draft("cuda-odd", {"/etc/a": b""}, "1.0")
    draft.edit = lambda found: found.update(entries)
    path = tmp_path / draft.spec.filename
    path.write_bytes(draft.bytes())
    with pytest.raises(MalformedRpm, match=problem):
        read(path)
