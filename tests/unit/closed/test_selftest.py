from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mirror.closed.environment import Environment
from mirror.closed.host import Host
from mirror.closed.selftest import FAILED, PASSED, SKIPPED, Check, SelfTestFailed, self_test
from mirror.core.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
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


def failures(generation: Path, *artifacts: Artifact, imports: tuple[str, ...] = ()) -> tuple[Check, ...]:
    with pytest.raises(SelfTestFailed) as exc_info:
        checks(generation, *artifacts, imports=imports)
    assert all(check.outcome == FAILED for check in exc_info.value.checks)
    return exc_info.value.checks


def test_each_module_is_imported_in_a_process_of_its_own(generation: Path) -> None:
    module(generation, "first", "import sys; sys.leaked = True")
    module(generation, "second", "import sys; assert not hasattr(sys, 'leaked')")
    found = checks(generation, imports=("first", "second"))
    assert found == (Check("import first", PASSED), Check("import second", PASSED))


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
        checks(generation, imports=("bad",))
    assert str(exc_info.value) == "the self-test failed: import bad"
    assert exc_info.value.context().startswith("import bad:\n")
    assert exc_info.value.context().endswith("no kernel image")


def test_a_module_that_needs_the_driver_is_skipped_where_there_is_none(generation: Path) -> None:
    module(generation, "gpu", NO_DRIVER)
    (found,) = checks(generation, imports=("gpu",))
    assert str(found) == "import gpu: skipped (needs the GPU driver, which this host does not have)"


def test_and_it_fails_where_there_is_a_driver(generation: Path) -> None:
    module(generation, "gpu", NO_DRIVER)
    with pytest.raises(SelfTestFailed):
        checks(generation, imports=("gpu",), host=Host("x86_64", (2, 28), driver="580.65.06"))


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


def test_nvcc_is_asked_for_the_targets_architecture(generation: Path) -> None:
    nvcc(generation, f'echo "$@" > {generation}/asked; command -v nvcc >> {generation}/asked')
    found = checks(generation, RPM)
    assert [check.outcome for check in found] == [PASSED, PASSED]
    arguments, on_path = (generation / "asked").read_text().splitlines()
    assert arguments.startswith("-arch=sm_90a ")
    assert on_path == f"{generation}/cuda/bin/nvcc"


def test_nvcc_that_fails_shows_its_words(generation: Path) -> None:
    nvcc(generation, "echo 'cuda_fp16.h:4: fatal error: nv/target: No such file or directory' >&2; exit 1")
    (found,) = failures(generation, RPM)
    assert found.name == "compile and link a kernel for sm_90a"
    assert "nv/target: No such file or directory" in found.detail


def test_a_host_without_a_compiler_is_told_so(generation: Path) -> None:
    nvcc(generation, "exit 1")
    (found,) = checks(generation, RPM, host=Host("x86_64", (2, 28)))
    assert found.outcome == SKIPPED
    assert "no C++ compiler" in found.detail


def test_a_compiler_that_is_too_new_for_nvcc_is_the_hosts_affair(generation: Path) -> None:
    message = "host_config.h:143: #error -- unsupported GNU version! gcc versions later than 15 are not supported!"
    nvcc(generation, f"echo '{message}' >&2; exit 1")
    (found,) = checks(generation, RPM)
    assert found.outcome == SKIPPED
    assert found.detail.endswith("gcc versions later than 15 are not supported")


def test_the_plain_link_names_the_stub_only_when_it_is_there(generation: Path) -> None:
    nvcc(generation, "exit 0")
    assert checks(generation, RPM)[1].name == "link with -lcudart"
    (generation / "cuda/lib64/stubs").mkdir(parents=True)
    (generation / "cuda/lib64/stubs/libcuda.so").touch()
    assert checks(generation, RPM)[1].name == "link with -lcudart -lcuda"


def test_a_link_that_fails_shows_the_linkers_words(generation: Path) -> None:
    nvcc(generation, "exit 0")
    linker = generation / "g++"
    linker.write_text("#!/bin/sh\necho '/usr/bin/ld: cannot find -lcudart' >&2; exit 1\n")
    linker.chmod(0o755)
    with pytest.raises(SelfTestFailed) as exc_info:
        checks(generation, RPM, host=Host("x86_64", (2, 28), compiler=linker))
    assert exc_info.value.checks[0].detail == "/usr/bin/ld: cannot find -lcudart"


def test_a_bundle_without_a_toolkit_compiles_nothing(generation: Path) -> None:
    assert checks(generation) == ()
