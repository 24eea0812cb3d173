"""Packages that others made, signed and shipped: read with the same code as NVIDIA's, byte for byte as they came.

Two projects of the Python index carry such packages in their sources: rpm-rs packages made by rpmbuild of rpm 4 and rpm 6,
signed by rpm itself, with the public keys beside them; rpmlint packages made by openSUSE's build service and by Fedora, the
signing keys of which are not there. What has no key here is read under a signature of ours: their header, their archive.
"""

from __future__ import annotations

import io
import stat
import tarfile
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
from mirror.connected.index.pages import Index
from mirror.core.names import Sha256Hex, project_name
from mirror.core.signatures.openpgp import read_keys
from mirror.core.toolkit.payload import check_payload, contents
from mirror.core.toolkit.rpm import Rpm, RpmNotTrusted, read_rpm
from mirror.core.toolkit.rpmheader import Header, Reader
from scripts.cuda_rpms import rpmfile
from tests.support.rpms import CREATED, Packager, zstd_here

pytestmark = pytest.mark.index

RPM_RS = ("rpm-rs", "0.30.2", "30c46ec267a621bf9eb9bead2bd5cf17ea512e43297b92ebb5daf140e829e9ec")
RPMLINT = ("rpmlint", "2.10.0", "5a45470f3d31731545adfd1321abf678e4e48ccda0f4ab96fda9526e99bbce2d")
ED25519, RSA = "77CEF535745D5AF04ECD115F522E846427933839", "D996AEDC0D64D1E621B95AD2E964F9FB30D073B5"


@cache
def sources(project: str, version: str, sha256: str) -> Mapping[str, bytes]:
    """The RPMs and keys in a project's source archive, by their path below its top; fetched by the first test that asks."""
    with Index() as index:
        (found,) = [item for item in index.files(project_name(project), version) if item.kind == "sdist"]
    download = Download(found.url, found.filename, Sha256Hex(sha256), found.size)
    files = {}
    with tempfile.TemporaryDirectory() as directory:
        (path,) = fetch([download], Store(Path(directory))).values()
        data = path.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith((".rpm", ".asc")):
                stream = archive.extractfile(member)
                assert stream is not None
                files[member.name.partition("/")[2]] = stream.read()
    return files


@pytest.fixture
def rpm_rs() -> Mapping[str, bytes]:
    found = sources(*RPM_RS)
    return {path.replace("tests/assets/", ""): data for path, data in found.items()}


@pytest.fixture
def rpmlint() -> Mapping[str, bytes]:
    found = sources(*RPMLINT)
    return {Path(path).name: data for path, data in found.items() if path.startswith("test/binary/")}


def resigned(data: bytes, packager: Packager) -> bytes:
    """Their lead, header and archive, with a signature header of ours in place of theirs."""
    reader = Reader(io.BytesIO(data), "theirs")
    lead = reader.take(96)
    reader.header(8 << 20)
    reader.take(-reader.offset % 8)
    start = reader.offset
    main = reader.header(32 << 20)
    archive = data[start + len(main) :]
    return lead + rpmfile.signature_header(main, len(archive), 0, packager.key, CREATED) + main + archive


def everything(data: bytes, key: str | bytes, fingerprint: str) -> tuple[Rpm, dict[str, int]]:
    """Judge a package, then read all of it: path to bytes of each file in the archive, digests checked on the way."""
    stream = io.BytesIO(data)
    rpm = read_rpm(stream, "theirs.rpm", read_keys(key), [fingerprint])
    check_payload(rpm, stream)
    stream.seek(rpm.payload_offset)
    found = {}
    for content in contents(rpm, stream, zstd_here):
        size = sum(len(piece) for piece in content.pieces)
        found.update({file.path: size for file in (content.file, *content.also) if stat.S_ISREG(file.mode)})
    return rpm, found


def read_resigned(data: bytes) -> tuple[Rpm, dict[str, int]]:
    packager = Packager()
    return everything(resigned(data, packager), packager.armored, packager.fingerprint)


@pytest.mark.parametrize(
    ("package", "key", "fingerprint"),
    [
        ("rpm-basic-with-ed25519", "ed25519", ED25519),
        ("rpm-basic-with-rsa4096", "rsa4096", RSA),
        ("rpm-basic-with-ima", "rsa4096", RSA),
        ("rpm-basic-with-ima", "keyring", ED25519),
    ],
)
def test_signatures_that_rpm_itself_made_are_verified(
    rpm_rs: Mapping[str, bytes], package: str, key: str, fingerprint: str
) -> None:
    """Also one among four signatures, and of a keyring with keys of other kinds."""
    data = rpm_rs[f"RPMS/v4/signed/{package}-2.3.4-5.el9.noarch.rpm"]
    rpm, files = everything(data, rpm_rs[f"signing_keys/v4/rpm-testkey-v4-{key}.asc"], fingerprint)
    assert (rpm.nevra, rpm.fingerprint) == ("rpm-basic-1:2.3.4-5.el9.noarch", fingerprint)
    assert files["/usr/bin/rpm-basic"] > 0
    flipped = bytearray(data)
    flipped[rpm.payload_offset - 20] ^= 1
    with pytest.raises(RpmNotTrusted, match="is not good"):
        everything(bytes(flipped), rpm_rs[f"signing_keys/v4/rpm-testkey-v4-{key}.asc"], fingerprint)


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (
            "v4/signed/rpm-basic-with-ecdsa",
            "signed by 560F 3EDD 5D48 3FCF 2E20 6993 105C 3DB6 D139 A931; the pinned key is",
        ),
        ("v6/signed/rpm-basic-with-ed25519", "not signed in a way that is read here"),
        ("v6/signed/rpm-basic-with-mldsa65-ed25519", "not signed in a way that is read here"),
        ("v6/rpm-basic", "its header carries no OpenPGP signature"),
    ],
)
def test_signatures_of_kinds_that_are_not_read_are_named(rpm_rs: Mapping[str, bytes], package: str, words: str) -> None:
    """ECDSA, OpenPGP version 6 and post-quantum signatures are refused, not passed over."""
    keyring = rpm_rs["signing_keys/v4/rpm-testkey-v4-keyring.asc"]
    with pytest.raises(RpmNotTrusted, match=words):
        everything(rpm_rs[f"RPMS/{package}-2.3.4-5.el9.noarch.rpm"], keyring, RSA)


@pytest.mark.group(36)
@pytest.mark.parametrize("compressor", ["gzip", "xz", "zstd"])
def test_archives_that_rpm_6_compressed_are_read(rpm_rs: Mapping[str, bytes], compressor: str) -> None:
    """SECURITY.md 36: the same contents, whichever way they were packed."""
    rpm, files = read_resigned(rpm_rs[f"RPMS/v6/{compressor}/rpm-basic-2.3.4-5.el9.noarch.rpm"])
    plain, same = read_resigned(rpm_rs["RPMS/v6/rpm-basic-2.3.4-5.el9.noarch.rpm"])
    assert (rpm.compressor, plain.compressor) == (compressor, "none")
    assert files == same
    assert len(files) >= 5


@pytest.mark.group(31)
def test_hard_links_of_rpm_6_are_read(rpm_rs: Mapping[str, bytes]) -> None:
    """SECURITY.md 31: of a set, the last alone carries the content."""
    rpm, files = read_resigned(rpm_rs["RPMS/v6/rpm-hardlinks-1.0-1.noarch.rpm"])
    inodes = [file.inode for file in rpm.files if stat.S_ISREG(file.mode)]
    assert len(set(inodes)) < len(inodes)
    assert files == {file.path: file.size for file in rpm.files if stat.S_ISREG(file.mode)}


def test_every_binary_package_of_rpm_4_and_6_is_read(rpm_rs: Mapping[str, bytes]) -> None:
    packages = {path: data for path, data in rpm_rs.items() if path.startswith("RPMS/")}
    assert len(packages) > 20
    for path, data in packages.items():
        rpm, files = read_resigned(data)
        assert files == {f.path: f.size for f in rpm.files if stat.S_ISREG(f.mode) and not f.ghost}, path


def test_packages_of_opensuse_and_fedora_are_read(rpmlint: Mapping[str, bytes]) -> None:
    """Years of rpm, three compressors, scriptlets, ghosts, links; only digests by MD5 or SHA-1 are refused."""
    compressors: set[str] = set()
    vendors: set[str] = set()
    refused = []
    for name, data in rpmlint.items():
        try:
            rpm, files = read_resigned(data)
        except RpmNotTrusted as error:
            refused.append((name, error.problem))
            continue
        assert files == {f.path: f.size for f in rpm.files if stat.S_ISREG(f.mode) and not f.ghost}, name
        compressors.add(rpm.compressor)
        reader = Reader(io.BytesIO(data[96:]), name)
        reader.header(8 << 20)
        reader.take(-(96 + reader.offset) % 8)
        vendors.update(Header(reader.header(32 << 20), name).texts(1011))
    assert refused == [("mc-4.8.15-10.3.1.x86_64.rpm", "its digests are of algorithm 1; SHA-256 or better is needed")]
    assert compressors == {"xz", "gzip", "zstd"}
    assert {"openSUSE", "Fedora Project"} <= vendors
    assert len(rpmlint) == 62


def test_a_build_services_signature_names_its_key(rpmlint: Mapping[str, bytes]) -> None:
    """openSUSE's version 3 signatures: parsed, and refused for want of a pinned key."""
    packager = Packager()
    with pytest.raises(RpmNotTrusted, match=r"signed by [0-9A-F ]{19}; the pinned key is"):
        everything(rpmlint["mc-4.8.21-2.1.x86_64.rpm"], packager.armored, packager.fingerprint)
