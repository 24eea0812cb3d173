"""The environment of the shell that a server would be started from.

It holds which of its variables hurt a CUDA stack, and why. ``mirror.closed.doctor.host.paths`` judges search paths,
``mirror.closed.doctor.host.proxies`` proxies.

Rules: variables are judged as they are now: when ``env.sh`` of the generation was sourced, its values must still stand; when it
was not, those that it sets anyway are not held against the shell.

Example::

    for finding in judge_shell(os.environ, environment): ...
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from mirror.closed.doctor.host.paths import judge_paths
from mirror.closed.doctor.host.proxies import judge_proxies
from mirror.closed.environment.variables import Environment
from mirror.core.logs.finding import NOTE, WARNING, About, Finding

_SHOWN = 4
_SWITCHES = {
    "FLASHINFER_DISABLE_VERSION_CHECK": ("54", "FlashInfer takes packages that do not belong together without a word"),
    "FLASHINFER_DISABLE_JIT": ("56", "FlashInfer compiles nothing: every kernel must be in its jit-cache package"),
    "FLASHINFER_JIT_VERBOSE": ("", "FlashInfer builds kernels with -O0 -G, many times slower"),
    "VLLM_USE_MODELSCOPE": ("", "vLLM looks models up over the network"),
    "CUDA_LAUNCH_BLOCKING": ("", "every kernel is waited for: for finding faults only"),
}  # fmt: skip
"""Switches that are worth knowing of -> row of CUDA.md E, what they do."""


def judge_shell(variables: Mapping[str, str], environment: Environment | None) -> Iterable[Finding]:
    """Everything about the variables that needs no look into the stack.

    Args:
        environment: of the generation; None when nothing is installed.
    """
    yield from _judge_sourced(variables, environment)
    yield from judge_paths(variables)
    yield from _judge_nvcc(variables, environment)
    yield from _judge_architectures(variables)
    yield from judge_proxies(variables)
    yield from _judge_switches(variables)


def is_sourced(variables: Mapping[str, str], environment: Environment | None) -> bool:
    return environment is not None and variables.get("MIRROR_GENERATION") == str(environment.generation)


def _judge_sourced(variables: Mapping[str, str], environment: Environment | None) -> Iterable[Finding]:
    if environment is None:
        return
    if not is_sourced(variables, environment):
        other = variables.get("MIRROR_GENERATION", "")
        what = (
            f"this shell has sourced env.sh of another generation, {other}"
            if other
            else "this shell has not sourced env.sh"
        )
        yield About("env.sh").at(
            WARNING if other else NOTE,
            f"{what}; the stack is {environment.generation}",
            proof="echo $MIRROR_GENERATION",
            cause=_why_another(Path(other), environment.generation)
            if other
            else "it was opened anew, or is a service's",
            fix=f". {environment.script}, or start programs with 'mirror run'",
            row="24" if other else "",
        )
        return
    changed = [name for name, value in environment.fixed().items() if variables.get(name) != value]
    if changed:
        first = changed[0]
        yield About("env.sh").warning(
            f"{', '.join(changed[:_SHOWN])}{' ...' * (len(changed) > _SHOWN)} changed since env.sh was sourced: {first} is "
            f"{variables.get(first, 'unset')!r}, env.sh says {environment.fixed()[first]!r}",
            cause="something later in the shell's start files set it again",
            proof=f"echo ${first}",
            fix="source env.sh last",
            row="57" if "CUDA_HOME" in changed else "",
        )
    else:
        yield About("env.sh").good("this shell has sourced it")


def _why_another(sourced: Path, generation: Path) -> str:
    return (
        "the stack was updated since, or rolled back"
        if sourced.parent == generation.parent
        else "it is of another install, which commands without --prefix act on in this shell"
    )


def _judge_nvcc(variables: Mapping[str, str], environment: Environment | None) -> Iterable[Finding]:
    if environment is None or environment.cuda_home is None:
        yield from _unset_nvcc(variables)
        return
    ours = environment.cuda_home / "bin" / "nvcc"
    if is_sourced(variables, environment):
        found = shutil.which("nvcc", path=variables.get("PATH", ""))
        if not found or os.path.realpath(found) != os.path.realpath(ours):
            yield About("nvcc").problem(
                f"PATH finds {found or 'no nvcc'}, the stack's is {ours}",
                cause="another toolkit was put first on PATH after env.sh",
                proof="command -v nvcc",
                fix="source env.sh last",
                row="11",
            )
    for name in ("FLASHINFER_NVCC", "PYTORCH_NVCC", "CUDACXX"):
        value = variables.get(name, "")
        if value and name != "CUDACXX" and os.path.realpath(value) != os.path.realpath(ours):
            yield About("nvcc").problem(
                f"{name} is {value}, the stack's nvcc is {ours}",
                cause="the version is read from one nvcc, another one compiles",
                proof=f"echo ${name}",
                fix=f"unset {name}",
                row="12",
            )
    flags = " ".join(variables.get(name, "") for name in ("NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS"))
    if "-allow-unsupported-compiler" in flags:
        yield About("nvcc").warning(
            "NVCC_PREPEND_FLAGS or NVCC_APPEND_FLAGS has -allow-unsupported-compiler",
            cause="a gcc that is too new then fails later, or compiles wrong code",
            proof="echo $NVCC_PREPEND_FLAGS $NVCC_APPEND_FLAGS",
            fix="name an older gcc with -ccbin there instead",
            row="10",
        )


def _unset_nvcc(variables: Mapping[str, str]) -> Iterable[Finding]:
    home = variables.get("CUDA_HOME") or variables.get("CUDA_PATH")
    if home and not Path(home, "bin/nvcc").exists():
        yield About("CUDA_HOME").warning(
            f"it is {home}, and there is no nvcc in its bin",
            cause="the toolkit was removed or never there",
            proof=f"ls {home}/bin/nvcc",
            fix="unset it, or correct it",
            row="25",
        )
    found = shutil.which("nvcc", path=variables.get("PATH", ""))
    if found:
        yield About("nvcc").note(
            f"PATH finds {os.path.realpath(found)}",
            cause="a toolkit is installed on this host; no toolkit of a stack is in use here",
            proof="command -v nvcc",
            fix="nothing: a stack's env.sh puts its own first. To compile with this one, compare 'nvcc --version' with the "
            "CUDA release of torch",
        )


def _judge_architectures(variables: Mapping[str, str]) -> Iterable[Finding]:
    torch, flashinfer = variables.get("TORCH_CUDA_ARCH_LIST", ""), variables.get("FLASHINFER_CUDA_ARCH_LIST", "")
    if torch and not re.fullmatch(r"([A-Z][a-z]+(\+[A-Z][a-z]+)*|\d+\.\d[a]?)(\+PTX)?([ ;]+[\w.+]+)*[ ;]*", torch):
        yield About("TORCH_CUDA_ARCH_LIST").problem(
            f"torch does not understand {torch!r}",
            cause="it takes '9.0' or '8.0;9.0+PTX'",
            proof="echo $TORCH_CUDA_ARCH_LIST",
            fix="separate with ';' or a blank",
            row="33",
        )
    if re.search(r"[,;]", flashinfer):
        yield About("FLASHINFER_CUDA_ARCH_LIST").problem(
            f"FlashInfer does not understand {flashinfer!r}",
            cause="it splits at blanks only",
            proof="echo $FLASHINFER_CUDA_ARCH_LIST",
            fix="separate with one blank",
            row="33",
        )
    elif "9.0" in flashinfer.split():
        yield About("FLASHINFER_CUDA_ARCH_LIST").warning(
            f"it is {flashinfer!r}, and Hopper's kernels need '9.0a'",
            cause="FlashInfer takes the list as it is, so wgmma and TMA are left out",
            proof="echo $FLASHINFER_CUDA_ARCH_LIST",
            fix="write 9.0a",
            row="47",
        )
    if variables.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1", "NoDevFiles"):
        yield About("CUDA_VISIBLE_DEVICES").warning(
            f"it is {variables['CUDA_VISIBLE_DEVICES']!r}: programs of this shell see no GPU",
            cause="set so by a scheduler, or left over",
            proof="echo $CUDA_VISIBLE_DEVICES",
            fix="unset CUDA_VISIBLE_DEVICES",
            row="53",
        )


def _judge_switches(variables: Mapping[str, str]) -> Iterable[Finding]:
    for name, (row, meaning) in _SWITCHES.items():
        if variables.get(name, "0") not in ("", "0"):
            yield About(name).note(
                f"it is set: {meaning}",
                cause="a debugging session left it, or this shell's start-up files set it",
                proof=f"echo ${name}",
                fix=f"unset {name}",
                row=row,
            )
