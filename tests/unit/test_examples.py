"""Every ``Example::`` of a docstring holds today: what it names exists, its calls bind, and its attributes are there.

The blocks are handed to mypy, each as a function with the names of its module; what a block leaves open (``stack``, ``store``)
is of any type. Lines with ``>>>`` are run.
"""

from __future__ import annotations

import ast
import builtins
import doctest
import importlib
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from mypy import api

from mirror.connected.stack.stack import Stack
from mirror.connected.stack.targets import for_target
from mirror.core.fields import Fields
from mirror.core.target import Target
from mirror.core.toml import parse_toml
from tests.unit.test_house import HOUSE, MODULES

STANDARD = {
    "Path": "from pathlib import Path",
    "Requirement": "from packaging.requirements import Requirement",
    **{name: f"import {name}" for name in ("functools", "io", "os", "sys", "time")},
}
"""Names that examples use without an import of their own."""


LEAST = """\
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.34"
gpu = "sm_90a"
cuda = "13.0"
[python]
requirements = ["vllm==0.17.1", "setuptools"]
build = ["vllm"]
"""


class Example(NamedTuple):
    """A block, the module that it is in, and a name for it."""

    module: str
    place: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


SCRIPTS = HOUSE.parent / "scripts"
SOURCES = [*MODULES, *sorted(SCRIPTS.rglob("*.py"))]


def module_name(path: Path) -> str:
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def blocks(docstring: str) -> Iterator[str]:
    """What is indented below each ``Example::``."""
    lines = docstring.splitlines()
    for number, line in enumerate(lines):
        if line.strip().endswith("Example::"):
            depth = len(line) - len(line.lstrip())
            below = lines[number + 1 :]
            inside = (row for row, text in enumerate(below) if text.strip() and len(text) - len(text.lstrip()) <= depth)
            yield textwrap.dedent("\n".join(below[: next(inside, len(below))])).strip("\n")


def is_toml(text: str) -> bool:
    """By its first line, the header of a table."""
    return bool(re.match(r"\[+[a-z.]+\]+ *(#.*)?$", text, re.MULTILINE))


def is_typed(text: str) -> bool:
    """Whether people type it into a shell."""
    return text.startswith(("python ", "python3 "))


def examples() -> Iterator[Example]:
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                for text in blocks(ast.get_docstring(node) or ""):
                    name = node.name if not isinstance(node, ast.Module) else ""
                    if ">>>" not in text:
                        yield Example(module_name(path), f"{module_name(path)} {name}".strip(), text)


EVERY = list(examples())
EXAMPLES = [one for one in EVERY if not is_toml(one.text) and not is_typed(one.text)]


def homes() -> dict[str, set[str]]:
    """Where each name of the house is defined."""
    found = defaultdict(set)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name].add(module_name(path))
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        found[target.id].add(module_name(path))
    return found


def names(tree: ast.AST, kind: type[ast.expr_context]) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, kind)}


def open_names(example: Example) -> set[str]:
    """What a block reads and does not make itself."""
    made = names(example.tree, ast.Store) | {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(example.tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    made |= {node.name for node in ast.walk(example.tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    return names(example.tree, ast.Load) - made - set(dir(builtins))


def source(example: Example, number: int, where: dict[str, set[str]]) -> str:
    """The block as a function, its names imported; what it leaves open is a parameter, unless it is called or a class."""
    module = importlib.import_module(example.module)
    called = {
        node.func.id
        for node in ast.walk(example.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    given, head = [], []
    for name in sorted(open_names(example)):
        homes_of_name = where.get(name, set())
        if name in vars(module):
            head.append(f"from {example.module} import {name}")
        elif name in STANDARD:
            head.append(STANDARD[name])
        elif name[0].isupper() or name in called:
            # Left undefined when nobody defines it: that is a complaint too.
            head += [f"from {min(homes_of_name)} import {name}"] if len(homes_of_name) == 1 else []
        else:
            given.append(f"{name}: Any")
    body = [*head, *example.text.splitlines()]
    return "\n".join([f"def example_{number}({', '.join(given)}) -> Any:", *(f"    {line}" for line in body), ""])


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 150


@pytest.fixture(scope="module")
def complaints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says of each example."""
    where = homes()
    path = tmp_path_factory.mktemp("examples") / "examples_of_mirror.py"
    lines, owner = ["from __future__ import annotations", "from typing import Any"], ["", ""]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)  # as where a script is run
        for number, example in enumerate(EXAMPLES):
            new = source(example, number, where).splitlines()
            lines += new
            owner += [example.place] * len(new)
    path.write_text("\n".join(lines) + "\n")
    cache = HOUSE.parent / ".mypy_cache" / "examples"
    silent = ["--follow-imports=silent", "--ignore-missing-imports", "--no-strict-optional", "--no-error-summary"]
    strict = ["--python-version=3.11", "--check-untyped-defs", "--show-absolute-path"]
    out, err, _ = api.run([str(path), "--config-file=", *strict, *silent, f"--cache-dir={cache}"])
    assert not err
    found: dict[str, list[str]] = defaultdict(list)
    for line in out.splitlines():
        _, row, words = line.removeprefix(str(path)).split(":", 2)
        found[owner[int(row) - 1]].append(f"{lines[int(row) - 1].strip()}   -> {words.strip()}")
    return found


@pytest.mark.parametrize("example", [one for one in EVERY if is_toml(one.text)], ids=lambda example: example.place)
def test_an_example_of_a_table_is_read(example: Example, tmp_path: Path) -> None:
    """In the least NAME.toml that it can stand in."""
    document = parse_toml(example.text.encode(), example.place, 1 << 20)
    for name in document.get("targets", ()):
        assert Target.from_fields(Fields(for_target(document, name, "", "")["target"], "")).python
    if "targets" not in document:
        (tmp_path / "patches").mkdir()
        (tmp_path / "patches" / "vllm-one-gpu.diff").write_text("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n")
        (tmp_path / "example.toml").write_text(LEAST + example.text.replace('"..."', f'"{0:064}"'))
        assert Stack.load(tmp_path / "example.toml").name == "example"


@pytest.mark.parametrize("example", [one for one in EVERY if is_typed(one.text)], ids=lambda example: example.place)
def test_what_an_example_types_is_there(example: Example) -> None:
    folder = HOUSE.parent.joinpath(*example.module.split(".")[:-1])
    assert all((folder / line.split()[1]).is_file() for line in example.text.splitlines())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_an_example_fits_the_code(example: Example, complaints: dict[str, list[str]]) -> None:
    assert not complaints[example.place], "\n".join(complaints[example.place])


@pytest.mark.parametrize(
    "path", [path for path in MODULES if ">>> " in path.read_text()], ids=lambda path: str(path.relative_to(HOUSE))
)
def test_doctest_lines_say_what_happens(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    assert doctest.testmod(module).failed == 0
