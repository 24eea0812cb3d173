"""Patches of ``[build.NAME]``: unified diffs, applied to an unpacked source exactly or not at all.

Rules: every line that a hunk names, context too, stands in the file at the very line that it says: no fuzz, no offset; a patch
is held against the whole source before anything is written; names begin with one directory that is left out (``a/``, ``b/``),
lie inside of the source and lead through no link; renames and binary patches are refused. What is not understood is refused,
never left out, so no library reads them: ``unidiff`` 1.0 drops a hunk whose head it cannot read, the lines that a hunk has too
many and binary patches without a word; ``patch-ng`` 1.19 changes the process's directory and writes file after file.

Example::

    apply_patch(Path("patches/one-gpu.diff").read_bytes(), "patches/one-gpu.diff", source.root, source.epoch)
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.system.durable import facts_of

_HUNK = re.compile(rb"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_REFUSED = (b"GIT binary patch", b"Binary files ", b"rename from ", b"copy from ")
_NO_NEWLINE = b"\\ No newline at end of file"


class PatchRefused(MirrorError):
    """A patch of ``[build.NAME]`` does not fit the source that it is for."""

    ref = "patch-refused"
    exit_code = FAMILIES["bundle"]
    hint = "Make the patch again from the pinned version: diff -ru a b, or git diff; it is applied exactly, with no offset."
    message = "{patch} cannot be applied: {problem}"

    patch: str
    problem: str


def apply_patch(patch: bytes, name: str, root: Path, epoch: int) -> None:
    """Apply a patch to the source below ``root``; what it writes has the time ``epoch``, as all of an unpacked source.

    Raises:
        PatchRefused: naming what does not fit; nothing was written then.
        OSError: the disk refuses.
    """
    changed = dict(_Patch(patch, name, root).changes())
    if not changed:
        raise PatchRefused(name, "it changes nothing: no line begins with '--- '")
    for path, content in changed.items():
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (epoch, epoch))


class _Patch:
    def __init__(self, patch: bytes, name: str, root: Path) -> None:
        self._lines = patch.removesuffix(b"\n").split(b"\n")
        self._name, self._root, self._at = name, root, 0
        self._seen: set[Path] = set()

    def refuse(self, problem: str) -> NoReturn:
        raise PatchRefused(self._name, f"line {self._at}: {problem}")

    def changes(self) -> Iterator[tuple[Path, bytes | None]]:
        """Each file with its new content; None for one that goes."""
        while (line := self._next()) is not None:
            if line.startswith(_REFUSED):
                self.refuse("it moves a file, or changes one that is no text")
            if not line.startswith(b"--- ") or not (self._peek() or b"").startswith(b"+++ "):
                if line.startswith(b"@@ "):
                    self.refuse("a hunk belongs to no file")
                continue
            old, new = self._path(line), self._path(self._next() or b"")
            path = new or old
            if path is None or (old and new and old != new):
                self.refuse("it moves a file, or names none")
            if path in self._seen:
                self.refuse(f"{path.relative_to(self._root)} is changed twice")
            self._seen.add(path)
            yield path, self._changed(path, is_new=old is None, goes=new is None)

    def _next(self) -> bytes | None:
        self._at += 1
        return self._lines[self._at - 1] if self._at <= len(self._lines) else None

    def _peek(self) -> bytes | None:
        return self._lines[self._at] if self._at < len(self._lines) else None

    def _path(self, line: bytes) -> Path | None:
        """The file that a header names; None for /dev/null."""
        text = line[4:].split(b"\t")[0].rstrip(b"\r").decode("utf-8", "replace")
        if text == "/dev/null":
            return None
        parts = text.split("/")[1:]
        if not parts or not text.isprintable() or any(part in ("", ".", "..") for part in parts):
            self.refuse(f"{text!r} is no path such as 'a/setup.py', inside of the source")
        path = self._root
        for part in parts:
            path /= part
            facts = facts_of(path)
            if facts is not None and stat.S_ISLNK(facts.st_mode):
                self.refuse(f"{text!r} leads through a link")
        return path

    def _changed(self, path: Path, is_new: bool, goes: bool) -> bytes | None:
        shown = path.relative_to(self._root)
        facts = facts_of(path)
        if is_new == (facts is not None):
            self.refuse(f"{shown} is {'there already' if is_new else 'not there'}")
        if facts is not None and not stat.S_ISREG(facts.st_mode):
            self.refuse(f"{shown} is no file")
        old = [] if is_new else re.findall(rb"[^\n]*\n|[^\n]+", path.read_bytes())
        new: list[bytes] = []
        done = 0
        while (head := _HUNK.match(self._peek() or b"")) is not None:
            self._next()
            start, count, _, made = (1 if number is None else int(number) for number in head.groups())
            before = start - 1 if count else start
            if before < done or before + count > len(old):
                self.refuse(f"{shown} has {len(old)} lines, or the hunk overlaps the one before")
            new += old[done:before]
            done = before + count
            new += self._hunk(old[before:done], made, str(shown))
            follows = self._peek() or b""
            if follows[:1] in (b"+", b" ", b"-") and not follows.startswith(b"--- ") and follows.rstrip() != b"--":
                self.refuse(f"the hunk for {shown} has more lines than it says")
            for expected, line in self._removed:
                if not 0 <= expected < count or old[before + expected] != line:
                    there = old[before + expected] if 0 <= expected < count else b""
                    self.refuse(f"{shown} line {before + expected + 1} is {_shown(there)}, not {_shown(line)}")
        if done == 0 and not new and not (is_new or goes):
            self.refuse(f"there is no hunk for {shown}")
        new += old[done:]
        if goes and new:
            self.refuse(f"{shown} is to go, and the patch does not name all its lines")
        return None if goes else b"".join(new)

    def _hunk(self, old: list[bytes], made: int, what: str) -> list[bytes]:
        """The lines that a hunk makes; those that it names in the old file are left in ``_removed``."""
        new: list[bytes] = []
        self._removed: list[tuple[int, bytes]] = []
        while len(self._removed) < len(old) or len(new) < made:
            line = self._next()
            if line is None or (line[:1] not in b" +-" and line != b""):
                self.refuse(f"the hunk for {what} is cut short")
            mark, text = line[:1] or b" ", line[1:] + b"\n"
            if self._peek() == _NO_NEWLINE:
                self._next()
                text = text[:-1]
            if mark in b" -":
                self._removed.append((len(self._removed), text))
            if mark in b" +":
                new.append(text)
        if len(self._removed) != len(old) or len(new) != made:
            self.refuse(f"the hunk for {what} has other numbers of lines than it says")
        return new


def _shown(line: bytes) -> str:
    return repr(line.rstrip(b"\n").decode("utf-8", "replace")[:80])
