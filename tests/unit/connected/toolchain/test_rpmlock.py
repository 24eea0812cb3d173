"""The RPM lock: what is written, what is read back, what it still covers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import tomllib

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.repository import Read
from mirror.connected.toolchain.rpmlock import RpmLock, lock_rpms
from mirror.core.cuda.components import component
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.kinds import RPM
from mirror.core.target import Target
from mirror.core.words import grouped
from tests.support.index import LoopbackServer
from tests.support.repos import DRIVER, Vendor, toolkit, write_repository

REPOSITORY = "https://rpms.example.org/rhel9/x86_64/"
LOCKFILES = Path(__file__).parents[4] / "lockfiles"
TARGET = Target("3.11", "x86_64", "2.28", cuda="13.0")
NOW = 1_795_225_800  # 2026-11-21T01:50:00Z


@pytest.fixture
def read() -> Iterator[Read]:
    with new_session() as session:
        yield partial(get_bytes, session, patience=Patience(attempts=1))


@pytest.fixture(scope="module")
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def copy(tmp_path: Path, vendor: Vendor) -> Path:
    write_repository(tmp_path / "copy", (*toolkit("12.9"), *toolkit("13.0"), *toolkit("13.3"), *DRIVER), vendor)
    return tmp_path / "copy"


@pytest.fixture
def wishes(vendor: Vendor) -> RpmWishes:
    return RpmWishes(REPOSITORY, ("0" * 40, vendor.fingerprint), ("cuda-nvcc-13-0", "cuda-cudart-devel-13-0"))


@pytest.fixture
def lock(copy: Path, wishes: RpmWishes, read: Read) -> RpmLock:
    return lock_rpms(wishes, TARGET, location=str(copy), read=read, now=NOW)


def test_the_lock_holds_the_closure_and_who_signed_it(lock: RpmLock, vendor: Vendor) -> None:
    assert [pin.name for pin in lock.pins] == [
        "cuda-cccl-13-0",
        "cuda-crt-13-0",
        "cuda-cudart-13-0",
        "cuda-cudart-devel-13-0",
        "cuda-nvcc-13-0",
        "cuda-toolkit-13-0-config-common",
        "cuda-toolkit-13-config-common",
        "cuda-toolkit-config-common",
        "libnvptxcompiler-13-0",
        "libnvvm-13-0",
    ]
    assert lock.fingerprints == (vendor.fingerprint,)
    assert lock.key.encode() == vendor.key


def test_the_lock_names_the_stacks_repository_not_the_copy(lock: RpmLock, copy: Path) -> None:
    assert lock.repository == REPOSITORY
    assert str(copy) not in lock.encode().decode()


def test_what_is_written_reads_back_the_same(lock: RpmLock, tmp_path: Path) -> None:
    path = tmp_path / "h100.rpms.toml"
    path.write_bytes(lock.encode())
    assert RpmLock.load(path) == lock
    assert RpmLock.load(path).encode() == lock.encode()


def test_the_file_is_plain_toml(lock: RpmLock) -> None:
    document = tomllib.loads(lock.encode().decode())
    assert document["locked"].isoformat() == "2026-11-21T01:50:00+00:00"
    assert document["package"][4] == {
        "name": "cuda-nvcc-13-0",
        "epoch": 0,
        "version": "13.0.88",
        "release": "1",
        "arch": "x86_64",
        "location": "cuda-nvcc-13-0-13.0.88-1.x86_64.rpm",
        "size": lock.pins[4].size,
        "sha256": lock.pins[4].sha256,
        "installed_size": 1000,
    }


def test_a_copy_and_the_repository_itself_give_the_same_lock(
    lock: RpmLock, copy: Path, vendor: Vendor, read: Read
) -> None:
    with LoopbackServer() as server:
        for path in copy.rglob("*"):
            if path.is_file():
                server.serve(f"/rhel9/{path.relative_to(copy)}", path.read_bytes())
        itself = RpmWishes(f"{server.origin}/rhel9", (vendor.fingerprint,), lock.wanted)
        there = lock_rpms(itself, TARGET, location=None, read=read, now=NOW)
    assert replace(there, repository=REPOSITORY) == lock


def test_downloads_come_from_the_repository(lock: RpmLock) -> None:
    download = lock.downloads(None)[4]
    assert download.url == REPOSITORY + "cuda-nvcc-13-0-13.0.88-1.x86_64.rpm"
    assert (download.filename, download.sha256, download.size) == (
        "cuda-nvcc-13-0-13.0.88-1.x86_64.rpm",
        lock.pins[4].sha256,
        lock.pins[4].size,
    )


def test_downloads_come_from_a_copy_that_stands_in(lock: RpmLock, copy: Path, read: Read) -> None:
    download = lock.downloads(str(copy))[4]
    assert download.url == (copy / download.filename).as_uri()
    assert len(read(download.url, 1 << 20)) == download.size


def test_a_repository_without_a_final_slash_is_the_same_one(lock: RpmLock, wishes: RpmWishes) -> None:
    bare = replace(lock, repository=REPOSITORY.rstrip("/"))
    assert bare.downloads(None) == lock.downloads(None)
    assert bare.differences(wishes, TARGET) == ()


def test_a_fresh_lock_covers_its_wishes(lock: RpmLock, wishes: RpmWishes) -> None:
    assert lock.differences(wishes, TARGET) == ()


def test_each_difference_from_the_wishes_is_told(lock: RpmLock) -> None:
    wishes = RpmWishes("https://other.example/", ("A" * 40,), ("cuda-nvcc-13-0", "cuda-nvrtc-devel-13-0"))
    assert lock.differences(wishes, TARGET) == (
        f"the stack names the repository https://other.example/, the lock {REPOSITORY}",
        f"the lock was signed by key {grouped(lock.fingerprints[0])}, the stack pins {grouped('A' * 40)}",
        "the stack wants cuda-nvrtc-devel-13-0, which is not locked",
        "cuda-cudart-devel-13-0 is locked, and the stack no longer wants it",
    )


def test_a_lock_that_lacks_what_a_component_needs_covers_nothing(lock: RpmLock, wishes: RpmWishes) -> None:
    needed = replace(wishes, needed=("cuda-crt-13-0", "cuda-nvrtc-13-0"))
    assert lock.differences(needed, TARGET) == ("the stack needs cuda-nvrtc-13-0, which is not locked",)


def test_a_lock_of_two_patch_levels_covers_nothing(lock: RpmLock, wishes: RpmWishes) -> None:
    pins = tuple(replace(pin, version="13.0.88") if pin.name == "cuda-cudart-devel-13-0" else pin for pin in lock.pins)
    (difference,) = replace(lock, pins=pins).differences(wishes, TARGET)
    assert difference.startswith(
        "cuda-cudart-13-0 is 13.0.96 (CUDA 13.0.2, 13.0.3) beside cuda-cudart-devel-13-0 13.0.88"
    )


def test_the_lock_that_we_ship_covers_its_stack() -> None:
    stack = Stack.load(LOCKFILES / "quickstart.toml")
    lock = RpmLock.load(LOCKFILES / "quickstart.rpms.toml")
    assert set(component("nvcc", stack.target.cuda).needed) <= set(stack.wishes[RPM].needed)
    assert lock.differences(stack.wishes[RPM], stack.target) == ()


def test_a_lock_for_another_architecture_covers_nothing(lock: RpmLock, wishes: RpmWishes) -> None:
    assert lock.differences(wishes, replace(TARGET, arch="aarch64")) == (
        "the stack's target is aarch64, the locked RPMs are for x86_64",
    )


@pytest.mark.parametrize(
    ("old", "new", "where", "problem"),
    [
        ("mirror-rpms/1", "mirror-rpms/2", "format", "this mirror reads 'mirror-rpms/1', got 'mirror-rpms/2'"),
        ("2026-11-21T01:50:00Z", "2026-11-21T01:50:00", "locked", "it names no time zone: end it with 'Z'"),
        ("2026-11-21T01:50:00Z", "0001-01-01T00:00:00+23:59", "locked", "expected a time from 1970 to 9999"),
        ("2026-11-21T01:50:00Z", "9999-12-31T23:59:59-23:59", "locked", "expected a time from 1970 to 9999"),
        ("2026-11-21T01:50:00Z", '"yesterday"', "locked", "expected datetime, got str"),
        ("https://rpms", "https://me:secret@rpms", "repository", "credentials in a URL are refused"),
        ('location = "cuda-nvcc', 'location = "../cuda-nvcc', "package[4].location", "expected a path below"),
        ('version = "13.0.85"', 'version = "13-0"', "package[0].version", "expected a version or release"),
        ("epoch = 0", "epoch = -1", "package[0].epoch", "expected at least 0, got -1"),
        ("epoch = 0", "epoch = 0\ncolour = 1", "package[0].colour", "unknown key"),
        ('fingerprints = ["', 'fingerprints = [] # ["', "fingerprints", "expected at least one"),
        ('  "cuda-nvcc-13-0",', '  "cuda-gdb-13-0",', "wanted", "cuda-gdb-13-0 has no [[package]]"),
        (
            'name = "cuda-crt-13-0"',
            'name = "cuda-nvcc-13-0"',
            "package",
            "expected at least one, each name once, in order",
        ),
    ],
)
def test_a_lock_that_was_edited_wrongly_is_refused_with_the_place(
    lock: RpmLock, old: str, new: str, where: str, problem: str
) -> None:
    text = lock.encode().decode()
    assert old in text
    with pytest.raises(InvalidDocument) as caught:
        RpmLock.parse(text.replace(old, new).encode())
    assert caught.value.where == where
    assert problem in caught.value.problem


def test_a_lock_that_is_no_toml_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="not valid TOML"):
        RpmLock.parse(b"= nothing")
    with pytest.raises(Unreadable):
        RpmLock.load(tmp_path / "h100.rpms.toml")
