"""One of NVIDIA's component archives as its list or a lock describes it, without its bytes.

``mirror.connected.toolchain.redistmanifest`` reads the list, ``mirror.core.toolkit.redist`` the archive itself.

Rule: a location stays below the list's directory (SECURITY.md 45).

Example::

    pin.name, pin.filename      # "cuda_nvcc", "cuda_nvcc-linux-x86_64-12.6.85-archive.tar.xz"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mirror.connected.toolchain.rpmpackage import ToolchainPin, rpm_location, rpm_name, rpm_version
from mirror.core.fields import by
from mirror.core.names import Sha256Hex


def archive_location(text: str) -> str:
    """Check a path relative to the list's directory.

    Raises:
        ValueError: for one that leaves it, and for what is no ``.tar.xz``.
    """
    if not text.endswith(".tar.xz"):
        raise ValueError(f"expected the path of a .tar.xz, got {text!r}")
    return rpm_location(text)


@dataclass(frozen=True)
class RedistPin(ToolchainPin):
    """One archive, by its component's key (``"cuda_nvcc"``) and version; ``platform`` is ``"linux-x86_64"`` or the like."""

    installed_size: ClassVar[int] = 0  # type: ignore[misc]  # no word of the list's: unknown until it is read

    name: str = field(metadata=by(rpm_name))
    version: str = field(metadata=by(rpm_version))
    platform: str = field(metadata=by(rpm_name))
    location: str = field(metadata=by(archive_location))
    size: int
    sha256: Sha256Hex
