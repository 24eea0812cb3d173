"""torch's byte strings with a checksum, written as ``torch.utils._appending_byte_serializer`` writes them."""

from __future__ import annotations

import pickle
import zlib

import pytest

from mirror.closed.warm.checksums import rechecked

OLD, NEW = b"/home/alice/cache", b"/home/robin/cache"


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def checked(*fields: bytes) -> bytes:
    written = b"".join(fields)
    return zlib.crc32(written).to_bytes(4, "big") + written


def graphs(place: bytes) -> bytes:
    return checked((1).to_bytes(8, "big"), sized(b"aW5kdWN0b3I="), sized(b"a2V5"), sized(pickle.dumps({"at": place})))


def cached(place: bytes) -> bytes:
    return checked(sized(b"CacheCompiledArtifact"), sized(b"torch's key"), sized(b"a2V5"), sized(graphs(place)))


def ahead(place: bytes) -> bytes:
    return checked(sized(b"AOTCompiledArtifact"), sized(b"torch's key"), sized(pickle.dumps({"at": place})))


@pytest.mark.parametrize(
    "write",
    [
        graphs,
        cached,
        ahead,
        lambda place: pickle.dumps([b"before", cached(place), ahead(place), cached(b"elsewhere")]),
        lambda place: ahead(pickle.dumps({"inner": ahead(place), "also": cached(place)})),
        lambda place: checked(sized(b"another kind"), sized(place)),
    ],
)
def test_a_file_that_names_another_directory_is_what_torch_would_have_written_there(write) -> None:  # type: ignore[no-untyped-def]
    assert rechecked(write(OLD), write(OLD).replace(OLD, NEW)) == write(NEW)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        b"no checksum, but " + OLD,
        b"1234" + sized(b"CacheCompiledArtifact") + sized(OLD),  # ends in the middle
        b"1234" + sized(b"AOTCompiledArtifact") + b"\xff" * 8 + OLD,  # a length beyond the end
        sized(b"AOTCompiledArtifact") + sized(b"a") + sized(OLD),  # no place for a checksum
        b"1234" + sized(b"AOTCompiledArtifact") + sized(b"a") + sized(OLD),  # a wrong one
    ],
)
def test_what_has_no_right_checksum_is_given_none(data: bytes) -> None:
    assert rechecked(data, data.replace(OLD, NEW)) == data.replace(OLD, NEW)
