"""One page of plain text about a host and its stack, short enough to be typed into an issue.

It holds what maintainers ask for (versions of everything, the GPUs, the compilers, the variables, the last error), and what
never goes into it.

Rules: at most 60 lines of 100 columns; no user's name, no host's name, no password: a home directory is ``~``, whatever stands
before the host of a URL goes, and only variables of a fixed list are shown.

Example::

    print("\\n".join(page(checkup, now)))
"""

from __future__ import annotations

import os
import platform
import re
import textwrap
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Callable

from mirror import __version__
from mirror.closed.doctor.checkup import Checkup
from mirror.closed.doctor.facts import Facts
from mirror.closed.doctor.host.proxies import proxies
from mirror.core.cuda.releases import newest_release
from mirror.core.logs.finding import PROBLEM, WARNING, Finding
from mirror.core.system.durable import text_of
from mirror.core.words import counted

MAX_LINES, MAX_COLUMNS = 60, 100

_PACKAGES = (
    "torch", "vllm", "sglang", "sglang-kernel", "sgl-kernel", "mlc-llm", "flashinfer-python", "flashinfer-cubin",
    "flashinfer-jit-cache", "triton", "apache-tvm-ffi", "nvidia-cutlass-dsl", "flash-attn", "xformers", "transformers",
    "mistral-common", "nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12", "nvidia-cublas", "nvidia-cublas-cu12",
    "nvidia-cudnn-cu12", "nvidia-cudnn-cu13", "nvidia-nccl-cu12", "nvidia-nccl-cu13", "ninja", "numpy",
)  # fmt: skip

_VARIABLES = (
    "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES", "TORCH_CUDA_ARCH_LIST", "FLASHINFER_CUDA_ARCH_LIST", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "PYTHONPATH", "CC", "CXX", "NVCC_CCBIN", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "MAX_JOBS", "TMPDIR",
    "XDG_CACHE_HOME", "FLASHINFER_WORKSPACE_BASE", "FLASHINFER_DISABLE_JIT", "FLASHINFER_DISABLE_VERSION_CHECK",
    "FLASHINFER_EXTRA_LDFLAGS", "FLASHINFER_EXTRA_CUDAFLAGS", "VLLM_ATTENTION_BACKEND", "VLLM_USE_FLASHINFER_SAMPLER",
    "VLLM_USE_DEEP_GEMM", "NCCL_DEBUG", "PYTORCH_CUDA_ALLOC_CONF",
)  # fmt: skip

_LABEL = 10


def page(checkup: Checkup, now: int, last_error: str = "") -> tuple[str, ...]:
    """The lines of the page.

    Args:
        checkup: what was found.
        now: seconds since 1970 UTC.
        last_error: from a server's log; empty when none was given.
    """
    facts = checkup.facts
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    lines = [f"mirror {__version__} doctor, {when}"]
    rows = [("stack", _stack(checkup)), *_rows(facts)]
    if last_error:
        rows.append(("error", last_error))
    hide = _hiding(facts.variables)
    for label, text in rows:
        lines += _wrapped(label, hide(text), 4 if label in ("error", "packages", "env") else 3)
    return tuple((lines + _finding_lines(checkup, hide, MAX_LINES - len(lines)))[:MAX_LINES])


def _stack(checkup: Checkup) -> str:
    """What is installed, or why none of it was looked at."""
    environment = checkup.facts.environment
    if environment:
        manifest = environment.manifest
        return f"{manifest.name}, generation {environment.generation.name}, for {manifest.target}"
    return next((one.what for one in checkup.findings if one.subject == "stack"), "nothing is installed")


def _rows(facts: Facts) -> Iterator[tuple[str, str]]:
    host, nvidia = facts.host, facts.nvidia
    kernel, glibc = platform.release(), ".".join(map(str, host.glibc)) if host.glibc else "none"
    memory = f"{facts.resources.available_bytes >> 30} GiB of memory free"
    yield (
        "host",
        f"{_system()}, Linux {kernel} {host.arch}, glibc {glibc}, {facts.resources.processors} processors, {memory}",
    )
    mig = f", {nvidia.mig_instances} MIG instances" * bool(nvidia.mig_instances)
    switches = f", {nvidia.switches} NVSwitches" * bool(nvidia.switches)
    apart = facts.answer.apart if facts.answer else None
    ways = (
        "" if apart is None else f", {len(apart)} pairs do not reach each other" if apart else ", all reach each other"
    )
    yield "GPUs", nvidia.summary() + mig + switches + ways
    release = newest_release(nvidia.driver) if nvidia.driver else ""
    answer = f", cuInit {facts.answer.code}, CUDA {facts.answer.release or '?'}" if facts.answer else ""
    yield "driver", f"{nvidia.driver or 'none'}" + f" (CUDA {release} and older)" * bool(release) + answer
    yield "toolkit", _toolkit(facts)
    yield "Python", (facts.receipt.python_version or "none: a stack of data") if facts.receipt else facts.python
    if facts.installed:
        versions = ((name, facts.installed.version(name)) for name in _PACKAGES)
        yield "packages", ", ".join(f"{name} {version}" for name, version in versions if version) or "none"
        built = f"built for CUDA {facts.installed.torch_cuda}" if facts.installed.torch_cuda else "built without CUDA"
        yield "torch", built if facts.installed.torch_version else "none"
    compilers = {str(compiler) for compiler in facts.toolbox.compilers.values()}
    yield "compilers", ", ".join(sorted(compilers)) or "none"
    yield "env", ", ".join(_variables(facts)) or "none of those that matter"


def _system() -> str:
    match = re.search(r'^PRETTY_NAME="?([^"\n]+)', text_of(Path("/etc/os-release")), re.MULTILINE)
    return match[1] if match else "unknown system"


def _toolkit(facts: Facts) -> str:
    toolkit = facts.toolkit
    if toolkit is None:
        return "none"
    return f"nvcc {toolkit.build or 'does not answer'}, headers {toolkit.headers or 'none'}, in {toolkit.home}"


def _variables(facts: Facts) -> Iterator[str]:
    for name in _VARIABLES:
        if facts.variables.get(name):
            yield f"{name}={facts.variables[name]}"
    yield from (f"{name}={value}" for name, value in proxies(facts.variables).items())


def _finding_lines(checkup: Checkup, hide: Callable[[str], str], room: int) -> list[str]:
    counts = ", ".join(counted(len(checkup.of(level)), level) for level in (PROBLEM, WARNING))
    lines = _wrapped("findings", f"{counts}, {len(checkup.findings)} in all", 1)
    told = [*checkup.of(PROBLEM), *checkup.of(WARNING)]
    for number, finding in enumerate(told):
        more = _wrapped(finding.level, hide(_sentence(finding)), 3)
        if len(lines) + len(more) > room - (number + 1 < len(told)):
            return [*lines, f"{'':{_LABEL}}... and {len(told) - number} more; mirror doctor prints all"]
        lines += more
    return lines


def _sentence(finding: Finding) -> str:
    return f"{finding.subject}: {finding.what}" + f" [E{finding.row}]" * bool(finding.row)


def _wrapped(label: str, text: str, most: int) -> list[str]:
    """A row in at most so many lines; what does not fit ends in an ellipsis."""
    words = " ".join(text.split())
    lines = textwrap.wrap(words, MAX_COLUMNS - _LABEL, max_lines=most, placeholder=" ...", break_on_hyphens=False)
    return [f"{label if not number else '':<{_LABEL}}{line}" for number, line in enumerate(lines or [""])]


def _hiding(variables: Mapping[str, str]) -> Callable[[str], str]:
    """Takes out of a text what an issue need not tell the world."""
    homes = {variables.get("HOME", ""), os.path.realpath(variables.get("HOME") or "/")} - {"", "/"}
    users = {variables.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER")} - {"", "root"}
    # Short names would be found inside of ordinary words; between separators they are found whatever their length.
    replacements = [
        (re.compile(r"(?<=://)[^/\s,;]*@"), "***@"),
        *((re.compile(re.escape(home) + r"(?=/|:|,|;|\s|$)"), "~") for home in sorted(homes, key=len, reverse=True)),
        (re.compile(r"(?<=/home/)[^/\s:,;]+"), "USER"),
        *((re.compile(rf"(?<![A-Za-z0-9]){re.escape(user)}(?![A-Za-z0-9])"), "USER") for user in sorted(users)),
        (re.compile(rf"(?<![\w.-]){re.escape(os.uname().nodename)}(?![\w-])"), "HOST"),
    ]  # fmt: skip

    def hide(text: str) -> str:
        for pattern, instead in replacements:
            text = pattern.sub(instead, text)
        return text

    return hide
