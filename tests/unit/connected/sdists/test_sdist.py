"""An sdist is read, never run."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from pathlib import Path

import pytest

from mirror.connected.sdists.sdist import MAX_MEMBER_BYTES, InvalidSdist, read_sdist
from tests.support.limits import within
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


@pytest.mark.group(47)
@pytest.mark.parametrize("kind", ["pax", "global", "longname", "longlink", "paths", "members"])
def test_a_small_sdist_takes_little_memory_whatever_its_headers_say(tmp_path: Path, kind: str) -> None:
    """``tarfile`` takes 625 MiB for 2.7 MB of these."""
    size = 600 << 20
    header = tarfile.TarInfo("a-1.0/x")
    header.type = {"pax": b"x", "global": b"g", "longname": b"L", "longlink": b"K"}.get(kind, tarfile.REGTYPE)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = bytearray()
    if kind in ("paths", "members"):
        name = "a-1.0/{}" + "/d" * 2000 * (kind == "paths")
        for number in range(300 if kind == "paths" else 250_000):
            entry = tarfile.TarInfo(name.format(number))
            out += packer.compress(entry.tobuf(tarfile.PAX_FORMAT))
    else:
        header.size = size
        out += packer.compress(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(size >> 20):
            out += packer.compress(b"%d path=" % size + b"x" * ((1 << 20) - 15) if not out else b"x" * (1 << 20))
    path = tmp_path / "a-1.0.tar.gz"
    path.write_bytes(bytes(out) + packer.flush())
    assert path.stat().st_size < 8 << 20
    imports = "from pathlib import Path\nfrom mirror.connected.sdists.sdist import InvalidSdist, read_sdist"
    code = """
try:
    read_sdist(Path(sys.argv[1]))
except InvalidSdist as exc:
    print(exc.problem)
"""
    done = within(160, imports, code, str(path))
    assert done.stdout.startswith("it cannot be unpacked: "), done.stderr
