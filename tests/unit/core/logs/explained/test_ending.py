"""What ended a program, of all that its log says failed."""

from __future__ import annotations

import pytest

from mirror.core.logs.explained.log import explain, meaning
from mirror.core.logs.origin import origin
from mirror.core.logs.rules import RULES, judge

LIFE = "(EngineCore pid=7) INFO 06-09 01:36:09 [gpu_model_runner.py:4000] Model loading took 17.6 GiB"
NO_NUMA = "ImportError: libnuma.so.1: cannot open shared object file: No such file or directory"
NO_CUDART = "/usr/bin/ld: cannot find -lcudart: No such file or directory"
PREFIX = "(EngineCore pid=7) ERROR 06-09 01:37:00 [core.py:1330] "


@pytest.mark.parametrize(
    ("line", "process", "level", "message"),
    [
        (
            "(APIServer pid=1) ERROR 06-04 10:00:00 [registry.py:961] KeyError: 'x'",
            "APIServer pid=1",
            "ERROR",
            "KeyError: 'x'",
        ),
        ("(Worker pid=1) (Worker_TP2 pid=2) WARNING 06-04 10:00:00 [a.py:1] b", "Worker_TP2 pid=2", "WARNING", "b"),
        ("[rank3]: RuntimeError: no", "rank3", "ERROR", "RuntimeError: no"),
        ("[rank0]:[W1201 10:00:00.000000000 ProcessGroupNCCL.cpp:1] w", "rank0", "WARNING", "w"),
        ("[2025-11-05 12:00:00 TP1] Scheduler hit an exception", "TP1", "ERROR", "Scheduler hit an exception"),
        ("2026-11-21T05:01:13.123456789Z stdout F [rank3]: x", "rank3", "ERROR", "x"),
        ("Nov 28 10:00:00 host vllm[123]: ERROR 06-09 01:37:00 [core.py:1330] x", "", "ERROR", "x"),
        ("host1:1:114 [2] misc/shmutils.cc:87 NCCL WARN Error: x", "", "ERROR", "Error: x"),
        ("host1:1:114 [2] NCCL INFO transport/shm.cc:547 -> 2", "", "INFO", "transport/shm.cc:547 -> 2"),
        ("INFO:     Started server process [1]", "", "INFO", "Started server process [1]"),
        ("2026-01-01 10:00:00,123 - ERROR - vllm - boom", "", "ERROR", "vllm - boom"),
        ("a WARNING in the middle", "", "ERROR", "a WARNING in the middle"),
    ],
)
def test_a_line_is_taken_apart(line: str, process: str, level: str, message: str) -> None:
    assert origin(line) == (process, level, message)


def test_what_a_warning_says_ended_nothing() -> None:
    lines = [f"(Worker pid=1) WARNING 06-09 01:36:04 [x.py:74] {NO_CUDART}", LIFE, PREFIX + NO_NUMA]
    first, *others = explain(lines).findings
    assert (first.key, first.layer, first.certainty) == ("host-library-missing", "loader", "")
    assert "line 3: " in first.proof
    assert [(one.what, one.certainty) for one in others] == [("survived: the linker did not find -lcudart", "may be")]


def test_a_warning_with_nothing_after_it_may_be_the_cause() -> None:
    assert explain([f"WARNING 06-09 01:36:04 [x.py:74] {NO_CUDART}"]).findings[0].key == "E16"


def test_what_the_program_went_on_after_is_not_the_end() -> None:
    lines = [PREFIX + NO_CUDART, *[LIFE] * 6, PREFIX + NO_NUMA]
    explanation = explain(lines)
    assert explanation.findings[0].key == "host-library-missing"
    assert [one.finding.key for one in explanation.survived] == ["E16"]


def test_shutting_down_is_not_going_on() -> None:
    down = "INFO:     Shutting down"
    assert (
        explain([PREFIX + NO_NUMA, *[down] * 9, "RuntimeError: something else broke"]).findings[0].key
        == "host-library-missing"
    )


def test_the_innermost_of_a_chain_is_the_cause() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in <module>',
        NO_NUMA,
        "",
        "The above exception was the direct cause of the following exception:",
        "",
        "Traceback (most recent call last):",
        "ValueError: model of a kind that nobody knows",
        "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    explanation = explain(lines)
    assert explanation.findings[0].key == "host-library-missing"
    assert explanation.deciding is not None and explanation.deciding.line == 3


def test_of_an_end_that_nobody_knows_the_deciding_line_is_shown() -> None:
    lines = [
        LIFE,
        "Traceback (most recent call last):",
        "WeirdError: the moon is full",
        "RuntimeError: Engine core initialization failed.",
    ]
    (first, *_) = explain(lines).findings
    assert (first.certainty, first.key) == ("unknown", "")
    assert first.proof.startswith("line 3 decided: WeirdError: the moon is full")


def test_an_exception_without_words_is_read_with_its_traceback() -> None:
    lines = [
        '  File "deep_gemm/__init__.py", line 60, in _find_cuda_home',
        "    assert cuda_home is not None",
        "AssertionError",
    ]
    assert explain(lines).findings[0].key == "no-nvcc"


@pytest.mark.parametrize(
    ("message", "cause", "said"),
    [
        (
            "ImportError: libibverbs.so.1: cannot open shared object file: No such file",
            "host-library-missing",
            "libibverbs.so.1",
        ),
        (
            "OSError: libcudnn_graph.so.9: cannot open shared object file",
            "package-library-missing",
            "libcudnn_graph.so.9",
        ),
        ("libnvidia-ml.so.1: cannot open shared object file", "driver-library-missing", "libnvidia-ml.so.1"),
        ("ImportError: x.so: undefined symbol: _ZN3c104cuda9SetDeviceEa", "torch-abi", "_ZN3c104cuda9SetDeviceEa"),
        (
            "ImportError: x.so: undefined symbol: _Z8topk_gpuRN2at6TensorE",
            "own-symbol-missing",
            "_Z8topk_gpuRN2at6TensorE",
        ),
        ("ImportError: x.so: undefined symbol: PyType_Freeze", "python-abi", "PyType_Freeze"),
        ("ImportError: x.so: undefined symbol: ncclCommWindowRegister", "nccl-older", "ncclCommWindowRegister"),
        ("ImportError: x.so: undefined symbol: cuMemCreateX", "driver-older", "cuMemCreateX"),
        ("OSError: [Errno 28] No space left on device: '/scratch/x/y'", "disk-full", "/scratch/x/y"),
        ("OSError: [Errno 28] No space left on device", "disk-full", "a quota is reached"),
        (
            "unable to open shared memory object </torch_1>: No space left on device",
            "shm-too-small",
            "/dev/shm",
        ),
        ("OSError: [Errno 24] Too many open files", "open-files", "limit"),
        ("RuntimeError: can't start new thread", "processes", "limit"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "gpu-memory", "ran out"),
        ("RuntimeError: foo needs nvcc 12.9 or newer", "nvcc-too-old", "older"),
        ("ptxas fatal   : Value 'sm_103a' is not defined for option 'gpu-name'", "ptxas-too-old", "sm_103a"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "name-not-resolved", "name"),
        (
            "ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded",
            "model-not-here",
            "hub",
        ),
        ("ModuleNotFoundError: No module named 'xgrammar'", "module-missing", "xgrammar"),
        ("ERROR: No matching distribution found for outlines", "wheelhouse-lacks", "outlines"),
        ("OSError: [Errno 98] Address already in use", "address-in-use", "port"),
        ("ImportError: /c/.cache/x/cached_ops/norm/norm.so: file too short", "cache-object-missing", "cache"),
        ("OSError: /v/lib/python3.11/site-packages/x/libx.so: invalid ELF header", "damaged-library", "/v/lib"),
        ("World size (4) is larger than the number of available GPUs (2) in this node.", "invalid-device", "not there"),
    ],
)
def test_any_line_of_a_form_says_its_layer(message: str, cause: str, said: str) -> None:
    judged = judge(message)
    assert judged is not None
    rule, groups = judged
    assert rule.cause == cause
    finding = rule.finding(groups, "line 1: x")
    assert said in finding.what and "{" not in f"{finding.what}{finding.cause}{finding.fix}{finding.proof}"


def test_rules_have_names_of_their_own_and_quote_what_a_log_says() -> None:
    assert len({rule.cause for rule in RULES}) == len(RULES)
    judged = judge("No space left on device: '/tmp/$(reboot)'")
    assert judged is not None
    assert "df -h '/tmp/$(reboot)'" in judged[0].finding(judged[1], "x").proof


@pytest.mark.parametrize("line", ["", "everything is fine", "done in 3 s", "loaded 4 shards"])
def test_a_calm_line_is_of_no_rule(line: str) -> None:
    assert judge(line) is None


def test_the_words_of_a_program_that_failed_are_given_a_meaning() -> None:
    assert meaning(f"building\n{NO_NUMA}").startswith(
        "which means: libnuma.so.1 was not found when a program was loaded; "
    )
    assert meaning("ERROR: No matching distribution found for outlines").startswith(
        "which means: the wheelhouse lacks outlines; "
    )
    assert meaning("nobody knows") == ""


def test_torchs_warning_that_numpy_is_not_there_ends_no_build() -> None:
    """Every build with torch and without numpy prints it, and fails of something else."""
    warning = (
        "BuildBackendWarning: Failed to initialize NumPy: No module named 'numpy' (Triggered internally at "
        "/pytorch/torch/csrc/utils/tensor_numpy.cpp:84.)\n"
    )
    assert meaning(f"g++: compiled\n{warning}") == ""
    assert "a kernel's source does not compile" in meaning(f"src/a.cu(3): error: expected a ';'\n{warning}")
    assert "module numpy is not installed" in meaning("ModuleNotFoundError: No module named 'numpy'\n")
