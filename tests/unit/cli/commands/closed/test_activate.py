"""Preparing a generation on one day and activating it on another: what stays current meanwhile, and what nobody removes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Generation, NoSuchGeneration, Prefix
from mirror.closed.prefix.history import History, record
from mirror.closed.prefix.numbered import read_stack
from mirror.closed.prefix.switching import activate, roll_back
from mirror.closed.upgrade_check import BundleOlder
from mirror.core.words import bundle_words
from tests.support.bundles import SEQUENCE
from tests.support.desk import BASE, Desk, version_in
from tests.support.generations import put_generation

DAY = 86400


def actions(prefix: Prefix) -> list[tuple[str, str]]:
    return [(event.action, event.reason) for event in History(prefix.root).events()]


def test_what_is_prepared_becomes_current_when_it_is_activated(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(desk.path / "trust"))
    monkeypatch.setenv("XDG_DATA_HOME", str(desk.path / "share"))
    prefix = Prefix(desk.path / "share/mirror/demo")
    first, second = desk.bundle("1.0"), desk.bundle("2.0", sequence=SEQUENCE + DAY)
    assert main(["install", str(first), "--python", str(BASE)]) == 0
    launcher = prefix.root / "current" / "bin"
    before = launcher.resolve()
    capsys.readouterr()
    assert main(["install", "--prepare", str(second), "--python", str(BASE)]) == 0
    prepared = read_stack(prefix).generations[1]
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith(
        f"prepared {bundle_words('demo', SEQUENCE + DAY)}, generation 2 of {prefix.root}: Python "
    )
    assert out.splitlines()[1:] == [f"make it current with:  mirror activate demo {prepared.name}"]
    assert "import left_pad: passed" in err
    assert version_in(prefix.root) == "1.0" and launcher.resolve() == before

    main(["status"])
    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("     prepared; to make it current:  mirror activate ") for line in told)
    assert main(["install", "--prepare", str(second), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["was_installed"], again["is_current"], again["number"]) == (True, False, 2)
    assert actions(prefix) == [("installed", ""), ("prepared", "")]

    assert main(["activate", "demo", prepared.name, "--reason", "all eight are prepared"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"generation 2 ({prepared.name}) is current now in {prefix.root}"
    assert version_in(prefix.root) == "2.0" and launcher.resolve() != before
    assert main(["activate", prepared.name]) == 0  # the only stack needs no name, and again changes nothing
    assert capsys.readouterr().out == f"generation 2 ({prepared.name}) is current already in {prefix.root}\n"
    assert actions(prefix)[2:] == [("made-current", "all eight are prepared")]
    assert main(["rollback"]) == 0
    assert version_in(prefix.root) == "1.0"


def test_installing_what_is_prepared_makes_it_current_without_building_it_again(desk: Desk) -> None:
    bundle = desk.bundle()
    prepared = desk.install(bundle, prepare=True)
    prefix = Prefix(prepared.prefix)
    assert (prepared.was_installed, prepared.is_current, prefix.current()) == (False, False, None)
    installed = desk.install(bundle)
    assert (installed.was_installed, installed.is_current, installed.receipt) == (True, True, prepared.receipt)
    assert actions(prefix) == [("prepared", ""), ("made-current", "")]


def test_a_bundle_older_than_what_is_prepared_is_refused(desk: Desk) -> None:
    newer, older = desk.bundle("2.0", sequence=SEQUENCE + DAY), desk.bundle("1.0")
    desk.install(newer, prepare=True)
    with pytest.raises(BundleOlder):
        desk.install(older, prepare=True)
    desk.install(older, prepare=True, allow_older="2.0 hangs")
    assert actions(Prefix(desk.path / "p")) == [("prepared", ""), ("prepared", "2.0 hangs")]


def test_a_run_that_was_killed_before_it_wrote_the_history_is_completed(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    bundle = desk.bundle("2.0", sequence=SEQUENCE + DAY)
    desk.install(bundle, prepare=True)
    prefix = Prefix(desk.path / "p")
    lines = History(prefix.root).path
    lines.write_bytes(lines.read_bytes().splitlines(keepends=True)[0])
    (prefix.root / "history.json").unlink()
    assert desk.install(bundle, prepare=True).was_installed
    assert actions(prefix) == [("installed", ""), ("prepared", "")]


def test_a_repair_of_what_was_only_prepared_is_prepared_too(desk: Desk) -> None:
    bundle = desk.bundle()
    damaged = desk.install(bundle, prepare=True)
    prefix = Prefix(damaged.prefix)
    assert not desk.install(bundle, repair=True).is_current  # it is whole
    (module,) = Path(damaged.receipt.generation).rglob("left_pad.py")
    module.write_bytes(b"")
    repaired = desk.install(bundle, repair=True)
    assert (repaired.was_installed, repaired.is_current, prefix.current()) == (False, False, None)
    assert [action for action, _ in actions(prefix)] == ["prepared", "prepared"]
    (kept_one,) = collect([prefix]).kept
    assert str(kept_one.path) == repaired.receipt.generation
    assert desk.install(bundle).receipt == repaired.receipt


def make(prefix: Prefix, sequence: int, action: str) -> Generation:
    """A generation that was installed, or only prepared."""
    current = prefix.current()
    generation = put_generation(prefix, sequence)  # which makes it current
    with prefix.lock():
        record(prefix, action, generation, sequence)
        if action == "prepared" and current:
            prefix.activate(current)
        elif action == "prepared":
            (prefix.root / "current").unlink()
    return generation


def kept(prefix: Prefix) -> dict[str, str]:
    """What ``mirror gc --keep 0`` leaves, and why."""
    return {item.path.name: item.why for item in collect([prefix], keep=0).kept}


def test_gc_leaves_what_waits_to_be_activated_and_removes_what_was_passed_over(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    make(prefix, 1, "installed")
    waits = make(prefix, 2, "prepared")
    assert kept(prefix)[waits.name] == "it is prepared: 'mirror activate' makes it current"
    assert waits in prefix.installed()
    later = make(prefix, 3, "installed")
    (removed,) = [item for item in collect([prefix], keep=1).removed if item.path == waits.path]
    assert removed.why == "prepared, but a later one was installed and made current"
    assert [generation.name for generation in prefix.installed()][-1] == later.name


def test_a_rollback_never_goes_to_what_was_only_prepared(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    first = make(prefix, 1, "installed")
    make(prefix, 2, "prepared")
    make(prefix, 3, "installed")
    assert roll_back(prefix).current == first.name
    (prefix.root / "current").unlink()
    assert roll_back(prefix).before == ""


def test_without_one_that_was_ever_current_a_rollback_has_nowhere_to_go(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "h100")
    first = make(prefix, 1, "prepared")
    second = make(prefix, 2, "prepared")
    with pytest.raises(NoSuchGeneration, match="holds no generation that was ever current; it holds 1 "):
        roll_back(prefix)
    assert set(kept(prefix)) == {first.name, second.name}
    assert activate(prefix, "2").current == second.name
    assert read_stack(prefix).prepared == {first.name}
    assert set(kept(prefix)) == {second.name}


def test_activate_takes_one_generation_that_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = Prefix(tmp_path / "h100")
    make(prefix, 11, "installed")
    make(prefix, 12, "prepared")
    (prefix.root / "gens/13-cccccccccccc").mkdir()
    for wanted in ("1", "13", "7", "../gens", ""):
        code = main(["activate", wanted, "--prefix", str(prefix.root)])
        assert (wanted, code) == (wanted, 0 if wanted == "1" else 94)
    assert main(["activate", "x", "--prefix", str(tmp_path / "none")]) == 99
    assert not (tmp_path / "none").exists()
    with pytest.raises(SystemExit, match="2"):
        main(["activate", "--prefix", str(prefix.root)])


def test_prepare_and_repair_exclude_each_other() -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["install", "b.tar", "--prepare", "--repair"])
