from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror.closed.prefix import Generation, Identity
from mirror.closed.receipt import Receipt, read_receipt
from mirror.closed.selftest import Check
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import Sha256Hex

RECEIPT = Receipt(
    name="h100",
    sequence=1_790_000_000,
    manifest_sha256=Sha256Hex("ab" * 32),
    generation="/p/gens/1790000000-abababababab",
    installed=1_795_000_000,
    python="/usr/bin/python3.11",
    python_version="3.11.7",
    python_origin="host",
    installer="uv",
    signers=("builder",),
    wheels=2,
    rpms=0,
    mirror="0.1.0",
    checks=(Check("import torch", "skipped", "needs the GPU driver"),),
    notes=("you are root",),
)


def test_round_trip() -> None:
    assert Receipt.from_bytes(RECEIPT.encode()) == RECEIPT


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "mirror-receipt/2"}, "Receipt invalid at 'format': this mirror reads 'mirror-receipt/1'"),
        ({"wheels": "2"}, "Receipt invalid at 'wheels': expected int, got str"),
        ({"checks": [{"name": "x"}]}, "Receipt invalid at 'checks[0].outcome': missing"),
        ({"more": 1}, "Receipt invalid at 'more': unknown key"),
    ],
)
def test_a_damaged_receipt_says_where(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidDocument) as exc_info:
        Receipt.from_bytes(json.dumps({**RECEIPT.to_dict(), **changes}).encode())
    assert str(exc_info.value).startswith(message)


def test_a_missing_receipt_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"receipt\.json"):
        read_receipt(Generation(tmp_path, Identity(1, "ab" * 6)))
