"""A kind of artifact is spelt in its own modules: whoever else speaks of one asks it, or loops over the registry."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mirror
from mirror.core import kinds
from mirror.core.kinds import KINDS, Kind

TOP = Path(mirror.__file__).parent.parent
DIRECTORIES = {kind.directory for kind in KINDS}
WORDS = DIRECTORIES | {kind.name for kind in KINDS}


def sources() -> Iterator[Path]:
    yield from sorted((TOP / "mirror").rglob("*.py"))
    for path in sorted((TOP / "scripts").rglob("*")):
        if path.suffix == ".py" or (path.is_file() and re.match(rb"#!.*python", path.read_bytes()[:64])):
            yield path


TREES = {path.relative_to(TOP).as_posix(): ast.parse(path.read_text()) for path in sources()}

FIELDS = {
    "all_checked", "checked", "fail", "flag", "get", "once_in_order", "only", "pop", "setdefault", "table", "table_lines",
    "tables", "take", "text", "texts",
}  # fmt: skip
"""Methods that are given the name of a document's field."""
UNITS = {"counted", "task", "NothingToGive"}
"""They are given a word for people: "3 files"."""

EVERYDAY = {
    "file": "a URL's scheme, a command's argument, a field",
    "files": "a family of exit codes, what is counted, a layer's own directory",
    "python": "a program, a table of NAME.toml, what a target promises",
}
"""Kinds' words that mean other things as well: judged only where a kind is spoken of."""

COINCIDENCES = {
    ("mirror/connected/building/builder.py", "wheel"): "what a backend is asked to build (PEP 517)",
    ("mirror/connected/stack/buildsettings.py", "archive"): "a key of [build.NAME]: a project's own source",
    ("mirror/connected/locking/interpreter.py", "archive"): "a table of its lock",
    ("mirror/connected/models/modellock.py", "model"): "a table of its lock",
    ("mirror/connected/index/indexfile.py", "wheel"): "a file of an index, which has sdists as well",
    ("mirror/connected/resolving/pinning.py", "wheel"): "the project of that name",
    ("scripts/bench_jobs/figure.py", "wheels"): "an axis of a figure",
    ("mirror/core/logs/symptoms/load.py", "wheel"): "a symptom's subject",
    ("scripts/hopper_proof/fault.py", "model"): "a word of a server's log",
    ("scripts/hopper_proof/make.py", "model"): "a directory whose files the proof's stack takes as files",
}
"""Words that mean something else where they stand."""


def name_of(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def literals(tree: ast.AST) -> Iterator[tuple[ast.Constant, str, list[ast.AST]]]:
    """Each text of a source that is no docstring, and what it stands in up to its statement, the innermost first."""
    queue: list[tuple[ast.AST, list[ast.AST]]] = [(tree, [])]
    while queue:
        node, above = queue.pop()
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not isinstance(above[0], ast.Expr):
            yield node, node.value, above
        inner: list[ast.AST] = [node] if isinstance(node, (ast.stmt, ast.mod)) else [node, *above]
        queue += [(child, inner) for child in ast.iter_child_nodes(node)]


def is_table_of_kinds(node: ast.AST) -> bool:
    """Whether two or more kinds are listed in it, or nothing but kinds are its keys."""
    if isinstance(node, ast.Dict):
        return len(node.keys) > 1 and all(isinstance(key, ast.Constant) and key.value in WORDS for key in node.keys)
    named = {one.value for one in ast.iter_child_nodes(node) if isinstance(one, ast.Constant)} & WORDS
    return isinstance(node, (ast.Tuple, ast.Set, ast.List)) and len(named) > 1


def is_a_fields_name(node: ast.AST, above: list[ast.AST]) -> bool:
    """Whether it names a field of a document, or is a word for people."""
    first = next(one for one in above if not isinstance(one, (ast.Tuple, ast.IfExp, ast.Starred)))
    if isinstance(first, ast.Call):
        return name_of(first.func) in FIELDS | UNITS
    if isinstance(first, ast.Compare):
        return first.left is node and isinstance(first.ops[0], (ast.In, ast.NotIn))
    return isinstance(first, ast.Subscript) or (isinstance(first, ast.Dict) and node in first.keys)


def speaks_of_a_kind(above: list[ast.AST]) -> bool:
    """Whether a kind or a directory is compared, asked for or made a table of."""
    first = next(one for one in above if not isinstance(one, (ast.Tuple, ast.Set, ast.List)))
    if isinstance(first, ast.Call):
        return name_of(first.func) in ("of", "within", "kind_of", "kind_named")
    return isinstance(first, ast.Compare) and bool({name_of(one) for one in ast.walk(first)} & {"kind", "directory"})


def faults(place: str, tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Each word, and where it stands."""
    for node, text, above in literals(tree):
        is_path = "/" in text and text.partition("/")[0] in DIRECTORIES
        is_word = text in WORDS and not is_a_fields_name(node, above)
        is_kind = is_word and (text not in EVERYDAY or speaks_of_a_kind(above))
        if is_path or is_kind or (text in WORDS and is_table_of_kinds(above[0])):
            yield text, f"{place}:{node.lineno}: {text!r} in {ast.unparse(above[0])[:100]}"


REGISTRIES = {"mirror/connected/stack/tables.py": "which table of NAME.toml wishes for which kind"}
"""What holds a line for each kind beside ``kinds``."""


def test_a_kinds_directory_and_name_stand_in_its_own_modules() -> None:
    others = {place: tree for place, tree in TREES.items() if "/kinds/" not in place and place not in REGISTRIES}
    found = {(place, word): fault for place, tree in others.items() for word, fault in faults(place, tree)}
    assert [fault for key, fault in found.items() if key not in COINCIDENCES] == []
    assert set(COINCIDENCES) - set(found) == set()


@pytest.mark.parametrize(
    "source",
    [
        'OURS = "tool/mirror.pyz"',
        'path.startswith(f"rpms/{name}")',
        'made = directory / "wheels"',
        'if artifact.kind.name == "file": ...',
        'if facts.kind in ("rpm", "archive"): ...',
        'unpack(manifest.within("python"))',
        'ORDER = {"file": 1, "model": 2}',
    ],
)
def test_each_way_to_spell_one_elsewhere_is_found(source: str) -> None:
    assert [fault for _, fault in faults("somewhere.py", ast.parse(source))] != []


@pytest.mark.parametrize(
    "source", ['"""rpms/ are RPMs."""', 'table.text("wheel")', 'counted(2, "file")', 'Path("bin", "python")']
)
def test_words_that_only_coincide_are_not(source: str) -> None:
    assert list(faults("somewhere.py", ast.parse(source))) == []


NAMED = {
    "core/toolkit/carried.py": "reads both lists of a toolchain's packages",
    "connected/stack": "where each kind is wished for",
    "connected/locking/interpreter.py": "where interpreters are pinned",
    "connected/toolchain": "where RPMs and archives are pinned",
    "connected/models": "where models are pinned",
    "connected/planning/pinned_files.py": "what a Python lock pins is wheels, but for the installer's tools",
    "connected/building": "what is built is wheels; an interpreter is tried before it is carried",
    "connected/contents": "reads what is inside each kind",
    "review/kinds": "the registry of what is looked at again",
    "closed/site": "an RPM repository",
    "closed/prefix/generations.py": "where a carried Python is unpacked",
    "closed/soundness.py": "whose file is damaged, by where it lies",
    "closed/selftest/compiling.py": "names what is missing as its source calls it",
    "closed/doctor/trial.py": "the same",
}
"""Who names one of the kinds besides those kinds' own modules, and why."""


def test_a_kind_is_named_in_its_own_modules() -> None:
    """Whoever else asks has views of a manifest and a stack (``manifest.wheels``, ``stack.toolchain``), what ``Kind`` says, or
    loops over a registry."""
    words = {name for name, value in vars(kinds).items() if isinstance(value, Kind)}
    assert len(words) == len(KINDS)
    named = set()
    for place, tree in TREES.items():
        taken = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "mirror.core.kinds"
            for alias in node.names
        }
        inside = place.partition("/")[2]
        if taken & words and place.startswith("mirror/") and not re.search(r"(connected|closed)/kinds/", inside):
            named.add(next((known for known in NAMED if inside.startswith(known)), inside))
    assert named == set(NAMED)
