from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hub import LoopbackHub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub that stands in for huggingface.co, asked by a user without a token."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with LoopbackHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.origin)
        yield hub
