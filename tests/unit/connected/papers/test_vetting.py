"""Nothing is packed that nobody answers for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from mirror.connected.papers.vetting import WheelsRefused, vet
from mirror.connected.stack.stack import Stack
from mirror.core.binaries.glibc import GlibcNeed
from mirror.core.binaries.native import Native
from mirror.core.bundle.dossier import Waiver
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import InvalidDocument
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.target import Target
from mirror.core.vetting.rules import Finding
from mirror.core.wheels.wheelfile import WheelFile, read_wheel
from tests.support.libraries import THREADS, make_library, needs_newer_glibc
from tests.support.wheels import make_wheel, sha256_of

TARGET = Target("3.11", "x86_64", "2.28")
STACK = Stack("small", TARGET, ())


def taken(path: Path, directory: str = "wheels") -> tuple[Artifact, WheelFile]:
    name, version = path.name.split("-")[:2]
    artifact = Artifact(f"{directory}/{path.name}", path.stat().st_size, Sha256Hex(sha256_of(path)), name, version)
    with path.open("rb") as stream:
        return artifact, read_wheel(stream)


def hooked(tmp_path: Path, name: str = "hooked", **other: Any) -> tuple[Artifact, WheelFile]:
    return taken(make_wheel(tmp_path, name, "1.0", files={f"{name}.pth": b"import os\n"}, **other))


def test_sound_wheels_pass_and_their_facts_are_kept(tmp_path: Path) -> None:
    tool = taken(make_wheel(tmp_path, "uv", "1.0", files={"uv.pth": b"never installed"}), "tool")
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", scripts={"alpha": "alpha:main"}))
    gate = vet(dict([tool, wheel]), TARGET, STACK)
    assert gate.notes == () and gate.waivers == {}
    assert list(gate.vetted) == [tool[0].path, wheel[0].path]
    assert gate.vetted[wheel[0].path].scripts == ("alpha",)


def test_everything_that_is_refused_is_told_at_once_with_the_waivers_to_write(tmp_path: Path) -> None:
    wheels = dict([hooked(tmp_path), hooked(tmp_path, "other", requires=["gone"])])
    with pytest.raises(WheelsRefused) as exc_info:
        vet(wheels, TARGET, STACK)
    error = exc_info.value
    assert str(error) == (
        "hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts [startup-hook] (and 2 more)"
    )
    assert error.context().splitlines()[:2] == [
        "other-1.0-py3-none-any.whl: Python runs other.pth whenever it starts [startup-hook]",
        "other-1.0-py3-none-any.whl: it requires gone, the set has none [requires-unmet]",
    ]
    assert '[[waiver]]\nproject = "other"\nrule = "startup-hook"\nsubject = "other.pth"\n' in error.context()


def test_nobody_is_told_to_waive_what_nobody_can() -> None:
    header = Finding("safetensors", "models/a/model.safetensors", "org/a", "its header ends early")
    error = WheelsRefused((header,))
    assert error.hint == "Take another version or revision of it, or leave it out. Nobody can waive safetensors."
    assert error.context() == ""
    both = WheelsRefused((header, Finding("startup-hook", "wheels/a.whl", "a", "Python runs a.pth", "a.pth")))
    assert "write the [[waiver]] into NAME.toml" in both.hint and both.hint.endswith("Nobody can waive safetensors.")


def test_a_waiver_lets_its_wheel_pass_and_is_shown(tmp_path: Path) -> None:
    wheel = hooked(tmp_path)
    waiver = Waiver("startup-hook", "it is ours", "alice", "hooked.pth")
    idle = Waiver("record-weak", "old", "bob")
    stack = replace(STACK, waivers=(("hooked", waiver), ("hooked", idle)))
    gate = vet(dict([wheel]), TARGET, stack)
    assert gate.waivers == {wheel[0].path: (waiver,)}
    assert gate.notes == (
        "waived by alice, startup-hook: hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts (it is ours)",
        "small.toml waives record-weak of hooked, and nothing needs it",
    )


def test_a_lock_made_elsewhere_has_no_waivers(tmp_path: Path) -> None:
    with pytest.raises(WheelsRefused):
        vet(dict([hooked(tmp_path)]), TARGET, None)
    assert vet(dict([taken(make_wheel(tmp_path, "alpha", "1.0"))]), TARGET, None).notes == ()


def test_a_waiver_for_a_project_that_is_not_there_is_refused_unless_it_is_optional(tmp_path: Path) -> None:
    wheels = dict([taken(make_wheel(tmp_path, "alpha", "1.0"))])
    stack = replace(STACK, waivers=(("beta", Waiver("startup-hook", "r", "a")),))
    with pytest.raises(InvalidDocument, match=r"small\.toml invalid at .waiver\[0\]\.project.: the stack has no beta"):
        vet(wheels, TARGET, stack)
    gate = vet(wheels, TARGET, replace(stack, optional=(Requirement("Beta==1"),)))
    assert gate.notes == ("small.toml waives startup-hook of beta, and nothing needs it",)


def test_what_the_closed_host_brings_may_be_missing(tmp_path: Path) -> None:
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", requires=["torch>=2", "numpy"]))
    stack = replace(STACK, without=(ProjectName("torch"),))
    with pytest.raises(WheelsRefused) as exc_info:
        vet(dict([wheel]), TARGET, stack)
    assert [finding.subject for finding in exc_info.value.findings] == ["numpy"]
    gate = vet(dict([wheel]), TARGET, replace(stack, without=(ProjectName("torch"), ProjectName("numpy"))))
    assert gate.notes == ()  # the wish is in NAME.toml already
    assert [waiver.subject for waiver in gate.waivers[wheel[0].path]] == ["torch", "numpy"]


def test_the_extras_that_the_stack_asks_for_count(tmp_path: Path) -> None:
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", requires=['gone; extra == "image"'], extras=["image"]))
    vet(dict([wheel]), TARGET, replace(STACK, requirements=(Requirement("alpha"),)))
    with pytest.raises(WheelsRefused, match="it requires gone, the set has none"):
        vet(dict([wheel]), TARGET, replace(STACK, requirements=(Requirement("alpha[image]==1.0"),)))


NVCC, GDB = "/usr/local/cuda-13.0/bin/nvcc", "/opt/nvidia/gdb"


def package(name: str, directory: str, *needs: tuple[str, str]) -> tuple[Artifact, Native]:
    native = Native(needs=tuple(GlibcNeed(path, "x86_64", wanted) for path, wanted in needs))
    return Artifact(f"{directory}/{name}-1.x", 1, Sha256Hex("0" * 64), name, "1"), native


def test_programs_of_packages_that_need_a_newer_glibc_are_refused_where_they_are_unpacked() -> None:
    target = replace(TARGET, cuda="13.0")
    packages = dict(
        [
            package("cuda-nvcc-13-0", "rpms", (NVCC, "GLIBC_2.34"), (f"{NVCC}2", "GLIBC_2.30"), (GDB, "GLIBC_2.38")),
            package("cuda_cccl", "redist", (GDB, "GLIBC_2.38")),
            package("cpython", "python", ("python/bin/python3", "GLIBC_2.29")),
            package("libold", "rpms", (NVCC, "GLIBC_2.17")),
        ]
    )
    with pytest.raises(WheelsRefused) as exc_info:
        vet({}, target, STACK, packages=packages)
    assert [str(finding) for finding in exc_info.value.findings] == [
        f"cuda-nvcc-13-0-1.x: {NVCC} needs GLIBC_2.34; the target promises glibc 2.28 (and 1 more of its files)",
        "cpython-1.x: python/bin/python3 needs GLIBC_2.29; the target promises glibc 2.28",
    ]
    given = [(name, Waiver("glibc-floor", "not run there", "alice")) for name in ("cuda-nvcc-13-0", "cpython")]
    gate = vet({}, target, replace(STACK, waivers=tuple(given)), packages=packages)
    assert sorted(gate.waivers) == ["python/cpython-1.x", "rpms/cuda-nvcc-13-0-1.x"]
    assert gate.glibc == {"rpms/cuda-nvcc-13-0-1.x": "2.34", "python/cpython-1.x": "2.29", "rpms/libold-1.x": "2.17"}


def test_a_package_that_this_bundle_does_without_may_have_a_waiver() -> None:
    stack = replace(STACK, waivers=(("cuda-nvcc-13-0", Waiver("glibc-floor", "r", "a")),))
    with pytest.raises(InvalidDocument, match="the stack has no cuda-nvcc-13-0"):
        vet({}, TARGET, stack)
    assert vet({}, TARGET, stack, absent=["cuda-nvcc-13-0"]).judgement.open == ()


@needs_newer_glibc
def test_a_waiver_for_one_library_leaves_the_others_refused(tmp_path: Path) -> None:
    library = make_library(tmp_path / "new.so", source=THREADS).read_bytes()
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", files={"alpha/core.so": library, "alpha/plugin.so": library}))
    waiver = Waiver("glibc-floor", "the plugin is never loaded there", "alice", "alpha/plugin.so")
    with pytest.raises(WheelsRefused) as exc_info:
        vet(dict([wheel]), TARGET, replace(STACK, waivers=(("alpha", waiver),)))
    assert str(exc_info.value) == (
        "alpha-1.0-py3-none-any.whl: alpha/core.so needs GLIBC_2.34 (pthread_create); the target promises glibc 2.28 "
        "[glibc-floor]"
    )


def test_a_wheel_whose_gpu_code_serves_none_of_the_targets_gpus_is_told(tmp_path: Path) -> None:
    wheels = []
    for name, gpus in (("hopper", ["sm_80", "sm_90a"]), ("blackwell", ["sm_100a", "compute_100"])):
        code = make_library(tmp_path / f"{name}.so", gpu_code=gpus).read_bytes()
        path = make_wheel(tmp_path, name, "1.0", files={f"{name}/_C.so": code})
        with path.open("rb") as stream:  # as contents are read for a bundle: GPU code, too
            wheels.append((taken(path)[0], read_wheel(stream, scratch=tmp_path)))
    told = vet(dict(wheels), replace(TARGET, gpu="sm_90a"), STACK).notes
    assert told == (
        "blackwell 1.0 shows GPU code for sm_100a, compute_100 and none that serves sm_90a; it may bring that in a form that "
        "cannot be read, or pick other kernels",
    )
    assert vet(dict(wheels), TARGET, STACK).notes == ()
