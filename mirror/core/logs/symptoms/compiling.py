"""E1: headers and parts of the compiler.

Rule: where nvcc or gcc miss a file, its RPM is named; a row of one fault seen in two ways says both (CUDA.md A5, A6).
"""

from __future__ import annotations

import re
from functools import partial

from mirror.core.logs.compilerwords import HEADER_FRAGMENTS, PART_ENDS, header_pattern
from mirror.core.logs.symptom import Symptom

_RUNTIME_HEADERS = (
    r"cuda\.h|cuda_runtime_api\.h|cuda_(?:fp16|bf16|fp8)\.h|cooperative_groups\.h"
    r"|cudaTypedefs\.h|mma\.h|cuda_pipeline\.h"
)
_PROGRAMS = (
    "nvcc", "cicc", "ptxas", "fatbinary", "cudafe++", "nvlink", "ninja", "gcc", "g++", "cc1plus", "collect2", "ld",
)  # fmt: skip
_ANY_PROGRAM = "|".join(re.escape(program) for program in _PROGRAMS)
_may_not_start = partial(
    Symptom,
    "15",
    "compiler",
    "{path} may not be started here",
    "its exec bit was lost in transport, or it lies on a file system that is mounted noexec",
    "ls -l {path}; findmnt -no OPTIONS -T {path}",
    "chmod +x {path}, or, if the mount says noexec, install to another place (mirror install --prefix DIR)",
)
"""A row of a part of the compiler that may not be started: the texts that say so."""

SYMPTOMS = (
    Symptom(
        "1",
        "headers",
        "the compiler did not find {file}",
        "CUDA's core libraries (CCCL) are a package of their own that was not unpacked, or include/ does not lead to it",
        "ls $CUDA_HOME/targets/*/include/{file} $CUDA_HOME/include/{file} (first missing: the RPM; second: the link)",
        "{bring}",
        HEADER_FRAGMENTS,
        header_pattern(r"(?:nv/target|(?:nv/detail|cuda)/[\w./-]{1,120})"),
    ),
    Symptom(
        "2",
        "headers",
        "the compiler did not find {file}",
        "CCCL is missing, or it is CUDA 13's, which lies in include/cccl where plain -I flags do not look",
        "ls $CUDA_HOME/include/{file} $CUDA_HOME/include/cccl/{file}",
        "if the second is there, add -isystem $CUDA_HOME/include/cccl (NVCC_APPEND_FLAGS); if none, {bring}",
        HEADER_FRAGMENTS,
        header_pattern(r"(?:cub|thrust)/[\w./-]{1,120}"),
    ),
    Symptom(
        "3",
        "headers",
        "the compiler did not find {file}",
        "the runtime's headers are missing, or CUDA_HOME names another or an older toolkit (cuda_fp8.h is there from 11.8 on)",
        "ls $CUDA_HOME/include/{file}; $CUDA_HOME/bin/nvcc --version",
        "{bring}",
        HEADER_FRAGMENTS,
        header_pattern(_RUNTIME_HEADERS),
    ),
    Symptom(
        "4",
        "headers",
        "the compiler did not find {file}",
        "the code wants FP4 or FP6, whose headers come with CUDA 12.8 and later",
        "$CUDA_HOME/bin/nvcc --version",
        "take a toolkit of CUDA 12.8 or later ([target] cuda in NAME.toml), or drop the architecture that asks for FP4",
        HEADER_FRAGMENTS,
        header_pattern(r"cuda_fp[46]\.h"),
    ),
    Symptom(
        "5",
        "headers",
        "the compiler did not find cuda_runtime.h, which nvcc includes by itself",
        "the runtime's headers are missing, or nvcc.profile is: nvcc was copied or linked out of its tree",
        "ls $(dirname $(realpath $(command -v nvcc)))/nvcc.profile $CUDA_HOME/include/cuda_runtime.h",
        "call nvcc where it was unpacked (CUDACXX=$CUDA_HOME/bin/nvcc) if the first is missing; for the second, {bring}",
        HEADER_FRAGMENTS,
        header_pattern(r"cuda_runtime\.h"),
    ),
    Symptom(
        "6",
        "headers",
        "the compiler did not find {file}",
        "nvcc's own headers (crt) are a package of their own that was not unpacked",
        "ls $CUDA_HOME/targets/*/include/crt/host_config.h",
        "{bring}",
        HEADER_FRAGMENTS,
        header_pattern(r"crt/[\w./-]{1,120}"),
    ),
    Symptom(
        "7",
        "compiler",
        "nvcc did not find its part cicc",
        "the package with cicc and libdevice was not unpacked",
        "ls -l $CUDA_HOME/nvvm/bin/cicc $CUDA_HOME/nvvm/libdevice",
        "{bring}",
        ("cicc: not found", "cicc: No such file or directory"),
        file="nvvm/bin/cicc",
    ),
    Symptom(
        "8",
        "compiler",
        "nvcc did not find its part {part}",
        "the nvcc package is not whole, or a wrapper changed PATH between nvcc and its parts",
        "$CUDA_HOME/bin/nvcc --dryrun -arch=sm_90 -c x.cu 2>&1 | grep -o '[^ ]*{part}'; ls $CUDA_HOME/bin",
        "{bring}",
        ("ptxas: ", "fatbinary: ", "cudafe++: ", "nvlink: ", "bin2c: "),
        rf"(?P<part>ptxas|fatbinary|cudafe\+\+|nvlink|bin2c): {PART_ENDS}",
        file="bin/{part}",
    ),
    Symptom(
        "9",
        "host compiler",
        "nvcc found no host compiler",
        "nvcc needs the host's gcc, and none is on PATH (or -ccbin, CC or NVCC_CCBIN name one that is not there)",
        "command -v gcc g++; echo $CC $NVCC_CCBIN $NVCC_PREPEND_FLAGS",
        "put a gcc on PATH (source /opt/rh/gcc-toolset-13/enable), or export NVCC_CCBIN=/path/to/g++",
        ("Failed to preprocess host compiler properties",),
        near=r"(?:gcc|g\+\+|c\+\+|cc1plus|clang)[^\n]{0,40}(?:not found|No such file)",
    ),
    Symptom(
        "9",
        "host compiler",
        "nvcc could not run a host compiler",
        "nvcc needs the host's gcc: none is on PATH, it lacks its parts (cc1plus), or its temporary files could not be written",
        "command -v gcc g++; echo $CC $NVCC_CCBIN $NVCC_PREPEND_FLAGS; df -h $TMPDIR /tmp",
        "put a gcc on PATH (source /opt/rh/gcc-toolset-13/enable), or export NVCC_CCBIN=/path/to/g++",
        ("Failed to preprocess host compiler properties",),
        is_certain=False,
    ),
    Symptom(
        "10",
        "host compiler",
        "this nvcc refuses the host's compiler: {text}",
        "the host's gcc is newer than the toolkit's release allows",
        "gcc -dumpversion; grep -n 'unsupported GNU' $CUDA_HOME/include/crt/host_config.h",
        "export NVCC_PREPEND_FLAGS='-ccbin /path/to/an/older/g++'; -allow-unsupported-compiler only hides it",
        ("unsupported GNU version",),
        r"unsupported GNU version! (?P<text>[^!\n]{0,120})",
    ),
    Symptom(
        "11",
        "compiler",
        "this nvcc does not know the architecture {arch}",
        "another, older nvcc is used than the one that was meant, or the toolkit is older than the GPU",
        "command -v nvcc; echo $CUDA_HOME $FLASHINFER_NVCC $PYTORCH_NVCC; nvcc --list-gpu-arch",
        "put $CUDA_HOME/bin first on PATH ('. env.sh'); if that is in use, take a newer toolkit ([target] cuda in NAME.toml)",
        ("Unsupported gpu architecture",),
        r"Unsupported gpu architecture '(?P<arch>\w{1,40})'",
        explains=("12",),
    ),
    Symptom(
        "12",
        "compiler",
        "this nvcc does not know the option {option}",
        "the version was asked of one nvcc (12.8 or later) and another, older one compiles",
        "$CUDA_HOME/bin/nvcc --version; $FLASHINFER_NVCC --version; nvcc --version",
        "let there be one nvcc: unset FLASHINFER_NVCC PYTORCH_NVCC, and put $CUDA_HOME/bin first on PATH ('. env.sh')",
        ("nvcc fatal   : Unknown option", "nvcc fatal : Unknown option"),
        r"nvcc fatal {1,3}: Unknown option '(?P<option>[^'\n]{1,120})'",
    ),
    Symptom(
        "13",
        "headers",
        "the CUDA headers are of another release than the compiler",
        "headers of CCCL or of the runtime, often a pip wheel's, are of another release than the nvcc that includes them",
        "$CUDA_HOME/bin/nvcc --version; grep -rs 'define CUDART_VERSION' each -I directory of the failing command",
        "take the foreign include directory out: unset CPATH CPLUS_INCLUDE_PATH, then '. env.sh'",
        ("CUDA compiler and CUDA toolkit headers are incompatible",),
    ),
    Symptom(
        "14",
        "temporary files",
        "nvcc could not write its temporary file {path}",
        "the directory that TMPDIR names does not exist, is full, or is not writable for this user",
        "touch $TMPDIR/x && rm $TMPDIR/x; df -h $TMPDIR; df -i $TMPDIR",
        "export TMPDIR=/a/directory/with/space",
        ("Could not open output file",),
        r"Could not open output file '(?P<path>[^'\n]{0,300})'",
    ),
    _may_not_start(
        tuple(f"{program}: Permission denied" for program in _PROGRAMS),
        rf"(?P<path2>{_ANY_PROGRAM})",
        lead=r"(?P<path1>/[^\s:'\"]{0,300})?$",
    ),
    _may_not_start(
        ("Permission denied: '",), rf"Permission denied: '(?P<path>(?:[^'\n]{{0,300}}/)?(?:{_ANY_PROGRAM}))'"
    ),
)
