from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from mirror.closed.prefix.check import Check
from mirror.closed.prefix.generations import Generation, Identity
from mirror.closed.prefix.receipt import Receipt, read_receipt
from mirror.closed.prefix.toolchainrecord import ToolchainRecord
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.fields import canonical_json
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.toolchain import Dangling, Unpacked

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
    counts=(("tool", 3), ("wheel", 2)),
    mirror="0.1.0",
    checks=(Check("import torch", "skipped", "needs the GPU driver"),),
    notes=("you are root",),
)


TOOLCHAIN = ToolchainRecord(
    packages=(
        Unpacked("cuda-nvcc-13-0-13.0.88-1.x86_64", Sha256Hex("cd" * 32), ("bin/nvcc", "bin/nvcc.profile")),
        Unpacked(
            "cuda-cudart-devel-13-0-13.0.96-1.x86_64", Sha256Hex("ef" * 32), ("targets/x86_64-linux/include/a.h",)
        ),
    ),
    made=("include -> targets/x86_64-linux/include",),
    dangling=(Dangling("lib64/libcudart.so", "libcudart.so.13", "cuda-cudart-devel-13-0", "cuda-cudart-13-0"),),
    dropped=("/etc/ld.so.conf.d/000_cuda.conf",),
    scriptlets=("cuda-toolkit-config-common: posttrans",),
    tamed=("bin/x (mode 4755)",),
)


@pytest.mark.parametrize("toolchain", [None, TOOLCHAIN, ToolchainRecord(())])
def test_round_trip(toolchain: ToolchainRecord | None) -> None:
    receipt = dataclasses.replace(RECEIPT, toolchain=toolchain)
    assert Receipt.from_bytes(receipt.encode()) == receipt


def test_a_receipt_of_before_there_was_a_toolchain_in_it_is_read() -> None:
    """Users have generations that an earlier mirror installed: they go on and can be rolled back to."""
    before = RECEIPT.to_dict()
    assert "toolchain" not in before
    receipt = Receipt.from_bytes(canonical_json(before))
    assert receipt.toolchain is None


def test_tells_which_package_a_file_came_from() -> None:
    nvcc, devel = TOOLCHAIN.packages
    assert TOOLCHAIN.owner("bin/nvcc") is nvcc
    assert TOOLCHAIN.owner("targets/x86_64-linux/include/a.h") is devel
    assert TOOLCHAIN.owner("include/none.h") is None


def test_a_summary_counts_files_and_keeps_what_is_out_of_order() -> None:
    summary = dataclasses.replace(RECEIPT, toolchain=TOOLCHAIN).summary()
    assert [package["files"] for package in summary["toolchain"]["packages"]] == [2, 1]
    assert (summary["toolchain"]["made"], summary["toolchain"]["dropped"]) == (1, 1)
    assert summary["toolchain"]["dangling"][0]["package"] == "cuda-cudart-13-0"
    assert "bin/nvcc.profile" not in json.dumps(summary)
    assert RECEIPT.summary() == RECEIPT.to_dict()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "mirror-receipt/2"}, "Receipt invalid at 'format': this mirror reads 'mirror-receipt/1'"),
        ({"counts": {"wheel": "2"}}, "Receipt invalid at 'counts.wheel': expected int, got str"),
        ({"checks": [{"name": "x"}]}, "Receipt invalid at 'checks[0].outcome': missing"),
        ({"more": 1}, "Receipt invalid at 'more': unknown key"),
        ({"toolchain": []}, "Receipt invalid at 'toolchain': expected dict, got list"),
        ({"toolchain": {"more": 1}}, "Receipt invalid at 'toolchain.more': unknown key"),
        (
            {"toolchain": {"packages": [{"nevra": "a", "sha256": "x", "files": []}]}},
            "Receipt invalid at 'toolchain.packages[0].sha256': ",
        ),
        (
            {"toolchain": {"dangling": [{"path": "a", "target": "b"}]}},
            "Receipt invalid at 'toolchain.dangling[0].owner': missing",
        ),
    ],
)
def test_a_damaged_receipt_says_where(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidDocument) as exc_info:
        Receipt.from_bytes(json.dumps({**RECEIPT.to_dict(), **changes}).encode())
    assert str(exc_info.value).startswith(message)


def test_a_missing_receipt_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"receipt\.json"):
        read_receipt(Generation(tmp_path, Identity(1, "ab" * 6)))


def test_a_receipt_of_the_first_versions_is_read() -> None:
    """They had one key for each of three kinds."""
    old = json.loads(RECEIPT.encode())
    del old["counts"]
    assert Receipt.from_bytes(canonical_json({**old, "wheels": 2, "rpms": 17, "archives": 0})).counts == (
        ("wheel", 2),
        ("rpm", 17),
    )
