"""The key of a layer on a host: what compiled kernels depend on, looked up here, and where two of them differ.

Rules: what cannot be told here (a login node sees no GPU) is no difference, and is said; what a program checks by itself and
only misses by (a variable, the driver's version) does not make a layer useless, and is a note.

Example::

    key = key_here(generation, os.environ)
    tuple(faults(layer.key, key))           # () when the layer fits
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mirror.closed.environment.variables import CACHES, Environment, load_environment
from mirror.closed.host.machine import Host, read_host
from mirror.closed.prefix.generations import Generation
from mirror.closed.prefix.receipt import read_receipt
from mirror.closed.warm.document import Key
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.names import Sha256Hex, dotted_numbers

_COUNTS = re.compile(
    r"(VLLM|TORCH|TORCHINDUCTOR|PYTORCH|TRITON|FLASHINFER|SGLANG|DG|TVM|TILELANG|CUTE|NCCL)_[A-Z0-9_]+|CC|CXX"
)
_NOT_IN_KEYS = re.compile(
    r".*_(HOST_IP|PORT|API_KEY|LOGGING_.*|LOG_LEVEL|CACHE_ROOT|CACHE_DIR|RPC_BASE_PATH|NO_USAGE_STATS|USAGE_.*|DO_NOT_TRACK"
    r"|WORKER_MULTIPROC_METHOD|HTTP_.*|.*TOKEN.*|.*SECRET.*|.*PASSWORD.*|.*_KEY)"
)
"""Those that change no code, by vLLM's own list, and what must not be written down."""


class LayerDoesNotFit(MirrorError):
    """Compiled kernels were made under other circumstances than those of this generation and host."""

    ref = "layer-does-not-fit"
    exit_code = FAMILIES["install"]
    hint = (
        "Nothing was changed, and servers start without it, compiling what they need. Ask for a layer that was packed here: "
        "same bundle, same prefix, same GPUs ('mirror cache pack' on such a host)."
    )
    message = "{layer} does not fit"

    layer: str
    differences: tuple[str, ...]

    def context(self) -> str:
        return "\n".join(f"  {one}" for one in self.differences)


def key_here(generation: Generation, base: Mapping[str, str], proc: Path = Path("/proc")) -> Key:
    """What a layer that is made here now depends on, but for what its files need.

    Args:
        generation: a complete one.
        base: the environment of the user.

    Raises:
        GenerationDamaged, Unreadable, InvalidDocument: when the generation cannot tell.
    """
    environment = load_environment(generation)
    receipt = read_receipt(generation)
    host = read_host(proc)
    return Key(
        stack=environment.manifest.name,
        bundle=Sha256Hex(receipt.manifest_sha256),
        generation=str(generation.path),
        python=receipt.python_version,
        arch=host.arch,
        gpus=host.kinds_of_gpu,
        driver=host.driver,
        variables=_variables(environment, base),
    )


def _variables(environment: Environment, base: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    ours = {*environment.fixed(), *CACHES}
    counting = (name for name in base if _COUNTS.fullmatch(name) and not _NOT_IN_KEYS.fullmatch(name))
    return tuple((name, base[name]) for name in sorted(counting) if name not in ours)


def faults(layer: Key, here: Key, host: Host | None = None) -> Iterator[str]:
    """Why a layer is of no use here: what differs, both sides named."""
    host = host or read_host()
    if layer.stack != here.stack:
        yield f"stack: the layer is for {layer.stack}, this is {here.stack}"
    elif layer.bundle != here.bundle:
        yield f"bundle: the layer is for {layer.bundle[:12]} of {layer.stack}, {here.bundle[:12]} is installed here"
    if layer.generation != here.generation:
        yield f"path: the layer was compiled in {layer.generation}, this generation is {here.generation}"
    if layer.python != here.python:
        yield f"Python: the layer was compiled under {layer.python}, this generation runs on {here.python}"
    if layer.arch != here.arch:
        yield f"CPU: the layer is for {layer.arch}, this host is {here.arch}"
    if layer.gpus and here.gpus and not set(here.gpus) <= set(layer.gpus):
        yield f"GPU: the layer was compiled on {', '.join(layer.gpus)}, this host has {', '.join(here.gpus)}"
    if layer.glibc and host.glibc and dotted_numbers(layer.glibc)[:2] > host.glibc:
        yield f"glibc: files of the layer need {layer.glibc}, this host has {host.glibc[0]}.{host.glibc[1]}"


def notes(layer: Key, here: Key) -> Iterator[str]:
    """What differs and costs only the part that depends on it, and what cannot be told here; one sentence each."""
    if layer.gpus and not here.gpus:
        yield f"no GPU can be seen here; the layer was compiled on {', '.join(layer.gpus)}"
    if not layer.gpus:
        yield "the layer was packed where no GPU could be seen, so whether it is for this one is not known"
    if layer.driver != here.driver and here.driver:
        packed = layer.driver or "an unknown one"
        yield f"driver {packed} there, {here.driver} here: what the driver itself compiled (nv/) is not used"
    before, now = dict(layer.variables), dict(here.variables)
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield (
                f"{name} was {_said(before.get(name))} when the layer was packed and is {_said(now.get(name))} here: what "
                "depends on it is compiled again"
            )


def _said(value: str | None) -> str:
    return "not set" if value is None else repr(value)
