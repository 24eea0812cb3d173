"""What a receipt says of the CUDA toolchain: which package each file came from, and what was done besides unpacking.

``mirror.core.toolkit.toolchain`` unpacks. Rules: files are grouped by their package, so that thousands of paths stay a small
document; strict as all our documents, ``from_fields`` and ``to_dict`` are inverse.

Example::

    record.owner("bin/nvcc").nevra      # "cuda-nvcc-13-0-13.0.88-1.x86_64"
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from mirror.core.fields import Fields
from mirror.core.names import sha256_hex
from mirror.core.toolkit.toolchain import Dangling, Toolchain, Unpacked


class ToolchainRecord(Toolchain):
    """An unpacked toolchain, on paper."""

    @classmethod
    def from_fields(cls, fields: Fields) -> ToolchainRecord:
        """Read a receipt's ``toolchain`` table.

        Raises:
            InvalidDocument: with the path to the fault.
        """
        packages = tuple(
            item.fill(Unpacked, sha256=item.checked("sha256", sha256_hex)) for item in fields.tables("packages")
        )
        return fields.fill(
            cls, packages=packages, dangling=tuple(item.fill(Dangling) for item in fields.tables("dangling"))
        )

    def to_dict(self) -> dict[str, Any]:
        """Inverse of ``from_fields``."""
        return {
            "packages": [{**vars(package), "files": list(package.files)} for package in self.packages],
            "dangling": [dict(vars(link)) for link in self.dangling],
            **{key: list(getattr(self, key)) for key in ("made", "dropped", "scriptlets", "tamed")},
        }

    def summary(self) -> dict[str, Any]:
        """The same without the files and links that are as they should be: counts in their place."""
        return {
            **self.to_dict(),
            "packages": [{**vars(package), "files": len(package.files)} for package in self.packages],
            "made": len(self.made),
            "dropped": len(self.dropped),
        }

    def owner(self, path: str) -> Unpacked | None:
        """The package that brought a file or link; None when none did.

        Args:
            path: below the CUDA home, as packages name it: no link but the last part.
        """
        return self._owners.get(path)

    @cached_property
    def _owners(self) -> dict[str, Unpacked]:
        return {path: package for package in self.packages for path in package.files}
