"""FlashInfer's decode and prefill attention, compiled on first use and compared with a float64 reference.

Run by ``scripts/hopper-proof`` in the environment of an installed generation, with the machine's own torch on the path.
Prints one JSON object: for each operation the seconds of its first call (compilation and all) and of a later one, and the
greatest difference from the reference; then what lies in FlashInfer's cache.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Callable

import flashinfer
import torch

HEADS, KV_HEADS, DIM = 32, 8, 128
TOLERANCE = 2e-3
"""fp16 holds 11 bits and the results are about 1: half a unit in the last place is 5e-4, the sums add some."""


def reference(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    """Attention in float64, without any kernel of FlashInfer's. Shapes: [queries, heads, dim], [keys, kv heads, dim]."""
    q, k, v = (tensor.double() for tensor in (q, k, v))
    k, v = (tensor.repeat_interleave(HEADS // KV_HEADS, dim=1) for tensor in (k, v))
    scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(DIM)
    if causal:
        queries, keys = q.shape[0], k.shape[0]
        hidden = torch.ones(queries, keys, dtype=torch.bool, device=q.device).triu(keys - queries + 1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float16, device="cuda")


def measure(call: Callable[[], torch.Tensor], expected: torch.Tensor) -> dict[str, object]:
    torch.cuda.synchronize()
    times = []
    for _ in range(2):
        begun = time.monotonic()
        result = call()
        torch.cuda.synchronize()
        times.append(time.monotonic() - begun)
    error = (result.double() - expected).abs().max().item()
    return {
        "first_s": round(times[0], 2),
        "again_s": round(times[1], 5),
        "error": float(f"{error:.2e}"),
        "right": error < TOLERANCE,
    }


def decode() -> dict[str, object]:
    q, k, v = random(HEADS, DIM), random(4096, KV_HEADS, DIM), random(4096, KV_HEADS, DIM)
    expected = reference(q[None], k, v, causal=False)[0]
    return measure(lambda: flashinfer.single_decode_with_kv_cache(q, k, v), expected)


def prefill(backend: str) -> dict[str, object]:
    q, k, v = random(1000, HEADS, DIM), random(1500, KV_HEADS, DIM), random(1500, KV_HEADS, DIM)
    expected = reference(q, k, v, causal=True)
    return measure(lambda: flashinfer.single_prefill_with_kv_cache(q, k, v, causal=True, backend=backend), expected)


def paged_decode() -> dict[str, object]:
    """What a server does: a batch of sequences whose keys and values lie in pages."""
    page, lengths = 16, (1, 17, 500, 1024)
    pages = [math.ceil(length / page) for length in lengths]
    start = torch.tensor([0, *torch.tensor(pages).cumsum(0).tolist()], dtype=torch.int32, device="cuda")
    indices = torch.randperm(sum(pages), device="cuda").int()
    last = torch.tensor([(length - 1) % page + 1 for length in lengths], dtype=torch.int32, device="cuda")
    cache = random(sum(pages), 2, page, KV_HEADS, DIM)
    q = random(len(lengths), HEADS, DIM)
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(
        torch.empty(128 << 20, dtype=torch.uint8, device="cuda"), "NHD", use_tensor_cores=False
    )

    def call() -> torch.Tensor:
        wrapper.plan(start, indices, last, HEADS, KV_HEADS, DIM, page, q_data_type=torch.float16)
        return wrapper.run(q, cache)

    expected = []
    for number, length in enumerate(lengths):
        mine = indices[start[number] : start[number + 1]].long()
        k, v = (cache[mine, which].reshape(-1, KV_HEADS, DIM)[:length] for which in (0, 1))
        expected.append(reference(q[number : number + 1], k, v, causal=False)[0])
    return measure(call, torch.stack(expected))


def cached() -> dict[str, object]:
    """The compiled modules, and the toolchain that each was compiled with, by FlashInfer's own build files."""
    base = Path(os.environ["FLASHINFER_WORKSPACE_BASE"])
    homes = set()
    for build in base.rglob("build.ninja"):
        homes.update(
            line.partition("=")[2].strip() for line in build.read_text().splitlines() if line.startswith("cuda_home")
        )
    modules = sorted(base.rglob("cached_ops/*/*.so"))
    return {
        "directory": str(base),
        "modules": len(modules),
        "compiled_now": sum(time.time() - module.stat().st_mtime < time.monotonic() - BEGUN for module in modules),
        "cuda_home": sorted(homes),
    }


BEGUN = time.monotonic()


def main() -> int:
    torch.manual_seed(0)
    operations = {
        "decode": decode,
        "paged decode": paged_decode,
        "prefill (FlashAttention 2)": lambda: prefill("fa2"),
        "prefill (FlashAttention 3, wgmma and TMA)": lambda: prefill("fa3"),
    }
    if sys.argv[1:]:
        operations = {name: call for name, call in operations.items() if name in sys.argv[1:]}
    results = {name: call() for name, call in operations.items()}
    print(
        json.dumps(
            {
                "flashinfer": flashinfer.__version__,
                "flashinfer_from": str(Path(flashinfer.__file__).parent),
                "torch": torch.__version__,
                "torch_from": str(Path(torch.__file__).parent),
                "gpu": torch.cuda.get_device_name(0),
                "capability": "{}.{}".format(*torch.cuda.get_device_capability(0)),
                "operations": results,
                "cache": cached(),
            }
        )
    )
    return 0 if all(result["right"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
