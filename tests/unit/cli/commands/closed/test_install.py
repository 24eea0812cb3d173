"""The closed side's commands as an operator types them: in this process, and as mirror.pyz under every Python it is for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.packing.installer import write_installer
from mirror.core.words import bundle_words
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.desk import BASE, Desk, version_in
from tests.support.keys import make_root, role, sign_root

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's trust and default prefixes, in the desk's directory."""
    monkeypatch.setenv("MIRROR_HOME", str(desk.path / "trust"))
    monkeypatch.setenv("XDG_DATA_HOME", str(desk.path / "share"))
    return desk.path / "share/mirror"


def test_install_status_rollback(desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version, sequence in (("1.0", SEQUENCE), ("2.0", SEQUENCE + 86400)):
        assert main(["install", str(desk.bundle(version, sequence=sequence)), "--python", str(BASE)]) == 0
    out, err = capsys.readouterr()
    assert f"installed {bundle_words('demo', SEQUENCE)}, generation 1 of {home}/demo and current: Python " in out
    assert f"use it with:  . {home}/demo/current/env.sh" in out
    assert "import left_pad: passed" in err
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"demo in {home}/demo"
    assert [line[:3] for line in lines if line[2:3].isdigit()] == ["  1", "* 2"]
    assert lines[1].startswith("  1  locked 2026-09-21, installed 20")
    assert lines[1].endswith("iB")
    assert lines[3] == "     signed by builder"
    assert main(["rollback", "--reason", "2.0 is slow"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"before it was 2 ({Path(lines[5].split()[0]).name}); to go back there:",
        "  mirror rollback --to 2",
    ]
    main(["status"])
    assert "by a rollback: 2.0 is slow" in capsys.readouterr().out
    assert version_in(home / "demo") == "1.0"
    assert main(["rollback"]) == 94
    assert "holds no generation before the current one" in capsys.readouterr().err


def test_a_stack_of_data_alone_is_not_said_to_have_a_python(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = BundleSimulator()
    simulator.add("files/chat.jinja", b"{{ messages }}")
    bundle = simulator.write(desk.path / "data.tar")
    assert main(["install", str(bundle)]) == 0
    said = capsys.readouterr().out
    assert "and current: 1 file\n" in said
    assert main(["status"]) == 0
    said += capsys.readouterr().out
    assert main(["install", str(bundle), "--prefix", str(desk.path / "other"), "--json"]) == 0
    said += "".join(json.loads(capsys.readouterr().out)["notes"])
    assert "Python" not in said


def test_going_back_to_what_todays_root_refuses_works_and_is_told(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = desk.bundle("1.0")
    for bundle in (first, desk.bundle("2.0", sequence=SEQUENCE + 86400)):
        assert main(["install", str(bundle), "--python", str(BASE)]) == 0
    assert main(["rollback"]) == 0
    assert "today's root" not in capsys.readouterr().out
    next_root = make_root(builder=role("anna"), version=2)
    desk.store.add_root(*sign_root(next_root))
    assert main(["rollback", "--to", "2"]) == 0
    told = capsys.readouterr().out
    assert "note: today's root would refuse its bundle: it needs 1 builder, has none, missing anna" in told
    assert "cannot be repaired or installed again" in told and version_in(home / "demo") == "2.0"
    assert main(["rollback", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unmet"] == ["needs 1 builder, has none, missing anna"]
    assert main(["install", "--repair", str(first)]) == 37
    assert "What is installed stays as it is and is used on: 'mirror status --check' says" in capsys.readouterr().err
    (desk.path / "trust/roots/1.json").unlink()  # nobody can tell then, and going back works all the same
    assert main(["rollback", "--to", "2"]) == 0


def test_a_damaged_generation_that_todays_root_refuses_is_left_by_a_rollback_and_not_entered_unwarned(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for bundle in (desk.bundle("1.0"), desk.bundle("2.0", sequence=SEQUENCE + 86400)):
        assert main(["install", str(bundle), "--python", str(BASE)]) == 0
    assert main(["rollback"]) == 0
    assert "warning" not in capsys.readouterr().out
    prefix = home / "demo"
    (prefix / "current/receipt.json").unlink()
    desk.store.add_root(*sign_root(make_root(builder=role("anna"), version=2)))
    assert main(["status", "--check"]) == 105
    out, err = capsys.readouterr()
    refused = "today's root would refuse its bundle: it needs 1 builder, has none, missing anna"
    assert out.count(refused) == 2, "also of the one whose receipt is gone: the history knows who signed"
    assert f"     'mirror rollback --prefix {prefix} --to 2' makes generation 2 current" in out
    assert f"'mirror rollback --prefix {prefix} --to 2' makes generation 2 current" in err
    assert "so it cannot be repaired" in err and "--repair" not in err
    assert main(["doctor", "demo", "--json"]) == 110
    fixes = [one["fix"] for one in json.loads(capsys.readouterr().out)["findings"] if one["subject"] == "stack"]
    assert any(f"rollback --prefix {prefix} --to 2" in fix and "--repair" not in fix for fix in fixes)
    assert main(["rollback", "--to", "2"]) == 0
    assert "warning" not in capsys.readouterr().out
    assert main(["rollback", "--to", "1"]) == 0
    told = capsys.readouterr().out
    assert "warning: it is damaged" in told and "  mirror status --check\n" in told
    assert "today's root would refuse" in told
    assert main(["rollback", "--to", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["is_damaged"]


def test_a_damaged_receipt_beside_a_repair_of_it_stops_no_install(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = str(desk.bundle("1.0"))
    main(["install", bundle, "--python", str(BASE)])
    receipt = (home / "demo/current").resolve() / "receipt.json"
    receipt.unlink()
    assert main(["install", bundle]) == 105
    assert "install --repair BUNDLE" in capsys.readouterr().err
    assert main(["install", "--repair", bundle, "--python", str(BASE)]) == 0
    assert main(["install", bundle]) == 0
    capsys.readouterr()
    main(["status"])
    step = f"and 'mirror gc --prefix {home}/demo' removes the damaged one."
    assert f"     Generation 2 was built to repair {receipt.parent.name}, {step}" in capsys.readouterr().out


def test_an_install_tells_the_damaged_receipts_of_other_generations_and_what_to_do(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one that was repaired, of one that was not, and of the one whose place is taken."""
    bundles = [str(desk.bundle(f"{n}.0", sequence=SEQUENCE + n)) for n in (1, 2, 3)]
    receipts = []
    for bundle in bundles[:2]:
        main(["install", bundle, "--python", str(BASE)])
        receipts.append((home / "demo/current").resolve() / "receipt.json")
    receipts[0].write_text("{}")
    prefix = f"--prefix {home}/demo"
    first = (
        f"the receipt of generation 1 ({receipts[0].parent.name}) cannot be used: Receipt invalid at 'format': missing."
    )
    repair = f"'mirror install --repair BUNDLE {prefix}', with the bundle that it came from, builds it anew"

    def notes(*command: str) -> list[str]:
        capsys.readouterr()
        assert main(["install", *command, "--python", str(BASE)]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: the receipt of")]

    told = f"{first} {repair} and breaks nothing that runs."
    assert notes(bundles[1]) == [f"note: {told}"]
    receipts[1].unlink()
    assert [line.split(" (")[0] for line in notes(bundles[2])] == [
        "note: the receipt of generation 1",
        "note: the receipt of generation 2",
    ]
    (repaired, other) = notes("--repair", bundles[0])
    gone = (
        f"Generation 4 was built to repair {receipts[0].parent.name}, and 'mirror gc {prefix}' removes the damaged one."
    )
    assert repaired == f"note: {first} {gone}"
    assert "generation 2 (" in other and repair in other
    capsys.readouterr()
    main(["install", bundles[2], "--json"])
    assert json.loads(capsys.readouterr().out)["damaged"] == [repaired[6:], other[6:]]
    assert main(["gc", "--keep", "9"]) == 0
    assert notes(bundles[2]) == [other]


def test_a_history_that_was_cut_changes_no_number_in_silence(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = [str(desk.bundle(f"{n}.0", sequence=SEQUENCE + n)) for n in (1, 2)]
    for bundle in bundles:
        main(["install", bundle, "--python", str(BASE)])
    assert main(["gc", "--keep", "0"]) == 0
    history = home / "demo/history.jsonl"
    history.write_bytes(history.read_bytes()[:50])
    capsys.readouterr()
    assert main(["status"]) == 0
    told = capsys.readouterr().out
    assert "* 1  " in told
    assert "warning: the history is damaged, and numbers may be others than before: " in told
    assert "history.json beside it knows of" in told and "Put it back from a backup." in told
    main(["status", "--json"])
    assert json.loads(capsys.readouterr().out)["stacks"][0]["history_problem"]
    assert main(["install", bundles[1]]) == 8
    assert "ref: history-lost" in capsys.readouterr().err


def test_what_is_current_is_told_where_it_is_another_one(
    desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rollback that is undone by installing again, and a repair with the bundle of the other generation."""
    first, second = desk.bundle("1.0"), desk.bundle("2.0", sequence=SEQUENCE + 86400)
    for bundle in (first, second):
        main(["install", str(bundle), "--python", str(BASE)])
    main(["rollback", "--reason", "2.0 is slow"])
    capsys.readouterr()
    prefix = home / "demo"
    assert main(["install", str(second)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"the bundle is intact; {bundle_words('demo', SEQUENCE + 86400)}, generation 2 of {prefix}, was installed already",
        "whether what is installed is intact was not looked at:  mirror status --check does",
        "switched current from generation 1 to 2",
        "this undoes the rollback to generation 1, which was for: 2.0 is slow",
        f"use it with:  . {prefix}/current/env.sh",
    ]
    assert main(["install", str(second)]) == 0
    assert "generation 2 of " in (again := capsys.readouterr().out) and "is installed already and current" in again
    assert "switched" not in again

    main(["rollback", "--reason", "2.0 is slow"])
    capsys.readouterr()
    main(["install", str(second), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["was_installed"] and told["current"] is None
    assert (told["before"]["number"], told["before"]["reason"], told["before"]["was_chosen"]) == (
        1,
        "2.0 is slow",
        True,
    )

    (module,) = (prefix / "current").glob("venv/lib/python*/site-packages/left_pad.py")
    module.unlink()
    check = "mirror status --check demo"
    assert main(["install", "--repair", str(first)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("nothing to repair: ") and f"generation 1 of {prefix}, are as they were" in out[0]
    new = bundle_words("the bundle demo", SEQUENCE + 86400)
    assert out[1:] == [
        f"but current is another one: generation 2, of {new}; this repaired nothing of it",
        f"whether generation 2 is intact was not looked at:  {check}",
    ]
    (prefix / "current/receipt.json").write_text("{}")
    main(["install", "--repair", str(first)])
    out = capsys.readouterr().out.splitlines()
    new = bundle_words("a bundle", SEQUENCE + 86400)
    assert out[2] == f"but current is another one: generation 2, of {new}; this repaired nothing of it"
    assert out[1].startswith("note: the receipt of generation 2 (")
    assert out[3] == f"what else of it is damaged was not looked at:  {check}"
    main(["install", "--repair", str(first), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["is_current"], told["current"]["number"], told["before"]) == (False, 2, None)
    assert told["current"]["problem"]


def test_json_is_for_machines(desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(desk.bundle())
    answers = []
    for command in (["install", bundle, "--python", str(BASE)], ["install", bundle], ["status", "demo"], ["rollback"]):
        main([*command, "--json"])
        answers.append(json.loads(capsys.readouterr().out))
    first, again, status, error = answers
    assert (first["was_installed"], again["was_installed"]) == (False, True)
    assert first["generation"] == again["generation"] == status["stacks"][0]["generations"][0]["generation"]
    assert status["stacks"][0]["current"] == Path(first["generation"]).name
    assert error["error"]["ref"] == "no-such-generation"


def test_a_prefix_that_is_a_file_has_its_exit_code(desk: Desk, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", str(desk.bundle()), "--prefix", str(desk.uv), "--python", str(BASE)]) == 90
    err = capsys.readouterr().err
    assert f"error: cannot install in {desk.uv}: the prefix {desk.uv} is not a directory" in err
    assert "ref: preflight-failed" in err


def test_status_and_rollback_of_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == main(["status", "demo"]) == main(["rollback", "demo"]) == 99
    assert "nothing is installed in" in capsys.readouterr().err
    assert not home.exists()


def python(version: str) -> str:
    """An interpreter of this version on this machine, or a skipped test."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    found = shutil.which(f"python{version}") if not kept else str(kept[-1])
    if not found or subprocess.run([found, "-c", ""], capture_output=True).returncode:
        pytest.skip(f"no Python {version} here")
    return found


@pytest.mark.group(63)
@pytest.mark.parametrize("version", VERSIONS)
def test_mirror_pyz_installs_under_every_python(desk: Desk, version: str) -> None:
    installer = desk.path / "mirror.pyz"
    write_installer(installer)
    command = [python(version), "-I", "-W", "error", str(installer)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(desk.path)}
    fingerprint = BundleSimulator().root.fingerprint
    options = ["install", str(desk.bundle()), "--python", str(BASE), "--json"]
    ran = subprocess.run(
        [*command, *options, "--fingerprint", fingerprint], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    receipt = json.loads(ran.stdout)
    assert receipt["prefix"] == f"{desk.path}/.local/share/mirror/demo"
    assert version_in(Path(receipt["prefix"])) == "1.0"
    for again in (options, ["status"]):
        assert subprocess.run([*command, *again], env=environment, capture_output=True).returncode == 0


@pytest.mark.group(68)
def test_no_socket_but_to_the_loopback_is_ever_opened(desk: Desk, home: Path) -> None:
    trace = shutil.which("strace")
    if trace is None:
        pytest.skip("no strace here")
    log = desk.path / "trace"
    command = [trace, "-f", "-e", "trace=connect,sendto", "-o", str(log), sys.executable, "-m", "mirror.cli.main"]
    command += ["install", str(desk.bundle()), "--python", str(BASE)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[5])}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    if "Operation not permitted" in ran.stderr:
        pytest.skip("strace may not trace here")
    assert ran.returncode == 0, ran.stderr
    reached = [line for line in log.read_text().splitlines() if "AF_INET" in line]
    assert reached
    assert [line for line in reached if "127.0.0.1" not in line] == []
