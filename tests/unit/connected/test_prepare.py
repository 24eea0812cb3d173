"""From locks to a plan: an interpreter's file name, and names that are none."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.planning.locks import read_locks
from mirror.connected.planning.pinned_files import find_files
from mirror.connected.planning.plan import UnusableName
from mirror.connected.planning.wishes import Wishes
from mirror.connected.prepare import make_plan
from mirror.connected.stack.stack import Stack
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.connected.toolchain.rpmpackage import RpmPin
from mirror.core.kinds import INTERPRETER, RPM, TOOL
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel, sha256_of

TOML = """
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.28"

[python]
requirements = ["alpha==1.0"]

[indexes]
default = "{index}"
"""


def locked(directory: Path, index: LoopbackIndex, more: str = "") -> tuple[Path, PythonLock]:
    """A stack with one wheel, and the tools that its bundle carries."""
    pins = []
    for name in ("alpha", "uv"):
        wheel = make_wheel(directory / "upstream", name, "1.0")
        index.add(wheel)
        pins.append(f"{name}==1.0 --hash=sha256:{sha256_of(wheel)}\n")
    (directory / "small.toml").write_text(TOML.format(index=index.url) + more)
    lock = directory / "small.txt"
    lock.write_text("# mirror: locked=2026-11-01T00:00:00Z\n" + pins[0])
    return lock, parse_lock(pins[1].encode(), "tools.txt")


def interpreter(url: str) -> str:
    return f'\n[interpreter]\nurl = "{url}"\nsha256 = "{"0" * 64}"\n'


def test_an_interpreters_file_name_is_unquoted(tmp_path: Path) -> None:
    url = "https://example.org/20260101/cpython-3.11.9%2B20260101-x86_64-install_only.tar.gz"
    with LoopbackIndex() as index:
        lock, tools = locked(tmp_path, index, interpreter(url))
        plan = make_plan(read_locks(lock), Wishes(lock, tools=tools), Store(tmp_path / "store"))
    (part,) = plan.of(INTERPRETER)
    assert part.download.filename == "cpython-3.11.9+20260101-x86_64-install_only.tar.gz"
    assert part.download.url == url


def test_a_stack_that_was_changed_since_it_was_locked_is_told(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        lock, tools = locked(tmp_path, index)
        wishes, store = Wishes(lock, tools=tools), Store(tmp_path / "store")
        digest = sha256_of(tmp_path / "small.toml")
        lock.write_text(f"# mirror: stack={digest}\n" + lock.read_text())
        assert not make_plan(read_locks(lock), wishes, store).notes
        lock.write_text(lock.read_text().replace(digest, "0" * 64))
        (note,) = make_plan(read_locks(lock), wishes, store).notes
    assert note.startswith("small.toml has changed since it was locked: run 'mirror lock' first")


@pytest.mark.parametrize("name", ["", "a%2Fb.tar.gz", "a%20b.tar.gz"])
def test_an_interpreter_without_a_plain_file_name_is_named(tmp_path: Path, name: str) -> None:
    url = f"https://example.org/{name}"
    with LoopbackIndex() as index:
        lock, tools = locked(tmp_path, index, interpreter(url))
        with pytest.raises(UnusableName, match="cannot go into a bundle: expected a plain file name") as caught:
            make_plan(read_locks(lock), Wishes(lock, tools=tools), Store(tmp_path / "store"))
    assert caught.value.filename == url


def test_going_without_what_is_no_name_changes_nothing(tmp_path: Path) -> None:
    """Whether a name may be left out is asked earlier; a plan does not break on one."""
    store = Store(tmp_path / "store")
    with LoopbackIndex() as index:
        lock, tools = locked(tmp_path, index)
        wishes = Wishes(lock, tools=tools)
        odd = Wishes(lock, tools=tools, without=frozenset({"no name!"}))
        assert make_plan(read_locks(lock), odd, store) == make_plan(read_locks(lock), wishes, store)


def test_a_decompressor_for_rpms_is_carried_only_with_rpms(tmp_path: Path) -> None:
    with LoopbackIndex() as index:
        lock, tools = locked(tmp_path, index)
        wheel = make_wheel(tmp_path / "upstream", "backports-zstd", "1.0")
        index.add(wheel)
        line = f"backports-zstd==1.0 --hash=sha256:{sha256_of(wheel)}\n"
        both = parse_lock(tools.encode("tools") + line.encode(), "tools.txt")
        without = read_locks(lock)
        pin = RpmPin("a", 0, "1", "1", "x86_64", "a.rpm", 1, Sha256Hex("0" * 64), 1)
        rpms = replace(
            without, pinned={RPM: RpmLock("https://rpms.example.org/", ("AB",), 1, ("a",), "armored", (pin,))}
        )
        plans = [make_plan(locks, Wishes(lock, tools=both), Store(tmp_path / "store")) for locks in (without, rpms)]
    assert [[part.name for part in plan.of(TOOL)] for plan in plans] == [["uv"], ["backports-zstd", "uv"]]


@pytest.mark.index
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_pinned_tools_are_there_for_every_target(tmp_path: Path, python: str, arch: str) -> None:
    """One file of each, for the target's own Python; from 3.14 on Python reads zstd itself."""
    tools = parse_lock((files("mirror.connected") / "tools.txt").read_bytes(), "tools.txt")
    target = Target(python=python, arch=arch, glibc="2.17", cuda="13.0")
    found = find_files(tools, Stack("tools", target, ()), Store(tmp_path / "store"), kind=TOOL)
    names = [part.name for part in found]
    assert names == (["pip", "uv"] if python == "3.14" else ["backports-zstd", "pip", "uv"])
    if python != "3.14":
        assert f"-cp{python.replace('.', '')}-" in found[0].download.filename
        assert arch in found[0].download.filename
