"""Compilers, linkers, caches of kernels, installers: any complaint by its form."""

from __future__ import annotations

from mirror.core.logs.compilerwords import header_pattern
from mirror.core.logs.finding import VERSIONS
from mirror.core.logs.layers import CACHE, COMPILER, DISK, LINKER, PACKAGE, SETTINGS, TOOLKIT, WHEELHOUSE
from mirror.core.logs.rules.rule import DAMAGED, Rule

RULES = (
    Rule(
        "ptxas-too-old",
        TOOLKIT,
        (
            r"Value '(?P<gpu>sm_\w+)' is not defined for option 'gpu-name'",
            r"ptxas (?:fatal|error)[^\n]*(?:[Uu]nsupported|not defined|SM version)",
            r"Unsupported \.version",
            r"nvcc[^\n]*[Uu]nsupported gpu architecture",
        ),
        "the ptxas that was used is older than the GPU or the code: {gpu}",
        "Triton brings a ptxas of its own; it, or the toolkit's, does not know this GPU's architecture or this "
        "PTX version",
        "$CUDA_HOME/bin/ptxas --version; find $VIRTUAL_ENV -path '*triton*' -name 'ptxas*'; echo $TRITON_PTXAS_PATH",
        "export TRITON_PTXAS_PATH=$CUDA_HOME/bin/ptxas with a toolkit that knows the GPU (on Blackwell "
        "TRITON_PTXAS_BLACKWELL_PATH too)",
        may_be=(r"PTXASError", r"ptxas.*does not support", r"is not supported on .target"),
    ),
    Rule(
        "nvcc-too-old",
        TOOLKIT,
        (
            r"NVCC version should be",
            r"requires? nvcc (?:>=|version|\d+\.\d+)",
            r"CUDA toolkit .{0,60}(?:or (?:later|newer|higher|above)|>=|at least|too old)",
            r"nvcc .{0,40}(?:too old|or newer|at least)",
        ),
        "the CUDA toolkit is older than this code asks for",
        "the nvcc that was found first is not that of the stack, or the stack's is too old for it",
        "command -v nvcc; nvcc --version; echo $CUDA_HOME",
        "start with '. env.sh'; if that toolkit is in use, lock the stack with a newer CUDA ([target] cuda)",
        may_be=(
            r"requires? CUDA (?:>=|version|\d+\.\d+)",
            r"CUDA version .{0,60}(?:or (?:later|newer|higher|above)|>=|at least|too old)",
            r"only supported (?:for|on|with) CUDA (?:>=|version|\d)",
            r"needs? CUDA \d",
        ),
    ),
    Rule(
        "gpu-arch-list",
        TOOLKIT,
        (
            r"requires (?:sm_?7\d|GPUs? with sm_?\d\d|compute capability)",
            r"TORCH_CUDA_ARCH_LIST",
            r"FLASHINFER_CUDA_ARCH_LIST",
            r"Unknown CUDA arch",
            r"No supported (?:CUDA )?(?:arch|compute)",
        ),
        "the list of GPU architectures to compile for is empty or has one that is too old",
        "TORCH_CUDA_ARCH_LIST or FLASHINFER_CUDA_ARCH_LIST names a GPU that this code does not support, or no "
        "GPU could be seen to ask",
        "echo $TORCH_CUDA_ARCH_LIST $FLASHINFER_CUDA_ARCH_LIST; nvidia-smi --query-gpu=compute_cap --format=csv",
        "export FLASHINFER_CUDA_ARCH_LIST=9.0a and unset TORCH_CUDA_ARCH_LIST (or set it to the GPUs that are there)",
        is_certain=False,
    ),
    Rule(
        "toolkit-other-than-torch",
        TOOLKIT,
        (r"detected CUDA version .{0,40}mismatches", r"mismatches the version that was used to compile"),
        "the CUDA toolkit is of another release than this code, or its torch, was made for",
        "the nvcc that is found first is not that of the stack",
        "nvcc --version; echo $CUDA_HOME; python -c 'import torch; print(torch.version.cuda)'",
        "start with '. env.sh'; lock torch and the toolkit for one CUDA",
        may_be=(r"CUDA.{0,60}(?:newer than|not (?:yet )?supported by)", r"unsupported CUDA (?:version|toolkit)"),
    ),
    Rule(
        "toolkit-tool-missing",
        TOOLKIT,
        (
            (
                r"(?P<program>cuobjdump|nvdisasm|nvprune|cu\+\+filt|cuda-gdb|compute-sanitizer|nsys|ncu|"
                r"nvlink|fatbinary|bin2c|ptxas|cicc|cudafe\+\+)'?\W{0,3}.{0,60}(?:not found|No such file|"
                r"does not exist|missing)"
            ),
            (
                r"(?:find|locate|No such file or directory: '?\S*?)(?P<program>cuobjdump|nvdisasm|nvprune|"
                r"cu\+\+filt|ptxas)\b"
            ),
        ),
        "a program of the CUDA toolkit is missing: {program}",
        "it is a package of its own, which is not part of this toolkit, or another CUDA_HOME is used",
        "ls $CUDA_HOME/bin; echo $CUDA_HOME",
        "ask 'mirror which {program}' who brings it, add that and lock again; or start with '. env.sh'",
    ),
    Rule(
        "cuda-home-wrong",
        TOOLKIT,
        (
            r"'[^']*:/[^']*(?:nvcc|cuda)[^']*'",
            (
                r"CUDA_(?:HOME|PATH|TOOLKIT_ROOT_DIR)\S* .{0,60}(?:does not exist|not exist|no such|"
                r"not a directory|invalid)"
            ),
        ),
        "CUDA_HOME names a directory that has no toolkit",
        "it is of another host, holds several directories, or the toolkit was moved",
        "echo $CUDA_HOME $CUDA_PATH; ls $CUDA_HOME/bin/nvcc",
        "start with '. env.sh', which sets CUDA_HOME; it is one directory",
        is_certain=False,
    ),
    Rule(
        "no-nvcc",
        TOOLKIT,
        (
            r"No CMAKE_CUDA_COMPILER could be found",
            r"No CUDA (?:toolset|toolkit) found",
            r"nvcc not in PATH",
            r"nvcc: (?:command )?not found",
            r"No such file or directory: '(?:[^']*/)?nvcc'",
            r"nvcc: No such file",
            r"[Cc]ould not find nvcc",
            r"_find_cuda_home",
            r"CUDA_HOME .{0,40}(?:not set|does not exist|is not)",
            r"cuda_home is (?:not )?None",
            r"nvcc (?:is )?not (?:found|installed)",
            r"find_cuda_path",
            r"Cannot find CUDA",
            r"CUDA_HOME environment variable is not set",
            r"failed to find nvcc",
            r"Unable to find nvcc",
            r"where is nvcc",
        ),
        "no nvcc was found",
        "CUDA_HOME is not set or names another place, and no nvcc is on PATH; or a cache remembers a path that is gone",
        "command -v nvcc; echo $CUDA_HOME; ls $CUDA_HOME/bin/nvcc",
        "start the server in a shell that ran '. env.sh'; it sets CUDA_HOME and PATH",
        may_be=(
            r"CMAKE_CUDA_COMPILER",
            r"Could NOT find CUDA(?!.{0,40}unsuitable)",
            r"[Cc]ould not find (?:CUDA|cuda)",
            r"Unable to find cuda",
            r"CUDA (?:is )?not (?:found|installed)",
            r"libdevice not found",
        ),
    ),
    Rule(
        "own-header-missing",
        PACKAGE,
        (
            (
                r"/site-packages/(?P<package>\w+)/.*fatal error: (?P<header>(?:cutlass|cute|flashinfer|tvm|dlpack|fmt|"
                r"spdlog|nlohmann|cutlass_extensions|deep_gemm|tilelang|tl_templates|torch|ATen|c10|"
                r"pybind11)/\S+?): No such"
            ),
            (
                r"fatal error: (?P<header>(?:cutlass|cute|flashinfer|tvm/ffi|dlpack|fmt|spdlog|deep_gemm|"
                r"tl_templates)/\S+?): No such"
            ),
        ),
        "a header that the Python package brings itself is missing: {header}",
        "the package's installation is not whole: its wheel was built without its submodules, or files were removed",
        "find $VIRTUAL_ENV -ipath '*cutlass*' -name '*.h*' | head; mirror status --check",
        "install it again from its wheel (mirror install --repair); where the wheel lacks them, lock another "
        "version of it",
    ),
    Rule(
        "python-headers",
        COMPILER,
        (r"fatal error: (?:[\w.-]{1,80}/){0,3}(?:Python\.h|pyconfig\.h|patchlevel\.h)", r"Python\.h: No such"),
        "the interpreter's headers are missing: Python.h",
        "Triton and torch compile C extensions at their first start, and a system's Python has its headers in a "
        "package of its own",
        "python -c 'import sysconfig; print(sysconfig.get_path(\"include\"))'",
        "carry an interpreter with its headers ([interpreter] in NAME.toml), or ask for the host's python3.11-devel",
    ),
    Rule(
        "host-header",
        COMPILER,
        (
            (
                r"fatal error: (?P<header>(?:std\w+|math|stdio|stdlib|string|limits|features|bits/\S+|sys/\S+|gnu/\S+|"
                r"asm/\S+|linux/\S+|cstdint|algorithm|vector|memory|iostream|omp|numa|infiniband/\S+|rdma/\S+|zlib|zstd|"
                r"openssl/\S+|ffi|uuid/\S+|libaio|X11/\S+|GL/\S+|curses)(?:\.h)?): No such"
            ),
        ),
        "the host's C or C++ headers are missing: {header}",
        "gcc is there, and its headers, those of the C library or of that library are not (glibc-devel, libstdc++-devel, "
        "numactl-devel, rdma-core-devel)",
        "echo '#include <{header}>' | g++ -x c++ -E - >/dev/null",
        "ask the administrator for gcc-c++ and glibc-devel, or use another gcc: export CC CXX NVCC_CCBIN",
    ),
    Rule(
        "no-host-compiler",
        COMPILER,
        (
            r"Failed to find C compiler",
            r"[Cc]ould not find (?:a )?(?:C|C\+\+|host) compiler",
            r"No such file or directory: '(?:[^']*/)?(?:gcc|g\+\+|cc|c\+\+|clang\+?\+?|x86_64-linux-gnu-gcc|cc1plus)'",
            r"(?:gcc|g\+\+|cc1plus|c\+\+|cc1): (?:command )?not found",
            r"cannot execute 'cc1plus'",
            r"unable to execute '(?:gcc|g\+\+|c\+\+)'",
            r"InvalidCxxCompiler",
            r"No working C\+\+ compiler",
        ),
        "no C or C++ compiler was found",
        "kernels are compiled on this host, with its gcc, and none is on PATH",
        "command -v gcc g++; echo $CC $CXX",
        "put a gcc on PATH (source /opt/rh/gcc-toolset-13/enable), or export CC and CXX",
    ),
    Rule(
        "host-compiler-refused",
        COMPILER,
        (
            (
                r"fatal error: (?:filesystem|concepts|span|ranges|bit|format|numbers|source_location|"
                r"coroutine|charconv|optional|variant|string_view): No such"
            ),
            r"requires? (?:at least )?(?:gcc|GCC|g\+\+|clang) ?(?:>=|version|\d)",
            r"(?:gcc|GCC) \d+(?:\.\d+)* or (?:later|newer|higher|above)",
            r"unsupported GNU version",
            r"error -- unsupported",
            r"C\+\+(?:17|20) (?:or later )?(?:is required|compatible compiler)",
            r"error: #error You need C\+\+17",
            r"unrecognized command.line option '?-std=",
        ),
        "the host's compiler is of a version that does not go with this code or this nvcc",
        "each CUDA release takes gcc up to a version, and newer code asks for a newer gcc",
        "gcc -dumpversion; g++ -dumpversion; $CUDA_HOME/bin/nvcc --version",
        "export NVCC_CCBIN, CC and CXX to a gcc that fits (gcc-toolset on RHEL)",
        may_be=(
            r"C compiler cannot create executables",
            r"is not able to compile a simple test program",
            r"your compiler",
            r"compiler .{0,40}(?:too old|not support|incompatible)",
            r"unrecognized command.line option",
        ),
    ),
    Rule(
        "header-missing",
        TOOLKIT,
        (header_pattern(r"[^\s:'\"]+?"),),
        "a header was not found: {file}",
        "the package that brings it is not part of the stack, or the compiler looks elsewhere",
        "mirror which {file}",
        "ask 'mirror which {file}' who brings it, add that to the stack and lock again; or '. env.sh' if it is there",
        is_certain=False,
    ),
    Rule(
        "conda-toolkit",
        TOOLKIT,
        (r"-L\S*(?:conda|envs|miniforge|mamba)\S*/lib64",),
        "CUDA_HOME is a conda environment, which has no lib64",
        "conda puts the toolkit's libraries elsewhere than FlashInfer looks",
        "echo $CUDA_HOME; ls -d $CUDA_HOME/lib64 $CUDA_HOME/targets/*/lib",
        "start with this stack's '. env.sh', or unset CUDA_HOME",
        is_certain=False,
    ),
    Rule(
        "cache-object-missing",
        CACHE,
        (
            (
                r"No such file or directory: '\S*(?:\.triton|\.cache|torchinductor|cached_ops|tvm-ffi|"
                r"deep_gemm|cutedsl)\S*'"
            ),
            r"device kernel image is invalid",
            r"cannot find \S+\.(?:o|cubin|obj|ptx|so): No such file",
            r"error: (?P<object>\S+\.(?:o|ninja)): No such file",
            r"loading 'build\.ninja': No such",
            (
                r"(?:\.cache/\S+|cached_ops|triton|inductor|torchinductor_\w+|cubins?)/\S*'?.{0,40}(?:No such file|"
                r"not found|File exists|Stale file handle)"
            ),
            r"Stale file handle",
            r"[Ff]ailed to acquire (?:the )?lock",
            r"Timeout.{0,40}\.lock",
            r"(?:invalid|corrupt\w*).{0,40}(?:cache|cubin|\.so)",
            rf"/\S*(?:cache|cached_ops|triton|inductor|tvm-ffi|jit)\S*\.so[\w.]*: {DAMAGED}",
            (
                r"(?:JSONDecodeError|UnpicklingError|EOFError)\b.{0,900}"
                r"(?:_inductor|codecache|autotun|triton|flashinfer|tvm_ffi|deep_gemm|compil\w*_cache)"
            ),
            r"OSError: source code not available",
        ),
        "a file of a cache of compiled kernels vanished or is not whole",
        "several processes or hosts share one cache directory, or a disk ran full, or it was cleaned while it was used",
        "ls -la the directory that is named; df -h ~ ; mount | grep -E 'nfs|lustre'",
        "give each host (and user) a cache of its own: export FLASHINFER_WORKSPACE_BASE TRITON_CACHE_DIR "
        "VLLM_CACHE_ROOT TVM_FFI_CACHE_DIR, and remove the damaged one",
        is_certain=False,
    ),
    Rule(
        "triton-libcuda",
        LINKER,
        (r"cannot find -l(?:cuda\b|:libcuda\.so\.1)", r"libcuda\.so cannot found"),
        "the linker did not find libcuda.so",
        "Triton and inductor link against the driver's library; the host has libcuda.so.1 alone, and the "
        "toolkit's stub is not on LIBRARY_PATH",
        "echo $LIBRARY_PATH; ls $CUDA_HOME/lib64/stubs/libcuda.so; /sbin/ldconfig -p | grep libcuda",
        "export LIBRARY_PATH=$CUDA_HOME/lib64/stubs:$LIBRARY_PATH ('. env.sh' does), never LD_LIBRARY_PATH; or "
        "TRITON_LIBCUDA_PATH=/usr/lib64",
    ),
    Rule(
        "first-compilation",
        COMPILER,
        (r"Command '\[.{0,80}(?:gcc|clang|cc)'.{0,600}(?:cuda_utils|__triton_launcher|launcher|main\.c)",),
        "the small C program that Triton compiles at its first start does not compile",
        "the interpreter's headers (Python.h), libcuda.so to link, or the host's own headers are missing; "
        "the lines of gcc above say which",
        "python -m sysconfig | grep -m1 ' include ='; echo $LIBRARY_PATH; gcc --version",
        "start with '. env.sh'; carry an interpreter with headers ([interpreter] in NAME.toml)",
        is_certain=False,
    ),
    Rule(
        "library-to-link-missing",
        LINKER,
        (r"(?:cannot find|unable to find library) -l:?(?P<name>[\w.+-]+)",),
        "the linker did not find -l{name}",
        "no directory of -L or LIBRARY_PATH has it (LD_LIBRARY_PATH does not count for linking), or only a name "
        "with a version",
        "echo $LIBRARY_PATH; find / -name 'lib{name}*' -not -path '/proc/*' 2>/dev/null",
        "ask 'mirror which lib{name}.so' who brings it; '. env.sh' sets LIBRARY_PATH to the stack's toolkit",
    ),
    Rule(
        "undefined-reference",
        LINKER,
        (r"undefined reference to", r"ld returned", r"relocation truncated", r"DSO missing from command line"),
        "the linker lacks a symbol",
        "a library is missing from the command, or is of another version than the headers",
        "the command that failed, with -Wl,--trace",
        "let headers and libraries be of one toolkit ('. env.sh')",
        is_certain=False,
    ),
    Rule(
        "wheel-invalid",
        WHEELHOUSE,
        (r"wheel is invalid", r"[Ii]nvalid wheel", r"contains an invalid entry", r"Wheel .{0,80}is invalid"),
        "an installer refuses a wheel as invalid",
        "the wheel breaks a rule of its format, or was not copied whole",
        "python -m zipfile -l the wheel; sha256sum it",
        "copy it again and compare its sha256; a wheel that is so from its maker is built again on the connected "
        "side, or another version is locked",
        may_be=(r"BadZipFile", r"not a zip file"),
    ),
    Rule(
        "hash-mismatch",
        WHEELHOUSE,
        (r"DO NOT MATCH THE HASHES", r"[Hh]ash mismatch", r"hashes are required", r"--require-hashes"),
        "a file has other bytes than the lock says, or no hash is there for it",
        "it was altered or not copied whole, or the lock is of another set",
        "sha256sum the file that is named",
        "copy the file again from the bundle; never take hashes out of a lock",
    ),
    Rule(
        "wheel-other-platform",
        WHEELHOUSE,
        (
            r"is not a supported wheel",
            r"no wheels with a matching",
            r"has no usable wheels",
            r"doesn't have a source distribution or wheel for the current platform",
            r"only has wheels (?:for the following platforms|with the following)",
            r"not compatible with (?:this|the current) (?:Python|platform)",
            r"incompatible with the current platform",
            r"requires a different Python",
        ),
        "a wheel is not for this Python or this host",
        "its tags do not fit the Python's version, the architecture or the glibc",
        "python --version; uname -m; getconf GNU_LIBC_VERSION",
        "lock again with this host's [target] in NAME.toml",
        may_be=(r"[Rr]equires-Python", r"Requires Python"),
    ),
    Rule(
        "wheelhouse-lacks",
        WHEELHOUSE,
        (
            r"Could not find a version that satisfies the requirement (?P<project>[\w.-]+)",
            r"No matching distribution found for (?P<project>[\w.-]+)",
            r"(?P<project>[\w.-]+) was not found in the (?:package registry|provided package locations|cache)",
            r"Because (?:there (?:are|is) no versions? of )(?P<project>[\w.-]+)",
            r"\b404\b.{0,200}(?:/simple/|\.whl|\.tar\.gz)",
        ),
        "the wheelhouse lacks {project}",
        "something that is installed asks for it, and no file there fits (missing, another version, another "
        "Python or platform)",
        "ls the wheelhouse for it",
        "add it to requirements in NAME.toml and lock, bundle and carry again; mirror's own locks are always whole",
        may_be=(r"Because .{0,200}(?:not found|no versions|unsatisfiable)", r"No solution found"),
    ),
    Rule(
        "requirements-conflict",
        WHEELHOUSE,
        (r"conflicting dependencies", r"ResolutionImpossible"),
        "what is asked for excludes itself: two packages want different versions of a third",
        "they were not released for each other, or a pin is too narrow",
        "python -m pip install --dry-run with one of them alone",
        "loosen a pin in NAME.toml, or take releases that go together, and lock again",
    ),
    Rule(
        "externally-managed",
        SETTINGS,
        (r"externally-managed-environment",),
        "pip may not change this Python, which is the system's",
        "the command ran outside the venv",
        "command -v pip python; echo $VIRTUAL_ENV",
        "start with '. env.sh', which puts the venv first on PATH",
    ),
    Rule(
        "sdist-build",
        WHEELHOUSE,
        (
            r"Failed to build",
            r"metadata-generation-failed",
            r"subprocess-exited-with-error",
            r"Preparing metadata",
            r"build_wheel",
            r"Getting requirements to build wheel",
        ),
        "an sdist could not be built here",
        "a closed network has neither its build requirements nor, often, its compilers",
        "ls *.tar.gz in the wheelhouse",
        "let the connected side build it (build in [python] of NAME.toml)",
        is_certain=False,
    ),
    Rule(
        "module-missing",
        PACKAGE,
        (
            r"^(?!.*Failed to initialize NumPy).*No module named '?(?P<module>\w+)'?(?![\w.])",
            r"(?:requires|require) the following packages that were not found in your environment: (?P<module>[\w-]+)",
            r"(?:install|requires) the (?P<module>[\w-]+) (?:package|library)",
        ),
        "the Python module {module} is not installed",
        "the package that has it is not in the venv (or is of a version without it, or not compiled), or another Python than "
        "the venv's runs",
        'command -v python; python -c \'import sys; __import__(sys.argv[1].replace("-", "_"))\' {module}; echo $PYTHONPATH',
        "use the venv of the install ('. env.sh'); if the package is not there, add it to NAME.toml and lock again",
        # torch without numpy says so in a warning, builds among others, and goes on.
        may_be=(r"^(?!.*Failed to initialize NumPy).*No module named '?(?P<module>[\w.]+)'?",),
    ),
    Rule(
        "import-name",
        PACKAGE,
        (
            r"cannot import name '(?P<name>\w+)' from",
            r"^(?!.*'NoneType' object).*has no attribute '?(?P<name>\w+)",
            r"got an unexpected keyword argument '(?P<name>\w+)'",
            r"DLL load failed",
            r"partially initialized module",
            r"is not a module",
            r"missing \d+ required positional",
        ),
        "a package is not of the version that another expects: {name}",
        "versions were mixed: the venv was changed, or PYTHONPATH or ~/.local has another copy",
        "echo $PYTHONPATH; " + VERSIONS + "; ls ~/.local/lib",
        "install from the lock again, and unset PYTHONPATH (PYTHONNOUSERSITE=1)",
        is_certain=False,
    ),
    Rule(
        "permission",
        DISK,
        (r"Permission denied(?:: '?(?P<path>[^'\s]+))?", r"EACCES", r"Errno 13\b", r"Operation not permitted"),
        "this user may not read, write or start {path}",
        "it is another user's, lies in a directory that is, or on a file system mounted noexec",
        "ls -ld {path}; id; findmnt -no OPTIONS -T {path}",
        "choose a directory of your own (TMPDIR, HOME, XDG_CACHE_HOME, FLASHINFER_WORKSPACE_BASE), or ask for "
        "the right",
        is_certain=False,
    ),
    Rule(
        "ldconfig-not-on-path",
        SETTINGS,
        (r"No such file or directory: '(?:/sbin/)?ldconfig'", r"ldconfig: (?:command )?not found"),
        "ldconfig, which Triton asks for the driver's library, is not on PATH",
        "the program was started with a PATH without /sbin and /usr/sbin",
        "echo $PATH; ls -l /sbin/ldconfig",
        "export PATH=$PATH:/usr/sbin:/sbin, or TRITON_LIBCUDA_PATH to the directory of libcuda.so.1",
    ),
    Rule(
        "code-does-not-compile",
        TOOLKIT,
        (
            r"error: identifier \W\S+\W is undefined",
            r"error: (?:no instance of|namespace|class|more than one|expected|too (?:many|few))",
            r"\.(?:cu|cuh|cpp|cc|c|h|hpp|inl)\b\S*: error: ",
            r"\(\d+\): error: ",
        ),
        "a kernel's source does not compile with this compiler and these headers",
        "the toolkit is of another release than the code was written for, or the code is not for this "
        "compiler (nvcc or NVRTC)",
        "nvcc --version; echo $CUDA_HOME; the first line that says 'error:'",
        "use the toolkit of the stack ('. env.sh'), and releases of the packages that go together",
        is_certain=False,
    ),
    Rule(
        "packages-file-missing",
        PACKAGE,
        (
            r"No such file or directory: '?(?P<path>[^'\n]*/(?:site|dist)-packages/[^'\n]+)'?",
            r"TLS CA certificate bundle, invalid path: '?(?P<path>[^'\n]+)'?",
        ),
        "a file of an installed package is not there: {path}",
        "it was removed after the package was installed, or this copy of the environment is not whole",
        "ls -ld {path}; mirror status --check",
        "'mirror install --repair BUNDLE' where mirror installed the package; else install it again with what installed it",
        is_certain=False,
    ),
    Rule(
        "file-missing",
        DISK,
        (r"No such file or directory: '?(?P<path>[^'\n]+)'?",),
        "a file is not there: {path}",
        "a path is misspelt, was removed, or is not mounted here",
        "ls -ld {path}",
        "correct the path, or mount what holds it",
        is_certain=False,
    ),
)
