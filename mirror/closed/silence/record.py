"""What is kept of silence: when a stack was watched, on what, and whether it tried to reach anything.

It lies in the generation as ``silence.json``, newest first, beside the receipt, and is no part of what is sealed: the owner
wrote it after the install, and nothing is decided by it.

Rules: only what ran in the generation's own environment is noted in it; of a command the values of options that name a secret
are left out, for everybody may read the file; the file is replaced in one step, under the prefix's lock.

Example::

    watched, note = prove(environment, ["vllm", "serve", "/models/llama"], os.environ)
    write_note(prefix, generation, note)
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.environment.caches import remember
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import read_host
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.usage import hold
from mirror.closed.silence.watching import Watched, watch
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, canonical_json
from mirror.core.system.durable import read_if_there, write_file

FORMAT = "mirror-silence-record/1"
NAME = "silence.json"
MAX_BYTES = 1 << 20
KEPT = 50
"""How many notes a generation keeps."""

_WORDS, _LETTERS = 60, 200
"""How much of a command is noted, and of each word."""

_SECRET = re.compile(r"--?[a-z0-9-]*(key|token|secret|passw)[a-z0-9-]*", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Note:
    """One run that was watched.

    Attributes:
        at: when it ended, in seconds since 1970 UTC.
        command: what ran in the generation's environment; ``...`` for a secret.
        silent: whether it tried to reach nothing outside this host.
        tried: how many addresses and names; 0 also for calls that could not be read.
        code: its exit code.
        way: how it was watched, ``"seccomp"`` or ``"strace"``.
        driver: version of the NVIDIA driver; empty when none is loaded.
        gpus: models of the GPUs, as the driver names them, each once.
    """

    at: int
    command: tuple[str, ...]
    silent: bool
    tried: int
    code: int
    way: str
    driver: str = ""
    gpus: tuple[str, ...] = ()


def prove(
    environment: Environment, command: Sequence[str], base: Mapping[str, str], proc: Path = Path("/proc")
) -> tuple[Watched, Note]:
    """Run a program in a generation's environment to its end, as ``mirror run`` would, and watch it; with what is noted of it.

    Args:
        base: the user's environment.

    Raises:
        CannotRun, CannotWatch: as ``watch``.
    """
    remember(environment, base)
    held = hold(environment.generation)
    try:
        watched = watch(command, environment.variables(base, environment.caches(base)))
    finally:
        if held >= 0:
            os.close(held)
    host, seen = read_host(proc), watched.seen
    tried = len(seen.outward) + len(seen.names)
    facts = (watched.code, watched.way, host.driver, host.kinds_of_gpu)
    return watched, Note(int(time.time()), _told(command), seen.is_silent, tried, *facts)


def _told(command: Sequence[str]) -> tuple[str, ...]:
    """A command without the values of secrets, and not longer than people read."""
    words, is_secret = [], False
    for word in command[:_WORDS]:
        name, equals, _ = word.partition("=")
        names_one = _SECRET.fullmatch(name) is not None
        words.append("..." if is_secret else f"{name}=..." if names_one and equals else word[:_LETTERS])
        is_secret = names_one and not equals
    return (*words, *["..."] * (len(command) > _WORDS))


def read_notes(generation: Path) -> tuple[Note, ...]:
    """What was noted of a generation, newest first; nothing when nothing was.

    Raises:
        Unreadable: when that cannot be told.
        InvalidDocument: when the file is none of ours.
    """
    place = generation / NAME
    data = read_if_there(place, MAX_BYTES)
    if data is None:
        return ()
    fields = Fields.read(data, str(place), FORMAT, MAX_BYTES)
    notes = tuple(item.fill(Note) for item in fields.tables("notes"))
    fields.end()
    return notes


def write_note(prefix: Prefix, generation: Generation, note: Note) -> None:
    """Add one; the oldest goes when there are more than ``KEPT``. A file that is none of ours is replaced.

    Raises:
        PrefixBusy, Unwritable: as ``Prefix.lock``.
        Unreadable: when it cannot be told what is there.
    """
    with prefix.lock():
        try:
            before = read_notes(generation.path)
        except InvalidDocument:
            before = ()
        notes = [vars(one) for one in (note, *before)][:KEPT]
        write_file(generation.path / NAME, canonical_json({"format": FORMAT, "notes": notes}))
