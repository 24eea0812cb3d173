"""NVIDIA's component archives as a source of the toolchain: the list, the wishes, the lock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomllib

from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.stack.redistwishes import RedistWishes
from mirror.connected.toolchain.redistlock import RedistLock, lock_redist
from mirror.connected.toolchain.redistmanifest import (
    InvalidRedist,
    RedistComponentMissing,
    RedistNotPinned,
    RedistUnreachable,
)
from mirror.connected.toolchain.repository import Read
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.fields import Fields
from mirror.core.target import Target
from tests.support.index import LoopbackServer
from tests.support.redist import write_redist
from tests.support.wheels import sha256_of

PLACE = "https://redist.example.org/compute/cuda/redist/"
NOW = 1_795_225_800  # 2026-11-21T01:50:00Z
TARGET = Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="12.6")
JIT = ("cuda_cccl", "cuda_cudart", "cuda_cuobjdump", "cuda_nvcc", "cuda_nvrtc", "libcublas", "libcurand")
SPLIT = ("cuda_crt", "cuda_culibos", "libnvptxcompiler", "libnvvm")


@pytest.fixture
def read() -> Iterator[Read]:
    with new_session() as session:
        yield partial(get_bytes, session, patience=Patience(attempts=1))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A directory that stands in for NVIDIA's, with release 12.6.3."""
    write_redist(tmp_path / "copy", "12.6.3")
    return tmp_path / "copy"


def wishes(listed: Path, *components: str, release: str = "12.6") -> RedistWishes:
    document = {"manifest": PLACE + listed.name, "sha256": sha256_of(listed), "components": list(components)}
    return RedistWishes.from_fields(Fields(document, "NAME.toml", "redist"), release)


def locked(copy: Path, read: Read, *components: str, target: Target = TARGET) -> RedistLock:
    (listed,) = copy.glob("*.json")
    asked = wishes(listed, *(components or ("flashinfer-jit",)), release=target.cuda)
    return lock_redist(asked, target, location=str(copy), read=read, now=NOW)


@pytest.fixture
def lock(copy: Path, read: Read) -> RedistLock:
    return locked(copy, read)


@pytest.mark.parametrize(
    ("label", "keys"),
    [
        ("12.6.3", JIT),
        ("12.9.1", JIT),
        ("13.0.2", (*JIT, *SPLIT)),
        ("13.3.1", (*JIT[1:], *SPLIT, "cccl")),
    ],
)
def test_a_set_takes_what_holds_its_parts_in_each_release(
    tmp_path: Path, read: Read, label: str, keys: tuple[str, ...]
) -> None:
    """Before 13.0 the compiler is one archive, from 13.0 several; from 13.3 CCCL has another name."""
    write_redist(tmp_path, label)
    made = locked(tmp_path, read, target=replace(TARGET, cuda=label[:4]))
    assert [pin.name for pin in made.pins] == sorted(keys)
    assert made.release == label


def test_arm_servers_take_the_sbsa_archives(tmp_path: Path, read: Read) -> None:
    write_redist(tmp_path, "12.6.3", arch="aarch64")
    made = locked(tmp_path, read, target=replace(TARGET, arch="aarch64"))
    assert {pin.platform for pin in made.pins} == {"linux-sbsa"}
    assert made.pins[0].location.startswith("cuda_cccl/linux-sbsa/cuda_cccl-linux-sbsa-")


def test_roles_and_keys_of_the_list_may_be_named(copy: Path, read: Read) -> None:
    made = locked(copy, read, "driver-devel", "libcurand", "cuda_cudart")
    assert [pin.name for pin in made.pins] == ["cuda_cudart", "libcurand"]
    assert made.wanted == ("driver-devel", "libcurand", "cuda_cudart")


def test_what_only_goes_with_a_set_is_done_without(tmp_path: Path, read: Read) -> None:
    write_redist(tmp_path, "12.6.3", cuda_cuobjdump=None)
    assert "cuda_cuobjdump" not in [pin.name for pin in locked(tmp_path, read).pins]


def test_the_lock_names_the_stacks_list_not_the_copy(lock: RedistLock, copy: Path) -> None:
    assert lock.manifest == PLACE + "redistrib_12.6.3.json"
    assert str(copy) not in lock.encode().decode()


def test_what_is_written_reads_back_the_same(lock: RedistLock, tmp_path: Path) -> None:
    path = tmp_path / "h100.redist.toml"
    path.write_bytes(lock.encode())
    assert RedistLock.load(path) == lock
    assert RedistLock.load(path).encode() == lock.encode()


def test_the_file_is_plain_toml(lock: RedistLock, copy: Path) -> None:
    document = tomllib.loads(lock.encode().decode())
    assert document["locked"].isoformat() == "2026-11-21T01:50:00+00:00"
    archive = copy / "cuda_nvcc/linux-x86_64/cuda_nvcc-linux-x86_64-12.6.77-archive.tar.xz"
    assert document["component"][3] == {
        "name": "cuda_nvcc",
        "version": "12.6.77",
        "platform": "linux-x86_64",
        "location": "cuda_nvcc/linux-x86_64/cuda_nvcc-linux-x86_64-12.6.77-archive.tar.xz",
        "size": archive.stat().st_size,
        "sha256": sha256_of(archive),
    }


def test_a_copy_and_the_place_itself_give_the_same_lock(lock: RedistLock, copy: Path, read: Read) -> None:
    with LoopbackServer() as server:
        for path in copy.rglob("*"):
            if path.is_file():
                server.serve(f"/redist/{path.relative_to(copy)}", path.read_bytes())
        itself = replace(wishes(copy / "redistrib_12.6.3.json", "flashinfer-jit"))
        itself = replace(itself, manifest=f"{server.origin}/redist/redistrib_12.6.3.json")
        there = lock_redist(itself, TARGET, location=None, read=read, now=NOW)
        assert [seen.path for seen in server.seen] == ["/redist/redistrib_12.6.3.json"]
    assert replace(there, manifest=lock.manifest) == lock


def test_downloads_come_from_below_the_list_or_from_a_copy(lock: RedistLock, copy: Path) -> None:
    pin = lock.pins[3]
    itself, stand_in = lock.downloads(None)[3], lock.downloads(str(copy))[3]
    assert itself.url == PLACE + pin.location
    assert stand_in.url == (copy / pin.location).as_uri()
    for download in (itself, stand_in):
        assert (download.filename, download.sha256, download.size) == (pin.filename, pin.sha256, pin.size)


# What is refused at locking.


@pytest.mark.group(45)
def test_a_list_with_other_bytes_than_the_pinned_is_not_parsed(copy: Path, read: Read) -> None:
    listed = copy / "redistrib_12.6.3.json"
    asked = wishes(listed, "nvcc")
    listed.write_text("not even JSON")
    with pytest.raises(RedistNotPinned) as caught:
        lock_redist(asked, TARGET, location=str(copy), read=read, now=NOW)
    actual = hashlib.sha256(b"not even JSON").hexdigest()
    assert str(caught.value) == (
        f"{listed.as_uri()} is not the pinned one: its sha256 is {actual}, NAME.toml says {asked.sha256}"
    )
    assert "NVIDIA does not sign this list" in caught.value.hint


def test_a_component_that_the_list_lacks_is_named_with_what_it_has(tmp_path: Path, read: Read) -> None:
    write_redist(tmp_path, "13.0.2", cuda_crt=None, libnvvm={"version": "1", "linux-sbsa": {"relative_path": "x"}})
    with pytest.raises(RedistComponentMissing) as caught:
        locked(tmp_path, read, "nvcc", target=replace(TARGET, cuda="13.0"))
    assert str(caught.value) == (
        "redistrib_13.0.2.json lacks cuda_crt, libnvvm for linux-x86_64; it has cuda_cccl, cuda_cudart, cuda_culibos, "
        "cuda_cuobjdump, cuda_nvcc, cuda_nvrtc, libcublas, libcurand, libnvptxcompiler"
    )


def test_an_architecture_that_the_list_lacks_is_named(copy: Path, read: Read) -> None:
    with pytest.raises(RedistComponentMissing, match=r"lacks cuda_nvcc, .* for linux-sbsa; it has no archive"):
        locked(copy, read, target=replace(TARGET, arch="aarch64"))


def test_a_list_of_another_release_is_refused(copy: Path, read: Read) -> None:
    with pytest.raises(InvalidRedist) as caught:
        locked(copy, read, target=replace(TARGET, cuda="12.8"))
    assert str(caught.value) == "redistrib_12.6.3.json cannot be used: it is of CUDA 12.6.3, [target].cuda says 12.8"
    assert "redistrib_X.Y.Z.json of a patch release of [target].cuda" in caught.value.hint


GOOD = {"relative_path": "cuda_nvcc/a.tar.xz", "sha256": "0" * 64, "size": "1"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"relative_path": "../a.tar.xz"},
            "at 'cuda_nvcc.linux-x86_64.relative_path': expected a path below the repository",
        ),
        ({"relative_path": "/a.tar.xz"}, "expected a path below the repository"),
        ({"relative_path": "a/../../b.tar.xz"}, "expected a path below the repository"),
        ({"relative_path": "https://elsewhere.example.org/a.tar.xz"}, "expected a path below the repository"),
        ({"relative_path": "a.zip"}, "expected the path of a .tar.xz, got 'a.zip'"),
        ({"sha256": "ABC"}, "at 'cuda_nvcc.linux-x86_64.sha256': expected 64 hex digits"),
        ({"size": "-1"}, "at 'cuda_nvcc.linux-x86_64.size': expected a number of bytes, got '-1'"),
        ({"size": "0"}, "expected a number of bytes"),
        ({"size": "9" * 20}, "expected a number of bytes"),
        ({"size": 1}, "expected str, got int"),
        ({"sha256": None}, "at 'cuda_nvcc.linux-x86_64.sha256': missing"),
    ],
)
def test_a_badly_described_archive_is_refused(
    tmp_path: Path, read: Read, changes: dict[str, Any], problem: str
) -> None:
    entry = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    write_redist(tmp_path, "12.6.3", cuda_nvcc={"version": "12.6.85", "linux-x86_64": entry})
    with pytest.raises(InvalidRedist) as caught:
        locked(tmp_path, read, "nvcc")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "it has no release_label"),
        ('{"release_label": 12}', "it has no release_label"),
        ("{", "not valid JSON"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
    ],
)
def test_a_pinned_file_that_is_no_list_is_refused(tmp_path: Path, read: Read, text: str, problem: str) -> None:
    (tmp_path / "redistrib_12.6.3.json").write_text(text)
    with pytest.raises(InvalidRedist, match=problem):
        locked(tmp_path, read)


def test_a_list_out_of_reach_says_how_to_go_on(tmp_path: Path, copy: Path, read: Read) -> None:
    asked = wishes(copy / "redistrib_12.6.3.json", "nvcc")
    with pytest.raises(RedistUnreachable) as caught:
        lock_redist(asked, TARGET, location=str(tmp_path / "nowhere"), read=read, now=NOW)
    assert str(caught.value).startswith(f"cannot get redistrib_12.6.3.json from the directory {tmp_path}/nowhere/: ")
    assert "--toolchain-repo" in caught.value.hint and "--without toolchain" in caught.value.hint


# What a person writes.


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sha256": None}, "NVIDIA signs no redist manifest, so its pinned digest is the trust anchor"),
        ({"sha256": "abc"}, "expected 64 hex digits"),
        ({"manifest": "ftp://example.org/a.json"}, "expected a URL that begins with"),
        ({"manifest": "https://example.org/redist/"}, "ends with a file name such as 'redistrib_12.6.3.json'"),
        ({"manifest": "https://me:secret@example.org/a.json"}, "credentials in a URL are refused"),
        ({"components": []}, "expected at least one, such as 'flashinfer-jit'"),
        ({"components": ["nvidia_driver"]}, "'nvidia_driver' belongs to the host's driver"),
        ({"components": ["cuda_compat_orin"]}, "belongs to the host's driver"),
        ({"components": ["compat"]}, "no archive of CUDA 12.6 holds 'compat'"),
        (
            {"components": ["flashinfer"]},
            "CUDA 12.6 has no component 'flashinfer'; did you mean 'flashinfer-jit'? there are the sets",
        ),
        ({"components": ["cuda-nvcc-12-6"]}, "has no component 'cuda-nvcc-12-6'"),
        ({"packages": ["a"]}, "unknown key"),
    ],
)
def test_a_table_that_says_something_else_is_refused(changes: dict[str, Any], problem: str) -> None:
    table = {"manifest": PLACE + "redistrib_12.6.3.json", "sha256": "0" * 64, "components": ["nvcc"], **changes}
    table = {key: value for key, value in table.items() if value is not None}
    with pytest.raises(InvalidDocument) as caught:
        RedistWishes.from_fields(Fields(table, "NAME.toml", "redist"), "12.6")
    assert problem in str(caught.value) and "at 'redist." in str(caught.value)


# What a lock covers, and how it is read.


def test_a_lock_covers_its_wishes_until_one_side_changes(lock: RedistLock, copy: Path) -> None:
    asked = wishes(copy / "redistrib_12.6.3.json", "flashinfer-jit")
    assert lock.differences(asked, TARGET) == ()
    later = replace(asked, manifest=PLACE + "b.json", sha256=lock.pins[0].sha256, components=("nvcc",))
    assert lock.differences(later, replace(TARGET, cuda="12.8", arch="aarch64")) == (
        f"the stack names the list {PLACE}b.json, the lock {lock.manifest}",
        f"the stack pins the list by sha256 {later.sha256}, the lock is of {lock.sha256}",
        "the stack's target is CUDA 12.8, the lock is of 12.6.3",
        "the stack wants nvcc, which is not locked",
        "flashinfer-jit is locked, and the stack no longer wants it",
        "the stack's target is aarch64, the locked archives are for linux-x86_64",
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('format = "mirror-redist/1"', 'format = "mirror-redist/2"', "this mirror reads 'mirror-redist/1'"),
        ('name = "cuda_cccl"', 'name = "zzz"', "expected at least one, each name once, in order"),
        ('location = "cuda_cccl/', 'location = "../', "expected a path below the repository"),
        ("01:50:00Z", "01:50:00", "it names no time zone"),
        ('platform = "linux-x86_64"', 'platform = "linux-x86_64"\nmore = 1', "unknown key"),
        ("[[component]]", "[component", "not valid TOML"),
    ],
)
def test_a_lock_that_was_edited_is_refused(lock: RedistLock, old: str, new: str, problem: str) -> None:
    text = lock.encode().decode()
    assert old in text
    with pytest.raises(InvalidDocument, match=problem):
        RedistLock.parse(text.replace(old, new, 1).encode())


def test_a_lock_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"h100\.redist\.toml"):
        RedistLock.load(tmp_path / "h100.redist.toml")


def test_the_list_of_the_tests_has_the_shape_of_nvidias(copy: Path) -> None:
    """CUDA.md A9: texts at the top, sizes as texts, other platforms, variants without a path of their own."""
    document = json.loads((copy / "redistrib_12.6.3.json").read_text())
    assert isinstance(document["release_date"], str)
    assert document["cuda_nvcc"].keys() == {
        "name",
        "license",
        "license_path",
        "version",
        "linux-x86_64",
        "windows-x86_64",
    }
    assert document["cuda_nvcc"]["linux-x86_64"].keys() == {"relative_path", "sha256", "md5", "size"}
    assert "relative_path" not in document["cuda_compat"]["linux-x86_64"]
