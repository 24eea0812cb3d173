"""The GPU driver of this host against the CUDA release of a bundle, in one sentence.

``mirror.core.cuda.releases`` knows what each release asks of a driver; ``mirror.closed.host.machine`` reads the host's.

Rule: a driver is never a reason to refuse a bundle, for the administrator may replace it later; it is said so that nobody can
overlook it.

Example::

    driver_note("13.0", "535.104.05")   # 'DRIVER TOO OLD: CUDA 13.0 needs driver 580 or newer ...'
"""

from __future__ import annotations

from mirror.core.cuda.releases import driver_floor, native_driver, version_tuple


def driver_note(release: str, driver: str) -> str:
    """What is to be known of a driver; empty when there is nothing, or when either is not known.

    Args:
        release: of CUDA, ``"12.8"``; empty when the bundle is for none.
        driver: its version; empty when there is none.
    """
    if not release or not driver:
        return ""
    found, floor, native = version_tuple(driver), driver_floor(release), native_driver(release)
    shipped = f" (CUDA {release} was shipped with {native})" if native else ""
    if floor and found < version_tuple(floor):
        return (
            f"DRIVER TOO OLD: CUDA {release} needs driver {floor} or newer{shipped}, this host has {driver}: NOTHING OF THIS "
            f"BUNDLE CAN USE THE GPU HERE until the administrator installs driver {native or floor} or newer"
            f"{_other_release(driver)}"
        )
    if native and found < version_tuple(native):
        return (
            f"CUDA {release} was shipped with driver {native}, this host has {driver}: new enough (at least {floor}) for "
            "kernels compiled for this GPU, but PTX of this release cannot be loaded"
        )
    return ""


def _other_release(driver: str) -> str:
    fitting = [major for major in ("12", "11") if version_tuple(driver_floor(f"{major}.0")) <= version_tuple(driver)]
    return f"; or ask for a bundle made for CUDA {fitting[0]}" if fitting else ""
