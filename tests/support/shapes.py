"""The shapes of `mirror help json`, read out of that page, and what a document has against its shape.

The page is the schema: a key that it does not name, or that is missing or of another type, is a fault.

Example::

    assert faults(json.loads(stdout)) == []
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import mirror

PAGE = Path(mirror.__file__).parent / "help" / "json.md"

_KEY = re.compile(r"( +)([\w*-]+)(\??) +((?:as |list of )?[\w/]+(?: or \w+)?)(?: {2,}.*)?")
_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "yes/no": (bool,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass
class Shape:
    """One key, or a whole document: what it holds, and the keys inside."""

    types: str = "object"
    is_optional: bool = False
    keys: dict[str, Shape] = field(default_factory=dict)


@lru_cache
def shapes() -> dict[str, Shape]:
    """Every shape that the page describes, by its name; those of documents begin with ``mirror-``."""
    found: dict[str, Shape] = {}
    for block in re.findall(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        for text in block.strip().split("\n\n"):
            head, *lines = text.splitlines()
            shape = _parse(lines)
            found.update((name.strip(), shape) for name in head.split(","))
    for shape in found.values():
        _fill_in(shape, found)
    return found


def _fill_in(shape: Shape, found: dict[str, Shape]) -> None:
    """Put the keys of the shape that ``as SHAPE`` names in that line's place, at whatever depth."""
    whole = shape.keys.get("*", Shape()).types
    if whole.startswith("as "):
        del shape.keys["*"]
        shape.keys = {**found[whole[3:]].keys, **shape.keys}
    for inner in shape.keys.values():
        _fill_in(inner, found)


def _parse(lines: list[str]) -> Shape:
    top = Shape()
    stack = [(0, top)]
    for line in lines:
        parsed = _KEY.fullmatch(line)
        assert parsed, f"{PAGE.name}: {line!r} is no key with its type"
        indent, inner = len(parsed[1]), Shape(parsed[4], bool(parsed[3]))
        while stack[-1][0] >= indent:
            stack.pop()
        stack[-1][1].keys[parsed[2]] = inner
        stack.append((indent, inner))
    return top


def faults(document: Any) -> list[str]:
    """What a document has against the shape that its ``format`` names."""
    name, error = document.get("format"), document.get("error")
    if name not in shapes():
        return [f"{name} is not described"]
    rest = {key: value for key, value in document.items() if key not in ("format", "error")}
    found = [] if name == "mirror-error/1" else list(_compare(shapes()[name], rest, name))
    if error is not None or name == "mirror-error/1":
        found += _compare(shapes()["mirror-error/1"], {"error": error}, name)
    return found


def _compare(shape: Shape, value: Any, where: str) -> Iterator[str]:
    kinds = shape.types.split(" or ")
    if "anything" in kinds:
        return
    if isinstance(value, list):
        listed = next((kind[8:] for kind in kinds if kind.startswith("list of ")), None)
        if listed is None:
            yield f"{where}: a list is not {shape.types}"
            return
        for index, item in enumerate(value):
            yield from _compare(Shape(listed, keys=shape.keys), item, f"{where}[{index}]")
        return
    named = next((shapes()[kind] for kind in kinds if kind in shapes()), None)
    wanted = tuple(one for kind in kinds for one in _TYPES.get(kind, (dict,) if kind in shapes() else ()))
    if not isinstance(value, wanted) or (isinstance(value, bool) and "yes/no" not in kinds):
        yield f"{where}: {value!r} is not {shape.types}"
    elif isinstance(value, dict):
        yield from _compare_keys((named or shape).keys, value, where)


def _compare_keys(keys: dict[str, Shape], value: dict[str, Any], where: str) -> Iterator[str]:
    if not keys:
        return  # an object of which the page tells no more
    yield from (
        f"{where}.{key} is missing"
        for key, inner in keys.items()
        if key != "*" and key not in value and not inner.is_optional
    )
    for key, item in value.items():
        known = keys.get(key) or keys.get("*")
        if known is None:
            yield f"{where}.{key} is not described"
        else:
            yield from _compare(known, item, f"{where}.{key}")
