"""Layers of compiled kernels without a GPU: a host as the kernel would show it, caches as programs leave them, and one packed.

Example::

    host = make_host(tmp_path, "NVIDIA H100 80GB HBM3")
    file = pack(generation, host, store)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.warm.layer import Added, add_layer
from mirror.closed.warm.packing import Packed, pack_layer
from mirror.closed.warm.private import Filled, State, fill, read_state
from mirror.core.trust.truststore import TrustStore
from tests.support.keys import signer

KERNEL = "triton/ABC/k.cubin"
GROUP = "triton/ABC/__grp__k.json"
MODULE = ".cache/flashinfer/0.6.13/90a/cached_ops/page/page.so"
DRIVERS_OWN = "nv/a/b/c0ffee"
CACHES = {
    KERNEL: b"\x7fELF a kernel",
    GROUP: b'{"child_paths": {"k.cubin": "@/triton/ABC/k.cubin"}}',
    "inductor/fxgraph/ab/abc/def": b"\0pickled, made in @",
    "vllm/torch_compile_cache/abc/rank_0_0/model": b"\0a graph",
    "vllm/modelinfos/llama.json": b"{}",
    MODULE: b"\x7fELF a module",
    ".cache/flashinfer/0.6.13/90a/cached_ops/page/.ninja_log": b"# ninja log v5\n",
    ".cache/flashinfer/0.6.13/90a/cached_ops/page/page.cuda.o": b"\x7fELF an object",
    DRIVERS_OWN: b"sass",
    "nv/index": b"index",
    "triton/ABC/lock": b"",
    "mlc_llm/model_weights/w.bin": b"weights",
}
"""What programs leave; ``@`` stands for the cache directory."""

DRIVER = "580.65.06"
NOW = 1_795_000_000


@dataclass
class Host:
    """One host of a user.

    Attributes:
        proc: the kernel's files.
        home: the user's.
        variables: what else is in their environment.
    """

    proc: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def base(self) -> Mapping[str, str]:
        return {"HOME": str(self.home), **self.variables}

    def caches(self, generation: Generation) -> Path:
        return load_environment(generation).caches(self.base)

    def compile(self, generation: Generation, caches: Mapping[str, bytes] = CACHES) -> Path:
        """Leave what programs leave."""
        place = self.caches(generation)
        for path, data in caches.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            (place / path).write_bytes(data.replace(b"@", str(place).encode()))
        return place

    def fill(self, generation: Generation) -> Filled | None:
        return fill(generation, self.base, self.proc)

    def state(self, generation: Generation) -> State:
        return read_state(generation, self.base, self.proc)


def make_host(directory: Path, *models: str, driver: str = DRIVER) -> Host:
    """A host with these GPUs."""
    proc, home = directory / "proc", directory / "home"
    for number, model in enumerate(models):
        place = proc / f"driver/nvidia/gpus/0000:{number:02}:00.0"
        place.mkdir(parents=True)
        (place / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 1\n")
    if models:
        version = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Sun Jul 20\n"
        (proc / "driver/nvidia/version").write_text(version)
    proc.mkdir(exist_ok=True, parents=True)
    home.mkdir(mode=0o700)
    return Host(proc, home)


def pack(generation: Generation, host: Host, store: TrustStore, output: Path, by: str = "builder") -> Packed:
    """Pack what a host's user has, signed by somebody."""
    return pack_layer(generation, host.base, store, signer(by).sign, output, NOW, proc=host.proc)


def add(path: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore) -> Added:
    return add_layer(path, generation, prefix, store, host.base, proc=host.proc)


def tar_of(members: Mapping[str, bytes]) -> bytes:
    """A tar as a layer holds it, of whatever names."""
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
