"""What ``packaging`` reads, of texts that nobody who means well writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from packaging.markers import InvalidMarker
from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename
from packaging.version import InvalidVersion

from mirror.connected.pins.standards import (
    read_marker,
    read_requirement,
    read_sdist_name,
    read_specifiers,
    read_version,
    read_wheel_name,
)

LONG = "9" * 5000
DEEP = "(" * 5000 + 'python_version > "3"' + ")" * 5000

pytestmark = pytest.mark.group(11)


@pytest.mark.parametrize(
    ("read", "refusal", "text"),
    [
        *((read_version, InvalidVersion, one.format(LONG)) for one in ("{}", "1.{}", "{}!1", "1rc{}", "1+{}", "1.dev{}")),
        *((read_version, InvalidVersion, text) for text in ("", "\u00b2", "1." * 100_000 + "1", "x" * 1_000_000)),
        *((read_specifiers, InvalidSpecifier, f"{sign}1.{LONG}") for sign in ("==", ">=", "~=", "===", "!=", "<")),
        (read_specifiers, InvalidSpecifier, f"=={LONG}.*"),
        *((read_requirement, InvalidRequirement, f"a{text}") for text in (f"=={LONG}", f"; extra > '{LONG}'", f"; {DEEP}")),
        (read_requirement, InvalidRequirement, "a_"),
        *((read_marker, InvalidMarker, text) for text in (f"python_version > '{LONG}'", DEEP, "(" * 100_000)),
        *((read_wheel_name, InvalidWheelFilename, f"a-{text}-py3-none-any.whl") for text in (LONG, f"1-{LONG}", "1-\u00b2x")),
        (read_sdist_name, InvalidSdistFilename, f"a-{LONG}.tar.gz"),
    ],
)  # fmt: skip
def test_a_text_that_packaging_cannot_use_is_refused_when_it_is_read(
    read: Callable[[str], object], refusal: type[ValueError], text: str
) -> None:
    with pytest.raises(refusal) as caught:
        read(text)
    assert len(str(caught.value)) < 12_000


@pytest.mark.parametrize(
    "marker",
    ['os_name ~= "posix"', 'platform_machine ~= "1.0"', 'extra ~= "a"', 'implementation_version ~= "x"', '"a" ~= "b"',
     'sys_platform == "linux" and (os_name ~= "p" or os_name > "q")', '"1.0" ~= platform_release', 'extras == "a"'],
)  # fmt: skip
def test_a_marker_that_cannot_be_evaluated_is_refused_when_it_is_read(marker: str) -> None:
    for read, text in ((read_marker, marker), (read_requirement, f"a; {marker}")):
        with pytest.raises((InvalidMarker, InvalidRequirement)) as caught:
            read(text)
        assert str(caught.value) == f"expected a marker such as 'python_version >= \"3.11\"', got {marker!r}"


def test_the_sets_of_a_lock_are_for_its_markers_alone() -> None:
    assert str(read_marker('"a" in extras and "b" in dependency_groups'))
    with pytest.raises(InvalidRequirement, match="expected a marker such as"):
        read_requirement('a; "b" in extras')


def test_what_people_write_is_read() -> None:
    digits = "9" * 100
    assert str(read_version(f"1!2.0rc1.post2.dev3+cu128.g{digits}")) == f"1!2.0rc1.post2.dev3+cu128.g{digits}"
    assert read_specifiers(">=20260101123456").contains("20270101000000")
    assert read_requirement("torch[opt]>=2.10; python_version >= '3.11'").name == "torch"
    assert read_marker("sys_platform == 'linux'").evaluate({"sys_platform": "linux"})
    assert str(read_wheel_name("a-1.0-1-py3-none-any.whl")[1]) == str(read_sdist_name("a-1.0.tar.gz")[1]) == "1.0"
