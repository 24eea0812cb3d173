"""What the two sources of the CUDA toolchain share: ``[rpms]`` (``rpmwishes``) and ``[redist]`` (``redistwishes``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Self

from mirror.core.fields import Fields


class ToolchainWishes(ABC):
    """The CUDA toolchain that is wanted, from one source.

    Attributes:
        LEAVES_CHOICE: whether the source may offer other versions tomorrow.
    """

    LEAVES_CHOICE: ClassVar[bool]

    @classmethod
    @abstractmethod
    def from_fields(cls, fields: Fields, release: str) -> Self:
        """Read and check the table.

        Args:
            release: the target's CUDA release, ``"13.0"``.

        Raises:
            InvalidDocument: with the path to the fault.
        """

    def signed_by(self, fingerprints: Iterable[str]) -> Self:
        """The wishes with other keys pinned: those of a copy. Nothing changes where no key is pinned.

        Raises:
            InvalidDocument: when one is no fingerprint.
        """
        return self
