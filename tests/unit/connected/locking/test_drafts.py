"""What is written as a lock can be read as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.locking.drafts import Draft, UnreadableLock, write
from mirror.connected.models.modellock import ModelFile, ModelLock, ModelPin
from mirror.connected.stack.models import HUB
from mirror.core.names import sha256_hex


def draft(path: Path, size: int) -> Draft:
    file = ModelFile("a.json", size, sha256_hex("a" * 64))
    lock = ModelLock(0, (ModelPin("org/tiny", "b" * 40, HUB, (), (), (file,)),))
    return Draft(path, lock.encode(), lock.count, ModelLock.mark(), ModelLock.parse)


def test_of_locks_one_of_which_could_not_be_read_again_none_is_written(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.models.toml", tmp_path / "bad.models.toml"
    with pytest.raises(UnreadableLock) as caught:
        write([draft(good, 1), draft(bad, -5)])
    assert str(caught.value) == (
        f"no lock was written, for mirror could not read it: {bad} invalid at 'model[0].file[0].size': expected at least 0, "
        "got -5"
    )
    assert list(tmp_path.iterdir()) == []
    assert [one.path for one in write([draft(good, 1)])] == [good]
    assert ModelLock.load(good).pins
