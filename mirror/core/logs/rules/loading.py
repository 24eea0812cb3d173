"""Loading libraries: any library that is missing, any symbol, by whose it is."""

from __future__ import annotations

from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.layers import DRIVER, LOADER, PACKAGE
from mirror.core.logs.rules.rule import DAMAGED, Rule

_ABSENT = r"(?:: cannot open shared object file|: cannot open|' ?not found| => not found)"
"""How the loader, ldd and ctypes say that a library is not there."""

_OF_HOSTS = (
    r"numa|GL|EGL|GLX|GLdispatch|OpenGL|glib|gthread|gomp|stdc\+\+|gcc_s|atomic|z|bz2|lzma|zstd|ssl|crypto|ffi|xml2|sqlite3|"
    r"expat|tinfo|ncurses\w*|readline|uuid|elf|dw|aio|hwloc|ibverbs|rdmacm|mlx\d|ibumad|nl-\w+|efa|fabric|ucp|uct|ucs|"
    r"pciaccess|X\w+|xcb|SM|ICE|sndfile|sox|avcodec|avformat|avutil|swscale|jpeg|png16|tiff|webp|curl|gfortran|quadmath|"
    r"blas|lapack|openblas|tcmalloc\w*|jemalloc|crypt|nsl|systemd|udev|cap|mpi"
)
"""Libraries that systems have in packages of their own."""

_OF_CUDA = (
    r"(?:nv(?:rtc|JitLink|FatBin|PTX)|cu(?:blas|blasLt|dnn|sparse|sparseLt|solver|rand|fft|file|pti|dss|TENSOR)|"
    r"npp|nvjpeg|cudart)"
)
"""How names of CUDA's libraries begin, and of what is in them."""

RULES = (
    Rule(
        "driver-library-missing",
        DRIVER,
        (
            (
                r"(?P<library>lib(?:cuda|nvidia-[\w-]+|nvcuvid|nvoptix)\.so(?:\.\d+)?)(?:: cannot open shared object file|"
                r": cannot open|' ?not found| => not found|: file too short|: invalid ELF header)"
            ),
        ),
        "{library}, a library of the GPU driver, was not found",
        "there is no driver here, its directory is not on the loader's path, or the container was started "
        "without the GPU",
        "/sbin/ldconfig -p | grep -E 'libcuda|libnvidia-ml'; ls -l /dev/nvidia*; nvidia-smi",
        "run it where the driver is (in the job or container with the GPU: --gpus all, --nv); the driver is the "
        "host's and is never carried",
    ),
    Rule(
        "damaged-library",
        LOADER,
        (
            (
                r"(?:^|(?<=[\s'\"(=]))(?P<library>/(?!\S*(?:cache|cached_ops|triton|inductor|tvm-ffi|jit))\S+\.so[\w.]*): "
                rf"{DAMAGED}"
            ),
        ),
        "{library} is there, and is not whole or not for this machine",
        "it was cut short when it was copied or its disk was full, or it is of another architecture",
        "file {library}; ls -l {library}; mirror status --check",
        "mirror install --repair BUNDLE builds a damaged install anew; another's library: install it again",
    ),
    Rule(
        "nvrtc-builtins-missing",
        LOADER,
        (r"failed to open (?P<library>libnvrtc-builtins\.so[\w.]*)",),
        "{library} is not beside the libnvrtc that was loaded",
        "libnvrtc loads its builtins of the very same CUDA release by name; it came from another place than they did",
        "find / -name 'libnvrtc*' -not -path '/proc/*' 2>/dev/null; echo $LD_LIBRARY_PATH",
        "let one nvrtc be found, with its builtins beside it: take the other toolkit out of LD_LIBRARY_PATH, or "
        "carry cuda-nvrtc of that release",
    ),
    Rule(
        "package-library-missing",
        LOADER,
        (
            (
                r"(?P<library>lib(?:nccl|nvshmem_host|cudnn\w*|cusparseLt|cufile|torch\w*|c10\w*|tvm_ffi|nvrtc|cublas\w*|"
                r"cudart|cusparse|cusolver|curand|cufft|nvJitLink|"
                rf"nvToolsExt)\.so[\w.]*){_ABSENT}"
            ),
        ),
        "{library}, which a wheel of the venv brings, was not found",
        "its wheel is not installed, is of another CUDA major, or the library was loaded before torch put its "
        "directory on the path",
        "find $VIRTUAL_ENV -name '{library}*'; " + VERSIONS + " | grep -i -E 'nvidia|torch'",
        "keep to one CUDA major and let its nvidia-* wheel be in the lock; where it is there, import torch first",
        is_certain=False,
    ),
    Rule(
        "python-library-missing",
        LOADER,
        (rf"(?P<library>libpython\d[\w.]*?\.so[\w.]*){_ABSENT}",),
        "{library}, the interpreter's own library, was not found",
        "this user may not read the directory that the interpreter lies in (below /root, say), it was moved, or another "
        "Python runs",
        "command -v python; python -c 'import sys; print(sys.base_prefix)'; find / -name '{library}*' 2>/dev/null",
        "use an interpreter in a place that all may read (one that the bundle carries), or put its lib on LD_LIBRARY_PATH",
        is_certain=False,
    ),
    Rule(
        "host-library-missing",
        LOADER,
        (rf"(?P<library>lib(?:{_OF_HOSTS})(?:-[\w.]+)?\.so[\w.]*){_ABSENT}",),
        "{library} was not found when a program was loaded",
        "no package of the stack brings it: it is the host's, and not installed there, or not on the loader's path",
        "/sbin/ldconfig -p | grep '{library}'; find / -name '{library}*' -not -path '/proc/*' 2>/dev/null",
        "ask the administrator for the package that has it (libnuma.so.1: numactl-libs or libnuma1), or put a "
        "copy's directory on LD_LIBRARY_PATH",
        may_be=(rf"(?P<library>lib[\w.+-]+?\.so[\w.]*){_ABSENT}",),
    ),
    Rule(
        "cuda-library-shadowed",
        LOADER,
        (
            rf"undefined symbol: \w*, version lib{_OF_CUDA}",
            rf"symbol \w+,? version lib{_OF_CUDA}",
            rf"undefined symbol: (?:__)?{_OF_CUDA}\w*",
            rf"version 'lib{_OF_CUDA}\S*' not found",
            r"CUDNN_STATUS_(?:SUBLIBRARY_VERSION_MISMATCH|VERSION_MISMATCH)",
            r"cuDNN version incompatibility",
        ),
        "a CUDA library of another release than torch's own was loaded",
        "a toolkit's lib directory on LD_LIBRARY_PATH, in LD_PRELOAD or in ld.so.conf comes before the wheels "
        "that torch was built with (or, for cuBLAS alone, the GPU's memory was full or its call was wrong)",
        "echo $LD_LIBRARY_PATH; LD_DEBUG=libs python -c 'import torch' 2>&1 | grep -E "
        "'libnvJitLink|libcublas|libcudnn|libcusparse'",
        "unset LD_LIBRARY_PATH LD_PRELOAD (the toolkit belongs into LIBRARY_PATH), and start again; if it stays, "
        "see the memory of the GPU",
        may_be=(
            r"CUDNN_STATUS_NOT_INITIALIZED",
            r"unable to find an engine to execute this computation",
            r"CUBLAS_STATUS_(?:INVALID_VALUE|NOT_SUPPORTED|INTERNAL_ERROR)",
        ),
    ),
    Rule(
        "nccl-older",
        LOADER,
        (r"undefined symbol: (?P<symbol>nccl\w+)",),
        "an older NCCL than is needed was loaded: it lacks {symbol}",
        "a libnccl of the host or on LD_LIBRARY_PATH or LD_PRELOAD comes before that of the venv, or the venv's own was "
        "exchanged",
        "echo $LD_LIBRARY_PATH $LD_PRELOAD; LD_DEBUG=libs python -c 'import torch' 2>&1 | grep libnccl",
        "unset LD_PRELOAD, and take that library's directory out of LD_LIBRARY_PATH",
    ),
    Rule(
        "driver-older",
        DRIVER,
        (r"undefined symbol: (?P<symbol>cu[A-Z]\w+|nvml\w+)",),
        "the driver's library lacks {symbol}",
        "the driver is older than the CUDA release that this was built for, a stub was loaded in its place, or (where the "
        "symbol is an old one) the module was linked without libcuda",
        "cat /proc/driver/nvidia/version; echo $LD_LIBRARY_PATH | tr ':' '\\n' | grep -E 'stubs|compat'",
        "ask for a newer driver, or lock the stack for an older CUDA; take stubs out of LD_LIBRARY_PATH",
        is_certain=False,
    ),
    Rule(
        "torch-abi",
        PACKAGE,
        (
            (
                r"undefined symbol: (?P<symbol>_ZN?K?(?:N?K?)(?:5torch|3c10|2at|6caffe2|5cuda|3jit)\w*|aoti_torch\w*|"
                r"torch_\w+)"
            ),
        ),
        "an extension was built for another torch: {symbol}",
        "the extension and torch were compiled from different releases; the symbol is torch's own",
        "python -c 'import torch; print(torch.__version__)'; " + VERSIONS,
        "install the extension that was built for this torch, or build it again (build in [python] of NAME.toml)",
    ),
    Rule(
        "python-abi",
        PACKAGE,
        (r"undefined symbol: (?P<symbol>_?Py\w+)",),
        "an extension was built for another Python: it wants {symbol}",
        "the extension was compiled for another Python version than the one that runs",
        "python --version; ls the directory of the .so that is named",
        "install the wheel for this Python; lock again with the target's version in [target]",
    ),
    Rule(
        "own-symbol-missing",
        PACKAGE,
        (r"undefined symbol: (?P<symbol>[\w@.]+)",),
        "a compiled module lacks its own {symbol}",
        "the function was left out when the module was built: its build was for other GPUs "
        "(TORCH_CUDA_ARCH_LIST) or another CUDA, or files of two versions are mixed",
        "c++filt {symbol}; " + VERSIONS,
        "take the release's wheel for this CUDA, or build it again with this GPU's architecture; remove what an "
        "older version left",
        is_certain=False,
    ),
    Rule(
        "cannot-map-library",
        LOADER,
        (r"failed to map segment from shared object",),
        "a library could not be mapped as code",
        "its directory is on a file system that is mounted noexec, or a limit of the address space (ulimit "
        "-v) is too low for it",
        "findmnt -no OPTIONS -T the file that is named; ulimit -v",
        "move it (or its cache) to a file system without noexec; ulimit -v unlimited",
        is_certain=False,
    ),
    Rule(
        "cpu-instructions",
        PACKAGE,
        (r"[Ii]llegal instruction(?! was encountered)", r"SIGILL", r"requires? (?:AVX|AMX|avx)"),
        "a program uses instructions that this processor does not have",
        "a package was built for newer processors (AVX-512, AVX2) than this host's",
        "grep -o -w -E 'avx2|avx512f|avx512_bf16' /proc/cpuinfo | sort -u",
        "take a build for this processor ([target] in NAME.toml), or another host",
        is_certain=False,
    ),
    Rule(
        "static-tls",
        LOADER,
        (r"cannot allocate memory in static TLS block",),
        "a library could not be loaded late: the room for its thread-local data is used up",
        "it wants static thread-local storage, and was loaded after the program's start",
        "echo $LD_PRELOAD",
        "export LD_PRELOAD to the library that the line names, for this program alone, or import it first",
    ),
    Rule(
        "exec-stack",
        LOADER,
        (r"cannot enable executable stack",),
        "the kernel or SELinux refused a library that asks for an executable stack",
        "the library was linked so, and the host forbids it",
        "readelf -lW the library that is named | grep STACK; getenforce",
        "take a newer release of it, or ask the administrator",
    ),
)
