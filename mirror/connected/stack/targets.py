"""A stack for several targets: ``[targets.NAME]`` of one ``NAME.toml``, each with locks and a bundle of its own.

Everything else is for all of them; a target's table says what is its own: keys of ``[target]``, and below the names of other
tables what these have instead, or besides. ``mirror.core.stackfiles`` knows which files belong to ``NAME.TARGET``.

Rules: a table's keys replace those of the table for all, down to any depth; of ``[[waiver]]``, ``[[files]]`` and
``[[models]]`` a target has its own besides those for all; a stack of several targets is none until one of them is meant.

Example::

    [target]                    # for all
    python = "3.11"
    glibc = "2.34"
    cuda = "13.0"

    [targets.h100]
    arch = "x86_64"

    [targets.gh200]
    arch = "aarch64"
    rpms.repository = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/sbsa/"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mirror.core.fields import Fields
from mirror.core.stackfiles import RESERVED
from mirror.core.words import did_you_mean

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)


def for_target(document: Mapping[str, Any], target: str, source: str, stack: str) -> dict[str, Any]:
    """The document of one target, as if it were the only one.

    Args:
        document: a parsed ``NAME.toml``, with or without ``[targets]``.
        target: which is meant; empty for the only one.
        source: what the file is called in errors.

    Raises:
        InvalidDocument: when no target is meant and there are several, or it is unknown, or a name is none.
    """
    if "targets" not in document:
        return dict(document)
    fields = Fields(dict(document), source)
    tables = fields.table("targets")
    names = tables.left()
    for name in names:
        if not tables.is_table(name):
            tables.fail(name, f"expected a table, [targets.{name}]")
        if not _NAME.fullmatch(name) or name in RESERVED:
            tables.fail(
                name, "a target's name has lower-case letters, digits and dashes, and is no ending of a lock's file"
            )
    if not names:
        fields.fail("targets", "it names none: expected [targets.NAME]")
    known = ", ".join(names)
    if not target:
        fields.fail("targets", f"it is for several ({known}): name one, as {stack}.{names[0]}")
    if target not in names:
        fields.fail("targets", f"there is no {target!r}; there is {known}{did_you_mean(target, names)}")
    common = {key: value for key, value in document.items() if key != "targets"}
    own = document["targets"][target]
    tabled = {key: value for key, value in own.items() if _is_tabled(value)}
    plain = {key: value for key, value in own.items() if key not in tabled}
    return _over(_over(common, {"target": plain}), tabled)


def _is_tabled(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table laid over another."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = _over(old, value)
        elif isinstance(value, list) and isinstance(old, list) and value and _is_tabled(value) and _is_tabled(old):
            merged[key] = [*old, *value]
        else:
            merged[key] = value
    return merged
