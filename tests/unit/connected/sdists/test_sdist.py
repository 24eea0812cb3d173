"""An sdist is read, never run."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from mirror.connected.sdists.sdist import MAX_MEMBER_BYTES, InvalidSdist, read_sdist
from tests.support.wheels import make_sdist


def archive(path: Path, members: list[tuple[str, bytes]]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzip.compress(buffer.getvalue()))
    return path


def test_says_what_it_is_and_what_it_needs(tmp_path: Path) -> None:
    path = make_sdist(
        tmp_path,
        "Left-Pad",
        "1.0",
        requires=["numpy>=2", 'pillow; extra == "image"'],
        extras=["image"],
        requires_python=">=3.10",
        build_requires=["setuptools>=42", "wheel"],
        backend='open("/dev/null").read(); raise SystemExit("this code must never run")\n',
    )
    sdist = read_sdist(path)
    assert (sdist.name, sdist.version, sdist.requires_python, sdist.extras) == ("left-pad", "1.0", ">=3.10", ("image",))
    assert [str(one) for one in sdist.requires] == ["numpy>=2", 'pillow; extra == "image"']
    assert [str(one) for one in sdist.build_requires] == ["setuptools>=42", "wheel"]


def test_a_project_without_pyproject_is_built_by_setuptools(tmp_path: Path) -> None:
    sdist = read_sdist(make_sdist(tmp_path, "a", "1.0", build_requires=None))
    assert [str(one) for one in sdist.build_requires] == ["setuptools>=40.8.0"]


def test_a_pyproject_without_build_system_too(tmp_path: Path) -> None:
    sdist = read_sdist(make_sdist(tmp_path, "a", "1.0", files={"pyproject.toml": b"[tool.x]\n"}))
    assert [str(one) for one in sdist.build_requires] == ["setuptools>=40.8.0"]


INFO = b"Metadata-Version: 2.2\nName: a\nVersion: 1.0\n"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("a-1.0/x", b"")], "it holds no PKG-INFO"),
        ([("PKG-INFO", INFO)], "'PKG-INFO' is no directory, as its name says"),
        ([("a-1.0/sub/PKG-INFO", INFO)], "it holds no PKG-INFO"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/PKG-INFO", INFO)], "'a-1.0/PKG-INFO' occurs twice"),
        ([("a-1.0/PKG-INFO", b"Name: a\n")], "its description cannot be read: Invalid version: ''"),
        ([("a-1.0/PKG-INFO", b"Name: ../a\nVersion: 1\n")], "expected a project name, got '../a'"),
        ([("a-1.0/PKG-INFO", INFO + b"Requires-Dist: =\n")], "its description cannot be read"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/pyproject.toml", b"[build-system]\n")], "no list of requirements"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/pyproject.toml", b"[build-system]\nrequires = [1]\n")], "no list"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/pyproject.toml", b"build-system = 1\n")], "no list of requirements"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/pyproject.toml", b"[build-system\n")], "its description cannot be read"),
        ([("a-1.0/PKG-INFO", INFO), ("a-1.0/pyproject.toml", b"\xff")], "its description cannot be read"),
        ([("a-1.0/PKG-INFO", b" " * (MAX_MEMBER_BYTES + 1))], "more than the 4194304 allowed"),
    ],
)
def test_names_what_is_wrong_in_it(tmp_path: Path, members: list[tuple[str, bytes]], message: str) -> None:
    with pytest.raises(InvalidSdist) as caught:
        read_sdist(archive(tmp_path / "a-1.0.tar.gz", members))
    assert str(caught.value).startswith("a-1.0.tar.gz: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_a_damaged_archive_is_named(tmp_path: Path, cut: int) -> None:
    path = make_sdist(tmp_path, "a", "1.0")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidSdist, match="cannot be unpacked"):
        read_sdist(path)
