"""What each CUDA release allows and is made of."""

from __future__ import annotations

import pytest

from mirror.core.cuda import releases as cudarelease
from mirror.core.cuda.releases import PARTS, VERSIONS, known_patches, version_tuple


def test_every_patch_release_has_each_component_once() -> None:
    assert all(tuple(versions) == PARTS for versions in VERSIONS.values())
    assert list(VERSIONS) == sorted(VERSIONS, key=version_tuple)


@pytest.mark.parametrize("part", PARTS)
def test_a_component_never_goes_back_within_a_release(part: str) -> None:
    for release in {patch.rpartition(".")[0] for patch in VERSIONS}:
        versions = [version_tuple(VERSIONS[patch][part]) for patch in known_patches(release)]
        assert versions == sorted(versions)


def test_a_library_s_own_number_is_not_the_release_s() -> None:
    of_12_5 = {patch for patch, parts in VERSIONS.items() if parts["cusparse"].startswith("12.5.")}
    assert {patch.rpartition(".")[0] for patch in of_12_5} == {"12.5", "12.6", "12.8", "12.9"}


def test_the_patch_releases_of_a_release_are_known_oldest_first() -> None:
    assert known_patches("12.9") == ("12.9.0", "12.9.1", "12.9.2")
    assert known_patches("12.7") == ()


@pytest.mark.parametrize(
    ("release", "gcc", "floor", "native"),
    [
        ("12.4", 13, "525.60.13", "550.54.14"),
        ("12.6", 13, "525.60.13", "560.28.03"),
        ("12.9", 14, "525.60.13", "575.51.03"),
        ("13.2", 15, "580", ""),
        ("13.4", 16, "580", ""),
        ("11.8", None, "450.80.02", ""),
        ("10.0", None, "", ""),
    ],
)
def test_a_release_has_its_compiler_and_drivers(release: str, gcc: int | None, floor: str, native: str) -> None:
    assert cudarelease.gcc_ceiling(release) == gcc
    assert cudarelease.driver_floor(release) == floor
    assert cudarelease.native_driver(release) == native


@pytest.mark.parametrize(
    ("driver", "release"), [("580.95.05", "13.0"), ("570.124.06", "12.8"), ("550.54.14", "12.4"), ("470.1", "")]
)
def test_a_driver_has_its_newest_release(driver: str, release: str) -> None:
    assert cudarelease.newest_release(driver) == release
