"""A kind of artifact, as both sides know it: where it lies in a bundle, what it is called, and what it is a part of.

What each side does with a kind is in its own room: wishing, pinning, planning and describing in ``mirror.connected.kinds``,
installing in ``mirror.closed.kinds``. Everything else asks ``mirror.core.kinds`` which kinds there are, and loops.

Example::

    WHEEL = Kind("wheel", "wheels", "Python wheel", "Python wheels")
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of artifact.

    Attributes:
        name: what documents call it, in one word.
        directory: where its files lie in a bundle.
        singular, plural: what people call one, and several.
        component: what CycloneDX calls it.
        unknown_to_advisories: why an advisory database says nothing of it; empty where it is asked.
        carried_for: why a bundle carries it when nothing in a stack asks for it by name; empty where something does.
        is_toolchain: it is a package of the CUDA toolchain.
        is_compiled_against: kernels that are compiled on the host depend on it.
        is_nested: its files may lie more than one directory deep.
        version: the version of the bundle's format that brought it.
    """

    name: str
    directory: str
    singular: str
    plural: str
    component: str = "library"
    unknown_to_advisories: str = ""
    carried_for: str = ""
    is_toolchain: bool = False
    is_compiled_against: bool = True
    is_nested: bool = False
    version: int = 1

    def counted(self, count: int) -> str:
        """``"2 RPMs"``."""
        return f"{count} {self.singular if count == 1 else self.plural}"

    def path(self, filename: str) -> str:
        """Where a file of this kind lies in a bundle."""
        return f"{self.directory}/{filename}"
