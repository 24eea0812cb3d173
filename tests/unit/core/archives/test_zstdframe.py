"""The outline of zstd frames, against what a real packer writes."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.core.archives.zstdframe import MAX_WINDOW, Decompressor, Frame, OneFrame
from tests.support.rpms import zstd_here, zstd_module

CONTENT = os.urandom(70_000) + b"a" * 300_000
PACKED = bytes(zstd_module().compress(CONTENT))


def decompressed(
    data: bytes, step: int = 1 << 16, inner: Callable[[], Decompressor] = zstd_here
) -> tuple[bytes, bytes]:
    """The content of a stream, and what follows it."""
    frame, out, at = OneFrame(inner()), [], 0
    while not frame.eof:
        block = data[at : at + step] if frame.needs_input else b""
        if frame.needs_input and not block:
            raise EOFError("cut short")
        at += len(block)
        out.append(frame.decompress(block, 1 << 16))
    return b"".join(out), frame.unused_data + data[at:]


@pytest.mark.parametrize("level", [1, 3, 19, 22])
@pytest.mark.parametrize("size", [0, 1, 255, 256, 70_001])
@pytest.mark.parametrize("checksum", [0, 1])
@pytest.mark.parametrize("at_once", [True, False])
def test_follows_what_packers_write_to_its_last_byte(level: int, size: int, checksum: int, at_once: bool) -> None:
    zstd = zstd_module()
    parameter = zstd.CompressionParameter
    options = {parameter.compression_level: level, parameter.checksum_flag: checksum}
    if at_once:
        packed = zstd.compress(CONTENT[-size:] if size else b"", options=options)
    else:
        packer = zstd.ZstdCompressor(options=options)
        packed = packer.compress(CONTENT[-size:] if size else b"") + packer.flush()
    for step in (1, 7, 1 << 18):
        frame = Frame()
        for at in range(0, len(packed), step):
            assert not frame.done
            assert frame.follow(packed[at : at + step]) == len(packed[at : at + step])
        assert frame.done
        assert frame.follow(b"more") == 0


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_decompresses_and_tells_what_follows(step: int) -> None:
    assert decompressed(PACKED, max(step, 1000)) == (CONTENT, b"")
    assert decompressed(PACKED + PACKED[:20], max(step, 1000)) == (CONTENT, PACKED[:20])


@pytest.mark.group(36)
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x50\x2a\x4d\x18\x04\0\0\0skip" + PACKED, r"no frame begins with b'P*M\x18'"),
        (b"\x28\xb5\x2f\xfc\x00\x00", "no frame begins with"),
        (b"\x28\xb5\x2f\xfd\x01\x00\x00", "a dictionary, or a reserved bit"),
        (b"\x28\xb5\x2f\xfd\x08\x00\x00", "a dictionary, or a reserved bit"),
        (b"\x28\xb5\x2f\xfd\x00\x89", f"it needs 150994944 bytes of memory, {MAX_WINDOW} is the limit"),
        (b"\x28\xb5\x2f\xfd\x00\xff", "it needs 4123168604160 bytes of memory"),
        (b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8, "it needs 18446744073709551615 bytes of memory"),
        (b"\x28\xb5\x2f\xfd\x00\x50\x06\x00\x00", "a block of kind 3 and 0 bytes"),
        (b"\x28\xb5\x2f\xfd\x00\x50\x00\x00\xff", "a block of kind 0 and 2088960 bytes"),
    ],
)
def test_refuses_what_is_not_one_frame_of_moderate_size(data: bytes, words: str) -> None:
    """SECURITY.md 36: a decompressor never sees it."""
    with pytest.raises(ValueError) as caught:
        Frame().follow(data)
    assert words in str(caught.value)


def test_a_window_of_128_mib_is_read() -> None:
    Frame().follow(b"\x28\xb5\x2f\xfd\x00\x88")


@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 30))
def test_whatever_comes_is_followed_or_refused(junk: bytes, at: int, cut: int) -> None:
    try:
        found, rest = decompressed(PACKED[:at] + junk + PACKED[at + cut :], 64 << 10)
    except (ValueError, EOFError):
        return
    assert len(found) <= len(CONTENT) + (128 << 10) * 60
    assert isinstance(rest, bytes)


class Liar:
    """A decompressor that has nothing to say, or says that it is done."""

    def __init__(self, eof: bool) -> None:
        self.eof, self.needs_input, self.closed = eof, True, False

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return b""

    def finish(self) -> None:
        self.needs_input = False

    def close(self) -> None:
        self.closed = True


def test_a_decompressor_that_stops_early_or_never_is_not_believed() -> None:
    with pytest.raises(ValueError, match="stopped before the frame's end"):
        OneFrame(Liar(eof=True)).decompress(PACKED[:100])
    waiting = OneFrame(Liar(eof=False))
    waiting.decompress(PACKED)
    with pytest.raises(EOFError, match="waits for more than the frame holds"):
        waiting.decompress(b"")


def test_a_broken_block_is_a_value_error() -> None:
    broken = bytearray(PACKED)
    broken[12:40] = bytes(28)
    with pytest.raises((ValueError, EOFError)):
        decompressed(bytes(broken))


def test_closing_closes_the_decompressor() -> None:
    inner = Liar(eof=False)
    OneFrame(inner).close()
    assert inner.closed
    OneFrame(zstd_here()).close()
