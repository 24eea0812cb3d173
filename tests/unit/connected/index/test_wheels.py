"""The target takes the best wheel that it can, and says why when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from mirror.connected.index.indexfile import IndexFile
from mirror.connected.index.wheels import (
    NoWheelForTarget,
    allows_python,
    best_wheel,
    explain,
    target_tags,
)
from mirror.core.names import Sha256Hex, project_name
from mirror.core.target import Target

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")
A = project_name("a")


def wheel(tag: str, build: str = "", requires_python: str = "") -> IndexFile:
    filename = f"a-1.0-{build}{'-' if build else ''}{tag}.whl"
    _, version, number, tags = parse_wheel_filename(filename)
    return IndexFile(
        filename,
        "https://x/a",
        Sha256Hex("a" * 64),
        "wheel",
        str(version),
        tags,
        number,
        requires_python=requires_python,
    )


SDIST = IndexFile("a-1.0.tar.gz", "https://x/a", Sha256Hex("b" * 64), "sdist", "1.0")


def best(*tags: str, target: Target = TARGET) -> str | None:
    found = best_wheel([wheel(tag) for tag in tags], target)
    return found.filename.removeprefix("a-1.0-").removesuffix(".whl") if found else None


def test_the_most_specific_tag_wins() -> None:
    assert best("py3-none-any", "cp311-cp311-manylinux_2_17_x86_64") == "cp311-cp311-manylinux_2_17_x86_64"
    assert best("cp39-abi3-manylinux_2_17_x86_64", "cp311-cp311-manylinux1_x86_64") == "cp311-cp311-manylinux1_x86_64"
    assert (
        best("cp38-abi3-manylinux_2_17_x86_64", "cp310-abi3-manylinux_2_5_x86_64") == "cp310-abi3-manylinux_2_5_x86_64"
    )
    assert (
        best("cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_28_x86_64")
        == "cp311-cp311-manylinux_2_28_x86_64"
    )
    assert best("cp311-cp311-linux_x86_64", "cp311-cp311-manylinux1_x86_64") == "cp311-cp311-manylinux1_x86_64"


def test_a_greater_build_tag_breaks_a_tie() -> None:
    found = best_wheel([wheel("py3-none-any", "9"), wheel("py3-none-any", "10"), wheel("py3-none-any")], TARGET)
    assert found is not None
    assert found.build == (10, "")


@pytest.mark.group(40)
@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_29_x86_64",
        "cp311-cp311-manylinux_2_28_aarch64",
        "cp311-cp311-musllinux_1_2_x86_64",
        "cp312-abi3-manylinux_2_17_x86_64",
        "cp39-cp39-manylinux_2_17_x86_64",
        "cp311-cp311-macosx_11_0_arm64",
        "cp311-cp311t-manylinux_2_17_x86_64",
        "py2-none-any",
    ],
)
def test_takes_no_wheel_of_another_machine(tag: str) -> None:
    assert best(tag) is None


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp311-cp311-manylinux2014_x86_64",
        "cp311-cp311-manylinux2010_x86_64",
        "cp32-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
        "cp311-none-any",
        "py2.py3-none-any",
        "py3-none-manylinux_2_28_x86_64",
    ],
)
def test_takes_every_wheel_of_its_own(tag: str) -> None:
    assert best(tag) == tag


def test_aarch64_has_no_wheels_older_than_2014() -> None:
    target = Target(python="3.11", arch="aarch64", glibc="2.28")
    assert best("cp311-cp311-manylinux2014_aarch64", target=target)
    assert not best("cp311-cp311-manylinux2010_aarch64", target=target)


@pytest.mark.group(43)
def test_requires_python_counts() -> None:
    assert best_wheel([wheel("py3-none-any", requires_python=">=3.12")], TARGET) is None
    assert allows_python("<3.14,>=3.10", TARGET)
    assert allows_python(">=3.11.4", TARGET)  # some patch release fits; the host's own is checked when it is known
    assert not allows_python("<3.11", TARGET)


@pytest.mark.parametrize(
    ("tags", "sentence"),
    [
        (["cp38-abi3-manylinux_2_31_x86_64"], "has only manylinux_2_31 wheels; target h100 promises glibc 2.28"),
        (
            ["cp311-cp311-manylinux_2_35_x86_64", "cp311-cp311-manylinux_2_31_x86_64", "cp311-cp311-win_amd64"],
            "has only manylinux_2_31, manylinux_2_35 wheels; target h100 promises glibc 2.28",
        ),
        (["cp39-cp39-manylinux1_x86_64"], "has wheels only for cp39; target h100 has Python 3.11"),
        (
            ["cp39-cp39-manylinux1_x86_64", "cp312-cp312-manylinux1_x86_64"],
            "has wheels only for cp39, cp312; target h100 has Python 3.11",
        ),
        (["cp312-abi3-manylinux1_x86_64"], "has wheels only for cp312; target h100 has Python 3.11"),
        (["py3-none-win_amd64"], "has wheels only for win_amd64; target h100 is Linux on x86_64"),
        (
            ["cp311-cp311-manylinux_2_17_aarch64"],
            "has wheels only for manylinux_2_17_aarch64; target h100 is Linux on x86_64",
        ),
        (["cp311-cp311-musllinux_1_2_x86_64"], "has only musllinux wheels; target h100 has glibc"),
    ],
)
def test_says_both_sides(tags: list[str], sentence: str) -> None:
    miss = explain(A, "1.0", [SDIST, *map(wheel, tags)], TARGET)
    assert str(NoWheelForTarget("h100", (miss,))) == f"a 1.0 {sentence}"


def test_says_when_there_is_only_an_sdist_or_nothing_or_another_python() -> None:
    assert explain(A, "1.0", [SDIST], TARGET).found == "has no wheel, only an sdist"
    assert explain(A, "1.0", [], TARGET).found == "has no file on its index"
    miss = explain(A, "1.0", [wheel("py3-none-any", requires_python=">=3.12")], TARGET)
    assert (miss.found, miss.wanted) == ("asks for Python >=3.12", "has Python 3.11")


def test_every_miss_is_told() -> None:
    misses = (explain(A, "1.0", [], TARGET), explain(A, "2.0", [SDIST], TARGET))
    assert NoWheelForTarget("h100", misses).context().count("\n") == 1


def test_this_machine_as_a_target_has_the_tags_that_packaging_gives_it() -> None:
    tags = [tag for tag in sys_tags() if "manylinux" in tag.platform or tag.platform == "any"]
    glibc = max(int(tag.platform.split("_")[2]) for tag in tags if tag.platform.startswith("manylinux_2_"))
    arch = "aarch64" if any("aarch64" in tag.platform for tag in tags) else "x86_64"
    version = f"{tags[0].interpreter[2]}.{tags[0].interpreter[3:]}"
    ours = [tag for tag in target_tags(Target(version, arch, f"2.{glibc}")) if not tag.platform.startswith("linux_")]
    assert ours == tags


def test_errors_survive_pickling(tmp_path: Path) -> None:
    import pickle

    error = NoWheelForTarget("h100", (explain(A, "1.0", [], TARGET),))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
