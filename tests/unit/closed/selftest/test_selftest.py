from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from mirror.closed.environment.variables import Environment, load_environment
from mirror.closed.host.machine import Host
from mirror.closed.prefix.check import FAILED, PASSED, SKIPPED, Check
from mirror.closed.prefix.generations import Generation, Identity
from mirror.closed.selftest.selftest import SelfTestFailed, refuse_failures, self_test
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.progress import Silent
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
RPM = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, DIGEST, "cuda-nvcc-13-0")
PROBE = Artifact("wheels/mirror_probe-1-py3-none-any.whl", 1, DIGEST, "mirror-probe")
HOST = Host("x86_64", (2, 28), compiler=Path("/bin/true"))
NO_DRIVER = 'raise ImportError("libcuda.so.1: cannot open shared object file: No such file or directory")'


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    """A generation whose python sees the modules of ``modules/`` and whose toolkit has no nvcc yet."""
    for directory in ("venv/bin", "modules", "cuda/bin", "work"):
        (tmp_path / directory).mkdir(parents=True)
    python = tmp_path / "venv/bin/python"
    # What it is called with is -I, then -c CODE or -m MODULE; the modules come from beside it instead of site-packages.
    python.write_text(
        f"#!{sys.executable} -I\nimport runpy, sys\nsys.path.insert(0, {str(tmp_path / 'modules')!r})\n"
        "assert sys.argv[1] == '-I'\n"
        "if sys.argv[2] == '-c':\n    exec(sys.argv[3])\n"
        "else:\n    sys.argv = sys.argv[3:]\n    runpy.run_module(sys.argv[0], run_name='__main__')\n"
    )
    python.chmod(0o755)
    return tmp_path


def module(generation: Path, name: str, source: str) -> None:
    (generation / "modules" / f"{name}.py").write_text(source)


def nvcc(generation: Path, script: str) -> None:
    path = generation / "cuda/bin/nvcc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def checks(
    generation: Path, *artifacts: Artifact, imports: tuple[str, ...] = (), host: Host = HOST
) -> tuple[Check, ...]:
    environment = Environment(generation, Manifest("h100", 5, TARGET, artifacts, imports=imports))
    return self_test(environment, host, generation / "work")


def failures(
    generation: Path, *artifacts: Artifact, imports: tuple[str, ...] = (), host: Host = HOST
) -> tuple[Check, ...]:
    with pytest.raises(SelfTestFailed) as exc_info:
        refuse_failures(checks(generation, *artifacts, imports=imports, host=host))
    assert all(check.outcome == FAILED for check in exc_info.value.checks)
    return exc_info.value.checks


def test_each_module_is_imported_in_a_process_of_its_own(generation: Path) -> None:
    module(generation, "first", "import sys; sys.leaked = True")
    module(generation, "second", "import sys; assert not hasattr(sys, 'leaked')")
    found = checks(generation, imports=("first", "second"))
    assert found == (Check("import first", PASSED), Check("import second", PASSED))


def together(generation: Path, *imports: str, host: Host = HOST) -> list[tuple[str, str]]:
    environment = Environment(generation, Manifest("h100", 5, TARGET, (), imports=imports))
    found = self_test(environment, host, generation / "work", together=True)
    return [(check.name.partition(" ")[2], check.outcome) for check in found]


def test_together_they_share_a_process_and_each_is_told(generation: Path) -> None:
    started = generation / "started"
    for name in ("first", "second", "third"):
        module(generation, name, f"import os; open({str(started)!r}, 'a').write(str(os.getpid()) + chr(10))")
    assert together(generation, "first", "second", "third") == [(name, PASSED) for name in ("first", "second", "third")]
    assert len(set(started.read_text().split())) == 1


@pytest.mark.parametrize(
    "source",
    [
        "raise RuntimeError",
        "import os; os.kill(os.getpid(), 11)",
        "import os; os._exit(3)",
        "import sys; sys.exit('no')",
        "import os, signal; os.close(1); os.close(2); os.abort()",
    ],
    ids=["error", "signal", "exit", "sys-exit", "abort-without-streams"],
)
def test_together_the_one_that_fails_is_named_whatever_it_does_to_its_process(generation: Path, source: str) -> None:
    module(generation, "good", "")
    module(generation, "bad", source)
    module(generation, "better", "")
    assert together(generation, "good", "bad", "better") == [("good", PASSED), ("bad", FAILED), ("better", PASSED)]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "its process was ended by signal 11 (Segmentation fault)"),
        ("import sys; sys.exit(0)", "its process ended with exit code 0"),
    ],
)
def test_one_that_ends_its_process_without_a_word_fails_and_is_told_how(
    generation: Path, source: str, words: str
) -> None:
    module(generation, "bad", source)
    assert [(check.name, check.detail) for check in failures(generation, imports=("bad",))] == [("import bad", words)]


def test_together_one_that_fails_alone_only_where_others_are_is_what_it_is_alone(generation: Path) -> None:
    module(generation, "first", "import sys; sys.leaked = True")
    module(generation, "second", "import sys; assert not hasattr(sys, 'leaked')")
    module(generation, "gpu", NO_DRIVER)
    assert together(generation, "first", "second", "gpu") == [("first", PASSED), ("second", PASSED), ("gpu", SKIPPED)]


def test_together_one_that_breaks_its_process_at_the_end_is_named(generation: Path) -> None:
    module(generation, "good", "")
    module(generation, "late", "import atexit, os; atexit.register(os.abort)")
    module(generation, "better", "")
    assert together(generation, "good", "late", "better") == [("good", PASSED), ("late", FAILED), ("better", PASSED)]


def test_all_imports_that_fail_are_told_together(generation: Path) -> None:
    module(generation, "bad", "raise RuntimeError('no kernel image')")
    module(generation, "good", "")
    found = failures(generation, imports=("bad", "good", "missing"))
    assert [check.name for check in found] == ["import bad", "import missing"]
    assert "RuntimeError: no kernel image" in found[0].detail
    assert "No module named 'missing'" in found[1].detail


def test_the_error_shows_the_last_words_of_each(generation: Path) -> None:
    module(generation, "bad", "raise RuntimeError('no kernel image')")
    with pytest.raises(SelfTestFailed) as exc_info:
        refuse_failures(checks(generation, imports=("bad",)))
    assert str(exc_info.value) == "the self-test failed: import bad"
    assert exc_info.value.context().startswith("import bad:\n")
    assert exc_info.value.context().endswith("no kernel image")


def test_a_module_that_needs_the_driver_is_skipped_where_there_is_none(generation: Path) -> None:
    module(generation, "gpu", NO_DRIVER)
    (found,) = checks(generation, imports=("gpu",))
    assert str(found) == "import gpu: skipped (needs the GPU driver, which this host does not have)"


def test_and_it_fails_where_there_is_a_driver(generation: Path) -> None:
    module(generation, "gpu", NO_DRIVER)
    host = Host("x86_64", (2, 28), driver="580.65.06")
    assert [check.name for check in failures(generation, imports=("gpu",), host=host)] == ["import gpu"]


@pytest.mark.group(66)
def test_modules_see_what_env_sh_sets_and_none_of_the_users_python_settings(
    generation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/planted")
    monkeypatch.setenv("HOME", "/planted")
    source = "import os; assert os.environ['CUDA_HOME'].endswith('/cuda'); assert '/planted' not in os.environ.values()"
    module(generation, "looks", source)
    assert checks(generation, RPM, imports=("looks",))[0].outcome == PASSED


@pytest.mark.parametrize(("code", "outcome"), [(0, PASSED), (3, SKIPPED)])
def test_the_probe_says_whether_a_gpu_ran_it(generation: Path, code: int, outcome: str) -> None:
    module(generation, "mirror_probe", f"import sys; assert sys.argv[1:] == ['--json']; sys.exit({code})")
    (found,) = checks(generation, PROBE)
    assert (found.name, found.outcome) == ("run the sm_90a probe kernel", outcome)


def test_a_wrong_result_of_the_probe_is_a_failure(generation: Path) -> None:
    module(generation, "mirror_probe", "import sys; print('GPU 0: wrong sum'); sys.exit(1)")
    assert [check.detail for check in failures(generation, PROBE)] == ["GPU 0: wrong sum"]


@pytest.mark.parametrize("code", [1, 3])
def test_a_driver_that_is_too_old_explains_the_probe(generation: Path, code: int) -> None:
    module(generation, "mirror_probe", f"import sys; print('CUDA error 35'); sys.exit({code})")
    (found,) = checks(generation, PROBE, host=Host("x86_64", (2, 28), driver="535.104.05"))
    assert "CUDA 13.0 needs driver 580 or newer" in found.detail
    assert "this host has 535.104.05" in found.detail


def test_all_checks_are_made_whatever_fails_and_the_caller_decides(generation: Path) -> None:
    module(generation, "bad", "raise RuntimeError('no')")
    module(generation, "mirror_probe", "")
    nvcc(generation, "echo 'nvcc fatal' >&2; exit 1")
    found = checks(generation, RPM, PROBE, imports=("bad",))
    assert [(check.name, check.outcome) for check in found[:3]] == [
        ("import bad", FAILED),
        ("run the sm_90a probe kernel", PASSED),
        ("compile and link a kernel for sm_90a", FAILED),
    ]
    assert refuse_failures(found[1:2]) == found[1:2]


def test_it_is_told_of_each_check_when_it_ends(generation: Path) -> None:
    said = []

    class Listener(Silent):
        def say(self, line: str) -> None:
            said.append(line)

    module(generation, "first", "")
    module(generation, "second", "")
    environment = Environment(generation, Manifest("h100", 5, TARGET, (), imports=("first", "second")))
    self_test(environment, HOST, generation / "work", Listener())
    assert said == ["import first: passed", "import second: passed"]


def test_an_installed_generation_is_tested_without_its_bundle(tmp_path: Path, generation: Path) -> None:
    data = Manifest("h100", 5, TARGET, (), imports=("first",)).encode()
    (generation / "manifest.json").write_bytes(data)
    (generation / "COMPLETE").write_text(hashlib.sha256(data).hexdigest() + "\n")
    module(generation, "first", "")
    environment = load_environment(Generation(generation, Identity(5, "ab" * 6)))
    assert self_test(environment, HOST, generation / "work") == (Check("import first", PASSED),)


def test_a_bundle_without_a_toolkit_compiles_nothing(generation: Path) -> None:
    assert checks(generation) == ()


def test_what_it_starts_keeps_the_prefix_locked(generation: Path) -> None:
    """Should mirror be killed, no other run begins to clear away what these programs still write to."""
    with (generation / "lock").open("w") as lock:
        module(generation, "holding", f"import os; os.fstat({lock.fileno()})")
        environment = Environment(generation, Manifest("h100", 5, TARGET, (), imports=("holding",)))
        for inherited, outcome in (((lock.fileno(),), PASSED), ((), FAILED)):
            found = self_test(environment, HOST, generation / "work", inherited=inherited)
            assert [check.outcome for check in found] == [outcome]
