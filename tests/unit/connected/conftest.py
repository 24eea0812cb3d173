"""What tests of the connected side share: a web server of this machine, and an empty store of fetched files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from tests.support.index import LoopbackServer


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")
