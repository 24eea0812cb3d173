"""The interpreter that a stack wishes for: ``[interpreter]`` in ``NAME.toml``, for hosts that have no Python for the target.

Example::

    [interpreter]
    url = "https://github.com/astral-sh/python-build-standalone/releases/download/20261110/\
cpython-3.11.18+20261110-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"
    sha256 = "3288c54cea3db350052019b3f8b558dd8a3da8afa6fda573f5fd2bcb37635b4a"
"""

from __future__ import annotations

from dataclasses import dataclass

from mirror.connected.fetching.download import clean_url
from mirror.core.fields import Fields
from mirror.core.names import Sha256Hex, sha256_hex


@dataclass(frozen=True)
class InterpreterPin:
    """A relocatable Python archive to carry. Its digest pins it, so that there is no lock of its own."""

    url: str
    sha256: Sha256Hex

    @classmethod
    def from_fields(cls, fields: Fields) -> InterpreterPin:
        """Read and check the table. Raises InvalidDocument with the path to the fault."""
        fields.only("url", "sha256")
        pin = cls(url=fields.checked("url", clean_url), sha256=fields.checked("sha256", sha256_hex))
        fields.end()
        return pin
