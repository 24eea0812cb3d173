"""A kind of artifact that nobody has heard of, added to a copy of mirror as ``mirror help contributing`` says: one module in
each room and one line in each registry, and it is locked, bundled, looked at again and installed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import HOUSE, run
from tests.support.wheels import sha256_of

MODULES = {
    "core/kinds/notice.py": """
from mirror.core.kinds.kind import Kind

NOTICE = Kind("notice", "notices", "notice", "notices", is_data=True, is_compiled_against=False, version=3)
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
from mirror.connected.kinds.facet import Facet, Planned
from mirror.connected.planning.plan import Part
from mirror.core.kinds import NOTICE


class Notices(Facet):
    KIND = NOTICE

    def plan(self, wanted):
        wishes = wanted.stack.wishes.get(NOTICE, ())
        return Planned(tuple(Part(NOTICE, w.source, "", Download(w.url, w.source, w.sha256), source=w.source) for w in wishes))

    def unpacked_size(self, part, path, target):
        return path.stat().st_size

    def tasks(self, gathered):
        for artifact, path in gathered.files(NOTICE):
            yield Task(artifact.path, path, artifact.sha256, "notice", lambda *_: read_file(path, artifact.filename))
""",
    "closed/kinds/notice.py": """
from mirror.closed.kinds.copying import copy_artifact
from mirror.core.kinds import NOTICE


def install(destination):
    for artifact in destination.manifest.of(NOTICE):
        copy_artifact(destination.bundle, artifact, destination.generation.path / artifact.path)
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
    ("core/kinds/__init__.py", "from mirror.core.kinds.redist", "from mirror.core.kinds.notice import NOTICE\n{}"),
    ("core/kinds/__init__.py", ", MODEL)", ", MODEL, NOTICE)"),
    ("connected/stack/tables.py", "import FILE,", "import NOTICE, FILE,"),
    (
        "connected/stack/tables.py",
        "from mirror.core.fields",
        "from mirror.connected.stack.notices import read_notices\n{}",
    ),
    (
        "connected/stack/tables.py",
        "TABLES = (",
        '{}Table("notices", NOTICE, lambda f, _, at: read_notices(f.tables("notices"), at)),',
    ),
    ("connected/kinds/__init__.py", "from requests", "from mirror.connected.kinds.notice import Notices\n{}"),
    ("connected/kinds/__init__.py", ", Models())", ", Models(), Notices())"),
    ("closed/kinds/__init__.py", "import file,", "import notice, file,"),
    ("closed/kinds/__init__.py", "    tool.install,", "    notice.install,\n{}"),
    ("review/kinds/__init__.py", "import INTERPRETER,", "import NOTICE, INTERPRETER,"),
    ("review/kinds/__init__.py", "import interpreter,", "import notice, interpreter,"),
    ("review/kinds/__init__.py", "MODEL: model.look,", "{} NOTICE: notice.look,"),
)
"""The registries: file, what stands there, and what then does (``{}`` is what stood there)."""

STACK = """\
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.17"

[python]
requirements = []

[[notices]]
path = "notice.txt"
sha256 = "{sha256}"
"""


def add_kind(top: Path) -> None:
    """A copy of mirror that has the kind."""
    shutil.copytree(HOUSE / "mirror", top / "mirror", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in MODULES.items():
        (top / "mirror" / name).write_text(f'"""Notices."""\n\nfrom __future__ import annotations\n{text}')
    for name, stood, stands in LINES:
        path = top / "mirror" / name
        text = path.read_text()
        assert text.count(stood) == 1, f"{name}: {stood}"
        path.write_text(text.replace(stood, stands.format(stood)))


def test_a_kind_of_one_module_in_each_room_goes_from_lock_to_install(tmp_path: Path) -> None:
    add_kind(tmp_path)
    notice = tmp_path / "notice.txt"
    notice.write_text("it tells a secret\n")
    (tmp_path / "demo.toml").write_text(STACK.format(sha256=sha256_of(notice)))
    home = {"MIRROR_HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def typed(*words: object) -> str:
        return run([sys.executable, "-m", "mirror.cli.main", *words], home, cwd=tmp_path)

    bundled = json.loads(typed("bundle", "demo.toml", "-o", "demo.tar", "--json"))
    assert bundled["contents"]["notices"] == {"count": 1, "bytes": notice.stat().st_size}
    typed("installer", "-o", "mirror.pyz")
    operator = {**home, "MIRROR_HOME": str(tmp_path / "keys")}
    closed = [sys.executable, "-I", tmp_path / "mirror.pyz"]
    words = ["install", "demo.tar", "--fingerprint", bundled["root_fingerprint"], "--prefix", "p"]
    assert "1 notice" in run([*closed, *words], operator, cwd=tmp_path)
    assert (tmp_path / "p/current/notices/notice.txt").read_bytes() == notice.read_bytes()
    told = refused([*closed, "verify", "--deep", "demo.tar"], operator, tmp_path)
    assert "demo.tar: notice.txt: it tells a secret [pickle]" in told
    told = refused([sys.executable, "-m", "mirror.cli.main", "verify", tmp_path / "demo.tar"], operator, HOUSE)
    assert (
        "this mirror reads 'mirror-bundle/1' and 'mirror-bundle/2', got 'mirror-bundle/3': use a newer mirror" in told
    )


def refused(command: list[object], environment: dict[str, str], directory: Path) -> str:
    """What a command says which fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, env={**os.environ, **environment}, cwd=directory, capture_output=True, text=True)
    assert done.returncode, done.stdout
    return done.stderr
