"""A repository's filelists, as createrepo_c writes them, made into an index; and what is wrong with some of them."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.toolchain.filelists import covers, index_of, newest
from mirror.connected.toolchain.repodata import InvalidRepodata, LocationEscapes
from mirror.connected.toolchain.repository import MetadataMismatch, Read, RepositoryUnreachable, open_repository
from mirror.core.target import Target
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex
from tests.support.repos import Rpm, Vendor, primary_of, resign, write_repository

HOME = "/usr/local/cuda-13.0"
LIB = "targets/x86_64-linux/lib"
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
NVCC = Rpm("cuda-nvcc-13-0", "13.0.88", paths=(f"{HOME}/", f"{HOME}/bin/", f"{HOME}/bin/ptxas", f"{HOME}/bin/nvcc"))
CONFIG = Rpm("cuda-toolkit-config-common", "13.0.96", arch="noarch", paths=("/etc/ld.so.conf.d/000_cuda.conf",))
CURAND = Rpm("libcurand-13-0", "10.4.0.35", paths=(f"{HOME}/{LIB}/libcurand.so.10", f"{HOME}/{LIB}/"))


@pytest.fixture
def read() -> Iterator[Read]:
    with new_session() as session:
        yield partial(get_bytes, session, patience=Patience(attempts=1))


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor()


def index(repo: Path, vendor: Vendor, read: Read, *pins: Rpm) -> FileIndex | None:
    repository = open_repository(str(repo), [vendor.fingerprint], read)
    return index_of(repository, str(repo), [rpm.package().pin() for rpm in pins], TARGET, read)


def write(repo: Path, vendor: Vendor, *rpms: Rpm, compression: str = "gz") -> Path:
    write_repository(repo, rpms, vendor, compression, files=False)
    return repo


def paths(found: FileIndex | None) -> dict[str, tuple[str, ...]]:
    assert found
    return {f"{'+' if rpm.carried else '-'} {rpm.nevra}": rpm.paths for rpm in found.rpms}


@pytest.mark.parametrize("compression", ["gz", "xz", "zst", "bz2"])
def test_what_is_locked_and_what_else_the_release_has_is_indexed(
    tmp_path: Path, vendor: Vendor, read: Read, compression: str
) -> None:
    write(tmp_path / "r", vendor, CURAND, NVCC, CONFIG, compression=compression)
    found = index(tmp_path / "r", vendor, read, NVCC, CONFIG)
    assert paths(found) == {
        "+ cuda-nvcc-13-0-13.0.88-1.x86_64": ("bin/nvcc", "bin/ptxas"),
        "+ cuda-toolkit-config-common-13.0.96-1.noarch": (),
        "- libcurand-13-0-10.4.0.35-1.x86_64": (f"{LIB}/libcurand.so.10",),
    }
    assert found is not None
    assert (found.release, found.arch, found.source) == ("13.0", "x86_64", FILELISTS)
    assert FileIndex.parse(found.encode()) == found


def test_other_releases_machines_and_empty_packages_are_left_out(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    others = (
        Rpm("libcurand-12-8", paths=("/usr/local/cuda-12.8/bin/a",)),
        Rpm("cuda-crt-13-0", arch="aarch64", paths=(f"{HOME}/bin/b",)),
        Rpm("nsight-13-0", paths=(f"{HOME}/nsight/ncu",)),
        Rpm("cuda-drivers", paths=("/usr/lib64/libcuda.so.1",)),
    )
    write(tmp_path / "r", vendor, NVCC, *others)
    assert list(paths(index(tmp_path / "r", vendor, read, NVCC))) == ["+ cuda-nvcc-13-0-13.0.88-1.x86_64"]


def test_the_locked_version_is_indexed_and_of_the_others_the_newest(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    locked = Rpm("cuda-nvcc-13-0", "13.0.9", paths=(f"{HOME}/bin/old-nvcc",))
    curands = [
        Rpm("libcurand-13-0", version, paths=(f"{HOME}/bin/{version}",)) for version in ("10.9", "10.10", "10.4")
    ]
    write(tmp_path / "r", vendor, locked, NVCC, *curands)
    assert paths(index(tmp_path / "r", vendor, read, locked)) == {
        "+ cuda-nvcc-13-0-13.0.9-1.x86_64": ("bin/old-nvcc",),
        "- libcurand-13-0-10.10-1.x86_64": ("bin/10.10",),
    }


def test_versions_are_compared_as_rpm_compares_them() -> None:
    packages = [Rpm("a", version).package() for version in ("1.9", "1.10", "1.10~rc1")]
    assert [package.version for package in newest(packages)] == ["1.10"]


def test_a_repository_without_filelists_gives_no_index(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    bare = Rpm("cuda-nvcc-13-0", "13.0.88")
    assert index(write(tmp_path / "r", vendor, bare), vendor, read, bare) is None


def test_changed_filelists_are_refused(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    repo = write(tmp_path / "r", vendor, NVCC)
    file = primary_of(repo, "filelists")
    data = gzip.compress(gzip.decompress(file.read_bytes()).replace(b"ptxas", b"ptxbs"), mtime=0)
    file.write_bytes(data)
    with pytest.raises(MetadataMismatch) as caught:
        index(repo, vendor, read, NVCC)
    assert "filelists.xml.gz: the signed repomd.xml says" in str(caught.value)


def test_filelists_that_are_not_there_are_named(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    repo = write(tmp_path / "r", vendor, NVCC)
    file = primary_of(repo, "filelists")
    file.unlink()
    with pytest.raises(RepositoryUnreachable, match=f"cannot get repodata/{file.name}"):
        index(repo, vendor, read, NVCC)


def test_filelists_of_another_primary_are_refused(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    repo, other = write(tmp_path / "r", vendor, NVCC), write(tmp_path / "o", vendor, CURAND)
    put(repo, vendor, primary_of(other, "filelists").read_bytes())
    with pytest.raises(
        InvalidRepodata, match=r"its filelists\.xml lacks cuda-nvcc-13-0-13\.0\.88-1\.x86_64, which its"
    ):
        index(repo, vendor, read, NVCC)


@pytest.mark.parametrize("data", [b"", b"no gzip", gzip.compress(b"<filelists><package", mtime=0)])
def test_signed_nonsense_is_named(tmp_path: Path, vendor: Vendor, read: Read, data: bytes) -> None:
    repo = write(tmp_path / "r", vendor, NVCC)
    put(repo, vendor, data)
    with pytest.raises(InvalidRepodata, match=r"its filelists\.xml (is not readable|lacks cuda-nvcc)"):
        index(repo, vendor, read, NVCC)


def test_filelists_stay_below_their_repository(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    repo = write(tmp_path / "r", vendor, NVCC)
    name = primary_of(repo, "filelists").name
    repomd = (repo / "repodata/repomd.xml").read_text()
    resign(repo, vendor, repomd.replace(f"repodata/{name}", f"../{name}"))
    with pytest.raises(LocationEscapes, match=r"the location of filelists\.xml is '\.\./"):
        index(repo, vendor, read, NVCC)


def test_an_index_that_fits_no_more_says_each_difference(tmp_path: Path, vendor: Vendor, read: Read) -> None:
    found = index(write(tmp_path / "r", vendor, NVCC, CURAND), vendor, read, NVCC)
    assert found is not None
    assert covers(found, [NVCC.package()], TARGET) == ()
    newer = Rpm("cuda-nvcc-13-0", "13.0.99").package()
    assert covers(found, [newer], Target("3.11", "x86_64", "2.28", "sm_90a", "13.1")) == (
        "its target is CUDA 13.1 for x86_64, the index is of CUDA 13.0 for x86_64",
        "cuda-nvcc-13-0-13.0.99-1.x86_64 is locked, the index does not have it",
        "the index has cuda-nvcc-13-0-13.0.88-1.x86_64, which is not locked",
    )


def put(repo: Path, vendor: Vendor, data: bytes) -> None:
    """Other filelists, with the digest and size that the signed repomd.xml then names."""
    old = primary_of(repo, "filelists")
    repomd = (repo / "repodata/repomd.xml").read_text()
    size = f"<size>{old.stat().st_size}</size>"
    assert repomd.count(size) == 1
    digest = hashlib.sha256(data).hexdigest()
    repomd = repomd.replace(old.name.split("-")[0], digest).replace(size, f"<size>{len(data)}</size>")
    (repo / "repodata" / old.name.replace(old.name.split("-")[0], digest)).write_bytes(data)
    resign(repo, vendor, repomd)
