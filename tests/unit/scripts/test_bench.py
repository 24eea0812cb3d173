"""The benchmark's pairing, arithmetic and table, on commands that take no time; nothing is asserted of how long they take."""

from __future__ import annotations

import gzip
import json
import shlex
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from scripts.bench_jobs import steps
from scripts.bench_jobs.figure import digest
from scripts.bench_jobs.inputs import Inputs
from scripts.bench_jobs.jobs import JOBS
from scripts.bench_jobs.measure import (
    Command,
    CommandFailed,
    Goal,
    Job,
    Measured,
    Result,
    Run,
    Spread,
    measure,
    ratio,
    run_once,
)
from scripts.bench_jobs.page import kept, tables
from scripts.bench_jobs.table import document, faster, table, to_json, verdict
from scripts.bench_jobs.tampering import flipped, rewritten
from tests.support.bundles import BundleSimulator
from tests.support.wheels import make_wheel


def fake(log: Path, *labels: str) -> list[Command]:
    """Commands that write their label into a log, and fail where the directory is not empty."""
    return [Command(label, f'test -z "$(ls)"; echo {label} >> {log}; touch left-behind') for label in labels]


def test_commands_take_turns_each_in_an_empty_directory(tmp_path: Path) -> None:
    mirror, one, two = fake(tmp_path / "log", "mirror", "one", "two")
    result = measure(Job("fake", mirror, (one, two)), runs=2, work=tmp_path)
    assert (tmp_path / "log").read_text().split() == ["mirror", "one", "two"] * 3, "one round does not count"
    assert [len(measured.runs) for measured in (result.mirror, *result.typed)] == [2, 2, 2]
    assert list(tmp_path.iterdir()) == [tmp_path / "log"], "what a run writes is removed"


def test_inputs_are_read_before_each_run(tmp_path: Path) -> None:
    mirror = Command("mirror", "true")
    with pytest.raises(FileNotFoundError, match="input"):
        measure(Job("fake", mirror, (), (tmp_path / "input",)), runs=1, work=tmp_path)


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is ten times slower in the last round: the ratio does not see it.
    ours = [Run(1.0, 1.0, 1), Run(2.0, 1.0, 1), Run(10.0, 1.0, 1)]
    theirs = [Run(3.0, 1.0, 1), Run(8.0, 1.0, 1), Run(20.0, 1.0, 1)]
    assert ratio(theirs, ours) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([4.0, 1.0]) == Spread(2.5, 1.0, 4.0)


def test_a_missing_alternative_is_told_and_the_rest_is_measured(tmp_path: Path) -> None:
    mirror, there = fake(tmp_path / "log", "mirror", "there")
    absent = Command("absent --now", "false", ("no-such-program-here",), Goal("faster", 1))
    result = measure(Job("fake", mirror, (absent, there)), runs=1, work=tmp_path)
    text = table([result])
    assert "not measured: no-such-program-here is not installed" in text
    assert result.typed[0].runs == ()
    assert result.typed[1].ratio is not None
    assert to_json([result])[0]["typed"][0] == {
        "command": "absent --now",
        "told": "not measured: no-such-program-here is not installed",
    }


def test_a_command_that_fails_is_told_with_its_last_words_and_not_run_again(tmp_path: Path) -> None:
    (mirror,) = fake(tmp_path / "log", "mirror")
    broken = Command("broken", f"echo broken >> {tmp_path / 'log'}; echo no index here >&2; exit 3")
    result = measure(Job("fake", mirror, (broken,)), runs=2, work=tmp_path)
    assert result.typed[0].told == "not measured: exit code 3: no index here"
    assert (tmp_path / "log").read_text().count("broken") == 1
    assert len(result.mirror.runs) == 2


def test_without_mirrors_figures_there_is_no_ratio(tmp_path: Path) -> None:
    (typed,) = fake(tmp_path / "log", "typed")
    result = measure(Job("fake", Command("mirror", "exit 1"), (typed,)), runs=1, work=tmp_path)
    assert result.mirror.told.startswith("not measured: exit code 1")
    assert result.typed[0].told == "not measured: nothing to compare with"
    assert not (tmp_path / "log").exists()
    assert "nothing to compare with" in table([result])


def test_a_command_without_an_end_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^gave up after 0 s$"):
        run_once(Command("endless", "sleep 600 | sleep 600"), (), tmp_path, 0.2)


def test_a_command_may_have_a_limit_of_its_own(tmp_path: Path) -> None:
    endless = Command("endless", "sleep 600", limit_s=0.2)
    result = measure(Job("fake", Command("mirror", "true"), (endless,)), runs=1, work=tmp_path)
    assert result.typed[0].told == "not measured: gave up after 0 s"


STACK = """
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.31"
[python]
requirements = ["alpha==1.0"]
[python.index]
beta = "page"
[indexes.page]
file = "https://example.org/beta-1.0-py3-none-any.whl"
sha256 = "00"
"""


def test_what_no_index_has_is_left_out_of_what_pip_is_asked_for_and_the_stacks_own_directory_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MIRROR_HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, "")  # which it sets for its commands
    (tmp_path / "locks").mkdir()
    lock = tmp_path / "locks/small.txt"
    lock.write_text("alpha==1.0 --hash=sha256:1\n    # via small.toml\nbeta==1.0 --hash=sha256:2\n")
    lock.with_suffix(".toml").write_text(STACK)
    inputs = Inputs(tmp_path / "work", lock, toolchain_repo=tmp_path, rpm_fingerprints=("AB",))
    assert inputs.lock_for_pip.read_text() == "alpha==1.0 --hash=sha256:1\n    # via small.toml\n"
    note = JOBS["bundle"](inputs).note
    assert note.endswith(" pip is not asked for beta: no index has it.")
    kept_one = document(
        [Result(Job("fetch", Command("mirror", ""), (), note=note), measured("mirror", 1.0), ())], "demo"
    )
    assert tables([kept_one]).endswith("```\n\npip is not asked for beta: no index has it.")
    assert inputs.rpm_options == ("--toolchain-repo", str(tmp_path), "--rpm-fingerprint", "AB")
    assert inputs.stack != lock and inputs.stack.read_bytes() == lock.read_bytes()
    assert sorted(one.name for one in lock.parent.iterdir()) == ["small.toml", "small.txt"]


def test_the_memory_of_a_grandchild_counts(tmp_path: Path) -> None:
    # In a process as small as scripts/bench itself: a child's peak begins with the size of whoever forked it.
    program = f"""
from pathlib import Path
from scripts.bench_jobs.measure import Command, run_once
for script in ("true", {shlex.join([sys.executable, "-c", "x = b'1' * (300 << 20)"])!r} + "; true"):
    print(run_once(Command("one", "sh -c " + __import__("shlex").quote(script)), (), Path({str(tmp_path)!r}), 60).peak_bytes)
"""
    house = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=house, capture_output=True, text=True, check=True)
    small, large = map(int, done.stdout.split())
    assert large - small > 100 << 20


def test_mirrors_own_memory_is_told_apart_from_that_of_its_children(tmp_path: Path) -> None:
    child = "x = bytearray(b'1' * (300 << 20))"
    script = f"import subprocess, sys, time; subprocess.run([sys.executable, '-c', \"{child}\"], check=True); time.sleep(0.3)"
    run = run_once(Command("parent", f"exec {shlex.join([sys.executable, '-c', script])}"), (), tmp_path, 60)
    assert 0 < run.own_bytes < 100 << 20
    assert run.peak_bytes > 300 << 20


def test_the_step_that_packs_writes_the_bundle_that_was_unpacked(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add("meta/install.txt", b"a==1\n")
    simulator.add("meta/more.txt", bytes(range(256)) * 9)
    bundle = simulator.write(tmp_path / "bundle.tar")
    (tmp_path / "members").mkdir()
    subprocess.run(["tar", "xf", bundle, "-C", tmp_path / "members"], check=True)
    steps.pack(tmp_path / "members", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_caches_are_new_in_every_run_and_pips_settings_are_kept_only_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/somewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/filled")
    new = f'test "${{XDG_CACHE_HOME#{tmp_path}/run-}}" != "$XDG_CACHE_HOME"'
    check = f'{new}; echo "${{PIP_FIND_LINKS-none}}" >> {tmp_path}/log'
    run_once(Command("offline", check), (), tmp_path, 60)
    run_once(Command("online", check, online=True), (), tmp_path, 60)
    assert (tmp_path / "log").read_text().split() == ["none", "/somewhere"]


def test_an_unknown_job_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    script = Path(__file__).parents[3] / "scripts/bench"
    command = [sys.executable, str(script), "nonsense", "--work", str(tmp_path / "work")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("error: no such job: nonsense\n")
    assert not (tmp_path / "work").exists()


def measured(label: str, wall_s: float, goal: Goal | None = None, of: Spread | None = None) -> Measured:
    return Measured(Command(label, "", goal=goal), (Run(wall_s, 0.5, 430 << 20, 30 << 20),), of)


def test_the_table_shows_medians_ratios_and_goals() -> None:
    job = Job("verify", Command("mirror verify", ""), (), peak_mib=64, note="Signatures, too.")
    typed = (
        measured("sha256sum -c", 3.0, of=Spread(1.5, 1.4, 1.6)),
        measured("openssl dgst", 1.0, Goal("<= 1.3x its time", 1 / 1.3), Spread(0.5, 0.4, 0.6)),
    )
    lines = table([Result(job, measured("mirror verify", 2.0), typed)]).splitlines()
    assert lines[0].split() == [
        "job",
        "command",
        "median",
        "min-max",
        "cpu",
        "written",
        "peak",
        "mirror",
        "is",
        "min-max",
        "goal",
    ]
    assert lines[1].split()[:4] == ["verify", "mirror", "verify", "2.00"]
    assert "430 MiB" in lines[1]
    assert lines[1].endswith("below 64 MiB: met (itself 30)"), "a compiler's memory is not mirror's"
    assert "1.50x faster" in lines[2]
    assert "1.40-1.60x" in lines[2]
    assert "2.00x slower" in lines[3]
    assert lines[3].endswith("<= 1.3x its time: missed")
    assert lines[4] == "    Signatures, too."


def test_a_goal_inside_the_spread_is_said_to_be() -> None:
    assert verdict(Spread(3.1, 3.0, 3.2), 3) == "met"
    assert verdict(Spread(2.5, 2.4, 2.9), 3) == "missed"
    assert verdict(Spread(3.1, 2.9, 3.2), 3) == "met, within the spread"
    assert verdict(Spread(2.9, 2.8, 3.2), 3) == "missed, within the spread"
    assert (faster(2.0), faster(0.5)) == ("2.00x faster", "2.00x slower")


def test_the_json_holds_every_run(tmp_path: Path) -> None:
    mirror, typed = fake(tmp_path / "log", "mirror", "typed")
    (job,) = json.loads(json.dumps(to_json([measure(Job("fake", mirror, (typed,)), runs=3, work=tmp_path)])))
    assert [len(job["mirror"]["runs"]), len(job["typed"][0]["runs"])] == [3, 3]
    assert set(job["typed"][0]["ratio"]) == {"median", "least", "most"}
    assert set(job["mirror"]["runs"][0]) == {
        "wall_s",
        "cpu_s",
        "peak_bytes",
        "own_bytes",
        "written_bytes",
        "read_bytes",
        "load",
    }


def test_what_is_written_is_counted(tmp_path: Path) -> None:
    """As the kernel counts it: where files live in memory alone, that is nothing."""
    writes = Command("dd", "dd if=/dev/zero of=file bs=1M count=8 conv=fsync 2>/dev/null")
    assert run_once(writes, (), tmp_path, 60).written_bytes in (0, *range(8 << 20, 12 << 20))


def test_what_is_kept_of_a_measurement_makes_the_table_of_the_page(tmp_path: Path) -> None:
    mirror = Measured(Command("mirror verify", ""), (Run(2.0, 1.5, 40 << 20, 27 << 20, load=0.5),))
    typed = Measured(
        Command("openssl dgst", "", goal=Goal("<= 1.3x", 1 / 1.3)),
        (Run(3.0, 12.4, 3 << 20, load=1.5),),
        Spread(1.5, 1.5, 1.5),
    )
    absent = Measured(Command("sha256sum", ""), told="not measured: sha256sum is not installed")
    kept_one = document([Result(Job("verify", mirror.command, ()), mirror, (typed, absent))], "demo")
    kept_one |= {"day": "2026-11-29"}
    kept_one["machine"] |= {"processors": 2, "memory_gib": 24, "system": "Linux 6 on x86_64", "python": "3.11.7"}
    assert tables(json.loads(json.dumps([kept_one]))) == (
        "The stack demo, on 2026-11-29: 2 processors, 24 GiB, Linux 6 on x86_64, Python\n"
        "3.11.7; 1 round; load average 0.5 to 1.5.\n\n```text\n"
        "               seconds CPU-s MiB ratio\n"
        "mirror verify     2.00  1.50  27\n"
        "  openssl dgst    3.00    12   3 1.50 met\n"
        "  sha256sum          -     -   - -\n```\n\n"
        "Not measured: sha256sum is not installed."
    )


def test_the_figure_of_the_handbook_is_drawn_of_the_results_that_are_kept() -> None:
    drawn = (Path(__file__).parents[3] / "mirror/help/speed.svg").read_text()
    assert digest(kept()) in drawn, "run scripts/speed"


def test_an_archive_that_a_stranger_rewrote_agrees_with_itself(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "alpha", "1.0").read_bytes()
    listed = f'{{"sha256": "{sha256(wheel).hexdigest()}", "size": {len(wheel)}}}'.encode()
    packed = gzip.compress(listed, mtime=0)
    sums = f"{sha256(listed).hexdigest()}  a.json\n{sha256(packed).hexdigest()}  b.gz\n".encode()
    members = {"sums": sums, "a.json": listed, "b.gz": packed, "alpha.whl": wheel, "other": b"other"}
    altered = rewritten(members)
    assert altered["alpha.whl"] != wheel and altered["other"] == b"other"
    facts = json.loads(altered["a.json"])
    assert facts == {"sha256": sha256(altered["alpha.whl"]).hexdigest(), "size": len(altered["alpha.whl"])}
    assert gzip.decompress(altered["b.gz"]) == altered["a.json"]
    assert [line.split("  ")[0] for line in altered["sums"].decode().splitlines()] == [
        sha256(altered[name]).hexdigest() for name in ("a.json", "b.gz")
    ]
    changed = [name for name, data in flipped(members).items() if data != members[name]]
    assert changed == ["alpha.whl"]
