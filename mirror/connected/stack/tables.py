"""The tables of ``NAME.toml`` that a kind of artifact has for itself, and who reads each. A new kind is a line here, and
whoever
asks for its wishes gets them by its kind: ``stack.wished(FILE)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from mirror.connected.stack.files import read_files
from mirror.connected.stack.models import read_models
from mirror.core.fields import Fields
from mirror.core.kinds import FILE, MODEL, Kind


@dataclass(frozen=True)
class Table:
    """One array of tables, ``[[name]]``.

    Attributes:
        name: in ``NAME.toml``.
        kind: whose wishes they are.
        read: makes the wishes; is given the directory of ``NAME.toml``.
    """

    name: str
    kind: Kind
    read: Callable[[Sequence[Fields], Path], tuple[Any, ...]]


TABLES = (
    Table("files", FILE, read_files),
    Table("models", MODEL, lambda tables, _: read_models(tables)),
)


def read_tables(fields: Fields, directory: Path) -> Mapping[Kind, tuple[Any, ...]]:
    """The wishes of each kind that has any. Raises InvalidDocument with the path to the fault."""
    found = {one.kind: one.read(tuple(fields.tables(one.name)), directory) for one in TABLES if one.name in fields}
    return {kind: wishes for kind, wishes in found.items() if wishes}
