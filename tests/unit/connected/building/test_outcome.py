"""What came out of a build is told: what the wheel needs, which GPUs it is for, and what of this machine is in it."""

from __future__ import annotations

import platform
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from mirror.connected.building.fit import check_built_wheel
from mirror.connected.building.outcome import Outcome, Traces, differences, examine, strangers
from mirror.core.binaries.elf import Elf
from mirror.core.names import project_name
from mirror.core.target import Target
from tests.support.libraries import make_library
from tests.support.wheels import make_wheel

TARGET = Target(python="3.11", arch=platform.machine(), glibc="2.34", gpu="sm_90a", cuda="13.0")
TAG = f"cp311-cp311-linux_{platform.machine()}"

needs_gcc = pytest.mark.skipif(not (shutil.which("gcc") and shutil.which("objcopy")), reason="needs gcc and objcopy")


def outcome(tmp_path: Path, files: dict[str, bytes], build: str = "/no/such/build") -> Outcome:
    path = make_wheel(tmp_path, "left-pad", "1.0", tag=TAG, files=files)
    traces = Traces(Path(build))
    wheel = check_built_wheel(path, project_name("left-pad"), "1.0", TARGET, tmp_path, traces)
    return examine(path, wheel, traces, "left-pad 1.0", TARGET)


@needs_gcc
def test_gpus_that_nobody_asked_for_and_directories_of_the_machine_are_told(tmp_path: Path) -> None:
    gpus = ["sm_75", "sm_90a", "compute_120"]
    library = make_library(tmp_path / "_C.so", runpath="/opt/build/lib:$ORIGIN/lib", gpu_code=gpus)
    found = outcome(tmp_path / "made", {"pad/_C.so": library.read_bytes()})
    assert found.gpus == ("sm_75", "sm_90a", "compute_120")
    assert found.notes == (
        "left-pad 1.0 was compiled for sm_75, compute_120 too; the target is sm_90a: it goes by other settings than "
        "TORCH_CUDA_ARCH_LIST, see its setup.py; environment or patches in [build] of NAME.toml limit it",
        "left-pad 1.0 looks for libraries in a directory of the machine that built it: pad/_C.so in /opt/build/lib",
    )
    assert found.auditwheel.startswith("linux_") or found.auditwheel.startswith("manylinux")


@needs_gcc
def test_code_for_the_target_alone_leaves_nothing_to_say(tmp_path: Path) -> None:
    library = make_library(tmp_path / "_C.so", gpu_code=["sm_90a"])
    found = outcome(tmp_path / "made", {"pad/_C.so": library.read_bytes(), "pad/__init__.py": b""})
    assert (found.gpus, found.notes) == (("sm_90a",), ())


@needs_gcc
def test_code_that_no_gpu_of_the_target_runs_is_told(tmp_path: Path) -> None:
    library = make_library(tmp_path / "_C.so", gpu_code=["sm_100a"])
    assert outcome(tmp_path / "made", {"pad/_C.so": library.read_bytes()}).notes[-1] == (
        "left-pad 1.0 shows GPU code for sm_100a, and none that serves sm_90a"
    )


def test_a_file_that_names_the_build_directory_is_told_wherever_the_name_lies(tmp_path: Path) -> None:
    files = {f"pad/{at}.txt": b"x" * at + b"/home/a/build/0123" + b"y" * 9 for at in (0, 65520, 65536, 131071)}
    found = outcome(
        tmp_path, {**files, "pad/none.txt": b"/home/a/build/012", "pad/rest.txt": b"3"}, "/home/a/build/0123"
    )
    assert found.notes == (
        "left-pad 1.0 names the directory that it was built in, so that another store's build has other bytes: "
        "pad/0.txt, pad/131071.txt, pad/65520.txt and 1 more",
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 18])
def test_the_name_is_found_in_pieces_of_any_size(size: int) -> None:
    traces, data = Traces(Path("/home/a/build/0123")), b"..../home/a/build/0123...."
    for name, text in (("has", data), ("has not", data.replace(b"23", b"3"))):
        for at in range(0, len(text), size):
            traces.piece(name, text[at : at + size])
    assert traces.mentions == {"has"}


def test_a_newer_libstdcxx_than_the_oldest_system_of_that_glibc_has_is_told(tmp_path: Path) -> None:
    traces = Traces(Path("/build"))
    for version in ("3.4.9", "3.4.30"):
        traces.elf(
            "_C.so", Elf(TARGET.arch, requires={"libstdc++.so.6": (f"GLIBCXX_{version}", "CXXABI_1.3.13", "GLIBC_2.4")})
        )
    assert traces.needs == {"GLIBCXX": "3.4.30", "CXXABI": "1.3.13"}
    path = make_wheel(tmp_path, "left-pad", "1.0")
    wheel = check_built_wheel(path, project_name("left-pad"), "1.0", TARGET, tmp_path)
    assert examine(path, wheel, traces, "left-pad 1.0", TARGET).notes == (
        "left-pad 1.0 needs GLIBCXX_3.4.30; the oldest systems with glibc 2.34 have libstdc++ with GLIBCXX_3.4.29: build it on "
        "such a system, or carry a newer libstdc++",
    )


def test_strangers_are_named_in_order_and_a_target_without_gpu_has_none() -> None:
    assert strangers(["compute_90", "sm_120", "sm_75", "sm_90"], TARGET) == ("sm_75", "sm_120")
    assert strangers(["sm_75"], Target(python="3.11", arch="x86_64", glibc="2.34")) == ()


def test_compiled_files_that_differ_are_told_by_sections_and_the_first_word(tmp_path: Path) -> None:
    wheels = []
    for number in ("4711", "815"):
        made = tmp_path / f"{number}.so"
        source = f'const char *made = "by process {number}"; int zeros[{number}];'
        command = ["cc", "-xc", "-shared", "-nostdlib", "-Wl,--build-id=none", "-o", str(made), "-"]
        subprocess.run(command, input=source, text=True, check=True)
        files = {"b.so": made.read_bytes()}
        wheels.append(make_wheel(tmp_path / number, "left-pad", "1.0", files=files))
    (found,) = differences(*wheels)
    assert found.startswith("b.so differs in ") and ".rodata" in found and ".bss" not in found
    assert ", first 'by process 4711' and 'by process 815' (" in found


def test_where_two_builds_differ_is_named(tmp_path: Path) -> None:
    one = make_wheel(tmp_path / "1", "left-pad", "1.0", files={"a.py": b"same", "b.so": b"\x7fELF one", "c.py": b""})
    two = make_wheel(tmp_path / "2", "left-pad", "1.0", files={"a.py": b"same", "b.so": b"\x7fELF other"})
    assert differences(one, one) == ()
    assert differences(one, two) == ("only one holds c.py", "b.so differs from byte 6 on (8 and 10 bytes)")
    again = tmp_path / "3" / one.name
    again.parent.mkdir()
    with zipfile.ZipFile(one) as old, zipfile.ZipFile(again, "w") as new:
        for name in reversed(old.namelist()):
            new.writestr(name, old.read(name))
    assert differences(one, again) == ("the same files, in another order, or with other times or modes",)
