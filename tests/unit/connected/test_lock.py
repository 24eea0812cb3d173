"""``mirror lock``: from a NAME.toml, an index and an RPM repository on the loopback to the three lock files."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.index.choice import Withdrawn
from mirror.connected.index.pages import ProjectNotOnIndex
from mirror.connected.index.wheels import NoWheelForTarget
from mirror.connected.lock import Locked, LockOptions, lock
from mirror.connected.locking.kinds import LOCKS
from mirror.connected.pins.requirements import read_lock
from mirror.connected.planning.locks import LockOutdated, read_locks
from mirror.connected.resolving.resolver import ResolutionFailed
from mirror.connected.sdists.sdist import InvalidSdist
from mirror.connected.stack.without import UnknownPart
from mirror.connected.toolchain.repository import MetadataMismatch, RepositoryNotSigned, RepositoryUnreachable
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.errors import InvalidDocument, Unwritable
from mirror.core.names import project_name
from mirror.core.toolkit.fileindex import FileIndex
from tests.support.index import LoopbackIndex
from tests.support.repos import Rpm, Vendor, primary_of, toolkit, write_repository
from tests.support.wheels import make_sdist, make_wheel, sha256_of

NOW = 1_795_225_800  # 2026-11-21T01:50:00Z
LATER = NOW + 3600
TARGET = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\ncuda = "13.0"\n'

Run = Callable[..., Locked]


class House:
    """A directory with one stack, an index, and a store.

    Attributes:
        toml: the stack's file.
    """

    def __init__(self, directory: Path, server: LoopbackIndex) -> None:
        self.directory, self.server = directory, server
        self.wheels, self.lockfiles = directory / "wheels", directory / "lockfiles"
        self.lockfiles.mkdir()
        self.toml = self.lockfiles / "demo.toml"
        self.store = Store(directory / "store")

    def write(self, python: str, tail: str = "") -> None:
        self.toml.write_text(f'{TARGET}[python]\n{python}\n[indexes]\ndefault = "{self.server.url}"\n{tail}')

    def lock(self, now: int = NOW, without: tuple[str, ...] = (), **options: object) -> Locked:
        return lock(self.toml, LockOptions(now=now, without=frozenset(without), **options), self.store)  # type: ignore[arg-type]  # the tests' own words

    def read(self, ending: str) -> bytes:
        return (self.lockfiles / f"demo.{ending}").read_bytes()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.lockfiles.iterdir())


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as server:
        made = House(tmp_path, server)
        wheels = made.wheels
        server.add(make_wheel(wheels, "a", "1.0", requires=["b"]))
        server.add(make_wheel(wheels, "b", "1.0", tag="cp39-abi3-manylinux_2_17_x86_64"))
        server.add(make_wheel(wheels, "b", "1.0", tag="cp39-abi3-manylinux_2_17_aarch64"))
        server.add(make_wheel(wheels, "s", "1.0", requires=["a", "lie"]))
        server.add(make_sdist(wheels, "s", "1.0", requires=["a"], build_requires=["tool>=1"]))
        server.add(make_wheel(wheels, "tool", "1.0", requires=["b"]))
        server.add(make_wheel(wheels, "more", "2.0"))
        made.write('requirements = ["s==1.0"]\nbuild = ["s"]', '[build.s]\nrequires = ["more"]\n')
        yield made


def test_locks_one_file_for_each_project(house: House) -> None:
    locked = house.lock()

    python, build = read_lock(house.lockfiles / "demo.txt"), read_lock(house.lockfiles / "demo.build.txt")
    sdist, wheel = house.wheels / "s-1.0.tar.gz", house.wheels / "b-1.0-cp39-abi3-manylinux_2_17_x86_64.whl"
    assert {pin.name: pin.version for pin in python.pins} == {"a": "1.0", "b": "1.0", "s": "1.0"}
    assert [python.find(project_name(name)).hashes for name in "sb"] == [(sha256_of(sdist),), (sha256_of(wheel),)]  # type: ignore[union-attr]  # both are there
    assert {pin.name: pin.via for pin in build.pins} == {
        "b": ("tool",),
        "more": ("the builds of demo.toml",),
        "tool": ("the builds of demo.toml",),
    }
    assert python.locked == build.locked == NOW
    assert python.target is not None and python.target.glibc == "2.28"
    assert [(file.path.name, file.pins, file.changed) for file in locked.files] == [
        ("demo.txt", 3, True),
        ("demo.build.txt", 3, True),
    ]


def test_what_a_build_asks_for_by_name_is_locked_as_it_is_installed(house: House) -> None:
    """What is compiled against one version of a library runs with the same one."""
    house.server.add(make_wheel(house.wheels, "lib", "1.0"))
    house.server.add(make_wheel(house.wheels, "lib", "2.0"))
    house.write('requirements = ["s==1.0", "lib<2"]\nbuild = ["s"]', '[build.s]\nrequires = ["lib", "more"]\n')
    assert house.lock().notes == ()
    assert b"lib==1.0 " in house.read("txt") and b"lib==1.0 " in house.read("build.txt")
    assert not any(file.changed for file in house.lock(now=LATER).files)
    house.write('requirements = ["s==1.0", "lib<2"]\nbuild = ["s"]', '[build.s]\nrequires = ["lib>1", "more"]\n')
    assert house.lock().notes == (
        "lib is 2.0 to build with and 1.0 to run with: what is compiled against one may not run with the other; pin one "
        "version, in requirements and in [build.NAME].requires of demo.toml",
    )


def test_the_lock_names_no_host(house: House) -> None:
    house.lock()
    for ending in ("txt", "build.txt"):
        assert not re.search(rb"://|127\.0\.0\.1", house.read(ending))


def test_a_second_time_changes_nothing(house: House) -> None:
    house.lock()
    before = house.read("txt"), house.read("build.txt")
    locked = house.lock(LATER)
    assert (house.read("txt"), house.read("build.txt")) == before
    assert not any(file.changed for file in locked.files)


def test_another_stack_file_is_another_lock_though_every_pin_stays(house: House) -> None:
    """The file travels in the bundle: what a waiver or a comment changes needs a sequence number of its own."""
    house.lock()
    before = house.read("txt").decode().splitlines()
    house.toml.write_text(house.toml.read_text() + "# a comment\n")
    house.lock(LATER)
    changed = set(before) ^ set(house.read("txt").decode().splitlines())
    assert {line.split("=")[0] for line in changed} == {"# mirror: locked", "# mirror: stack"}


def test_a_new_release_moves_nothing_that_still_answers(house: House) -> None:
    house.lock()
    before = house.read("txt")
    house.server.add(make_wheel(house.wheels, "b", "1.1"))
    house.lock(LATER)
    assert house.read("txt") == before


def test_a_change_of_either_file_moves_the_time_of_both(house: House) -> None:
    house.lock()
    house.write('requirements = ["s==1.0"]\nbuild = ["s"]')
    house.lock(LATER)
    for name in ("demo.txt", "demo.build.txt"):
        assert read_lock(house.lockfiles / name).locked == LATER


def test_only_the_parts_that_are_asked_for_are_written(house: House) -> None:
    house.lock(parts=frozenset({"build"}))
    assert house.files() == ["demo.build.txt", "demo.toml"]


def test_a_lock_of_ours_that_cannot_be_read_is_made_anew(house: House) -> None:
    (house.lockfiles / "demo.txt").write_text("# mirror: locked=2026\nnot==a==lock")
    house.lock()
    assert read_lock(house.lockfiles / "demo.txt").locked == NOW


THEIRS = (
    "# what we serve\na>=1\n",
    f"a==1.0 --hash=sha256:{'0' * 64}\n",
    "# How our site finds its RPMs, not written by `mirror lock`.\n[repositories]\nformat = 'rpm-md'\n",
    "[python]\nrequirements = ['a']\n",
)


def not_written_over(house: House, theirs: Path, text: str, **options: object) -> str:
    """Lock, see that a file stays and that nothing else comes, and give the hint."""
    theirs.write_text(text)
    before = house.files()
    with pytest.raises(Unwritable) as caught:
        house.lock(**options)  # type: ignore[arg-type]  # the tests' own words
    assert str(caught.value) == f"cannot write {theirs}: it is there already, and mirror did not write it"
    assert caught.value.hint.startswith("Nothing was written. Give that file another name and lock again: mirror")
    assert theirs.read_text() == text and house.files() == before
    return caught.value.hint


@pytest.mark.parametrize("ending", ["txt", "build.txt"])
@pytest.mark.parametrize("text", THEIRS)
def test_what_mirror_did_not_write_is_never_written_over(house: House, ending: str, text: str) -> None:
    hint = not_written_over(house, house.lockfiles / f"demo.{ending}", text)
    assert hint.endswith("What that file asks for is taken over by `mirror init NEW --from FILE`.")


OTHER_WISHES = {
    "rpms.toml": f'[rpms]\nrepository = "https://r.invalid/"\nfingerprints = ["{"AB" * 20}"]\npackages = ["p"]\n',
    "redist.toml": f'[redist]\nmanifest = "https://r.invalid/r.json"\nsha256 = "{"0" * 64}"\ncomponents = ["cuda_nvcc"]\n',
    "python.toml": '[interpreter]\nversion = "3.11"\n',
    "models.toml": f'[[models]]\nrepository = "a/b"\nrevision = "{"0" * 40}"\nendpoint = "https://hub.invalid"\n',
}


@pytest.mark.parametrize("ending", OTHER_WISHES)
@pytest.mark.parametrize("text", THEIRS)
def test_nor_is_any_other_file_that_a_lock_writes(house: House, ending: str, text: str) -> None:
    """And whoever would be asked for what is in it is not asked."""
    assert {one.file.ENDING for one in LOCKS} == set(OTHER_WISHES)
    house.write('requirements = ["a"]', OTHER_WISHES[ending])
    hint = not_written_over(house, house.lockfiles / f"demo.{ending}", text)
    assert hint.endswith("mirror writes its own there.")


def test_nothing_to_build_gives_an_empty_build_lock(house: House) -> None:
    house.write('requirements = ["a"]')
    house.lock()
    assert read_lock(house.lockfiles / "demo.build.txt").pins == ()


def refused(house: House, error: type[Exception]) -> str:
    """Lock, meet the error, and see that nothing was written."""
    with pytest.raises(error) as caught:
        house.lock()
    assert house.files() == ["demo.toml"]
    return str(caught.value)


def test_exact_pins_without_a_wheel_are_refused_naming_both_sides(house: House) -> None:
    house.server.add(make_wheel(house.wheels, "big", "1.0", tag="cp38-abi3-manylinux_2_31_x86_64"))
    house.server.add(make_sdist(house.wheels, "src", "1.0"))
    house.write('requirements = ["big==1.0", "src==1.0", "gone==9; sys_platform == \'win32\'"]')
    sentence = refused(house, NoWheelForTarget)
    assert sentence == "big 1.0 has only manylinux_2_31 wheels; target demo promises glibc 2.28"
    with pytest.raises(NoWheelForTarget) as caught:
        house.lock()
    assert "src 1.0 has no wheel, only an sdist; target demo takes wheels" in caught.value.context()


def test_a_version_that_is_not_there_is_refused(house: House) -> None:
    house.write('requirements = ["a==7.0"]')
    assert refused(house, NoWheelForTarget) == "a 7.0 has no file on its index; target demo takes wheels"


def test_a_misspelt_project_is_refused(house: House) -> None:
    house.write('requirements = ["aa"]')
    assert "aa is asked for" in refused(house, ProjectNotOnIndex)


def test_requirements_that_exclude_each_other_are_refused(house: House) -> None:
    house.write('requirements = ["a"]\nconstraints = ["b<1"]')
    assert (
        refused(house, ResolutionFailed) == "uv could not resolve demo for Python 3.11, x86_64, glibc 2.28, CUDA 13.0"
    )


@pytest.mark.group(43)
def test_a_withdrawn_release_is_taken_only_when_it_is_stated(house: House) -> None:
    house.server.add(make_wheel(house.wheels, "y", "1.0"), yanked="sad")
    house.server.add(make_wheel(house.wheels, "x", "1.0", requires=["y==1.0"]))
    house.write('requirements = ["x"]')
    refused(house, (ResolutionFailed, Withdrawn))  # type: ignore[arg-type]  # pytest takes several
    house.write('requirements = ["x", "y==1.0"]')
    house.lock()
    pin = read_lock(house.lockfiles / "demo.txt").find(project_name("y"))
    assert pin and pin.yanked == "sad"


@pytest.mark.parametrize(
    ("reason", "written"), [("", "yes"), ("see\n https://a@b.example.org", "see https://a at b.example.org")]
)
def test_why_a_release_was_withdrawn_is_one_line_of_the_lock(house: House, reason: str, written: str) -> None:
    house.server.add(make_wheel(house.wheels, "y", "1.0"), yanked=reason)
    house.write('requirements = ["y==1.0"]')
    house.lock()
    assert f"# mirror: withdrawn y {written}\n" in (house.lockfiles / "demo.txt").read_text()
    before = (house.lockfiles / "demo.txt").read_bytes()
    house.lock()
    assert (house.lockfiles / "demo.txt").read_bytes() == before


@pytest.mark.group(46)
def test_an_sdist_of_another_project_is_refused(house: House) -> None:
    make_sdist(house.wheels, "other", "1.0").rename(house.wheels / "t-1.0.tar.gz")
    house.server.add(house.wheels / "t-1.0.tar.gz")
    house.write('requirements = ["t==1.0"]\nbuild = ["t"]')
    assert refused(house, InvalidSdist) == "t-1.0.tar.gz: it is other 1.0 inside, the stack builds t 1.0"


def test_an_sdists_code_is_not_run(house: House) -> None:
    trap = house.directory / "ran"
    house.server.add(make_sdist(house.wheels, "t", "1.0", backend=f'open({str(trap)!r}, "w").close()\n'))
    house.write('requirements = ["t==1.0"]\nbuild = ["t"]')
    house.lock()
    assert not trap.exists()


def test_a_name_that_cannot_be_written_is_named(house: House) -> None:
    (house.lockfiles / "demo.txt").mkdir()
    with pytest.raises(Unwritable, match=r"demo\.txt"):
        house.lock()
    assert house.files() == ["demo.toml", "demo.txt"]
    (house.lockfiles / "demo.txt").rmdir()
    house.lock()
    assert house.files() == ["demo.build.txt", "demo.toml", "demo.txt"]


OPTIONAL = 'requirements = ["a"]\noptional = ["jit==1.0"]\n[python.index]\njit = "own"'


def test_an_optional_requirement_out_of_reach_is_set_aside(house: House) -> None:
    with LoopbackIndex() as gone:
        url = gone.url
    house.write(OPTIONAL, f'own = "{url}"\n')
    assert house.lock().unpinned == ("jit==1.0 (127.0.0.1 is out of reach)",)
    assert b"# mirror: unpinned jit==1.0 (127.0.0.1 is out of reach)\n" in house.read("txt")


def test_an_optional_requirement_within_reach_is_locked(house: House) -> None:
    with LoopbackIndex() as own:
        own.add(make_wheel(house.wheels, "jit", "1.0+cu130", requires=["b"]))
        house.write(OPTIONAL, f'own = "{own.url}"\n')
        assert house.lock().unpinned == ()
        assert house.lock(without=("JIT",)).unpinned == ("jit==1.0 (left out by --without)",)
        house.lock()
    pin = read_lock(house.lockfiles / "demo.txt").find(project_name("jit"))
    assert pin is not None
    assert pin.version == "1.0+cu130"


def test_a_file_that_the_stack_names_is_pinned_though_nobody_can_reach_it(house: House) -> None:
    """And no resolver is asked about it; a digest or an address that changed locks again."""
    index = '[indexes.own]\nfile = "https://127.0.0.1:9/v1.0/jit-1.0%2Bcu130-py3-none-any.whl"\nsha256 = "{}"\n'
    house.write(OPTIONAL, index.format("ab" * 32))
    assert house.lock().unpinned == ()
    (pin,) = (pin for pin in read_lock(house.lockfiles / "demo.txt").pins if pin.name == "jit")
    assert (pin.version, pin.hashes, pin.via) == ("1.0+cu130", ("ab" * 32,), ("demo.toml",))
    first = house.read("txt")
    house.lock(now=LATER)
    assert house.read("txt") == first
    assert house.lock(without=("jit",)).unpinned == ("jit==1.0 (left out by --without)",)
    house.write(OPTIONAL, index.format("cd" * 32))
    (outdated,) = read_locks(house.lockfiles / "demo.txt", outdated_too=True).outdated()
    assert outdated.issues == ("[indexes] or [python.index] changed since it was locked",)
    house.write(OPTIONAL.replace("1.0", "1.1"), index.format("ab" * 32))
    with pytest.raises(NoWheelForTarget, match=r"jit 1\.1"):
        house.lock()


def test_without_names_only_what_can_be_left_out(house: House) -> None:
    with pytest.raises(UnknownPart, match="--without names 'a'; this stack can go without nothing"):
        house.lock(without=("a",))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


def with_rpms(house: House, repository: Path, fingerprint: str) -> None:
    tail = f'[rpms]\nrepository = "{repository.as_uri()}"\nfingerprints = ["{fingerprint}"]\npackages = ["cuda-nvcc-13-0"]\n'
    house.write('requirements = ["a"]', tail)


def test_the_rpms_are_locked_beside(house: House, tmp_path: Path, vendor: Vendor) -> None:
    repository = tmp_path / "rpms"
    write_repository(repository, toolkit("13.0"), vendor)
    with_rpms(house, repository, vendor.fingerprint)
    locked = house.lock()
    rpms = RpmLock.load(house.lockfiles / "demo.rpms.toml")
    assert "cuda-crt-13-0" in [pin.name for pin in rpms.pins]
    assert rpms.locked == NOW
    assert [file.path.name for file in locked.files] == ["demo.txt", "demo.build.txt", "demo.rpms.toml"]

    before = house.read("rpms.toml")
    assert not any(file.changed for file in house.lock(LATER).files)
    assert house.read("rpms.toml") == before


def with_files(release: str = "13.0") -> tuple[Rpm, ...]:
    """The toolkit's packages, each with one program."""
    return tuple(replace(rpm, paths=(f"/usr/local/cuda-{release}/bin/{rpm.name}",)) for rpm in toolkit(release))


@pytest.fixture
def indexed(house: House, tmp_path: Path, vendor: Vendor) -> Path:
    """A repository with filelists, that the house's stack takes its RPMs from."""
    write_repository(tmp_path / "rpms", with_files(), vendor)
    with_rpms(house, tmp_path / "rpms", vendor.fingerprint)
    return tmp_path / "rpms"


def renew(repository: Path, vendor: Vendor, *rpms: Rpm) -> None:
    shutil.rmtree(repository)
    write_repository(repository, rpms, vendor)


def test_which_rpm_brings_which_file_is_locked_too(house: House, indexed: Path) -> None:
    locked = house.lock()
    index, rpms = FileIndex.parse(house.read("files.txt")), RpmLock.load(house.lockfiles / "demo.rpms.toml")
    assert [(file.path.name, file.pins, file.changed) for file in locked.files][3:] == [
        ("demo.files.txt", index.count, True)
    ]
    assert index.carried == {pin.nevra for pin in rpms.pins}
    assert {rpm.name: rpm.paths for rpm in index.rpms if not rpm.carried}["cuda-nvrtc-13-0"] == ("bin/cuda-nvrtc-13-0",)
    assert read_locks(house.lockfiles / "demo.txt").index == index


def test_an_index_that_still_fits_is_kept_though_filelists_are_pruned(
    house: House, indexed: Path, vendor: Vendor
) -> None:
    house.lock()
    before = house.read("files.txt"), house.read("rpms.toml")
    renew(indexed, vendor, *toolkit("13.0"))
    assert not any(file.changed for file in house.lock(LATER).files)
    assert (house.read("files.txt"), house.read("rpms.toml")) == before


def test_another_closure_makes_another_index(house: House, indexed: Path, vendor: Vendor) -> None:
    house.lock()
    renew(indexed, vendor, *(replace(rpm, version="13.0.99") for rpm in with_files()))
    locked = house.lock(LATER)
    assert [file.changed for file in locked.files] == [False, False, True, True]
    assert "cuda-nvcc-13-0-13.0.99-1.x86_64" in FileIndex.parse(house.read("files.txt")).carried


def test_an_index_that_was_lost_comes_back_as_another_lock(house: House, indexed: Path) -> None:
    """Bundles with an index and without are different bundles, and one sequence number promises one bundle."""
    house.lock()
    before = house.read("files.txt")
    (house.lockfiles / "demo.files.txt").unlink()
    house.lock(LATER)
    assert house.read("files.txt") == before
    assert RpmLock.load(house.lockfiles / "demo.rpms.toml").locked == LATER


def test_an_index_that_cannot_be_read_is_made_anew(house: House, indexed: Path) -> None:
    house.lock()
    before = house.read("files.txt")
    (house.lockfiles / "demo.files.txt").write_bytes(before + b"\n")
    with pytest.raises(InvalidDocument, match=r"demo\.files\.txt invalid"):
        read_locks(house.lockfiles / "demo.txt")
    house.lock(LATER)
    assert house.read("files.txt") == before


@pytest.mark.parametrize("has_filelists", [True, False])
@pytest.mark.parametrize("text", [*THEIRS, "# mirror: locked=2026-11-21T01:50:00Z\n"])
def test_an_index_that_mirror_did_not_write_stays(house: House, indexed: Path, text: str, has_filelists: bool) -> None:
    """Nor is one removed where there is nothing to write; the pins of a stack demo.files are no index."""
    if not has_filelists:
        primary_of(indexed, "filelists").unlink()
    not_written_over(house, house.lockfiles / "demo.files.txt", text)


def test_a_lock_for_hermeto_that_mirror_did_not_write_stays(house: House, indexed: Path) -> None:
    """The prototype that Hermeto's users write theirs with makes the same text, without mirror's first line."""
    theirs, ours = house.directory / "rpms.lock.yaml", house.directory / "ours.yaml"
    house.lock(write_rpms_lock=ours)
    first, _, text = ours.read_text().partition("\n")
    assert first == "# Written by `mirror lock` for Hermeto."
    for name in ("demo.rpms.toml", "demo.files.txt", "demo.txt", "demo.build.txt"):
        (house.lockfiles / name).unlink()
    not_written_over(house, theirs, text, write_rpms_lock=theirs)
    ours.write_text(f"{first}\n# damaged\n")
    house.lock(write_rpms_lock=ours)
    assert ours.read_text() == f"{first}\n{text}"


def test_an_index_of_another_lock_is_refused(house: House, indexed: Path) -> None:
    house.lock()
    index = house.lockfiles / "demo.files.txt"
    index.write_bytes(index.read_bytes().replace(b"+ cuda-crt-13-0", b"- cuda-crt-13-0"))
    with pytest.raises(LockOutdated) as caught:
        read_locks(house.lockfiles / "demo.txt")
    (nevra,) = (pin.nevra for pin in RpmLock.load(house.lockfiles / "demo.rpms.toml").pins if "crt" in pin.name)
    problem = f"{nevra} is locked, the index does not have it"
    assert str(caught.value) == f"demo.files.txt does not cover its NAME.toml: {problem}"


def test_a_stale_index_goes_when_the_repository_has_no_filelists_any_more(
    house: House, indexed: Path, vendor: Vendor
) -> None:
    house.lock()
    renew(indexed, vendor, *(replace(rpm, version="13.0.99") for rpm in toolkit("13.0")))
    house.lock(LATER)
    assert "demo.files.txt" not in house.files()
    assert read_locks(house.lockfiles / "demo.txt").index is None


def test_filelists_out_of_reach_leave_the_stack_locked_without_an_index(house: House, indexed: Path) -> None:
    primary_of(indexed, "filelists").unlink()
    house.lock()
    assert house.files() == ["demo.build.txt", "demo.rpms.toml", "demo.toml", "demo.txt"]


def test_filelists_that_were_changed_lock_nothing(house: House, indexed: Path) -> None:
    primary_of(indexed, "filelists").write_bytes(b"others")
    refused(house, MetadataMismatch)


def test_without_the_toolchain_the_repository_is_not_asked(house: House, tmp_path: Path) -> None:
    with_rpms(house, tmp_path / "nowhere", "AB" * 20)
    house.lock(without=("toolchain",))
    assert house.files() == ["demo.build.txt", "demo.toml", "demo.txt"]


def test_a_repository_out_of_reach_leaves_the_python_side_locked(house: House, tmp_path: Path, vendor: Vendor) -> None:
    with_rpms(house, tmp_path / "nowhere", vendor.fingerprint)
    with pytest.raises(RepositoryUnreachable) as caught:
        house.lock()
    assert "repodata/repomd.xml" in str(caught.value)
    assert "--toolchain-repo" in caught.value.hint and "--without toolchain" in caught.value.hint
    assert house.files() == ["demo.build.txt", "demo.toml", "demo.txt"]

    write_repository(tmp_path / "copy", toolkit("13.0"), vendor)
    locked = house.lock(toolchain_repo=str(tmp_path / "copy"))
    assert [file.changed for file in locked.files] == [False, False, True]


@pytest.mark.group(45)
def test_a_repository_signed_by_a_stranger_leaves_nothing(house: House, tmp_path: Path, vendor: Vendor) -> None:
    write_repository(tmp_path / "rpms", toolkit("13.0"), Vendor("Stranger <s@example.org>"))
    with_rpms(house, tmp_path / "rpms", vendor.fingerprint)
    refused(house, RepositoryNotSigned)


@pytest.mark.index
def test_the_quickstart_lock_is_what_the_index_gives(tmp_path: Path) -> None:
    """The committed locks answer their stacks: locking again keeps every byte of them."""
    for source in (Path(__file__).parents[3] / "lockfiles").glob("quickstart*"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    locked = lock(
        tmp_path / "quickstart.toml", LockOptions(without=frozenset({"toolchain"})), Store(tmp_path / "store")
    )
    assert not any(file.changed for file in locked.files) and len(locked.files) >= 2
