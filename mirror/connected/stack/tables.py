"""The tables of ``NAME.toml`` that a kind of artifact has for itself, and who reads each.

A new kind is a line here, and whoever asks for its wishes gets them by its kind: ``stack.wishes.get(FILE)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from mirror.connected.stack.files import read_files
from mirror.connected.stack.interpreter import read_interpreter
from mirror.connected.stack.models import read_models
from mirror.connected.stack.redistwishes import RedistWishes
from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.core.fields import Fields
from mirror.core.kinds import FILE, INTERPRETER, MODEL, REDIST, RPM, Kind
from mirror.core.target import Target


@dataclass(frozen=True)
class Table:
    """One table, ``[name]``, or array of tables, ``[[name]]``.

    Attributes:
        name: in ``NAME.toml``.
        read: makes the wishes; is given the whole file, the target, and the directory of ``NAME.toml``.
    """

    name: str
    kind: Kind
    read: Callable[[Fields, Target, Path], Any]


TABLES = (
    Table("rpms", RPM, lambda file, target, _: RpmWishes.from_fields(file.table("rpms"), target.cuda)),
    Table("redist", REDIST, lambda file, target, _: RedistWishes.from_fields(file.table("redist"), target.cuda)),
    Table("interpreter", INTERPRETER, lambda file, target, _: read_interpreter(file.table("interpreter"), target)),
    Table("files", FILE, lambda file, _, directory: read_files(file.tables("files"), directory)),
    Table("models", MODEL, lambda file, *_: read_models(file.tables("models"))),
)


def read_tables(fields: Fields, target: Target, directory: Path) -> Mapping[Kind, Any]:
    """The wishes of each kind that has any. Raises InvalidDocument with the path to the fault."""
    given = [one for one in TABLES if one.name in fields]
    toolchains = [one.name for one in given if one.kind.is_toolchain]
    if toolchains and not target.cuda:
        fields.fail("target.cuda", f"missing: a stack with [{toolchains[0]}] says which CUDA release they are of")
    if len(toolchains) > 1:
        fields.fail(toolchains[1], f"the toolchain comes from one place: leave out [{'] or ['.join(toolchains)}]")
    found = {one.kind: one.read(fields, target, directory) for one in given}
    return {kind: wishes for kind, wishes in found.items() if wishes}
