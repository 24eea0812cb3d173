"""The machine that a bundle is installed on: its architecture, C library, compiler, GPU driver and disks.

Facts only, read without running anything and without network. ``mirror.closed.preflight`` judges whether they fit a bundle.
``mirror.closed.venv.interpreter`` finds the Python interpreters.

Rule: a fact that cannot be read is None or empty, never an exception; the one who needs it decides.

Example::

    host = read_host()
    host.arch, host.glibc        # 'x86_64', (2, 34)
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.gpus import describe_gpus
from mirror.core.cpus import read_flags
from mirror.core.system.durable import text_of


@dataclass(frozen=True)
class Host:
    """What matters about this machine.

    Attributes:
        arch: as ``uname -m`` prints it.
        glibc: its version, or None when the C library is another one (musl).
        driver: version of the NVIDIA kernel driver, ``"580.65.06"``; empty when none is loaded.
        gpus: how many NVIDIA devices this user could open.
        gpu_models: what the driver calls each GPU that it shows, in order of their bus addresses.
        cpu_flags: what the processors list of their abilities; None when that cannot be read.
        compiler: the host's C++ compiler, which nvcc needs; None when there is none on the PATH.
        has_loopback: whether a program can reach another one on 127.0.0.1.
        is_root: whether we run as root.
    """

    arch: str
    glibc: tuple[int, int] | None
    driver: str = ""
    gpus: int = 0
    compiler: Path | None = None
    has_loopback: bool = True
    is_root: bool = False
    gpu_models: tuple[str, ...] = ()
    cpu_flags: frozenset[str] | None = None

    @property
    def kinds_of_gpu(self) -> tuple[str, ...]:
        """The models that are known, each once, in order of name."""
        return tuple(sorted(set(filter(None, self.gpu_models))))


@dataclass(frozen=True)
class Disk:
    """The file system that a path is on, or would be on once its directories exist.

    Attributes:
        free_bytes: what this user may still write.
        is_noexec: mounted so that no program on it can be started.
    """

    free_bytes: int
    is_noexec: bool


def read_host(proc: Path = Path("/proc"), dev: Path = Path("/dev")) -> Host:
    """Look at this machine.

    Args:
        dev: where the devices are.
    """
    compiler = shutil.which("g++")
    return Host(
        arch=os.uname().machine,
        glibc=_glibc(),
        driver=_driver(proc),
        gpus=sum(os.access(device, os.R_OK | os.W_OK) for device in dev.glob("nvidia[0-9]*")),
        compiler=Path(compiler) if compiler else None,
        has_loopback=_has_loopback(),
        is_root=os.geteuid() == 0,
        gpu_models=tuple(facts.get("Model", "") for facts in describe_gpus(proc)),
        cpu_flags=read_flags(proc),
    )


def read_disk(path: Path) -> Disk:
    """The disk of ``path``, or of its nearest directory that exists."""
    facts = os.statvfs(nearest_existing(path))
    return Disk(facts.f_bavail * facts.f_frsize, bool(facts.f_flag & os.ST_NOEXEC))


def nearest_existing(path: Path) -> Path:
    """``path`` itself or its closest ancestor that exists; ``path`` must be absolute."""
    return next(place for place in (path, *path.parents) if place.exists())


def _glibc() -> tuple[int, int] | None:
    try:
        words = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return None
    match = re.fullmatch(r"glibc (\d+)\.(\d+).*", words)
    return (int(match[1]), int(match[2])) if match else None


def _driver(proc: Path) -> str:
    # nvidia-smi would start the driver and may hang on a sick GPU; the kernel module's own file cannot.
    match = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", text_of(proc / "driver/nvidia/version"))
    return match[1] if match else ""


def _has_loopback() -> bool:
    """A network namespace begins with its loopback device down; a connection to it then fails at once."""
    try:
        with socket.socket() as server, socket.socket() as client:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            client.settimeout(5)
            client.connect(server.getsockname())
    except OSError:
        return False
    return True
