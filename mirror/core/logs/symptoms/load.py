"""E4: loading libraries, and the disks and permissions that stand in the way.

Rule: a disk's own words (43, 44) explain what fails after them.
"""

from __future__ import annotations

from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.symptom import Context, Groups, Symptom

_FILE = r"(?:(?P<file>/[^\s:'\"]{1,300}): )?$"
"""How the loader names the file before it says what is wrong with it."""


def _is_in_a_cache(context: Context, groups: Groups) -> bool:
    """Elsewhere a limit of the address space is as likely."""
    return any(
        word in groups.get("file", "").lower() for word in ("cache", "tmp", "temp", "scratch", "workspace", "inductor")
    )


SYMPTOMS = (
    Symptom(
        "35",
        "glibc",
        "{file} needs {version}, which this host's C library does not have",
        "it was built on a system with a newer glibc; a wheel's tag may promise less than its files need",
        "getconf GNU_LIBC_VERSION; objdump -T {file} | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1",
        "lock for this host's glibc ([target] glibc in NAME.toml): another version of that wheel, or one built from source",
        ("version 'GLIBC_",),
        r"version '(?P<version>GLIBC_[\w.]{1,20})' not found(?: \(required by (?P<file>[^\n)]{1,400})\))?",
    ),
    Symptom(
        "35",
        "glibc",
        "{file} needs {symbol} of {version}, which this host's C library does not have",
        "it was built on a system whose C library has it in that version; it may be a newer or another one",
        "getconf GNU_LIBC_VERSION; objdump -T {file} | grep {symbol}",
        "lock for this host's glibc ([target] glibc in NAME.toml): another version of that wheel, or one built from source",
        (", version GLIBC_", " version GLIBC_"),
        r",? version (?P<version>GLIBC_[\w.]{1,20}) not defined in file lib",
        lead=r"(?:(?P<file>/[^\s:'\"]{1,300}): )?symbol (?P<symbol>\w{1,120})$",
    ),
    Symptom(
        "36",
        "libstdc++",
        "{file} needs {version}, which the libstdc++ that was loaded does not have",
        "the host's libstdc++ is too old, or an older one comes first on LD_LIBRARY_PATH",
        "echo $LD_LIBRARY_PATH; LD_DEBUG=libs python -c 'import the module' 2>&1 | grep libstdc++",
        "take the older libstdc++'s directory out of LD_LIBRARY_PATH, or put a newer one first",
        ("version 'GLIBCXX_", "version 'CXXABI_"),
        r"version '(?P<version>(?:GLIBCXX|CXXABI)_[\w.]{1,20})' not found(?: \(required by (?P<file>[^\n)]{1,400})\))?",
    ),
    Symptom(
        "37",
        "wheel",
        "{wheel} is not for this Python or this host",
        "the wheel's tags do not fit the Python's version, the architecture or the glibc of the host",
        "python -m pip debug --verbose | grep -A9 'Compatible tags'",
        "lock again with the host's [target] in NAME.toml; a bundle's own interpreter always fits its wheels",
        (
            "is not a supported wheel",
            "has no wheels with a matching",
            "has no usable wheels",
            "incompatible with the current platform",
        ),
        r"is not a supported wheel|has no |incompatible with the current platform(?:: (?P<wheel3>[^\s]{1,300}))?",
        lead=r"(?:(?<![\w.+!-])(?P<wheel1>[\w.+!-]{1,200}\.whl) "
        r"|(?<![\w.+!-])(?P<wheel2>[\w.+-]{1,100}==[\w.+!-]{1,60})[^\w\n]{0,3} |)$",
    ),
    Symptom(
        "38",
        "CUDA runtime",
        "{library} was not found when a program was loaded",
        "a kernel or wheel was built for another CUDA major than the runtime that is installed, or none is where it looks",
        VERSIONS + " | grep -i -E 'nvidia-cuda-runtime|torch'; find $VIRTUAL_ENV -name 'libcudart.so*'",
        "keep to one CUDA major in a venv: lock torch, vllm and FlashInfer of one; after a change start with fresh JIT caches",
        ("libcudart.so.", "libcublas.so.", "libcublasLt.so.", "libnvrtc.so."),
        r"(?P<library>lib(?:cudart|cublas|cublasLt|nvrtc)\.so\.\d{1,3})[\w.]{0,20}: cannot open shared object file",
    ),
    Symptom(
        "39",
        "NCCL",
        "an older NCCL than torch needs was loaded: it lacks {symbol}",
        "a libnccl of the system or on LD_LIBRARY_PATH or LD_PRELOAD comes before that of torch's wheel, or that was exchanged",
        "echo $LD_LIBRARY_PATH $LD_PRELOAD; LD_DEBUG=libs python -c 'import torch' 2>&1 | grep libnccl",
        "unset LD_PRELOAD, and take that library's directory out of LD_LIBRARY_PATH",
        ("undefined symbol: nccl",),
        r"undefined symbol: (?P<symbol>nccl\w{1,80})",
    ),
    Symptom(
        "40",
        "torch's ABI",
        "{file} was built for another torch: {symbol}",
        "the extension was compiled for another torch version or C++ ABI ('Ss' in the name is the old one) than is installed",
        "python -c 'import torch; print(torch.__version__, torch._C._GLIBCXX_USE_CXX11_ABI)'; c++filt {symbol}",
        "install the extension that was built for this torch, or build it again (build in [python] of NAME.toml)",
        ("undefined symbol: _Z",),
        r"undefined symbol: (?P<symbol>_Z(?:N?K?(?:5torch|3c10|2at|6caffe2)\w{0,300}))",
        lead=_FILE,
    ),
    Symptom(
        "41",
        "CUDA runtime",
        "two CUDA runtimes are loaded in one process",
        "the toolkit's lib directory is on LD_LIBRARY_PATH (or in ld.so.conf) beside the runtime that torch's wheels bring",
        "echo $LD_LIBRARY_PATH; /sbin/ldconfig -p | grep libcudart",
        "take the toolkit's lib64 out of LD_LIBRARY_PATH: it belongs into LIBRARY_PATH ('. env.sh' keeps them apart)",
        ("Multiple libcudart libraries found",),
        explains=("38", "39"),
    ),
    Symptom(
        "42",
        "noexec",
        "{file} may not be loaded as code from where it lies",
        "the directory of a JIT cache or of temporary files is on a file system that is mounted noexec",
        "findmnt -no TARGET,OPTIONS -T {file}",
        "move the caches to a file system without noexec: export TMPDIR TORCHINDUCTOR_CACHE_DIR TRITON_CACHE_DIR "
        "FLASHINFER_WORKSPACE_BASE",
        ("failed to map segment from shared object",),
        holds=_is_in_a_cache,
        lead=_FILE,
    ),
    Symptom(
        "43",
        "full disk",
        "there was no room to write {file}",
        "the file system or this user's quota is full; JIT caches take gigabytes below the home directory by default",
        "df -h ~ /tmp $TMPDIR; df -i ~; quota -s",
        "free space, or move the caches: export FLASHINFER_WORKSPACE_BASE VLLM_CACHE_ROOT TRITON_CACHE_DIR TMPDIR",
        ("No space left on device", "Disk quota exceeded"),
        r"(?:No space left on device|Disk quota exceeded)(?:: '(?P<file>[^'\n]{1,300}))?",
        unless=r"/dev/shm|shmutils|shared memory|posix_fallocate|nccl-shm",  # noqa: S108 - no directory that we write to
        unless_near=r"multiprocessing/(?:shared_memory|synchronize|heap)\.py[^\n]{0,200}\n[^\n]{0,400}\n[^\n]{0,120}\Z",
        explains=("14",),
    ),
    Symptom(
        "44",
        "read-only disk",
        "{file} could not be written: its file system is read-only",
        "the home directory or the container is read-only, and a JIT cache lies there by default",
        "touch {file}; findmnt -no OPTIONS -T ~",
        "export FLASHINFER_WORKSPACE_BASE=/a/writable/directory (and VLLM_CACHE_ROOT, TRITON_CACHE_DIR; '. env.sh' sets them)",
        ("Read-only file system",),
        r"Read-only file system(?:: '(?P<file>[^'\n]{1,300}))?",
        explains=("14",),
    ),
    Symptom(
        "44b",
        "FlashInfer",
        "FlashInfer may not write into {file}",
        "the venv is another user's, and flashinfer-cubin up to 0.6.15 writes locks and cubins into its own package",
        "python -c 'import flashinfer_cubin as c, os; print(c.__version__, os.access(c.get_cubin_dir(), os.W_OK))'",
        "leave flashinfer-cubin out (it has no kernels for Hopper) and export VLLM_HAS_FLASHINFER_CUBIN=1, or take 0.6.16",
        ("Permission denied: '",),
        r"Permission denied: '(?P<file>[^'\n]{0,300}/site-packages/flashinfer(?:_cubin)?/[^'\n]{0,300})",
    ),
)
