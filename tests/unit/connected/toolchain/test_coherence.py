"""Patch levels: which versions can have been one toolkit, by the table and by nothing else."""

from __future__ import annotations

import pytest

from mirror.connected.toolchain.coherence import at_moment, disagreements, moments, origin
from mirror.core.cuda.releases import VERSIONS, known_patches
from tests.support.repos import Rpm, toolkit

RELEASES = ("12.4", "12.5", "12.6", "12.8", "12.9", "13.0", "13.1", "13.2", "13.3", "13.4")


def judged(release: str, **versions: str) -> tuple[str, ...]:
    """What is wrong with packages of these versions; ``libcublas_devel="1"`` stands for ``libcublas-devel-X-Y`` 1."""
    end = release.replace(".", "-")
    return disagreements(
        [Rpm(f"{name.replace('_', '-')}-{end}", version).package() for name, version in versions.items()], release
    )


@pytest.mark.parametrize("patch", VERSIONS)
def test_every_patch_release_is_coherent(patch: str) -> None:
    release = patch.rpartition(".")[0]
    assert disagreements([rpm.package() for rpm in toolkit(release, patch)], release) == ()


@pytest.mark.parametrize("release", RELEASES)
def test_the_compiler_of_one_patch_release_with_the_rest_of_another_is_not(release: str) -> None:
    oldest, newest = known_patches(release)[0], known_patches(release)[-1]
    mixed = [
        rpm.package() for rpm in toolkit(release, newest) if not rpm.name.startswith(("cuda-nvcc", "cuda-crt"))
    ] + [rpm.package() for rpm in toolkit(release, oldest) if rpm.name.startswith(("cuda-nvcc", "cuda-crt"))]
    assert disagreements(mixed, release)


def test_what_was_seen_in_the_wild_is_named_with_both_sides() -> None:
    assert judged("12.8", cuda_cudart="12.8.90", cuda_cudart_devel="12.8.57") == (
        "cuda-cudart-12-8 is 12.8.90 (CUDA 12.8.1, 12.8.2) beside cuda-cudart-devel-12-8 12.8.57 (CUDA 12.8.0): "
        "the two must be of one version",
    )


@pytest.mark.parametrize(("name", "release"), [("cuda_nvvm", "12.8"), ("libnvvm", "13.0"), ("cuda_crt", "13.0")])
def test_the_compiler_and_its_passes_are_of_one_version(name: str, release: str) -> None:
    assert judged(release, cuda_nvcc=f"{release}.88", **{name: f"{release}.88"}) == ()
    (sentence,) = judged(release, cuda_nvcc=f"{release}.88", **{name: f"{release}.48"})
    assert "must be of one version" in sentence


def test_components_of_two_patch_releases_are_named_with_the_version_that_is_needed() -> None:
    issues = judged("12.8", cuda_nvcc="12.8.61", cuda_cudart="12.8.90", libcublas="12.8.5.5", libcurand="10.3.9.90")
    assert issues == (
        "cuda-nvcc-12-8 is 12.8.61 (CUDA 12.8.0); CUDA 12.8.2, which fits most of the others, has 12.8.93",
    )


def test_a_library_is_never_judged_by_its_own_number() -> None:
    assert judged("12.6", cuda_nvcc="12.6.85", libcusparse="12.5.4.2", libcurand="10.3.7.77") == ()
    assert judged("13.0", cuda_nvcc="13.0.88", libcusparse="12.6.3.3", libcublas="13.1.0.3") == ()
    (sentence,) = judged("12.8", cuda_nvcc="12.8.93", cuda_cudart="12.8.90", libcusparse="12.5.4.2")
    assert "libcusparse-12-8 is 12.5.4.2 (CUDA 12.6.2, 12.6.3)" in sentence


@pytest.mark.parametrize(
    "versions",
    [
        {"cuda_nvcc": "12.8.93", "cuda_cudart": "12.8.90", "libcublas": "12.8.6.1"},  # re-spun, or 12.8.3
        {"cuda_nvcc": "12.8.99", "cuda_cudart": "12.8.99", "libcublas": "12.8.7.1"},
        {"cuda_nvcc": "12.8.99", "cuda_cudart": "12.8.90", "libcublas": "12.8.5.5"},
    ],
)
def test_what_is_newer_than_the_table_is_not_refused_for_it(versions: dict[str, str]) -> None:
    assert judged("12.8", **versions) == ()


def test_what_is_newer_than_the_table_does_not_go_with_what_was_replaced_before() -> None:
    (sentence,) = judged("12.8", cuda_nvcc="12.8.61", cuda_cudart="12.8.90", libcublas="12.8.6.1")
    assert sentence.startswith("cuda-nvcc-12-8 is 12.8.61 (CUDA 12.8.0); CUDA 12.8.2")
    (sentence,) = judged("12.8", cuda_nvcc="12.8.93", cuda_cudart="12.8.90", libcublas="12.8.1.1")
    assert "libcublas-12-8 is 12.8.1.1 (of no patch release that is known)" in sentence


def test_a_release_whose_first_patch_is_unknown_has_a_time_before_the_table() -> None:
    assert known_patches("13.4")[0] == "13.4.1"
    assert judged("13.4", cuda_nvcc="13.4.40", cuda_cudart="13.4.40", libcublas="13.7.0.5") == ()
    assert judged("13.4", cuda_nvcc="13.4.40", cuda_cudart="13.4.49") == ()
    assert judged("13.4", cuda_nvcc="13.4.40", cuda_cudart="13.4.92")


def test_an_unknown_release_is_judged_by_pairs_alone() -> None:
    assert judged("19.7", cuda_nvcc="19.7.1", cuda_cudart="19.7.2", libcublas="19.8.1") == ()
    assert judged("19.7", libcublas="19.8.1", libcublas_devel="19.8.2")
    assert [moment.label for moment in moments("19.7")] == [""]


def test_packages_of_no_single_release_are_not_judged() -> None:
    common = Rpm("cuda-toolkit-config-common", "11.0").package()
    assert disagreements([common, Rpm("cuda-nvcc-12-8", "12.8.93").package()], "12.8") == ()
    assert at_moment([common], "12.8", moments("12.8")[0]) == [common]


def test_the_moments_of_a_release_come_newest_first() -> None:
    assert [moment.label for moment in moments("12.4")] == [
        "after CUDA 12.4.1",
        "CUDA 12.4.1",
        "after CUDA 12.4.0",
        "CUDA 12.4.0",
        "before CUDA 12.4.0",
    ]


@pytest.mark.parametrize("patch", ["12.8.0", "12.8.1", "12.8.2"])
def test_at_a_patch_release_its_own_versions_are_there(patch: str) -> None:
    packages = [rpm.package() for one in known_patches("12.8") for rpm in toolkit("12.8", one)]
    (moment,) = [moment for moment in moments("12.8") if moment.label == f"CUDA {patch}"]
    kept = {package.name: package.version for package in at_moment(packages, "12.8", moment)}
    assert kept["cuda-nvcc-12-8"] == kept["cuda-nvvm-12-8"] == VERSIONS[patch]["nvcc"]
    assert kept["libcublas-devel-12-8"] == VERSIONS[patch]["cublas"]


def test_the_origin_of_a_version_is_told() -> None:
    assert origin(Rpm("libcusparse-devel-12-8", "12.5.8.93").package()) == "CUDA 12.8.1, 12.8.2"
    assert origin(Rpm("cuda-nvtx-12-8", "12.8.90").package()) == "of no patch release that is known"
