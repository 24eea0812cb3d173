"""mirror's own reading of Requires-Dist, held against packaging's (SECURITY.md row 43)."""

from __future__ import annotations

import itertools

import pytest
from packaging.requirements import Requirement as Theirs

from mirror.connected.pins.markers import environment
from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.wheels.requirement import Requirement, marker_values

TARGET = Target("3.11", "x86_64", "2.28")

LINES = [
    "numpy",
    "numpy>=2",
    "Foo.Bar[a,B_c] >= 1, < 2",
    "foo (>=1.0,<2)",
    "foo[x]==1.*",
    "foo @ https://example.invalid/foo.whl ; python_version > '3'",
    'a>=1; python_version >= "3.11"',
    'a; python_version<"3.11" and extra == "test"',
    'a; extra == "Te_st"',
    'a; (sys_platform == "linux" or sys_platform == "darwin") and platform_machine != "aarch64"',
    'a; sys_platform == "win32" or python_full_version >= "3.11.0" and os_name == "posix"',
    'a; platform_machine in "x86_64 AMD64"',
    'a; platform_machine not in "x86_64 AMD64"',
    "a; 'linux' in sys_platform",
    'a; python_version in "3.10, 3.11"',
    'a; python_version ~= "3.9" and python_version != "3.10.*"',
    'a; implementation_name == "cpython" and platform_python_implementation == "CPython"',
    'a; platform_system == "Linux" and platform_release >= "1"',
    'a; "3.10" < python_version',
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_means_what_it_means_to_packaging(line: str) -> None:
    ours, theirs = Requirement.parse(line), Theirs(line)
    assert ours.name == project_name(theirs.name)
    assert set(ours.extras) == {project_name(extra) for extra in theirs.extras}
    for version in ("0.9", "1.0", "1.5", "2.0", "3.0"):
        assert ours.is_met_by(version) == theirs.specifier.contains(version, prereleases=True)
    for python, arch, extra in itertools.product(("3.9", "3.11"), ("x86_64", "aarch64"), ("", "test", "te-st")):
        target = Target(python, arch, "2.28")
        values = {**environment(target), "extra": extra}
        found = theirs.marker is None or theirs.marker.evaluate(values)
        assert ours.applies(marker_values(target), [extra]) == (found or ours.applies(marker_values(target))), extra
        if not extra:
            assert ours.applies(marker_values(target)) == found


def test_the_markers_see_what_the_connected_side_sees() -> None:
    assert marker_values(TARGET) == environment(TARGET)


@pytest.mark.parametrize("line", ["", ">=1", "a b", "a[b", "-a", "a (>=1"])
def test_what_is_no_requirement_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Requirement.parse(line).is_met_by("1.0")


@pytest.mark.parametrize(
    "marker",
    [
        "python_version",
        "python_version >=",
        "python_version >= 3",
        "python_version >= '3' and",
        "(python_version >= '3'",
        "python_version >= '3')",
        "colour == 'red'",
        "os_name ~= 'posix'",
        "'a' 'b' 'c'",
        "$ == 'a'",
        "(" * 40 + "os_name == 'posix'" + ")" * 40,
    ],
)
def test_a_marker_that_cannot_be_read_is_refused(marker: str) -> None:
    with pytest.raises(ValueError, match="expected a marker such as"):
        Requirement.parse(f"a; {marker}").applies(marker_values(TARGET))
