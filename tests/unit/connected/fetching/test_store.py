"""The store finds files by digest alone, and a wheelhouse only counts with the right bytes."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror.connected.fetching.store import NoSpace, Store, file_sha256, refuse_write
from mirror.core.errors import Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.system.home import NoHome
from tests.support.nofiles import NO_FILES

DATA = b"some wheel"
DIGEST = Sha256Hex(hashlib.sha256(DATA).hexdigest())


def adopted(store: Store) -> Path:
    part = store.part(DIGEST)
    part.parent.mkdir(parents=True)
    part.write_bytes(DATA)
    return store.adopt(part, DIGEST, "a-1.whl")


def test_an_adopted_file_is_found_by_digest_and_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.find(DIGEST, "a-1.whl") is None
    path = adopted(store)
    assert path == tmp_path / "store" / "sha256" / DIGEST[:2] / DIGEST / "a-1.whl"
    assert store.find(DIGEST, "a-1.whl") == path
    assert file_sha256(path) == DIGEST
    assert not store.part(DIGEST).exists()


def test_another_digest_or_name_is_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    adopted(store)
    assert store.find(Sha256Hex("0" * 64), "a-1.whl") is None
    assert store.find(DIGEST, "b-1.whl") is None


def test_a_wheelhouse_is_looked_at_first_and_not_copied(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheelhouse"
    wheelhouse.mkdir()
    (wheelhouse / "a-1.whl").write_bytes(DATA)
    assert Store(tmp_path / "store", wheelhouse).find(DIGEST, "a-1.whl") == wheelhouse / "a-1.whl"
    assert not (tmp_path / "store").exists()


def test_a_wheelhouse_file_with_other_bytes_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "a-1.whl").write_bytes(b"other")
    assert Store(tmp_path / "store", tmp_path).find(DIGEST, "a-1.whl") is None


def test_a_wheelhouse_file_is_hashed_again_when_it_changed(tmp_path: Path) -> None:
    (tmp_path / "a-1.whl").write_bytes(DATA)
    store = Store(tmp_path / "store", tmp_path)
    assert store.find(DIGEST, "a-1.whl")
    (tmp_path / "a-1.whl").write_bytes(DATA + b"!")
    assert store.find(DIGEST, "a-1.whl") is None


def test_a_wheelhouse_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "store", tmp_path / "nowhere").find(DIGEST, "a-1.whl") is None


def test_the_default_store_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Store.default().root == tmp_path / "mirror"


@pytest.mark.parametrize("home", ["here", ""])
def test_there_is_no_store_in_a_home_that_is_none(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    with pytest.raises(NoHome):
        Store.default()


def test_a_store_that_is_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(DATA)
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(Unwritable):
        Store(tmp_path / "store").adopt(tmp_path / "part", DIGEST, "a-1.whl")


def test_a_full_disk_is_told_with_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    full = Path("/dev/full")
    with pytest.raises(NoSpace) as caught:
        try:
            with open(full, "wb", buffering=0) as stream:
                stream.write(DATA)
        except OSError as exc:
            refuse_write(exc, tmp_path / "a", 10)
    assert caught.value.needed == 10
    assert caught.value.free >= 0
    assert str(caught.value) == f"{tmp_path / 'a'}: 10 bytes are needed, {caught.value.free} bytes are free"


def test_another_failed_write_is_told_in_the_systems_words(tmp_path: Path) -> None:
    with pytest.raises(Unwritable, match="Is a directory"):
        try:
            tmp_path.write_bytes(b"")
        except OSError as exc:
            refuse_write(exc, tmp_path, 10)


def test_a_note_that_cannot_be_kept_fails_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.note(store.root / "facts" / "a.json", b"{}")
    assert (store.root / "facts" / "a.json").read_bytes() == b"{}"
    (store.root / "pages").write_bytes(b"a file where a directory is to be")
    store.note(store.root / "pages" / "read.json", b"{}")
    (store.root / "found" / "a.json").mkdir(parents=True)
    store.note(store.root / "found" / "a.json", b"{}")
    assert sorted(path.name for path in store.root.rglob("*")) == ["a.json", "a.json", "facts", "found", "pages"]


def test_a_scratch_directory_is_gone_after_its_block_and_whatever_was_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.scratch() as scratch:
        (scratch / "cuda").mkdir()
        (scratch / "cuda/nvcc").write_bytes(DATA)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_run_left_goes_and_what_a_running_one_unpacks_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    program = (
        "import os, sys; from pathlib import Path; from mirror.connected.fetching.store import Store\n"
        "with Store(Path(sys.argv[1])).scratch() as one: (one / 'left').write_bytes(b'x'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)]).returncode == -signal.SIGKILL
    assert [path.name for path in (tmp_path / "scratch").glob("*/*")] == ["left"]
    with store.scratch() as first, store.scratch() as second:
        assert sorted(path for path in (tmp_path / "scratch").iterdir() if path.is_dir()) == sorted([first, second])
        (first / "mine").write_bytes(DATA)
        with store.scratch():
            assert (first / "mine").read_bytes() == DATA
    assert list((tmp_path / "scratch").iterdir()) == []


def test_many_at_once_take_nothing_of_each_other(tmp_path: Path) -> None:
    def unpack(number: int) -> bytes:
        with Store(tmp_path).scratch() as scratch:
            (scratch / "mine").write_bytes(b"%d" % number)
            with Store(tmp_path).scratch():
                return (scratch / "mine").read_bytes()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(unpack, range(400))) == [b"%d" % number for number in range(400)]
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_link_among_them_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/precious").write_bytes(DATA)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch/link").symlink_to(tmp_path / "home")
    (tmp_path / "scratch/link.lock").touch()
    (tmp_path / "scratch/other.lock").symlink_to(tmp_path / "home/precious")
    with Store(tmp_path).scratch():
        assert (tmp_path / "home/precious").read_bytes() == DATA


@NO_FILES
def test_what_is_remembered_in_no_file_is_not_there_and_is_written_anew(
    tmp_path: Path, puts: Callable[[Path], None]
) -> None:
    store = Store(tmp_path / "store")
    note = store.root / "found" / "a.json"
    puts(note)
    assert store.recall(note, 100) is None
    store.note(note, b"[1]")
    assert store.recall(note, 100) == [1]
    assert store.recall(note, 2) is None


@NO_FILES
def test_what_is_no_file_in_a_wheelhouse_or_the_store_does_not_count(
    tmp_path: Path, puts: Callable[[Path], None]
) -> None:
    store = Store(tmp_path / "store", tmp_path / "wheelhouse")
    puts(tmp_path / "wheelhouse" / "a-1.whl")
    puts(store.path(DIGEST, "a-1.whl"))
    assert store.find(DIGEST, "a-1.whl") is None
    assert adopted(store).read_bytes() == DATA
