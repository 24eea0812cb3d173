"""All that a result hangs on, as one digest: what a function is given, and the function itself.

Whoever remembers what came of something (``mirror.connected.packing.foreseen``, a trial of a Python) has it as the key.

Rules: the function itself is every file of this mirror, the interpreter, and what is installed beside it with the digests of
its files (RECORD); what is no plain value has no digest, and is an error.

Example::

    inputs_of(plan, locks, wheels)
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import mirror
from mirror.core.names import Sha256Hex

_FORMAT = "mirror-inputs/1"


def inputs_of(*values: object) -> Sha256Hex:
    """The digest of values, and of what makes something of them.

    Raises:
        TypeError: for a value that is not plain: equal ones could not be told.
    """
    document = [_FORMAT, _maker(), [_plain(value) for value in values]]
    return Sha256Hex(hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest())


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, such that different ones differ. Raises ``TypeError``."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, bytes):
        return ["bytes", hashlib.sha256(value).hexdigest()]
    if isinstance(value, (Path, Requirement, datetime)):
        return [type(value).__name__, str(value)]
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted(json.dumps(_plain(one), sort_keys=True) for one in value)]
    if isinstance(value, Mapping):
        pairs = ([json.dumps(_plain(key), sort_keys=True), _plain(one)] for key, one in value.items())
        return ["mapping", sorted(pairs, key=lambda pair: pair[0])]
    if is_dataclass(value) and not isinstance(value, type):
        facts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return [f"{type(value).__module__}.{type(value).__qualname__}", facts]
    raise TypeError(f"{type(value)} has no digest")


@cache
def _maker() -> str:
    """The digest of this mirror, the interpreter and the distributions that are installed beside it."""
    digest = hashlib.sha256(sys.version.encode())
    home = Path(mirror.__file__).parent
    for path in sorted(home.rglob("*")):
        if path.suffix != ".pyc" and path.is_file():
            digest.update(f"\0{path.relative_to(home)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for one in sorted(_installed()):
        digest.update(f"\0{one}".encode())
    return digest.hexdigest()


def _installed() -> list[str]:
    """Each distribution by its list of files with their digests; its metadata where it has none."""
    papers = (one.read_text("RECORD") or one.read_text("METADATA") or "" for one in metadata.distributions())
    return [hashlib.sha256(paper.encode()).hexdigest() for paper in papers]
