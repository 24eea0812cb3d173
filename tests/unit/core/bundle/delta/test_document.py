from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from mirror.core.bundle.delta.document import PIECE_BYTES, PREFIX_BYTES, Counterpart, Delta, Named, Part, Piece
from mirror.core.bundle.delta.unpacked import Slice
from mirror.core.errors import InvalidDocument
from mirror.core.names import Sha256Hex

A, B, C = (Sha256Hex(two * 32) for two in ("aa", "bb", "cc"))
WHEEL = "wheels/a-2-py3-none-any.whl"
HEAD = Delta(
    Named("old.tar", "demo", 1, A),
    Named("new.tar", "demo", 2, B),
    2048 + 512 + 1024 + 512 + 512 + 1024,
    C,
    (
        Part(
            "", 2048, A, "bytes", Counterpart("MANIFEST.json", 900, A), 2048, pieces=(Piece(50, (Slice(0, 0, 900),)),)
        ),
        Part(
            WHEEL,
            1000,
            B,
            "members",
            Counterpart("wheels/a-1-py3-none-any.whl", 900, A),
            stream=3000,
            members=3,
            framing=300,
            settings=(6, 25),
            pieces=(Piece(500, (Slice(1, 0, 200), Slice(2, 5, 100), Slice(2, 105, 7))),),
        ),
        Part("meta/a.txt", 100, C, "whole"),
    ),
    ((6, A), (25, B)),
    B,
)


def test_a_head_is_read_back() -> None:
    assert Delta.parse(HEAD.encode()) == HEAD
    assert HEAD.encode() == HEAD.encode()
    assert HEAD.body_bytes == 50 + 500 + 100
    assert HEAD.counts() == {"same": 0, "members": 1, "bytes": 0, "whole": 1}
    assert str(HEAD.base) == "demo, locked 1970-01-01T00:00:01Z (old.tar, manifest aaaaaaaaaaaa)"


def altered(change: Callable[[dict[str, Any]], object]) -> bytes:
    head = copy.deepcopy(json.loads(gzip.decompress(HEAD.encode())))
    change(head)
    return gzip.compress(json.dumps(head).encode())


def parts(index: int, **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda head: head["parts"][index].update(values)


def pieces(slices: list[Any], packed: int = 1) -> Callable[[dict[str, Any]], object]:
    return parts(1, pieces=[{"packed": packed, "slices": slices}])


HUGE = 10**17
FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another way": (parts(2, how="magic"), "parts[2].how"),
    "the same, and is not": (parts(1, how="same"), "parts[1].base"),
    "a stream of something that has none": (parts(2, stream=5), "parts[2].stream"),
    "a stream that is larger than the file": (parts(0, stream=2049), "parts[0].stream"),
    "a wheel that grows without end": (parts(1, stream=HUGE), "parts[1].stream"),
    "members of no wheel": (parts(0, members=1), "parts[0].members"),
    "more members than fit": (parts(1, members=HUGE), "parts[1].members"),
    "a framing that does not fit": (parts(1, framing=1001), "parts[1].framing"),
    "settings that nobody has": (parts(1, settings=[0]), "parts[1].settings"),
    "settings in another order": (parts(1, settings=[25, 6]), "parts[1].settings"),
    "settings without a sample": (lambda head: head["samples"].pop(), "samples"),
    "a piece too many": (parts(1, pieces=[{"packed": 1, "slices": []}] * 2), "parts[1].pieces"),
    "a frame that is larger than what it holds": (pieces([], 2 * PIECE_BYTES + 1), "parts[1].pieces"),
    "a stretch before the one before": (pieces([[2, 5, 1], [1, 0, 1]]), "parts[1].pieces[0].slices"),
    "stretches that overlap": (pieces([[2, 5, 2], [2, 6, 2]]), "parts[1].pieces[0].slices"),
    "an empty stretch": (pieces([[2, 5, 0]]), "parts[1].pieces[0].slices"),
    "too large a prefix": (pieces([[2, 0, PREFIX_BYTES], [3, 0, 1]]), "parts[1].pieces[0].slices"),
    "a stretch of words": (pieces([["2", 0, 1]]), "parts[1].pieces[0].slices"),
    "a stretch that is none": (pieces([7]), "parts[1].pieces[0].slices"),
    "stretches of no base": (lambda head: head["parts"][1].pop("base"), "parts[1].base"),
    "a way out of the bundle": (lambda head: head["target"].update(file="../new.tar"), "target.file"),
    "a hidden name": (lambda head: head["target"].update(file=".bashrc"), "target.file"),
    "another size of all": (lambda head: head["target"].update(size=HUGE), "target.size"),
    "no begin": (lambda head: head["parts"].pop(0), "parts"),
    "no parts": (lambda head: head["parts"].clear(), "parts"),
    "two begins": (parts(2, path=""), "parts"),
    "a path that no tar holds": (parts(2, path="meta/" + "a" * 101), "parts[2].path"),
    "a path that is no text": (parts(2, path="meta/\n"), "parts[2].path"),
    "another format": (lambda head: head.update(format="mirror-delta/2"), "format"),
    "a key more": (lambda head: head.update(more=1), "more"),
}


@pytest.mark.group(12, 47)
@pytest.mark.parametrize("name", FAULTS)
def test_a_head_that_is_not_sound_is_refused_with_the_place(name: str) -> None:
    change, where = FAULTS[name]
    with pytest.raises(InvalidDocument) as caught:
        Delta.parse(altered(change))
    assert caught.value.where == where


@pytest.mark.group(47)
def test_a_head_that_inflates_without_end_is_refused() -> None:
    for data in (gzip.compress(b" " * (70 << 20)), b"", b"no gzip", HEAD.encode()[:-9], HEAD.encode() + b"x"):
        with pytest.raises(InvalidDocument):
            Delta.parse(data)
