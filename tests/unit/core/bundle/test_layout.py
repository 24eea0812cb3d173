import io
import tarfile

import pytest

from mirror.core.bundle import layout
from mirror.core.bundle.layout import BadLayout

NESTED = "models/" + "/".join(("o--n", "d" * 90, "e" * 50, "x" * 100))


@pytest.mark.parametrize("size", [0, 8 * 2**30 - 1, 8 * 2**30, 1 << 40])
@pytest.mark.parametrize("name", ["MANIFEST.json", "wheels/" + "x" * 96 + ".whl", NESTED])
def test_tarfile_reads_the_header_that_we_write(name: str, size: int) -> None:
    info = tarfile.TarInfo.frombuf(layout.header(name, size), "ascii", "strict")
    assert (info.name, info.size, info.mode, info.uid, info.gid) == (name, size, 0o644, 0, 0)
    assert (info.isreg(), info.uname, info.gname, info.mtime) == (True, "", "", layout.MTIME)


def test_a_whole_archive_is_read_by_tarfile() -> None:
    data = b"hello"
    tar = layout.header("meta/a", 5) + data + layout.padding(5) + layout.END
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        member = archive.extractfile("meta/a")
        assert member is not None
        assert member.read() == data
    assert layout.member_bytes(5) == 1024


def test_reads_back_its_own_size() -> None:
    assert layout.read_size(layout.header("a", 77), "a", 0, limit=100, bundle="b.tar") == 77


@pytest.mark.group(19)
def test_every_other_bit_pattern_of_a_header_is_refused() -> None:
    good = layout.header("MANIFEST.json", 77)
    for bit in range(512 * 8):
        block = bytearray(good)
        block[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadLayout, match=r"expected the header of MANIFEST\.json"):
            layout.read_size(bytes(block), "MANIFEST.json", 0, limit=1 << 40, bundle="b.tar")


@pytest.mark.group(19)
@pytest.mark.parametrize("size", [0, 101])
def test_a_size_out_of_bounds_is_refused(size: int) -> None:
    with pytest.raises(BadLayout, match=f"a has {size} bytes, the limit is 100"):
        layout.read_size(layout.header("a", size), "a", 0, limit=100, bundle="b.tar")
