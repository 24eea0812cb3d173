"""From locks to a plan: an interpreter's file name, and names that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.assembly import UnusableName
from mirror.connected.locks import read_locks
from mirror.connected.planning import make_plan
from mirror.connected.requirements import PythonLock, parse_lock
from mirror.connected.store import Store
from mirror.connected.wishes import Wishes
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
    (part,) = plan.within("python")
    assert part.download.filename == "cpython-3.11.9+20260101-x86_64-install_only.tar.gz"
    assert part.download.url == url


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
