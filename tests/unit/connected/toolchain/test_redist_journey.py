"""The whole way of component archives: lock, bundle and install, on a loopback server, with an nvcc that only pretends."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mirror.closed.host.machine import read_host
from mirror.closed.install import Options, install
from mirror.closed.which.place import Place
from mirror.closed.which.search import which
from mirror.connected.bundle import Bundled, BundleOptions, bundle
from mirror.connected.fetching.store import Store
from mirror.connected.lock import Locked, LockOptions, lock
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.planning.locks import LockOutdated, read_locks
from mirror.connected.planning.wishes import NotLocked, Wishes
from mirror.connected.prepare import prepare
from mirror.connected.stack.stack import Stack
from mirror.connected.stack.without import UnknownPart
from mirror.connected.toolchain.redistlock import RedistLock
from mirror.connected.toolchain.redistmanifest import RedistNotPinned, RedistUnreachable
from mirror.core.archives.tarstream import BadArchive
from mirror.core.bundle.reader import open_bundle
from mirror.core.cuda.redistnames import PLATFORMS, asked_for_by
from mirror.core.errors import InvalidDocument, MirrorError
from mirror.core.kinds import REDIST, WHEEL
from mirror.core.toolkit.fileindex import BUNDLED, FileIndex
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import make_pip_wheel, make_uv_wheel, this_machine
from tests.support.index import LoopbackIndex
from tests.support.redist import archive, write_redist
from tests.support.rpms import Link
from tests.support.wheels import make_wheel, sha256_of

HERE = this_machine(python="{}.{}".format(*sys.version_info), gpu="sm_90a", cuda="12.6")
PLATFORM = PLATFORMS[HERE.arch]
NOW = 1_795_225_800  # 2026-11-21T01:50:00Z
LATER = NOW + 3600
TOML = """
[target]
python = "{target.python}"
arch = "{target.arch}"
glibc = "2.17"
gpu = "sm_90a"
cuda = "12.6"

[python]
requirements = ["left-pad==1.0"]

[indexes]
default = "{index}"

[redist]
manifest = "{place}/redistrib_12.6.3.json"
sha256 = "{sha256}"
components = ["nvcc", "driver-devel"]
"""


@dataclass
class World:
    """A builder's machine and an operator's, with a server between the builder and the world.

    Attributes:
        path: a directory of their own.
        server: the index, and NVIDIA's place below ``/redist``.
        tools: pins of uv and pip.
    """

    path: Path
    server: LoopbackIndex
    tools: PythonLock

    @property
    def toml(self) -> Path:
        return self.path / "demo.toml"

    @property
    def copy(self) -> Path:
        """What NVIDIA's place is a copy of."""
        return self.path / "redist"

    def serve(self) -> None:
        for path in self.copy.rglob("*.*"):
            self.server.serve(f"/redist/{path.relative_to(self.copy)}", path.read_bytes())

    def asked(self, prefix: str) -> list[str]:
        return [seen.path for seen in self.server.seen if seen.path.startswith(prefix)]

    def lock(self, now: int = NOW, **options: Any) -> Locked:
        return lock(self.toml, LockOptions(now=now, **options), Store(self.path / "store"))

    def options(self, name: str, **wishes: Any) -> BundleOptions:
        return BundleOptions(Wishes(self.path / "demo.txt", tools=self.tools, **wishes), self.path / name)

    def bundle(self, name: str = "b.tar", store: str = "store", **wishes: Any) -> Bundled:
        return bundle(self.options(name, **wishes), Store(self.path / store), TrustStore(self.path / "keys"))


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tools")
    return make_uv_wheel(directory), make_pip_wheel(directory)


@pytest.fixture
def world(tmp_path: Path, tools: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as server:
        lines = []
        for wheel in (*tools, make_wheel(tmp_path / "wheels", "left-pad", "1.0")):
            server.add(wheel)
            name, version = wheel.name.split("-")[:2]
            lines.append(f"{name}=={version} --hash=sha256:{sha256_of(wheel)}\n")
        listed = write_redist(tmp_path / "redist", "12.6.3", HERE.arch)
        made = World(tmp_path, server, parse_lock("".join(lines[:2]).encode(), "tools.txt"))
        made.serve()
        place, sha256 = f"{server.origin}/redist", sha256_of(listed)
        made.toml.write_text(TOML.format(target=HERE, index=server.url, place=place, sha256=sha256))
        yield made


def test_from_the_list_to_an_installed_toolkit(world: World) -> None:
    world.lock()
    lock_file = world.path / "demo.redist.toml"
    assert RedistLock.load(lock_file).wanted == ("nvcc", "driver-devel")
    made = world.bundle(locked=True)
    with open_bundle(made.path) as written:
        manifest = written.trust(TrustStore(world.path / "keys").load_root())
        listed = json.loads(written.read(next(one for one in manifest.artifacts if one.path == "meta/redist.json")))
    archives = manifest.of(REDIST)
    assert [one.path for one in archives] == [
        f"redist/{name}-{PLATFORM}-12.6.77-archive.tar.xz" for name in ("cuda_cccl", "cuda_cudart", "cuda_nvcc")
    ]
    assert archives[2].origin == f"{world.server.origin}/redist/cuda_nvcc/{PLATFORM}/{archives[2].filename}"
    assert all(one.unpacked_size > 0 and one.version == "12.6.77" for one in archives)
    assert listed["release"] == "12.6.3" and listed["sha256"] == sha256_of(world.copy / "redistrib_12.6.3.json")
    assert manifest.find("meta/demo.redist.toml") and manifest.find("meta/demo.toml")
    assert "mirror-probe" in {wheel.name for wheel in manifest.of(WHEEL)}  # built with these very archives

    host = dataclasses.replace(read_host(), compiler=None)
    base = Path(sys.base_prefix) / "bin" / f"python{HERE.python}"
    options = Options(made.path, world.path / "prefix", base, made.builder.root.fingerprint)
    installed = install(options, TrustStore(world.path / "closed"), host)
    assert [one for one in installed.receipt.counts if one[0] in ("rpm", "archive")] == [("archive", 3)]
    script = f'. "{installed.prefix}/current/env.sh"; nvcc; cat "$CUDA_HOME/include/nv/target" "$LIBRARY_PATH/stubs/libcuda.so"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "nvcc 12.6.3\n/* nv */\nstub"
    assert installed.receipt.toolchain is not None
    owner = installed.receipt.toolchain.owner(f"targets/{HERE.cuda_targets}/lib/stubs/libcuda.so")
    assert owner is not None and owner.nevra == f"cuda_cudart-12.6.77.{HERE.arch}"


def test_a_copy_on_a_disk_gives_the_same_lock_and_the_same_bundle(world: World) -> None:
    first = world.bundle()  # locks first
    lock_file = world.path / "demo.redist.toml"
    before = lock_file.read_bytes()
    times = read_locks(world.path / "demo.txt").sequence(None)[0]
    assert len(world.asked("/redist/")) == 1 + 3
    world.server.seen.clear()
    lock_file.unlink()
    world.lock(now=times, toolchain_repo=str(world.copy), parts=frozenset({"toolchain"}))
    second = world.bundle("c.tar", "other store", locked=True, toolchain_repo=str(world.copy))
    assert world.asked("/redist/") == []
    assert lock_file.read_bytes() == before
    assert second.sha256 == first.sha256


def test_locking_again_changes_nothing_until_the_wishes_do(world: World) -> None:
    world.lock()
    before = (world.path / "demo.redist.toml").read_bytes()
    assert not any(file.changed for file in world.lock(LATER).files)
    assert (world.path / "demo.redist.toml").read_bytes() == before
    world.toml.write_text(world.toml.read_text().replace('"driver-devel"', '"nvrtc"'))
    with pytest.raises(LockOutdated, match="the stack wants nvrtc, which is not locked"):
        read_locks(world.path / "demo.txt")
    changed = [file.path.name for file in world.lock(LATER).files if file.changed]
    assert changed == ["demo.txt", "demo.build.txt", "demo.redist.toml"]  # another NAME.toml is another lock


def test_a_lock_that_cannot_be_read_is_made_anew(world: World) -> None:
    world.lock()
    before = (world.path / "demo.redist.toml").read_bytes()
    (world.path / "demo.redist.toml").write_text('format = "mirror-redist/1"\nnothing')
    world.lock()
    assert (world.path / "demo.redist.toml").read_bytes() == before


def test_a_missing_lock_is_named_when_nothing_may_be_locked(world: World) -> None:
    world.lock()
    (world.path / "demo.redist.toml").unlink()
    with pytest.raises(NotLocked, match=r"has no demo\.redist\.toml"):
        world.bundle(locked=True)


def test_the_stack_can_go_without_its_toolchain(world: World) -> None:
    world.lock(without=frozenset({"toolchain"}))
    assert not (world.path / "demo.redist.toml").exists()
    plan, _ = prepare(
        world.options("b.tar", locked=True, without=frozenset({"toolchain"})).wishes, Store(world.path / "store")
    )
    assert (plan.of(REDIST), plan.builds) == ((), ())
    assert "carries no CUDA toolchain (--without toolchain)" in plan.notes
    assert world.asked("/redist/") == []
    with pytest.raises(UnknownPart, match="can go without toolchain"):
        world.lock(without=frozenset({"left-pad"}))


def test_a_place_out_of_reach_leaves_the_python_side_locked(world: World) -> None:
    world.server.fail("/redist/redistrib_12.6.3.json", status=404)
    with pytest.raises(RedistUnreachable, match=r"cannot get redistrib_12\.6\.3\.json from 127\.0\.0\.1"):
        world.lock()
    assert sorted(os.listdir(world.path)).count("demo.txt") == 1
    assert not (world.path / "demo.redist.toml").exists()


def test_a_list_that_was_exchanged_leaves_nothing(world: World) -> None:
    world.server.serve("/redist/redistrib_12.6.3.json", b'{"release_label": "12.6.3"}')
    with pytest.raises(RedistNotPinned):
        world.lock()
    assert not (world.path / "demo.txt").exists()


def refused(world: World, error: type[MirrorError], words: str) -> None:
    with pytest.raises(error, match=words):
        world.bundle()
    assert not (world.path / "b.tar").exists()


def test_an_archive_with_other_bytes_than_the_locked_is_refused(world: World) -> None:
    world.lock()
    (path,) = (path for path in world.server.files if "cuda_cccl" in path)
    world.server.serve(path, world.server.files[path][:-1] + b"x")
    refused(world, MirrorError, "sha256")


def test_a_hostile_archive_is_refused_when_the_bundle_is_made(world: World) -> None:
    """NVIDIA's own list may name it; its digest is right, its contents are not."""
    relative = f"cuda_cccl/{PLATFORM}/cuda_cccl-bad.tar.xz"
    bad = archive(world.copy / relative, {"lib/a": Link("/etc/passwd")})
    entry = {"relative_path": relative, "sha256": sha256_of(bad), "size": str(bad.stat().st_size)}
    listed = write_redist(world.copy, "12.6.3", HERE.arch, cuda_cccl={"version": "12.6.77", PLATFORM: entry})
    pinned = Stack.load(world.toml).wishes[REDIST]
    world.toml.write_text(world.toml.read_text().replace(pinned.sha256, sha256_of(listed)))
    world.serve()
    refused(world, BadArchive, r"cuda_cccl-bad\.tar\.xz cannot be unpacked: .* is a link to the absolute path")


def test_the_toolchain_comes_from_one_place(world: World) -> None:
    text = world.toml.read_text()
    more = '[rpms]\nrepository = "https://example.org/"\nfingerprints = ["' + "AB" * 20 + '"]\ncomponents = ["nvcc"]\n'
    world.toml.write_text(text + more)
    with pytest.raises(InvalidDocument, match=r"at 'redist': the toolchain comes from one place"):
        Stack.load(world.toml)
    world.toml.write_text(text.replace('cuda = "12.6"\n', ""))
    with pytest.raises(
        InvalidDocument, match=r"at 'target.cuda': missing: a stack with \[redist\] says which CUDA release"
    ):
        Stack.load(world.toml)


def test_a_lock_of_another_release_does_not_cover_the_stack(world: World) -> None:
    world.lock()
    locks = read_locks(world.path / "demo.txt")
    assert isinstance(locks.toolchain, RedistLock) and locks.missing() == ()
    (world.path / "demo.redist.toml").write_bytes(replace(locks.toolchain, release="12.8.1").encode())
    with pytest.raises(LockOutdated, match=r"target is CUDA 12\.6, the lock is of 12\.8\.1"):
        read_locks(world.path / "demo.txt")


def test_the_bundle_says_which_component_brings_a_file(world: World) -> None:
    made = world.bundle()
    with open_bundle(made.path) as written:
        manifest = written.trust(TrustStore(world.path / "keys").load_root())
        artifact = manifest.find(BUNDLED)
        assert artifact is not None
        index = FileIndex.parse(written.read(artifact))
    place = Place("bundle", made.path, "demo", index)
    (there,) = which(place, "nv/target").rpms
    assert (there.rpm.name, there.rpm.evr, there.rpm.carried) == ("cuda_cccl", "12.6.77", True)
    (missing,) = which(place, "libcublasLt.so").to_dict()["rpms"]
    assert (missing["name"], missing["add"]) == ("libcublas", 'components = [..., "libcublas"]')
    assert asked_for_by("libcublas")[0] == "[redist]"
