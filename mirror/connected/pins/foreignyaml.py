"""YAML that somebody else wrote: locks of other tools, the cards of models.

Whoever asked decides what the values mean.

Rules: a document may be nested ``MAX_DEPTH`` deep; libyaml reads it, for PyYAML's own parser takes hours for some hundred
kilobytes of brackets in brackets. Whatever is wrong with it is a ``ValueError``. PyYAML makes values of texts as they come,
and lets through what comes of that: an ``IndexError`` for ``!!int ""``, an ``AttributeError`` for ``!!timestamp x``.

Example::

    parse_yaml(b"arches: []")       # {"arches": []}
"""

from __future__ import annotations

from typing import Any

import yaml

MAX_DEPTH = 100

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_yaml(data: bytes | str) -> Any:
    """Parse a document, of plain values alone. Raises ValueError when it cannot be read, in one line."""
    try:
        _check_depth(data)
        return yaml.load(data, Loader=_LOADER)  # noqa: S506 - it is a safe one
    except (yaml.YAMLError, ValueError) as exc:
        raise ValueError(" ".join(str(exc).split())) from exc
    except (LookupError, AttributeError, TypeError, ArithmeticError) as exc:
        raise ValueError(f"a value is not what its tag says ({type(exc).__name__})") from exc


def _check_depth(data: bytes | str) -> None:
    depth = 0
    for event in yaml.parse(data, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
