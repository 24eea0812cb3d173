"""Every set in every release, out of one repository that holds them all; what is missing or does not fit is named."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pytest

from mirror.connected.fetching.transport import get_bytes, new_session
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.connected.toolchain.closure import MixedReleases, NotInRepository, Unsolvable, solve
from mirror.connected.toolchain.coherence import disagreements
from mirror.connected.toolchain.repository import open_repository
from mirror.connected.toolchain.rpmpackage import RpmPackage, toolkit_release
from mirror.connected.toolchain.selection import MissingComponents, MixedPatchLevels, Selection, select
from mirror.core.cuda.components import SETS, component, package_name
from mirror.core.cuda.releases import VERSIONS, known_patches
from tests.support.repos import DRIVER, Rpm, Vendor, toolkit, write_repository

RELEASES = ("12.4", "12.5", "12.6", "12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[RpmPackage, ...]:
    """One signed repository of every patch release of every release, the driver and its Obsoletes, read as NVIDIA's is."""
    directory, vendor = tmp_path_factory.mktemp("rhel9"), Vendor()
    listed = {rpm.filename: rpm for patch in VERSIONS for rpm in toolkit(patch.rpartition(".")[0], patch)}
    assert any(rpm.obsoletes == tuple(f"cuda-cccl-12-{n}" for n in range(10)) for rpm in listed.values())
    write_repository(directory, [*listed.values(), *DRIVER], vendor, files=False)
    with new_session() as session:
        return open_repository(str(directory), [vendor.fingerprint], partial(get_bytes, session)).packages


def wishes(release: str, *components: str, packages: tuple[str, ...] = ()) -> RpmWishes:
    found = [component(name, release) for name in components]
    return RpmWishes(
        "https://example.org/",
        ("AB" * 20,),
        (*(name for one in found for name in one.roots), *packages),
        tuple(name for one in found for name in one.needed),
        tuple(name for one in found for name in one.extras),
    )


def among(rpms: list[Rpm] | tuple[Rpm, ...], release: str, *components: str) -> Selection:
    return select([rpm.package() for rpm in rpms], wishes(release, *components), "x86_64", release)


def versions(selection: Selection) -> dict[str, str]:
    return {package.name: package.version for package in selection.packages}


def without(rpms: tuple[Rpm, ...], *names: str) -> tuple[Rpm, ...]:
    return tuple(rpm for rpm in rpms if rpm.name not in names)


def swapped(rpms: tuple[Rpm, ...], others: tuple[Rpm, ...], *names: str) -> tuple[Rpm, ...]:
    """The one toolkit with some packages of the other in place of its own."""
    return (*without(rpms, *names), *(rpm for rpm in others if rpm.name in names))


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SETS)
def test_every_set_solves_in_every_release(everything: tuple[RpmPackage, ...], name: str, release: str) -> None:
    selected = select(everything, wishes(release, name), "x86_64", release)
    names = set(versions(selected))
    assert set(component(name, release).needed) <= names
    assert set(component(name, release).extras) <= names
    assert {toolkit_release(name) for name in names} == {"", release}
    assert not {rpm.name for rpm in DRIVER} & names
    assert not any(package.is_metapackage for package in selected.packages)
    assert versions(selected)[package_name("nvcc", release)] == VERSIONS[known_patches(release)[-1]]["nvcc"]
    assert disagreements(selected.packages, release) == ()
    assert selected.notes == ()


def test_a_later_release_that_obsoletes_an_older_one_takes_nothing_from_it(everything: tuple[RpmPackage, ...]) -> None:
    names = versions(select(everything, wishes("12.9", "nvcc"), "x86_64", "12.9"))
    assert "cuda-cccl-12-9" in names
    assert "cccl-13-3" not in names


NEEDED = [(release, role) for release in ("12.8", "13.0", "13.3") for role in SETS["flashinfer-jit"]]


@pytest.mark.parametrize(("release", "role"), [one for one in NEEDED if package_name(one[1], one[0])])
def test_each_component_that_is_missing_is_named(release: str, role: str) -> None:
    name = package_name(role, release)
    with pytest.raises(MissingComponents) as caught:
        among(without(toolkit(release), name), release, "flashinfer-jit")
    assert caught.value.missing == (name,)
    assert re.match(
        rf"the closure lacks {name}(, which brings [^:]+)?: the repository has no {name}$", str(caught.value)
    )


def test_a_missing_component_is_named_with_what_it_would_bring() -> None:
    with pytest.raises(MissingComponents) as caught:
        among(without(toolkit("13.0"), "cuda-cccl-13-0"), "13.0", "nvcc")
    assert str(caught.value) == (
        "the closure lacks cuda-cccl-13-0, which brings nv/target, cub/, thrust/: the repository has no cuda-cccl-13-0"
    )
    with pytest.raises(MissingComponents) as caught:
        among(without(toolkit("12.8"), "cuda-driver-devel-12-8", "cuda-nvvm-12-8"), "12.8", "flashinfer-jit")
    assert str(caught.value).endswith("the repository has no cuda-nvvm-12-8 (and cuda-driver-devel-12-8)")
    assert "cuda-driver-devel-12-8, which brings lib/stubs/libcuda.so" in caught.value.context()
    assert str(caught.value).partition(" (and")[0] not in caught.value.context()  # once is enough


def test_a_component_for_another_architecture_is_said_to_be_that() -> None:
    arm = tuple(replace(rpm, arch="aarch64") if rpm.name == "cuda-crt-13-0" else rpm for rpm in toolkit("13.0"))
    with pytest.raises(MissingComponents, match="has cuda-crt-13-0 for aarch64, but the target is x86_64"):
        among(arm, "13.0", "nvcc")


def test_what_nothing_requires_comes_all_the_same() -> None:
    """An RPM whose Requires forget CCCL brings it nevertheless: the set is known to need it."""
    forgetful = tuple(replace(rpm, requires=()) for rpm in toolkit("12.4"))
    assert set(versions(among(forgetful, "12.4", "vllm-source"))) >= set(component("vllm-source", "12.4").needed)


def test_an_extra_that_the_repository_lacks_is_told_and_done_without() -> None:
    selected = among(without(toolkit("13.0"), "cuda-cuobjdump-13-0"), "13.0", "flashinfer-jit")
    assert selected.notes == ("goes without cuda-cuobjdump-13-0, which the repository lacks",)
    with pytest.raises(MissingComponents, match="cuda-cuobjdump-13-0, which brings bin/cuobjdump"):
        among(without(toolkit("13.0"), "cuda-cuobjdump-13-0"), "13.0", "cuobjdump")


def test_a_named_package_that_is_not_there_is_no_component() -> None:
    packages = [rpm.package() for rpm in toolkit("13.0")]
    with pytest.raises(NotInRepository):
        select(packages, wishes("13.0", "nvcc", packages=("cuda-gdb-13-0",)), "x86_64", "13.0")
    with pytest.raises(MixedReleases):
        select(packages, wishes("13.0", "nvcc", packages=("cuda-gdb-12-8",)), "x86_64", "13.0")


OLD, NEW = toolkit("12.8", "12.8.0"), toolkit("12.8", "12.8.2")


def test_the_newest_patch_release_is_taken_where_all_are_there() -> None:
    selected = among((*OLD, *NEW, *toolkit("12.8", "12.8.1")), "12.8", "flashinfer-jit")
    assert versions(selected)["libcublas-12-8"] == "12.8.5.5"
    assert selected.notes == ()


def test_an_older_patch_release_is_taken_where_the_newest_is_not_whole() -> None:
    """Seen in the wild: cudart 12.8.90 beside cudart-devel 12.8.57."""
    selected = among((*OLD, *without(NEW, "cuda-cudart-devel-12-8")), "12.8", "flashinfer-jit")
    found = versions(selected)
    assert (found["cuda-cudart-12-8"], found["cuda-cudart-devel-12-8"]) == ("12.8.57", "12.8.57")
    assert (found["cuda-nvcc-12-8"], found["libcublas-devel-12-8"]) == ("12.8.61", "12.8.3.14")
    (note,) = selected.notes
    assert (
        "cuda-cudart-12-8 is 12.8.90 (CUDA 12.8.1, 12.8.2) beside cuda-cudart-devel-12-8 12.8.57 (CUDA 12.8.0)" in note
    )
    assert "; CUDA 12.8.0: cuda-cccl-12-8 12.8.55 (newest: 12.8.90), " in note


def test_only_what_must_be_older_is() -> None:
    """The library of 12.8.2 came without its headers; all else of 12.8.2 is that of 12.8.1."""
    rpms = (*toolkit("12.8", "12.8.1"), *(rpm for rpm in NEW if rpm.name == "libcublas-12-8"))
    selected = among(rpms, "12.8", "flashinfer-jit")
    assert versions(selected) == versions(among(toolkit("12.8", "12.8.1"), "12.8", "flashinfer-jit"))
    assert selected.notes[0].endswith("CUDA 12.8.1: libcublas-12-8 12.8.4.1 (newest: 12.8.5.5)")


def test_patch_levels_that_do_not_fit_are_refused_with_both_sides() -> None:
    with pytest.raises(MixedPatchLevels) as caught:
        among(
            (*without(NEW, "cuda-cudart-devel-12-8"), *(r for r in OLD if r.name == "cuda-cudart-devel-12-8")),
            "12.8",
            "nvcc",
        )
    assert str(caught.value) == (
        "the RPMs of CUDA 12.8 are not of one patch release: cuda-cudart-12-8 is 12.8.90 (CUDA 12.8.1, 12.8.2) beside "
        "cuda-cudart-devel-12-8 12.8.57 (CUDA 12.8.0): the two must be of one version"
    )
    compiler = swapped(NEW, OLD, "cuda-nvcc-12-8", "cuda-crt-12-8", "cuda-nvvm-12-8")
    with pytest.raises(
        MixedPatchLevels, match=r"cuda-crt-12-8 is 12\.8\.61 \(CUDA 12\.8\.0\); CUDA 12\.8\.2.* has 12\.8\.93"
    ):
        among(compiler, "12.8", "nvcc")


def test_a_patch_release_newer_than_the_table_is_taken() -> None:
    later = tuple(replace(rpm, version="12.8.6.7") if rpm.name.startswith("libcublas") else rpm for rpm in NEW)
    selected = among((*NEW, *later), "12.8", "vllm-source")
    assert versions(selected)["libcublas-devel-12-8"] == "12.8.6.7"
    assert selected.notes == ()


def test_a_release_newer_than_the_table_is_judged_by_its_pairs() -> None:
    def renamed(rpm: Rpm) -> Rpm:
        requires = tuple(text.replace("13-4", "13-9") for text in rpm.requires)
        return replace(rpm, name=rpm.name.replace("13-4", "13-9"), requires=requires)

    unknown = tuple(renamed(rpm) for rpm in toolkit("13.4"))
    assert among(unknown, "13.9", "flashinfer-jit").notes == (
        "the patch releases of CUDA 13.9 are not known here: only pairs such as X and X-devel were compared",
    )
    older = tuple(replace(rpm, version="13.4.1", requires=()) for rpm in unknown if rpm.name.startswith("cuda-nvrtc"))
    pruned = (*without(unknown, "cuda-nvrtc-devel-13-9"), *older)
    selected = among(pruned, "13.9", "flashinfer-jit")
    assert {versions(selected)[name] for name in ("cuda-nvrtc-13-9", "cuda-nvrtc-devel-13-9")} == {"13.4.1"}
    assert "cuda-nvrtc-13-9 13.4.1 (newest: 13.4.92)" in selected.notes[0]


def test_a_selection_can_be_solved_again_from_itself(everything: tuple[RpmPackage, ...]) -> None:
    """What a bundle's own RPMs make as a repository is closed."""
    selected = select(everything, wishes("13.0", "vllm-source"), "x86_64", "13.0")
    assert solve(selected.packages, component("vllm-source", "13.0").needed, "x86_64", "13.0")
    with pytest.raises(Unsolvable):
        solve([p for p in selected.packages if p.name != "libnvvm-13-0"], ["cuda-nvcc-13-0"], "x86_64", "13.0")
