"""A prefix that somebody else could change, under every command that reads or writes one. Each exposure is a real one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.prefix.generations import Identity, Prefix
from mirror.closed.prefix.history import Event, History
from mirror.closed.prefix.opened import open_prefix
from mirror.closed.preflight import PreflightFailed
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from tests.support.generations import put_generation
from tests.support.otheruser import OTHER, call_as_other, listing, needs_root, shared_directory

pytestmark = [pytest.mark.group(67), needs_root]

GROUP = 54399
READERS = (["status"], ["status", "--check"], ["which", "nvcc"], ["env"], ["doctor", "--quick"], ["run", "--", "true"])
CHANGERS = (["rollback"], ["gc"], ["gc", "--dry-run"])


def give_to_a_group(prefix: Path) -> None:
    os.chown(prefix, -1, GROUP)
    prefix.chmod(0o2775)


def give_the_generations_to_a_group(prefix: Path) -> None:
    give_to_a_group(prefix / "gens")


def give_the_parent_away(prefix: Path) -> None:
    os.chown(prefix.parent, OTHER, OTHER)


def open_the_parent_to_a_group(prefix: Path) -> None:
    give_to_a_group(prefix.parent)


def plant_a_generation(prefix: Path) -> None:
    """What a colleague made while the directory was theirs to write, before somebody took the right away again."""
    planted = prefix / f"gens/{9}-{'ab' * 6}"
    planted.mkdir()
    (planted / "COMPLETE").write_text("ab" * 32 + "\n")
    os.chown(planted, OTHER, OTHER)


def plant_a_mark(prefix: Path) -> None:
    planted = prefix / f"gens/{9}-{'ab' * 6}"
    planted.mkdir()
    (planted / "COMPLETE").write_text("ab" * 32 + "\n")
    os.chown(planted / "COMPLETE", OTHER, OTHER)


def open_a_generation_to_all(prefix: Path) -> None:
    min((prefix / "gens").iterdir()).chmod(0o777)


def plant_a_current(prefix: Path) -> None:
    os.lchown(prefix / "current", OTHER, OTHER)


def plant_a_history(prefix: Path) -> None:
    (prefix / "history.jsonl").touch()
    os.chown(prefix / "history.jsonl", OTHER, OTHER)


EXPOSURES = (
    give_to_a_group,
    give_the_generations_to_a_group,
    give_the_parent_away,
    open_the_parent_to_a_group,
    plant_a_generation,
    plant_a_mark,
    open_a_generation_to_all,
    plant_a_current,
)


OF_ANOTHER_GENERATION = (plant_a_generation, plant_a_mark, open_a_generation_to_all)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    (tmp_path / "above").mkdir()
    prefix = Prefix(tmp_path / "above/h100")
    for sequence in (1, 2, 3):
        put_generation(prefix, sequence)
    return prefix


def answer(words: list[str], prefix: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    place = words.index("--") if "--" in words else len(words)
    command = [*words[:place], "--prefix", str(prefix), *words[place:]]
    if words[0] != "run":
        return main(command), capsys.readouterr().err
    # It would take this process's place.
    finished = subprocess.run([sys.executable, "-m", "mirror.cli.main", *command], capture_output=True, text=True)
    return finished.returncode, finished.stderr


@pytest.mark.parametrize("words", [*READERS, *CHANGERS], ids=" ".join)
@pytest.mark.parametrize("expose", EXPOSURES, ids=lambda one: one.__name__)
def test_every_command_refuses_it_and_changes_nothing(
    prefix: Prefix, expose: Callable[[Path], None], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    expose(prefix.root)
    before = listing(prefix.root)
    code, said = answer(words, prefix.root, capsys)
    if expose in OF_ANOTHER_GENERATION and words[0] in ("which", "env", "doctor", "run"):
        assert code != 90  # they look at the current one alone, which is whole
        return
    assert (code, "ref: preflight-failed" in said) == (90, True), said
    assert {path: facts[:2] for path, facts in listing(prefix.root).items()} == {p: f[:2] for p, f in before.items()}
    assert "mirror help sharing" in said


def test_the_words_name_the_place_who_can_write_there_and_the_safe_way(
    prefix: Prefix, capsys: pytest.CaptureFixture[str]
) -> None:
    give_to_a_group(prefix.root)
    _, said = answer(["gc"], prefix.root, capsys)
    assert said.startswith(
        f"error: cannot remove generations of {prefix.root}: the prefix {prefix.root} may be written by the group {GROUP}, "
        "who could change what is installed\nhint: Nothing was changed. "
    )


@pytest.mark.parametrize("words", [*READERS[:2], *CHANGERS], ids=" ".join)
def test_generations_that_are_a_link_are_not_followed_and_nothing_is_removed_through_it(
    prefix: Prefix, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    (home / f"1-{'cd' * 6}/letters").mkdir(parents=True)
    (home / "notes").write_text("dear")
    (prefix.root / "gens").rename(tmp_path / "elsewhere")
    (prefix.root / "gens").symlink_to(home)
    before = listing(home)
    code, said = answer(words, prefix.root, capsys)
    assert code == 11 and f"cannot read {prefix.root}/gens: it is a link or a file" in said
    assert listing(home) == before
    with pytest.raises(Unwritable, match="it is a link or a file"), prefix.lock():
        pass


def test_a_generation_that_is_a_link_is_removed_itself_at_most(prefix: Prefix, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/COMPLETE").write_text("cd" * 32 + "\n")
    link = prefix.root / f"gens/9-{'cd' * 6}"
    link.symlink_to(tmp_path / "home")
    assert len(prefix.installed()) == 3
    with prefix.lock():
        assert prefix.sweep() == (link.name,)
    assert not link.is_symlink() and (tmp_path / "home/COMPLETE").exists()


def test_a_mark_that_is_a_link_or_a_pipe_completes_nothing_and_its_generation_is_not_garbage(prefix: Prefix) -> None:
    generation = prefix.installed()[0]
    generation.complete.rename(generation.path / "other")
    generation.complete.symlink_to("other")
    assert len(prefix.installed()) == 2
    generation.complete.unlink()
    os.mkfifo(generation.complete)
    assert len(prefix.installed()) == 2
    with prefix.lock():
        assert prefix.sweep() == ()
    assert generation.path.is_dir()


def test_what_somebody_made_between_the_look_and_the_lock_is_not_ours(tmp_path: Path) -> None:
    """The parent is sticky, as /tmp is: others may make what is not there yet."""
    tmp_path.chmod(0o1777)
    prefix = Prefix(tmp_path / "p")
    assert prefix.installed() == ()
    prefix.root.mkdir()
    os.chown(prefix.root, OTHER, OTHER)
    with pytest.raises(PreflightFailed, match=f"belongs to user {OTHER}, you are root"), prefix.lock():
        pass
    with pytest.raises(PreflightFailed):
        History(prefix.root).append(Event("installed", 1, "1-a", 1, Sha256Hex("ab" * 32)))
    assert list(prefix.root.iterdir()) == []


def test_a_lock_file_of_somebody_elses_is_not_used(prefix: Prefix) -> None:
    os.chown(prefix.root / ".lock", OTHER, OTHER)
    with pytest.raises(Unwritable, match=r"\.lock: it is no file of yours"), prefix.lock():
        pass


def test_while_the_lock_is_held_another_directory_in_its_place_is_not_worked_in(prefix: Prefix, tmp_path: Path) -> None:
    oldest = prefix.installed()[0]
    with prefix.lock():
        prefix.root.rename(tmp_path / "moved")
        other = put_generation(Prefix(prefix.root), 1)
        prefix.remove(oldest)
        with prefix.building(Identity(7, "ab" * 6), Sha256Hex("ab" * 32)) as generation:
            (tmp_path / f"moved/gens/{generation.name}").is_dir()
            (prefix.root / "gens" / generation.name).mkdir()  # what programs write to by its path
    assert other.complete.exists()
    assert [path.name for path in (tmp_path / "moved/gens").iterdir() if path.name == oldest.name] == []


def test_who_only_uses_it_trusts_its_owner_and_nobody_else_and_is_told_whom_to_ask() -> None:
    with shared_directory() as shared:
        (shared / "above").mkdir(mode=0o755)
        prefix = Prefix(shared / "above/h100")
        put_generation(prefix, 1)

        def use() -> None:
            current = Prefix(prefix.root).current()
            assert current is not None and current.identity.sequence == 1

        def refused() -> None:
            with pytest.raises(PreflightFailed) as caught:
                Prefix(prefix.root).current()
            assert str(caught.value).startswith(f"cannot use {prefix.root}: ")
            assert "Ask root (user 0) to take the right to write" in caught.value.hint

        call_as_other(use)
        give_to_a_group(prefix.root)
        call_as_other(refused)
        prefix.root.chmod(0o755)
        call_as_other(use)
        os.chown(prefix.root.parent, GROUP, GROUP)  # a third one's, who could put another prefix in its place
        call_as_other(refused)


def test_a_private_prefix_of_an_ordinary_user_in_tmp_is_fine_under_a_umask_of_002() -> None:
    with shared_directory() as shared:
        shared.chmod(0o1777)

        def install() -> None:
            os.umask(0o002)
            prefix = Prefix(shared / "mine/h100")
            put_generation(prefix, 1)
            assert prefix.current() == prefix.installed()[0]
            assert prefix.root.stat().st_mode & 0o7777 == 0o755

        call_as_other(install)


def test_descriptors_are_given_back(prefix: Prefix) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        prefix.installed(), prefix.current(), History(prefix.root).events()
        with prefix.lock():
            prefix.sweep()
    give_to_a_group(prefix.root)
    with pytest.raises(PreflightFailed), open_prefix(prefix.root, prefix.root, is_changed=True):
        pass
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_current_that_leads_elsewhere_is_no_generation_and_stops_what_removes(prefix: Prefix, tmp_path: Path) -> None:
    newest = prefix.installed()[-1]
    (prefix.root / "current").unlink()
    (prefix.root / "current").symlink_to(tmp_path / "gens" / newest.name)
    assert prefix.current() is None
    with prefix.lock(), pytest.raises(Unreadable, match="it is no link of mirror's"):
        prefix.sweep()
    assert main(["gc", "--prefix", str(prefix.root), "--keep", "0"]) == 11
    assert len(prefix.installed()) == 3


def enter_a_user_namespace() -> bool:
    """As ``unshare --user --map-root-user``; False where the kernel lets no ordinary user do so."""
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: after a change of user /proc/self is not ours to write
    if library.unshare(0x10000000) != 0:  # CLONE_NEWUSER
        return False
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {OTHER} 1"), ("gid_map", f"0 {OTHER} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    return True


def test_in_a_user_namespace_where_root_is_not_mapped_a_prefix_of_ones_own_is_fine() -> None:
    """As in a network namespace that an ordinary user makes: there / and /tmp seem to be nobody's."""
    with shared_directory() as shared:
        shared.chmod(0o1777)

        def install() -> None:
            if enter_a_user_namespace():
                assert (os.geteuid(), Path("/").stat().st_uid) == (0, 65534)
                put_generation(Prefix(shared / "h100"), 1)
                assert Prefix(shared / "h100").current() is not None

        call_as_other(install)


def test_a_history_of_somebody_elses_is_not_believed(prefix: Prefix) -> None:
    plant_a_history(prefix.root)
    with pytest.raises(PreflightFailed, match=rf"history\.jsonl, in the prefix, belongs to user {OTHER}"):
        History(prefix.root).greatest()
