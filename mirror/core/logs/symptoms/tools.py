"""E3: finding CUDA, Python and tools.

Rule: what torch or FlashInfer say of a GPU on a machine without one misleads (31, 32): the row says so.
"""

from __future__ import annotations

from mirror.core.logs.compilerwords import HEADER_FRAGMENTS, header_pattern
from mirror.core.logs.symptom import Symptom

_BUILD_STEPS = r"to build (?:wheel|editable)|build_(?:wheel|editable)|build-env|setup\.py|metadata-generation-failed"

SYMPTOMS = (
    Symptom(
        "24",
        "CUDA_HOME",
        "torch found no CUDA toolkit",
        "CUDA_HOME and CUDA_PATH are not set, or name a toolkit that is gone; nor is nvcc on PATH or in /usr/local/cuda",
        "echo $CUDA_HOME; command -v nvcc",
        "source the install's env.sh in the shell, unit or job script that starts the server",
        ("CUDA_HOME environment variable is not set", "CUDA was not found on the system, please set the CUDA_HOME"),
    ),
    Symptom(
        "25",
        "CUDA_HOME",
        "FlashInfer found no nvcc",
        "CUDA_HOME and CUDA_PATH are not set, or name a toolkit that is gone; nor is nvcc on PATH or in /usr/local/cuda",
        "echo $CUDA_HOME; command -v nvcc",
        "source the install's env.sh in the shell, unit or job script that starts the server",
        ("Could not find nvcc and default cuda_home=", "nvcc not found and PyTorch is not built with CUDA"),
    ),
    Symptom(
        "26",
        "CUDA major",
        "the toolkit is CUDA {toolkit}, torch was compiled with CUDA {torch}",
        "an extension must be built with the major version that torch was compiled with",
        "$CUDA_HOME/bin/nvcc --version; python -c 'import torch; print(torch.version.cuda)'",
        "lock the toolkit of torch's CUDA ([target] cuda in NAME.toml), or a torch of the toolkit's",
        ("The detected CUDA version (",),
        r"The detected CUDA version \((?P<toolkit>[\d.]{1,12})\) mismatches the version that was used to compile[\s\S]{0,120}?"
        r"PyTorch \((?P<torch>[\w.]{1,12})\)",
    ),
    Symptom(
        "27",
        "Python.h",
        "the C compiler did not find {file}",
        "this Python came without its headers, or was moved away from them, and Triton and inductor compile with them",
        'python -c \'import sysconfig, os; print(os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))\'',
        "install with a Python that has them ('mirror install --python FILE'), carry one ([interpreter] in NAME.toml), or ask "
        "for python3.X-devel on the host",
        HEADER_FRAGMENTS,
        header_pattern(r"(?:Python\.h|(?:[\w.-]{1,80}/){0,3}pyconfig\.h)"),
    ),
    Symptom(
        "28",
        "host compiler",
        "Triton found no C compiler",
        "Triton compiles its launchers with gcc or clang at run time, and neither is on PATH",
        "command -v gcc clang; echo $CC",
        "put a gcc on the server's PATH, or export CC=/path/to/gcc",
        ("Failed to find C compiler",),
    ),
    Symptom(
        "29",
        "ninja",
        "ninja is not on PATH",
        "the wheel puts ninja in the venv's bin, and the server was started without that on PATH",
        "command -v ninja; ls $VIRTUAL_ENV/bin/ninja",
        "source the install's env.sh (it puts venv/bin on PATH) in what starts the server",
        ("Ninja is required to load C++ extensions", "No such file or directory: 'ninja'", "ninja: command not found"),
    ),
    Symptom(
        "30",
        "driver library",
        "Triton did not find libcuda.so.1",
        "it asks ldconfig, then LD_LIBRARY_PATH, and the driver's library is in a directory that neither names",
        "/sbin/ldconfig -p | grep libcuda; find / -name 'libcuda.so.1' 2>/dev/null",
        "export TRITON_LIBCUDA_PATH=/the/directory/of/libcuda.so.1",
        ("libcuda.so cannot found!",),
    ),
    Symptom(
        "31",
        "GPU architecture",
        "FlashInfer says that it needs sm75 or higher; likely it saw no GPU at all",
        "with no GPU visible and FLASHINFER_CUDA_ARCH_LIST unset its list of architectures is empty",
        "ls /dev/nvidia0; echo $FLASHINFER_CUDA_ARCH_LIST; nvcc --version",
        "export FLASHINFER_CUDA_ARCH_LIST=\"9.0a\" (for Hopper; '. env.sh' sets it)",
        ("FlashInfer requires GPUs with sm75 or higher",),
        is_certain=False,
    ),
    Symptom(
        "32",
        "GPU architecture",
        "torch's build found no GPU to compile for",
        "with no GPU visible and TORCH_CUDA_ARCH_LIST unset its list of architectures is empty",
        "ls /dev/nvidia0; echo $TORCH_CUDA_ARCH_LIST",
        "export TORCH_CUDA_ARCH_LIST=\"9.0\" (for Hopper; '. env.sh' sets it)",
        ("arch_list[-1] += '+PTX'", "IndexError: list index out of range"),
        near="_get_cuda_arch_flags",
    ),
    Symptom(
        "33",
        "GPU architecture",
        "torch does not know the architecture {arch}",
        "TORCH_CUDA_ARCH_LIST holds a value that this torch does not know; it takes blanks or semicolons, no commas",
        "echo $TORCH_CUDA_ARCH_LIST",
        'export TORCH_CUDA_ARCH_LIST="9.0" (or "9.0a"; FlashInfer has its own FLASHINFER_CUDA_ARCH_LIST)',
        ("Unknown CUDA arch (",),
        r"Unknown CUDA arch \((?P<arch>[^\n)]{0,80})\) or GPU not supported",
    ),
    Symptom(
        "34",
        "build isolation",
        "an sdist's build did not find torch",
        "pip builds in an empty environment, and the sdist imports torch without naming it as a build requirement",
        "tar xOf the sdist --wildcards '*/pyproject.toml' | grep -A9 build-system",
        "build it on the connected side (build in [python] of NAME.toml); by hand: pip install --no-build-isolation ./sdist",
        ("No module named 'torch'",),
        near=_BUILD_STEPS,
    ),
)
