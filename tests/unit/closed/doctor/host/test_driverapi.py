from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.doctor.host.driverapi import Answer, ask_driver, can_be_asked, judge_answer
from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.closed.host.command import TIMED_OUT
from mirror.core.logs.finding import GOOD, PROBLEM, WARNING

NODES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")
HERE = Nvidia(driver="580.65.06", gpus=(Gpu("NVIDIA H100", "9.0"),), nodes=NODES)
SOURCE = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int cuInit(unsigned flags) {
    if (getenv("FAKE_SLEEP")) sleep(60);
    return getenv("FAKE_CODE") ? atoi(getenv("FAKE_CODE")) : getenv("CUDA_CACHE_DISABLE") ? 0 : 1;
}
int cuDriverGetVersion(int *version) { *version = 13000; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int size, int device) { strncpy(name, "NVIDIA H200", size); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : 0; return 0; }
int cuDeviceCanAccessPeer(int *value, int one, int other) { *value = !getenv("FAKE_APART"); return 0; }
"""
"""A driver that answers as an H200's does, or with the error that FAKE_CODE says; without CUDA_CACHE_DISABLE it fails."""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables of a shell that has such a driver."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc")
    place = tmp_path_factory.mktemp("driver")
    (place / "cuda.c").write_text(SOURCE)
    library = place / "libcuda.so.580.65.06"
    subprocess.run(["gcc", "-shared", "-fPIC", str(place / "cuda.c"), "-o", str(library)], check=True, timeout=60)
    (place / "libcuda.so.1").symlink_to(library)
    return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(place)}


def test_asks_for_the_version_and_the_devices(driver: dict[str, str]) -> None:
    answer = ask_driver(driver)
    assert (answer.code, answer.release) == (0, "13.0")
    assert answer.gpus == (Gpu("NVIDIA H200", "9.0"),) * 2
    assert answer.library == f"{driver['LD_LIBRARY_PATH']}/libcuda.so.580.65.06"
    (found,) = judge_answer(answer, HERE)
    assert (found.level, found.what) == (GOOD, "it starts, supports CUDA 13.0 and shows 2 GPUs")


def test_says_which_devices_cannot_read_each_others_memory(driver: dict[str, str]) -> None:
    assert ask_driver(driver).apart == ()
    assert ask_driver({**driver, "FAKE_APART": "1"}).apart == ((0, 1),)


@pytest.mark.parametrize(
    ("code", "row"),
    [(34, "45"), (35, "46"), (100, "53"), (101, "53"), (802, "52"), (803, "50"), (804, "51"), (999, "53"), (777, "")],
)
def test_each_error_of_the_driver_has_its_meaning(driver: dict[str, str], code: int, row: str) -> None:
    (found,) = judge_answer(ask_driver({**driver, "FAKE_CODE": str(code)}), HERE)
    assert (found.level, found.row) == (PROBLEM, row)
    assert found.what == f"the driver refuses to start, with error {code}"
    assert found.cause
    assert found.fix


def test_a_driver_that_hangs_is_given_up_on(driver: dict[str, str]) -> None:
    answer = ask_driver({**driver, "FAKE_SLEEP": "1"}, timeout_s=0.5)
    assert answer == Answer(TIMED_OUT)
    (found,) = judge_answer(answer, HERE)
    assert (found.level, found.row) == (PROBLEM, "53")


def test_a_library_that_cannot_be_loaded_is_told_in_the_loaders_words(tmp_path: Path) -> None:
    (tmp_path / "libcuda.so.1").write_text("not a library")
    answer = ask_driver({"LD_LIBRARY_PATH": str(tmp_path)})
    assert answer.code == -1
    (found,) = judge_answer(answer, HERE)
    assert (found.level, found.row) == (PROBLEM, "30")
    assert "driver 580.65.06 is loaded, and libcuda.so.1 cannot be" in found.what


def test_a_library_of_another_driver_is_a_warning(driver: dict[str, str]) -> None:
    found = list(judge_answer(ask_driver(driver), Nvidia(driver="535.104.05", nodes=NODES)))
    assert [finding.level for finding in found] == [GOOD, WARNING]
    assert found[1].what == "libcuda is of driver 580.65.06, the kernel module of 535.104.05"
    assert found[1].row == "50"


def test_a_driver_whose_devices_are_missing_is_not_asked() -> None:
    assert can_be_asked(HERE)
    assert not can_be_asked(Nvidia())
    for missing in NODES:
        assert not can_be_asked(Nvidia(driver="580.65.06", nodes=tuple(node for node in NODES if node != missing)))
