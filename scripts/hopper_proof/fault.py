"""The faults that are made on purpose, and the words by which the doctor's answer is known to be right.

What makes a fault is shell, ``faults/NAME.sh``, sourced in the generation's environment before the server starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).with_name("faults")


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        what: what is wrong with the host.
        said: words of which one must be in what ``mirror doctor --log`` says.
        options: of the server.
        variables: set before the server starts.
        survives: whether the server answers all the same, so that there is nothing to explain.
    """

    name: str
    what: str
    said: tuple[str, ...]
    options: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    survives: bool = False

    @property
    def shell(self) -> str:
        """What is run before the server."""
        script = SCRIPTS / f"{self.name}.sh"
        return f'. "$PROOF_FAULTS/{script.name}";' if script.exists() else ""


TWO = (
    "--tensor-parallel-size",
    "2",
    "--compilation-config",
    '{"pass_config": {"fuse_allreduce_rms": false}}',
)
"""A server over two GPUs. The pass would have FlashInfer set up NVLink multicast (see ``prove.NO_MULTICAST``)."""

FAULTS = (
    Fault("no-compiler", "no C or C++ compiler on the PATH", ("host compiler", "compiler")),
    Fault("other-toolkit", "CUDA_HOME names a toolkit that is gone", ("CUDA_HOME", "nvcc")),
    Fault("shadowed", "LD_LIBRARY_PATH names a toolkit's libraries", (), survives=True),
    Fault("no-gpu", "every GPU is hidden", ("CUDA_VISIBLE_DEVICES",), variables=(("CUDA_VISIBLE_DEVICES", ""),)),
    Fault("no-model", "a model that was not carried", ("hub", "model"), variables=(("PROOF_MODEL", "acme/absent"),)),
    Fault(
        "long-context",
        "a longer context than the model's",
        ("max-model-len", "max_model_len"),
        ("--max-model-len", "9000000"),
    ),
    Fault("gpu-memory", "another program has the GPU's memory", ("memory",), ("--gpu-memory-utilization", "0.95")),
    Fault("open-files", "a limit of 64 open files", ("open files", "ulimit")),
    Fault("full-disk", "the caches' file system is full (with --small)", ("space", "full")),
    Fault("foreign-cache", "the caches belong to somebody else", ("ermission", "write")),
    Fault(
        "stale-cache",
        "a cached kernel was linked with another CUDA (after all stages: it spoils the cache)",
        ("libcudart.so.12",),
    ),
    Fault(
        "shm-of-one",
        "1 MiB of /dev/shm (with --small); the engine's worker in a process of its own",
        (),
        ("--distributed-executor-backend", "mp"),
        survives=True,
    ),
    Fault(
        "cubin-version",
        "flashinfer-cubin of another version",
        ("flashinfer-cubin",),
        ("--attention-backend", "FLASHINFER"),
    ),
    Fault(
        "no-interface",
        "NCCL_SOCKET_IFNAME names no interface; two GPUs",
        ("NCCL_SOCKET_IFNAME",),
        TWO,
        (("NCCL_SOCKET_IFNAME", "ens99"),),
    ),
    Fault(
        "one-of-two",
        "one of two GPUs is hidden",
        ("fewer GPUs", "CUDA_VISIBLE_DEVICES"),
        TWO,
        (("CUDA_VISIBLE_DEVICES", "0"),),
    ),
    Fault("small-shm", "1 MiB of /dev/shm (with --small); two GPUs that reach each other", (), TWO, survives=True),
    Fault(
        "shm-transport",
        "1 MiB of /dev/shm (with --small); two GPUs that are kept from reaching each other (NCCL 2.28 needs none of it)",
        (),
        TWO,
        (("NCCL_P2P_DISABLE", "1"),),
        survives=True,
    ),
)
