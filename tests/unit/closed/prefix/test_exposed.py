"""What of a generation others than its owner may write."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from mirror.closed.prefix.exposed import USED, exposures_of
from mirror.closed.prefix.generations import Generation, Prefix
from tests.support.generations import put_generation
from tests.support.otheruser import OTHER, needs_root, shared_directory

pytestmark = pytest.mark.group(67)


@pytest.fixture
def generation() -> Iterator[Generation]:
    """Where everybody gets to it."""
    with shared_directory() as shared:
        yield put_generation(Prefix(shared / "h100"), 5)


def places(generation: Generation) -> set[str]:
    return {found.place.relative_to(generation.path).as_posix() for found in exposures_of(generation.path)}


def test_whatever_others_may_write_below_is_found_a_directory_of_bytecode_as_well(generation: Generation) -> None:
    assert places(generation) == set()
    cache = generation.venv / "lib/__pycache__"
    cache.mkdir(parents=True)
    wanted = (generation.receipt, generation.complete, generation.venv / "bin", cache)
    for path in wanted:
        path.chmod(0o777)
    (generation.path / "link").symlink_to("receipt.json")
    assert places(generation) == {path.relative_to(generation.path).as_posix() for path in wanted}
    used = {found.place.name for found in exposures_of(generation.path, USED)}
    assert used == {"receipt.json", "bin"}


@needs_root
def test_a_group_and_another_owner_count_and_the_owners_of_the_prefix_and_root_do_not(generation: Generation) -> None:
    os.chown(generation.receipt, 0, OTHER)
    generation.receipt.chmod(0o664)
    os.chown(generation.manifest, OTHER, 0)
    found = {one.place.name: one.problem for one in exposures_of(generation.path)}
    assert found == {
        "receipt.json": f"may be written by the group {OTHER}",
        "manifest.json": f"belongs to user {OTHER}",
    }
    for path in (generation.path.parents[1], *generation.path.parents[1].rglob("*")):
        os.chown(path, OTHER, 0, follow_symlinks=False)
    os.chown(generation.receipt, 0, 0)
    generation.receipt.chmod(0o644)
    assert places(generation) == set()


def test_where_nobody_else_gets_to_it_does_not_matter_whom_it_lets_write(generation: Generation) -> None:
    generation.receipt.chmod(0o666)
    generation.path.parents[1].chmod(0o700)
    assert places(generation) == set()
