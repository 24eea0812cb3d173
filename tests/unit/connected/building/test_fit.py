"""A wheel that was built here is looked at before it is kept."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from mirror.connected.building.fit import BuiltWheelUnfit, check_built_wheel
from mirror.core.names import project_name
from mirror.core.target import Target
from tests.support.wheels import make_wheel, metadata

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")


def check(path: Path, project: str = "left-pad", version: str = "1.0", target: Target = TARGET) -> None:
    check_built_wheel(path, project_name(project), version, target, path.parent)


def unfit(path: Path, target: Target = TARGET) -> str:
    with pytest.raises(BuiltWheelUnfit) as caught:
        check(path, target=target)
    return str(caught.value)


def elf(machine: int) -> bytes:
    """The smallest ELF file: a header without sections."""
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)


X86_64, AARCH64, CUDA, BPF = 62, 183, 190, 247


@pytest.mark.parametrize("tag", ["py3-none-any", "cp311-cp311-linux_x86_64", "cp38-abi3-manylinux_2_17_x86_64"])
def test_a_wheel_that_the_target_takes_passes(tmp_path: Path, tag: str) -> None:
    check(make_wheel(tmp_path, "left-pad", "1.0", tag=tag))


def test_spellings_of_one_name_and_version_are_the_same(tmp_path: Path) -> None:
    check(make_wheel(tmp_path, "Left.Pad", "1.0"), version="1.0.0")


@pytest.mark.group(46)
@pytest.mark.parametrize(("name", "version"), [("right-pad", "1.0"), ("left-pad", "1.1"), ("left-pad", "1.0+local")])
def test_another_project_or_version_is_refused(tmp_path: Path, name: str, version: str) -> None:
    said = unfit(make_wheel(tmp_path, name, version))
    assert said.endswith(f"says it is {name} {version}; its source is left-pad 1.0")


@pytest.mark.group(46)
def test_metadata_of_another_project_behind_a_right_file_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "left_pad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("left_pad-1.0.dist-info/METADATA", metadata("evil", "1.0"))
    assert unfit(path) == f"{path.name} says it is evil 1.0; its source is left-pad 1.0"


@pytest.mark.parametrize("names", [[], ["a-1.dist-info/METADATA", "b-1.dist-info/METADATA"]])
def test_a_wheel_without_exactly_one_metadata_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "left_pad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, metadata("left-pad", "1.0"))
    assert unfit(path) == f"{path.name} holds no METADATA, or several; a wheel holds one"


@pytest.mark.group(46)
@pytest.mark.parametrize(
    "tag", ["cp312-cp312-linux_x86_64", "cp311-cp311-linux_aarch64", "cp311-cp311-manylinux_2_31_x86_64"]
)
def test_a_tag_that_the_target_does_not_take_is_refused_with_both_sides(tmp_path: Path, tag: str) -> None:
    path = make_wheel(tmp_path, "left-pad", "1.0", tag=tag)
    assert unfit(path) == f"{path.name} is for {tag}; the target is Python 3.11, x86_64, glibc 2.28"


@pytest.mark.group(46)
def test_an_elf_file_for_another_machine_is_refused(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "left-pad", "1.0", files={"left_pad/x.so": elf(AARCH64)})
    assert unfit(path) == f"{path.name} needs aarch64 for left_pad/x.so; the target promises x86_64"


def test_code_of_other_processors_than_hosts_have_is_no_fault(tmp_path: Path) -> None:
    files = {"a.cubin": elf(CUDA), "b.so": elf(X86_64), "c.bpf.o": elf(BPF)}
    check(make_wheel(tmp_path, "left-pad", "1.0", files=files))


@pytest.mark.parametrize("data", [b"\x7fELF", b"\x7fELF\2\1" + bytes(40)])
def test_a_damaged_elf_file_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "cannot be read" in unfit(make_wheel(tmp_path, "left-pad", "1.0", files={"a.so": data}))


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "left_pad-1.0.zip").write_bytes(b"")
    assert "has no wheel's file name" in unfit(tmp_path / "left_pad-1.0.zip")
    (tmp_path / "left_pad-1.0-py3-none-any.whl").write_bytes(b"no zip")
    assert "cannot be read: it is too short to be a zip file" in unfit(tmp_path / "left_pad-1.0-py3-none-any.whl")
