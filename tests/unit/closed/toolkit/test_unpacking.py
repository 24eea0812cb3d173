from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.host.machine import Host, read_host
from mirror.closed.install import Installed
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.status import read_status
from mirror.closed.toolkit.unpacking import dangling_notes, unpack_toolkit
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.errors import InvalidDocument
from mirror.core.fields import canonical_json
from mirror.core.kinds import RPM
from mirror.core.toolkit.carried import ListedRpm, RpmList
from mirror.core.toolkit.payload import PayloadUnsupported
from mirror.core.toolkit.rpm import RpmNotTrusted
from mirror.core.toolkit.toolchain import Dangling, ForeignPackage
from tests.support.bundles import BundleSimulator, this_machine
from tests.support.desk import BASE, Desk
from tests.support.rpms import HOME, Contents, Link, Packager, Program, ed25519_key
from tests.support.wheels import make_wheel, zstd_wheel

TARGETS = f"{HOME}/targets/{this_machine().cuda_targets}"
NVCC: Contents = {
    f"{HOME}/bin/nvcc": Program(b"#!/bin/sh\necho compiled by the bundle\n"),
    f"{TARGETS}/include/cuda.h": b"#define CUDA_VERSION 13000\n",
    f"{TARGETS}/lib/libcudart.so": Link("libcudart.so.13"),
}
WITHOUT_COMPILER = dataclasses.replace(read_host(), compiler=None)


@pytest.fixture
def simulator(desk: Desk) -> BundleSimulator:
    """A bundle with one wheel, for CUDA 13.0; the test adds its RPMs."""
    simulator = desk.simulator()
    simulator.target = dataclasses.replace(simulator.target, gpu="sm_90a", cuda="13.0")
    simulator.add_wheel(make_wheel(desk.path, "left-pad", "1.0"))
    return simulator


def installed(desk: Desk, simulator: BundleSimulator, host: Host = WITHOUT_COMPILER) -> Installed:
    return desk.install(simulator.write(desk.path / "bundle.tar"), host)


def test_rpms_become_the_toolkit_that_env_sh_names(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    simulator.add_rpms([packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC)], packager.armored, packager.fingerprint)
    result = installed(desk, simulator)
    assert dict(result.receipt.counts)["rpm"] == 1
    script = f'. "{result.prefix}/current/env.sh"; nvcc; cat "$CUDA_HOME/include/cuda.h"; ls -d "$LIBRARY_PATH"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    home = f"{os.path.realpath(result.prefix)}/gens/{Path(result.receipt.generation).name}/cuda"
    assert output == ["compiled by the bundle", "#define CUDA_VERSION 13000", f"{home}/lib64"]


def test_a_link_that_leads_nowhere_is_noted(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    rpm = packager.rpm(desk.path, "cuda-cudart-devel-13-0", NVCC)
    simulator.add_rpms([rpm], packager.armored, packager.fingerprint)
    (note,) = [note for note in installed(desk, simulator).receipt.notes if "leads nowhere" in note]
    assert note == (
        f"the toolkit's link targets/{this_machine().cuda_targets}/lib/libcudart.so -> libcudart.so.13 "
        "(of cuda-cudart-devel-13-0; cuda-cudart-13-0 brings it) leads nowhere: add 'cuda-cudart-13-0' to [rpms].packages"
    )


def test_a_link_that_nobody_is_known_to_fill_is_noted_without_advice() -> None:
    (note,) = dangling_notes([Dangling("gone", "nowhere", "other")])
    assert note == "the toolkit's link gone -> nowhere (of other) leads nowhere"


def test_the_receipt_says_which_package_each_file_came_from(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    rpms = [
        packager.rpm(
            desk.path, "cuda-config-13-0", {"/etc/ld.so.conf.d/cuda.conf": b"x", f"{HOME}/version.json": b"{}"}
        ),
        packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC),
    ]
    simulator.add_rpms(rpms, packager.armored, packager.fingerprint)
    result = installed(desk, simulator)
    receipt = read_status(Prefix(result.prefix)).generations[0].receipt
    assert receipt is not None and receipt == result.receipt
    record = receipt.toolchain
    assert record is not None
    assert [(package.nevra, len(package.files)) for package in record.packages] == [
        ("cuda-config-13-0-1.0-1.x86_64", 1),
        ("cuda-nvcc-13-0-1.0-1.x86_64", 3),
    ]
    assert record.packages[1].sha256 == hashlib.sha256(rpms[1].read_bytes()).hexdigest()
    assert record.dropped == ("/etc/ld.so.conf.d/cuda.conf",)
    assert "include -> targets" in " ".join(record.made)
    assert record.owner("bin/nvcc") is record.packages[1]
    (shown,) = read_status(Prefix(result.prefix)).to_dict()["generations"]
    assert [package["files"] for package in shown["toolchain"]["packages"]] == [1, 3]


ZSTD: Contents = {f"{HOME}/bin/nvcc": Program(b"#!/bin/sh\n" + b"#" * 100_000 + b"\n")}


@pytest.mark.group(36)
def test_rpms_in_zstd_are_unpacked_by_the_carried_decompressor(
    desk: Desk, simulator: BundleSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY.md 36: the target's Python runs it; no program of the host's is there to help."""
    packager = Packager()
    simulator.add_rpms(
        [packager.rpm(desk.path, "cuda-nvcc-13-0", ZSTD, compressor="zstd")], packager.armored, packager.fingerprint
    )
    simulator.add_wheel(zstd_wheel(desk.path), "tool")
    monkeypatch.setenv("PATH", str(desk.path / "none"))
    result = installed(desk, simulator)
    assert (Path(result.receipt.generation) / "cuda/bin/nvcc").stat().st_size > 100_000
    assert not list(Path(result.receipt.generation).rglob("backports"))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="zstd is in the standard library")
def test_rpms_in_zstd_without_any_decompressor_name_what_is_needed(
    desk: Desk, simulator: BundleSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SECURITY.md 36."""
    packager = Packager()
    simulator.add_rpms(
        [packager.rpm(desk.path, "cuda-nvcc-13-0", ZSTD, compressor="zstd")], packager.armored, packager.fingerprint
    )
    monkeypatch.setenv("PATH", str(desk.path / "none"))
    with pytest.raises(PayloadUnsupported) as caught:
        installed(desk, simulator)
    assert caught.value.name == "cuda-nvcc-13-0-1.0-1.x86_64.rpm"
    assert f"no carried wheel with {BASE}: " in str(caught.value)
    assert "the program zstd: it is not on PATH" in str(caught.value)
    assert "tool/backports_zstd-*.whl" in caught.value.hint
    assert not (desk.path / "p/gens").exists()


def test_rpms_for_another_architecture_are_refused(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[this_machine().arch]
    simulator.add_rpms(
        [packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC, arch=other)], packager.armored, packager.fingerprint
    )
    with pytest.raises(ForeignPackage, match=f"cuda-nvcc-13-0-1.0-1.{other} is for another architecture"):
        installed(desk, simulator)
    assert not (desk.path / "p/gens").exists()


def test_the_self_test_uses_the_unpacked_compiler(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    simulator.add_rpms([packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC)], packager.armored, packager.fingerprint)
    checks = installed(
        desk, simulator, dataclasses.replace(WITHOUT_COMPILER, compiler=Path("/bin/true"))
    ).receipt.checks
    assert "compile and link a kernel for sm_90a: passed" in [str(check) for check in checks]


def test_an_rpm_by_another_key_than_the_signed_list_pins_is_refused(desk: Desk, simulator: BundleSimulator) -> None:
    good, other = Packager(), Packager(ed25519_key(2))
    simulator.add_rpms([other.rpm(desk.path, "cuda-nvcc-13-0", NVCC)], other.armored, good.fingerprint)
    with pytest.raises(RpmNotTrusted, match="cuda-nvcc-13-0"):
        installed(desk, simulator)
    assert not (desk.path / "p/gens").exists()


def test_a_list_that_is_not_the_manifests_is_refused(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    rpm = packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC)
    simulator.add_rpms([rpm], packager.armored, packager.fingerprint)
    simulator.add("meta/rpms.json", canonical_json({"fingerprints": [], "key": "", "rpms": []}))
    with pytest.raises(InvalidDocument, match="it lists 0 RPMs, the manifest 1"):
        installed(desk, simulator)


def test_a_bundle_without_the_list_is_refused(desk: Desk, simulator: BundleSimulator) -> None:
    simulator.add("rpms/a-1-1.x86_64.rpm", b"an rpm")
    with pytest.raises(InvalidDocument, match="RPM list invalid at 'rpms'"):
        installed(desk, simulator)


def test_the_list_is_read_strictly() -> None:
    entry = {"path": "rpms/a.rpm", "name": "a", "nevra": "a-1-1.x86_64"}
    document = {"fingerprints": ["AB" * 20], "key": "armored", "rpms": [entry]}
    assert RpmList.from_bytes(canonical_json(document)) == RpmList(
        ("AB" * 20,), "armored", (ListedRpm("rpms/a.rpm", "a", "a-1-1.x86_64"),)
    )
    with pytest.raises(InvalidDocument, match=r"rpms\[0\].more': unknown key"):
        RpmList.from_bytes(canonical_json({**document, "rpms": [{**entry, "more": 1}]}))


def test_an_rpm_swapped_for_another_of_its_vendor_after_verification_is_refused(
    desk: Desk, simulator: BundleSimulator
) -> None:
    packager = Packager()
    chosen, older = (
        packager.rpm(desk.path, "cuda-nvcc-13-0", {f"{HOME}/bin/nvcc": Program(code)}, version, compressor="none")
        for code, version in ((b"fixed", "1.1"), (b"holed", "1.0"))
    )
    assert chosen.stat().st_size == older.stat().st_size
    simulator.add_rpms([chosen], packager.armored, packager.fingerprint)
    path = simulator.write(desk.path / "bundle.tar")
    with open_bundle(path) as bundle:
        (rpm,) = bundle.trust(simulator.root).of(RPM)
        bundle.verify()
        with path.open("r+b") as file:
            file.seek(bundle.offset(rpm)[0])
            file.write(older.read_bytes())
        with pytest.raises(DigestMismatch) as caught:
            unpack_toolkit(bundle, desk.path / "cuda")
    assert (caught.value.name, caught.value.expected) == (chosen.name, rpm.sha256)
    assert caught.value.actual == hashlib.sha256(older.read_bytes()).hexdigest()
    assert not (desk.path / "cuda").exists()


def test_an_rpm_that_is_another_than_the_list_says_is_refused(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    rpm = packager.rpm(desk.path, "cuda-nvcc-13-0", NVCC, "1.0")
    renamed = rpm.rename(desk.path / "cuda-nvcc-13-0-1.1-1.x86_64.rpm")
    simulator.add_rpms([renamed], packager.armored, packager.fingerprint)
    both = r"says cuda-nvcc-13-0-1\.1-1\.x86_64, the package itself is cuda-nvcc-13-0-1\.0-1\.x86_64"
    with pytest.raises(InvalidDocument, match=both):
        installed(desk, simulator)
    assert not (desk.path / "p/gens").exists()
