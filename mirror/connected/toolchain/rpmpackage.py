"""One RPM as a repository or a lock describes it, without its bytes.

``mirror.connected.toolchain.repository`` reads repositories, ``mirror.connected.toolchain.closure`` chooses among packages;
``mirror.core.toolkit.rpm`` reads the RPM file itself.

Rules: a location stays below its repository (SECURITY.md 45); Obsoletes, Conflicts and weak dependencies are left out on
purpose. They govern what one system-wide installation may hold, and a newer release's Obsoletes would hide the release that
is wanted: ``cccl-13-3`` obsoletes ``cuda-cccl-12-9`` (CUDA.md A3).

Example::

    >>> toolkit_release("libcublas-devel-13-0")
    '13.0'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from urllib.parse import quote

from mirror.core.fields import by
from mirror.core.names import Sha256Hex

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,199}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^]{0,99}", re.ASCII)
_LOCATION = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._+~^-]*/)*[A-Za-z0-9_][A-Za-z0-9._+~^-]*", re.ASCII)
_RELEASE = re.compile(r"-(\d{2})-(\d{1,2})(?:-config-common)?$", re.ASCII)


def rpm_name(text: str) -> str:
    """Check a package's name. Raises ValueError for characters that RPM does not allow in one."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"expected an RPM name such as 'cuda-nvcc-13-0', got {text!r}")
    return text


def rpm_version(text: str) -> str:
    """Check a version or a release. RPM allows no dash in either, so that file names can be taken apart.

    Raises:
        ValueError: otherwise.
    """
    if not _VERSION.fullmatch(text):
        raise ValueError(f"expected a version or release such as '13.0.88', got {text!r}")
    return text


def rpm_location(text: str) -> str:
    """Check a path relative to a repository: plain segments, none of them hidden, none of them ``..``, no host.

    Raises:
        ValueError: otherwise.
    """
    if not _LOCATION.fullmatch(text) or len(text) > 400:
        raise ValueError(f"expected a path below the repository, got {text!r}")
    return text


def location_url(base: str, location: str) -> str:
    """The URL of a checked location; ``base`` ends with a slash."""
    return base + quote(location, safe="/+~")


def toolkit_release(name: str) -> str:
    """The CUDA release that a package's name ends with, ``"13.0"``; empty for names that belong to no single release."""
    found = _RELEASE.search(name)
    return f"{found[1]}.{found[2]}" if found else ""


@dataclass(frozen=True)
class Capability:
    """What a package requires or provides.

    Attributes:
        name: a package's name, a soname such as ``libcuda.so.1()(64bit)``, a path, or ``rpmlib(...)``.
        comparison: ``"="``, ``"<"``, ``"<="``, ``">"``, ``">="``; empty when any version does.
        evr: ``[epoch:]version[-release]``; empty when any version does.
    """

    name: str
    comparison: str = ""
    evr: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.evr}" if self.comparison else self.name


class ToolchainPin:
    """One package of the CUDA toolchain: what it is called, where it lies, and which bytes it must have.

    Attributes:
        nevra: an RPM's; empty of anything else.
        location: path below its source, checked.
        size: bytes of its file.
        sha256: of its file, from what is signed or pinned, or from a lock.
        installed_size: bytes of the files in it; 0 when only the file itself can tell.
    """

    name: str
    version: str
    location: str
    size: int
    sha256: Sha256Hex
    installed_size: int

    @property
    def shown_version(self) -> str:
        """As people read it."""
        return self.version

    @property
    def nevra(self) -> str:
        return ""

    @property
    def filename(self) -> str:
        return self.location.rpartition("/")[2]


@dataclass(frozen=True)
class RpmPin(ToolchainPin):
    """One RPM file; ``arch`` is as RPM spells it: ``"x86_64"``, ``"aarch64"``, ``"noarch"``, ``"src"``."""

    name: str = field(metadata=by(rpm_name))
    epoch: int
    version: str = field(metadata=by(rpm_version))
    release: str = field(metadata=by(rpm_version))
    arch: str = field(metadata=by(rpm_name))
    location: str = field(metadata=by(rpm_location))
    size: int
    sha256: Sha256Hex
    installed_size: int

    @property
    def evr(self) -> str:
        """``[epoch:]version-release``; an epoch of 0 is not written."""
        return f"{self.epoch}:{self.version}-{self.release}" if self.epoch else f"{self.version}-{self.release}"

    @property
    def shown_version(self) -> str:
        return f"{self.version}-{self.release}"

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"

    @property
    def is_metapackage(self) -> bool:
        """Whether it carries no bytes and only pulls others in, as ``cuda-toolkit-13-0`` does (CUDA.md A2)."""
        return self.installed_size == 0


@dataclass(frozen=True)
class RpmPackage(RpmPin):
    """An RPM that a repository offers, with what the solver has to know of it."""

    requires: tuple[Capability, ...] = ()
    provides: tuple[Capability, ...] = ()

    def pin(self) -> RpmPin:
        """The part of it that a lock holds."""
        return RpmPin(**{one.name: getattr(self, one.name) for one in fields(RpmPin)})
