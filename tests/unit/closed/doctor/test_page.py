from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from mirror.closed.doctor.checkup import Checkup
from mirror.closed.doctor.facts import Facts
from mirror.closed.doctor.host.driverapi import Answer
from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.closed.doctor.host.resources import Resources
from mirror.closed.doctor.host.toolbox import Compiler, Toolbox
from mirror.closed.doctor.installed.wheels import read_installed
from mirror.closed.doctor.page import MAX_COLUMNS, MAX_LINES, page
from mirror.closed.host.machine import Host
from mirror.core.logs.finding import PROBLEM, WARNING, Finding
from tests.support.stacks import Stack, torch_version

NOW = 1_795_000_000
H100 = Gpu("NVIDIA H100 80GB HBM3", "9.0")


def facts(variables: Mapping[str, str], **changes: object) -> Facts:
    return Facts(
        variables,
        Host("x86_64", (2, 34)),
        Nvidia("580.65.06", (H100,) * 8, switches=4),
        Resources(available_bytes=512 << 30, processors=128),
        Toolbox({"gcc": Compiler("/usr/bin/gcc", "gcc", (11, 4))}, {}),
        **changes,  # type: ignore[arg-type]
    )


def test_says_what_maintainers_ask_for(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.toolkit()
    stack.project("torch", "2.11.0", files=torch_version())
    for name in ("flashinfer-python", "flashinfer-cubin"):
        stack.project(name, "0.6.13")
    looked = facts(
        {"TORCH_CUDA_ARCH_LIST": "9.0", "CUDA_HOME": "/usr/local/cuda", "SECRET": "x"},
        answer=Answer(0, release="13.0", apart=()),
        environment=stack.environment(),
        installed=read_installed(stack.venv),
    )
    text = "\n".join(page(Checkup(looked, ()), NOW, "RuntimeError: no kernel image"))
    for words in (
        "2026-11-18", "demo, generation 5-abababababab", "Python 3.11, x86_64, glibc 2.28, CUDA 13.0, sm_90a", "glibc 2.34",
        "8 x NVIDIA H100 80GB HBM3 (sm_90), 4 NVSwitches, all reach each other",
        "580.65.06 (CUDA 13.0 and older), cuInit 0", "gcc 11.4",
        "torch 2.11.0+cu130", "flashinfer-python 0.6.13", "flashinfer-cubin 0.6.13", "built for CUDA 13.0",
        "CUDA_HOME=/usr/local/cuda", "TORCH_CUDA_ARCH_LIST=9.0", "RuntimeError: no kernel image", "0 problems",
    ):  # fmt: skip
        assert words in text, words
    assert "SECRET" not in text


def test_gpus_that_do_not_reach_each_other_are_counted() -> None:
    looked = facts({}, answer=Answer(0, apart=((0, 1), (2, 3))))
    text = "\n".join(page(Checkup(looked, ()), NOW))
    assert "4 NVSwitches, 2 pairs do not reach each other" in text


def test_a_host_without_anything_fits_on_it_too() -> None:
    text = page(Checkup(Facts({}, Host("x86_64", None), Nvidia(), Resources(), Toolbox({}, {})), ()), NOW)
    assert "stack     nothing is installed" in text
    assert "GPUs      none" in text
    assert "compilers none" in text


def test_a_stack_without_torch_says_so(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    text = page(Checkup(facts({}, installed=read_installed(stack.venv)), ()), 0)
    assert "torch     none" in text
    stack.project("torch", "2.11.0", files={"torch/version.py": "__version__ = '2.11.0'\ncuda: str = None\n"})
    text = page(Checkup(facts({}, installed=read_installed(stack.venv)), ()), 0)
    assert "torch     built without CUDA" in text


def test_it_is_one_page_whatever_there_is_to_say() -> None:
    long = "/".join(["directory"] * 60)
    variables = {"LD_LIBRARY_PATH": long, "PYTHONPATH": "x" * 900, "CC": "y" * 500}
    findings = [
        Finding(level, "subject", f"number {n} " + "word " * 60) for n in range(50) for level in (WARNING, PROBLEM)
    ]
    lines = page(Checkup(facts(variables), tuple(findings)), NOW, "z" * 3000)
    assert len(lines) <= MAX_LINES == 60
    assert max(map(len, lines)) <= MAX_COLUMNS == 100
    assert "50 problems, 50 warnings, 100 in all" in "\n".join(lines)
    assert lines[-1].endswith("more; mirror doctor prints all")
    one = page(Checkup(facts(variables), (Finding(WARNING, "subject", "number 1"),)), NOW)
    assert "0 problems, 1 warning, 1 in all" in "\n".join(one)
    assert "warning" not in {line.split(" ")[0] for line in lines}  # problems come first


def test_no_name_and_no_secret_is_on_it() -> None:
    node = os.uname().nodename
    variables = {
        "HOME": "/home/jdoe", "USER": "jdoe", "LOGNAME": "jdoe", "CUDA_HOME": "/home/jdoe/cuda", "TMPDIR": "/scratch/jdoe",
        "LD_LIBRARY_PATH": "/home/jdoe:/home/colleague/lib", "https_proxy": "http://jdoe:hunter2@proxy:3128",
        "HF_TOKEN": "hf_secret", "XDG_CACHE_HOME": f"/nfs/{node}/cache",
    }  # fmt: skip
    finding = Finding(PROBLEM, "disk", "the cache directory /home/jdoe/.cache cannot be written")
    error = f"OSError: http://me:pass@mirror.example/x at /home/jdoe/models on {node}"
    text = "\n".join(page(Checkup(facts(variables), (finding,)), NOW, error))
    for secret in ("jdoe", "hunter2", "hf_secret", "colleague", "me:pass", node):
        assert secret not in text, secret
    for words in ("CUDA_HOME=~/cuda", "TMPDIR=/scratch/USER", "LD_LIBRARY_PATH=~:/home/USER/lib", "https_proxy=http://***@proxy",
                  "directory ~/.cache cannot", "at ~/models on HOST", "/nfs/HOST/cache"):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("user", ["root", ""])
def test_a_user_without_a_name_of_their_own_hides_nothing(user: str) -> None:
    variables = {"USER": user, "HOME": "/", "CC": "/root-tools/gcc"}
    assert "CC=/root-tools/gcc" in "\n".join(page(Checkup(facts(variables), ()), NOW))
