"""Whether a target and a host go together: the same rules before a bundle is made, and before it is installed.

The host is known by its own words (``mirror.core.targets.detected``), on the connected side; or it is this one, on the closed
side, whose facts ``mirror.closed.preflight`` puts into the same form.

Rules: every mismatch names both sides; what is not known is no mismatch; a driver, and GPUs of another kind, are no reason to
refuse an installation, for the administrator may replace one and other hosts of the same file system may have the other: there
they are told.

Example::

    [str(one) for one in mismatches(target, Detected.load(path), "target.toml")]
    # ['the bundle is for glibc 2.34 or newer, target.toml has 2.28']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mirror.core.binaries.fatbin import Image
from mirror.core.cuda.releases import driver_floor, gcc_ceiling, version_tuple
from mirror.core.names import dotted_numbers
from mirror.core.target import Target
from mirror.core.targets.detected import Detected


@dataclass(frozen=True)
class Mismatch:
    """Something that does not go together.

    Attributes:
        fact: which one, ``"glibc"``.
        words: a sentence that names both sides.
        forbids: nothing of the bundle could be installed there, or started.
    """

    fact: str
    words: str
    forbids: bool = True

    def __str__(self) -> str:
        return self.words


def mismatches(
    target: Target, host: Detected, who: str = "this host", carries_python: bool = True
) -> tuple[Mismatch, ...]:
    """Hold a host against a target.

    Args:
        who: what the host is called in a sentence.
        carries_python: whether a bundle for the target brings its own Python.
    """
    return tuple(_all(target, host, who, carries_python))


def _all(target: Target, host: Detected, who: str, carries_python: bool) -> Iterator[Mismatch]:
    if host.arch != target.arch:
        yield Mismatch("arch", f"the bundle is for {target.arch}, {who} is {host.arch}")
    if host.glibc == "":
        yield Mismatch("glibc", f"the bundle is for glibc {target.glibc} or newer, {who} has another C library")
    elif host.glibc is not None and dotted_numbers(host.glibc)[:2] < target.glibc_pair:
        yield Mismatch("glibc", f"the bundle is for glibc {target.glibc} or newer, {who} has {host.glibc}")
    if target.cpu and host.cpu is not None and target.cpu not in host.cpu and host.arch == target.arch:
        has = ", ".join(host.cpu) or "none that mirror knows"
        yield Mismatch("cpu", f"the bundle is for processors with {target.cpu}, {who} has {has}")
    if not carries_python and host.pythons is not None and target.python not in {one.minor for one in host.pythons}:
        found = ", ".join(one.version for one in host.pythons) or "none"
        yield Mismatch("python", f"the bundle is for Python {target.python} and carries none, {who} has {found}")
    if gpu := _gpu(target, host, who):
        yield gpu
    floor = driver_floor(target.cuda) if target.cuda else ""
    if floor and host.driver and version_tuple(host.driver) < version_tuple(floor):
        words = f"CUDA {target.cuda} needs driver {floor} or newer, {who} has {host.driver}"
        yield Mismatch("driver", words, forbids=False)
    prefix = next((disk for disk in host.disks if disk.use == "install"), None)
    if prefix and prefix.noexec:
        yield Mismatch("noexec", f"{who} mounts {prefix.path} noexec: no program installed there could be started")


def _gpu(target: Target, host: Detected, who: str) -> Mismatch | None:
    """Whether none of the host's GPUs can run what is compiled for the target's."""
    known = [one for one in host.gpus or () if one.capability]
    if not target.gpu or not known or len(known) != len(host.gpus or ()):
        return None
    code = Image(target.gpu)
    if any(code.serves(f"sm_{one.capability.replace('.', '')}") for one in known):
        return None
    has = ", ".join(f"{one.model} ({one.capability})" for one in known)
    return Mismatch("gpu", f"the bundle is for GPUs of {target.gpu}, {who} has {has}", forbids=False)


def remarks(target: Target, host: Detected, who: str) -> tuple[str, ...]:
    """What might disturb, and what could not be judged because it is not known; one sentence each."""
    found = []
    ceiling = gcc_ceiling(target.cuda) if target.cuda else None
    if ceiling and host.gcc and version_tuple(host.gcc)[0] > ceiling:
        found.append(f"nvcc of CUDA {target.cuda} takes gcc {ceiling} and older, {who} has {host.gcc}")
    if target.gpu and host.gpus == ():
        found.append(f"{who} has no GPU: what is for {target.gpu} does not run there")
    bare = [one.path for one in host.pythons or () if one.minor == target.python and not one.headers]
    if target.gpu and bare:
        found.append(f"{bare[0]} of {who} comes without Python.h: Triton and torch cannot compile at run time with it")
    judged = ("glibc", "cpu" * bool(target.cpu), "pythons", "gpus" * bool(target.gpu), "driver" * bool(target.cuda))
    found += [f"{who} does not know its {fact}: {host.unknown[fact]}" for fact in judged if fact in host.unknown]
    return tuple(found)
