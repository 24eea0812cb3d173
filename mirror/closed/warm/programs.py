"""The programs that compile on the host: where each keeps what it compiled, what of that can be carried, and how it is counted.

``mirror.closed.environment.variables`` chooses the directories. This module judges paths by their names and opens nothing.

What was read in the sources of vLLM 0.25.1, FlashInfer 0.6.13, Triton 3.6.0 and torch 2.11, and tried with Triton 3.6.0 and
inductor of torch 2.13:

- **FlashInfer** asks ninja before each load, and ninja compares command lines, the times of files, and headers outside the
  cache: a copied build directory is built again. But a module that lies in ``flashinfer/data/aot`` is loaded and ninja never
  asked; so of FlashInfer only the finished modules are carried, and that directory is a link to them (``AOT``).
- **Triton** names a kernel's directory by source, compiler, target and options, and by no path; but the list of its files
  (``__grp__*.json``) holds their absolute paths, and a kernel whose list leads elsewhere is compiled again.
- **inductor** names its files by graph, torch, Triton, the GPU's name and its configuration; a moved cache is found.
- **vLLM** names its directories by its configuration, all ``VLLM_*`` variables but some fifty that change no code, the model's
  path, and the paths and text of the Python files that were traced, so by the generation's path; ``vllm_compile_cache.py``
  holds absolute paths.
- **CUDA's driver** keeps what it translated from PTX by its own version.

Example::

    carried_as("flashinfer/.cache/...")     # the path in a layer; empty of what stays behind
"""

from __future__ import annotations

import re
from collections.abc import Iterable

AOT = "aot"
"""In a layer: FlashInfer's modules, as ``flashinfer/data/aot`` holds them."""

DRIVER = "nv"
"""Top directory of what depends on the driver's version."""

_FLASHINFER = re.compile(r"\.cache/flashinfer/[^/]+/[^/]+/cached_ops/(?P<name>[^/]+)/(?P=name)\.so")
_LEFT = re.compile(
    r"\.cache(/|$)|warm\.|\.warm|mlc_llm/model_weights(/|$)|vllm/(assets|media_cache)(/|$)|.*\.(lock|log|tmp)$"
    r"|(.*/)?(locks?|__pycache__|tmp\.pid_[^/]*|tmp[a-z0-9_]{8}|\.tmp[^/]*|\.ninja_(log|deps))(/|$)"
)
"""What is nobody's compiled code (locks, logs, half-written files, models), and what is of no use elsewhere."""

_COMPILED = re.compile(
    r".*\.(so|o|cubin|fatbin|hsaco)$|nv/.*/[^/]+$|.*/(fxgraph|aotautograd)/.*|(.*/)?rank_[0-9_]+/model$|.*/artifact_[^/]*$"
)
"""Results of compiling, one for each kernel, module or graph; the sources and notes around them are not counted."""

_GRAPH = re.compile(r"(?P<key>.*/(fxgraph|aotautograd)/[^/]+/[^/]+)/[^/]+")
"""A compiled graph: torch names its directory by what it was made of, and the file by its bytes."""

_NAMES = {
    "flashinfer": "FlashInfer",
    "triton": "Triton",
    "inductor": "torch.compile",
    "vllm": "vLLM",
    "nv": "CUDA driver",
    "torch_extensions": "torch extensions",
    "tvm_ffi": "TVM FFI",
    "tilelang": "TileLang",
    "deep_gemm": "DeepGEMM",
    "sglang": "SGLang",
    "mlc_llm": "MLC LLM",
    "humming": "humming",
    "cute_dsl": "CUTLASS DSL",
}


def carried_as(path: str) -> str:
    """Where a file of a cache directory lies in a layer; empty when it is not carried.

    Args:
        path: below the cache directory of a generation, with ``/``.
    """
    module = _FLASHINFER.fullmatch(path)
    if module:
        return f"{AOT}/{module['name']}/{module['name']}.so"
    return "" if _LEFT.match(path) else path


def program_of(path: str) -> str:
    """Whose a file is, of a cache directory or a layer, as people call the program."""
    top = path.split("/", 1)[0]
    return _NAMES["flashinfer"] if top in (AOT, ".cache") else _NAMES.get(top, top)


def is_compiled(path: str) -> bool:
    """Whether a file is the result of compiling, and not a source or a note beside it."""
    return _COMPILED.match(path) is not None and not path.endswith("/index")


def graph_key(path: str) -> str:
    """The directory of a compiled graph, which is what torch looks it up by; empty of what is none.

    A graph's bytes hold the path of the user's caches. Another user's torch finds it, and keeps it again under the name that
    its bytes have there.
    """
    found = _GRAPH.fullmatch(path)
    return found["key"] if found else ""


def counted_by_program(paths: Iterable[str]) -> dict[str, int]:
    """How many compiled objects of each program, in order of name."""
    found: dict[str, int] = {}
    for path in paths:
        if is_compiled(path):
            found[program_of(path)] = found.get(program_of(path), 0) + 1
    return dict(sorted(found.items()))
