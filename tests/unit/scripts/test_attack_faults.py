"""``scripts/attack faults`` knows a trial again, also in another process and on another machine."""

from __future__ import annotations

from scripts.attack_jobs.faults import trials
from tests.support.faults import Call, distinct

HERE = (
    Call("openat", 812, 'AT_FDCWD</>, "./p/gens/5-78fddbf38b32/COMPLETE", O_RDONLY|O_CLOEXEC'),
    Call("newfstatat", 1301, '5<./p/current>, "", {st_mode=S_IFREG|0644, st_size=467, ...}, AT_EMPTY_PATH'),
    Call("fsync", 1, "7<./p/gens>"),
    Call("fsync", 2, "9<./p/gens>"),
)
THERE = (
    Call("openat", 799, 'AT_FDCWD</>, "./p/gens/5-0123456789ab/COMPLETE", O_RDONLY|O_CLOEXEC'),
    Call("fstat", 40, "3<./p/current>, {st_mode=S_IFREG|0644, st_size=470, ...}"),
    Call("fsync", 1, "3<./p/gens>"),
    Call("fsync", 4, "3<./p/gens>"),
)


def test_what_differs_between_machines_is_no_part_of_a_trials_name() -> None:
    here, there = ([trial for trial, _ in trials("gc", calls, "all")] for calls in (HERE, THERE))
    assert here == there
    assert len(set(here)) == len(here) == 6 + 1 + 4 + 4


def test_of_calls_that_are_alike_each_has_trials_of_its_own() -> None:
    assert {trial[2] for trial, call in trials("gc", HERE, "changes") if call.name == "fsync"} == {0, 1}


def test_the_first_and_the_last_of_many_stand_for_them() -> None:
    many = [Call("fsync", number, f"{number}<./p/gens>") for number in range(1, 9)]
    assert [call.number for call in distinct(many)] == [1, 8]
    assert len(trials("gc", distinct(many), "all")) == 8
