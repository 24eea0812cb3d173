from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.stack.host import HostUnfit, adopt, check_host
from mirror.connected.stack.stack import Stack
from mirror.core.errors import Unwritable
from mirror.core.targets.detected import GpuKind
from tests.unit.core.targets.test_detected import HOST

TOML = """\
# ours
[python]
requirements = ["a"]

  [ target ] # the machine
  glibc = "2.17"   # the oldest
  python = '3.8'
arch = "x86_64"
cuda = "12.8"
# gpu = "sm_80"
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "demo.toml"
    path.write_text(TOML)
    return path


def test_only_the_target_is_changed_and_comments_stay(toml: Path) -> None:
    toml.chmod(0o640)
    assert adopt(toml, HOST, "target.toml") == ("python 3.8 -> 3.11", "glibc 2.17 -> 2.34", "gpu (none) -> sm_90a")
    assert toml.read_text() == TOML.replace('"2.17"', '"2.34"').replace("'3.8'", '"3.11"').replace(
        "# the machine\n", '# the machine\ngpu = "sm_90a"\n'
    )
    assert toml.stat().st_mode & 0o777 == 0o640
    assert adopt(toml, HOST, "target.toml") == ()


def test_a_python_that_the_host_has_or_the_bundle_carries_stays(toml: Path) -> None:
    toml.write_text(TOML.replace("'3.8'", "'3.9'"))
    assert "python" not in "".join(adopt(toml, HOST, "t"))
    toml.write_text(TOML + f'[interpreter]\nurl = "https://example.org/a.tar.gz"\nsha256 = "{"ab" * 32}"\n')
    assert "python" not in "".join(adopt(toml, HOST, "t"))


@pytest.mark.parametrize(
    ("old", "new", "issue"),
    [
        ('arch = "x86_64"', 'arch = "aarch64"', "the bundle is for aarch64, target.toml is x86_64"),
        ('cuda = "12.8"', 'cuda = "13.0"', "CUDA 13.0 needs driver 580 or newer, target.toml has 535.104.05"),
    ],
)
def test_what_a_person_has_to_decide_is_refused_and_nothing_is_changed(
    toml: Path, old: str, new: str, issue: str
) -> None:
    toml.write_text(TOML.replace(old, new))
    with pytest.raises(HostUnfit) as caught:
        adopt(toml, HOST, "target.toml")
    assert str(caught.value) == f"demo is not for the host of target.toml: {issue}"
    assert toml.read_text() == TOML.replace(old, new)


def test_one_of_several_kinds_of_gpu_is_for_a_person_to_choose(toml: Path) -> None:
    host = replace(HOST, gpus=(*(HOST.gpus or ()), GpuKind("NVIDIA L4", "8.9", 1)))
    with pytest.raises(HostUnfit, match=r"target.toml has GPUs of 8.9, 9.0, and \[target\] says none"):
        adopt(toml, host, "target.toml")
    toml.write_text(TOML.replace("# gpu", "gpu").replace("sm_80", "sm_89"))
    assert "gpu" not in "".join(adopt(toml, host, "target.toml"))


def test_a_gpu_that_the_stacks_cuda_does_not_know_is_refused(toml: Path) -> None:
    host = replace(HOST, gpus=(GpuKind("NVIDIA B300", "10.3", 8),))
    with pytest.raises(HostUnfit, match=r"target.toml has B300, and nvcc of CUDA 12.8 does not know sm_103a"):
        adopt(toml, host, "target.toml")


def test_a_target_that_is_written_in_another_way_is_left_to_its_person(toml: Path) -> None:
    text = TOML.replace("[ target ] # the machine", "").replace("[python]", 'target.python = "3.11"\n[python]')
    text = (
        'target = { python = "3.8", arch = "x86_64", glibc = "2.17", cuda = "12.8" }\n[python]\nrequirements = ["a"]\n'
    )
    toml.write_text(text)
    with pytest.raises(Unwritable) as caught:
        adopt(toml, HOST, "target.toml")
    assert caught.value.hint == 'Write it there yourself: python = "3.11", glibc = "2.34", gpu = "sm_90a".'
    assert toml.read_text() == text


def test_every_mismatch_is_told_before_a_bundle_is_made(toml: Path, tmp_path: Path) -> None:
    told = tmp_path / "target.toml"
    told.write_bytes(replace(HOST, glibc="2.12", arch="aarch64", cpu=()).encode())
    with pytest.raises(HostUnfit) as caught:
        check_host("demo", Stack.load(toml).target, told, carries_python=False)
    assert str(caught.value) == "demo is not for the host of target.toml: 3 things do not go together"
    assert caught.value.context().splitlines() == [
        "  - the bundle is for x86_64, target.toml is aarch64",
        "  - the bundle is for glibc 2.17 or newer, target.toml has 2.12",
        "  - the bundle is for Python 3.8 and carries none, target.toml has 3.11.7, 3.9.18",
    ]
