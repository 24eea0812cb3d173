"""Repair: what is damaged is found, built anew beside, and switched to; nothing that is in use is touched."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from mirror.closed.environment.variables import load_environment
from mirror.closed.garbage import collect
from mirror.closed.install import Options, install
from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.receipt import read_receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.prefix.status import read_status
from mirror.closed.prefix.switching import roll_back
from mirror.closed.soundness import Damage, check_generation
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import InvalidDocument
from tests.support.bundles import SEQUENCE, flip_last_byte_of
from tests.support.desk import BASE, Desk, version_in


def current(desk: Desk) -> Generation:
    found = Prefix(desk.path / "p").pointed_to()
    assert found is not None
    return found


def site(generation: Generation) -> Path:
    (found,) = generation.venv.glob("lib/python*/site-packages")
    return found


def repair(desk: Desk, bundle: Path) -> bool:
    """Whether there was something to repair."""
    return not desk.install(bundle, repair=True).was_installed


def module(generation: Generation) -> Path:
    return (
        site(generation) / "left_pad/__init__.py"
        if (site(generation) / "left_pad").is_dir()
        else (site(generation) / "left_pad.py")
    )


def record(generation: Generation) -> Path:
    (found,) = site(generation).glob("left_pad-*.dist-info/RECORD")
    return found


def relink(generation: Generation) -> None:
    link = generation.venv / "bin/python"
    link.unlink()
    link.symlink_to("/bin/false")


def put_in_its_place(generation: Generation, make: Callable[[Path], None]) -> None:
    path = module(generation)
    path.unlink()
    make(path)


DAMAGES: dict[str, tuple[Callable[[Generation], object], str]] = {
    "a changed file of a wheel": (lambda g: module(g).write_text("__version__ = '6'\n"), "changed"),
    "a missing file of a wheel": (lambda g: module(g).unlink(), "missing"),
    "an altered RECORD": (lambda g: record(g).write_text(""), "changed"),
    "a missing RECORD": (lambda g: record(g).unlink(), "missing"),
    "a file that nobody knows": (lambda g: (site(g) / "x.pth").write_text("import os"), "extra"),
    "a link that leads elsewhere": (relink, "changed"),
    "a changed env.sh": (lambda g: g.env_script.write_text("true\n"), "changed"),
    "a directory in a file's place": (lambda g: put_in_its_place(g, Path.mkdir), "changed"),
    "a FIFO in a file's place": (lambda g: put_in_its_place(g, os.mkfifo), "changed"),
    "a lost receipt": (lambda g: g.receipt.unlink(), "missing"),
    "an altered receipt": (lambda g: g.receipt.write_bytes(b"{}"), "changed"),
    "a lost list of files": (lambda g: g.files.unlink(), "missing"),
    "an altered list of files": (lambda g: g.files.write_bytes(g.files.read_bytes()[:-2]), "changed"),
    "an altered manifest": (lambda g: g.manifest.write_bytes(b"{}"), "changed"),
    "a lost mark": (lambda g: g.complete.unlink(), "missing"),
    "an emptied mark": (lambda g: g.complete.write_bytes(b""), "changed"),
}


@pytest.mark.group(59)
@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_repaired_and_then_there_is_nothing_to_do(desk: Desk, what: str) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    before = current(desk)
    assert check_generation(before).is_whole
    spoil, kind = DAMAGES[what]
    spoil(before)
    assert kind in {damage.kind for damage in check_generation(before).damages}
    assert repair(desk, bundle)
    after = current(desk)
    assert after.name == f"{before.name}.2"
    assert version_in(desk.path / "p") == "1.0"
    assert check_generation(after).is_whole
    assert read_receipt(after).repairs == before.name
    assert before.path.is_dir()
    assert not repair(desk, bundle)
    assert current(desk) == after


@pytest.mark.group(59)
def test_what_is_damaged_is_named_with_the_wheel_that_it_belongs_to(desk: Desk) -> None:
    desk.install(desk.bundle())
    generation = current(desk)
    module(generation).write_text("")
    below = module(generation).relative_to(generation.path).as_posix()
    assert check_generation(generation).damages == (Damage(below, "changed", "left_pad 1.0"),)


@pytest.mark.group(59)
def test_a_record_that_hides_a_change_is_not_believed(desk: Desk) -> None:
    """Whoever alters a file and the RECORD that lists it is found by the RECORD."""
    desk.install(desk.bundle())
    generation = current(desk)
    module(generation).write_text("")
    lines = record(generation).read_text().splitlines(keepends=True)
    record(generation).write_text(
        "".join(line for line in lines if "left_pad.py" not in line and "__init__" not in line)
    )
    found = check_generation(generation)
    assert record(generation).relative_to(generation.path).as_posix() in {damage.path for damage in found.damages}
    assert found.unchecked == ("the files of left_pad 1.0: its RECORD is not the one that was installed",)


def test_bytecode_and_caches_are_no_damage(desk: Desk) -> None:
    desk.install(desk.bundle())
    generation = current(desk)
    cache = site(generation) / "__pycache__"
    cache.mkdir(exist_ok=True)
    (cache / "left_pad.cpython-311.pyc").write_bytes(b"x")
    (generation.path / ".cache").mkdir()
    (generation.path / ".cache/kernel").write_bytes(b"x")
    assert check_generation(generation).is_whole


def test_a_generation_without_a_list_says_what_could_not_be_checked(desk: Desk) -> None:
    """As those are that the first versions of mirror made."""
    bundle = desk.bundle()
    desk.install(bundle)
    generation = current(desk)
    receipt = dataclasses.replace(read_receipt(generation), files_sha256="", size=0)
    generation.receipt.write_bytes(receipt.encode())
    generation.files.unlink()
    found = check_generation(generation)
    assert found.damages == ()
    assert found.unchecked == (
        "whether a RECORD was altered, and files that no wheel brought: this generation has no list of digests",
    )
    module(generation).write_text("")
    assert [damage.kind for damage in check_generation(generation).damages] == ["changed"]
    assert repair(desk, bundle)
    assert check_generation(current(desk)).is_whole


def test_a_repair_leaves_alone_what_somebody_chose_to_be_current(desk: Desk) -> None:
    older = desk.bundle("1.0")
    desk.install(older)
    damaged = current(desk)
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    module(damaged).write_text("")
    assert repair(desk, older)
    assert version_in(desk.path / "p") == "2.0"
    assert roll_back(Prefix(desk.path / "p")).current == f"{damaged.name}.2"
    assert version_in(desk.path / "p") == "1.0"


def test_numbers_stay_through_repair_and_gc(desk: Desk) -> None:
    bundle, prefix = desk.bundle(), Prefix(desk.path / "p")
    desk.install(bundle)
    module(current(desk)).write_text("")
    assert desk.install(bundle, repair=True).number == 2
    assert [(one.number, one.replaced_by) for one in read_status(prefix).generations] == [(1, 2), (2, 0)]
    assert [item.why for item in collect([prefix], keep=5).removed] == ["repaired: generation 2 has taken its place"]
    assert [one.number for one in read_status(prefix).generations] == [2]
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    assert read_stack(prefix).numbers[current(desk).name] == 3


def test_gc_keeps_the_repair_of_a_damaged_generation_that_somebody_went_back_to(desk: Desk) -> None:
    """It is newer than the current one, and the only one that is whole."""
    prefix = Prefix(desk.path / "p")
    desk.install(desk.bundle())
    module(current(desk)).write_text("")
    desk.install(desk.bundle(), repair=True)
    assert roll_back(prefix, "1").repaired_by == 2
    report = collect([prefix], keep=0)
    assert report.removed == ()
    assert [item.why for item in report.kept] == [
        "it is current",
        "it was built to repair generation 1, which is current",
    ]


def test_only_what_is_installed_can_be_repaired(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    with pytest.raises(NoSuchGeneration, match=r"holds no generation of this bundle .* so there is none to repair"):
        desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1), repair=True)


@pytest.mark.parametrize("option", [False, True])
def test_a_damaged_copy_of_what_is_installed_is_refused(desk: Desk, option: bool) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    flip_last_byte_of(bundle, (desk.path / "wheels/left_pad-1.0-py3-none-any.whl").read_bytes())
    with pytest.raises(DigestMismatch, match="left_pad"):
        desk.install(bundle, repair=option)


@pytest.mark.group(51)
def test_a_repair_that_is_killed_leaves_what_was_there(desk: Desk) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    before = current(desk)
    module(before).write_text("")

    class Killed:
        def say(self, line: str) -> None:
            if "import left_pad" in line:
                raise KeyboardInterrupt

        def task(self, label: str, total: int | None = None, unit: str = "B"):  # type: ignore[no-untyped-def]
            from mirror.core.progress import SILENT

            return SILENT.task(label, total, unit)

    with pytest.raises(KeyboardInterrupt):
        install(Options(bundle, desk.path / "p", BASE, repair=True), desk.store, progress=Killed())
    assert current(desk) == before
    assert [path.name for path in (desk.path / "p/gens").iterdir()] == [before.name]


@pytest.mark.group(61)
def test_a_program_that_runs_keeps_its_files(desk: Desk) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    before = current(desk)
    script = "import time; print('up', flush=True); time.sleep(60)"
    with subprocess.Popen([before.venv / "bin/python", "-c", script], stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            running.stdout.readline()
            before.complete.unlink()
            assert repair(desk, bundle)
            assert desk.install(bundle).was_installed
            assert (before.venv / "bin/python").exists()
            assert running.poll() is None
        finally:
            running.kill()


def test_the_list_of_files_is_strict_and_goes_round() -> None:
    seal = Seal({"a": "ab" * 32, "b": "-> a"})
    assert Seal.parse(seal.encode()) == seal
    for bad in (
        b"[]",
        b'{"format": "mirror-files/2", "files": {}}',
        b'{"format": "mirror-files/1", "files": {"a": "x"}}',
    ):
        with pytest.raises(InvalidDocument):
            Seal.parse(bad)


def test_the_environment_of_a_repaired_generation_has_caches_of_its_own(desk: Desk) -> None:
    """Kernels that a damaged toolkit has compiled are not used again."""
    bundle = desk.bundle()
    desk.install(bundle)
    before = load_environment(current(desk)).jit_key()
    module(current(desk)).write_text("")
    repair(desk, bundle)
    assert load_environment(current(desk)).jit_key() != before


def test_nobody_else_may_write_what_a_repair_makes(desk: Desk) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    module(current(desk)).write_text("")
    repair(desk, bundle)
    paths = [path for path in current(desk).path.rglob("*") if not path.is_symlink()]
    assert [path for path in paths if stat.S_IMODE(path.stat().st_mode) & 0o022] == []
