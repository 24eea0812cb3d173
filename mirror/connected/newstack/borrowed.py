"""Wishes borrowed from a file that a project has already: what ``mirror init --from FILE`` takes over.

It reads requirements files (``.txt``, ``.in``, with what they include), ``pyproject.toml`` (``[project]``, PEP 621) and
``pylock.toml`` (PEP 751). ``mirror.connected.newstack.draft`` writes the stack's file.

Rules: what cannot be taken over is told, each with the reason, and never dropped in silence; no URL with credentials is copied;
a ``pylock.toml`` is read for the target, as its own installer would for that machine.

Example::

    wanted = borrow(Path("requirements.in"), Target("3.11", "x86_64", "2.31"))
    wanted.requirements     # ("vllm==0.25.1", "flashinfer-python")
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.markers import InvalidMarker
from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError
from packaging.requirements import InvalidRequirement, Requirement

from mirror.connected.fetching.download import clean_url
from mirror.connected.pins.foreign import foreign_file
from mirror.connected.pins.markers import environment, holds
from mirror.connected.pins.requirements import logical_lines
from mirror.connected.pins.standards import read_requirement, read_version
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import index_url, project_name
from mirror.core.system.durable import read_file
from mirror.core.target import Target
from mirror.core.toml import parse_toml

_MAX_BYTES = 16 << 20

_HASH = re.compile(r"\s--hash[= ]\S+")
_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z-]*)(?:[= ]\s*|(?<=-[a-z]))?(.*)")
_INCLUDES = {"-r": "requirements", "--requirement": "requirements", "-c": "constraints", "--constraint": "constraints"}
_HARMLESS = ("--require-hashes", "--prefer-binary", "--no-binary", "--only-binary", "--trusted-host", "--use-feature")


@dataclass
class Borrowed:
    """What a file asks for.

    Attributes:
        requirements, constraints: as requirement strings, in the file's order.
        requires_python: the Pythons that the project is for; empty for all.
        index: the default index that the file names; empty for none.
        extra_index: the first further one.
        left_out: what was not taken over, each with the reason.
    """

    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    requires_python: str = ""
    index: str = ""
    extra_index: str = ""
    left_out: list[str] = field(default_factory=list)

    def add(self, text: str, group: str = "requirements") -> None:
        """Take a requirement over, or say why not."""
        try:
            requirement = read_requirement(text)
        except InvalidRequirement:
            return self.left_out.append(_no_requirement(text))
        if requirement.url:
            return self.left_out.append(f"{requirement.name} (it names a URL; requirements come from an index)")
        wishes: list[str] = getattr(self, group)
        if str(requirement) in wishes or (_is_bare(requirement) and any(_covers(one, requirement) for one in wishes)):
            return None
        wishes[:] = [
            one
            for one in wishes
            if not (_is_bare(read_requirement(one)) and _covers(str(requirement), read_requirement(one)))
        ]
        wishes.append(str(requirement))
        return None

    def from_extra_index(self) -> tuple[str, ...]:
        """Projects that only the further index can have: those pinned to a local version, ``2.11.0+cu130``."""
        if not self.extra_index:
            return ()
        parsed = map(Requirement, self.requirements)
        return tuple(dict.fromkeys(project_name(one.name) for one in parsed if "+" in str(one.specifier)))


def _is_bare(requirement: Requirement) -> bool:
    """Whether it is a project's name and nothing more."""
    return not (requirement.specifier or requirement.extras or requirement.marker)


def _covers(wish: str, bare: Requirement) -> bool:
    """Whether a wish asks for the project of a bare one everywhere, so that the bare one says nothing more."""
    other = read_requirement(wish)
    return project_name(other.name) == project_name(bare.name) and not other.marker


def _no_requirement(text: str) -> str:
    """What is said of a line that is no requirement. The whole line is never told: it may be a URL with a password in it."""
    words = text.split(" ")[0]
    egg = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", words)
    if "://" in words:
        try:
            parts = urlsplit(words)
        except ValueError:
            return "a URL that cannot be read (requirements come from an index)"
        name = egg[1] if egg else parts.path.rstrip("/").rpartition("/")[2] or parts.netloc.rpartition("@")[2]
        return f"{name[:60]} (it is a URL; requirements come from an index)"
    if "/" in words or words.endswith((".whl", ".tar.gz", ".zip")):
        return f"{words.rstrip('/').rpartition('/')[2][:60]} (it is a path; put its wheel on an index)"
    return f"{re.split('[@:]', words)[0][:60]} (no requirement on a version of an index)"


def refuse_two_pins(found: Borrowed, source: str, target: Target) -> None:
    """Refuse two exact versions of one project that are both for the target. Raises InvalidDocument."""
    pins: dict[str, str] = {}
    for one in map(Requirement, found.requirements):
        exact = [each.version for each in one.specifier if each.operator == "==" and not each.version.endswith(".*")]
        if not exact or (one.marker and not one.marker.evaluate(environment(target))):
            continue
        name, version = project_name(one.name), exact[0]
        if read_version(pins.setdefault(name, version)) != read_version(version):
            raise InvalidDocument(
                source, "", f"it pins {name} to {pins[name]} and to {version}; keep one of them"
            ).advised(
                "Leave one of the two out, in the file or on the command line, whichever has it. Nothing was written."
            )


def borrow(path: Path, target: Target) -> Borrowed:
    """Read a file's wishes for a target.

    Raises:
        Unreadable: when it cannot be read, or is of a kind that is not.
        InvalidDocument: when it breaks the rules of its kind.
    """
    if path.suffix != ".toml" and (told := foreign_file(path.name, "")):
        raise Unreadable(str(path), f"it is {told.what}").advised(told.step)
    if path.suffix in (".yml", ".yaml"):
        raise Unreadable(str(path), "conda's environments are not read; write their pip part as a requirements file")
    if path.suffix != ".toml":
        found = Borrowed()
        _read_requirements(path, found, "requirements", frozenset())
    else:
        document = _document(path)
        found = _pylock(document, path, target) if "lock-version" in document else _project(document, path)
    refuse_two_pins(found, str(path), target)
    return found


def required_python(path: Path) -> str:
    """Which Pythons a file is for, as far as it says. Raises as ``borrow``."""
    if path.suffix != ".toml":
        return ""
    document = _document(path)
    project = document.get("project")
    said = project.get("requires-python", "") if isinstance(project, dict) else document.get("requires-python", "")
    return said if isinstance(said, str) else ""


def _text(path: Path) -> str:
    try:
        return read_file(path, _MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Unreadable(str(path), f"it is not UTF-8: {exc}") from exc


def _document(path: Path) -> dict[str, Any]:
    return parse_toml(_text(path).encode(), str(path), _MAX_BYTES)


def _read_requirements(path: Path, found: Borrowed, group: str, above: frozenset[Path]) -> None:
    """Read a requirements file and what it includes; ``above`` are the files that led here."""
    if path.resolve() in above:
        raise InvalidDocument(str(path), "", "it includes itself")
    for _, line, _ in logical_lines(_text(path)):
        option = _OPTION.fullmatch(line)
        if line.startswith("#"):
            continue
        if not option:
            found.add(_HASH.sub("", f" {line}").strip(), group)
            continue
        name, value = option[1], option[2].strip().strip("'\"")
        if name in _INCLUDES:
            into = _INCLUDES[name] if group == "requirements" else group
            _read_requirements(path.parent / value, found, into, above | {path.resolve()})
        else:
            _option(name, value, found)


def _option(name: str, value: str, found: Borrowed) -> None:
    if name in ("-i", "--index-url", "--extra-index-url"):
        try:
            url = index_url(clean_url(value))
        except ValueError:
            found.left_out.append(f"{name} (its URL holds credentials or a query, or is none: put them in ~/.netrc)")
            return
        if name == "--extra-index-url":
            found.extra_index = found.extra_index or url
        else:
            found.index = url
    elif name in ("-e", "--editable"):
        found.left_out.append("an editable project (build its wheel and put it on an index)")
    elif name not in _HARMLESS:
        found.left_out.append(f"{name} (no such thing in a stack)")


def _project(document: dict[str, Any], path: Path) -> Borrowed:
    """``[project]`` of a pyproject.toml."""
    project = document.get("project")
    if not isinstance(project, dict):
        raise InvalidDocument(
            str(path), "project", "missing: a project's requirements are read from [project] (PEP 621)"
        )
    dynamic, dependencies = project.get("dynamic", []), project.get("dependencies", [])
    if "dependencies" in dynamic:
        raise InvalidDocument(
            str(path), "project.dynamic", "the dependencies are computed by the project's build, not written"
        )
    if not isinstance(dependencies, list) or not all(isinstance(one, str) for one in dependencies):
        raise InvalidDocument(str(path), "project.dependencies", "expected a list of requirements")
    found = Borrowed(requires_python=required_python(path))
    for text in dependencies:
        found.add(text)
    found.left_out += _groups(document, project)
    return found


def _groups(document: dict[str, Any], project: dict[str, Any]) -> Iterator[str]:
    for table, words in (
        (project.get("optional-dependencies"), "an extra: write what you need of it into requirements"),
        (document.get("dependency-groups"), "a dependency group: write what you need of it into requirements"),
    ):
        yield from (f"{name} ({words})" for name in table or ())


def _pylock(document: dict[str, Any], path: Path, target: Target) -> Borrowed:
    """The packages of a pylock.toml that its installer would take on the target."""
    try:
        pylock = Pylock.from_dict(document)
    except (
        PylockValidationError,
        PylockUnsupportedVersionError,
        ValueError,
    ) as exc:  # a number of 5,000 digits is the last
        raise InvalidDocument(str(path), "", str(exc)) from exc
    values, groups = environment(target), pylock.default_groups or ()
    found = Borrowed(requires_python=str(pylock.requires_python or ""))
    for index, package in enumerate(pylock.packages):
        try:
            is_meant = not package.marker or holds(str(package.marker), values, groups=groups)
        except InvalidMarker as exc:
            raise InvalidDocument(str(path), f"packages[{index}].marker", str(exc)) from exc
        if not is_meant:
            found.left_out.append(f"{package.name} (its marker does not hold on the target: {package.marker})")
        elif not package.version or package.vcs or package.directory or package.archive:
            found.left_out.append(f"{package.name} (it is no version of an index)")
        else:
            found.add(f"{package.name}=={package.version}")
    return found
