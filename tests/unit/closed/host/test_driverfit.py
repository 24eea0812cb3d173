from __future__ import annotations

import pytest

from mirror.closed.host.driverfit import driver_note


@pytest.mark.group(65)
def test_a_driver_below_the_floor_is_told_in_capitals_with_both_numbers() -> None:
    assert driver_note("13.0", "535.104.05") == (
        "DRIVER TOO OLD: CUDA 13.0 needs driver 580 or newer (CUDA 13.0 was shipped with 580.65.06), this host has "
        "535.104.05: NOTHING OF THIS BUNDLE CAN USE THE GPU HERE until the administrator installs driver 580.65.06 or newer; "
        "or ask for a bundle made for CUDA 12"
    )


def test_one_that_no_release_in_use_takes_has_no_other_bundle() -> None:
    assert driver_note("12.4", "418.39").endswith("installs driver 550.54.14 or newer")
    assert driver_note("12.4", "470.82.01").endswith("; or ask for a bundle made for CUDA 11")


def test_between_the_floor_and_the_releases_own_driver_ptx_does_not_load() -> None:
    assert driver_note("12.8", "535.183.06") == (
        "CUDA 12.8 was shipped with driver 570.26, this host has 535.183.06: new enough (at least 525.60.13) for kernels "
        "compiled for this GPU, but PTX of this release cannot be loaded"
    )


@pytest.mark.parametrize(
    ("release", "driver"),
    [("13.0", "580.65.06"), ("12.8", "570.26"), ("12.8", "610.1"), ("13.0", ""), ("", "535.104.05"), ("99.0", "535.1")],
)
def test_otherwise_there_is_nothing_to_say(release: str, driver: str) -> None:
    assert driver_note(release, driver) == ""
