"""``mirror which`` asked in an install, of a bundle and of a lock; what no RPM brings; and what nobody knows."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.doctor.here import looks
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.receipt import Receipt
from mirror.closed.prefix.status import NothingInstalled, current_generation
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.closed.which.place import NoFileIndex, Place, bundled_place, installed_place, locked_place
from mirror.closed.which.search import FileUnknown, toml_line, which
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.cuda.redistnames import asked_for_by
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.logs.explained.log import explain
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import BUNDLED, FILELISTS, HEADERS, INSTALLED, FileIndex, IndexedRpm
from mirror.core.toolkit.toolchain import Unpacked
from mirror.core.trust.quorum import UnknownSigner
from tests.support.bundles import BundleSimulator, flip_last_byte_of
from tests.support.desk import Desk
from tests.support.wheels import make_wheel

TARGET = "targets/x86_64-linux"
CONTENTS = {
    "+ cuda-cccl-13-0": (f"{TARGET}/include/nv/target",),
    "+ cuda-cudart-13-0": (f"{TARGET}/lib/libcudart.so.13.0.96",),
    "+ cuda-driver-devel-13-0": (f"{TARGET}/lib/stubs/libcuda.so",),
    "- cuda-nvml-devel-13-0": (f"{TARGET}/include/nvml.h", f"{TARGET}/lib/stubs/libnvidia-ml.so"),
    "+ cuda-nvrtc-13-0": (f"{TARGET}/lib/libnvrtc.so.13", f"{TARGET}/lib/libnvrtc.so.13.0.88"),
    "- cuda-nvrtc-devel-13-0": (f"{TARGET}/include/nvrtc.h", f"{TARGET}/lib/libnvrtc.so"),
}
INDEX = FileIndex(
    "13.0",
    "x86_64",
    FILELISTS,
    tuple(
        IndexedRpm(name[2:], "13.0.88-1", "x86_64", name[0] == "+", paths)
        for name, paths in sorted(CONTENTS.items(), key=lambda item: item[0][2:])
    ),
)
HERE = Place("lock", Path("demo.toml"), "demo", INDEX)


def bring(file: str, place: Place = HERE) -> dict[str, bool]:
    """Who brings a file, and whether it is carried."""
    return {match.rpm.name: match.rpm.carried for match in which(place, file).rpms}


def test_the_sample_can_be_written() -> None:
    assert FileIndex.parse(INDEX.encode()) == INDEX


def test_a_carried_file_and_one_that_is_not() -> None:
    assert bring("nv/target") == {"cuda-cccl-13-0": True}
    assert bring("nvrtc.h") == {"cuda-nvrtc-devel-13-0": False}
    assert toml_line("cuda-nvrtc-devel-13-0") == 'packages = [..., "cuda-nvrtc-devel-13-0"]'


def test_a_linker_name_that_only_a_devel_package_brings_is_made_all_the_same() -> None:
    answer = which(HERE, "-lnvrtc")
    assert [match.rpm.name for match in answer.rpms] == ["cuda-nvrtc-13-0", "cuda-nvrtc-devel-13-0"]
    assert answer.made == f"{TARGET}/lib/libnvrtc.so is a link that mirror makes when it installs, to libnvrtc.so.13"


def test_a_soname_that_no_package_brings_is_made() -> None:
    answer = which(HERE, "libcudart.so.13")
    assert bring("libcudart.so.13") == {"cuda-cudart-13-0": True}
    assert answer.made == (
        f"{TARGET}/lib/libcudart.so.13 is a link that mirror makes when it installs, to libcudart.so.13.0.96"
    )


@pytest.mark.parametrize("file", ["libnvrtc.so.13", "libcudart.so.13.0", "nvrtc.h", "nv/target"])
def test_what_a_package_brings_itself_is_not_said_to_be_made(file: str) -> None:
    assert which(HERE, file).made == ""


@pytest.mark.parametrize("file", ["include", "lib64", "/usr/local/cuda/lib64", "/usr/local/cuda-13.0/include/"])
def test_the_two_directories_that_mirror_links_are_named(file: str) -> None:
    answer = which(HERE, file)
    assert answer.rpms == ()
    assert answer.made.endswith("mirror makes it where no RPM brings it")
    assert f"is a link to {TARGET}/" in answer.made


@pytest.mark.parametrize(
    "file", ["libcuda.so.1", "/usr/lib64/libcuda.so.1", "libcuda.so.580.65.06", "-lcuda", "libcuda.so"]
)
def test_the_drivers_library_is_the_hosts_and_its_stub_is_a_package_of_ours(file: str) -> None:
    assert bring(file) == {"cuda-driver-devel-13-0": True}
    assert which(HERE, file).driver == (
        "libcuda.so.1 is the GPU driver's, on the closed host already and never in a bundle; "
        "to link with it, lib/stubs/libcuda.so of cuda-driver-devel-13-0 stands in for it"
    )


def test_a_stub_that_the_index_lacks_is_named_from_the_table() -> None:
    place = replace(HERE, index=replace(INDEX, rpms=tuple(rpm for rpm in INDEX.rpms if rpm.carried), source=HEADERS))
    assert bring("libnvidia-ml.so.1") == bring("libnvidia-ml.so.1", place) == {"cuda-nvml-devel-13-0": False}
    assert bring("nvrtc.h", place) == {"cuda-nvrtc-devel-13-0": False}


def test_a_toolchain_of_component_archives_is_answered_in_their_names() -> None:
    archive = IndexedRpm("cuda_cudart", "13.0.96", "x86_64", True, (f"{TARGET}/lib/stubs/libcuda.so",))
    place = replace(HERE, index=FileIndex("13.0", "x86_64", HEADERS, (archive,)))
    assert FileIndex.parse(place.index.encode()) == place.index
    assert bring("libcuda.so.1", place) == {"cuda_cudart": True}
    assert bring("libnvidia-ml.so.1", place) == {"cuda_nvml_dev": False}
    assert bring("cublasLt.h", place) == {"libcublas": False}
    assert which(place, "cublasLt.h").to_dict()["rpms"][0]["add"] == 'components = [..., "libcublas"]'
    assert [asked_for_by(name)[0] for name in ("libcublas", "libcublas-13-0")] == ["[redist]", "[rpms]"]


@pytest.mark.parametrize("file", ["nvidia-smi", "libnvidia-ptxjitcompiler.so.1", "libcudadebugger.so.1"])
def test_other_files_of_the_driver_have_no_stub(file: str) -> None:
    answer = which(HERE, file)
    assert answer.rpms == ()
    assert answer.driver == f"{file} is the GPU driver's, on the closed host already and never in a bundle"


def test_a_stub_asked_for_as_a_stub_is_no_driver() -> None:
    assert which(HERE, "lib/stubs/libcuda.so").driver == ""
    assert bring("stubs/libcuda.so") == {"cuda-driver-devel-13-0": True}


def test_what_nobody_brings_is_an_error_with_what_comes_near() -> None:
    with pytest.raises(FileUnknown) as caught:
        which(HERE, "nv/Target")
    assert str(caught.value) == "no RPM that the lock demo.toml knows brings 'nv/Target'"
    assert caught.value.context() == "did you mean nv/target (of cuda-cccl-13-0)?"


def test_a_very_long_name_is_not_told_again() -> None:
    for file in ("x" * 100_000, "d/" * 50_000 + "x.h"):
        with pytest.raises(FileUnknown) as caught:
            which(HERE, file)
        assert len(str(caught.value)) + len(caught.value.context()) < 400
    assert len(which(HERE, f"libnvidia-{'x' * 100_000}.so").driver) < 400


@pytest.mark.parametrize(
    ("file", "project"),
    [
        ("cudnn.h", "nvidia-cudnn-cu*"),
        ("<cudnn_version.h>", "nvidia-cudnn-cu*"),
        ("libcudnn_ops.so.9", "nvidia-cudnn-cu*"),
        ("-lcudnn", "nvidia-cudnn-cu*"),
        ("nccl.h", "nvidia-nccl-cu*"),
        ("/usr/include/nccl.h", "nvidia-nccl-cu*"),
        ("libnccl.so.2", "nvidia-nccl-cu*"),
        ("cusparseLt.h", "nvidia-cusparselt-cu*"),
    ],
)
def test_a_file_that_comes_in_a_wheel_is_said_to(file: str, project: str) -> None:
    with pytest.raises(FileUnknown) as caught:
        which(HERE, file)
    assert f"comes in the wheel {project}, not in an RPM of the CUDA toolkit" in caught.value.context()


@pytest.mark.parametrize("damage", [b'"' + b"x" * 200_000 + b'libodd.so",,\n', b"libodd.so\0,,\n"])
def test_a_record_that_cannot_be_read_is_passed_over(tmp_path: Path, damage: bytes) -> None:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    for name, data in (("a-1.dist-info", damage), ("b-2.dist-info", b"b/libodd.so,,\n"), ("c-3.dist-info", None)):
        (site / name).mkdir(parents=True)
        if data is None:
            (site / name / "RECORD").mkdir()  # for root reads what it may not
        else:
            (site / name / "RECORD").write_bytes(data)
    assert ("b/libodd.so", "b 2") in which(replace(HERE, path=tmp_path), "libodd.so").wheels


def test_an_index_of_the_bundle_alone_says_so() -> None:
    with pytest.raises(FileUnknown) as caught:
        which(replace(HERE, index=replace(INDEX, source=HEADERS)), "zzz.h")
    assert caught.value.context() == (
        "it knows the RPMs of the bundle only: the repository's filelists were not locked"
    )


def test_a_lock_is_named_by_any_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "demo.files.txt").write_bytes(INDEX.encode())
    for name in ("demo.toml", "demo.txt", "demo.rpms.toml", "demo.build.txt", "demo.files.txt"):
        (tmp_path / name).touch()
        place = locked_place(tmp_path / name)
        assert (place.kind, place.stack, place.index) == ("lock", "demo", INDEX)


def test_a_lock_without_an_index_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").touch()
    with pytest.raises(NoFileIndex, match=r"the lock .*demo\.toml holds no index of the files of CUDA's packages"):
        locked_place(tmp_path / "demo.toml")
    with pytest.raises(Unreadable, match=r"other\.toml"):
        locked_place(tmp_path / "other.toml")
    (tmp_path / "demo.files.txt").mkdir()
    with pytest.raises(Unreadable, match="directory"):
        locked_place(tmp_path / "demo.toml")


def test_a_damaged_index_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "demo.toml").touch()
    (tmp_path / "demo.files.txt").write_bytes(INDEX.encode() + b"more\n")
    with pytest.raises(InvalidDocument, match=r"demo\.files\.txt invalid at 'line \d+'"):
        locked_place(tmp_path / "demo.toml")


def test_a_bundle_answers_before_it_is_installed(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add(BUNDLED, INDEX.encode())
    place = bundled_place(simulator.write(tmp_path / "b.tar"), simulator.root)
    assert (place.kind, place.stack, place.index) == ("bundle", "demo", INDEX)
    assert which(place, "nvrtc.h").to_dict() == {
        "file": "nvrtc.h",
        "stack": "demo",
        "asked": "bundle",
        "where": str(tmp_path / "b.tar"),
        "cuda": "13.0",
        "rpms": [
            {
                "name": "cuda-nvrtc-devel-13-0",
                "evr": "13.0.88-1",
                "role": "nvrtc-devel",
                "carried": False,
                "paths": [f"{TARGET}/include/nvrtc.h"],
                "on_disk": [],
                "add": 'packages = [..., "cuda-nvrtc-devel-13-0"]',
            }
        ],
        "made_by_mirror": "",
        "driver": "",
        "wheels": [],
    }


def test_a_bundle_is_believed_only_when_it_is_signed_and_its_index_intact(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add(BUNDLED, INDEX.encode())
    simulator.signers = ("stranger",)
    with pytest.raises(UnknownSigner):
        bundled_place(simulator.write(tmp_path / "b.tar"), simulator.root)
    simulator.signers = ("builder",)
    bundle = simulator.write(tmp_path / "c.tar")
    flip_last_byte_of(bundle, b"nvrtc.h")
    with pytest.raises(DigestMismatch, match=BUNDLED):
        bundled_place(bundle, simulator.root)


def test_a_bundle_without_an_index_is_named(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    with pytest.raises(NoFileIndex, match=r"the bundle .*b\.tar holds no index"):
        bundled_place(simulator.write(tmp_path / "b.tar"), simulator.root)


def test_an_install_answers_with_the_files_place_and_with_its_wheels(desk: Desk) -> None:
    simulator = desk.simulator()
    files = {"left_pad.py": b"__version__ = '1.0'\n", "nvidia/cu13/lib/libnvrtc.so.13": b"a library"}
    files.update({f"many/{number}/libmany.so": b"" for number in range(7)})
    simulator.add_wheel(make_wheel(desk.path / "wheels", "left-pad", "1.0", files=files))
    simulator.add(BUNDLED, INDEX.encode())
    installed = desk.install(simulator.write(desk.path / "b.tar", ("left_pad",)))
    generation = installed.prefix.joinpath("current").resolve()
    assert (generation / INSTALLED).read_bytes() == INDEX.encode()

    place = installed_place(Prefix(installed.prefix))
    assert (place.kind, place.path, place.stack, place.index) == ("install", generation, "demo", INDEX)
    answer = which(place, "libnvrtc.so.13")
    assert answer.wheels == (("nvidia/cu13/lib/libnvrtc.so.13", "left_pad 1.0"),)
    assert answer.to_dict()["rpms"][0]["on_disk"] == []
    library = generation / "cuda" / TARGET / "lib/libnvrtc.so.13"
    library.parent.mkdir(parents=True)
    library.touch()
    assert which(place, "libnvrtc.so.13").to_dict()["rpms"][0]["on_disk"] == [str(library)]
    assert which(place, "nvidia/cu13/lib/libnvrtc.so").wheels
    assert [path for path, _ in which(place, "libmany.so").wheels] == [f"many/{n}/libmany.so" for n in range(5)]
    with pytest.raises(FileUnknown):
        which(place, "left_pad.py")  # Python finds modules itself

    log = ["a.cu:1:10: fatal error: nvrtc.h: No such file or directory"]
    seen = looks(explain(log).findings, {}, load_environment(current_generation(Prefix(installed.prefix))))
    (brought,) = [one.what for one in seen if one.subject == "nvrtc.h"]
    assert brought == "cuda-nvrtc-devel-13-0, which brings it, is not in this install: add it to NAME.toml"

    (generation / INSTALLED).unlink()
    with pytest.raises(NoFileIndex, match="the install "):
        installed_place(Prefix(installed.prefix))
    receipt = Receipt.from_bytes((generation / "receipt.json").read_bytes())
    packages = [("cuda-nvcc-13-0-1:13.0.88-1.x86_64", ("bin/nvcc", "doc/a")), ("cuda_crt-13.0.88.linux-x86_64", ())]
    record = ToolchainRecord(tuple(Unpacked(nevra, Sha256Hex("0" * 64), files) for nevra, files in packages))
    (generation / "receipt.json").write_bytes(replace(receipt, toolchain=record).encode())
    recorded = installed_place(Prefix(installed.prefix)).index
    assert [(rpm.name, rpm.evr, rpm.arch, rpm.paths) for rpm in recorded.rpms] == [
        ("cuda-nvcc-13-0", "1:13.0.88-1", "x86_64", ("bin/nvcc",)),
        ("cuda_crt", "13.0.88", "linux-x86_64", ()),
    ]
    assert (recorded.source, recorded.arch) == (HEADERS, place.index.arch)
    shutil.rmtree(installed.prefix)
    with pytest.raises(NothingInstalled):
        installed_place(Prefix(installed.prefix))
