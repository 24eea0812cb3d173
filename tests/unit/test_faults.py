"""A sample of ``scripts/attack faults``: calls into the file system fail, and afterwards the old or the new state stands."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.faults import Call, Missed, Theatre, distinct, faults_of, needs_strace
from tests.support.planted import BUGS
from tests.support.scenes import scenes

SAMPLED = {
    "key": 5,
    "trust": 6,
    "rollback": 6,
    "gc": 6,
    "layer": 6,
    "fill": 6,
    "publish": 6,
    "activate": 2,
    "approve": 3,
    "reject": 3,
    "report": 3,
    "split": 2,
    "apply": 2,
    "install": 3,
    "lock": 1,
}
"""Scene -> how many faults of it are made here; ``scripts/attack faults`` makes all."""

SEED = 20261128


def sample(scene: str, calls: tuple[Call, ...], count: int) -> list[tuple[Call, str]]:
    """The same in every run; half of them befall calls that change something."""
    draw = random.Random(f"{SEED} {scene}")
    every = [(call, fault) for call in distinct(calls) for fault in faults_of(call)]
    changes = [one for one in every if one[0].is_change]
    reads = [one for one in every if not one[0].is_change]
    return draw.sample(changes, (count + 1) // 2) + draw.sample(reads, count // 2)


@needs_strace
@pytest.mark.group(51, 53)
@pytest.mark.parametrize("scene", SAMPLED)
def test_whatever_call_fails_the_old_or_the_new_state_stands(tmp_path: Path, scene: str) -> None:
    with Theatre(scenes()[scene], tmp_path) as theatre:
        for call, fault in sample(scene, theatre.calls, SAMPLED[scene]):
            assert theatre.trial(call, fault) == []


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("scene", scenes())
def test_whatever_change_fails_the_old_or_the_new_state_stands(tmp_path: Path, scene: str) -> None:
    """All that changes something; of calls that look alike the first and the last."""
    with Theatre(scenes()[scene], tmp_path) as theatre:
        calls = [call for call in distinct(theatre.calls) if call.is_change]
        assert [wrong for call in calls for fault in faults_of(call) for wrong in theatre.trial(call, fault)] == []


@needs_strace
@pytest.mark.group(53)
@pytest.mark.parametrize("scene", ["rollback", "report", "trust"])
def test_an_fsync_that_fails_is_told_and_never_tried_again(tmp_path: Path, scene: str) -> None:
    with Theatre(scenes()[scene], tmp_path) as theatre:
        for call in (one for one in theatre.calls if one.name == "fsync"):
            outcome = theatre.fail(call, "EIO")
            assert outcome.code not in (0, 1, None)
            assert "Input/output error" in outcome.errors
            before, _, after = outcome.trace.partition(" (INJECTED)")
            assert before.splitlines()[-1].partition(" = ")[0] not in after


@needs_strace
@pytest.mark.group(51)
def test_a_way_back_that_cannot_be_looked_at_for_a_moment_is_not_taken_for_damaged(tmp_path: Path) -> None:
    with Theatre(scenes()["gc"], tmp_path) as theatre:
        looks = [one for one in distinct(theatre.calls) if "/gens/4" in one.text and "manifest.json" in one.text]
        faults = [(call, fault) for call in looks for fault in faults_of(call) if fault in ("EIO", "ENOMEM")]
        assert len(faults) > 4
        assert [wrong for call, fault in faults for wrong in theatre.trial(call, fault)] == []


@needs_strace
@pytest.mark.group(51)
def test_a_link_that_cannot_be_looked_at_is_not_left_out_of_the_seal(tmp_path: Path) -> None:
    with Theatre(scenes()["install-first"], tmp_path) as theatre:
        looks = [one for one in distinct(theatre.calls) if one.name == "newfstatat" and "venv/lib64" in one.text]
        assert looks
        assert [wrong for call in looks for fault in ("EIO", "EACCES") for wrong in theatre.trial(call, fault)] == []


FOUND_BY = {
    "current_replaced_in_two_steps": ("rollback", "symlink", "", "KILL", "without the right generation"),
    "error_swallowed": ("rollback", "rename", "", "EACCES", "it said that it had worked, and the state is old"),
    "error_without_a_name": ("rollback", "rename", "", "EACCES", "it ended without a named error"),
    "mark_removed_last": ("gc", "unlink", "program1", "KILL", "has its mark and"),
    "history_rewritten": ("rollback", "write", "", "KILL", "the history has lost what was in it"),
    "lock_that_outlives_its_holder": ("rollback", "rename", "", "KILL", "run again it ends with"),
    "removal_told_that_was_not_made": ("gc", "unlink", "COMPLETE", "EIO", "it said that it had worked, and the"),
    "files_written_in_place": ("report", "write", "", "KILL", "half a page"),
    "temporary_left_after_an_error": ("report", "fsync", "", "EIO", "left behind: page.html.part"),
}
"""Bug -> the scene, the call, what it concerns and the fault by which it is found, and the words of it."""


@needs_strace
@pytest.mark.group(51)
@pytest.mark.parametrize("fault", ["EIO", "KILL"])
@pytest.mark.parametrize(
    "is_made_up", [False, True]
)  # its file has another name in each run, so that its number alone leads to it
def test_a_call_that_has_another_number_by_now_is_the_one_that_fails(
    tmp_path: Path, fault: str, is_made_up: bool
) -> None:
    with Theatre(scenes()["trust"], tmp_path) as theatre:
        calls = [call for call in theatre.calls if call.files and call.files[0].endswith(".tmp") is is_made_up]
        assert len(calls) > 2
        theatre.calls = tuple(replace(call, number=call.number + 1000) for call in calls)
        first = theatre.calls[0]
        trace = theatre.fail(first, fault).trace.replace(str(theatre.world), ".")
        assert first.is_what_failed(trace)
        assert not all(call.is_what_failed(trace) for call in theatre.calls)


@needs_strace
@pytest.mark.group(51)
@pytest.mark.parametrize("scene", ["report", "gc"])
def test_every_system_call_can_be_aimed_at(tmp_path: Path, scene: str) -> None:
    with Theatre(scenes()[scene], tmp_path) as theatre:
        for call in {one.alike[0]: one for one in theatre.calls}.values():
            outcome = theatre.fail(call, faults_of(call)[-1])
            trace = outcome.trace.replace(str(theatre.world), ".")
            others = [one for one in theatre.calls if one.name == call.name and one.files != call.files]
            assert not others or not all(one.is_what_failed(trace) for one in others), call


@needs_strace
@pytest.mark.group(51)
def test_a_call_that_no_number_leads_to_is_told(tmp_path: Path) -> None:
    with Theatre(scenes()["trust"], tmp_path) as theatre:
        call = Call("rename", 1, '"./nowhere", "./nobody"')
        theatre.calls = (call,)
        with pytest.raises(Missed, match="nobody"):
            theatre.fail(call, "EIO")


@pytest.mark.parametrize(
    "name, text, failed",
    [
        ("newfstatat", 'AT_FDCWD</>, "./a", {st_mode=S_IFREG|0644, ...}, 0', 'AT_FDCWD</>, "./a", 0x7ffd2a, 0'),
        ("mkdir", '"./a", 0777', '"./a", 0777'),
        ("read", r'3<./a>, "\"./b\", 5<./c>", 4096', "3<./a>, 0x7ffd2a, 4096"),
        ("write", r'3<./a>, "\"./b\", 5<./c>"..., 512', r'3<./a>, "\"./b\""..., 512'),
        ("readlink", '"./a", "./b", 4096', '"./a", 0x7ffd2a, 4096'),
        ("readlinkat", 'AT_FDCWD</>, "./a", "./b", 4096', 'AT_FDCWD</>, "./a", 0x7ffd2a, 4096'),
        ("rename", '"./a", "./b"', '"./a", "./b"'),
    ],
)
def test_a_call_that_failed_is_known_by_its_files_alone(name: str, text: str, failed: str) -> None:
    trace = f"{name}({failed}) = -1 EIO (Input/output error) (INJECTED)\n+++ exited with 3 +++\n"
    assert Call(name, 1, text).is_what_failed(trace)
    assert not Call(name, 1, text).is_what_failed(trace.replace("./a", "./other"))


def test_what_a_run_makes_up_is_no_part_of_a_calls_name() -> None:
    first = Call("unlinkat", 28, '11<./p/.work/uv-cache/archive-v0/qCK4GTzU_Wk8-ypD>, "left_pad.py", 0')
    other = Call("unlinkat", 30, '12<./p/.work/uv-cache/archive-v0/NAeSOM6zOgDET9Uf>, "left_pad.py", 0')
    assert first.alike == other.alike
    assert (
        Call("rmdir", 1, '"./tmp/mirror-sdist-5n6kmdsa"').alike
        == Call("rmdir", 1, '"./tmp/mirror-sdist-i6_2n69w"').alike
    )
    assert (
        Call("rmdir", 1, '"./tmp/mirror-sdist-5n6kmdsa"').alike
        != Call("rmdir", 1, '"./tmp/mirror-apply-5n6kmdsa"').alike
    )


@needs_strace
@pytest.mark.parametrize("bug", BUGS)
def test_each_planted_bug_is_found(tmp_path: Path, bug: str) -> None:
    scene, name, what, fault, words = FOUND_BY[bug]
    with Theatre(scenes()[scene], tmp_path, planted=bug) as theatre:
        tried = [
            call
            for call in theatre.calls
            if call.name.startswith(name) and what in call.text and fault in faults_of(call)
        ]
        found = (theatre.trial(call, fault) for call in reversed(tried))
        assert next((wrong for wrong in found if any(words in one for one in wrong)), None), [c.text for c in tried]
