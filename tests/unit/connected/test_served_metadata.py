"""An index that serves, beside a wheel, metadata that are not the wheel's own (PEP 658)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from mirror.connected.bundle import BundleOptions, bundle
from mirror.connected.fetching.store import Store
from mirror.connected.lock import LockOptions, lock
from mirror.connected.papers.vetting import WheelsRefused
from mirror.connected.pins.requirements import parse_lock, read_lock
from mirror.connected.planning.wishes import Wishes
from mirror.core.trust.truststore import TrustStore
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel, metadata, sha256_of


class LyingIndex(LoopbackIndex):
    """Lists metadata of its own for each file for which it was told some."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[str, bytes] = {}

    def tell(self, wheel: Path, text: str) -> None:
        self.told[wheel.name] = text.encode()
        self.serve(f"/files/{wheel.name}.metadata", text.encode())

    def _json(self, item: Any) -> dict[str, Any]:
        entry = super()._json(item)
        if item.filename in self.told:
            entry["core-metadata"] = {"sha256": hashlib.sha256(self.told[item.filename]).hexdigest()}
        return entry


@pytest.mark.group(44)
def test_what_an_index_says_beside_a_wheel_locks_and_the_wheels_own_words_are_vetted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel requires beta, the index says that it requires nothing: a bundle without beta is not made."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    (tmp_path / "locks").mkdir()
    stack = tmp_path / "locks/demo.toml"
    with LyingIndex() as index:
        alpha = make_wheel(tmp_path, "alpha", "1.0", requires=["beta"])
        tools = [make_wheel(tmp_path, "uv", "1.0"), make_wheel(tmp_path, "pip", "26.0")]
        for wheel in (alpha, make_wheel(tmp_path, "beta", "1.1"), *tools):
            index.add(wheel)
        index.tell(alpha, metadata("alpha", "1.0"))
        stack.write_text(
            '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["alpha==1.0"]\n'
            f'[indexes]\ndefault = "{index.url}"\n'
        )
        store = Store(tmp_path / "store")
        lock(stack, LockOptions(now=1_795_225_800), store)
        assert [pin.name for pin in read_lock(tmp_path / "locks/demo.txt").pins] == ["alpha"]
        pins = "".join(
            f"{one.name.split('-')[0]}=={one.name.split('-')[1]} --hash=sha256:{sha256_of(one)}\n" for one in tools
        )
        wishes = Wishes(tmp_path / "locks/demo.txt", tools=parse_lock(pins.encode(), "tools.txt"))
        with pytest.raises(WheelsRefused) as caught:
            bundle(BundleOptions(wishes, tmp_path / "b.tar"), store, TrustStore(tmp_path / "keys"))
    assert str(caught.value) == "alpha-1.0-py3-none-any.whl: it requires beta, the set has none [requires-unmet]"
    assert not (tmp_path / "b.tar").exists()
