from __future__ import annotations

import os
from pathlib import Path

from mirror.closed.host.machine import nearest_existing, read_disk, read_host

PROC_LINE = (
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version: 12\n"
)
OPEN_LINE = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (x) Sun Jul 27 2025\n"


def test_reads_this_machine() -> None:
    host = read_host()
    assert host.arch == os.uname().machine
    assert host.glibc is not None
    assert host.glibc >= (2, 17)
    assert host.is_root == (os.geteuid() == 0)
    assert host.has_loopback


def test_reads_the_drivers_version_from_both_kinds_of_module(tmp_path: Path) -> None:
    version = tmp_path / "driver/nvidia/version"
    version.parent.mkdir(parents=True)
    for line, expected in ((PROC_LINE, "535.183.01"), (OPEN_LINE, "580.65.06"), ("something else\n", "")):
        version.write_text(line)
        assert read_host(proc=tmp_path).driver == expected


def test_a_host_without_a_driver_has_none(tmp_path: Path) -> None:
    host = read_host(proc=tmp_path, dev=tmp_path)
    assert (host.driver, host.gpus) == ("", 0)


def test_counts_the_devices_that_can_be_opened(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia7", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert read_host(dev=tmp_path).gpus == 2


def test_the_disk_of_a_path_that_does_not_exist_is_its_parents(tmp_path: Path) -> None:
    assert nearest_existing(tmp_path / "a/b/c") == tmp_path
    disk = read_disk(tmp_path / "a/b/c")
    assert disk.free_bytes > 0
    assert not disk.is_noexec
