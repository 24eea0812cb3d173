"""primary.xml and repomd.xml, written by createrepo_c and then bent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.connected.toolchain import repodata
from mirror.connected.toolchain.repodata import (
    ContradictoryPackages,
    InvalidRepodata,
    LocationEscapes,
    parse_primary,
    parse_repomd,
)
from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage
from tests.support.repos import Rpm, Vendor, primary_of, toolkit, write_repository

URL = "https://rpms.example.org/rhel9/"


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path / "repo"


def parse(repo: Path, vendor: Vendor, *rpms: Rpm, compression: str = "gz") -> tuple[RpmPackage, ...]:
    write_repository(repo, rpms, vendor, compression, files=False)
    primary = primary_of(repo)
    return parse_primary(primary.read_bytes(), f"repodata/{primary.name}", URL)


@pytest.mark.parametrize("compression", ["gz", "xz", "zst", "bz2"])
def test_each_compression_of_primary_gives_the_packages(repo: Path, vendor: Vendor, compression: str) -> None:
    rpms = toolkit("13.3")
    assert parse(repo, vendor, *rpms, compression=compression) == tuple(rpm.package() for rpm in rpms)


def test_obsoletes_are_not_kept(repo: Path, vendor: Vendor) -> None:
    plain = parse(repo, vendor, Rpm("cccl-13-3"))
    assert parse(repo / "2", vendor, Rpm("cccl-13-3", obsoletes=("cuda-cccl-12-9",))) == plain


def test_versions_of_requirements_are_kept(repo: Path, vendor: Vendor) -> None:
    (package,) = parse(repo, vendor, Rpm("a", requires=("b >= 1.0-2", "c", "libcuda.so.1()(64bit)")))
    assert package.requires == (Capability("b", ">=", "1.0-2"), Capability("c"), Capability("libcuda.so.1()(64bit)"))
    assert str(package.requires[0]) == "b >= 1.0-2"


@pytest.mark.group(45)
@pytest.mark.parametrize(
    "location", ["../x.rpm", "a/../x.rpm", "/x.rpm", "https://evil.example/x.rpm", "//evil.example/x.rpm", ".x", "a b"]
)
def test_a_location_out_of_the_repository_is_refused(repo: Path, vendor: Vendor, location: str) -> None:
    with pytest.raises(LocationEscapes) as caught:
        parse(repo, vendor, Rpm("good"), Rpm("bad", location=location))
    assert str(caught.value) == f"{URL}: the location of bad-1.0-1.x86_64 is {location!r}, which leads out of {URL}"


@pytest.mark.group(45)
def test_a_package_moved_to_another_host_is_refused(repo: Path, vendor: Vendor) -> None:
    with pytest.raises(LocationEscapes, match=r"https://evil\.example/ bad-1\.0-1\.x86_64\.rpm"):
        parse(repo, vendor, Rpm("bad", location_base="https://evil.example/"))


def test_a_location_in_a_folder_is_fine(repo: Path, vendor: Vendor) -> None:
    (package,) = parse(repo, vendor, Rpm("a", location="Packages/a/a-1.0-1.x86_64.rpm"))
    assert package.filename == "a-1.0-1.x86_64.rpm"


@pytest.mark.group(45)
def test_one_package_with_two_digests_is_refused(repo: Path, vendor: Vendor) -> None:
    first, second = Rpm("a", data=b"1"), Rpm("a", data=b"2")
    with pytest.raises(ContradictoryPackages) as caught:
        parse(repo, vendor, first, second)
    shas = (first.package().sha256, second.package().sha256)
    assert str(caught.value) == f"{URL}: a-1.0-1.x86_64 is listed with sha256 {shas[0]} and with sha256 {shas[1]}"


def test_one_package_listed_twice_alike_is_one_package(repo: Path, vendor: Vendor) -> None:
    assert len(parse(repo, vendor, Rpm("a"), Rpm("a"))) == 1


@pytest.mark.parametrize(
    ("rpm", "words"),
    [
        (Rpm("a", checksum_type="sha512"), "expected a sha256 checksum, got sha512"),
        (Rpm("a/b"), "expected an RPM name such as 'cuda-nvcc-13-0', got 'a/b'"),
        (Rpm("a", version="1-2"), "expected a version or release such as '13.0.88', got '1-2'"),
        (Rpm("a", release="1/2"), "got '1/2'"),
    ],
)
def test_a_field_out_of_its_format_is_named(repo: Path, vendor: Vendor, rpm: Rpm, words: str) -> None:
    with pytest.raises(InvalidRepodata) as caught:
        parse(repo, vendor, rpm)
    assert words in str(caught.value)
    assert repr(rpm.name) in str(caught.value)


def test_an_empty_repository_is_refused(repo: Path, vendor: Vendor) -> None:
    with pytest.raises(InvalidRepodata, match="lists no package"):
        parse(repo, vendor)


def test_too_many_packages_are_refused(repo: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repodata, "MAX_PACKAGES", 2)
    with pytest.raises(InvalidRepodata, match="more than 2 packages"):
        parse(repo, vendor, Rpm("a"), Rpm("b"), Rpm("c"))


@pytest.mark.parametrize("data", [b"", b"\0\1\2", b"<html>log in</html>", b"<?xml version='1.0'?><metadata><package"])
def test_what_is_no_primary_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRepodata, match=r"primary\.xml"):
        parse_primary(data, "repodata/primary.xml", URL)


@pytest.mark.parametrize("data", [b"", b"<html>log in</html>", b"<?xml version='1.0'?><repomd></repomd>"])
def test_what_is_no_repomd_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRepodata, match=r"its repomd\.xml names no primary\.xml"):
        parse_repomd(data, URL)


def repomd(repo: Path, vendor: Vendor) -> str:
    write_repository(repo, [Rpm("a")], vendor, files=False)
    return (repo / "repodata" / "repomd.xml").read_text()


@pytest.mark.group(47)
def test_a_primary_that_unpacks_without_end_is_refused(repo: Path, vendor: Vendor) -> None:
    text = repomd(repo, vendor).replace("<open-size>", "<open-size>9999999")
    with pytest.raises(InvalidRepodata, match="unpacks to 9999999"):
        parse_repomd(text.encode(), URL)


def test_a_primary_with_a_weak_checksum_is_refused(repo: Path, vendor: Vendor) -> None:
    text = repomd(repo, vendor).replace('checksum type="sha256"', 'checksum type="md5"')
    with pytest.raises(InvalidRepodata, match="md5 checksum"):
        parse_repomd(text.encode(), URL)


def test_a_primary_elsewhere_is_refused(repo: Path, vendor: Vendor) -> None:
    text = repomd(repo, vendor).replace('href="repodata/', 'href="../other/repodata/')
    with pytest.raises(LocationEscapes, match=r"the location of primary\.xml is '\.\./other"):
        parse_repomd(text.encode(), URL)


def test_a_host_without_rpm_sees_no_complaint_of_librpm() -> None:
    program = (
        "import os\nfrom mirror.connected.toolchain.repodataprocess import createrepo_module\ncreaterepo_module()\n"
    )
    program += "print(os.getenv('RPM_CONFIGDIR'))"
    environment = {name: value for name, value in os.environ.items() if name != "RPM_CONFIGDIR"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("None\n", "")
