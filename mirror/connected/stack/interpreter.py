"""The interpreter that a stack wishes for: ``[interpreter]`` in ``NAME.toml``, for hosts that have no Python for the target.

Either a version, which ``mirror lock`` pins (``mirror.connected.locking.interpreter``), or an archive, which its digest pins.
An optional one is left out of a bundle where it cannot be fetched (``mirror.connected.planning.reach``).

Example::

    [interpreter]
    version = "3.11"      # or "3.11.17"
    optional = true

An archive of one's own choice. Example::

    [interpreter]
    url = "https://mirror.example.org/cpython-3.11.18+20261110-x86_64-unknown-linux-gnu-install_only.tar.gz"
    sha256 = "3288c54cea3db350052019b3f8b558dd8a3da8afa6fda573f5fd2bcb37635b4a"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mirror.connected.fetching.download import clean_url
from mirror.core.fields import Fields
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.target import Target

_VERSION = re.compile(r"([1-9][0-9]?\.[0-9]{1,3})(?:\.[0-9]{1,3})?", re.ASCII)


@dataclass(frozen=True)
class InterpreterPin:
    """A relocatable Python archive to carry. Its digest pins it, so that there is no lock of its own."""

    url: str
    sha256: Sha256Hex
    is_optional: bool = False


@dataclass(frozen=True)
class InterpreterWish:
    """A version of CPython, ``"3.11"`` or ``"3.11.17"``, whose archive is for the lock to pin."""

    version: str
    is_optional: bool = False


def read_interpreter(fields: Fields, target: Target) -> InterpreterPin | InterpreterWish:
    """Read and check the table. Raises InvalidDocument with the path to the fault."""
    fields.only("url", "sha256", "version", "optional")
    is_optional = fields.flag("optional", False)
    if "version" not in fields:
        url, sha256 = fields.checked("url", clean_url), fields.checked("sha256", sha256_hex)
        return InterpreterPin(url, sha256, is_optional)
    version = fields.text("version")
    found = _VERSION.fullmatch(version)
    if not found or found[1] != target.python:
        fields.fail(
            "version", f"expected {target.python!r}, as target.python says, or a patch release of it, got {version!r}"
        )
    for other in ("url", "sha256"):
        if other in fields:
            fields.fail(other, "an archive is named by its version or by url and sha256, not both")
    fields.end()
    return InterpreterWish(version, is_optional)
