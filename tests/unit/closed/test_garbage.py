from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.closed.environment.caches import SharedCaches, remember
from mirror.closed.environment.variables import load_environment
from mirror.closed.garbage import Report, collect
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.history import History, HistoryLost, record
from mirror.closed.prefix.lock import PrefixBusy
from mirror.closed.prefix.status import NothingInstalled
from mirror.closed.prefix.switching import roll_back
from mirror.closed.prefix.tree import disk_usage
from mirror.closed.prefix.usage import hold
from mirror.closed.preflight import PreflightFailed
from mirror.core.errors import InvalidDocument, Unreadable
from tests.support.faults import HOUSE
from tests.support.generations import key_of, put_generation
from tests.support.mounts import needs_mounts
from tests.support.otheruser import OTHER, call_as_other, needs_root, shared_directory


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "h100")


def sequences(prefix: Prefix) -> list[int]:
    return [generation.identity.sequence for generation in prefix.installed()]


def reasons(report: Report) -> dict[str, str]:
    return {item.path.name.split("-")[0]: item.why for item in report.kept}


def paths(report: Report) -> list[Path]:
    """Sizes differ until a file system has given out its blocks."""
    return [item.path for item in (*report.removed, *report.kept)]


@contextmanager
def standing_in(directory: Path) -> Iterator[int]:
    """A process whose working directory this is."""
    process = subprocess.Popen(["/bin/sleep", "1000"], cwd=directory)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@pytest.mark.group(61)
@pytest.mark.parametrize(("keep", "left"), [(0, [4]), (1, [3, 4]), (2, [2, 3, 4]), (9, [1, 2, 3, 4])])
def test_the_current_generation_and_the_way_back_stay(prefix: Prefix, keep: int, left: list[int]) -> None:
    for sequence in (1, 2, 3, 4):
        put_generation(prefix, sequence)
    collect([prefix], keep)
    assert sequences(prefix) == left
    assert prefix.current() == prefix.installed()[-1]


@pytest.mark.parametrize("name", ["history.json", "history.jsonl"])
@pytest.mark.parametrize(
    "harm", [lambda path: path.write_text("{damaged}\n"), lambda path: path.unlink() or path.mkdir()]
)
def test_nothing_goes_where_the_history_does_not_tell_the_way_back(
    prefix: Prefix, name: str, harm: Callable[[Path], object]
) -> None:
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    roll_back(prefix)
    harm(prefix.root / name)
    with pytest.raises((Unreadable, InvalidDocument, HistoryLost)) as caught:
        collect([prefix])
    assert name in f"{caught.value} {caught.value.hint}"
    assert sequences(prefix) == [1, 2, 3]


def test_it_says_what_it_removed_and_why_the_rest_stayed(prefix: Prefix) -> None:
    first, *_ = [put_generation(prefix, sequence) for sequence in (1, 2, 3)]
    size = disk_usage(first.path)
    assert size > 5000
    report = collect([prefix])
    assert [(item.kind, item.path, item.why, item.size) for item in report.removed] == [
        ("generation", first.path, "older than what is kept", size)
    ]
    assert reasons(report) == {"2": "kept for 'mirror rollback'", "3": "it is current"}
    assert report.freed_bytes == size


def test_what_was_rolled_back_from_goes_when_none_is_to_be_kept_and_the_history_still_knows_it(prefix: Prefix) -> None:
    """SECURITY.md T4: an older bundle stays refused although nothing newer is there any more."""
    for sequence in (1, 2, 3):
        install(prefix, sequence)
    roll_back(prefix)
    report = collect([prefix])
    assert sequences(prefix) == [1, 2, 3]
    assert reasons(report)["3"] == "the last rollback came from it; --keep 0 keeps it no more"
    report = collect([prefix], keep=0)
    assert sequences(prefix) == [2]
    assert [item.why for item in report.removed][1:] == ["newer than the current one"]
    assert History(prefix.root).greatest() == 3
    assert [event.action for event in History(prefix.root).events()][-1] == "removed"


def install(prefix: Prefix, sequence: int) -> Generation:
    """Put one there, and write it down."""
    generation = put_generation(prefix, sequence)
    record(prefix, "installed", generation, sequence)
    return generation


def test_the_last_rollback_decides_and_installing_again_ends_it(prefix: Prefix) -> None:
    for sequence in (1, 2, 3, 4):
        install(prefix, sequence)
    roll_back(prefix)
    roll_back(prefix, "1")
    assert reasons(collect([prefix], dry_run=True)).keys() == {"1", "3"}, "4 is what the one before came from"
    roll_back(prefix, "3")
    install(prefix, 5)
    collect([prefix])
    assert sequences(prefix) == [4, 5]


@pytest.mark.parametrize(
    ("damaged", "keep", "left"),
    [((1,), 0, [1, 4]), ((1,), 1, [1, 4]), ((1, 4), 0, [1, 3]), ((1, 4), 1, [1, 3, 4]), ((1,), 2, [1, 3, 4])],
)
def test_with_a_damaged_current_one_as_many_whole_ones_stay_as_are_asked_for(
    prefix: Prefix, damaged: tuple[int, ...], keep: int, left: list[int]
) -> None:
    made = {sequence: install(prefix, sequence) for sequence in (1, 2, 3, 4)}
    roll_back(prefix, "1")
    for sequence in damaged:
        made[sequence].receipt.unlink()
    collect([prefix], keep)
    assert sequences(prefix) == left


def test_a_damaged_way_back_stays_and_a_whole_one_beside_it(prefix: Prefix) -> None:
    made = [install(prefix, sequence) for sequence in (1, 2, 3, 4)]
    made[2].receipt.unlink()
    report = collect([prefix])
    assert sequences(prefix) == [2, 3, 4]
    assert reasons(report)["2"] == "kept for 'mirror rollback'"


def test_a_prefix_without_a_current_generation_keeps_its_newest(prefix: Prefix) -> None:
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    (prefix.root / "current").unlink()
    assert reasons(collect([prefix], keep=0)) == {"3": "it is the newest"}
    assert sequences(prefix) == [3]


@pytest.mark.group(61)
def test_a_generation_that_a_process_uses_stays_until_it_ends(prefix: Prefix) -> None:
    used, _, _ = [put_generation(prefix, sequence) for sequence in (1, 2, 3)]
    with standing_in(used.venv / "bin") as pid:
        assert reasons(collect([prefix], keep=0))["1"] == f"in use by process {pid} (sleep)"
        assert sequences(prefix) == [1, 3]
    collect([prefix], keep=0)
    assert sequences(prefix) == [3]


def test_a_generation_whose_file_is_mapped_or_on_a_command_line_is_in_use(prefix: Prefix) -> None:
    used, _ = put_generation(prefix, 1), put_generation(prefix, 2)
    program = used.venv / "bin/sleeper"
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    for command in ([str(program), "1000"], ["sh", "-c", "read x", str(used.venv / "bin/vllm")]):
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
        try:
            assert reasons(collect([prefix], keep=0))["1"].startswith(f"in use by process {process.pid} (")
        finally:
            process.kill()
            process.communicate()
    assert sequences(prefix) == [1, 2]


@pytest.mark.group(61)
def test_a_generation_that_mirror_run_holds_stays(prefix: Prefix) -> None:
    """Also when the program is another user's, whose files do not show: the lock does."""
    used, _ = put_generation(prefix, 1), put_generation(prefix, 2)
    source = "import sys; from pathlib import Path; from mirror.closed.prefix.usage import hold\n"
    source += "hold(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", source, os.path.relpath(used.path, "/")]
    with subprocess.Popen(command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdin and process.stdout.readline()
        descriptor = hold(used.path)
        try:
            assert reasons(collect([prefix], keep=0))["1"].startswith("in use by ")
        finally:
            os.close(descriptor)
    collect([prefix], keep=0)
    assert sequences(prefix) == [2]


def test_a_lock_alone_is_enough(prefix: Prefix) -> None:
    used, _ = put_generation(prefix, 1), put_generation(prefix, 2)
    descriptor = hold(used.path)  # our own process is not looked at
    try:
        assert reasons(collect([prefix], keep=0))["1"] == "in use by a program that 'mirror run' started"
    finally:
        os.close(descriptor)
    assert hold(prefix.root / "nowhere") == -1


def test_unfinished_generations_are_garbage(prefix: Prefix) -> None:
    put_generation(prefix, 1)
    (prefix.root / "gens/2-cdcdcdcdcdcd/venv").mkdir(parents=True)
    report = collect([prefix])
    assert [(item.kind, item.why) for item in report.removed] == [("unfinished", "left by a run that was killed")]
    assert prefix.unfinished() == ()


def test_a_dry_run_tells_the_same_and_removes_nothing(prefix: Prefix) -> None:
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    (prefix.root / "gens/4-cdcdcdcdcdcd").mkdir()
    told = collect([prefix], dry_run=True)
    assert sequences(prefix) == [1, 2, 3]
    assert prefix.unfinished() == ("4-cdcdcdcdcdcd",)
    assert History(prefix.root).events() == ()
    assert paths(collect([prefix])) == paths(told)


def test_while_something_is_installed_nothing_is_removed(prefix: Prefix) -> None:
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    with prefix.lock(), pytest.raises(PrefixBusy, match=f"in use by process {os.getpid()} on "):
        collect([Prefix(prefix.root)])
    assert sequences(prefix) == [1, 2, 3]


def test_nothing_installed_is_named_and_makes_nothing(prefix: Prefix, tmp_path: Path) -> None:
    with pytest.raises(NothingInstalled):
        collect([prefix])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.group(67)
def test_a_prefix_that_others_can_write_is_not_believed(prefix: Prefix) -> None:
    put_generation(prefix, 1)
    prefix.root.chmod(0o777)
    with pytest.raises(PreflightFailed):
        collect([prefix])


@pytest.mark.group(51)
def test_killed_in_the_middle_the_rest_is_garbage_to_the_next_run(prefix: Prefix) -> None:
    victim = put_generation(prefix, 1, files=1500)
    current = put_generation(prefix, 2)
    source = "import sys; from pathlib import Path; from mirror.closed.garbage import collect\n"
    source += "from mirror.closed.prefix.generations import Prefix; collect([Prefix(Path(sys.argv[1]))], keep=0)"
    process = subprocess.Popen([sys.executable, "-c", source, str(prefix.root)])
    while victim.complete.exists() and process.poll() is None:
        time.sleep(0.0005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert prefix.current() == current
    assert prefix.installed() == (current,)
    collect([prefix], keep=0)
    assert [path.name for path in (prefix.root / "gens").iterdir()] == [current.name]


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home)}


def cache_of(user: dict[str, str], name: str) -> Path:
    return Path(user["HOME"]) / ".cache/mirror/jit" / name


def use(generation: Generation, user: dict[str, str]) -> Path:
    """What a start of this generation leaves in the user's home."""
    environment = load_environment(generation)
    remember(environment, user)
    kernel = environment.caches(user) / ".cache/flashinfer/0.6.4/90a/cached_ops/op/op.so"
    kernel.parent.mkdir(parents=True, exist_ok=True)
    kernel.write_bytes(b"x" * 9000)
    return environment.caches(user)


def test_caches_go_with_their_generation(prefix: Prefix, user: dict[str, str]) -> None:
    caches = [use(put_generation(prefix, sequence), user) for sequence in (1, 2, 3)]
    told = collect([prefix], caches=user, dry_run=True)
    assert [item.path for item in told.removed if item.kind == "cache"] == [caches[0]]
    assert all(cache.exists() for cache in caches)
    report = collect([prefix], caches=user)
    assert paths(report) == paths(told)
    assert sorted(path.name for path in caches[0].parent.iterdir()) == sorted(path.name for path in caches[1:])


def test_without_being_asked_caches_stay(prefix: Prefix, user: dict[str, str]) -> None:
    caches = [use(put_generation(prefix, sequence), user) for sequence in (1, 2, 3)]
    collect([prefix])
    assert all(cache.exists() for cache in caches)


def test_a_cache_of_somebody_elses_stack_is_found_by_its_link(
    prefix: Prefix, tmp_path: Path, user: dict[str, str]
) -> None:
    theirs = put_generation(Prefix(tmp_path / "theirs"), 1)
    cache = use(theirs, user)
    assert reasons(collect([], caches=user)) == {cache.name: f"it belongs to {theirs.path}"}
    theirs.manifest.unlink()  # then its key is not known, and the link is believed
    assert collect([], caches=user).removed == ()
    theirs.complete.unlink()
    assert [item.path for item in collect([], caches=user).removed] == [cache]


def test_a_cache_without_a_link_is_found_by_its_key(prefix: Prefix, user: dict[str, str]) -> None:
    generation = put_generation(prefix, 1)
    (use(generation, user) / "generation").unlink()
    orphan = cache_of(user, "0123456789abcdef")
    (orphan / "triton").mkdir(parents=True)
    report = collect([prefix], caches=user)
    assert [item.path for item in report.removed] == [orphan]
    generation.manifest.unlink()
    (orphan / "triton").mkdir(parents=True)
    kept = reasons(collect([prefix], caches=user))
    assert kept[orphan.name] == "it may belong to a generation that has lost its manifest"


def test_what_is_no_cache_of_ours_is_left_alone(user: dict[str, str], tmp_path: Path) -> None:
    home = cache_of(user, "x").parent
    (home / "notes").mkdir(parents=True)
    (home / "fedcba9876543210").symlink_to(tmp_path)
    (home / "0123456789abcdeF").write_text("")
    assert collect([], caches=user) == Report((), ())
    assert len(list(home.iterdir())) == 3


def test_a_cache_with_models_or_in_use_stays(user: dict[str, str]) -> None:
    models, used = cache_of(user, "0" * 16), cache_of(user, "1" * 16)
    (models / "mlc_llm/model_weights/hf/a/b").mkdir(parents=True)
    (models / "mlc_llm/model_weights/hf/a/b/params.bin").touch()
    used.mkdir()
    with standing_in(used) as pid:
        kept = reasons(collect([], caches=user))
    assert kept == {"0" * 16: "models for MLC are in it", "1" * 16: f"in use by process {pid} (sleep)"}


def test_what_a_killed_removal_left_of_a_cache_goes(user: dict[str, str]) -> None:
    trash = cache_of(user, f".{'a' * 16}.removed")
    (trash / "triton").mkdir(parents=True)
    assert [item.path for item in collect([], caches=user).removed] == [trash]
    assert not trash.exists()


def test_a_cache_is_removed_under_another_name(user: dict[str, str]) -> None:
    cache = cache_of(user, "a" * 16)
    (cache / "closed").mkdir(parents=True)
    (cache / "closed").chmod(0o500)
    cache.with_name(f".{cache.name}.removed").mkdir()
    collect([], caches=user)
    assert list(cache.parent.iterdir()) == []


@pytest.mark.group(67)
@needs_root
def test_no_cache_is_removed_where_somebody_elses_link_leads_and_no_generation_before_that_is_said(
    prefix: Prefix, tmp_path: Path
) -> None:
    generations = [put_generation(prefix, sequence) for sequence in (1, 2, 3)]
    dear = tmp_path / "dear/0123456789abcdef/data"
    dear.mkdir(parents=True)
    with shared_directory() as shared:
        shared.chmod(0o1777)
        call_as_other(lambda: (shared / "mirror").mkdir())
        call_as_other(lambda: (shared / "mirror/jit").symlink_to(tmp_path / "dear"))
        with pytest.raises(SharedCaches, match=f"{shared}/mirror belongs to user {OTHER}.*jit belongs to user {OTHER}"):
            collect([prefix], caches={"XDG_CACHE_HOME": str(shared)})
    assert dear.exists() and prefix.installed() == tuple(generations)


def test_caches_go_through_a_link_of_ones_own(user: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "scratch/0123456789abcdef/triton").mkdir(parents=True)
    home = cache_of(user, "x").parent
    home.parent.mkdir(parents=True)
    home.symlink_to(tmp_path / "scratch")
    assert [item.path.name for item in collect([], caches=user).removed] == ["0123456789abcdef"]
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent"])
def test_a_user_without_caches_has_a_home_of_any_kind(home: str) -> None:
    assert collect([], caches={"HOME": home}) == Report((), ())


def test_a_user_without_caches_has_nothing_to_remove(user: dict[str, str], prefix: Prefix) -> None:
    assert collect([], caches=user) == collect([], caches={}) == Report((), ())
    assert key_of(put_generation(prefix, 1)) not in str(collect([prefix], caches=user))


_ON_A_FULL_DISK = """
import sys
from pathlib import Path
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.history import History, record
from tests.support.generations import put_generation

prefix = Prefix(Path(sys.argv[1]) / "p")
for sequence in (1, 2, 3):
    record(prefix, "installed", put_generation(prefix, sequence, files=20), sequence)
with open(f"{sys.argv[1]}/full", "wb", buffering=0) as full:
    try:
        while True:
            full.write(b"x" * 512)
    except OSError:
        pass
collect([prefix], keep=0)
print([one.identity.sequence for one in prefix.installed()], [e.action for e in History(prefix.root).events()][3:])
"""


@pytest.mark.group(49)
@needs_mounts
def test_on_a_full_disk_it_frees_space(tmp_path: Path) -> None:
    on_tmpfs = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$0" -c "$2" "$1"'
    command = ["unshare", "-rm", "sh", "-c", on_tmpfs, sys.executable, str(tmp_path), _ON_A_FULL_DISK]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})
    assert done.stdout == "[3] ['removed', 'removed']\n", done.stderr


_WITH_A_MOUNT = """
import sys
from pathlib import Path
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.history import record
from mirror.closed.prefix.tree import StillMounted, remove_tree
from tests.support.generations import put_generation
prefix = Prefix(Path(sys.argv[1]) / "p")
for sequence in (1, 2, 3):
    record(prefix, "installed", put_generation(prefix, sequence), sequence)
import subprocess
first = prefix.installed()[0]
place = first.path / "a b"
place.mkdir()
models = Path(sys.argv[1]) / "models"
models.mkdir()
(models / "weights").touch()
subprocess.run(["mount", "--bind", models, place], check=True)
print([item.why for item in collect([prefix], keep=0).kept if item.path == first.path])
for path in (first.path, place):
    try:
        remove_tree(path)
    except StillMounted as exc:
        print(exc)
print(first.is_complete, (models / "weights").exists())
"""


@pytest.mark.group(61)
@needs_mounts
def test_what_is_mounted_in_a_generation_is_not_emptied(tmp_path: Path) -> None:
    command = ["unshare", "-rm", sys.executable, "-c", _WITH_A_MOUNT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(HOUSE)})
    (first,) = (tmp_path / "p/gens").glob("1-*")
    assert done.stdout.splitlines() == [
        f"['something is mounted there: {first}/a b']",
        f"{first} is not removed, for something is mounted there: {first}/a b",
        f"{first}/a b is not removed, for something is mounted there: {first}/a b",
        "True True",
    ], done.stderr


@pytest.mark.parametrize("umask", [0, 0o077, 0o777])
def test_what_a_later_command_writes_all_may_read_whatever_the_umask(prefix: Prefix, umask: int) -> None:
    for sequence in (1, 2, 3):
        record(prefix, "installed", put_generation(prefix, sequence), sequence)
    with prefix.lock():
        prefix.activate(prefix.installed()[2])
    before = os.umask(umask)
    try:
        roll_back(prefix)
        collect([prefix], keep=1)
    finally:
        os.umask(before)
    files = [path for path in prefix.root.iterdir() if path.is_file() and path.name != ".lock"]
    assert {path.name for path in files} == {"history.jsonl", "history.json"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o644}
