"""What the rest rests on: the documents in the bundle, the build logs, the licence texts.

Example::

    documents(report)
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.bundle.dossier import LICENCES, PATH
from mirror.core.bundle.manifest import Artifact
from mirror.core.words import human_bytes
from mirror.review.markup import Html, element, join, table, table_row
from mirror.review.page.findings import anchor
from mirror.review.page.summary import digest
from mirror.review.report.report import Report

_KNOWN = {
    "SHA256SUMS": "the digest of every file, for sha256sum -c",
    "files.txt": "which package brings which file",
    "install.txt": "what the installer gives to uv or pip: every wheel pinned by its digest",
    "provenance.intoto.json": "in-toto statement with SLSA v1 provenance: which locks were followed, what was built from what",
    "provenance.json": "which locks were followed, what was built from what",
    "redist.json": "the component archives, pinned to the publisher's list",
    "rpms.json": "the RPMs, and the key that must have signed them",
    "sbom.cdx.json": "the list of parts as a CycloneDX SBOM",
    "vulnerabilities.json": "known vulnerabilities, as of its date",
    LICENCES.split("/")[1]: "every licence text once",
    PATH.split("/")[1]: "what this report tells of each artifact",
}
_ENDINGS = {
    ".build.txt": "the lock of what the builds need",
    ".rpms.toml": "the lock of the RPMs",
    ".redist.toml": "the lock of the component archives",
    ".toml": "the stack as a person wrote it, with its waivers",
    ".log": "a build log",
    ".txt": "the lock of the Python projects",
}


def documents(report: Report) -> Html:
    """What is in ``meta/``, and how to read it."""
    columns = ("Document", "What it is", "Size", "sha256")
    rows = (
        table_row(columns, [element("code", one.path)], (_what(one), human_bytes(one.size), digest(one.sha256)))
        for one in report.documents
    )
    name = report.file
    return join(
        (
            element("p", "Read one with ", element("code", f"tar -xOf {name} meta/NAME"), "."),
            table("Documents in the bundle, signed with the rest", columns, rows, class_="documents"),
            element(
                "p",
                "The signed list itself, MANIFEST.json, has sha256 ",
                digest(report.inventory.manifest_sha256),
                ": everything in the bundle follows from it. ",
                element("code", f"tar -xOf {name} MANIFEST.json | sha256sum"),
                " prints the same.",
            ),
        )
    )


def _what(document: Artifact) -> str:
    if document.filename in _KNOWN:
        return _KNOWN[document.filename]
    return next((words for ending, words in _ENDINGS.items() if document.filename.endswith(ending)), "")


def build_logs(report: Report) -> Html | None:
    """What the builds said; None when nothing was built."""
    return join(_logs(report)) if report.logs else None


def _logs(report: Report) -> Iterator[Html]:
    yield element(
        "p",
        "What was built here, on the builder's machine with the network cut. Opened before printing, they are printed.",
    )
    for row in report.rows:
        if row.log:
            title = f"{row.artifact.name} {row.artifact.version}".rstrip()
            summary = element("summary", element("strong", title), " \u2014 ", element("code", row.log))
            yield element("details", summary, element("pre", report.logs[row.log]), id=anchor(row.log))


def licence_texts(report: Report) -> Html | None:
    """The licence texts; None when the bundle carries none."""
    if not report.licences:
        return None
    return element("details", element("summary", element("code", LICENCES)), element("pre", report.licences))
