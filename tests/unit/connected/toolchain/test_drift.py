"""A repository that moves on after locking: what became of an RPM is said, by the repository's own signed words."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from mirror.connected.fetching.fetch import SeveralFailures, fetch
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import Store
from mirror.connected.fetching.transport import HttpRefused, Truncated, get_bytes, new_session
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain.drift import RpmPruned, RpmRespun, drift_named
from mirror.connected.toolchain.rpmlock import RpmLock, lock_rpms
from mirror.core.errors import MirrorError
from mirror.core.target import Target
from tests.support.index import LoopbackServer
from tests.support.repos import Rpm, Vendor, toolkit, write_repository

NVCC = "cuda-nvcc-13-0-13.0.88-1.x86_64"
ONCE = Patience(attempts=1)


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor()


def publish(server: LoopbackServer, directory: Path, vendor: Vendor, rpms: tuple[Rpm, ...]) -> str:
    """Let the server have this repository, and nothing of the one before."""
    shutil.rmtree(directory, ignore_errors=True)
    write_repository(directory, rpms, vendor)
    server.files.clear()
    for path in directory.rglob("*"):
        if path.is_file():
            server.serve(f"/rhel9/{path.relative_to(directory)}", path.read_bytes())
    return f"{server.origin}/rhel9/"


@pytest.fixture
def lock(server: LoopbackServer, tmp_path: Path, vendor: Vendor) -> RpmLock:
    wishes = RpmWishes(
        publish(server, tmp_path / "repo", vendor, toolkit("13.0")), (vendor.fingerprint,), ("cuda-nvcc-13-0",)
    )
    with new_session() as session:
        return lock_rpms(
            wishes,
            Target("3.11", "x86_64", "2.28", cuda="13.0"),
            location=None,
            read=partial(get_bytes, session),
            now=1,
        )


def sha256_in(lock: RpmLock, nevra: str) -> str:
    return next(pin.sha256 for pin in lock.pins if pin.nevra == nevra)


def changed(name: str, **change: object) -> tuple[Rpm, ...]:
    return tuple(replace(rpm, **change) if rpm.name == name else rpm for rpm in toolkit("13.0"))  # type: ignore[arg-type]  # the tests' own words


def failure(lock: RpmLock, tmp_path: Path, location: str | None = None) -> MirrorError:
    with pytest.raises(MirrorError) as caught, drift_named(lock, location):
        fetch(lock.downloads(location), Store(tmp_path / "store"), patience=ONCE)
    return caught.value


def test_an_rpm_that_was_replaced_by_a_newer_one_is_pruned(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path, vendor: Vendor
) -> None:
    url = publish(server, tmp_path / "repo", vendor, changed("cuda-nvcc-13-0", version="13.0.99"))
    error = failure(lock, tmp_path)
    assert isinstance(error, RpmPruned)
    assert str(error) == (
        f"{NVCC} is locked (sha256 {sha256_in(lock, NVCC)}) and gone from {url}: it now has 13.0.99-1"
    )
    assert "mirror lock NAME.toml" in error.hint
    assert "--toolchain-repo DIR" in error.hint
    assert isinstance(error.__cause__, HttpRefused)


def test_an_rpm_whose_name_is_gone_is_pruned(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path, vendor: Vendor
) -> None:
    publish(server, tmp_path / "repo", vendor, tuple(rpm for rpm in toolkit("13.0") if rpm.name != "cuda-nvcc-13-0"))
    assert str(failure(lock, tmp_path)).endswith(": it has no cuda-nvcc-13-0 any more")


def test_a_file_that_is_listed_and_not_there_is_said_to_be_that(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path
) -> None:
    del server.files[f"/rhel9/{NVCC}.rpm"]
    assert str(failure(lock, tmp_path)).endswith(": its metadata still lists it, but the file is not there")


@pytest.mark.parametrize("data", [b"short", b"another build of the compiler, and longer than the one that was locked"])
def test_other_bytes_under_the_same_name_are_a_re_spin(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path, vendor: Vendor, data: bytes
) -> None:
    rpms = changed("cuda-nvcc-13-0", data=data)
    url = publish(server, tmp_path / "repo", vendor, rpms)
    error = failure(lock, tmp_path)
    now = next(rpm.package().sha256 for rpm in rpms if rpm.name == "cuda-nvcc-13-0")
    assert isinstance(error, RpmRespun)
    assert str(error) == f"{NVCC} was made anew: the lock says sha256 {sha256_in(lock, NVCC)}, {url} now lists {now}"


def test_a_re_spun_file_that_moved_is_a_re_spin_too(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path, vendor: Vendor
) -> None:
    publish(server, tmp_path / "repo", vendor, changed("cuda-nvcc-13-0", data=b"new", location="new/nvcc.rpm"))
    assert isinstance(failure(lock, tmp_path), RpmRespun)


def test_bytes_that_the_metadata_does_not_list_are_no_re_spin(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path
) -> None:
    path = f"/rhel9/{NVCC}.rpm"
    server.files[path] = bytes(len(server.files[path]))
    error = failure(lock, tmp_path)
    assert isinstance(error, DownloadMismatch)
    assert error.__cause__ is None


def test_a_body_that_breaks_off_is_no_re_spin(lock: RpmLock, server: LoopbackServer, tmp_path: Path) -> None:
    server.fail(f"/rhel9/{NVCC}.rpm", cut_after=3)
    assert isinstance(failure(lock, tmp_path), Truncated)


def test_metadata_of_another_signer_is_not_believed(lock: RpmLock, server: LoopbackServer, tmp_path: Path) -> None:
    publish(server, tmp_path / "repo", Vendor("Stranger <s@example.org>"), changed("cuda-nvcc-13-0", data=b"evil"))
    assert isinstance(failure(lock, tmp_path), (DownloadMismatch, Truncated))
    del server.files[f"/rhel9/{NVCC}.rpm"]
    words = str(failure(lock, tmp_path))
    assert "what it has now cannot be told (" in words
    assert "has no good signature by a pinned key" in words


def test_a_copy_in_a_directory_that_lacks_a_file_is_told(lock: RpmLock, tmp_path: Path) -> None:
    (tmp_path / "repo" / f"{NVCC}.rpm").unlink()
    error = failure(lock, tmp_path, str(tmp_path / "repo"))
    assert isinstance(error, RpmPruned)
    assert error.place == (tmp_path / "repo").as_uri() + "/"


def test_several_are_told_together_and_the_repository_is_asked_once(
    lock: RpmLock, server: LoopbackServer, tmp_path: Path, vendor: Vendor
) -> None:
    rpms = tuple(replace(rpm, version="13.0.99") if rpm.name.startswith("libnv") else rpm for rpm in toolkit("13.0"))
    publish(server, tmp_path / "repo", vendor, rpms)
    server.seen.clear()
    error = failure(lock, tmp_path)
    assert isinstance(error, SeveralFailures)
    assert [type(one) for one in error.errors] == [RpmPruned, RpmPruned]
    assert (error.exit_code, error.hint) == (RpmPruned.exit_code, RpmPruned.hint)
    assert server.count("/rhel9/repodata/repomd.xml") == 1


def test_a_server_that_is_not_well_is_no_drift(lock: RpmLock, server: LoopbackServer, tmp_path: Path) -> None:
    server.fail(f"/rhel9/{NVCC}.rpm", 503)
    server.seen.clear()
    error = failure(lock, tmp_path)
    assert isinstance(error, HttpRefused)
    assert server.count("/rhel9/repodata/repomd.xml") == 0


def test_what_is_no_rpm_of_the_lock_keeps_its_error(lock: RpmLock, server: LoopbackServer) -> None:
    gone = HttpRefused(f"{server.origin}/wheels/a.whl", 404, "Not Found")
    for locked in (lock, None):
        with pytest.raises(HttpRefused) as caught, drift_named(locked, None):
            raise gone
        assert caught.value is gone
