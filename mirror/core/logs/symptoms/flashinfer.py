"""E6: FlashInfer, JIT caches, and what reaches for the network in a closed one.

Rule: 57 and 58 print nothing of their own: they have no fragments, and ``mirror.closed.doctor.installed.caches`` looks for
them.
"""

from __future__ import annotations

from functools import partial

from mirror.core.logs.finding import NOTE, VERSIONS, WARNING
from mirror.core.logs.symptom import Symptom

_TRIO = VERSIONS + " | grep -i flashinfer"

_KILLED = ("died due to signal 9", "Killed signal terminated program", "[code=137]", "non-zero exit status 137")
_SHELLS_WORD = r"Killed(?:[ \t\r]{0,40}(?:\n|\Z)| {2,40}\S)"
_BEFORE_IT = r"(?:^[ \t]{0,40}|[\])Z:>F] |: line \d{1,6}: {1,9}\d{1,9} )$"
_killed = partial(
    Symptom,
    "62",
    "memory",
    "a compiler or another process was killed, most likely for lack of memory",
    "each nvcc takes 3 to 8 GiB, and too many ran at once for this host's memory or this job's limit",
    "free -g; cat /sys/fs/cgroup/memory.max; dmesg | grep -i 'killed process'",
    "export MAX_JOBS=N with N = free GiB / 8 (and FLASHINFER_NVCC_THREADS=1 NVCC_THREADS=1)",
)
"""A row of a process that was killed: the texts that say so."""

SYMPTOMS = (
    Symptom(
        "54",
        "FlashInfer",
        "{package} is {has}, flashinfer-python is {wants}",
        "FlashInfer's packages must be of one version, and its import refuses others",
        _TRIO,
        "pin {package}=={wants} beside flashinfer-python=={wants} in NAME.toml, then lock again",
        ("flashinfer-cubin version (", "flashinfer-jit-cache version ("),
        r"(?P<package>flashinfer-(?:cubin|jit-cache)) version \((?P<has>[\w.+!-]{1,60})\)\s{1,20}does not match "
        r"flashinfer version \((?P<wants>[\w.+!-]{1,60})\)",
    ),
    Symptom(
        "55",
        "FlashInfer",
        "FlashInfer passes over the installed {package}: it is of another version",
        "since 0.7 a version that does not fit is ignored, and kernels are compiled or downloaded when they are needed",
        _TRIO,
        "pin {package} to flashinfer-python's version in NAME.toml, then lock again",
        ("Ignoring incompatible flashinfer-",),
        r"Ignoring incompatible (?P<package>flashinfer-(?:jit-cache|cubin)) package",
        over=("54",),
        explains=("56", "59"),
        level=WARNING,
    ),
    Symptom(
        "56",
        "FlashInfer",
        "a kernel is not in FlashInfer's jit-cache, and compiling it is forbidden",
        "FLASHINFER_DISABLE_JIT is set, and the jit-cache was built without this kernel",
        "echo $FLASHINFER_DISABLE_JIT; " + _TRIO,
        "unset FLASHINFER_DISABLE_JIT (and have a toolkit), or build the jit-cache with this kernel",
        ("JIT compilation is disabled via FLASHINFER_DISABLE_JIT", "MissingJITCacheError"),
    ),
    Symptom(
        "57",
        "stale JIT cache",
        "{path} was compiled with {was}; today it is {now}",
        "FlashInfer's name for a kernel does not hold the toolkit, and up to 0.6.11 it never writes build.ninja again",
        "grep -H -E '^(cuda_home|nvcc) =' {path}/*/build.ninja; readelf -d {path}/{first}/*.so | grep libcudart",
        "rm -r {path}",
        level=WARNING,
    ),
    Symptom(
        "58",
        "JIT lock",
        "{path} is held by {holder}: whoever needs the same kernel waits for it without a word",
        "another process compiles it, or a dead one left its lock, as network file systems let it happen",
        "fuser -v {path}",
        "wait for that process or end it, and remove a lock that nobody holds; on NFS, export "
        "FLASHINFER_WORKSPACE_BASE=/a/local/directory",
        level=WARNING,
    ),
    Symptom(
        "59",
        "network",
        "FlashInfer tries to download {url}",
        "a kernel or checksum is not installed and is looked for in NVIDIA's store, for 35 to 75 seconds a file",
        _TRIO + "; echo $FLASHINFER_CUBIN_DIR $FLASHINFER_CUBINS_REPOSITORY",
        "install flashinfer-cubin of the same version, or export FLASHINFER_CUBINS_REPOSITORY=/a/local/copy",
        ("Downloading http",),
        r"Downloading (?P<url>[^\s]{1,400}): attempt \d{1,3} failed",
        level=WARNING,
    ),
    Symptom(
        "60",
        "FlashInfer",
        "FlashInfer did not find its header {header}",
        "the flashinfer-cubin wheel (0.6.7) lacks the headers that kernels are compiled with",
        VERSIONS + " | grep -i flashinfer; find $VIRTUAL_ENV -name {header}",
        "pin another version of flashinfer-python and flashinfer-cubin in NAME.toml",
        ("AssertionError: ",),
        r"AssertionError: (?P<header>(?:BatchedGemm|Gemm|flashinferMetaInfo|KernelMeta|Enums)\w{0,60}\.h) not found",
    ),
    Symptom(
        "61",
        "FlashInfer",
        "an old FlashInfer found no prebuilt kernels and compiles them",
        "FlashInfer before 0.2.14 looks for prebuilt kernels in its own wheel; this one has none for this torch or GPU",
        _TRIO,
        "lock a newer FlashInfer, or give it a toolkit ('. env.sh')",
        ("Prebuilt kernels not found, using JIT backend",),
        level=NOTE,
    ),
    _killed(_KILLED),
    _killed(
        ("Killed",),
        _SHELLS_WORD,
        lead=_BEFORE_IT,
        near=r"(?:FAILED: |/nvcc |\bcicc |\b[cg]\+\+ )[^\n]{0,4000}\n?(?:[^\n]{0,2000}\n){0,3}[^\n]{0,80}\Z",
        is_late=True,
    ),
    _killed(("Killed",), _SHELLS_WORD, lead=_BEFORE_IT, is_late=True, is_certain=False),
    Symptom(
        "63",
        "network",
        "the vocabulary of gpt-oss (harmony) could not be loaded",
        "openai-harmony downloads o200k_base.tiktoken at its first use",
        "ls $TIKTOKEN_ENCODINGS_BASE/o200k_base.tiktoken",
        "carry o200k_base.tiktoken and cl100k_base.tiktoken across and export TIKTOKEN_ENCODINGS_BASE=/their/directory",
        ("error downloading or loading vocab file",),
    ),
    Symptom(
        "64",
        "RPM solver",
        "{new} puts {old} out, which another package needs",
        "the solver saw the whole repository, where a later release's package obsoletes the one of this release",
        "dnf repoquery --obsoletes {new}",
        "let mirror lock the RPMs: it ignores Obsoletes; by hand: dnf --setopt=obsoletes=0",
        (" obsoletes ",),
        r" obsoletes (?P<old>(?:cuda|cccl|lib(?:cu|np|nv))[^\s]{1,120})",
        lead=r"package (?P<new>[^\s]{1,120})(?: from [^\s]{1,80})?$",
    ),
    Symptom(
        "65",
        "host compiler",
        "this vLLM wants gcc 13 or later to be built",
        "newer vLLM sources refuse RHEL 9's own gcc 11",
        "gcc -dumpversion; echo $CC $CXX",
        "build with source /opt/rh/gcc-toolset-13/enable (CUDA 12.4 to 12.6 takes gcc up to 13), or use vLLM's wheel",
        ("is required to build vLLM with CUDA",),
    ),
    Symptom(
        "66",
        "build isolation",
        "an sdist is built in the closed network and {requirement} is not there",
        "pip builds in an empty environment and wants the sdist's build requirements from an index",
        "ls *.tar.gz in the wheelhouse",
        "let the connected side build it (build in [python] of NAME.toml); by hand: pip install --no-build-isolation ./sdist",
        ("Could not find a version that satisfies the requirement ",),
        r"Could not find a version that satisfies the requirement "
        r"(?P<requirement>(?:setuptools|wheel|build|hatchling|flit[-_]core|poetry[-_]core|"
        r"scikit[-_]build[-_]core|meson[-_]python|maturin|pdm[-_]backend|cmake|ninja|setuptools[-_]scm)\b[^\s(]{0,60})",
        unless=r"\(from (?!build|versions)",
    ),
)
