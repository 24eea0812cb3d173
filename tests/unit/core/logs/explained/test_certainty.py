"""What is stated as the cause, and what only may be: words that other causes have too are never stated."""

from __future__ import annotations

import pytest

from mirror.core.logs.explained.log import explain
from mirror.core.logs.rules import judge

TRACEBACK = "Traceback (most recent call last):"


def first(*lines: str) -> tuple[str, str]:
    finding = explain(lines).findings[0]
    return finding.key, finding.certainty


@pytest.mark.parametrize(
    ("sure", "unsure", "cause"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory", "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED", "gpu-memory"),
        (
            "libnuma.so.1: cannot open shared object file",
            "libweird.so.3: cannot open shared object file",
            "host-library-missing",
        ),
        (
            "x: undefined symbol: __nvJitLinkGet, version libnvJitLink.so.12",
            "CUBLAS_STATUS_INVALID_VALUE",
            "cuda-library-shadowed",
        ),
        ("insufficient shared memory (shm)", "Bus error (core dumped)", "shm-too-small"),
        ("No space left on device: '/a'", "write: ENOSPC", "disk-full"),
        (
            "heads (10) must be divisible by tensor parallel size (4)",
            "k must be divisible by 128",
            "heads-not-divisible",
        ),
        ("The wheel is invalid: x", "zipfile.BadZipFile: File is not a zip file", "wheel-invalid"),
        (
            "vllm was not found in the package registry",
            "No solution found when resolving dependencies",
            "wheelhouse-lacks",
        ),
        (
            "error loading vocab file: error downloading vocab file",
            "ValueError: Converting from tiktoken failed",
            "vocabulary-offline",
        ),
        (
            "401 Client Error: for url: https://huggingface.co/x",
            "401 Client Error: for url: https://index/x",
            "hub-token",
        ),
        ("NVCC version should be >= 12.3", "foo requires CUDA 12.9", "nvcc-too-old"),
        ("#error -- unsupported GNU version!", "C compiler cannot create executables", "host-compiler-refused"),
        ("Bootstrap : no socket interface found", "Gloo connectFullMesh failed with no error", "nccl-interface"),
        ("could not select device driver", "nvidia-container-cli: ldcache error", "container-toolkit-missing"),
        ("No module named 'xgrammar'", "No module named 'vllm._C'", "module-missing"),
        ("No CMAKE_CUDA_COMPILER could be found", "Could NOT find CUDA (missing: CUDA_NVCC)", "no-nvcc"),
        (
            "cannot be retrieved (gai error: -2 - x",
            "socket.gaierror: [Errno -2] Name or service not known",
            "name-not-resolved",
        ),
        ("mlock failed", "NCCL WARN Call to ibv_reg_mr failed with error Cannot allocate memory", "locked-memory"),
    ],
)
def test_words_that_another_cause_has_too_are_not_stated(sure: str, unsure: str, cause: str) -> None:
    told = [judge(words) for words in (sure, unsure)]
    assert [one and (one[0].cause, one[0].is_certain) for one in told] == [(cause, True), (cause, False)]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("OSError: [Errno 28] inotify watch limit reached", "open-files"),
        ("ModuleNotFoundError: No module named 'tiktoken'", "module-missing"),
        ("AWQ is only supported on CUDA", None),
        ("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "driver-library-mismatch"),
        ("libpython3.11.so.1.0: cannot open shared object file", "python-library-missing"),
        ("RuntimeError: CUDA error: peer access is not supported between these two devices", "peer-access"),
        ("nvidia-container-cli: initialization error: nvml error: driver not loaded", "driver-not-loaded"),
        ("Failed to initialize NVML: Unknown Error", "container-lost-gpu"),
        ("unable to open shared memory object </torch_1>: Too many open files (24)", "open-files"),
        (
            "No available node types can fulfill resource request {'GPU': 1.0, 'node:10.0.0.9': 0.001}",
            "ray-other-address",
        ),
        ("No available node types can fulfill resource request {'GPU': 9.0}", "ray-placement"),
        ("OSError: [Errno 37] No locks available", "no-file-locks"),
    ],
)
def test_a_line_that_resembles_another_causes_is_told_as_its_own(line: str, cause: str | None) -> None:
    judged = judge(line)
    assert (judged and judged[0].cause) == cause


def test_what_a_traceback_ends_with_is_a_failure_whatever_it_is_called() -> None:
    raised = "triton.runtime.autotuner.OutOfResources: out of resource: shared memory, Required: 9, Hardware limit: 8"
    for prefix in ("", "[rank0]: ", "(Worker pid=3) ERROR 03-11 08:01:40 [a.py:8] ", "#11 5.839 ", "2: "):
        lines = [TRACEBACK, '  File "a.py", line 1, in f', "    raise Odd(x)", "    ^^^^^^^", raised, "done"]
        explanation = explain(prefix + line for line in lines)
        assert explanation.deciding is not None and explanation.deciding.line == 5, prefix
        assert explanation.findings[0].key == "kernel-resources"


def test_the_end_of_a_deep_traceback_and_of_one_that_is_cut_off() -> None:
    frames = ['  File "a.py", line 1, in f', "    f()"]
    assert (
        explain([TRACEBACK, *frames * 150, "Weird: the moon"]).findings[0].proof.startswith("line 302 decided: Weird")
    )
    for cut in ([TRACEBACK], [TRACEBACK, frames[0]], [TRACEBACK, *frames], [f"x {TRACEBACK}", "y"]):
        assert explain(cut).findings[0].certainty == "unknown"


@pytest.mark.parametrize(
    ("announcing", "told", "key"),
    [
        (
            "  \u00d7 Failed to download `nvidia-nvtx==1`",
            "  \u2570\u2500\u25b6 Hash mismatch for `nvidia-nvtx==1`",
            "hash-mismatch",
        ),
        ("error: Failed to install: a.whl", "  Caused by: The wheel is invalid: a directory", "wheel-invalid"),
        ("CMake Error at a.cmake:52 (message):", "x.h:1: error: #error -- unsupported GNU version! gcc", "E10"),
        (
            "RuntimeError: import failed because of the following error (see above):",
            "libnuma.so.1: cannot open",
            "host-library-missing",
        ),
        ("  Building wheel for x (setup.py) ... error", "ld: cannot find -lcudart: No such file", "E16"),
        (
            "torch.distributed.DistBackendError: NCCL error in: x.cpp:1, internal error",
            "Bootstrap : no socket interface found",
            "nccl-interface",
        ),
        ("panicked at src/a.rs:2:70:", "system has unsupported display driver / cuda driver combination", "E50"),
    ],
)
def test_a_line_that_announces_what_follows_does_not_decide(announcing: str, told: str, key: str) -> None:
    assert first(announcing, told) == (key, "")


@pytest.mark.parametrize(
    "calm",
    [
        "-- Warning: ccache not found - consider installing it for faster compilation",
        "Config file not found at E=128.json. Performance might be sub-optimal!",
        "Defaulting to user installation because normal site-packages is not writeable",
        "Unable to find image 'example/cuda:13' locally",
        "Could not load the fast kernel, falling back to eager",
    ],
)
def test_what_goes_on_in_another_way_does_not_decide(calm: str) -> None:
    assert first(calm, "a.c:7:10: fatal error: Python.h: No such file or directory") == ("E27", "")


def test_an_exception_that_speaks_of_a_fallback_decides_all_the_same() -> None:
    line = "WeirdError: falling back to nothing"
    assert explain([line]).findings[0].proof.startswith(f"line 1 decided: {line}")


def test_a_shells_killed_is_a_consequence_of_what_failed_before_it() -> None:
    assert (
        first("NotImplementedError: No compressed-tensors compatible scheme was found.", "Killed")[0] == "model-unknown"
    )
    assert first("loading shard 3 of 40", "Killed") == ("E62", "may be")
    assert first("FAILED: a.cuda.o", "/usr/local/cuda/bin/nvcc -c a.cu -o a.cuda.o", "Killed") == ("E62", "")


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("multiprocessing/shared_memory.py", "shm-too-small"),
        ("multiprocessing/synchronize.py", "shm-too-small"),
        ("shutil.py", "E43"),
    ],
)
def test_a_full_disk_without_a_path_is_of_what_was_being_written(file: str, key: str) -> None:
    lines = [TRACEBACK, f'  File "/usr/lib/python3.12/{file}", line 121, in __init__', "    write(self._fd, size)"]
    assert first(*lines, "OSError: [Errno 28] No space left on device")[0] == key


def test_an_exception_that_does_not_say_of_what_is_read_with_its_traceback() -> None:
    frame, code = (
        '  File "/v/lib/python3.11/site-packages/torch/_inductor/codecache.py", line 9, in load',
        "    json.load(f)",
    )
    for raised in (
        "json.decoder.JSONDecodeError: Expecting value: line 1",
        "_pickle.UnpicklingError: pickle data was truncated",
    ):
        assert first(TRACEBACK, frame, code, raised)[0] == "cache-object-missing"
        assert first(TRACEBACK, '  File "app.py", line 9, in load', code, raised)[0] != "cache-object-missing"


def test_a_directory_that_is_not_there_explains_every_library_that_was_to_be_in_it() -> None:
    command = "c++ a.o -shared -lcurand -L/opt/conda/envs/x/lib64 -lcudart -o a.so"
    told = explain([command, "/usr/bin/ld: cannot find -lcurand", "/usr/bin/ld: cannot find -lcudart"]).sightings
    assert [one.finding.key for one in told] == ["E22", "E20"]
    assert told[1].finding.cause.startswith("row 22 explains it; ")


def test_a_banner_that_names_the_driver_explains_that_no_gpu_is_there() -> None:
    banner = "   [[ System has unsupported display driver / cuda driver combination (error 803) ]]"
    assert [one.finding.key for one in explain([banner, "RuntimeError: No CUDA GPUs are available"]).sightings] == [
        "E50",
        "E53",
    ]
    assert first("RuntimeError: No CUDA GPUs are available") == ("E53", "may be")


def test_the_c_librarys_two_ways_of_lacking_a_version_are_one_row() -> None:
    for line in (
        "ImportError: /v/jq.so: symbol scalbln, version GLIBC_2.2.5 not defined in file libc.so.6 with link time reference",
        "x: /v/jq.so: symbol scalbln version GLIBC_2.2.5 not defined in file libc.so.6 with link time reference",
    ):
        assert first(line) == ("E35", "")


@pytest.mark.parametrize(
    ("lines", "row", "certainty"),
    [
        (("RuntimeError: The NVIDIA driver on your system is too old (found version 12020).",), "E46", ""),
        (("CUDA driver version is insufficient for CUDA runtime version",), "E46", "may be"),
        (("sh: 1: gcc: not found", "nvcc fatal   : Failed to preprocess host compiler properties."), "E9", ""),
        (("nvcc fatal   : Failed to preprocess host compiler properties.",), "E9", "may be"),
        (("RuntimeError: FlashInfer requires GPUs with sm75 or higher",), "E31", "may be"),
    ],
)
def test_a_row_is_stated_only_where_its_words_are_its_own(lines: tuple[str, ...], row: str, certainty: str) -> None:
    assert first(*lines) == (row, certainty)


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        ("OSError: [Errno 5] Input/output error: '/models/a.safetensors'", "disk"),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", "settings"),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.",
            "memory",
        ),
        ("fatal error: infiniband/verbs.h: No such file or directory", "host compiler"),
        ("ncclInvalidUsage: x. Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 1b000", "GPU"),
        ("ConnectionError: Could not find any running Ray instance. Please specify the one to connect to", "network"),
        ("RuntimeError: Cannot re-initialize CUDA in forked subprocess", "settings"),
        (
            "ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.",
            "wheelhouse",
        ),
        ("OSError: AF_UNIX path too long", "settings"),
        ("ImportError: x.so: undefined symbol: _ZN3c104cuda9SetDeviceEa", "Python package"),
    ],
)
def test_neighbours_of_what_was_seen_are_told_by_their_layer(line: str, layer: str) -> None:
    assert explain([line]).findings[0].layer == layer
