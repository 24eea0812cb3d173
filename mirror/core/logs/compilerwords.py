"""How compilers, linkers and shells say that they did not find something: the one place that knows their words.

Each is a fragment that stands wherever the words do, and a regular expression that matches from the fragment's start on.
``mirror.core.logs.symptoms`` makes rows of them; ``missed`` reads a short text, of a compiler that we ran ourselves.

Rule: gcc's and clang's words, EDG's (nvcc, nvrtc), GNU ld's, gold's and lld's, and the shells' are known, in English; quotes
are plain ones (``mirror.core.logs.logtext`` makes them so).

Example::

    >>> list(missed("a.cu:1: fatal error: nv/target: No such file or directory"))
    ['nv/target']
    >>> list(missed("ld: cannot find -lcudart: No such file or directory"))
    ['libcudart.so']
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HEADER_FRAGMENTS = ("fatal error: ", "cannot open source file ", "could not open source file ")
LIBRARY_FRAGMENTS = ("cannot find -l", "unable to find library -l")
NEEDED_FRAGMENT = ", needed by "
NEEDED_PATTERN = r", needed by [^\n]{1,300}?, not found"
NEEDED_LEAD = r"(?P<library>lib[\w.+-]{1,80})$"
PART_ENDS = r"(?:command )?(?:not found|No such file)"


def header_pattern(names: str) -> str:
    """A missing header, for which ``names`` is an expression as it is included; its group ``file`` is the header."""
    return (
        rf"(?:fatal error: '?|(?:cannot|could not) open source file \")(?P<file>{names})"
        r"(?:: No such file|' file not found|\")"
    )


def library_pattern(names: str) -> str:
    """A library that the linker did not find; its group ``lib`` is the name after ``-l``, which ``names`` describes."""
    return rf"(?:cannot find|unable to find library) -l:?(?:lib)?(?P<lib>{names})(?:\.so|\.a)?(?![\w.-])"


_HEADER = re.compile(header_pattern(r"[^\s'\"]+?"))
_LIBRARY = re.compile(library_pattern(r"[\w.+-]+?"))
_NEEDED = re.compile(NEEDED_LEAD.rstrip("$") + NEEDED_PATTERN)
_PROGRAM = re.compile(rf"^sh: (?:line )?(?:\d+: )?(?P<program>\S+): {PART_ENDS}", re.MULTILINE)


def missed(text: str) -> Iterator[str]:
    """The files that a text says were not found: headers as they are included, libraries by their file's name, programs by
    the path that was called."""
    yield from (found["file"] for found in _HEADER.finditer(text))
    yield from (f"lib{found['lib']}.so" for found in _LIBRARY.finditer(text))
    yield from (found["library"] for found in _NEEDED.finditer(text))
    yield from (found["program"] for found in _PROGRAM.finditer(text))
