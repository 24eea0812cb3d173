"""A toolkit out of component archives, installed: the same tree, links, owners and environment as out of RPMs."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.closed.host.machine import read_host
from mirror.closed.install import Installed
from mirror.closed.preflight import needed_bytes
from mirror.closed.toolkit.unpacking import unpack_toolkit
from mirror.connected.packing.meta import redist_json, tar_size
from mirror.core.archives.tarstream import BadArchive
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.cuda.redistnames import PLATFORMS
from mirror.core.errors import InvalidDocument
from mirror.core.fields import canonical_json
from mirror.core.kinds import REDIST
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.carried import ListedArchive, RedistList, carried_archives
from tests.support.bundles import BundleSimulator, this_machine
from tests.support.desk import Desk
from tests.support.redist import Contents, archive, components
from tests.support.rpms import Link
from tests.support.wheels import make_wheel

TRIPLET = this_machine().cuda_targets
PLATFORM = PLATFORMS[this_machine().arch]
WITHOUT_COMPILER = dataclasses.replace(read_host(), compiler=None)
LIST = "https://developer.download.nvidia.com/compute/cuda/redist/redistrib_12.6.3.json"
PINNED = Sha256Hex("9c598598457a6463eb92889080c16b2b9dc04150e501b8bfc1536d403ba70aaf")

Bundled = Callable[..., BundleSimulator]


@pytest.fixture
def bundled(desk: Desk) -> Bundled:
    """Makes a bundle with one wheel and these components: key to version and contents."""

    def make(parts: dict[str, tuple[str, Contents]], unpacked_size: int | None = None) -> BundleSimulator:
        simulator = desk.simulator()
        simulator.target = dataclasses.replace(simulator.target, gpu="sm_90a", cuda="12.6")
        simulator.add_wheel(make_wheel(desk.path, "left-pad", "1.0"))
        added = []
        for name, (version, contents) in parts.items():
            path = archive(desk.path / f"{name}-{PLATFORM}-{version}-archive.tar.xz", contents)
            size = tar_size(path) if unpacked_size is None else unpacked_size
            added.append(simulator.add(f"redist/{path.name}", path, name, version, size))
        added.sort(key=lambda one: one.path)
        simulator.add("meta/redist.json", redist_json(LIST, PINNED, "12.6.3", added))
        return simulator

    return make


def installed(desk: Desk, simulator: BundleSimulator) -> Installed:
    return desk.install(simulator.write(desk.path / "bundle.tar"), WITHOUT_COMPILER)


def test_archives_become_the_toolkit_that_env_sh_names(desk: Desk, bundled: Bundled) -> None:
    result = installed(desk, bundled(components("12.6.3")))
    script = f'. "{result.prefix}/current/env.sh"; nvcc; cat "$CUDA_HOME/include/nv/target"; ls -d "$LIBRARY_PATH"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    home = Path(os.path.realpath(result.prefix), "gens", Path(result.receipt.generation).name, "cuda")
    assert output == ["nvcc 12.6.3", "/* nv */", f"{home}/lib64"]
    assert (home / "lib64").readlink() == Path(f"targets/{TRIPLET}/lib")
    assert (home / "lib64/stubs/libcuda.so").read_bytes() == b"stub"


def test_the_receipt_says_which_component_each_file_came_from(desk: Desk, bundled: Bundled) -> None:
    receipt = installed(desk, bundled(components("12.6.3"))).receipt
    assert [one for one in receipt.counts if one[0] in ("rpm", "archive")] == [("archive", len(components("12.6.3")))]
    assert receipt.toolchain is not None
    owner = receipt.toolchain.owner(f"targets/{TRIPLET}/include/nv/target")
    assert owner is not None and owner.nevra == f"cuda_cccl-12.6.77.{this_machine().arch}"
    assert receipt.toolchain.dropped == ("/usr/share/pkgconfig/cuda-12.6.pc",)


def test_the_self_test_uses_the_unpacked_compiler(desk: Desk, bundled: Bundled) -> None:
    path = bundled(components("12.6.3")).write(desk.path / "bundle.tar")
    checks = desk.install(path, dataclasses.replace(WITHOUT_COMPILER, compiler=Path("/bin/true"))).receipt.checks
    assert any("kernel" in str(check) for check in checks)


def test_a_link_that_leads_nowhere_names_the_component_that_fills_it(desk: Desk, bundled: Bundled) -> None:
    contents: Contents = {"lib/libcublas.so": b"", "lib/libnvrtc.so": Link("libnvrtc.so.12")}
    notes = installed(desk, bundled({"libcublas": ("1", contents)})).receipt.notes
    (note,) = [note for note in notes if "leads nowhere" in note]
    assert "libnvrtc.so -> libnvrtc.so.12 (of libcublas; cuda_nvrtc brings it)" in note
    assert note.endswith("add 'cuda_nvrtc' to [redist].components")


def test_the_room_that_is_needed_counts_the_unpacked_archives(bundled: Bundled) -> None:
    parts: dict[str, tuple[str, Contents]] = {"cuda_nvcc": ("1", {"bin/nvcc": b"x" * 5_000_000})}
    small, large = bundled(parts, 1).manifest(), bundled(parts).manifest()
    assert large.carries_toolchain
    assert needed_bytes(large, copies_wheels=False) - needed_bytes(small, copies_wheels=False) > 5_000_000


def refused(desk: Desk, simulator: BundleSimulator, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        installed(desk, simulator)
    assert not (desk.path / "p/gens").exists()


def test_an_archive_that_unpacks_to_more_than_was_signed_is_refused(desk: Desk, bundled: Bundled) -> None:
    parts: dict[str, tuple[str, Contents]] = {"cuda_nvcc": ("1", {"bin/nvcc": b"x" * 5000})}
    refused(desk, bundled(parts, 4999), BadArchive, "more bytes than the 4999 that are allowed")


def test_a_hostile_archive_leaves_nothing(desk: Desk, bundled: Bundled) -> None:
    parts: dict[str, tuple[str, Contents]] = {"cuda_nvcc": ("1", {"bin/nvcc": b"x", "lib/a": Link("../../../etc")})}
    refused(desk, bundled(parts, 1), BadArchive, "link out of the archive")


def test_a_list_that_is_not_the_manifests_is_refused(desk: Desk, bundled: Bundled) -> None:
    simulator = bundled({"cuda_nvcc": ("1", {"bin/nvcc": b"x"})})
    simulator.add("meta/redist.json", redist_json(LIST, PINNED, "12.6.3", []))
    refused(desk, simulator, InvalidDocument, "it lists 0 archives, the manifest 1, or in another order")


def test_a_bundle_without_the_list_is_refused(desk: Desk) -> None:
    simulator = desk.simulator()
    simulator.target = dataclasses.replace(simulator.target, cuda="12.6")
    simulator.add("redist/a.tar.xz", b"an archive")
    refused(desk, simulator, InvalidDocument, "Redist list invalid at 'archives': it lists 0 archives, the manifest 1")


def test_the_list_is_read_strictly() -> None:
    entry = {"path": "redist/a.tar.xz", "component": "cuda_nvcc", "version": "12.6.85"}
    document = {"manifest": LIST, "sha256": PINNED, "release": "12.6.3", "archives": [entry]}
    assert RedistList.from_bytes(canonical_json(document)) == RedistList(
        LIST, PINNED, "12.6.3", (ListedArchive("redist/a.tar.xz", "cuda_nvcc", "12.6.85"),)
    )
    with pytest.raises(InvalidDocument, match=r"archives\[0\].more': unknown key"):
        RedistList.from_bytes(canonical_json({**document, "archives": [{**entry, "more": 1}]}))


def test_an_archive_that_was_swapped_after_verification_is_refused(desk: Desk, bundled: Bundled) -> None:
    simulator = bundled({"cuda_nvcc": ("1", {"bin/nvcc": b"fixed"})})
    path = simulator.write(desk.path / "bundle.tar")
    with open_bundle(path) as bundle:
        (artifact,) = bundle.trust(simulator.root).of(REDIST)
        bundle.verify()
        other = archive(desk.path / "other/cuda_nvcc.tar.xz", {"bin/nvcc": b"holed"}).read_bytes()
        with path.open("r+b") as file:
            file.seek(bundle.offset(artifact)[0])
            file.write(other[: artifact.size].ljust(artifact.size, b"\0"))
        with pytest.raises(DigestMismatch) as caught:
            unpack_toolkit(bundle, desk.path / "cuda")
    assert (caught.value.name, caught.value.expected) == (artifact.filename, artifact.sha256)
    assert not (desk.path / "cuda").exists()


def test_a_bundle_without_archives_has_none(desk: Desk) -> None:
    simulator = desk.simulator()
    with open_bundle(simulator.write(desk.path / "bundle.tar")) as bundle:
        bundle.trust(simulator.root)
        assert carried_archives(bundle) == ()
