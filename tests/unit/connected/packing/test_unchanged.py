"""What is noted of a bundle that stands; ``tests/unit/connected/test_bundle.py`` shows what a run makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.packing.unchanged import Unchanged, written_state
from mirror.core.names import Sha256Hex

DIGEST = Sha256Hex("a" * 64)


@pytest.mark.parametrize("is_changed", [False, True])
def test_a_file_that_is_written_to_while_it_is_checked_is_not_noted(tmp_path: Path, is_changed: bool) -> None:
    draft, output, store = tmp_path / "draft", tmp_path / "bundle.tar", Store(tmp_path / "store")
    draft.write_bytes(b"checked")
    before = written_state(draft)
    if is_changed:
        draft.write_bytes(b"changed meanwhile")
    draft.replace(output)
    Unchanged(store).note(output, b"head", DIGEST, before)
    assert len(list(store.root.glob("unchanged/*.json"))) == (not is_changed)
