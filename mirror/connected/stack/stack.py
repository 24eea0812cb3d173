"""A stack: what a person writes in ``lockfiles/NAME.toml``.

It holds wishes (requirements, and what ``mirror.connected.stack.tables`` reads for the other kinds), never their resolution:
that is in the lock files beside it (``mirror.connected.lock``). The closed side never reads this file; what it needs is in
the signed manifest.

Rules: unknown keys are refused, so that a misspelt wish is never silently dropped; every fault names its path in the file;
URLs carry no credentials, because the file is copied into the bundle.

Example::

    stack = Stack.load(Path("lockfiles/h100.toml"))
    stack.target.python     # "3.11"
    stack.index_of(project_name("flashinfer-jit-cache"))
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from mirror.connected.fetching.download import clean_url
from mirror.connected.pins.requirements import exact_version
from mirror.connected.pins.standards import read_requirement
from mirror.connected.stack.buildsettings import BuildSettings, OwnSource, read_settings
from mirror.connected.stack.tables import TABLES, read_tables
from mirror.connected.stack.targets import for_target
from mirror.connected.stack.toolchain import ToolchainWishes
from mirror.connected.stack.waivers import read_waivers
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.kinds import Kind
from mirror.core.names import ProjectName, index_url, project_name, sha256_hex
from mirror.core.stackfiles import own_name, written
from mirror.core.system.durable import read_file
from mirror.core.target import Target
from mirror.core.toml import parse_toml
from mirror.core.vetting.rules import ProjectWaiver

_PYTHON_KEYS = (
    "requirements",
    "optional",
    "constraints",
    "build",
    "without",
    "host_packages",
    "imports",
    "cutoff",
    "index",
)
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Stack:
    """One ``NAME.toml``.

    Attributes:
        name: the file's stem; it names the lock files and the prefix on the closed side.
        target: the machine it is for.
        requirements: what must be installed.
        optional: what is installed when its index can be reached at lock time, and done without otherwise.
        constraints: version limits on projects that something else asks for.
        build: projects built for the target from their sdist, or from an archive that their settings name.
        without: projects that the closed host brings itself, or does without: neither locked nor carried, nor what only
            they need.
        host_packages: whether the venv sees what ``without`` leaves out among the packages of the host's Python.
        imports: modules that must import from the installed venv.
        cutoff: only files uploaded before this time are seen (an index that gives no upload times then offers nothing).
        indexes: index URLs by their name in the file; the one named ``default`` is used for all that is in no other.
        pages: names of those that are one page of links, as pip's ``--find-links`` reads it, and no simple index.
        single: names of those that are one file, pinned by its digest: its URL, with ``#sha256=`` and the digest.
        index_names: which index a project comes from; a project that is not named comes from the default index.
        settings: build settings by project.
        waivers: what the vetting of its wheels finds and somebody accepts.
        wishes: of the kinds that have a table of their own (``mirror.connected.stack.tables``), as far as they are wished for.
        file: the name of the file that it is written in: ``NAME.toml``, also where ``name`` is ``NAME.TARGET``.
        digest: sha256 of the file's bytes, which travel in the bundle; empty for a stack that was never a file.
    """

    name: str
    target: Target
    requirements: tuple[Requirement, ...]
    optional: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    build: tuple[ProjectName, ...] = ()
    without: tuple[ProjectName, ...] = ()
    host_packages: bool = False
    imports: tuple[str, ...] = ()
    cutoff: datetime | None = None
    indexes: Mapping[str, str] = field(default_factory=dict)
    pages: frozenset[str] = frozenset()
    single: frozenset[str] = frozenset()
    index_names: Mapping[ProjectName, str] = field(default_factory=dict)
    settings: Mapping[ProjectName, BuildSettings] = field(default_factory=dict)
    waivers: tuple[ProjectWaiver, ...] = ()
    wishes: Mapping[Kind, Any] = field(default_factory=dict)
    file: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", self.file or f"{self.name}.toml")

    @classmethod
    def load(cls, path: Path) -> Stack:
        """Read a stack's file; the stack takes the file's stem as its name.

        Args:
            path: ``NAME.toml``; ``NAME.TARGET.toml`` for one of the several targets that ``NAME.toml`` is for.

        Raises:
            Unreadable: when the file cannot be read.
            InvalidDocument: when it is not TOML or breaks a rule, with the path to the fault.
        """
        file, target = written(path)
        data, document = _load(file)
        document = for_target(document, target, str(file), file.stem)
        stack = cls.from_dict(document, path.stem, str(file), path.parent)
        return replace(stack, file=file.name, digest=hashlib.sha256(data).hexdigest())

    @classmethod
    def from_dict(
        cls, document: Mapping[str, Any], name: str, source: str = "NAME.toml", directory: Path = Path()
    ) -> Stack:
        """Check a parsed file. ``source`` names it in errors; paths in it begin at ``directory``.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        try:
            own_name(name)
        except ValueError as exc:
            error = InvalidDocument(source, "", f"the file's name is the stack's: {exc}")
            raise error.advised(
                "Give the file another name, and with it those of its locks that lie beside it."
            ) from exc
        fields = Fields(dict(document), source)
        fields.only("target", "python", "indexes", "build", "waiver", *(one.name for one in TABLES))
        target = Target.from_fields(fields.table("target"))
        wishes = read_tables(fields, target, directory)
        indexes, pages, single = _indexes(fields.table("indexes"))
        python = fields.table("python")
        python.only(*_PYTHON_KEYS)
        if "requirements" not in python:
            python.fail("requirements", "missing")
        settings = read_settings(fields.table("build"), directory, _requirement)
        stack = cls(
            name=name,
            target=target,
            requirements=python.all_checked("requirements", _requirement),
            optional=python.all_checked("optional", _requirement),
            constraints=python.all_checked("constraints", _requirement),
            build=python.all_checked("build", project_name),
            without=python.all_checked("without", project_name),
            host_packages=python.flag("host_packages", False),
            imports=python.texts("imports", ()),
            cutoff=python.checked("cutoff", _time) if "cutoff" in python else None,
            indexes=indexes,
            pages=pages,
            single=single,
            index_names=_index_names(python.table("index"), indexes),
            settings=settings,
            waivers=read_waivers(fields.tables("waiver")),
            wishes=wishes,
        )
        python.end()
        fields.end()
        stack._check(fields)
        return stack

    def _check(self, fields: Fields) -> None:
        """Hold the rules between tables."""
        asked = {project_name(one.name) for one in (*self.requirements, *self.optional)}
        for project in self.index_names:
            if project not in asked:
                # uv gives an index to what is asked for, never to what something else asks for (SECURITY.md T14).
                fields.fail(f"python.index.{project}", "the project is in neither requirements nor optional")
        resolved = {project_name(one.name) for one in self.requirements}
        for project, name in self.index_names.items():
            if name in self.single and project in resolved:
                fields.fail(
                    f"python.index.{project}",
                    f"index {name!r} is one file, which no resolver reads: move {project} from requirements to optional",
                )
        for index, project in enumerate(self.build):
            if self.stated_version(project) is None:
                fields.fail(
                    f"python.build[{index}]", f"a build is of one version: add '{project}==VERSION' to requirements"
                )
            if self.archive_of(project) and project not in resolved:
                fields.fail(f"build.{project}.archive", f"add '{project}==VERSION' to requirements, with its version")
            if self.archive_of(project) and project in self.index_names:
                fields.fail(f"python.index.{project}", "it comes from its archive in [build], and from no index")
        for index, project in enumerate(self.without):
            if project in asked:
                fields.fail(f"python.without[{index}]", f"{project} is asked for in requirements or optional")
        if self.host_packages and not self.without:
            fields.fail("python.host_packages", "name in without what the host's Python is to bring")
        for project in self.settings:
            if project not in self.build:
                fields.fail(f"build.{project}", "the project is not in [python].build")

    @property
    def toolchain(self) -> ToolchainWishes | None:
        """The CUDA toolchain that is wanted; None for none."""
        return next((wish for wish in self.wishes.values() if isinstance(wish, ToolchainWishes)), None)

    @property
    def carries_python(self) -> bool:
        """Whether an interpreter is wished for."""
        return any(kind.is_python for kind in self.wishes)

    def index_of(self, project: ProjectName) -> str | None:
        """URL of the index that the project must come from; None for the default one."""
        name = self.index_names.get(project)
        return self.indexes[name] if name else None

    @property
    def page_urls(self) -> frozenset[str]:
        """URLs of the indexes that are one page of links."""
        return frozenset(self.indexes[name] for name in self.pages)

    def is_single(self, project: ProjectName) -> bool:
        """Whether the project comes from one file that the stack itself names."""
        return self.index_names.get(project) in self.single

    def is_optional(self, project: ProjectName) -> bool:
        """Whether a bundle is made without it where it cannot be reached."""
        return any(project_name(one.name) == project for one in self.optional)

    def stated_version(self, project: ProjectName) -> str | None:
        """The version that the file itself pins a project to with ``==``; None when it leaves a choice."""
        stated = (*self.requirements, *self.constraints)
        versions = (exact_version(one) for one in stated if project_name(one.name) == project)
        return next((version for version in versions if version), None)

    def signed_by(self, fingerprints: tuple[str, ...]) -> Stack:
        """The stack with other keys pinned for its toolchain: those of a copy of the repository. None given changes nothing.

        Raises:
            InvalidDocument: when one is no fingerprint.
        """
        signed = {
            kind: wish.signed_by(fingerprints) if isinstance(wish, ToolchainWishes) else wish
            for kind, wish in self.wishes.items()
        }
        return replace(self, wishes=signed)

    def archive_of(self, project: ProjectName) -> OwnSource | None:
        """The project's own source where it comes from no index."""
        return self.settings_of(project).own if self.is_built(project) else None

    def is_built(self, project: ProjectName) -> bool:
        """Whether the project is built from source for the target."""
        return project in self.build

    def settings_of(self, project: ProjectName) -> BuildSettings:
        return self.settings.get(project, BuildSettings())


def read_target(path: Path) -> Target:
    """The ``[target]`` of a TOML file, which may hold more. Raises Unreadable, InvalidDocument as ``Stack.load``."""
    return Target.from_fields(Fields(_load(path)[1], str(path)).table("target"))


def _load(path: Path) -> tuple[bytes, dict[str, Any]]:
    data = read_file(path, _MAX_BYTES)
    return data, parse_toml(data, str(path), _MAX_BYTES)


def _requirement(text: str) -> Requirement:
    try:
        requirement = read_requirement(text)
    except InvalidRequirement as exc:
        raise ValueError(f"expected a requirement such as 'vllm==0.17.1', got {text!r} ({exc})") from exc
    if requirement.url:
        # SECURITY.md 42: a lock holds index files only; a direct URL has no name, version or hash to check.
        raise ValueError(f"{requirement.name} names a URL: requirements come from an index")
    return requirement


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"expected a time such as '2026-11-01T00:00:00Z', got {text!r}") from exc
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone: end it with 'Z'")
    try:
        return moment.astimezone(timezone.utc)
    except OverflowError as exc:
        raise ValueError(f"{text!r} is no time of the years 1 to 9999") from exc


def _indexes(fields: Fields) -> tuple[dict[str, str], frozenset[str], frozenset[str]]:
    """URLs by name; the names of those that are pages of links: ``NAME = { find-links = URL }``; of those that are one file."""
    indexes, pages, single = {}, set(), set()
    for name in fields.left():
        if fields.is_table(name):
            table = fields.table(name)
            table.only("find-links", "file", "sha256")
            if "file" in table:
                indexes[name] = f"{table.checked('file', _file_url)}#sha256={table.checked('sha256', sha256_hex)}"
                single.add(name)
            else:
                indexes[name] = table.checked("find-links", _index_url)
                pages.add(name)
            table.end()
        else:
            indexes[name] = fields.checked(name, _index_url)
    for name in indexes:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
            fields.fail(name, "an index's name has lower-case letters, digits and dashes")
    if "default" in (*pages, *single):
        fields.fail(
            "default",
            "a page of links and a file have a few projects: give it another name, and them to it in [python.index]",
        )
    return indexes, frozenset(pages), frozenset(single)


def _index_url(text: str) -> str:
    return index_url(clean_url(text))


def _file_url(text: str) -> str:
    url = clean_url(text)
    if "#" in url or not url.endswith(".whl"):
        raise ValueError(f"expected the URL of a wheel, got {text!r}")
    return url


def _index_names(fields: Fields, indexes: Mapping[str, str]) -> dict[ProjectName, str]:
    names = {}
    for key in fields.left():
        index = fields.text(key)
        if index not in indexes:
            fields.fail(key, f"index {index!r} is not in [indexes] ({', '.join(indexes) or 'it is empty'})")
        try:
            names[project_name(key)] = index
        except ValueError as exc:
            fields.fail(key, str(exc))
    return names
