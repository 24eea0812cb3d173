"""Bundles with dossiers, for reports: each artifact is a few bytes, the test says what is known of it.

Example::

    case = Case(tmp_path)
    case.add("wheels/a-1-py3-none-any.whl", licence="MIT")
    report = case.report()
"""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mirror.core.bundle.dossier import PATH, Dossier, FileFacts
from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.reader import open_bundle
from mirror.core.kinds import kind_of
from mirror.core.target import Target
from mirror.core.trust.root import Root
from mirror.review.questions.contents import Contents, read_contents
from mirror.review.questions.judgement import Judgement
from mirror.review.report.report import Report, make_report
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="13.0")
ROOT = make_root(approver=role("alice", "bob", threshold=2))
ORIGIN = "https://example.org/files/"


class Case:
    """A bundle in the making.

    Attributes:
        requirements, packages: what the stack asks for.
        facts: the dossier's entries; a test may change them before ``write``.
        has_dossier: False for a bundle of an older mirror.
    """

    def __init__(self, directory: Path, root: Root = ROOT, sequence: int = 1_790_000_000) -> None:
        self.directory = directory
        self.simulator = BundleSimulator(sequence=sequence, target=TARGET)
        self.simulator.root = root
        self.requirements: tuple[str, ...] = ()
        self.packages: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self.facts: list[FileFacts] = []
        self.has_dossier = True

    def add(
        self, path: str, data: bytes = b"", origin: str = "", version: str = "", name: str = "", **facts: Any
    ) -> None:
        """An artifact and its facts. One is asked for by name unless ``asked=False``; its licence is MIT unless it says."""
        directory, filename = path.split("/")
        stem = filename.split("-")
        asked = facts.pop("asked", directory in ("wheels", "rpms", "redist"))
        artifact = self.simulator.add(path, data or path.encode(), name or stem[0], version or stem[1])
        changed = dataclasses.replace(artifact, origin=origin or ORIGIN + filename)
        self.simulator._artifacts[path] = changed
        facts.setdefault("licence", "" if "licence_stated" in facts else "MIT")
        if directory in ("rpms",):
            facts.setdefault("signer", "610C7B14E068A878070DA4E99CD0A493D42D0685")
        self.facts.append(FileFacts(path, kind_of(directory).name, **facts))
        if asked and directory == "wheels":
            self.requirements = (*self.requirements, artifact.name)
        elif asked:
            self.packages = (*self.packages, artifact.name)

    def write(self, name: str = "demo.tar") -> Path:
        if self.has_dossier:
            dossier = Dossier(self.requirements, self.packages, tuple(self.facts), self.notes)
            self.simulator.add(PATH, dossier.encode())
        return self.simulator.write(self.directory / name)

    def report(self, since: Contents | None = None, judgement: Judgement | None = None) -> Report:
        return report_of(self.write(), self.simulator.root, since, judgement)

    def contents(self, name: str = "old.tar") -> Contents:
        """The bundle as the earlier one of a comparison."""
        return read_contents(self.write(name), self.simulator.root)


def report_of(
    path: Path, root: Root = ROOT, since: Contents | None = None, judgement: Judgement | None = None
) -> Report:
    with open_bundle(path) as bundle:
        return make_report(bundle, root, since, judgement)


def found(report: Report) -> dict[str, list[str]]:
    """What a reviewer looks at: the artifacts' paths by question."""
    return {
        question.key: [finding.path for finding in question.findings]
        for question in report.questions
        if question.findings
    }


def details(report: Report, key: str) -> list[str]:
    return [finding.detail for question in report.questions if question.key == key for finding in question.findings]


def artifact_paths(artifacts: tuple[Artifact, ...]) -> list[str]:
    return [artifact.path for artifact in artifacts]


_VOID = ("meta", "wbr", "br", "link")


class Page(HTMLParser):
    """A page, taken apart by the standard parser.

    Attributes:
        elements: every element with its attributes, in order.
        texts: the text directly in elements, by the name of the nearest one.
    """

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.text = ""
        self.feed(markup)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({key for key, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.text += data
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self) -> list[str]:
        return [value for _, attributes in self.elements if (value := attributes.get("id")) is not None]
