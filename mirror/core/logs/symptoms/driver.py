"""E5: the driver and the GPU.

Rule: these are the host's affair; the fix says what a user can do, and what to ask the administrator for.
"""

from __future__ import annotations

from mirror.core.logs.symptom import Symptom

_BLIND = ("31", "32")
"""What FlashInfer's and torch's builds say when no GPU can be seen."""

SYMPTOMS = (
    Symptom(
        "45",
        "driver library",
        "the toolkit's stub of libcuda.so was loaded in place of the driver's library",
        "a directory stubs of a toolkit is on LD_LIBRARY_PATH",
        "echo $LD_LIBRARY_PATH | tr ':' '\\n' | grep stubs",
        "take the stubs directory out of LD_LIBRARY_PATH; it belongs behind -L at link time only",
        ("CUDA driver is a stub library", "CUDA_ERROR_STUB_LIBRARY", "cudaErrorStubLibrary"),
        explains=_BLIND,
    ),
    Symptom(
        "46",
        "driver",
        "the GPU driver is older than this CUDA needs",
        "a CUDA major needs a driver of its time: 12.x runs on 525.60.13 and later, 13.x on 580 and later",
        "cat /proc/driver/nvidia/version",
        "ask for a newer driver, lock the stack for an older CUDA ([target] cuda), or, in a data centre, use cuda-compat",
        ("The NVIDIA driver on your system is too old",),
        explains=(*_BLIND, "53"),
    ),
    Symptom(
        "46",
        "driver",
        "the GPU driver is older than this CUDA needs, or no driver's library was found at all",
        "12.x runs on 525.60.13 and later, 13.x on 580 and later; without libcuda.so.1 the runtime says the same",
        "cat /proc/driver/nvidia/version; /sbin/ldconfig -p | grep libcuda",
        "ask for a newer driver, lock the stack for an older CUDA ([target] cuda), or, in a data centre, use cuda-compat",
        ("CUDA driver version is insufficient for CUDA runtime version", "cudaErrorInsufficientDriver"),
        explains=(*_BLIND, "53"),
        is_certain=False,
    ),
    Symptom(
        "47",
        "GPU architecture",
        "a library holds no code for this GPU",
        "it was compiled for other architectures (an old sm_90 wheel on a newer GPU, or the wrong TORCH_CUDA_ARCH_LIST)",
        "cuobjdump -lelf the .so that the traceback names; nvidia-smi --query-gpu=name,compute_cap --format=csv",
        "build it again for this GPU ([target] gpu in NAME.toml), or take a release that has it",
        ("no kernel image is available for execution on the device", "CUDA_ERROR_NO_BINARY_FOR_GPU"),
    ),
    Symptom(
        "48",
        "driver",
        "the driver is too old to compile this PTX",
        "the code comes as PTX of a newer CUDA than the driver's; with minor version compatibility only compiled SASS runs",
        "cuobjdump -lelf -lptx the .so that the traceback names; cat /proc/driver/nvidia/version",
        "build it with code for this GPU ([target] gpu in NAME.toml), or ask for a driver of that CUDA release",
        ("the provided PTX was compiled with an unsupported toolchain", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"),
    ),
    Symptom(
        "49",
        "driver",
        "the driver's PTX compiler was not found",
        "libnvidia-ptxjitcompiler.so.1, a part of the driver, is missing, often because a container does not mount it",
        "/sbin/ldconfig -p | grep ptxjitcompiler",
        "have the container started with the driver's compute and utility parts (NVIDIA_DRIVER_CAPABILITIES=compute,utility)",
        ("PTX JIT compiler library not found", "CUDA_ERROR_JIT_COMPILER_NOT_FOUND"),
    ),
    Symptom(
        "50",
        "driver library",
        "libcuda.so and the driver's kernel module are of two versions",
        "another libcuda.so, often of cuda-compat, comes before the driver's, or the driver was updated without a reboot",
        "/sbin/ldconfig -p | grep libcuda; echo $LD_LIBRARY_PATH; cat /proc/driver/nvidia/version",
        "take the compat directory out of LD_LIBRARY_PATH and of /etc/ld.so.conf.d; after an update, ask for a reboot",
        (
            "system has unsupported display driver / cuda driver combination",
            "System has unsupported display driver / cuda driver combination",
            "cudaErrorSystemDriverMismatch",
        ),
        explains=(*_BLIND, "53"),
    ),
    Symptom(
        "51",
        "driver library",
        "cuda-compat was loaded on a GPU that it does not support",
        "forward compatibility is for data centre GPUs, and its libcuda.so is on the path of another one",
        "nvidia-smi -L; echo $LD_LIBRARY_PATH | grep compat",
        "take the compat directory out of LD_LIBRARY_PATH",
        ("forward compatibility was attempted on non supported HW", "cudaErrorCompatNotSupportedOnDevice"),
        explains=_BLIND,
    ),
    Symptom(
        "52",
        "fabric manager",
        "the GPUs' fabric is not set up yet",
        "on an HGX host with NVSwitch the fabric manager is not running, or is of another version than the driver",
        "nvidia-smi -q | grep -A3 -i fabric; systemctl status nvidia-fabricmanager",
        "ask the administrator to start nvidia-fabricmanager of the driver's version",
        ("system not yet initialized", "cudaErrorSystemNotReady", "CUDA_ERROR_SYSTEM_NOT_READY"),
        explains=_BLIND,
    ),
    Symptom(
        "53",
        "GPU",
        "no GPU could be used",
        "there is no /dev/nvidia*, this user may not open it, or CUDA_VISIBLE_DEVICES names none",
        "ls -l /dev/nvidia*; echo $CUDA_VISIBLE_DEVICES; nvidia-smi -L",
        "unset CUDA_VISIBLE_DEVICES if it is wrong; else ask for the GPU in the job, or for access to /dev/nvidia*",
        (
            "no CUDA-capable device is detected",
            "No CUDA GPUs are available",
            "Found no NVIDIA driver on your system",
            "CUDA unknown error - this may be due to an incorrectly set up environment",
            "CUDA-capable device(s) is/are busy or unavailable",
        ),
        explains=_BLIND,
        is_certain=False,
    ),
)
