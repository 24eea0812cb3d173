"""A lock that is made again asks the resolver nothing, as long as nothing that its answer hangs on has changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.index.choice import Withdrawn
from mirror.connected.lock import LockOptions, lock
from mirror.connected.pins.requirements import read_lock
from tests.support.index import LoopbackIndex
from tests.support.progress import Heard
from tests.support.wheels import make_wheel

STACK = """
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.28"
[python]
requirements = [{}]
[indexes]
default = "{}"
"""


class House:
    """A stack of ``alpha``, which wants ``beta``, locked once."""

    def __init__(self, directory: Path, server: LoopbackIndex) -> None:
        self.toml, self.server, self.store = directory / "demo.toml", server, Store(directory / "store")
        self.wheels = directory / "wheels"
        server.add(make_wheel(self.wheels, "alpha", "1.0", requires=["beta"]))
        server.add(make_wheel(self.wheels, "beta", "1.0"))
        server.add(make_wheel(self.wheels, "gamma", "1.0"))
        self.wish("alpha")
        self.lock()

    def wish(self, *requirements: str) -> None:
        self.toml.write_text(STACK.format(", ".join(f'"{one}"' for one in requirements), self.server.url))

    def lock(self) -> bool:
        """Lock, and say whether a resolver was asked."""
        heard = Heard()
        lock(self.toml, LockOptions(now=1_795_225_800), self.store, heard)
        return any(line.startswith("resolving ") for line in heard.lines)

    @property
    def versions(self) -> dict[str, str]:
        return {str(pin.name): pin.version for pin in read_lock(self.toml.with_suffix(".txt")).pins}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as server:
        yield House(tmp_path, server)


def test_nothing_is_resolved_again_while_nothing_changes_and_every_page_is_asked_for(house: House) -> None:
    before, asked = house.toml.with_suffix(".txt").read_bytes(), house.server.count("/simple/beta/")
    assert not house.lock()
    assert house.toml.with_suffix(".txt").read_bytes() == before
    assert house.server.count("/simple/beta/") == asked + 1


def test_a_new_version_moves_nothing_and_asks_no_resolver(house: House) -> None:
    house.server.add(make_wheel(house.wheels, "beta", "2.0"))
    assert not house.lock()
    assert house.versions == {"alpha": "1.0", "beta": "1.0"}


def test_what_is_listed_beside_a_file_or_withdrawn_is_seen(house: House) -> None:
    house.server.add(make_wheel(house.wheels, "beta", "1.0", tag="cp39-abi3-manylinux_2_17_x86_64"))
    assert house.lock()
    assert not house.lock()
    house.server.withdraw("beta", "broken")
    with pytest.raises(Withdrawn, match="was withdrawn by its makers"):
        house.lock()


def test_another_wish_is_another_question(house: House) -> None:
    house.wish("alpha", "gamma")
    assert house.lock()
    assert not house.lock()
    assert house.versions == {"alpha": "1.0", "beta": "1.0", "gamma": "1.0"}


def test_a_file_that_the_stack_names_is_no_question_to_a_resolver(house: House) -> None:
    """Its pin is in the lock and in no answer: a resolver that was told to prefer it was asked each time."""
    named = 'file = "https://127.0.0.1:9/jit-1.0-py3-none-any.whl"'
    house.toml.write_text(
        STACK.format('"alpha"', house.server.url).replace('["alpha"]', '["alpha"]\noptional = ["jit==1.0"]')
        + f'[indexes.own]\n{named}\nsha256 = "{"ab" * 32}"\n[python.index]\njit = "own"\n'
    )
    house.lock()
    assert not house.lock()
    assert house.versions == {"alpha": "1.0", "beta": "1.0", "jit": "1.0"}


@pytest.mark.parametrize("data", [b"", b"[]", b'{"asked": 1}', b'{"asked": "", "offered": "", "answer": [["alpha"]]}'])
def test_a_memory_that_cannot_be_read_or_that_others_can_write_is_not_believed(house: House, data: bytes) -> None:
    (memory,) = (house.store.root / "answers").iterdir()
    whole = memory.read_bytes()
    memory.write_bytes(data)
    assert house.lock()
    assert memory.read_bytes() == whole
    house.store.root.chmod(0o777)
    house.store = Store(house.store.root)
    assert house.lock()
