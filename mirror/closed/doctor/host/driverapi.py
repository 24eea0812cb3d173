"""What the CUDA driver itself answers: its version, its devices, or the number of its error.

It holds the question and what each answer means; the question is asked by a child process with a time limit, because a sick
GPU can hang whoever opens it, and in the caller's own environment, because ``LD_LIBRARY_PATH`` decides which ``libcuda`` is
loaded.

Rules: nobody is asked when the device nodes are not all there, for the driver would then try to make them; only ``cuInit`` and
queries are called, no context is made and no memory taken.

Example::

    answer = ask_driver(os.environ)
    answer.code, answer.gpus        # 0, (Gpu('NVIDIA H100 80GB HBM3', '9.0'),)
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mirror.closed.doctor.host.nvidia import Gpu, Nvidia
from mirror.closed.host.command import TIMED_OUT, run
from mirror.core.logs.finding import About, Finding
from mirror.core.words import counted

_TIMEOUT_S = 60
"""An HGX machine without persistence mode takes some 20 s to wake all its GPUs."""

_ASK = """\
import ctypes, json
answer = {"code": -1, "error": "", "path": "", "version": 0, "devices": [], "apart": None}
def number(call, *arguments):
    value = ctypes.c_int()
    return value.value if call(ctypes.byref(value), *arguments) == 0 else 0
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    with open("/proc/self/maps") as maps:
        answer["path"] = next((line.split()[-1] for line in maps if "libcuda.so" in line), "")
    answer["code"] = cuda.cuInit(0)
    answer["version"] = number(cuda.cuDriverGetVersion)
    for index in range(number(cuda.cuDeviceGetCount) if answer["code"] == 0 else 0):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        cuda.cuDeviceGet(ctypes.byref(device), index)
        cuda.cuDeviceGetName(name, 256, device)
        major, minor = number(cuda.cuDeviceGetAttribute, 75, device), number(cuda.cuDeviceGetAttribute, 76, device)
        answer["devices"].append([name.value.decode("utf-8", "replace"), "%d.%d" % (major, minor)])
    devices = range(len(answer["devices"]))
    if len(devices) > 1:
        answer["apart"] = [
            [one, other] for other in devices for one in range(other)
            if not (number(cuda.cuDeviceCanAccessPeer, one, other) and number(cuda.cuDeviceCanAccessPeer, other, one))
        ]
except (OSError, AttributeError) as exc:
    answer["error"] = str(exc)
print(json.dumps(answer))
"""

_CODES = {
    34: ("45", "the library is a stub, made to link against and not to run",
         "take every 'stubs' directory out of LD_LIBRARY_PATH"),
    35: ("46", "the driver is older than the CUDA that is asked of it", "a newer driver, or a stack of an older CUDA"),
    100: ("53", "no device can be seen: /dev/nvidia*, their permissions, or CUDA_VISIBLE_DEVICES",
          "unset CUDA_VISIBLE_DEVICES; ask the administrator for the devices"),
    101: ("53", "CUDA_VISIBLE_DEVICES names a device that is not there", "correct CUDA_VISIBLE_DEVICES"),
    802: ("52", "the fabric manager of an NVSwitch machine has not set up the GPUs",
          "ask the administrator to start nvidia-fabricmanager of the driver's own version"),
    803: ("50", "the libcuda that is loaded is of another version than the kernel module",
          "take the compat directory out of LD_LIBRARY_PATH and of ld.so.conf"),
    804: ("51", "cuda-compat serves data centre GPUs only", "take the compat directory out of LD_LIBRARY_PATH"),
    999: ("53", "the driver is in a bad state, or nvidia-uvm is missing",
          "ask the administrator to look at dmesg and to reload the driver"),
}  # fmt: skip
"""CUresult of cuInit -> row of CUDA.md E, cause, next step."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        code: of ``cuInit``: 0 when all is well, -1 when the library could not be used, ``TIMED_OUT`` when it gave none in time.
        error: the loader's words, when the library could not be used.
        library: the file that was loaded.
        release: the newest CUDA release that this library supports, ``"13.0"``.
        gpus: those that a program of this shell sees.
        apart: pairs of them, by their numbers, of which one cannot read the other's memory; None with fewer than two.
    """

    code: int
    error: str = ""
    library: str = ""
    release: str = ""
    gpus: tuple[Gpu, ...] = ()
    apart: tuple[tuple[int, int], ...] | None = None


def ask_driver(variables: Mapping[str, str], timeout_s: float = _TIMEOUT_S) -> Answer:
    """Ask in a child process; always answers.

    Args:
        variables: the environment that programs are started with.
    """
    # Starting, the driver makes its cache directory ~/.nv, unless it is told that there is to be none.
    quiet = {**variables, "CUDA_CACHE_DISABLE": "1"}
    finished = run([sys.executable, "-I", "-S", "-c", _ASK], quiet, timeout_s=timeout_s)
    if finished.code == TIMED_OUT:
        return Answer(TIMED_OUT)
    try:
        facts = json.loads(finished.output.strip().splitlines()[-1])
        version, apart = int(facts["version"]), facts["apart"]
        return Answer(
            code=int(facts["code"]),
            error=str(facts["error"]),
            library=str(facts["path"]),
            release=f"{version // 1000}.{version % 1000 // 10}" if version else "",
            gpus=tuple(Gpu(str(model), str(capability)) for model, capability in facts["devices"]),
            apart=None if apart is None else tuple((int(one), int(other)) for one, other in apart),
        )
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return Answer(-1, finished.tail(1) or f"the process that asked ended with {finished.code}")


def can_be_asked(nvidia: Nvidia) -> bool:
    """Whether asking can change nothing: the driver makes device nodes that are missing."""
    names = {node.rpartition("/")[2] for node in nvidia.nodes}
    return bool(nvidia.driver and nvidia.gpu_nodes and {"nvidiactl", "nvidia-uvm"} <= names)


def judge_answer(answer: Answer, nvidia: Nvidia) -> Iterable[Finding]:
    """What the answer means."""
    subject, proof = "CUDA driver", f"cuInit(0) of {answer.library or 'libcuda.so.1'}"
    if answer.code == TIMED_OUT:
        yield About(subject).problem(
            f"the driver gave no answer within {_TIMEOUT_S} s",
            cause="a GPU has fallen off the bus, or the driver hangs",
            proof=proof,
            fix="ask the administrator to look at dmesg for 'Xid'",
            row="53",
        )
    elif answer.code == -1:
        yield About(subject).problem(
            f"driver {nvidia.driver} is loaded, and libcuda.so.1 cannot be: {answer.error}",
            cause="the driver's library is in a directory that the loader does not search",
            proof="/sbin/ldconfig -p",
            fix="put its directory into LD_LIBRARY_PATH and TRITON_LIBCUDA_PATH",
            row="30",
        )
    elif answer.code:
        row, cause, fix = _CODES.get(
            answer.code, ("", "see the CUDA driver API's list of errors", "ask the administrator")
        )
        yield About(subject).problem(f"the driver refuses to start, with error {answer.code}", cause, proof, fix, row)
    else:
        yield About(subject).good(
            f"it starts, supports CUDA {answer.release} and shows {counted(len(answer.gpus), 'GPU')}",
            proof=proof,
        )
        yield from _other_library(answer, nvidia, proof)


def _other_library(answer: Answer, nvidia: Nvidia, proof: str) -> Iterable[Finding]:
    version = re.search(r"libcuda\.so\.(\d+\.[\d.]+\d)$", answer.library)
    if version and version[1] != nvidia.driver:
        yield About("CUDA driver").warning(
            f"libcuda is of driver {version[1]}, the kernel module of {nvidia.driver}",
            cause="a cuda-compat directory comes first; it works here, and fails with 803 after the next driver update",
            proof=proof,
            fix="keep it only if the stack needs a newer CUDA than the driver has",
            row="50",
        )
