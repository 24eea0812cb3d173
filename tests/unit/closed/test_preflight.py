from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from mirror.closed.host.machine import Disk, Host
from mirror.closed.preflight import PreflightFailed, check, check_owner, needed_bytes, prefer_carried, prefix_issues
from mirror.closed.venv.interpreter import Interpreter, Search
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.cpus import ISAS
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
WHEEL = Artifact("wheels/a.whl", 100, DIGEST, "a", unpacked_size=1000)
TOOL = Artifact("tool/uv.whl", 40, DIGEST, "uv", unpacked_size=60)
PYTHON = Artifact("python/cpython.tar.gz", 10, DIGEST, "cpython")
META = Artifact("meta/install.txt", 7, DIGEST, "install.txt")
MANIFEST = Manifest("h100", 5, Target("3.11", "x86_64", "2.28", "sm_90a", "13.0"), (TOOL, WHEEL, META))
RPM = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, DIGEST, "cuda-nvcc-13-0")
WITH_RPMS = dataclasses.replace(MANIFEST, artifacts=(TOOL, WHEEL, RPM, META))
HOST = Host("x86_64", (2, 28))
DISK = Disk(1 << 30, is_noexec=False)
FOUND = Search(Interpreter(Path("/usr/bin/python3.11"), "3.11.7", has_headers=True))


def issues(
    tmp_path: Path,
    manifest: Manifest = MANIFEST,
    prefix: Path | None = None,
    host: Host = HOST,
    disk: Disk = DISK,
    search: Search = FOUND,
) -> tuple[str, ...]:
    with pytest.raises(PreflightFailed) as exc_info:
        check(manifest, prefix or tmp_path / "p", host, disk, search)
    return exc_info.value.issues


def test_a_host_that_fits_has_nothing_to_say(tmp_path: Path) -> None:
    plan = check(MANIFEST, tmp_path / "p", HOST, DISK, FOUND)
    assert (plan.interpreter, plan.serve, plan.notes) == (FOUND.found, True, ())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.group(64)
def test_another_architecture_names_both(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, arch="aarch64")
    assert issues(tmp_path, host=host) == ("the bundle is for x86_64, this host is aarch64",)


@pytest.mark.group(64)
def test_an_older_glibc_names_both(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, glibc=(2, 9))
    assert issues(tmp_path, host=host) == ("the bundle is for glibc 2.28 or newer, this host has 2.9",)


@pytest.mark.group(64)
def test_another_c_library_is_named(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, glibc=None)
    assert issues(tmp_path, host=host) == ("the bundle is for glibc 2.28 or newer, this host has another C library",)


def test_no_python_says_what_was_looked_at(tmp_path: Path) -> None:
    search = Search(None, ("/usr/bin/python3 is Python 3.9.18",))
    assert issues(tmp_path, search=search) == (
        "the bundle is for Python 3.11 and carries none, and this host has none that fits "
        "(/usr/bin/python3 is Python 3.9.18)",
    )


def test_a_carried_python_is_enough(tmp_path: Path) -> None:
    manifest = dataclasses.replace(MANIFEST, artifacts=(TOOL, WHEEL, PYTHON, META))
    assert check(manifest, tmp_path / "p", HOST, DISK, Search(None)).interpreter is None


def test_no_installer_is_an_issue(tmp_path: Path) -> None:
    manifest = dataclasses.replace(MANIFEST, artifacts=(WHEEL, META))
    assert issues(tmp_path, manifest) == ("the bundle carries neither uv nor pip, so nothing can install its wheels",)


def test_no_list_of_wheels_is_an_issue(tmp_path: Path) -> None:
    manifest = dataclasses.replace(MANIFEST, artifacts=(TOOL, WHEEL))
    assert issues(tmp_path, manifest) == ("the bundle has no meta/install.txt, the list of wheels to install",)


@pytest.mark.group(64)
def test_processors_that_lack_what_the_wheels_were_built_for_are_an_issue(tmp_path: Path) -> None:
    manifest = dataclasses.replace(MANIFEST, target=dataclasses.replace(MANIFEST.target, cpu="avx2"))
    host = dataclasses.replace(HOST, cpu_flags=ISAS["avx"].flags)
    assert issues(tmp_path, manifest, host=host) == (
        "the bundle is for processors with avx2, this host has x86-64-v1, x86-64-v2, avx",
    )
    check(manifest, tmp_path / "p", HOST, DISK, FOUND)  # whose flags are not known


def test_gpus_of_another_kind_are_told_and_refuse_nothing(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, gpu_models=("NVIDIA A100-SXM4-80GB",) * 8)
    told = "the bundle is for GPUs of sm_90a, this host has NVIDIA A100-SXM4-80GB (8.0)"
    assert check(MANIFEST, tmp_path / "p", host, DISK, FOUND).notes == (told,)
    for model in ("NVIDIA H200", "a model of tomorrow"):
        assert check(MANIFEST, tmp_path / "p", dataclasses.replace(HOST, gpu_models=(model,)), DISK, FOUND).notes == ()


@pytest.mark.group(49)
def test_too_little_room_names_both(tmp_path: Path) -> None:
    # unpacked 1000 + 60, the tool's copy 40, and 5 %
    needed = 1155
    check(MANIFEST, tmp_path / "p", HOST, Disk(needed, is_noexec=False), FOUND)
    text = f"{tmp_path}/p needs 1,155 bytes, its file system has 1,154 free"
    assert issues(tmp_path, disk=Disk(needed - 1, False)) == (text,)


def test_room_counts_copies_and_what_is_not_known() -> None:
    manifest = dataclasses.replace(
        MANIFEST, artifacts=(TOOL, dataclasses.replace(WHEEL, unpacked_size=0), PYTHON, META)
    )
    assert needed_bytes(manifest, copies_wheels=False) == (60 + 40 + 400 + 40 + 10) * 105 // 100
    assert needed_bytes(manifest, copies_wheels=True) == (60 + 40 + 400 + 40 + 10 + 100) * 105 // 100


@pytest.mark.group(64)
def test_a_noexec_disk_is_an_issue(tmp_path: Path) -> None:
    (issue,) = issues(tmp_path, disk=Disk(1 << 30, is_noexec=True))
    assert "mounted noexec" in issue


def test_without_a_loopback_device_wheels_are_copied_out(tmp_path: Path) -> None:
    assert not check(MANIFEST, tmp_path / "p", dataclasses.replace(HOST, has_loopback=False), DISK, FOUND).serve


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    host = Host("aarch64", (2, 17))
    with pytest.raises(PreflightFailed) as exc_info:
        check(MANIFEST, tmp_path / "file", host, Disk(0, is_noexec=True), Search(None))
    assert len(exc_info.value.issues) == 6
    assert str(exc_info.value) == "this host cannot take the bundle, for 6 reasons"
    assert exc_info.value.context().count("\n  - ") == 5


@pytest.mark.group(65, 67)
def test_what_only_may_disturb_is_a_note(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, is_root=True, driver="575.57.08")
    bare = Search(Interpreter(Path("/usr/bin/python3.11"), "3.11.7", has_headers=False))
    notes = check(MANIFEST, tmp_path / "p", host, DISK, bare).notes
    assert [note.split(":")[0] for note in notes] == [
        "you are root",
        "/usr/bin/python3.11 comes without Python.h",
        "DRIVER TOO OLD",
    ]
    assert "CUDA 13.0 needs driver 580 or newer" in notes[2] and "this host has 575.57.08" in notes[2]


def test_a_driver_that_is_new_enough_is_no_note(tmp_path: Path) -> None:
    assert check(MANIFEST, tmp_path / "p", dataclasses.replace(HOST, driver="580.65.06"), DISK, FOUND).notes == ()


@pytest.mark.group(65)
def test_a_driver_older_than_the_release_is_told_what_will_not_load(tmp_path: Path) -> None:
    manifest = dataclasses.replace(MANIFEST, target=dataclasses.replace(MANIFEST.target, cuda="12.8"))
    (note,) = check(manifest, tmp_path / "p", dataclasses.replace(HOST, driver="535.104.05"), DISK, FOUND).notes
    assert note.startswith("CUDA 12.8 was shipped with driver 570.26, this host has 535.104.05: new enough")


def test_a_host_without_a_compiler_is_told_what_works_when_a_toolchain_is_carried(tmp_path: Path) -> None:
    (note,) = check(WITH_RPMS, tmp_path / "p", HOST, DISK, FOUND).notes
    assert note.startswith("this host has no C++ compiler (g++), which nvcc needs to compile anything; without one, ")


def test_a_compiler_that_is_too_new_is_told_before_anything_is_written(tmp_path: Path) -> None:
    gcc = tmp_path / "g++"
    gcc.write_text("#!/bin/sh\necho 99\n")
    gcc.chmod(0o755)
    (note,) = check(WITH_RPMS, tmp_path / "p", dataclasses.replace(HOST, compiler=gcc), DISK, FOUND).notes
    assert note == f"{gcc} is gcc 99, nvcc of CUDA 13.0 takes gcc 15 and older"


@pytest.mark.group(64)
@pytest.mark.parametrize(("letter", "named"), [(" ", "a blank"), ("&", "'&'"), ("(", "'('"), (" |", "a blank, '|'")])
def test_a_prefix_in_which_jit_compilers_break_is_refused_with_a_toolchain(
    tmp_path: Path, letter: str, named: str
) -> None:
    prefix = tmp_path / f"a{letter}b"
    (issue,) = issues(tmp_path, WITH_RPMS, prefix)
    assert issue == (
        f"the prefix {str(prefix)!r} holds {named}, and the bundle carries a CUDA toolchain: nvcc would work there, but "
        "FlashInfer and torch write its path unquoted into the commands that they build with"
    )
    check(MANIFEST, prefix, HOST, DISK, FOUND)  # and without one it is fine


def test_a_prefix_with_other_odd_letters_takes_a_toolchain(tmp_path: Path) -> None:
    check(WITH_RPMS, tmp_path / "préfixe,v=1.0_%~@+#!^", HOST, DISK, FOUND)


def test_a_prefix_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert prefix_issues(tmp_path / "file") == [f"the prefix {tmp_path}/file is not a directory"]
    assert prefix_issues(tmp_path / "file/p") == [f"{tmp_path}/file, above the prefix, is not a directory"]


@pytest.mark.group(67)
def test_a_prefix_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(tmp_path)
    (issue,) = prefix_issues(tmp_path / "alias")
    assert "is a symbolic link" in issue
    with pytest.raises(PreflightFailed) as caught:
        check_owner(tmp_path / "alias", "roll back")
    assert caught.value.hint == "Nothing was changed. Name a directory with --prefix, or a place where none is yet."


@pytest.mark.group(67)
def test_a_prefix_that_all_may_write(tmp_path: Path) -> None:
    open_place = tmp_path / "open"
    open_place.mkdir()
    open_place.chmod(0o777)
    assert ["may be written by every user" in issue for issue in prefix_issues(open_place)] == [True]
    assert ["may be written by every user" in issue for issue in prefix_issues(open_place / "p")] == [True]
    open_place.chmod(0o1777)  # as /tmp is
    assert prefix_issues(open_place / "p") == []


@pytest.mark.group(64)
@pytest.mark.parametrize("letter", ["\n", ":", "\x1b", "'", "$", "\udcff"])
def test_a_prefix_that_search_paths_cannot_hold(tmp_path: Path, letter: str) -> None:
    (issue,) = prefix_issues(tmp_path / f"a{letter}b")
    assert "holds a character" in issue
    issue.encode()  # it can be printed


@pytest.mark.group(64)
def test_a_prefix_with_a_space_and_accents_is_fine(tmp_path: Path) -> None:
    assert prefix_issues(tmp_path / "mon préfixe") == []


@pytest.mark.group(67)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_prefix_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    assert prefix_issues(tmp_path / "theirs") == [
        f"the prefix {tmp_path}/theirs belongs to user 12345, you are root (user 0)"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_prefix_where_nothing_can_be_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    (issue,) = prefix_issues(tmp_path / "a/p")
    tmp_path.chmod(0o700)
    assert issue == f"the prefix {tmp_path}/a/p cannot be made: {tmp_path} is not writable by you"


TRITON = Artifact("wheels/triton.whl", 100, DIGEST, "triton", unpacked_size=1000)
COMPILES = dataclasses.replace(MANIFEST, artifacts=(TOOL, TRITON, META))
BARE = Search(Interpreter(Path("/usr/bin/python3.11"), "3.11.7", has_headers=False))


def test_a_python_without_headers_is_refused_where_the_stack_compiles_with_them(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, compiler=Path("/usr/bin/g++"))
    assert issues(tmp_path, COMPILES, host=host, search=BARE) == (
        "/usr/bin/python3.11 comes without its headers (Python.h, pyconfig.h), with which this stack compiles at a "
        "server's first start: name another with --python FILE, ask for its -devel package, or a bundle with [interpreter]",
    )


def test_where_there_is_no_compiler_they_are_not_missed(tmp_path: Path) -> None:
    assert check(COMPILES, tmp_path / "p", HOST, DISK, BARE).interpreter == BARE.found


def test_a_carried_python_is_preferred_to_a_hosts_without_headers() -> None:
    carries = dataclasses.replace(COMPILES, artifacts=(TOOL, TRITON, PYTHON, META))
    assert prefer_carried(carries, BARE) == Search(None, ("/usr/bin/python3.11 comes without its headers",))
    assert prefer_carried(carries, FOUND) == FOUND
    assert prefer_carried(COMPILES, BARE) == BARE
    assert prefer_carried(dataclasses.replace(MANIFEST, artifacts=(TOOL, WHEEL, PYTHON, META)), BARE) == BARE
