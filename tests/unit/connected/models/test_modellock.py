"""``NAME.models.toml``: made, read back, compared with the wishes, fetched."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import Store
from mirror.connected.models.hub import hub_session
from mirror.connected.models.modellock import ModelLock, lock_models
from mirror.connected.models.selection import ModelRefused
from mirror.connected.stack.models import ModelWish
from mirror.core.bundle.dossier import Waiver
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.target import Target
from tests.support.hub import LoopbackHub, make_model

TARGET = Target("3.11", "x86_64", "2.28", cuda="13.0")
NOW = 1_795_225_800  # 2026-11-21T01:50:00Z
ONCE = Patience(attempts=1)
MODEL = make_model()
TAKEN = {path: data for path, data in MODEL.items() if not path.startswith(".") and not path.endswith(".png")}


def locked(*wishes: ModelWish, now: int = NOW) -> ModelLock:
    return lock_models(wishes, (), now=now, patience=ONCE)


@pytest.fixture
def wish(hub: LoopbackHub) -> ModelWish:
    return ModelWish("org/tiny", hub.add("org/tiny", MODEL))


@pytest.fixture
def lock(wish: ModelWish) -> ModelLock:
    return locked(wish)


def test_every_file_is_pinned_by_path_size_and_digest(lock: ModelLock) -> None:
    (pin,) = lock.pins
    assert {file.path: (file.size, file.sha256) for file in pin.files} == {
        path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in TAKEN.items()
    }
    assert pin.size == sum(map(len, TAKEN.values())) and lock.count == len(TAKEN)
    assert [pin.path_of(file) for file in pin.files] == sorted(f"models/org--tiny/{path}" for path in TAKEN)


def test_a_lock_is_read_back_as_it_was_written(tmp_path: Path, lock: ModelLock, hub: LoopbackHub) -> None:
    other = replace(lock.pins[0], repository="a/b", endpoint=hub.origin, include=("*.json", "a/"), exclude=("*.bin",))
    for one in (lock, ModelLock(NOW, (other, *lock.pins))):
        (tmp_path / "a.models.toml").write_bytes(one.encode())
        assert ModelLock.load(tmp_path / "a.models.toml") == one
    with pytest.raises(Unreadable, match=r"cannot read .*absent\.models\.toml"):
        ModelLock.load(tmp_path / "absent.models.toml")


def test_locking_twice_gives_equal_bytes_whatever_hub_stood_in(
    wish: ModelWish, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = locked(wish).encode()
    assert b"127.0.0.1" not in first and b"\nlocked = 2026-11-21T01:50:00Z\n" in first
    with LoopbackHub() as copy:
        copy.add("org/tiny", dict(reversed(MODEL.items())))
        monkeypatch.setenv("HF_ENDPOINT", copy.origin)
        assert locked(wish).encode() == first
        assert copy.seen


def test_a_hub_of_the_stacks_own_is_written_down(hub: LoopbackHub, wish: ModelWish) -> None:
    (pin,) = locked(replace(wish, endpoint=hub.origin)).pins
    assert pin.endpoint == hub.origin
    assert pin.origin(pin.files[0]) == f"{hub.origin}/org/tiny/resolve/{wish.revision}/LICENSE"


def test_the_origin_is_the_locks_and_the_bytes_come_from_what_stands_in(hub: LoopbackHub, lock: ModelLock) -> None:
    (pin,) = lock.pins
    file = next(file for file in pin.files if file.path == "tokenizer/vocabulary.txt")
    place = f"org/tiny/resolve/{pin.revision}/tokenizer/vocabulary.txt"
    assert pin.origin(file) == f"https://huggingface.co/{place}"
    assert pin.download(file).url == f"{hub.origin}/{place}"
    assert (pin.download(file).filename, pin.download(file).size) == ("vocabulary.txt", 4)


def test_what_was_locked_is_fetched_through_redirects_the_empty_file_too(
    hub: LoopbackHub, lock: ModelLock, tmp_path: Path
) -> None:
    with hub_session() as session:
        paths = fetch(lock.downloads(), Store(tmp_path), session=session)
    assert {path.name: path.read_bytes() for path in paths.values()} == {
        path.rpartition("/")[2]: data for path, data in TAKEN.items()
    }
    assert [seen.path.partition("/lfs/")[2] for seen in hub.cdn.seen] == [
        hashlib.sha256(MODEL["model.safetensors"]).hexdigest()
    ]


def test_weights_that_break_off_are_gone_on_with(hub: LoopbackHub, lock: ModelLock, tmp_path: Path) -> None:
    data = MODEL["model.safetensors"]
    path = f"/lfs/{hashlib.sha256(data).hexdigest()}"
    hub.cdn.fail(path, cut_after=100, times=1)
    (download,) = (one for one in lock.downloads() if one.filename == "model.safetensors")
    fetch([download], Store(tmp_path), patience=Patience(attempts=2, first_wait_s=0.01))
    assert [seen.headers.get("Range") for seen in hub.cdn.seen] == [None, "bytes=100-"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_file_that_changed_after_locking_is_refused(hub: LoopbackHub, tmp_path: Path, name: str) -> None:
    files = dict(MODEL)
    lock = locked(ModelWish("org/tiny", hub.add("org/tiny", files)))
    altered = MODEL[name][:-1] + bytes([MODEL[name][-1] ^ 1])
    if name.endswith(".safetensors"):
        hub.cdn.files = dict.fromkeys(hub.cdn.files, altered)
    else:
        files[name] = altered
    (download,) = (one for one in lock.downloads() if one.filename == name)
    with pytest.raises(DownloadMismatch, match=f"sha256 is {hashlib.sha256(altered).hexdigest()}, the lock says"):
        fetch([download], Store(tmp_path), patience=ONCE)


def test_a_pickle_stands_in_the_way_of_locking_until_it_is_waived(hub: LoopbackHub) -> None:
    wish = ModelWish("org/old", hub.add("org/old", {"config.json": b"{}", "pytorch_model.bin": b"PK"}))
    with pytest.raises(ModelRefused, match=r"org/old: pytorch_model\.bin: it is in the format of Python's pickle"):
        locked(wish)
    waivers = (("org/old", Waiver("pickle", "made by us", "alice")),)
    (pin,) = lock_models([wish], waivers, now=NOW, patience=ONCE).pins
    assert [file.path for file in pin.files] == ["config.json", "pytorch_model.bin"]


def test_a_lock_covers_the_wishes_that_it_was_made_from(wish: ModelWish, lock: ModelLock) -> None:
    assert lock.differences([wish], TARGET) == ()
    assert lock.differences([replace(wish, variable="MODEL")], TARGET) == ()  # it changes no file


def test_each_difference_is_one_sentence(wish: ModelWish, lock: ModelLock) -> None:
    changed = replace(
        wish, revision="f" * 40, endpoint="https://hub.example.org", include=("*.json",), exclude=("a", "b")
    )
    assert lock.differences([changed, ModelWish("a/b", "0" * 40)], TARGET) == (
        "the stack wants a/b, which is not locked",
        f"the stack wants org/tiny with revision {'f' * 40}, the lock has {wish.revision}",
        "the stack wants org/tiny with endpoint https://hub.example.org, the lock has https://huggingface.co",
        "the stack wants org/tiny with include [*.json], the lock has []",
        "the stack wants org/tiny with exclude [a, b], the lock has []",
    )
    assert lock.differences([], TARGET) == ("org/tiny is locked, and the stack no longer wants it",)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("mirror-models/1", "mirror-models/2", "format': this mirror reads 'mirror-models/1', got 'mirror-models/2'"),
        ("Z\n", "\n", "locked': it names no time zone"),
        ('"org/tiny"', '"tiny"', r"model\[0\]\.repository': expected a repository"),
        ('path = "LICENSE"', 'path = "../LICENSE"', r"model\[0\]\.file\[0\]\.path': expected a path such as"),
        (
            'path = "LICENSE"',
            'path = "README.md"',
            r"model\[0\]\.file': expected at least one, each path once, in order",
        ),
        ('path = "LICENSE"', 'path = "z"', r"model\[0\]\.file': expected at least one, each path once, in order"),
        ("size = ", "size = -", r"model\[0\]\.file\[0\]\.size': expected at least 0"),
        ('sha256 = "', 'sha256 = "x', r"model\[0\]\.file\[0\]\.sha256': expected 64 hex digits"),
        ("[[model.file]]", "[model.more]\n[[model.file]]", r"model\[0\]\.more': unknown key"),
        ("[[model]]", "[[models]]", "model': expected list, got dict"),
    ],
)
def test_a_lock_that_was_edited_is_refused(lock: ModelLock, old: str, new: str, problem: str) -> None:
    text = lock.encode().decode()
    assert old in text
    with pytest.raises(InvalidDocument, match=problem):
        ModelLock.parse(text.replace(old, new, 1).encode())


def test_a_lock_without_a_model_is_refused() -> None:
    with pytest.raises(InvalidDocument, match=r"NAME\.models\.toml invalid at 'model': expected at least one"):
        ModelLock.parse(ModelLock(NOW, ()).encode())
