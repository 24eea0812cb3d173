"""The shape of the house: imports only point down, the closed side stands on the standard library, errors are unique."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirror
from mirror.core.commands import COMMANDS
from mirror.core.errors import MirrorError

HOUSE = Path(mirror.__file__).parent
MAY_IMPORT = {
    "core": {"core"},
    "connected": {"connected", "core"},
    "review": {"review", "core"},
    "closed": {"closed", "core"},
    "cli": {"cli", "connected", "review", "closed", "core"},
}
ORDER = {
    "core": (
        "errors", "nearmiss", "names", "fields", "target", "sizes", "commands", "progress", "durable", "home",
        "stackfiles", "kinds",
        "archives", "binaries", "wheels", "signatures", "trust", "bundle", "advisories", "policy", "cuda", "toolkit", "vetting",
    ),
    "connected": (
        "fetching", "pins", "stack", "newstack", "index", "sdists", "resolving", "toolchain", "locking", "lock",
        "probe", "planning", "building", "packing", "contents", "papers", "signing", "bundle",
    ),
    "closed": (
        "host", "venv", "toolkit", "preflight", "prefix", "environment", "selftest", "soundness",
        "building", "upgrade_check", "install", "garbage", "which", "doctor",
    ),
    "review": ("markup", "decisions", "questions", "report", "page"),
}  # fmt: skip
"""The packages and modules of each room from the ground up: each may import those before it, and no other."""
BARE = ("core", "review", "closed")
ELSEWHERE = {command.name for command in COMMANDS if not command.is_carried}
MODULES = sorted(path for path in HOUSE.rglob("*.py") if "probe" not in path.relative_to(HOUSE).parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at whatever depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            whole = base == "mirror" or base.removeprefix("mirror.") in ORDER
            yield from (f"{base}.{alias.name}" for alias in node.names) if whole else [base]


def room(path: Path) -> str:
    return path.relative_to(HOUSE).parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_only_point_down(path: Path) -> None:
    if path.parent == HOUSE:
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "mirror" and len(parts) > 1 and parts[1] != "__version__":
            assert parts[1] in MAY_IMPORT[room(path)], f"{path.name} imports {name}"


@pytest.mark.parametrize(
    "path", [path for path in MODULES if room(path) in ORDER], ids=lambda path: str(path.relative_to(HOUSE))
)
def test_within_a_room_imports_only_point_down(path: Path) -> None:
    here = path.relative_to(HOUSE).with_suffix("").parts
    if here[1] == "__init__":
        return
    floors = ORDER[here[0]]
    for name in imports(path):
        parts = name.split(".")
        if parts[:2] == ["mirror", here[0]] and len(parts) > 2 and parts[2] != here[1]:
            assert floors.index(parts[2]) < floors.index(here[1]), f"{'.'.join(here)} imports {name}"


@pytest.mark.parametrize("room", ORDER)
def test_a_folder_holds_what_one_look_takes_in(room: str) -> None:
    for folder in [HOUSE / room, *(path.parent for path in (HOUSE / room).rglob("__init__.py"))]:
        entries = [path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
        assert len(entries) <= 24, f"{folder.relative_to(HOUSE)} has {len(entries)} entries"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room(path) in BARE or (room(path) == "cli" and path.stem not in ELSEWHERE)],
    ids=lambda path: str(path.relative_to(HOUSE)),
)
def test_the_closed_side_needs_no_third_party_code(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"mirror"}
    assert {name.split(".")[0] for name in imports(path)} <= allowed


@pytest.mark.parametrize("path", [p for p in MODULES if room(p) != "cli"], ids=lambda p: str(p.relative_to(HOUSE)))
def test_only_the_cli_prints_or_exits(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "exit"), f"{path.name}:{node.lineno}"


def errors() -> list[type[MirrorError]]:
    for module in pkgutil.walk_packages(mirror.__path__, "mirror."):
        if ".probe." not in module.name:
            importlib.import_module(module.name)
    found, queue = [], list(MirrorError.__subclasses__())
    while queue:
        error = queue.pop()
        found.append(error)
        queue.extend(error.__subclasses__())
    return [error for error in found if error.__module__.startswith("mirror.")]


def test_each_error_has_a_ref_and_an_exit_code_of_its_own() -> None:
    seen: dict[object, type[MirrorError]] = {}
    for error in errors():
        for word in (error.ref, error.exit_code):
            assert seen.setdefault(word, error) is error, f"{error.__name__} and {seen[word].__name__} share {word}"
        assert 10 <= error.exit_code <= 125 or error.exit_code in (1, 2, 129, 130, 143)
        assert error.hint, f"{error.__name__} says no next step"


def test_a_unit_test_cannot_leave_the_machine() -> None:
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.1"), socket.socket() as probe:
        probe.connect(("192.0.2.1", 80))
