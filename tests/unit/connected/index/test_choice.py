"""One file for each pin, by the lock's digests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mirror.connected.index.choice import HashNotOnIndex, Withdrawn, choose_versions, resolve_files
from mirror.connected.index.pages import Index
from mirror.connected.index.wheels import NoWheelForTarget
from mirror.connected.pins.requirements import InvalidLock, Pin, PythonLock
from mirror.connected.stack.stack import Stack
from mirror.core.names import ProjectName, Sha256Hex, project_name
from mirror.core.target import Target
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_sdist, make_wheel, sha256_of

A, B = project_name("a"), project_name("b")
TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")


@pytest.fixture
def server() -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as running:
        yield running


def stack(server: LoopbackIndex, requirements: tuple[str, ...] = ("a",), **python: Any) -> Stack:
    document = {
        "target": TARGET.to_dict(),
        "python": {"requirements": list(requirements), **python},
        "indexes": {"default": server.url},
    }
    return Stack.from_dict(document, "demo")


def pin(name: ProjectName, version: str, *paths: Path, marker: str = "") -> Pin:
    return Pin(name, version, tuple(Sha256Hex(sha256_of(path)) for path in paths), marker)


def find(lock: PythonLock, wishes: Stack) -> dict[str, str]:
    with Index.of(wishes) as index:
        return {project: file.filename for project, file in resolve_files(lock, wishes, index).items()}


def test_a_lock_with_many_hashes_gives_the_targets_file(server: LoopbackIndex, tmp_path: Path) -> None:
    """As pip-tools and uv write it: every file of the version."""
    wheels = [
        make_wheel(tmp_path, "a", "1.0", tag=tag)
        for tag in ("cp311-cp311-win_amd64", "cp311-cp311-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_28_x86_64")
    ]
    for path in wheels:
        server.add(path)
    lock = PythonLock((pin(A, "1.0", *wheels, make_sdist(tmp_path, "a", "1.0")),))
    assert find(lock, stack(server)) == {"a": "a-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"}


def test_a_better_file_that_the_lock_does_not_name_is_not_taken(server: LoopbackIndex, tmp_path: Path) -> None:
    server.add(make_wheel(tmp_path, "a", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64"))
    named = make_wheel(tmp_path, "a", "1.0")
    server.add(named)
    assert find(PythonLock((pin(A, "1.0", named),)), stack(server)) == {"a": "a-1.0-py3-none-any.whl"}


def test_what_is_built_is_taken_as_sdist(server: LoopbackIndex, tmp_path: Path) -> None:
    wheel, sdist = make_wheel(tmp_path, "a", "1.0"), make_sdist(tmp_path, "a", "1.0")
    server.add(wheel)
    server.add(sdist)
    wishes = stack(server, ("a==1.0",), build=["a"])
    assert find(PythonLock((pin(A, "1.0", wheel, sdist),)), wishes) == {"a": "a-1.0.tar.gz"}
    with pytest.raises(NoWheelForTarget) as caught:
        find(PythonLock((pin(A, "1.0", wheel),)), wishes)
    assert str(caught.value) == "a 1.0 has no sdist; target demo builds it from its sdist"


def test_every_hash_that_no_file_has_is_named(server: LoopbackIndex, tmp_path: Path) -> None:
    for name in ("a", "b"):
        server.add(make_wheel(tmp_path, name, "1.0"))
    strange = Sha256Hex("f" * 64)
    lock = PythonLock((Pin(A, "1.0", (strange,)), Pin(B, "1.0", (Sha256Hex("e" * 64),))))
    with pytest.raises(HashNotOnIndex) as caught:
        find(lock, stack(server))
    assert str(caught.value) == f"a 1.0: no file on 127.0.0.1 has the locked sha256 {strange}"
    assert caught.value.context().count("\n") == 1


def test_a_digest_on_the_page_never_replaces_the_locks(server: LoopbackIndex, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "a", "1.0")
    server.add(path)
    server.lies[path.name] = "f" * 64
    with pytest.raises(HashNotOnIndex):
        find(PythonLock((pin(A, "1.0", path),)), stack(server))


@pytest.mark.group(40)
@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("cp311-cp311-manylinux_2_31_x86_64", "has only manylinux_2_31 wheels; target demo promises glibc 2.28"),
        ("cp39-cp39-manylinux_2_17_x86_64", "has wheels only for cp39; target demo has Python 3.11"),
        ("cp311-cp311-manylinux_2_17_aarch64", "target demo is Linux on x86_64"),
    ],
)
def test_a_pin_that_the_target_cannot_take_is_named(
    server: LoopbackIndex, tmp_path: Path, tag: str, words: str
) -> None:
    path = make_wheel(tmp_path, "a", "1.0", tag=tag)
    server.add(path)
    with pytest.raises(NoWheelForTarget) as caught:
        find(PythonLock((pin(A, "1.0", path),)), stack(server))
    assert words in str(caught.value)


@pytest.mark.group(43)
def test_a_withdrawn_file_is_not_locked_unless_the_stack_states_it(server: LoopbackIndex, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "a", "1.0")
    server.add(path, yanked="corrupts data")

    def lock(wishes: Stack) -> str:
        with Index.of(wishes) as index:
            return choose_versions([(A, "1.0")], wishes, index)[A].filename

    with pytest.raises(Withdrawn) as caught:
        lock(stack(server, ("a>=1",)))
    assert str(caught.value) == 'a 1.0 was withdrawn by its makers ("corrupts data"); demo.toml does not pin exactly it'
    assert lock(stack(server, ("a==1.0",))) == path.name
    assert lock(stack(server, ("a",), constraints=["a==1.0"])) == path.name


@pytest.mark.group(43)
def test_a_lock_is_still_good_when_a_file_is_withdrawn_later(server: LoopbackIndex, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "a", "1.0")
    server.add(path, yanked="corrupts data")
    assert find(PythonLock((pin(A, "1.0", path),)), stack(server, ("a>=1",))) == {"a": path.name}


@pytest.mark.group(43)
def test_a_lock_for_another_python_is_refused(server: LoopbackIndex) -> None:
    lock = PythonLock((Pin(A, "1.0", (Sha256Hex("f" * 64),)),), requires_python=">=3.12")
    with pytest.raises(InvalidLock, match=r"it requires Python >=3\.12; the target has Python 3\.11"):
        find(lock, stack(server))


def test_only_pins_of_the_target_are_looked_for(server: LoopbackIndex, tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "a", "1.0")
    server.add(path)
    lock = PythonLock((pin(A, "1.0", path), Pin(B, "1.0", (Sha256Hex("f" * 64),), 'sys_platform == "win32"')))
    assert find(lock, stack(server)) == {"a": path.name}


@pytest.mark.group(38)
def test_two_pins_that_both_hold_are_refused(server: LoopbackIndex) -> None:
    digests = Sha256Hex("f" * 64), Sha256Hex("e" * 64)
    lock = PythonLock(
        (Pin(A, "1.0", digests[:1], 'python_version < "4"'), Pin(A, "2.0", digests[1:], 'sys_platform == "linux"'))
    )
    with pytest.raises(InvalidLock, match="a is pinned twice for Python"):
        find(lock, stack(server))


def test_a_cutoff_hides_what_came_then_or_later_and_what_has_no_date(server: LoopbackIndex, tmp_path: Path) -> None:
    old = make_wheel(tmp_path, "a", "1.0")
    server.add(old, upload_time="2026-01-01T00:00:00Z")
    server.add(make_wheel(tmp_path, "a", "1.0", build="2"), upload_time="2026-03-01T00:00:00Z")
    server.add(make_wheel(tmp_path, "a", "1.0", build="3"), upload_time="")
    server.add(make_wheel(tmp_path, "a", "1.0", build="4"), upload_time="2026-02-01T00:00:00Z")  # at the very moment
    wishes = stack(server, cutoff="2026-02-01T00:00:00Z")
    with Index.of(wishes) as index:
        assert choose_versions([(A, "1.0")], wishes, index)[A].filename == old.name
