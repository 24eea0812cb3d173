"""The shape of the house: imports only point down, the closed side stands on the standard library, errors are unique."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.util
import pkgutil
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest
import tomllib

import mirror
from mirror.cli import failure
from mirror.core.commands import CONNECTED
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.system.crew import Stopped

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
        "words", "errors", "names", "fields", "toml", "cpus", "target", "commands", "progress", "system", "kinds", "stackfiles",
        "archives", "binaries", "wheels", "signatures", "trust", "bundle", "advisories", "policy", "cuda", "targets",
        "toolkit", "vetting", "logs",
    ),
    "connected": (
        "fetching", "pins", "stack", "newstack", "index", "sdists", "resolving", "toolchain", "models", "locking", "lock",
        "probe", "planning", "building", "packing", "contents", "kinds", "prepare", "jobs", "cluster", "papers", "signing",
        "gathering", "delta", "bundle",
    ),
    "closed": (
        "host", "webserver", "venv", "toolkit", "delta", "preflight", "prefix", "environment", "silence", "warm", "selftest",
        "soundness", "kinds", "building", "upgrade_check", "remedy", "install", "garbage", "site", "which", "doctor",
    ),
    "review": ("markup", "decisions", "questions", "kinds", "report", "page"),
    "cli": (
        "streams", "terminal", "prose", "pager", "caller", "document", "console", "findings", "signers", "options", "parsing",
        "stacktargets", "deltas", "failure", "main", "start", "grammar", "manpage", "commands",
    ),
}  # fmt: skip
"""The packages and modules of each room from the ground up: each may import those before it, and no other."""
BARE = ("core", "review", "closed")
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


FLOORS = {
    "core/bundle": (
        "layout", "signaturearea", "manifest", "dossier", "writer", "volumes", "delta", "reader", "offered_roots",
    ),
    "core/logs": (
        "finding", "layers", "logtext", "origin", "calm", "suspects", "vocabulary", "compilerwords", "symptom", "symptoms",
        "rules", "explained",
    ),
    "closed/doctor": (
        "host", "installed", "trial", "facts", "detect", "here", "machine", "stack", "checkup", "page",
    ),
}  # fmt: skip
"""The same of each package that holds others."""


@pytest.mark.parametrize("package", FLOORS)
def test_within_a_package_imports_only_point_down(package: str) -> None:
    floors = FLOORS[package]
    entries = {
        path.stem for path in (HOUSE / package).iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert entries - {"__init__"} == set(floors)
    base = f"mirror.{package.replace('/', '.')}."
    for path in (HOUSE / package).rglob("*.py"):
        here = path.relative_to(HOUSE / package).with_suffix("").parts[0]
        for name in imports(path) if here != "__init__" else ():
            there = name.removeprefix(base).partition(".")[0]
            if name.startswith(base) and there != here:
                assert floors.index(there) < floors.index(here), f"{package}/{here} imports {name}"


def test_every_package_that_holds_others_says_in_which_order() -> None:
    inner = {path.parents[1].relative_to(HOUSE).as_posix() for path in HOUSE.glob("*/*/*/__init__.py")}
    assert inner - {"cli/commands", "connected/probe"} == set(FLOORS)  # the rooms' commands, and a project of its own


def circles(arrows: Mapping[str, Iterable[str]]) -> list[str]:
    """The nodes of a circle; empty where there is none."""
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as exc:
        return list(exc.args[1])
    return []


def test_no_packages_import_each_other_in_a_circle() -> None:
    """At whatever depth; of a room, each module is for itself."""
    packages: dict[Path, str] = {}
    for path in MODULES:
        inside = path.relative_to(HOUSE).parts
        packages[path] = ".".join(inside[:-1] if len(inside) > 2 else inside).removesuffix(".py")
    arrows: dict[str, set[str]] = {package: set() for package in packages.values()}
    for path, package in packages.items():
        for name in imports(path) if len(path.relative_to(HOUSE).parts) > 1 else ():
            parts = name.split(".")[1:]
            there = next((one for n in range(len(parts), 0, -1) if (one := ".".join(parts[:n])) in arrows), package)
            arrows[package] |= {there} - {package}
    assert circles(arrows) == []
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"]}) != []


@pytest.mark.parametrize("room", ORDER)
def test_a_folder_holds_what_one_look_takes_in(room: str) -> None:
    for folder in [HOUSE / room, *(path.parent for path in (HOUSE / room).rglob("__init__.py"))]:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]  # it says what the others are
        entries = [*modules, *(path for path in folder.iterdir() if (path / "__init__.py").exists())]
        assert len(entries) <= 25, f"{folder.relative_to(HOUSE)} has {len(entries)} entries"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if room(path) in BARE or (room(path) == "cli" and path.parent.name != CONNECTED)],
    ids=lambda path: str(path.relative_to(HOUSE)),
)
def test_the_closed_side_needs_no_third_party_code(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"mirror"}
    # The one exception: TOML is in the standard library from 3.11 on, and before it is this, which mirror.pyz carries.
    allowed |= {"tomli"} if path == HOUSE / "core" / "toml.py" else set()
    assert {name.split(".")[0] for name in imports(path)} <= allowed


BARE_PARSING = {
    "core/fields.py": "strict_json itself",
    "core/toml.py": "parse_toml itself",
    "core/advisories/record.py": "records of others, which hold floats too; its faults are ValueError, deep nesting too",
    "core/logs/logtext.py": "a line of a collector; one that is no JSON stays as it is, deep nesting too",
    "connected/papers/osv.py": "a server's answer, whose faults are BadReply, deep nesting too",
    "connected/index/simplepage.py": "a server's page with what else indexes add; its faults are BadReply, deep nesting too",
    "connected/papers/sbom.py": "what a library of ours wrote a line before",
    "closed/doctor/host/driverapi.py": "what a child process answers; whatever is wrong in it is one answer, deep nesting too",
    "closed/venv/interpreter.py": "what a program answers; whatever is wrong in it is one answer, deep nesting too",
}
"""Modules that call a parser of JSON or TOML themselves, and why they may."""


def parses(path: Path) -> bool:
    """Whether a module calls ``loads`` or ``load`` of json, tomllib or tomli, under whatever name."""
    tree = ast.parse(path.read_text())
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (alias.name if isinstance(node, ast.Import) else node.module) in ("json", "tomllib", "tomli")
    }
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(
        (isinstance(one, ast.Name) and one.id in names & {"loads", "load"})
        or (isinstance(one, ast.Attribute) and one.attr in ("loads", "load") and ast.unparse(one.value) in names)
        for one in called
    )


def test_documents_are_read_by_strict_json_and_parse_toml() -> None:
    """Elsewhere a document nested too deep, or a number of 5,000 digits, would be a traceback."""
    assert {path.relative_to(HOUSE).as_posix() for path in MODULES if parses(path)} == set(BARE_PARSING)


LOOSE_LOOKS = {"exists", "lexists", "is_dir", "is_file", "is_symlink", "isdir", "isfile", "islink"}
"""They answer "no" also when the system cannot tell, some of them on every Python and the others from 3.14 on."""
REMOVING = {"unlink", "rmdir", "rmtree", "remove", "remove_tree", "remove_below"}
MAY_LOOK = {
    "closed/prefix/tree.py": "a directory's own entry: it raises what it cannot tell, and unlink(2) removes no directory",
    "connected/locking/drafts.py": "a file that is taken for absent is not removed",
    "connected/fetching/store.py": "find, which removes nothing",
    "core/cuda/links.py": "in a tree that we are writing ourselves, and which goes as a whole when something fails",
    "core/system/durable.py": "make_private_directory, which removes nothing",
}
"""Modules that remove something and look loosely for another reason."""


def calls_of(path: Path) -> set[str]:
    """The last names of what a module calls."""
    called = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    methods = {one.attr for one in called if isinstance(one, ast.Attribute)}
    return methods | {one.id for one in called if isinstance(one, ast.Name)}


def test_what_removes_looks_with_facts_of() -> None:
    """Otherwise a disk that cannot answer for a moment would have something removed that is there (SECURITY.md 51)."""
    found = {
        path.relative_to(HOUSE).as_posix()
        for path in MODULES
        if calls_of(path) & REMOVING and calls_of(path) & LOOSE_LOOKS
    }
    assert found - set(MAY_LOOK) == set()
    assert set(MAY_LOOK) - found == set()


MAY_OVERLOOK = {
    "closed/doctor/host/disks.py": "a size, for people",
    "closed/doctor/installed/binaries.py": "a scan, which says how many it read",
    "closed/doctor/installed/cudahome.py": "a finding about what is there",
    "closed/prefix/tree.py": "a size, for people",
    "closed/selftest/compiling.py": "what is not found is not tried, and that is said",
    "connected/building/workshop.py": "a size, for people",
    "core/cuda/links.py": "a tree that we have just written",
}
"""Modules that ask ``os.path`` or walk a tree and go on where the system could not tell, and why they may."""


def overlooks(call: ast.Call) -> bool:
    """Whether a call leaves out in silence what the system could not tell."""
    name = ast.unparse(call.func)
    is_walk = name == "os.walk" and not any(keyword.arg == "onerror" for keyword in call.keywords)
    return is_walk or name in {f"os.path.{look}" for look in LOOSE_LOOKS}


def test_nothing_is_left_out_because_the_system_could_not_tell() -> None:
    """A link that could not be looked at for a moment once stayed out of a generation's seal, which then called it damaged."""
    found = {
        path.relative_to(HOUSE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and overlooks(node)
    }
    assert found == set(MAY_OVERLOOK)


DIGITS = {
    "core/bundle/layout.py": "bytes, of which isdigit knows ASCII's alone",
}
"""Modules that ask ``isdigit`` and the like, and why they may."""


def test_numbers_in_foreign_texts_are_read_by_whole_number() -> None:
    """``isdigit`` is true of a raised 2, on which ``int`` fails, as it does on 5,000 digits."""
    asked = {
        path.relative_to(HOUSE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("isdigit", "isdecimal", "isnumeric")
    }
    assert asked == set(DIGITS)


PACKAGING = ("Requirement", "SpecifierSet", "Version", "Marker", "parse_wheel_filename", "parse_sdist_filename")


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(p) == "connected"], ids=lambda p: str(p.relative_to(HOUSE))
)
def test_foreign_requirements_and_versions_are_read_by_pins_standards(path: Path) -> None:
    """Elsewhere a version with a number of 5,000 digits would be a traceback, perhaps long after it was read."""
    tree = ast.parse(path.read_text())
    ours = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("packaging")
        for alias in node.names
    }
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    if path.name != "standards.py":
        assert not called & ours & set(PACKAGING)


def test_tomli_is_pinned_alike_wherever_it_is_named() -> None:
    project = tomllib.loads((HOUSE.parent / "pyproject.toml").read_text())["project"]
    (wanted,) = {line.partition(";")[0] for line in project["dependencies"] if line.startswith("tomli==")}
    version = wanted.removeprefix("tomli==")
    assert f"tomli-{version}.dist-info/licenses/LICENSE" in (HOUSE / "connected" / "tomli.txt").read_text()
    assert wanted in (HOUSE / "connected" / "packing" / "installer.py").read_text()


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


def test_each_error_has_a_ref_of_its_own_and_a_next_step() -> None:
    seen: dict[str, type[MirrorError]] = {}
    for error in errors():
        assert seen.setdefault(error.ref, error) is error, (
            f"{error.__name__} and {seen[error.ref].__name__} share a ref"
        )
        assert error.hint, f"{error.__name__} says no next step"


def faults_of_codes(found: Iterable[type[MirrorError]]) -> list[str]:
    """What is wrong with the exit codes of errors: a code is one error's own, or its family's."""
    owners: dict[int, str] = {}
    faults = []
    for error in found:
        if error.exit_code in FAMILIES.values():
            continue
        if not (10 <= error.exit_code <= 125 or error.exit_code in (1, 2, 129, 130, 143)):
            faults.append(f"{error.ref}: {error.exit_code} is no exit code of ours")
        if owners.setdefault(error.exit_code, error.ref) != error.ref:
            faults.append(f"{owners[error.exit_code]} and {error.ref} share {error.exit_code}")
    return faults


def test_an_exit_code_is_one_errors_own_or_its_familys() -> None:
    assert faults_of_codes(errors()) == []
    assert sorted(FAMILIES.values()) == list(range(3, 10))


def test_a_new_error_needs_no_code_of_its_own() -> None:
    one, other, copied, unset = (
        type(ref, (MirrorError,), {"__module__": "elsewhere", "ref": ref, "exit_code": code})
        for ref, code in (("a", FAMILIES["trust"]), ("b", FAMILIES["trust"]), ("c", 14), ("d", 0))
    )
    assert faults_of_codes([*errors(), one, other]) == []
    assert faults_of_codes([*errors(), copied, unset]) == [
        "digest-mismatch and c share 14",
        "d: 0 is no exit code of ours",
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_a_docstring_says_what_a_module_does_rather_than_whose_a_thing_is(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert re.findall(r"``mirror\.[\w.]+``'s?(?!\w)", said) == []


def test_a_unit_test_cannot_leave_the_machine() -> None:
    with pytest.raises(RuntimeError, match=r"192\.0\.2\.1"), socket.socket() as probe:
        probe.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_what_an_error_of_the_system_names_is_asked_for_in_one_way(path: Path) -> None:
    """Its ``filename`` may be a number (``place_of``)."""
    if path.name == "errors.py":
        return
    assert not re.search(r"\.filename or |fsdecode\(exc\.filename", path.read_text()), path


PACKAGES = [path.parent for path in MODULES if path.name == "__init__.py" and path.parts[-3] != "commands"]
"""But those of the commands, which ``mirror.core.commands`` names."""


def entries(package: Path) -> set[str]:
    """The modules and sub-packages of a package."""
    inside = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    return {path.stem for path in inside} - {"__init__", "__main__"}


def named(package: Path) -> set[str]:
    """What the docstring of a package has in backticks."""
    said = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return set(re.findall(r"``([^`\n]+)``", said))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(HOUSE.parent)))
def test_a_package_names_every_module_in_it(package: Path) -> None:
    assert sorted(entries(package) - {name.split(".")[0] for name in named(package)}) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(HOUSE.parent)))
def test_a_package_names_no_module_that_is_not_there(package: Path) -> None:
    """Names in small letters are its own modules, those of a package in it, or libraries; others are named in full."""
    known = entries(package).union(*(entries(package / one) for one in entries(package) if (package / one).is_dir()))
    names = {name for name in named(package) if name.startswith("mirror.") or re.fullmatch(r"[a-z][a-z_0-9]*", name)}
    assert sorted(name for name in names - known if importlib.util.find_spec(name) is None) == []


@pytest.mark.parametrize(
    "package",
    sorted({path.parent for path in MODULES if path.name != "__init__.py"} - {HOUSE}),
    ids=lambda path: str(path.relative_to(HOUSE)),
)
def test_the_tests_of_a_package_lie_in_its_counterpart(package: Path) -> None:
    assert list((HOUSE.parent / "tests" / "unit" / package.relative_to(HOUSE)).glob("test_*.py")) != []


BUSINESS = re.compile(r"(?:'s?|\bno|\bown) business\b|\w's? to (?:say|judge|decide|tell|find|name|copy)\b")
"""Sentences that say whose a thing is, where they could say who does it."""


def test_sentences_say_who_does_a_thing_rather_than_whose_it_is() -> None:
    others = [*(HOUSE.parent / "scripts").rglob("*.py"), *(HOUSE.parent / "tests" / "support").rglob("*.py")]
    said = ((path, found[0]) for path in (*MODULES, *others) for found in BUSINESS.finditer(path.read_text()))
    assert [(path.name, words) for path, words in said] == []
    assert BUSINESS.search("which is the caller's business") and BUSINESS.search(
        "whose an RPM is, is core.rpm's to say"
    )


ANSWER_STOPS = {"cli/main.py", "cli/start.py", "cli/commands/closed/serve.py"}
"""Who may keep an interruption: it is told, or it is how the command ends."""
_STOPS = {"BaseException", "KeyboardInterrupt", "SystemExit", "Stopped", "GeneratorExit"}


def test_being_stopped_is_nothing_that_a_handler_which_goes_on_catches() -> None:
    """Ctrl-C, SIGTERM and the end of a crew come up as what is no ``Exception``, and so as no ``MirrorError``."""
    for stop in (KeyboardInterrupt, failure.Stopped, Stopped):
        assert issubclass(stop, BaseException) and not issubclass(stop, Exception)
    made = re.compile(r"\b(Interrupted|Terminated|HungUp)\b")
    assert [path for path in MODULES if made.search(path.read_text())] == [HOUSE / "cli/failure.py"]


def test_threads_that_work_together_are_crews() -> None:
    """A pool of the standard library does all that was handed to it before it lets Ctrl-C out."""
    pools = re.compile(r"\b(?:Thread|Process)PoolExecutor\b|\bmultiprocessing\b")
    using = {
        str(path.relative_to(HOUSE))
        for path in MODULES
        for name in ast.walk(ast.parse(path.read_text()))
        if isinstance(name, (ast.Name, ast.Import, ast.ImportFrom)) and pools.search(ast.unparse(name))
    }
    assert using == {"core/system/crew.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_no_handler_that_goes_on_catches_more_than_failures(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught, goes_on = node.type, not any(isinstance(inner, ast.Raise) for inner in node.body)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught, goes_on = ast.Tuple(node.args), True
        else:
            continue
        names = {ast.unparse(one).rpartition(".")[2] for one in getattr(caught, "elts", [caught]) if one}
        if goes_on and str(path.relative_to(HOUSE)) not in ANSWER_STOPS:
            assert caught is not None and not names & _STOPS, f"{path}:{node.lineno} keeps an interruption"


def test_text_is_read_and_written_by_a_codec_that_is_there_from_the_start() -> None:
    """Python imports any but UTF-8 at its first use, and an error of the disk is then an encoding that nobody knows."""
    other = re.compile(r"(?:read_text|write_text|open)\([^\n]*[\"'](?:us-)?(?:ascii|latin-?1|cp\d+)[\"']")
    assert [(path.name, found[0]) for path in MODULES if (found := other.search(path.read_text()))] == []
    assert other.search('place.read_text("ascii", "replace")')


def test_no_tool_passes_over_a_directory_of_ours(pytestconfig: pytest.Config) -> None:
    """By default pytest and ruff leave out what is called venv or build; a package of ours is called so, and its tests are."""
    root = HOUSE.parent
    sources = {path for top in (HOUSE, root / "tests") for path in top.rglob("*.py")}
    patterns = pytestconfig.getini("norecursedirs")
    names = {name for path in sources for name in path.relative_to(root).parent.parts}
    assert [name for name in sorted(names) if any(fnmatch(name, pattern) for pattern in patterns)] == []
    command = [sys.executable, "-m", "ruff", "check", "--show-files", "."]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sources - set(map(Path, shown)) == set()
