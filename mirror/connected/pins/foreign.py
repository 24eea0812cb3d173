"""Files that other tools write and that are no lock for mirror, each with the command that makes one of it.

``mirror.connected.pins.requirements`` reads what is a lock; this module only names what is not, so that a person is sent on.

Rules: a file is told by its contents first, then by its name; each step is a command of the tool that wrote the file.

Example::

    told = foreign_file("uv.lock", text)
    told.step      # "Write the lock from it: uv export --frozen --no-emit-project -o requirements.txt"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PIN = (
    "Have it written with --generate-hashes of pip-compile or uv pip compile; or give it another name, and `mirror init NEW "
    "--from FILE` and `mirror lock NEW` make one for what it asks for."
)
DAMAGED = "mirror wrote it, and it was changed since: `mirror lock NAME` writes it anew."
NO_PROJECT = (
    "A lock holds what the project needs, not the project: leave it out with uv export --no-emit-project (members of a "
    "workspace: --no-emit-workspace; other local paths: --no-emit-local); give pip lock and pip-compile its requirements "
    "instead of '.'. Its own wheel comes by an index."
)
NO_DIRECT = (
    "What comes by a URL or from a VCS is put on an index of yours as a wheel, and asked for by version; uv export leaves it "
    "out with --no-emit-package NAME."
)
NO_INDEX_LINES = (
    "Leave the line out (uv pip compile without --emit-index-url; pip-compile --no-emit-index-url; of pipenv, by hand) and "
    "name the index to mirror: mirror bundle --index-url URL, or [indexes] of a NAME.toml beside the lock."
)
NO_EXTRA_INDEX = (
    "Leave the line out (uv pip compile without --emit-index-url; pip-compile --no-emit-index-url): with two indexes nobody "
    "can tell where a file comes from. A NAME.toml beside the lock names them in [indexes], and which project comes from "
    "which in [python.index]."
)
NO_LINKS = (
    "Leave the line out (uv pip compile without --emit-find-links; pip-compile --no-emit-find-links). A NAME.toml beside the "
    "lock names the page in [indexes] as { find-links = URL }; files on this disk go into wheelhouse/."
)
NO_BUILD = "Leave the line out (pip-compile --no-emit-options) and name the project in [python].build of a NAME.toml."
NO_INCLUDE = "One file holds the whole lock: compile the files together, uv pip compile --generate-hashes A.txt B.txt."
HASHES = "Have the hashes written: uv pip compile or pip-compile with --generate-hashes; uv export without --no-hashes."
OTHER_TARGET = "Lock it for that target, or name the machine that the bundle is for: mirror bundle --target FILE.toml."

_OPTIONS = {
    **dict.fromkeys(("-e", "--editable"), NO_PROJECT),
    **dict.fromkeys(("-i", "--index-url", "--pypi-url"), NO_INDEX_LINES),
    "--extra-index-url": NO_EXTRA_INDEX,
    **dict.fromkeys(("-f", "--find-links", "--no-index"), NO_LINKS),
    "--no-binary": NO_BUILD,
    **dict.fromkeys(("-r", "--requirement", "-c", "--constraint"), NO_INCLUDE),
}

HARMLESS = frozenset({"--require-hashes", "--pre", "--prefer-binary", "--only-binary"})
"""Lines that ask for what holds here anyway, or for what exact pins leave no choice in."""


def option_of(line: str) -> str:
    """The option that a line of a requirements file begins with: ``"--index-url"``, ``"-e"``."""
    word = re.split(r"[\s=]", line, maxsplit=1)[0]
    return word if word.startswith("--") else word[:2]


def hint_of(option: str) -> str:
    """What to do about a line of a requirements file that says more than a pin."""
    return _OPTIONS.get(option, "Leave the line out: it says how pip is to be run, and a lock says what is installed.")


@dataclass(frozen=True)
class ForeignFile:
    """A file that is no lock for mirror.

    Attributes:
        what: what it is, with its article.
        step: what to do, with the command.
    """

    what: str
    step: str


def _export(command: str, note: str = "") -> str:
    return f"Write the lock from it: {command}{note}, and give mirror what that writes."


_UV = ForeignFile("uv's own lock", _export("uv export --frozen --no-emit-project -o requirements.txt"))
_POETRY = ForeignFile(
    "poetry's own lock", _export("poetry export -o requirements.txt", " (with the plugin poetry-plugin-export)")
)
_PIPENV = ForeignFile("Pipenv's own lock", _export("pipenv requirements --hash | grep -v '^-i ' > requirements.txt"))
_PIPFILE = ForeignFile("a Pipfile, which holds wishes and no pins", _PIPENV.step)
_PDM = ForeignFile("PDM's own lock", _export("pdm export -o requirements.txt"))
_CONDA = ForeignFile(
    "a conda lock",
    "Its conda packages are no wheels, and no command turns them into wheels: write what is asked for into "
    "[python].requirements of a NAME.toml and run mirror lock NAME.toml.",
)
_WISHES = ForeignFile(
    "a project's pyproject.toml, which holds wishes and no pins",
    "Lock it first: uv pip compile --generate-hashes pyproject.toml -o requirements.txt.",
)

_CONTENTS = (
    (
        re.compile(r"# This file is @?(?:automatically )?(?:@generated|generated)[^\n]*by Poetry", re.IGNORECASE),
        _POETRY,
    ),
    (re.compile(r"# This file is @generated by PDM"), _PDM),
    (re.compile(r"\A(?:#[^\n]*\n)*\s*version = \d+\n(?:revision = \d+\n)?requires-python = [^\n]+\n"), _UV),
    (re.compile(r"^\[\[package\]\]\n(?:.*\n)*?source = \{ (?:registry|virtual|editable) = ", re.MULTILINE), _UV),
    (re.compile(r'\A\s*\{\s*"_meta"\s*:'), _PIPENV),
    (re.compile(r"^@EXPLICIT\s*$|\Aversion: \d+\nenvironments:|^channels:\s*$", re.MULTILINE), _CONDA),
    (re.compile(r"^\[(?:project|build-system)\]\s*$", re.MULTILINE), _WISHES),
)
_NAMES = (
    (re.compile(r"(?:.*[.-])?uv\.lock"), _UV),
    (re.compile(r"(?:.*[.-])?poetry\.lock"), _POETRY),
    (re.compile(r"Pipfile(?:\..*)?\.lock"), _PIPENV),
    (re.compile(r"Pipfile"), _PIPFILE),
    (re.compile(r"(?:.*[.-])?pdm\.lock"), _PDM),
    (re.compile(r"pixi\.lock|(?:.*[.-])?conda-lock\.ya?ml|environment\.ya?ml"), _CONDA),
    (re.compile(r"pyproject\.toml"), _WISHES),
)


def foreign_file(name: str, text: str) -> ForeignFile | None:
    """What a file is, when it is one of another tool that is no lock for mirror."""
    told = next((what for pattern, what in _CONTENTS if pattern.search(text)), None)
    return told or next((what for pattern, what in _NAMES if pattern.fullmatch(name)), None)
