"""Upgrade: what is named moves, everything moves, and what kept a newer version out is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.fetching.store import Store
from mirror.connected.lock import Locked, lock
from mirror.connected.locking.drafts import LockOptions
from mirror.connected.locking.upgrade import Upgrade
from mirror.connected.stack.without import UnknownPart
from mirror.connected.toolchain.rpmlock import RpmLock
from tests.support.index import LoopbackIndex
from tests.support.repos import Vendor, toolkit, write_repository
from tests.support.wheels import make_sdist, make_wheel

NOW = 1_795_225_800
TARGET = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\ncuda = "13.0"\n'


class House:
    """A stack named demo on a loopback index."""

    def __init__(self, directory: Path, server: LoopbackIndex) -> None:
        self.directory, self.server, self.toml = directory, server, directory / "demo.toml"

    def write(self, python: str, tail: str = "") -> None:
        self.toml.write_text(f'{TARGET}[python]\n{python}\n[indexes]\ndefault = "{self.server.url}"\n{tail}')

    def lock(self, *words: str, upgrade: bool = False, **options: object) -> Locked:
        asked = LockOptions(now=NOW, upgrade=Upgrade.of(words if upgrade else None), **options)  # type: ignore[arg-type]
        return lock(self.toml, asked, Store(self.directory / "store"))

    def add(
        self, name: str, version: str, requires_python: str = "", yanked: str | None = None, **words: object
    ) -> None:
        path = make_wheel(self.directory / "wheels", name, version, **words)  # type: ignore[arg-type]
        self.server.add(path, requires_python=requires_python, yanked=yanked)

    def kept_out(self, python: str) -> list[tuple[str, str]]:
        self.write(python)
        return [(one.kind, str(one)) for one in self.lock().kept_out]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with LoopbackIndex() as server:
        made = House(tmp_path, server)
        for name in "abc":
            made.add(name, "1.0")
        made.write('requirements = ["a", "b", "c==1.0"]')
        yield made


@pytest.fixture
def locked(house: House) -> House:
    house.lock()
    for name in "abc":
        house.add(name, "2.0")
    return house


def test_what_is_named_moves_and_nothing_else(locked: House) -> None:
    moved = locked.lock("A", upgrade=True)
    assert [str(move) for move in moved.moved] == ["a 1.0 -> 2.0"]
    assert moved.to_dict()["moved"] == [{"name": "a", "from": "1.0", "to": "2.0", "part": "python"}]


def test_without_a_name_everything_moves_that_may(locked: House) -> None:
    assert [str(move) for move in locked.lock(upgrade=True).moved] == ["a 1.0 -> 2.0", "b 1.0 -> 2.0"]


def test_a_version_that_is_stated_stays_and_what_is_newer_is_said(locked: House) -> None:
    moved = locked.lock("c", upgrade=True)
    assert (moved.moved, moved.notes) == ((), ())
    assert [str(one) for one in moved.kept_out if one.project == "c"] == [
        "c 1.0 is locked, 2.0 is newer: 'c==1.0' leaves it out"
    ]
    assert locked.lock(upgrade=True).kept_out == (*moved.kept_out,)[-1:]


def test_a_version_that_is_stated_and_the_newest_stays_and_that_is_said(house: House) -> None:
    house.lock()
    moved = house.lock("c", upgrade=True)
    assert (moved.moved, moved.kept_out) == ((), ())
    assert moved.notes == ("c stays at 1.0, which demo.toml states",)
    assert house.lock(upgrade=True).notes == moved.notes


def test_where_every_version_is_stated_each_newer_one_is_said_and_what_else_keeps_it_out(locked: House) -> None:
    """Whoever asks for an upgrade must move the pins: constraints' and optional ones, too."""
    locked.add("b", "3.0", requires_python=">=3.12")
    locked.add("d", "1.0")
    locked.add("d", "2.0")
    locked.add("top", "1.0", requires=["c"])
    python = (
        'requirements = ["a==1.0", "b==1.0", "top==1.0"]\noptional = ["d==1.0"]\nconstraints = ["c==1.*", "e==9.9"]'
    )
    assert locked.kept_out(python) == []
    moved = locked.lock(upgrade=True)
    assert [str(one) for one in moved.kept_out] == [
        "a 1.0 is locked, 2.0 is newer: 'a==1.0' leaves it out",
        "b 1.0 is locked, 3.0 is newer: 'b==1.0' leaves it out, and it asks for Python >=3.12; the target has Python 3.11",
        "c 1.0 is locked, 2.0 is newer: 'c==1.*' leaves it out",
        "d 1.0 is locked, 2.0 is newer: 'd==1.0' leaves it out",
    ]
    assert moved.notes == ("top stays at 1.0, which demo.toml states",)


def test_a_name_that_is_in_no_lock_is_refused_with_what_is_near(house: House) -> None:
    house.add("flashinfer-python", "1.0")
    house.write('requirements = ["flashinfer-python"]')
    house.lock()
    with pytest.raises(UnknownPart) as caught:
        house.lock("flash-infer-python", upgrade=True)
    assert str(caught.value) == (
        "--upgrade names 'flash-infer-python', which is not in this stack; did you mean flashinfer-python?"
    )


def test_the_command_prints_a_table_and_one_document(
    locked: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(locked.directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(locked.directory / "cache"))
    assert main(["lock", "demo", "--upgrade", "a"]) == 0
    assert "\n  a  1.0 -> 2.0\n" in capsys.readouterr().out
    assert main(["lock", "demo", "--upgrade", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["moved"]] == ["b"]


def test_the_toolchain_moves_with_everything_or_by_its_name_alone(house: House) -> None:
    vendor, place = Vendor(), house.directory / "rpms"
    write_repository(place, toolkit("13.0"), vendor)
    rpms = f'[rpms]\nrepository = "{place.as_uri()}"\nfingerprints = ["{vendor.fingerprint}"]\npackages = ["cuda-nvcc-13-0"]\n'
    house.write('requirements = ["a"]', rpms)
    house.lock()
    shutil.rmtree(place)
    newer = tuple(replace(rpm, version="13.0.99") for rpm in toolkit("13.0"))
    write_repository(place, (*toolkit("13.0"), *newer), vendor)
    assert house.lock().moved == ()
    assert house.lock("a", upgrade=True).moved == ()
    moved = house.lock("toolchain", upgrade=True).moved
    assert {move.part for move in moved} == {"rpms"}
    assert "13.0.99" in {pin.version for pin in RpmLock.load(house.directory / "demo.rpms.toml").pins}


def test_rpms_that_the_repository_has_no_more_are_replaced_without_being_asked(house: House) -> None:
    vendor, place = Vendor(), house.directory / "rpms"
    write_repository(place, toolkit("13.0"), vendor)
    rpms = f'[rpms]\nrepository = "{place.as_uri()}"\nfingerprints = ["{vendor.fingerprint}"]\npackages = ["cuda-nvcc-13-0"]\n'
    house.write('requirements = ["a"]', rpms)
    house.lock()
    shutil.rmtree(place)
    write_repository(place, tuple(replace(rpm, version="13.0.99") for rpm in toolkit("13.0")), vendor)
    assert {move.part for move in house.lock().moved} == {"rpms"}


def test_a_newer_version_that_nothing_but_the_lock_keeps_out_is_told_with_the_command(locked: House) -> None:
    assert [str(one) for one in locked.lock().kept_out] == [
        "a 1.0 is locked, 2.0 is newer: it was locked before; mirror lock demo --upgrade a takes the newer",
        "b 1.0 is locked, 2.0 is newer: it was locked before; mirror lock demo --upgrade b takes the newer",
    ]


def test_a_newer_version_that_needs_a_newer_glibc_is_told(house: House) -> None:
    house.add("a", "2.0", tag="cp39-abi3-manylinux_2_31_x86_64")
    assert house.kept_out('requirements = ["a"]') == [
        ("platform", "a 1.0 is locked, 2.0 is newer: it has only manylinux_2_31 wheels; the target promises glibc 2.28")
    ]


def test_a_newer_version_that_is_only_an_sdist_is_told(house: House) -> None:
    house.server.add(make_sdist(house.directory / "wheels", "a", "2.0"))
    assert house.kept_out('requirements = ["a"]') == [
        ("sdist-only", "a 1.0 is locked, 2.0 is newer: it has no wheel, only an sdist; the target takes wheels")
    ]


def test_a_newer_version_for_a_newer_python_is_told(house: House) -> None:
    house.add("a", "2.0", requires_python=">=3.12")
    assert house.kept_out('requirements = ["a"]') == [
        ("python", "a 1.0 is locked, 2.0 is newer: it asks for Python >=3.12; the target has Python 3.11")
    ]


def test_a_newer_version_that_was_withdrawn_is_told(house: House) -> None:
    house.add("a", "2.0", yanked="broken")
    assert house.kept_out('requirements = ["a"]') == [
        ("withdrawn", 'a 1.0 is locked, 2.0 is newer: its makers withdrew it ("broken")')
    ]


def test_a_newer_pre_release_is_told_only_where_there_is_no_other(house: House) -> None:
    house.add("a", "3.0rc1")
    words = "a 1.0 is locked, 3.0rc1 is newer: it is a pre-release, and no requirement asks for one"
    assert house.kept_out('requirements = ["a"]') == [("pre-release", words)]
    house.add("a", "2.0", requires_python=">=3.12")
    assert [kind for kind, _ in house.kept_out('requirements = ["a"]')] == ["python"]


@pytest.mark.parametrize("moment", ["2026-09-01T00:00:00Z", "2026-06-01T00:00:00Z"])
def test_a_newer_version_at_the_cutoff_or_after_it_is_told(house: House, moment: str) -> None:
    path = make_wheel(house.directory / "wheels", "a", "2.0")
    house.server.add(path, upload_time=moment)
    assert house.kept_out('requirements = ["a"]\ncutoff = "2026-06-01T00:00:00Z"') == [
        (
            "cutoff",
            "a 1.0 is locked, 2.0 is newer: it was not on the index before [python].cutoff, 2026-06-01T00:00:00Z",
        )
    ]


def test_a_dependency_without_a_wheel_for_the_target_is_named(house: House) -> None:
    """The newest nvidia-modelopt needs deepspeed, which is an sdist; vLLM's needs a llguidance of a newer glibc."""
    house.add("top", "1.0")
    house.add("top", "2.0", requires=["deep>=2; python_version > '3'"])
    house.server.add(make_sdist(house.directory / "wheels", "deep", "2.5"))
    assert house.kept_out('requirements = ["top"]') == [
        (
            "dependency",
            "top 1.0 is locked, 2.0 is newer: it needs deep, and deep 2.5 has no wheel, only an sdist; the target takes wheels",
        )
    ]


def test_an_extra_whose_dependency_has_no_wheel_is_named(house: House) -> None:
    house.add("top", "1.0", extras=["all"])
    house.add("top", "2.0", requires=["guide>=1.7; extra == 'all'"], extras=["all"])
    house.add("guide", "1.7.6", tag="cp39-abi3-manylinux_2_31_x86_64")
    (kept,) = house.kept_out('requirements = ["top[all]"]')
    words = "it needs guide, and guide 1.7.6 has only manylinux_2_31 wheels; the target promises glibc 2.28"
    assert kept == ("dependency", f"top 1.0 is locked, 2.0 is newer: {words}")


def test_two_projects_that_exclude_each_others_newest_are_told(house: House) -> None:
    house.add("a", "2.0", requires=["b<2"])
    house.add("b", "2.0", requires=["a<2"])
    ((kind, words),) = house.kept_out('requirements = ["a", "b"]')
    assert kind == "dependency"
    assert "it goes only with " in words and " 1.0 in place of 2.0" in words


def test_a_version_that_the_user_excludes_is_not_told(house: House) -> None:
    house.add("a", "2.0", requires_python=">=3.12")
    house.add("c", "2.0", requires_python=">=3.12")
    assert house.kept_out('requirements = ["a==1.0", "c"]\nconstraints = ["c==1.0"]') == []


def test_a_newer_version_that_only_the_users_limit_excludes_is_told(house: House) -> None:
    house.add("a", "2.0")
    house.add("c", "2.0")
    house.add("d", "1.0")
    house.add("d", "2.0", requires_python=">=3.99")
    assert house.kept_out('requirements = ["a<2", "c", "d<2"]\nconstraints = ["c<=1"]') == [
        ("limit", "a 1.0 is locked, 2.0 is newer: 'a<2' leaves it out"),
        ("limit", "c 1.0 is locked, 2.0 is newer: 'c<=1' leaves it out"),
    ]


def test_a_name_that_is_no_part_is_told_as_it_was_typed(house: House) -> None:
    house.write('requirements = ["a"]')
    with pytest.raises(UnknownPart, match="--upgrade names 'rpms', which is not in this stack"):
        house.lock("rpms", upgrade=True)


def test_nothing_is_told_of_the_newest(house: House) -> None:
    assert house.kept_out('requirements = ["a", "b"]') == []
