"""The closure over metadata like NVIDIA's: what is followed, what is the host's, and what is refused."""

from __future__ import annotations

import random
import re

import pytest

from mirror.connected.toolchain.closure import (
    DriverNotCarried,
    MixedReleases,
    NotInRepository,
    Unsolvable,
    near_names,
    solve,
)
from tests.support.repos import DRIVER, Rpm, toolkit

RELEASES = ("12.4", "12.5", "12.6", "12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4")
EVERYTHING = (*DRIVER, *(rpm for release in RELEASES for rpm in toolkit(release)))


def closure(*wanted: str, among: tuple[Rpm, ...] = EVERYTHING, arch: str = "x86_64", release: str = "") -> list[str]:
    return [package.name for package in solve([rpm.package() for rpm in among], wanted, arch, release)]


def test_a_12_x_compiler_brings_crt_and_nvvm() -> None:
    assert closure("cuda-nvcc-12-6") == ["cuda-crt-12-6", "cuda-nvcc-12-6", "cuda-nvvm-12-6"]


def test_a_13_0_compiler_brings_libnvvm_and_libnvptxcompiler() -> None:
    assert closure("cuda-nvcc-13-0") == ["cuda-crt-13-0", "cuda-nvcc-13-0", "libnvptxcompiler-13-0", "libnvvm-13-0"]


@pytest.mark.parametrize(
    ("release", "cccl"), [("12.8", "cuda-cccl-12-8"), ("13.2", "cuda-cccl-13-2"), ("13.3", "cccl-13-3")]
)
def test_the_runtime_headers_bring_cccl_under_its_name_of_that_release(release: str, cccl: str) -> None:
    end = "-" + release.replace(".", "-")
    names = closure(f"cuda-cudart-devel{end}")
    assert cccl in names
    assert f"cuda-cudart{end}" in names
    assert "cuda-toolkit-config-common" in names


@pytest.mark.parametrize("release", RELEASES)
def test_one_release_is_never_mixed_with_another(release: str) -> None:
    end = "-" + release.replace(".", "-")
    chosen = solve([rpm.package() for rpm in EVERYTHING], [f"cuda-nvcc{end}", f"libcublas-devel{end}"], "x86_64")
    assert all(package.version.startswith(f"{release}.") for package in chosen if package.name.startswith("cuda-nvcc"))
    assert all(end in package.name for package in chosen if package.name[-1].isdigit())
    assert len(chosen) > 5


def test_a_soname_never_pulls_the_driver_in() -> None:
    names = closure("cuda-driver-devel-13-0")
    assert names == [
        "cuda-driver-devel-13-0",
        "cuda-toolkit-13-0-config-common",
        "cuda-toolkit-13-config-common",
        "cuda-toolkit-config-common",
    ]


def test_a_soname_without_brackets_is_the_hosts_too() -> None:
    assert closure("a", among=(Rpm("a", requires=("libcuda.so.1",)), Rpm("b", provides=("libcuda.so.1",)))) == ["a"]


def test_what_only_a_driver_package_provides_is_left_to_the_host() -> None:
    among = (Rpm("a", requires=("opengl",)), Rpm("nvidia-driver", provides=("opengl",)))
    assert closure("a", among=among) == ["a"]


def test_a_driver_package_required_by_name_is_left_to_the_host() -> None:
    names = closure("cuda-runtime-13-0")
    assert "cuda-cudart-13-0" in names
    assert not {rpm.name for rpm in DRIVER} & set(names)


@pytest.mark.parametrize(
    "name", ["cuda-drivers", "nvidia-driver-cuda-libs", "kmod-nvidia-open-dkms", "cuda-drivers-580"]
)
def test_a_driver_package_wanted_by_name_is_refused(name: str) -> None:
    with pytest.raises(DriverNotCarried, match=f"{name} belongs to the GPU driver"):
        closure("cuda-nvcc-13-0", name)


def test_the_drivers_stub_is_no_driver() -> None:
    assert "cuda-driver-devel-12-8" in closure("cuda-driver-devel-12-8")


def test_metapackages_are_followed_but_kept_only_when_wanted() -> None:
    among = (*EVERYTHING, Rpm("cuda-all-13-0", requires=("cuda-toolkit-13-0",)))
    assert "cuda-toolkit-13-0" not in closure("cuda-all-13-0", among=among)
    assert "cuda-nvcc-13-0" in closure("cuda-all-13-0", among=among)
    assert "cuda-toolkit-13-0" in closure("cuda-toolkit-13-0", among=among)


def test_what_only_the_host_has_is_not_asked_of_the_repository() -> None:
    assert closure("a", among=(Rpm("a", requires=("glibc >= 2.28", "gcc", "/bin/sh", "libfoo.so.1")),)) == ["a"]


def test_a_package_that_an_incomplete_copy_lacks_is_named_with_who_needs_it() -> None:
    among = tuple(rpm for rpm in toolkit("13.0") if rpm.name != "cuda-crt-13-0")
    with pytest.raises(Unsolvable) as caught:
        closure("cuda-nvcc-13-0", among=among)
    assert "nothing provides cuda-crt-13-0 >= 13.0.88 needed by cuda-nvcc-13-0-13.0.88-1.x86_64" in str(caught.value)


def test_requirements_that_conflict_are_named_from_both_sides() -> None:
    among = (
        Rpm("left", requires=("common = 1.0",)),
        Rpm("right", requires=("common = 2.0",)),
        Rpm("common", "1.0"),
        Rpm("common", "2.0"),
    )
    with pytest.raises(Unsolvable) as caught:
        closure("left", "right", among=among)
    words = f"{caught.value}\n{caught.value.context()}"
    assert "left-1.0-1.x86_64 requires common = 1.0" in words
    assert "right-1.0-1.x86_64 requires common = 2.0" in words


def test_the_newest_of_several_patch_levels_is_taken_for_all() -> None:
    among = (*toolkit("12.8", "12.8.0"), *toolkit("12.8", "12.8.2"), *toolkit("12.8", "12.8.1"))
    chosen = solve([rpm.package() for rpm in among], ["cuda-cudart-devel-12-8"], "x86_64")
    assert {package.version for package in chosen} == {"12.8.90"}


def test_an_older_version_is_taken_where_a_requirement_asks_for_it() -> None:
    among = (Rpm("a", requires=("b = 1.0",)), Rpm("b", "1.0"), Rpm("b", "2.0"))
    chosen = solve([rpm.package() for rpm in among], ["a"], "x86_64")
    assert [package.nevra for package in chosen] == ["a-1.0-1.x86_64", "b-1.0-1.x86_64"]


def test_a_requirement_qualified_by_architecture_is_followed() -> None:
    assert closure("a", among=(Rpm("a", requires=("b(x86-64)",)), Rpm("b"))) == ["a", "b"]


def test_a_virtual_name_leads_to_the_package_that_provides_it() -> None:
    assert closure("a", among=(Rpm("a", requires=("mpi",)), Rpm("b", provides=("mpi",)))) == ["a", "b"]


def test_the_order_of_the_repository_does_not_matter() -> None:
    expected = closure("cuda-nvcc-13-0", "libcublas-devel-13-0", "cuda-cudart-devel-13-0")
    shuffled = list(EVERYTHING)
    random.Random(7).shuffle(shuffled)
    assert (
        closure("libcublas-devel-13-0", "cuda-cudart-devel-13-0", "cuda-nvcc-13-0", among=tuple(shuffled)) == expected
    )


def test_a_choice_between_providers_does_not_hang_on_the_order() -> None:
    among = (Rpm("a", requires=("mpi",)), Rpm("openmpi", provides=("mpi",)), Rpm("mpich", provides=("mpi",)))
    assert closure("a", among=among) == closure("a", among=among[::-1])


def test_a_requirement_that_leads_to_another_release_is_refused() -> None:
    among = (*toolkit("12.9"), *toolkit("13.0"), Rpm("cuda-samples-13-0", requires=("cuda-cccl-12-9",)))
    with pytest.raises(Unsolvable, match="nothing provides cuda-cccl-12-9 needed by cuda-samples-13-0"):
        closure("cuda-samples-13-0", among=among)


def test_wanted_packages_of_two_releases_are_refused() -> None:
    with pytest.raises(MixedReleases) as caught:
        closure("cuda-nvcc-13-0", "libcublas-devel-12-8")
    assert str(caught.value) == "cuda-nvcc-13-0 is of CUDA 13.0, libcublas-devel-12-8 is of CUDA 12.8"


def test_wanted_packages_of_another_release_than_the_targets_are_refused() -> None:
    with pytest.raises(MixedReleases) as caught:
        closure("cuda-nvcc-13-0", release="12.8")
    assert str(caught.value) == "the target is of CUDA 12.8, cuda-nvcc-13-0 is of CUDA 13.0"


def test_a_name_of_the_old_spelling_is_answered_with_the_new_one() -> None:
    with pytest.raises(NotInRepository) as caught:
        closure("cuda-nvvm-13-0", "cuda-nvcc-13-0")
    assert str(caught.value).startswith("the repository has no cuda-nvvm-13-0; it has libnvvm-13-0")


def test_all_missing_names_are_told_at_once() -> None:
    with pytest.raises(NotInRepository) as caught:
        closure("cuda-cccl-13-3", "cuda-ncvv-13-3", "cuda-nvcc-13-3")
    assert "the repository has no cuda-cccl-13-3; it has cccl-13-3" in caught.value.context()
    assert re.search("the repository has no cuda-ncvv-13-3; it has .*cuda-nvcc-13-3", caught.value.context())


def test_a_package_for_another_architecture_is_said_to_be_that() -> None:
    with pytest.raises(NotInRepository) as caught:
        closure("cuda-nvcc-13-0", arch="aarch64")
    assert str(caught.value) == "the repository has cuda-nvcc-13-0 for x86_64, but the target is aarch64"


def test_an_aarch64_closure_takes_its_own_and_noarch_packages() -> None:
    arm = tuple(Rpm(**{**vars(rpm), "arch": "aarch64"}) for rpm in toolkit("13.0") if rpm.arch == "x86_64")
    chosen = solve([rpm.package() for rpm in (*EVERYTHING, *arm)], ["cuda-cudart-13-0"], "aarch64")
    assert {package.arch for package in chosen} == {"aarch64", "noarch"}


def test_near_names_put_the_same_component_first() -> None:
    names = ["cuda-nvtx-13-0", "libnvvm-12-9", "libnvvm-13-0", "cuda-nvml-devel-13-0"]
    assert near_names("cuda-nvvm-13-0", names)[:2] == ("libnvvm-13-0", "libnvvm-12-9")
    assert near_names("zlib", names) == ()
