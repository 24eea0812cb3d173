"""The maker of the demonstration repository, on small wheels of the same shape."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import zipfile
from functools import partial
from pathlib import Path

import createrepo_c
import pytest
import rpm_rs

from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.toolchain.closure import solve
from mirror.connected.toolchain.repository import open_repository
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.signatures.openpgp import read_keys
from mirror.core.target import Target
from mirror.core.toolkit.rpm import read_rpm
from mirror.core.toolkit.rpmsource import trusted_rpms
from mirror.core.toolkit.toolchain import unpack_toolchain
from scripts.cuda_rpms import demokey, maker
from scripts.cuda_rpms.layout import RECIPES, TARGET, Recipe, targets
from scripts.cuda_rpms.maker import WrongBytes, make_repository
from scripts.cuda_rpms.stub import driver_functions, stub_library
from scripts.cuda_rpms.wheels import Wheel, pinned

FILES = {
    "nvidia-cuda-nvcc": (
        "bin/nvcc",
        "bin/ptxas",
        "bin/nvcc.profile",
        "bin/crt/link.stub",
        "include/fatbinary_section.h",
    ),
    "nvidia-cuda-crt": ("include/crt/host_config.h",),
    "nvidia-nvvm": ("nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc", "include/nvvm.h", "lib/libnvvm.so.4"),
    "nvidia-nvptxcompiler": ("include/nvPTXCompiler.h", "lib/libnvptxcompiler_static.a"),
    "nvidia-cuda-culibos": ("lib/libculibos.a",),
    "nvidia-cuda-cccl": (
        "include/nv/target",
        "include/cccl/cub/cub.cuh",
        "lib/cmake/cub/cub-config.cmake",
        ".metadata/x",
    ),
    "nvidia-cuda-runtime": (
        "include/cuda.h",
        "include/cudaGL.h",
        "include/cudaEGL.h",
        "include/cudaVDPAU.h",
        "include/cuda_runtime.h",
        "lib/libcudart.so.13",
        "lib/libcudart_static.a",
        "lib/libcudadevrt.a",
    ),
    "nvidia-cuda-profiler-api": ("include/cudaProfiler.h",),
    "nvidia-cuda-nvrtc": ("include/nvrtc.h", "lib/libnvrtc.so.13", "lib/libnvrtc-builtins.so.13.0"),
    "nvidia-curand": ("include/curand_kernel.h", "lib/libcurand.so.10"),
    "nvidia-cublas": ("include/cublas.h", "lib/libcublas.so.13", "lib/libcublasLt.so.13"),
    "nvidia-nvjitlink": ("include/nvJitLink.h", "lib/libnvJitLink.so.13"),
    "nvidia-cusparse": ("include/cusparse.h", "lib/libcusparse.so.12"),
    "nvidia-cusolver": ("include/cusolverDn.h", "lib/libcusolver.so.12", "lib/libcusolverMg.so.12"),
    "nvidia-nvtx": ("include/nvtx3/nvToolsExt.h", "lib/libnvtx3interop.so.1"),
}

CUDA_H = """
#define cuMemAlloc cuMemAlloc_v2
#define cuMemcpyHtoD __CUDA_API_PTDS(cuMemcpyHtoD_v2)
CUresult CUDAAPI cuInit(unsigned int Flags);
CUresult CUDAAPI cuMemAlloc(CUdeviceptr *dptr, size_t bytesize);
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Wheel]:
    """Wheels with the names that NVIDIA's have, and a few bytes in each file."""
    directory = tmp_path_factory.mktemp("wheels")
    made = {}
    for project, wheel in pinned().items():
        path = directory / wheel.filename
        with zipfile.ZipFile(path, "w") as archive:
            for name in FILES[project]:
                archive.writestr(f"nvidia/cu13/{name}", CUDA_H if name.endswith("cuda.h") else f"{project} {name}\n")
            archive.writestr(f"{project}.dist-info/licenses/License.txt", "licence\n")
        made[project] = Wheel(project, wheel.version, wheel.filename, Sha256Hex("0" * 64), path)
    return made


class Maker:
    """``make_repository`` on the small wheels, with pins of their own."""

    def __init__(self, wheels: dict[str, Wheel], pins: Path) -> None:
        self.wheels, self.pins = wheels, pins
        self.asked: list[str] = []

    def bring(self, projects: set[str], progress: Progress) -> dict[str, Wheel]:
        self.asked += sorted(projects)
        return self.wheels

    def make(self, directory: Path, group: str = "torch", record: bool = False) -> list[Path]:
        return make_repository(directory, group=group, progress=SILENT, record=record, pins=self.pins, bring=self.bring)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Wheel]) -> tuple[Maker, Path]:
    directory = tmp_path_factory.mktemp("repository")
    pinning = Maker(wheels, directory.with_suffix(".sha256"))
    pinning.make(directory, record=True)
    return pinning, directory


def contents(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def files_of(path: Path) -> dict[str, str]:
    """Paths and link targets in a package, as rpm-rs sees them."""
    entries = rpm_rs.Package.open(str(path)).metadata.file_entries()
    return {entry.path: entry.linkto or "" for entry in entries}


def test_the_key_is_the_published_one_and_says_what_it_is_worth() -> None:
    assert demokey.demo_key().fingerprint == demokey.FINGERPRINT == "D6ABEDFE6D3E4021F7D7296D6309737A04018495"
    assert b"protects nothing" in demokey.USER_ID


def test_pins_name_every_package_and_every_wheel() -> None:
    versions = {project: wheel.version for project, wheel in pinned().items()}
    assert sorted(maker.read_pins()) == sorted(maker.spec(recipe, versions).filename for recipe in RECIPES)
    assert {recipe.wheel for recipe in RECIPES if recipe.wheel} == set(pinned()) == set(FILES)


def test_the_same_bytes_every_time(tmp_path: Path, repository: tuple[Maker, Path]) -> None:
    made, directory = repository
    made.make(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(directory)
    assert (directory / "repodata" / "repomd.xml.asc").read_bytes().startswith(b"-----BEGIN PGP SIGNATURE-----\n")


def test_a_second_run_makes_nothing_and_needs_no_wheel(tmp_path: Path, repository: tuple[Maker, Path]) -> None:
    made, _ = repository
    made.make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.rpm")}
    made.asked.clear()
    made.make(tmp_path)
    assert made.asked == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.rpm")} == before


def test_a_damaged_package_is_made_again(tmp_path: Path, repository: tuple[Maker, Path]) -> None:
    made, directory = repository
    made.make(tmp_path)
    damaged = next(tmp_path.glob("cuda-crt-*.rpm"))
    damaged.write_bytes(b"half")
    made.asked.clear()
    made.make(tmp_path)
    assert made.asked == ["nvidia-cuda-crt"]
    assert contents(tmp_path) == contents(directory)


def test_other_bytes_than_the_pinned_ones_end_the_run(tmp_path: Path, repository: tuple[Maker, Path]) -> None:
    made, _ = repository
    pins = tmp_path / "pins"
    pins.write_text(made.pins.read_text().replace(next(iter(maker.read_pins(made.pins).values())), "0" * 64))
    with pytest.raises(WrongBytes) as caught:
        Maker(made.wheels, pins).make(tmp_path / "repository")
    assert caught.value.filenames == ["cccl-13-3-13.3.3.3.1-1.x86_64.rpm"]
    assert "made here with other bytes than rpms.sha256 pins" in str(caught.value)


@pytest.mark.parametrize(
    ("group", "count", "without"),
    [
        ("compiler", 15, ("libcublas", "libcurand", "cuda-nvrtc", "libcusparse")),
        ("math", 21, ("libcusparse", "libcusolver", "libnvjitlink", "cuda-nvtx")),
    ],
)
def test_a_smaller_group_has_fewer_packages_of_the_same_bytes(
    tmp_path: Path, repository: tuple[Maker, Path], group: str, count: int, without: tuple[str, ...]
) -> None:
    made, directory = repository
    made.make(tmp_path, group)
    fewer = {name: digest for name, digest in contents(tmp_path).items() if name.endswith(".rpm")}
    assert len(fewer) == count
    assert fewer.items() < contents(directory).items()
    assert not any(name.startswith(without) for name in fewer)


def test_another_reader_finds_good_signatures_and_digests(repository: tuple[Maker, Path]) -> None:
    verifier = rpm_rs.Verifier(demokey.public_key())
    for path in repository[1].glob("*.rpm"):
        package = rpm_rs.Package.open(str(path))
        package.verify_signature(verifier)
        assert package.check_digests().is_ok()
        assert f"{package.metadata.nevra()}.rpm" == path.name


def test_our_reader_agrees(repository: tuple[Maker, Path]) -> None:
    keys = read_keys(demokey.public_key())
    for path in repository[1].glob("*.rpm"):
        with open(path, "rb") as stream:
            assert f"{read_rpm(stream, path.name, keys, [demokey.FINGERPRINT]).nevra}.rpm" == path.name


def test_librpm_reads_names_dependencies_and_scriptlets(repository: tuple[Maker, Path]) -> None:
    directory = repository[1]
    nvcc = createrepo_c.package_from_rpm(str(next(directory.glob("cuda-nvcc-*.rpm"))))
    names = {entry[0]: entry[1:5] for entry in nvcc.requires}
    assert names["libnvvm-13-0"] == ("GE", "0", "13.0.88", None)
    later = createrepo_c.package_from_rpm(str(next(directory.glob("cccl-13-3-*.rpm"))))
    assert "cuda-cccl-13-0" in {entry[0] for entry in later.obsoletes}
    cudart = createrepo_c.package_from_rpm(str(next(directory.glob("cuda-cudart-13-0-*.rpm"))))
    assert "libcudart.so.13()(64bit)" in {entry[0] for entry in cudart.provides}


def test_runtime_and_devel_halves_are_split_as_nvidias(repository: tuple[Maker, Path]) -> None:
    directory = repository[1]
    runtime = files_of(next(directory.glob("cuda-cudart-13-0-*.rpm")))
    devel = files_of(next(directory.glob("cuda-cudart-devel-13-0-*.rpm")))
    assert runtime[f"{TARGET}/lib/libcudart.so.13"] == "libcudart.so.13.0.96"
    assert f"{TARGET}/lib/libcudart.so.13.0.96" in runtime
    assert runtime["/usr/local/cuda-13.0/lib64"] == "targets/x86_64-linux/lib"
    assert devel[f"{TARGET}/lib/libcudart.so"] == "libcudart.so.13"
    assert {f"{TARGET}/include/cuda.h", f"{TARGET}/lib/libcudart_static.a"} <= set(devel)
    assert not any("libcudart.so.13" in path for path in devel)


def test_the_compilers_library_lies_beside_the_compiler(repository: tuple[Maker, Path]) -> None:
    found = files_of(next(repository[1].glob("libnvvm-13-0-*.rpm")))
    home = "/usr/local/cuda-13.0/nvvm"
    assert found[f"{home}/lib64/libnvvm.so.4"] == "libnvvm.so.4.0.0"
    assert {f"{home}/bin/cicc", f"{home}/include/nvvm.h", f"{home}/libdevice/libdevice.10.bc"} <= set(found)
    assert "/usr/share/licenses/libnvvm-13-0/License.txt" in found


def test_metapackages_have_no_files_and_nothing_foreign_is_packed(repository: tuple[Maker, Path]) -> None:
    directory = repository[1]
    assert files_of(next(directory.glob("cuda-toolkit-13-0-13*.rpm"))) == {}
    assert files_of(next(directory.glob("cccl-13-3-*.rpm"))) == {}
    assert not any(".metadata" in path for path in files_of(next(directory.glob("cuda-cccl-*.rpm"))))


def test_files_of_other_trees_in_a_wheel_are_left_out() -> None:
    recipe = Recipe("a", "a", "w", ("*",))
    assert targets(recipe, "1", ["w.dist-info/RECORD", "nvidia/cu13/include/", "nvidia/cu12/include/a.h"]) == []


def test_mirror_reads_solves_and_unpacks_it(tmp_path: Path, repository: tuple[Maker, Path]) -> None:
    """The whole way: signed metadata, a closure that the Obsoletes does not break, a toolchain."""
    directory = repository[1]
    opened = open_repository(str(directory), [demokey.FINGERPRINT], partial(get_bytes, new_session()))
    chosen = solve(opened.packages, ["cuda-toolkit-13-0"], "x86_64")
    names = {package.name for package in chosen}
    assert {"cuda-cccl-13-0", "cuda-nvcc-13-0", "libnvvm-13-0", "cuda-driver-devel-13-0"} <= names
    assert not names & {"cccl-13-3", "libcublas-13-0"}
    made = unpack_toolchain(
        trusted_rpms(
            [directory / package.location for package in chosen], keys=opened.key, fingerprints=[demokey.FINGERPRINT]
        ),
        tmp_path / "cuda",
        Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="13.0"),
    )
    assert (tmp_path / "cuda" / "bin" / "nvcc").stat().st_mode & 0o111
    assert (tmp_path / "cuda" / "include" / "nv" / "target").is_file()
    assert (tmp_path / "cuda" / "lib64" / "libcudart.so").is_file()
    assert made.dangling == ()


def test_reads_old_new_and_per_thread_names_from_the_headers() -> None:
    assert driver_functions([CUDA_H]) == [
        "cuInit",
        "cuMemAlloc",
        "cuMemAlloc_v2",
        "cuMemcpyHtoD_v2",
        "cuMemcpyHtoD_v2_ptds",
    ]


def test_the_stub_loads_and_says_that_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "libcuda.so"
    path.write_bytes(stub_library("libcuda.so.1", ["cuInit", "cuMemAlloc_v2"]))
    library = ctypes.CDLL(str(path))
    assert (library.cuInit(0), library.cuMemAlloc_v2(None, 8)) == (34, 34)
    with pytest.raises(AttributeError):
        _ = library.cuNothing


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_programs_link_against_the_stub(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so").write_bytes(stub_library("libcuda.so.1", ["cuInit"]))
    (tmp_path / "main.c").write_text("int cuInit(unsigned); int main(void) { return cuInit(0); }\n")
    subprocess.run(["gcc", "main.c", "-o", "main", "-L.", "-lcuda"], cwd=tmp_path, check=True)
    (tmp_path / "libcuda.so").rename(tmp_path / "libcuda.so.1")
    environment = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert subprocess.run([str(tmp_path / "main")], env=environment, check=False).returncode == 34
