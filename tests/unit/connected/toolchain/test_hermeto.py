"""Hermeto's rpms.lock.yaml, as rpm-lockfile-prototype writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.toolchain.hermeto import MAX_BYTES, ForeignRpm, encode, read_rpms_lock
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.errors import InvalidDocument, Unreadable
from tests.support.repos import Rpm

TEXT = """\
---
lockfileVersion: 1
lockfileVendor: redhat
arches:
- arch: aarch64
  packages: []
- arch: x86_64
  packages:
  - url: https://user:secret@example.org/repo/cuda-crt-13-0-13.0.88-1.x86_64.rpm
    repoid: cuda-rhel9
    size: 121292
    checksum: sha256:{digest}
    name: cuda-crt-13-0
    evr: 3:13.0.88-1
    sourcerpm: cuda-nvcc-13-0-13.0.88-1.src.rpm
  source: []
  module_metadata: []
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "rpms.lock.yaml"
    path.write_text(text)
    return path


def test_reads_the_rpms_of_one_architecture(tmp_path: Path) -> None:
    lock = read_rpms_lock(written(tmp_path, TEXT.format(digest="a" * 64)), "x86_64")
    (rpm,) = lock.rpms
    assert (rpm.url, rpm.sha256) == ("https://example.org/repo/cuda-crt-13-0-13.0.88-1.x86_64.rpm", "a" * 64)
    assert rpm.filename == "cuda-crt-13-0-13.0.88-1.x86_64.rpm"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    pins = tuple(rpm.package().pin() for rpm in (Rpm("a"), Rpm("b", version="2~rc1", arch="noarch")))
    lock = RpmLock("https://example.org/r/", ("A" * 40,), 0, ("a",), "key", pins)
    read = read_rpms_lock(written(tmp_path, encode(lock, "x86_64").decode()), "x86_64")
    assert read.rpms == tuple(ForeignRpm(d.url, d.sha256) for d in lock.downloads(None))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "not valid YAML"),
        ("\0", "not valid YAML"),
        ("- 1", "expected a table, got list"),
        ("", "expected a table, got NoneType"),
        (
            "lockfileVersion: 2\nlockfileVendor: redhat\narches: []\n",
            "this mirror reads version 1 of vendor redhat, got 2",
        ),
        ("lockfileVersion: 1\nlockfileVendor: redhat\narches: []\n", "no packages for x86_64, but for none"),
        (TEXT.format(digest="abc"), "at 'arches[1].packages[0].checksum': expected 64 hex digits"),
        (TEXT.replace("sha256:{digest}", "{{}}"), "not valid YAML"),
        (TEXT.replace("    checksum: sha256:{digest}\n", ""), "at 'arches[1].packages[0].checksum': missing"),
        ("#" * (MAX_BYTES + 1), "bytes allowed"),
        ("[" * 500_000, "not valid YAML"),  # and at once: the reader in Python would take hours
    ],
)
def test_refuses_what_is_none(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_rpms_lock(written(tmp_path, text), "x86_64")
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        read_rpms_lock(tmp_path / "none.yaml", "x86_64")
