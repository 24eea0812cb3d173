"""Why a wheel could not be built, in words that help: read out of the log.

Example::

    raise BuildFailed("vllm", "0.25.1", "build_wheel ended with exit status 1", str(log))
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from io import StringIO
from itertools import islice
from pathlib import Path

from mirror.core.errors import MirrorError
from mirror.core.system.durable import end_of, open_regular

_TAIL_LINES = 20
_READ_BYTES = 2 << 20
"""So much of the log's end is read for words."""

_OWN_FILE = re.compile(r"<build>/src/[^/\s'\":]+/([\w./+-]*\w)")
_OWN_SOURCE = re.compile(r"(?:^|[\s'\":])((?:csrc|src|third_party|3rdparty|external)/[\w./+-]*\w)")
_NO_NETWORK = re.compile(
    r"Network is unreachable|Temporary failure in name resolution|Name or service not known|Could not resolve host"
)


class BuildFailed(MirrorError):
    """A wheel could not be built."""

    ref = "build-failed"
    exit_code = 80
    hint = "Read the log. What the build lacks goes into [build.NAME] of NAME.toml: requires, or environment."
    message = "{project} {version}: {problem}; the log is {log}"

    project: str
    version: str
    problem: str
    log: str

    def __post_init__(self) -> None:
        text = self._text()
        lacking = _lacking(text)
        if lacking:
            self.hint = (
                f"The source of {self.project} {self.version} lacks {lacking} itself: it was published without, and no setting "
                f"brings it. Pin another version or its wheel, or bring that tree: [[build.{self.project}.source]] with to."
            )
        if _NO_NETWORK.search(text):
            self.hint = (
                "The build tried to reach the network, which is cut off while building. Give it what it downloads: as a "
                "build requirement, or by a setting of the project in [build.NAME].environment."
            )

    def context(self) -> str:
        from mirror.core.logs.explained.log import meaning  # here, for only a build that failed is looked up

        text = self._text()
        return "\n".join(filter(None, [*text.rstrip("\n").rsplit("\n", _TAIL_LINES)[-_TAIL_LINES:], meaning(text)]))

    def _text(self) -> str:
        with contextlib.suppress(OSError), open_regular(Path(self.log)) as stream:
            return end_of(stream, _READ_BYTES).decode("utf-8", "replace")
        return ""


class BuildRequirementMissing(MirrorError):
    """The build asks for packages that the lock does not pin.

    Attributes:
        missing: the requirements, with what is pinned instead where there is something.
    """

    ref = "build-requirement-missing"
    exit_code = 82
    hint = "Add it to [build.NAME] requires of NAME.toml and lock again."  # an instance's names the project
    message = "{project} {version} needs {missing} to be built, which the lock does not pin"

    project: str
    version: str
    missing: tuple[str, ...]

    def __post_init__(self) -> None:
        wanted = ", ".join(json.dumps(text.partition(" (")[0]) for text in self.missing)
        self.hint = f"Add to NAME.toml and lock again: [build.{self.project}] requires = [{wanted}]"


def _lacking(log: str) -> str:
    """The first file of the project's own source that the build looked for in vain; empty when there is none."""
    for line in _not_there(StringIO(log)):
        for pattern in (_OWN_FILE, _OWN_SOURCE):
            if found := pattern.search(line):
                return found[1]
    return ""


def _not_there(lines: Iterator[str]) -> Iterator[str]:
    """The lines on a missing file; CMake names it two lines below."""
    for line in lines:
        if "Cannot find source file:" in line:
            yield " ".join([line, *islice(lines, 2)])
        elif "No such file or directory" in line or "does not exist" in line or "is not an existing directory" in line:
            yield line
