"""Trying a carried Python before it is carried: what an archive promises is not believed, it is run.

It is unpacked by the code that unpacks it on the closed side, in a directory that it cannot have known, and started without
network: it must find its own library there, have ``ssl``, ``ctypes``, ``lzma`` and ``sqlite3``, make a venv whose Python
starts, and compile and import a C extension, as Triton does on a server. ``mirror.connected.building.trial_inside`` is what it
runs.

Rules: nothing is tried in silence: what this machine cannot try (another architecture, an older glibc, no compiler) is a
sentence for people; every promise that is not kept is told at once; nothing of it stays. An archive that kept all of them on
this machine is not tried again while nothing changes; one of which something could not be tried, is.

Example::

    notes = try_interpreters(plan, paths, store)
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from mirror.connected.building import trial_inside
from mirror.connected.building.sandbox import SYSTEM_PATH, NetworkCutUnavailable, run_cut_off
from mirror.connected.fetching.inputs import inputs_of
from mirror.connected.fetching.store import Store, refuse_write
from mirror.connected.planning.plan import Plan
from mirror.core.archives.tarstream import measure
from mirror.core.archives.untar import unpack_tar
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError
from mirror.core.fields import strict_json
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex, dotted_numbers
from mirror.core.progress import SILENT, Progress
from mirror.core.system.durable import end_of, read_regular
from mirror.core.target import Target
from mirror.core.toolkit.redist import MAX_UNPACKED_BYTES

PROMISES = {
    "starts": "start",
    "moves": "run from wherever it is unpacked",
    "ssl": "have ssl",
    "ctypes": "have ctypes",
    "lzma": "have lzma",
    "sqlite3": "have sqlite3",
    "venv": "make a venv",
    "extensions": "compile and import a C extension",
}
"""What a carried Python must do, in the order in which it is tried."""

_STEPS = {
    "moves": "Build it with --enable-shared off or with an rpath of $ORIGIN/../lib.",
    "venv": "Do not leave lib/pythonX.Y/venv out of the archive.",
    "extensions": "Its Python.h and pyconfig.h belong in include/pythonX.Y, where its sysconfig looks.",
}
_MAX_LINE_BYTES, _MAX_SAID_BYTES = 64 << 10, 1 << 20


class InterpreterUnfit(MirrorError):
    """The archive of ``[interpreter]`` does not do what a carried Python must.

    Attributes:
        archive: its file name.
        promises: names out of ``PROMISES`` that it does not keep.
        words: what it said to each.
    """

    ref = "interpreter-unfit"
    exit_code = FAMILIES["bundle"]
    hint = (
        "Name another archive in [interpreter]: version = 'X.Y' takes python-build-standalone's, which keeps them all."
    )

    archive: str
    promises: tuple[str, ...]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        steps = (_STEPS[one] for one in self.promises if one in _STEPS)
        self.hint = " ".join((type(self).hint, *steps))

    def _sentences(self) -> list[str]:
        pairs = zip(self.promises, self.words, strict=True)
        return [f"a carried Python must {PROMISES[one]}; this one says: {words}" for one, words in pairs]

    def __str__(self) -> str:
        more = f" (and {len(self.promises) - 1} more)" if len(self.promises) > 1 else ""
        return f"{self.archive}: {self._sentences()[0]}{more}"

    def context(self) -> str:
        return "\n".join(self._sentences()[1:])


def try_interpreters(
    plan: Plan, paths: Mapping[Sha256Hex, Path], store: Store, progress: Progress = SILENT
) -> tuple[str, ...]:
    """Try the interpreters of a plan; a sentence for each thing that could not be tried here.

    Args:
        paths: the fetched files by digest.
        store: where it is unpacked, and removed again.

    Raises:
        InterpreterUnfit: with every promise that one does not keep.
        BadArchive: when it must not be unpacked. NoSpace, Unwritable: when there is no room to.
    """
    notes: list[str] = []
    for part in plan.of(INTERPRETER):
        name, compiler = part.download.filename, _compiler()
        kept = _memory(part.download.sha256, plan.target, compiler, store)
        if store.is_own and kept.is_file():
            continue
        progress.say(f"trying {name}")
        untried = _try(paths[part.download.sha256], name, plan.target, store, compiler)
        if not untried:
            store.note(kept, b"it keeps every promise\n")
        notes += [f"of {name} it was not tried whether it can {what}" for what in untried]
    return tuple(notes)


def _memory(archive: Sha256Hex, target: Target, compiler: str, store: Store) -> Path:
    """A file that is there when an archive kept every promise on this machine, with this compiler, at this mirror's hands."""
    state = Path(compiler).stat() if compiler else None
    facts = (compiler, state.st_size, state.st_mtime_ns) if state else ()
    return store.root / "tried" / inputs_of(archive, target, facts, platform.machine(), platform.libc_ver())


def _compiler() -> str:
    """The C compiler of this machine; empty for none."""
    names = (os.environ.get("CC", ""), "gcc", "clang", "cc")
    return next((found for name in names if name and (found := shutil.which(name))), "")


def _try(archive: Path, name: str, target: Target, store: Store, compiler: str) -> list[str]:
    """Unpack and run one archive; what could not be tried, each with the reason."""
    if (sys.platform, platform.machine()) != ("linux", target.arch):
        here = f"this machine is {platform.system()} on {platform.machine()}"
        return [f"run: it is for Linux on {target.arch}, {here}"]
    try:
        store.root.mkdir(parents=True, exist_ok=True)
        if os.statvfs(store.root).f_flag & os.ST_NOEXEC:
            return [f"run: {store.root} is on a file system that is mounted noexec"]
        with store.scratch() as directory:
            unpack_tar(archive, directory / INTERPRETER.directory, MAX_UNPACKED_BYTES)
            return _judged(directory, name, target, compiler)
    except OSError as exc:
        with archive.open("rb") as stream:
            refuse_write(exc, store.root / INTERPRETER.directory, measure(stream, name, MAX_UNPACKED_BYTES))


def _judged(directory: Path, name: str, target: Target, compiler: str) -> list[str]:
    python, log, results = (
        directory / one for one in (INTERPRETER.path(f"bin/python{target.python}"), "log", "results")
    )
    if not python.is_file():
        raise InterpreterUnfit(name, ("starts",), (f"there is no bin/{python.name} below its top directory",))
    environment = {"PATH": SYSTEM_PATH, "HOME": str(directory), "TMPDIR": str(directory), "LC_ALL": "C.UTF-8"}
    command = [str(python), "-I", trial_inside.__file__, str(results), str(directory), compiler]
    try:
        with log.open("a+b", buffering=0) as stream:
            status = run_cut_off(command, cwd=directory, environment=environment, log=stream)
            # By the descriptor, and a file alone: that Python can have put anything under these names.
            last_words = end_of(stream, _MAX_SAID_BYTES)
    except NetworkCutUnavailable as exc:
        return [f"run: {exc}"]
    told = read_regular(results, _MAX_SAID_BYTES)
    outcomes = _outcomes(told or b"")
    wanted = ["starts"] if told is None else [one for one in PROMISES if one != "starts"]
    died = next((one for one in wanted if one not in outcomes), "")
    if died:
        said = last_words.decode("utf-8", "replace").strip().splitlines() or [f"it ended with status {status}"]
        if died == "starts" and (older := _older_glibc(target)):
            return [f"run: {older}, and it says: {said[-1]}"]
        outcomes[died] = (trial_inside.BROKEN, said[-1])
    broken = [one for one in PROMISES if outcomes.get(one, ("",))[0] == trial_inside.BROKEN]
    if broken:
        words = (outcomes[one][1].replace(f"{directory}/", "") for one in broken)
        raise InterpreterUnfit(name, tuple(broken), tuple(words))
    untried = ((one, words) for one, (outcome, words) in outcomes.items() if outcome == trial_inside.UNTRIED)
    return [f"{PROMISES[one]}: {words}" for one, words in untried]


def _outcomes(told: bytes) -> dict[str, tuple[str, str]]:
    """What became of each promise, and the words; whatever else a strange Python wrote counts for nothing."""
    found = {}
    for line in told.splitlines():
        with contextlib.suppress(InvalidDocument, TypeError, ValueError):
            promise, outcome, words = map(str, strict_json(line, "results", _MAX_LINE_BYTES))
            found[promise] = outcome, words
    return found


def _older_glibc(target: Target) -> str:
    """A sentence about this machine's glibc, where it is older than the target's; empty otherwise."""
    library, version = platform.libc_ver()
    if library == "glibc" and dotted_numbers(version) < target.glibc_pair:
        return f"this machine has glibc {version}, the target {target.glibc}"
    return ""
