"""Which index a stack's packages come from when nothing names another for them.

In this order: the command's ``--index-url``; ``[indexes].default`` of ``NAME.toml``; the environment (``UV_DEFAULT_INDEX``,
``UV_INDEX_URL``, ``PIP_INDEX_URL``); pip's configuration files; the public package index. What is locked are versions and
digests, never an address, so a company's copy of the public index gives the same lock.

Rules: what comes from outside ``NAME.toml`` is told, without credentials; further indexes of the environment are not used, and
that is told too, for a project comes from one index only (SECURITY.md T14).

Example::

    locked_from, notes = with_default_index(stack, index_url=None)
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from mirror.connected.fetching.download import redacted
from mirror.connected.stack.stack import Stack
from mirror.core import names
from mirror.core.errors import InvalidDocument

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_FURTHER = ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_FIND_LINKS", "PIP_FIND_LINKS")
_SECTIONS = ("install", "global")


def public_index() -> str:
    """Where packages come from when nobody says otherwise."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # here, for importing it takes a quarter of a second

    return PYPI_SIMPLE_ENDPOINT


def with_default_index(
    stack: Stack, index_url: str | None, environment: Mapping[str, str] = os.environ
) -> tuple[Stack, tuple[str, ...]]:
    """The stack with its default index, and what a person should know of where that came from.

    Args:
        index_url: the command's; it stands in for the default one of ``NAME.toml`` too.

    Raises:
        InvalidDocument: when the one of the environment or of pip's files is none that can be asked; no other stands in for it.
    """
    notes = tuple(_not_used(stack, environment))
    if index_url:
        return _with(stack, index_url), ()
    if "default" in stack.indexes:
        return stack, ()
    for url, place in _named(environment):
        if _same(url, public_index()):
            return stack, notes
        if url.startswith(("http://", "https://", "file:")):
            _check(url, place)
            return _with(stack, url), (f"packages come from {redacted(url)}, as {place} says", *notes)
        notes = (*notes, f"{place} names an index that is no http, https or file URL: it is not used")
    return stack, notes


def _check(url: str, place: str) -> None:
    try:
        names.index_url(url)
    except ValueError as exc:
        raise InvalidDocument(place, "", str(exc)).advised(
            "Correct the URL there, or name another index: --index-url, or [indexes].default in NAME.toml."
        ) from exc


def _with(stack: Stack, url: str) -> Stack:
    return replace(stack, indexes={**stack.indexes, "default": url})


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _named(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The indexes that are named, the first to be used, each with where."""
    for variable in _VARIABLES:
        url = environment.get(variable, "").strip()
        if url:  # UV_DEFAULT_INDEX may be NAME=URL
            name, equals, rest = url.partition("=")
            yield (rest if variable == "UV_DEFAULT_INDEX" and equals and "/" not in name else url), variable
    for path in reversed(list(_pip_files(environment))):
        url = _setting(path, "index-url")
        if url:
            yield url, str(path)


def _not_used(stack: Stack, environment: Mapping[str, str]) -> Iterator[str]:
    """A sentence on each place that names more indexes than one."""
    named = [variable for variable in _FURTHER if environment.get(variable, "").strip()]
    named += [str(path) for path in _pip_files(environment) if _setting(path, "extra-index-url")]
    if named:
        yield (
            f"the further indexes of {' and '.join(named)} are not used: name one in [indexes] of {stack.file}, and the "
            "projects that come from it in [python.index]"
        )


def _pip_files(environment: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, the one that overrules the others last (pip's own order)."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return
    home = Path(environment.get("HOME") or "/nonexistent")
    for directory in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(directory or "/etc/xdg", "pip", "pip.conf")
    yield Path("/etc/pip.conf")
    yield home / ".pip" / "pip.conf"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix, "pip.conf")
    if named:
        yield Path(named)


def _setting(path: Path, key: str) -> str:
    """What a configuration file says; nothing for one that is not there, or that pip could not read either."""
    reader = configparser.RawConfigParser()
    try:
        reader.read(path, "utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return ""
    found = (reader.get(section, spelt, fallback="") for section in _SECTIONS for spelt in (key, key.replace("-", "_")))
    return next((value.strip() for value in found if value.strip()), "")
