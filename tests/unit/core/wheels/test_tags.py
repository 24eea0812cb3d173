"""mirror's own tags, held against packaging's (SECURITY.md rows 39 and 40)."""

from __future__ import annotations

import pytest
from packaging.utils import parse_wheel_filename

from mirror.connected.index import wheels
from mirror.core.target import Target
from mirror.core.wheels.tags import WheelName, expanded, target_tags
from mirror.core.wheels.versions import same_version


@pytest.mark.group(40)
@pytest.mark.parametrize("python", ["3.9", "3.11", "3.14"])
@pytest.mark.parametrize(
    ("arch", "glibc"), [("x86_64", "2.28"), ("x86_64", "2.17"), ("x86_64", "2.40"), ("aarch64", "2.31")]
)
def test_row_40_a_target_takes_the_tags_that_packaging_computes(python: str, arch: str, glibc: str) -> None:
    target = Target(python, arch, glibc)
    assert target_tags(target) == {str(tag) for tag in wheels.target_tags(target)}


@pytest.mark.group(39)
@pytest.mark.parametrize(
    "filename",
    [
        "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "Foo.Bar-1.0-py2.py3-none-any.whl",
        "a-1!2.0-1-py3-none-any.whl",
        "a-2.0+cu124-1abc-cp38-abi3-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
        "a-1.0.post1-py3-none-any.whl",
    ],
)
def test_row_39_a_file_name_says_what_it_says_to_packaging(filename: str) -> None:
    name, version, build, tags = parse_wheel_filename(filename)
    ours = WheelName.parse(filename)
    assert str(ours.project) == str(name)
    assert ours.tags == {str(tag) for tag in tags}
    assert same_version(ours.version, str(version))
    assert ours.build == "".join(map(str, build))


@pytest.mark.parametrize(
    "filename",
    ["a-1.0.whl", "a-1.0-py3-none-any.zip", "a-1.0-x1-py3-none-any.whl", "a-1.0-b-c-py3-none-any.whl", "-1.0-py3-none-any.whl",
     "a-one-py3-none-any.whl", "a-1.0-py3-none-.whl"],
)  # fmt: skip
def test_what_is_no_wheels_name_is_refused(filename: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        WheelName.parse(filename)


def test_a_compressed_set_stands_for_each_of_its_tags() -> None:
    assert expanded("py2.py3-none-any") == {"py2-none-any", "py3-none-any"}
    with pytest.raises(ValueError, match="expected a tag"):
        expanded("py3-none")
