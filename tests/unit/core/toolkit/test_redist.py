"""Component archives as packages: where their files go, and what is refused before and at the second reading."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.core.archives.tarstream import BadArchive
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.cuda.components import SETS
from mirror.core.cuda.redistnames import redist_name, redist_name_of, rpm_names
from mirror.core.errors import Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.toolchain import Toolchain, unpack_toolchain
from mirror.core.toolkit.tree import BadToolchain
from tests.support.redist import Contents, HardLink, components, tar_of, write_redist
from tests.support.rpms import Link, Program

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="12.6")
SBSA = Target(python="3.11", arch="aarch64", glibc="2.28", gpu="sm_90a", cuda="12.6")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cuda"


def source(contents: Contents, name: str = "cuda_nvcc", target: Target = TARGET, limit: int = 1 << 20) -> RedistSource:
    return of_bytes(lzma.compress(tar_of(contents), preset=0), name, target, limit)


def of_bytes(data: bytes, name: str = "cuda_nvcc", target: Target = TARGET, limit: int = 1 << 20) -> RedistSource:
    digest = Sha256Hex(hashlib.sha256(data).hexdigest())
    return RedistSource(f"{name}.tar.xz", lambda: io.BytesIO(data), digest, name, "12.6.85", target, limit)


def unpack(root: Path, *packages: Contents, target: Target = TARGET) -> Toolchain:
    sources = [source(contents, f"part_{number}", target) for number, contents in enumerate(packages, 1)]
    return unpack_toolchain(sources, root, target)


def tree(root: Path) -> dict[str, str]:
    """Path of each file and link to its text or target."""
    found = {}
    for directory, names, files in os.walk(root):
        for path in (Path(directory, name) for name in (*names, *files)):
            if path.is_symlink() or path.is_file():
                found[path.relative_to(root).as_posix()] = (
                    str(path.readlink()) if path.is_symlink() else path.read_text()
                )
    return found


@pytest.mark.parametrize("release", ["12.6", "13.0", "13.3"])
def test_the_archives_of_a_release_become_the_tree_that_its_rpms_make(root: Path, release: str) -> None:
    target = Target(python="3.11", arch="x86_64", glibc="2.28", cuda=release)
    sources = [source(contents, name, target) for name, (_, contents) in components(release).items()]
    made = unpack_toolchain(sources, root, target)
    major = release.split(".")[0]
    there = tree(root)
    below = "targets/x86_64-linux"
    assert there["include"] == f"{below}/include" and there["lib64"] == f"{below}/lib"
    assert there[f"{below}/lib/libcudart.so"] == f"libcudart.so.{major}"
    assert there[f"{below}/lib/stubs/libcuda.so"] == "stub"
    assert there[f"{below}/include/crt/host_config.h"] == "/* crt */\n"
    assert there["nvvm/bin/cicc"] == "cicc\n"
    nested = "cccl/" if major == "13" else ""
    assert there[f"{below}/include/{nested}nv/target"] == "/* nv */\n"
    assert (root / "lib64/libcudart.so").read_text() == "cudart"
    assert os.access(root / "bin/nvcc", os.X_OK) and not os.access(root / "bin/nvcc.profile", os.X_OK)
    assert made.dangling == ()


def test_each_file_is_owned_by_its_component(root: Path) -> None:
    made = unpack_toolchain(
        [source({"include/a.h": b"1", "lib/libx.so": Link("libx.so.1"), "lib/libx.so.1": b"x"})], root, TARGET
    )
    (package,) = made.packages
    assert package.nevra == "cuda_nvcc-12.6.85.x86_64"
    assert package.files == (
        "targets/x86_64-linux/include/a.h",
        "targets/x86_64-linux/lib/libx.so",
        "targets/x86_64-linux/lib/libx.so.1",
    )


def test_servers_with_arm_processors_have_their_own_directory(root: Path) -> None:
    made = unpack(root, {"include/a.h": b"1"}, target=SBSA)
    assert tree(root) == {"targets/sbsa-linux/include/a.h": "1", "include": "targets/sbsa-linux/include"}
    assert made.packages[0].nevra == "part_1-12.6.85.aarch64"


def test_licences_are_kept_apart_and_pkg_config_is_left_out(root: Path) -> None:
    first: Contents = {
        "LICENSE": b"one",
        "bin/a": b"1",
        "pkg-config": None,
        "pkg-config/cuda-12.6.pc": b"prefix=/usr/local\n",
    }
    made = unpack(root, first, {"LICENSE": b"two", "bin/b": b"2"})
    assert tree(root) == {
        "share/licenses/part_1/LICENSE": "one",
        "share/licenses/part_2/LICENSE": "two",
        "bin/a": "1",
        "bin/b": "2",
    }
    assert made.dropped == ("/usr/share/pkgconfig/cuda-12.6.pc",)


@pytest.mark.parametrize(
    ("link", "target", "place", "leads"),
    [
        ("lib/a", "../include/x.h", "targets/x86_64-linux/lib/a", "../include/x.h"),
        ("bin/a", "../lib/libx.so", "bin/a", "../targets/x86_64-linux/lib/libx.so"),
        ("nvvm/lib/a", "../../lib/libx.so", "nvvm/lib/a", "../../targets/x86_64-linux/lib/libx.so"),
        ("lib/b", "../bin/nvcc", "targets/x86_64-linux/lib/b", "../../../bin/nvcc"),
        ("lib64", "lib", "lib64", "targets/x86_64-linux/lib"),
        ("nvvm/up", "..", "nvvm/up", ".."),
        ("bin/LICENSE", "../LICENSE", "bin/LICENSE", "../share/licenses/part_1/LICENSE"),
    ],
)
def test_a_link_moves_with_what_it_leads_to(root: Path, link: str, target: str, place: str, leads: str) -> None:
    contents: Contents = {
        "LICENSE": b"terms",
        "bin/nvcc": Program(b"elf"),
        "include/x.h": b"",
        "lib/libx.so": b"x",
        link: Link(target),
    }
    made = unpack(root, contents)
    assert tree(root)[place] == leads
    assert made.dangling == ()


def test_hard_links_share_one_file(root: Path) -> None:
    unpack(root, {"lib/a": b"same", "bin/b": HardLink("lib/a"), "lib/c": HardLink("bin/b")})
    first = root / "targets/x86_64-linux/lib/a"
    assert first.samefile(root / "bin/b") and first.samefile(root / "targets/x86_64-linux/lib/c")


def test_two_components_may_bring_the_same_thing_but_no_other(root: Path) -> None:
    unpack(root, {"include/a.h": b"1"}, {"include/a.h": b"1"})
    with pytest.raises(BadToolchain, match=r"part_1-12\.6\.85\.x86_64 and part_2-.* bring different contents of"):
        unpack(root.with_name("other"), {"include/a.h": b"1"}, {"include/a.h": b"2"})
    assert not root.with_name("other").exists()


def test_two_members_for_one_place_are_refused(root: Path) -> None:
    with pytest.raises(BadArchive, match=r"two members belong at /usr/local/cuda-12\.6/targets/x86_64-linux/lib/a"):
        unpack(root, {"lib/a": b"1", "targets/x86_64-linux/lib/a": b"1"})


def refused(root: Path, bad: RedistSource, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        unpack_toolchain([source({"bin/nvcc": b"1"}, "good"), bad], root, TARGET)
    assert not root.exists()


def test_other_bytes_than_the_signed_ones_are_never_decompressed(root: Path) -> None:
    data = b"\xfd7zXZ\0 and nothing that xz would take"
    bad = RedistSource("a.tar.xz", lambda: io.BytesIO(data), Sha256Hex("0" * 64), "a", "1", TARGET)
    refused(root, bad, DigestMismatch, r"a\.tar\.xz: sha256 is [0-9a-f]{64}, the manifest says 0000")


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"../x": b""}, "names a place outside"),
        ({"lib/a": Link("/etc/passwd")}, "link to the absolute path"),
        ({"lib/a": Link("../../x")}, "link out of the archive"),
        ({"lib": Link("bin"), "lib/x": b""}, "both a directory and something else"),
        ({"bin/a": HardLink("bin/none")}, "hard link to .* which is no file before it"),
        ({"bin/a": b"x" * ((1 << 20) + 1)}, "more bytes than the"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_archive_leaves_nothing(root: Path, contents: Contents, words: str) -> None:
    refused(root, source(contents), BadArchive, words)


def test_an_archive_that_is_no_tar_xz_is_refused(root: Path) -> None:
    refused(root, of_bytes(tar_of({"bin/a": b""})), BadArchive, "its xz stream is broken")
    refused(root, of_bytes(lzma.compress(b"no tar".ljust(1024))), BadArchive, "a header has no ustar magic")
    whole = lzma.compress(tar_of({"bin/a": os.urandom(5000)}))
    refused(root, of_bytes(whole[:-20]), BadArchive, "its xz stream is cut short")
    refused(root, of_bytes(whole + b"\0" * 4), BadArchive, "there are bytes after its xz stream")


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ({"bin/a": b"2", "bin/b": b"1"}, "/bin/a has changed since it was judged"),
        ({"bin/a": b"1", "bin/b": b"11"}, "bin/b has changed since it was judged"),
        ({"bin/a": b"1", "bin/c": b"1"}, "bin/c has changed since it was judged"),
        ({"bin/a": b"1", "bin/b": HardLink("bin/a")}, "bin/b has changed since it was judged"),
        ({"bin/a": b"1"}, "bin/b is not in it any more"),
    ],
)
def test_an_archive_that_is_swapped_between_the_readings_is_refused(root: Path, later: Contents, words: str) -> None:
    first = source({"bin/a": b"1", "bin/b": b"1"})
    opened: list[Callable[[], io.BytesIO]] = [lambda: io.BytesIO(lzma.compress(tar_of(later)))]
    opened += [first.open] * 2  # type: ignore[list-item]  # BinaryIO is what RedistSource says
    swapped = RedistSource(first.label, lambda: opened.pop()(), first.sha256, "a", "1", TARGET)
    refused(root, swapped, BadArchive, words)


def test_an_archive_that_is_swapped_between_hashing_and_judging_is_refused(root: Path) -> None:
    first, other = source({"bin/a": b"1"}), source({"bin/a": b"2"})
    opened = [other.open, first.open]
    swapped = RedistSource(first.label, lambda: opened.pop()(), first.sha256, "a", "1", TARGET)
    refused(root, swapped, DigestMismatch, f"sha256 is {other.sha256}, the manifest says {first.sha256}")


def test_every_role_of_the_sets_is_in_a_component_of_its_release(tmp_path: Path) -> None:
    for release in ("12.4", "12.6", "12.9", "13.0", "13.2", "13.3", "13.4"):
        for role in SETS["vllm-source"]:
            assert redist_name(role, release), (role, release)
    listed = json.loads(write_redist(tmp_path, "13.0.2").read_text())
    assert {redist_name(role, "13.0") for role in SETS["flashinfer-jit"]} <= listed.keys()


def test_rpm_names_have_their_component() -> None:
    assert redist_name_of("cuda-driver-devel-12-6", "12.6") == "cuda_cudart"
    assert redist_name_of("cuda-nvvm-12-6", "12.6") == "cuda_nvcc"
    assert redist_name_of("cccl-13-3", "13.3") == "cccl"
    assert redist_name_of("cuda-compat-13-0", "13.0") == redist_name_of("bash", "13.0") == ""


def test_a_component_stands_for_the_rpms_whose_files_it_holds() -> None:
    assert rpm_names("cuda_cudart", "12.6") == ("cuda-cudart-12-6", "cuda-cudart-devel-12-6", "cuda-driver-devel-12-6")
    assert rpm_names("cuda_nvcc", "12.6") == ("cuda-crt-12-6", "cuda-nvcc-12-6", "cuda-nvvm-12-6")
    assert rpm_names("libnvvm", "13.0") == ("libnvvm-13-0",)
    assert rpm_names("nsight_compute", "13.0") == ()


def test_an_archive_that_cannot_be_read_is_named(tmp_path: Path, root: Path) -> None:
    missing = RedistSource.of_file(tmp_path / "cuda_nvcc.tar.xz", Sha256Hex("0" * 64), "cuda_nvcc", "1", TARGET)
    refused(root, missing, Unreadable, r"cannot read .*cuda_nvcc\.tar\.xz: No such file")
