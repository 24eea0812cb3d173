"""What holds for every test: no connection leaves the machine, and no test sees this user's keys or settings.

A test marked ``index`` may reach the Python package index; every other connect that is not to loopback raises.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.console import talk

_open_doors: list[str] = []
"""Names of the running tests that may connect anywhere; an audit hook cannot be removed, so it asks this."""


def _refuse_remote(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or _open_doors:
        return
    address = arguments[1]
    if isinstance(address, tuple) and address[0] != "localhost" and not ip_address(address[0]).is_loopback:
        raise RuntimeError(f"a test tried to connect to {address[0]}; mark it 'index' if it must")


sys.addaudithook(_refuse_remote)


@pytest.fixture(autouse=True)
def _closed_network(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("index") is None:
        yield
        return
    _open_doors.append(request.node.nodeid)
    yield
    _open_doors.pop()


@pytest.fixture(autouse=True)
def mirror_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keys and trusted roots of this test, and of the commands that it starts."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MIRROR_HOME", str(home / "mirror"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home / "mirror"


@pytest.fixture(autouse=True)
def _ordinary_words() -> Iterator[None]:
    """Nobody who asked for more or less asked for it in the next test, too."""
    yield
    talk(quiet=False, verbose=False)
