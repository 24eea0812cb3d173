from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Generation, Identity, Prefix, default_prefix
from mirror.closed.prefix.lock import PrefixBusy
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.system.home import NoHome

DIGEST, OTHER = Sha256Hex("ab" * 32), Sha256Hex("cd" * 32)


def put(prefix: Prefix, sequence: int, digest: Sha256Hex = DIGEST) -> Generation:
    with prefix.lock(), prefix.building(Identity.of(sequence, digest), digest) as generation:
        (generation.path / "venv").mkdir()
    return generation


def test_a_generation_is_installed_once_its_block_ends_well(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    assert prefix.installed() == ()
    generation = put(prefix, 5)
    assert generation.path == tmp_path / "p/gens/5-abababababab"
    assert prefix.installed() == (generation,)
    assert generation.complete.read_text() == DIGEST + "\n"
    assert prefix.current() is None


class Stop(BaseException):
    """Like a signal: no ``Exception``."""


@pytest.mark.parametrize("exception", [Stop, OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_nothing(tmp_path: Path, exception: type[BaseException]) -> None:
    prefix = Prefix(tmp_path / "p")
    with pytest.raises(exception), prefix.lock(), prefix.building(Identity.of(5, DIGEST), DIGEST) as generation:
        (generation.path / "closed").mkdir(mode=0o500)
        raise exception
    assert [path.name for path in (tmp_path / "p").iterdir()] == [".lock"]


def test_generations_are_listed_by_sequence_not_by_name(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    for sequence in (9, 100, 20):
        put(prefix, sequence)
    assert [generation.identity.sequence for generation in prefix.installed()] == [9, 20, 100]


def test_activation_replaces_the_link(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    first, second = put(prefix, 1), put(prefix, 2)
    for generation in (first, second, first):
        with prefix.lock():
            prefix.activate(generation)
        assert prefix.current() == generation
    assert (tmp_path / "p/current").readlink() == Path("gens/1-abababababab")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [".lock", "current", "gens"]


def test_what_a_killed_activation_left_is_replaced(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    generation = put(prefix, 1)
    (tmp_path / "p/.current.new").symlink_to("gens/0-000000000000")
    with prefix.lock():
        prefix.activate(generation)
    assert prefix.current() == generation
    assert not (tmp_path / "p/.current.new").is_symlink()


def test_a_current_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    generation = put(prefix, 1)
    (tmp_path / "p/current").mkdir()
    with prefix.lock(), pytest.raises(Unwritable, match="no link of mirror's"):
        prefix.activate(generation)


def test_what_killed_runs_left_is_swept_and_the_rest_kept(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    kept = put(prefix, 1)
    garbage = tmp_path / "p/gens/2-cdcdcdcdcdcd"
    (garbage / "venv/closed").mkdir(parents=True)
    (garbage / "venv/closed").chmod(0o500)
    assert prefix.unfinished() == ("2-cdcdcdcdcdcd",)
    with prefix.lock():
        assert prefix.sweep() == ("2-cdcdcdcdcdcd",)
    assert prefix.installed() == (kept,)


def test_a_mark_of_another_bundle_does_not_complete_a_generation(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    generation = put(prefix, 1)
    for content in ("", OTHER, "\xff"):
        generation.complete.write_bytes(content.encode("latin-1"))
        assert prefix.installed() == ()


def test_a_current_that_points_at_garbage_is_none(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    put(prefix, 1)
    (tmp_path / "p/current").symlink_to("gens/7-000000000000")
    assert prefix.current() is None


def test_a_current_that_cannot_be_looked_at_is_not_none(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "round/p")
    assert prefix.current() is None
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(Unreadable, match=r"cannot read .*/round/p/current"):
        prefix.current()
    (tmp_path / "file").touch()
    assert Prefix(tmp_path / "file/p").current() is None
    (tmp_path / "q/current").mkdir(parents=True)
    assert Prefix(tmp_path / "q").current() is None


def test_a_removed_generation_loses_its_mark_first(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    kept, gone = put(prefix, 1), put(prefix, 2)
    (gone.path / "venv/deep").mkdir()
    for directory in (gone.path / "venv/deep", gone.path / "venv", gone.path):
        directory.chmod(0o500)  # as a site makes it that wants no changes
    with prefix.lock():
        prefix.activate(kept)
        prefix.remove(gone)
    assert prefix.installed() == (kept,)
    assert prefix.unfinished() == ()
    with prefix.lock(), pytest.raises(Unwritable, match="it is the current generation"):
        prefix.remove(kept)


@pytest.mark.group(60)
def test_a_second_run_is_told_who_holds_the_prefix(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    with prefix.lock(), pytest.raises(PrefixBusy) as exc_info, Prefix(tmp_path / "p").lock():
        pass
    assert str(exc_info.value) == f"{tmp_path}/p is in use by process {os.getpid()} on {os.uname().nodename}"


@pytest.mark.group(60)
def test_a_dead_holder_leaves_no_lock(tmp_path: Path) -> None:
    source = "import os, sys; from pathlib import Path; from mirror.closed.prefix.generations import Prefix\n"
    source += "with Prefix(Path(sys.argv[1])).lock(): os._exit(9)\n"
    assert subprocess.run([sys.executable, "-c", source, str(tmp_path)]).returncode == 9
    with Prefix(tmp_path).lock():
        pass


@pytest.mark.group(60)
def test_a_program_that_outlives_its_run_is_named_in_place_of_the_dead_one(tmp_path: Path) -> None:
    source = (
        "import os, subprocess, sys; from pathlib import Path; from mirror.closed.prefix.generations import Prefix\n"
    )
    source += "with Prefix(Path(sys.argv[1])).lock() as held:\n"
    source += "    null = subprocess.DEVNULL\n"
    source += "    child = subprocess.Popen(['sleep', '1000'], pass_fds=(held,), stdout=null, stderr=null)\n"
    source += "    print(os.getpid(), child.pid, flush=True)\n    os.kill(os.getpid(), 9)\n"
    done = subprocess.run([sys.executable, "-c", source, str(tmp_path)], capture_output=True, text=True)
    run, child = map(int, done.stdout.split())
    try:
        with pytest.raises(PrefixBusy) as exc_info, Prefix(tmp_path).lock():
            pass
    finally:
        os.kill(child, 9)
    assert str(exc_info.value) == (
        f"{tmp_path} is in use by process {child} (sleep), which process {run} on {os.uname().nodename} had started before "
        "it ended"
    )


def test_a_program_that_inherits_the_lock_keeps_it(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path / "p")
    with prefix.lock() as descriptor:
        child = subprocess.Popen(["/bin/sleep", "1000"], pass_fds=(descriptor,))
    try:
        with pytest.raises(PrefixBusy), prefix.lock():
            pass
    finally:
        child.kill()
        child.wait()
    with prefix.lock():
        pass


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "p/gens").mkdir(parents=True)
    (tmp_path / "p/.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unwritable), Prefix(tmp_path / "p").lock():
        pass
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.group(60)
def test_the_lock_is_the_kernels(tmp_path: Path) -> None:
    with Prefix(tmp_path / "p").lock(), (tmp_path / "p/.lock").open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_prefix_below_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unwritable, match="Not a directory"), Prefix(tmp_path / "file/p").lock():
        pass


def test_parents_are_resolved_and_the_prefix_itself_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to("real")
    assert Prefix(tmp_path / "alias/p").root == tmp_path / "real/p"
    assert Prefix(tmp_path / "alias").root == tmp_path / "alias"


def test_the_default_follows_the_base_directory_specification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_prefix("h100") == tmp_path / ".local/share/mirror/h100"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_prefix("h100") == tmp_path / ".local/share/mirror/h100"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_prefix("h100") == Path("/data/mirror/h100")


def test_without_a_home_a_prefix_that_needs_one_is_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with pytest.raises(NoHome):
        default_prefix("h100")
    for root in ("~/x", "~nosuchuser/x"):
        with pytest.raises(NoHome):
            Prefix(Path(root))


def test_a_prefix_behind_links_that_go_round_is_named(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    prefix = Prefix(tmp_path / "round/deeper/p")
    with pytest.raises(Unwritable, match="round/deeper/p"), prefix.lock():
        pass
    with pytest.raises(Unreadable, match="round/deeper/p/gens"):
        prefix.installed()


def test_generations_that_cannot_be_listed_are_not_none(tmp_path: Path) -> None:
    (tmp_path / "gens").symlink_to("gens")
    with pytest.raises(Unreadable, match=f"cannot read {tmp_path}/gens"):
        Prefix(tmp_path).installed()
