"""YAML that somebody else wrote: locks of other tools, the cards of models.

Whoever asked decides what the values mean.

Rule: whatever is wrong with a document is a ``ValueError``. PyYAML makes values of texts as they come, and lets through what
comes of that: an ``IndexError`` for ``!!int ""``, an ``AttributeError`` for ``!!timestamp x``.

Example::

    parse_yaml(b"arches: []")       # {"arches": []}
"""

from __future__ import annotations

from typing import Any

import yaml


def parse_yaml(data: bytes | str) -> Any:
    """Parse a document, of plain values alone.

    Raises:
        ValueError: when it cannot be read, in one line.
    """
    try:
        return yaml.safe_load(data)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except (yaml.YAMLError, ValueError) as exc:
        raise ValueError(" ".join(str(exc).split())) from exc
    except (LookupError, AttributeError, TypeError, ArithmeticError) as exc:
        raise ValueError(f"a value is not what its tag says ({type(exc).__name__})") from exc
