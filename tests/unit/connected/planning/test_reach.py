"""A bundle is made without what is optional and cannot be reached; it is said, and the whole one can follow."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.planning.reach import within_reach
from mirror.connected.prepare import prepare
from mirror.core.kinds import INTERPRETER, WHEEL
from tests.support.index import LoopbackServer
from tests.support.wheels import make_wheel, sha256_of
from tests.unit.connected.test_bundle import TOML, World, pin, world

__all__ = ["world"]

GONE = "https://127.0.0.1:9/v1"
"""Nobody listens there."""


@pytest.fixture
def wheel(world: World, tmp_path: Path) -> Path:
    """A stack with two optional files at an address that nobody answers, and the wheel among them."""
    made = make_wheel(tmp_path / "elsewhere", "jit", "1.0")
    optional_stack(world, made, GONE)
    return made


def optional_stack(world: World, wheel: Path, url: str) -> None:
    python = TOML.format(index=world.index.url).replace("build =", 'optional = ["jit"]\nbuild =')
    (world.locks / "small.toml").write_text(
        f'{python}[python.index]\njit = "own"\n[indexes.own]\nfile = "{url}/{wheel.name}"\nsha256 = "{sha256_of(wheel)}"\n'
        f'[interpreter]\nurl = "{url}/python.tar.gz"\nsha256 = "{sha256_of(wheel)[::-1]}"\noptional = true\n'
    )
    world.pins["jit"] = pin("jit", "1.0", wheel)
    world.write_lock()


def test_what_is_optional_and_out_of_reach_is_left_out_and_said(world: World, wheel: Path, tmp_path: Path) -> None:
    plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    assert [part.name for part in plan.of(WHEEL)] == ["alpha", "beta"] and not plan.of(INTERPRETER)
    assert plan.notes[-2:] == (
        f"goes without jit 1.0, which is optional: 127.0.0.1 is out of reach. To carry it, put {wheel.name} (sha256 "
        f"{sha256_of(wheel)}) from {GONE}/{wheel.name} into a directory and bundle again with --wheelhouse DIRECTORY",
        "goes without python 3.11, which is optional: 127.0.0.1 is out of reach. To carry it, put python.tar.gz (sha256 "
        f"{sha256_of(wheel)[::-1]}) from {GONE}/python.tar.gz into a directory and bundle again with --wheelhouse DIRECTORY",
    )


def test_what_is_brought_by_hand_is_carried_and_that_bundle_is_the_newer_one(
    world: World, wheel: Path, tmp_path: Path
) -> None:
    less = world.bundle(tmp_path / "less.tar")
    world.store.wheelhouse = wheel.parent
    more = world.bundle(tmp_path / "more.tar")
    assert [one.filename for one in more.manifest.of(WHEEL)].count(wheel.name) == 1
    assert less.manifest.sequence + 1 == more.manifest.sequence == 1793491200 - 1  # the interpreter is still missing


@pytest.mark.parametrize(("status", "why"), [(404, "127.0.0.1 answers 404"), (403, "127.0.0.1 answers 403"), (405, "")])
def test_a_server_that_refuses_is_told_and_one_that_knows_no_head_is_asked_again(
    world: World, wheel: Path, tmp_path: Path, status: int, why: str
) -> None:
    with LoopbackServer() as server:
        server.serve(f"/{wheel.name}", wheel.read_bytes())
        server.fail(f"/{wheel.name}", status, times=2)  # once for its size, too
        optional_stack(world, wheel, server.origin)
        plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    told = [note for note in plan.notes if note.startswith("goes without jit")]
    assert [why in note for note in told] == [True] * bool(why)
    assert bool(why) != any(part.name == "jit" for part in plan.parts)


def test_a_file_on_this_disk_that_is_not_there_is_named(world: World, wheel: Path, tmp_path: Path) -> None:
    optional_stack(world, wheel, (tmp_path / "none").as_uri())
    plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    assert f"there is no file {tmp_path}/none/{wheel.name}. To carry it" in "\n".join(plan.notes)


def test_a_plan_that_lacks_nothing_stays_as_it_is(world: World, tmp_path: Path) -> None:
    plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    assert within_reach(plan, world.store) is plan
