"""Change: a NAME.toml that changed is locked again for its bundle, and keeps every pin that still holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.lock import lock
from mirror.connected.locking.copies import Copies
from mirror.connected.locking.drafts import LockOptions
from mirror.connected.pins.requirements import read_lock
from mirror.connected.planning.locks import LockOutdated, Locks
from mirror.connected.planning.wishes import Wishes, complete_locks
from tests.support.index import LoopbackIndex
from tests.support.progress import Heard
from tests.support.repos import Vendor, toolkit, write_repository
from tests.support.wheels import make_sdist, make_wheel, sha256_of

NOW = 1_795_225_800
TARGET = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\ncuda = "13.0"\n'


class House:
    """A stack named demo that was locked, with everything in two versions."""

    def __init__(self, directory: Path, server: LoopbackIndex) -> None:
        self.directory, self.server, self.store = directory, server, Store(directory / "store")
        self.toml, self.lockfile = directory / "demo.toml", directory / "demo.txt"
        self.said = Heard()

    def write(self, python: str, tail: str = "", target: str = TARGET) -> None:
        self.toml.write_text(f'{target}[python]\n{python}\n[indexes]\ndefault = "{self.server.url}"\n{tail}')

    def lock(self) -> None:
        lock(self.toml, LockOptions(now=NOW), self.store)

    def bundle(self, **wishes: object) -> Locks:
        """What ``mirror bundle`` does before it plans."""
        return complete_locks(Wishes(self.lockfile, **wishes), self.store, self.said)  # type: ignore[arg-type]

    def versions(self) -> dict[str, str]:
        return {pin.name: pin.version for pin in read_lock(self.lockfile).pins}

    def add(self, name: str, version: str, **words: object) -> Path:
        path = make_wheel(self.directory / "wheels", name, version, **words)  # type: ignore[arg-type]
        self.server.add(path)
        return path


WISHES = 'requirements = ["a", "b"]'


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Locked while there was 1.0 of everything; then 2.0 came."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as server:
        made = House(tmp_path, server)
        for name in "abc":
            made.add(name, "1.0", requires=["c"] if name == "a" else [])
        server.add(make_sdist(tmp_path / "wheels", "b", "1.0"))
        made.write(WISHES)
        made.lock()
        for name in "abc":
            made.add(name, "2.0", requires=["c"] if name == "a" else [])
        yield made


def test_an_unchanged_stack_is_not_locked_again(house: House) -> None:
    before = house.lockfile.read_bytes()
    house.bundle()
    assert house.lockfile.read_bytes() == before
    assert house.said.lines == []


AB, ABC = {"a": "1.0", "b": "1.0"}, {"a": "1.0", "b": "1.0", "c": "1.0"}


@pytest.mark.parametrize(
    ("python", "versions", "difference"),
    [
        ('requirements = ["a", "b==2.0"]', {**ABC, "b": "2.0"}, "requirements asks for b==2.0, the lock has 1.0"),
        ('requirements = ["a"]', {"a": "1.0", "c": "1.0"}, "requirements no longer asks for b"),
        ('requirements = ["b"]', {"b": "1.0"}, "requirements no longer asks for a"),
        (f'{WISHES}\nconstraints = ["c>1"]', {**ABC, "c": "2.0"}, "constraints limit c>1, the lock has 1.0"),
        (f'{WISHES}\nconstraints = ["c<3"]', ABC, "[python].constraints changed since it was locked"),
        (f'{WISHES}\nwithout = ["c"]', AB, "the stack goes without c, the lock has it"),
        ('requirements = ["a", "b==1.0"]\nbuild = ["b"]', ABC, "[python].build changed since it was locked"),
        (f'{WISHES}\ncutoff = "2026-06-01T00:00:00Z"', ABC, "[python].cutoff changed since it was locked"),
    ],
)
def test_a_change_is_locked_again_and_what_still_holds_stays(
    house: House, python: str, versions: dict[str, str], difference: str
) -> None:
    house.write(python)
    before = house.lockfile.read_bytes()
    with pytest.raises(LockOutdated) as caught:
        house.bundle(locked=True)
    assert difference in caught.value.issues
    assert house.lockfile.read_bytes() == before
    house.bundle()
    assert house.versions() == versions
    assert f"{house.lockfile}: {difference}" in house.said.lines
    assert read_lock(house.lockfile).locked != NOW
    house.bundle(locked=True)


def test_a_project_that_is_now_built_is_pinned_to_its_sdist(house: House) -> None:
    house.write('requirements = ["a", "b==1.0"]\nbuild = ["b"]')
    house.bundle()
    (pin,) = [pin for pin in read_lock(house.lockfile).pins if pin.name == "b"]
    assert pin.hashes == (sha256_of(house.directory / "wheels" / "b-1.0.tar.gz"),)


def test_another_target_is_locked_again_from_the_pins_of_before(house: House) -> None:
    house.write(WISHES, target=TARGET.replace("2.28", "2.34").replace("3.11", "3.12"))
    locks = house.bundle()
    assert locks.python.target is not None and locks.python.target.glibc == "2.34"
    assert house.versions() == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_old_pins_are_preferences_and_make_no_wish_unsatisfiable(house: House) -> None:
    house.add("a", "3.0", requires=["c>=2"])
    house.write('requirements = ["a>=3", "b"]')
    house.bundle()
    assert house.versions() == {"a": "3.0", "b": "1.0", "c": "2.0"}
    assert {"  a 1.0 -> 3.0", "  c 1.0 -> 2.0"} <= set(house.said.lines)


@pytest.mark.parametrize(
    "more", ["# a comment\n", '[[waiver]]\nproject = "a"\nrule = "startup-hook"\nreason = "read"\nby = "me"\n']
)
def test_a_change_that_no_pin_hangs_on_asks_no_index(house: House, more: str) -> None:
    house.toml.write_text(house.toml.read_text() + more)
    asked = len(house.server.seen)
    house.bundle(locked=True)
    assert read_lock(house.lockfile).locked == NOW
    locks = house.bundle()
    assert len(house.server.seen) == asked
    assert locks.stack is not None and locks.python.stack == locks.stack.digest
    assert house.versions() == {"a": "1.0", "b": "1.0", "c": "1.0"}
    assert locks.python.locked is not None and locks.python.locked > NOW  # another bundle, another sequence number


def test_a_lock_of_another_tool_is_never_written_over(house: House) -> None:
    text = "".join(line for line in house.lockfile.read_text().splitlines(True) if not line.startswith("#"))
    house.lockfile.write_text(text)
    house.write('requirements = ["a", "b==2.0"]')
    with pytest.raises(LockOutdated) as caught:
        house.bundle()
    assert caught.value.hint.startswith("mirror writes over no other tool's lock")
    assert house.lockfile.read_text() == text


def with_rpms(house: House, repository: str, vendor: Vendor, packages: str = '"cuda-nvcc-13-0"') -> None:
    house.write(
        WISHES,
        f'[rpms]\nrepository = "{repository}"\nfingerprints = ["{vendor.fingerprint}"]\npackages = [{packages}]\n',
    )


def test_rpms_that_are_added_changed_and_removed_are_locked_again(house: House) -> None:
    vendor, place = Vendor(), house.directory / "rpms"
    write_repository(place, toolkit("13.0"), vendor)
    with_rpms(house, place.as_uri(), vendor)
    assert house.bundle().toolchain is not None
    with_rpms(house, place.as_uri(), vendor, '"cuda-nvcc-13-0", "cuda-nvrtc-13-0"')
    locks = house.bundle()
    assert locks.toolchain is not None and "cuda-nvrtc-13-0" in locks.toolchain.wanted
    house.write(WISHES)
    assert house.bundle().toolchain is None
    house.lock()
    assert not (house.directory / "demo.rpms.toml").exists()


def test_the_copy_that_a_toolchain_was_locked_from_is_remembered(house: House) -> None:
    vendor, copy = Vendor(), house.directory / "copy"
    write_repository(copy, toolkit("13.0"), vendor)
    with_rpms(house, "https://rpms.example.org/rhel9", vendor)
    house.bundle(toolchain_repo=str(copy))
    locks = house.bundle()
    assert locks.copy == str(copy)
    assert (
        f"the CUDA toolchain comes from {copy}, which it was locked from; --toolchain-repo names another place"
        in locks.news
    )
    assert str(copy).encode() not in b"".join(path.read_bytes() for path in house.directory.glob("demo.*"))
    copy.rename(house.directory / "elsewhere")
    assert house.bundle().copy == ""


def test_a_copys_address_with_credentials_is_not_written_down(house: House) -> None:
    lockfile = house.directory / "demo.rpms.toml"
    lockfile.write_text("x")
    Copies(house.store).remember(lockfile, "https://me:secret@rpms.example.org/")
    assert Copies(house.store).of(lockfile) == ""
