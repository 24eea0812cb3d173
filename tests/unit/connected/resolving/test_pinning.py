"""Pins without files: what ``mirror.connected.lock`` writes down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.index.pages import Index
from mirror.connected.pins.requirements import PythonLock
from mirror.connected.resolving.pinning import Pinning
from mirror.connected.stack.stack import Stack
from mirror.core.target import Target
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_sdist, make_wheel, sha256_of

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackIndex]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as running:
        running.add(make_wheel(tmp_path, "a", "1.0"))
        running.add(make_sdist(tmp_path, "s", "1.0", requires=["a"], build_requires=["a"]))
        yield running


def stack(server: LoopbackIndex, **python: Any) -> Stack:
    tables = {"target": TARGET.to_dict(), "python": python, "indexes": {"default": server.url}}
    return Stack.from_dict(tables, "demo")


def test_a_lock_has_one_digest_a_pin_its_target_and_no_time_yet(server: LoopbackIndex, tmp_path: Path) -> None:
    wishes = stack(server, requirements=["a"])
    with Index.of(wishes) as index:
        lock = Pinning(wishes, index).python((), previous=b"")
    assert [(pin.name, pin.version, pin.hashes, pin.via) for pin in lock.pins] == [
        ("a", "1.0", (sha256_of(tmp_path / "a-1.0-py3-none-any.whl"),), ("demo.toml",))
    ]
    assert (lock.target, lock.locked, lock.unpinned) == (TARGET, None, ())


def test_builds_are_pinned_from_the_sdists_own_words(server: LoopbackIndex, tmp_path: Path) -> None:
    wishes = stack(server, requirements=["s==1.0"], build=["s"])
    with Index.of(wishes) as index:
        pinning = Pinning(wishes, index)
        sdists = pinning.sdists(Store(tmp_path / "store"))
        assert [str(one) for one in sdists[0].build_requires] == ["a"]
        assert [pin.via for pin in pinning.builds(sdists, previous=b"").pins] == [("the builds of demo.toml",)]


def test_no_build_asks_nobody(server: LoopbackIndex) -> None:
    wishes = stack(server, requirements=["a"])
    with Index.of(wishes) as index:
        assert Pinning(wishes, index).builds((), previous=b"") == PythonLock((), target=TARGET)
    assert server.seen == []


def test_an_optional_requirement_of_other_machines_is_neither_taken_nor_missed(server: LoopbackIndex) -> None:
    wishes = stack(server, requirements=["a"], optional=["gone==1; sys_platform == 'win32'"])
    with Index.of(wishes) as index:
        lock = Pinning(wishes, index).python((), previous=b"")
    assert ([pin.name for pin in lock.pins], lock.unpinned) == (["a"], ())


def test_an_index_that_refuses_is_out_of_reach_for_what_is_optional(server: LoopbackIndex) -> None:
    server.fail("/simple/jit/", status=403)
    wishes = stack(server, requirements=["a"], optional=["jit"])
    with Index.of(wishes) as index:
        assert Pinning(wishes, index).python((), previous=b"").unpinned == ("jit (127.0.0.1 is out of reach)",)
