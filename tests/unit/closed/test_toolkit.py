from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from mirror.closed.host import Host, read_host
from mirror.closed.install import Installed
from mirror.closed.toolkit import RpmList, unpack_toolkit
from mirror.core.errors import InvalidDocument
from mirror.core.fields import canonical_json
from mirror.core.reader import DigestMismatch, open_bundle
from mirror.core.rpm import RpmNotTrusted
from tests.support.bundles import BundleSimulator, this_machine
from tests.support.desk import Desk
from tests.support.rpms import HOME, Contents, Link, Packager, Program, ed25519_key
from tests.support.wheels import make_wheel

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
    assert result.receipt.rpms == 1
    script = f'. "{result.prefix}/current/env.sh"; nvcc; cat "$CUDA_HOME/include/cuda.h"; ls -d "$LIBRARY_PATH"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    home = f"{os.path.realpath(result.prefix)}/gens/{Path(result.receipt.generation).name}/cuda"
    assert output == ["compiled by the bundle", "#define CUDA_VERSION 13000", f"{home}/lib64"]


def test_a_link_that_leads_nowhere_is_noted(desk: Desk, simulator: BundleSimulator) -> None:
    packager = Packager()
    rpm = packager.rpm(desk.path, "cuda-cudart-devel-13-0", NVCC)
    simulator.add_rpms([rpm], packager.armored, packager.fingerprint)
    (note,) = [note for note in installed(desk, simulator).receipt.notes if "leads nowhere" in note]
    assert "libcudart.so -> libcudart.so.13 (of cuda-cudart-devel-13-0; cuda-cudart-13-0 brings it)" in note


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
    assert list((desk.path / "p/gens").iterdir()) == []


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
    document = {"fingerprints": ["AB"], "key": "armored", "rpms": [entry]}
    assert RpmList.from_bytes(canonical_json(document)) == RpmList(
        ("AB",), "armored", ("rpms/a.rpm",), ("a-1-1.x86_64",)
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
        (rpm,) = bundle.trust(simulator.root).within("rpms")
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
    assert list((desk.path / "p/gens").iterdir()) == []
