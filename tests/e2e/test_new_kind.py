"""A kind of artifact that nobody has heard of, added to a copy of mirror as ``mirror help contributing`` says: one module in each
room and one line in each registry, and it is locked, bundled, looked at again and installed.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import mirror
from mirror.core.kinds import KINDS
from tests.e2e.conftest import HOUSE, run

MODULES = {
    "core/kinds/notice.py": """
from mirror.core.kinds.kind import Kind

NOTICE = Kind("notice", "notices", "notice", "notices", is_data=True, is_compiled_against=False, version=2)
""",
    "connected/stack/notices.py": """
from dataclasses import dataclass

from mirror.connected.stack.files import digest_of, source_of


@dataclass(frozen=True)
class Notice:
    source: str
    url: str
    sha256: str


def read_notices(tables, directory):
    return tuple(Notice(*(place := source_of(table, directory)), digest_of(table, place[1])) for table in tables)
""",
    "connected/kinds/notice.py": """
from mirror.connected.contents.filecontents import read_file
from mirror.connected.contents.inspection import Task
from mirror.connected.fetching.download import Download
from mirror.connected.kinds.facet import Planned, generic, no_findings, no_papers, no_session, paths_of
from mirror.connected.planning.plan import Part
from mirror.core.kinds import NOTICE

KIND = NOTICE
session, papers, findings = no_session, no_papers, no_findings


def plan(wanted):
    wishes = wanted.stack.wishes.get(KIND, ())
    return Planned(tuple(Part(KIND, w.source, "", Download(w.url, w.source, w.sha256), source=w.source) for w in wishes))


def sizes(plan, paths):
    return {part.download.sha256: path.stat().st_size for part, path in paths_of(plan, KIND, paths)}


def tasks(gathered):
    for artifact, path in gathered.files(KIND):
        yield Task(artifact.path, path, artifact.sha256, "notice", lambda *_: read_file(path, artifact.filename))


def purl(artifact, part, stack):
    return generic(artifact)
""",
    "closed/kinds/notice.py": """
from mirror.closed.kinds.copying import copy_artifact
from mirror.core.kinds import NOTICE


def install(site):
    for artifact in site.manifest.of(NOTICE):
        copy_artifact(site.bundle, artifact, site.generation.path / artifact.path)
""",
    "review/kinds/notice.py": """
from mirror.core.vetting.rules import Finding


def look(bundle, artifact):
    with bundle.open(artifact) as stream:
        if b"secret" in stream.read():
            return (Finding("pickle", artifact.path, artifact.name, "it tells a secret"),)
    return ()
""",
}

LINES = (
    ("core/kinds/__init__.py", "from mirror.core.kinds.rpm ", "from mirror.core.kinds.notice import NOTICE\n"),
    ("core/kinds/__init__.py", ", MODEL)", ", NOTICE"),
    ("connected/stack/tables.py", "import FILE, ", "NOTICE, "),
    ("connected/stack/tables.py", "from mirror.connected.stack.redist", "from mirror.connected.stack.notices import read_notices\n"),
    ("connected/stack/tables.py", '    Table("models"', '    Table("notices", NOTICE, lambda f, _, d: read_notices(f.tables("notices"), d)),\n'),
    ("connected/kinds/__init__.py", "import file, ", "notice, "),
    ("connected/kinds/__init__.py", ", file, model)", ", notice"),
    ("closed/kinds/__init__.py", "import file, ", "notice, "),
    ("closed/kinds/__init__.py", "    tool.install,\n", "    notice.install,\n"),
    ("review/kinds/__init__.py", "import INTERPRETER, ", "NOTICE, "),
    ("review/kinds/__init__.py", "import interpreter, ", "notice, "),
    ("review/kinds/__init__.py", "    MODEL: ", "    NOTICE: notice.look,\n"),
)  # fmt: skip
"""The registries: file, what the line comes before, and the line."""
