"""Search paths of the calling shell: what is found in place of the stack's own libraries and modules.

It holds ``LD_LIBRARY_PATH``, ``LD_PRELOAD`` and ``PYTHONPATH``. ``mirror.closed.doctor.installed.linking``, which looks at the
host and the stack, finds which of the stack's libraries a directory shadows.

Rule: only what is there counts: a directory that does not exist shadows nothing.

Example::

    for finding in judge_paths(os.environ): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from mirror.core.logs.finding import PROBLEM, WARNING, About, Finding

_SHADOWED = ("torch", "vllm", "flashinfer", "triton", "sglang", "numpy", "transformers")


def library_path(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories of ``LD_LIBRARY_PATH`` that exist, in the loader's order."""
    words = variables.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":")
    return tuple(Path(word) for word in words if word.startswith("/") and Path(word).is_dir())


def judge_paths(variables: Mapping[str, str]) -> Iterable[Finding]:
    """What is wrong with the search paths of the calling shell."""
    yield from _judge_library_path(variables)
    yield from _judge_preload(variables)
    yield from _judge_python_path(variables)


def _judge_library_path(variables: Mapping[str, str]) -> Iterable[Finding]:
    text = variables.get("LD_LIBRARY_PATH", "")
    found = False
    if text and "" in text.split(":"):
        found = True
        yield About("LD_LIBRARY_PATH").warning(
            "it has an empty element, which means the current directory",
            cause="a start file appends to it without looking whether it was set",
            proof="echo $LD_LIBRARY_PATH",
            fix="write ${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} there",
        )
    for directory in library_path(variables):
        if "stubs" in directory.parts and _listed(directory, "libcuda.so*", "libnvidia-ml.so*"):
            found = True
            yield About("LD_LIBRARY_PATH").problem(
                f"it holds {directory}, whose libcuda is there to link against, not to run",
                cause="a build recipe exported it; programs then load the stub in place of the driver",
                proof=f"ls {directory}",
                fix="take it out; linkers find stubs through -L and LIBRARY_PATH",
                row="45",
            )
        elif _listed(directory, "libcuda.so.1") and directory.name == "compat":
            found = True
            yield About("LD_LIBRARY_PATH").warning(
                f"it holds cuda-compat, {directory}",
                cause="its libcuda is taken in place of the driver's: error 803 when the two do not fit, 804 on GeForce",
                proof=f"ls {directory}",
                fix="take it out unless the stack needs a newer CUDA than the driver has",
                row="50",
            )
    if text and not found:
        yield About("LD_LIBRARY_PATH").good("no stubs and no cuda-compat on it")


def _judge_preload(variables: Mapping[str, str]) -> Iterable[Finding]:
    preload = variables.get("LD_PRELOAD", "")
    if preload:
        yield About("LD_PRELOAD").warning(
            f"it puts {preload} before every library of the stack",
            proof="echo $LD_PRELOAD",
            cause="an old libnccl or allocator there wins over the wheels' own",
            fix="unset LD_PRELOAD",
            row="39",
        )


def _listed(directory: Path, *patterns: str) -> bool:
    try:
        return any(True for pattern in patterns for _ in directory.glob(pattern))
    except OSError:
        return False


def _judge_python_path(variables: Mapping[str, str]) -> Iterable[Finding]:
    text = variables.get("PYTHONPATH", "")
    if text:
        places = [Path(word or ".") for word in text.split(":")]
        shadowing = [str(place / name) for place in places for name in _SHADOWED if (place / name).exists()]
        yield About("PYTHONPATH").at(
            PROBLEM if shadowing else WARNING,
            f"it puts {', '.join(shadowing)} before the stack's own" if shadowing else f"it is set, to {text}",
            cause="modules found there win over those of the venv",
            proof="echo $PYTHONPATH",
            fix="unset PYTHONPATH",
            row="40",
        )
    if variables.get("PYTHONHOME"):
        yield About("PYTHONHOME").problem(
            f"it is set, to {variables['PYTHONHOME']}",
            cause="the venv's Python then looks there for its standard library",
            proof="echo $PYTHONHOME",
            fix="unset PYTHONHOME; env.sh does",
        )
