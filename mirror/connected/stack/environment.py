"""The variables that name what a stack installs beside its packages: files and models.

The manifest carries them (``Manifest.environment``); what they name lies below the generation, wherever that is.

Rule: a variable has one value; two wishes may ask for the same one.

Example::

    environment_of(files, models)       # (("HF_HUB_CACHE", "models"), ("TIKTOKEN_ENCODINGS_BASE", "files/tiktoken"))
"""

from __future__ import annotations

from collections.abc import Sequence

from mirror.connected.stack.files import FileWish
from mirror.connected.stack.models import ModelWish
from mirror.core.errors import InvalidDocument


def environment_of(
    files: Sequence[FileWish], models: Sequence[ModelWish], document: str = "NAME.toml"
) -> tuple[tuple[str, str], ...]:
    """Each variable with the path below the generation that it names, sorted.

    Args:
        document: names the stack's file in errors.

    Raises:
        InvalidDocument: when one variable would have two values.
    """
    values: dict[str, str] = {}
    asked = [pair for wish in files for pair in wish.variables] + [pair for wish in models for pair in wish.variables]
    for variable, path in asked:
        other = values.setdefault(variable, path)
        if other != path:
            raise InvalidDocument(document, variable, f"the variable would name both {other} and {path}")
    return tuple(sorted(values.items()))
