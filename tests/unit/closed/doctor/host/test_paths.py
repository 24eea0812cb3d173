from __future__ import annotations

from pathlib import Path

from mirror.closed.doctor.host.paths import judge_paths, library_path
from mirror.core.logs.finding import GOOD, PROBLEM, WARNING


def test_stubs_are_a_problem_wherever_they_are(tmp_path: Path) -> None:
    stubs = tmp_path / "lib64/stubs"
    stubs.mkdir(parents=True)
    (stubs / "libcuda.so").touch()
    (found,) = judge_paths({"LD_LIBRARY_PATH": f"/opt/none:{stubs}"})
    assert (found.level, found.row) == (PROBLEM, "45")
    assert str(stubs) in found.what


def test_an_empty_stubs_directory_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "stubs").mkdir()
    assert [finding.level for finding in judge_paths({"LD_LIBRARY_PATH": f"{tmp_path}/stubs"})] == [GOOD]


def test_cuda_compat_is_a_warning(tmp_path: Path) -> None:
    compat = tmp_path / "compat"
    compat.mkdir()
    (compat / "libcuda.so.1").touch()
    (found,) = judge_paths({"LD_LIBRARY_PATH": str(compat)})
    assert (found.level, found.row) == (WARNING, "50")


def test_an_empty_element_means_the_current_directory(tmp_path: Path) -> None:
    for text in (f":{tmp_path}", f"{tmp_path}:", f"{tmp_path}::/opt"):
        assert [finding.level for finding in judge_paths({"LD_LIBRARY_PATH": text})] == [WARNING]


def test_nothing_set_is_nothing_told() -> None:
    assert list(judge_paths({})) == []
    assert list(judge_paths({"LD_LIBRARY_PATH": "", "PYTHONPATH": "", "LD_PRELOAD": ""})) == []


def test_what_is_preloaded_is_named() -> None:
    (found,) = judge_paths({"LD_PRELOAD": "/opt/old/libnccl.so.2"})
    assert (found.level, found.row) == (WARNING, "39")
    assert "/opt/old/libnccl.so.2" in found.what


def test_a_pythonpath_with_another_torch_is_a_problem(tmp_path: Path) -> None:
    (found,) = judge_paths({"PYTHONPATH": str(tmp_path)})
    assert found.level == WARNING
    (tmp_path / "torch").mkdir()
    (found,) = judge_paths({"PYTHONPATH": f"/none:{tmp_path}"})
    assert (found.level, found.row) == (PROBLEM, "40")
    assert f"{tmp_path}/torch" in found.what


def test_a_pythonhome_is_a_problem() -> None:
    assert [finding.level for finding in judge_paths({"PYTHONHOME": "/usr"})] == [PROBLEM]


def test_the_library_path_is_what_the_loader_searches(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    text = f"{tmp_path}/b:relative:{tmp_path}/none;{tmp_path}/a"
    assert library_path({"LD_LIBRARY_PATH": text}) == (tmp_path / "b", tmp_path / "a")
