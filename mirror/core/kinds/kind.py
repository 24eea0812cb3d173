"""A kind of artifact, as both sides know it: where it lies in a bundle, what it is called, and what it is a part of.

What each side does with a kind is in its own room: wishing, pinning, planning and describing in ``mirror.connected.kinds``,
installing in ``mirror.closed.kinds``. Everything else asks ``mirror.core.kinds`` which kinds there are, and loops.

Example::

    WHEEL = Kind("wheel", "wheels", "Python wheel", "Python wheels", is_project=True, brings_wheels=True)
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
        unsigned: what is said of one that no signature of its publisher was checked for; empty where publishers sign none.
        licensed_by: where the builder writes what licence one has; empty where its publisher says it.
        is_project: it is a Python project of the stack, which uv or pip installs.
        is_python: it is the Python that the stack runs with.
        is_toolchain: it is a package of the CUDA toolchain.
        is_data: what runs reads it, and it runs nothing itself.
        is_installers: the installer's own, which no stack asks for.
        brings_wheels: those of its files that are called so are wheels.
        is_copied: it is copied out of the bundle before it is unpacked or run.
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
    unsigned: str = ""
    licensed_by: str = ""
    is_project: bool = False
    is_python: bool = False
    is_toolchain: bool = False
    is_data: bool = False
    is_installers: bool = False
    brings_wheels: bool = False
    is_copied: bool = False
    is_compiled_against: bool = True
    is_nested: bool = False
    version: int = 1

    def counted(self, count: int) -> str:
        """``"2 RPMs"``."""
        return f"{count} {self.singular if count == 1 else self.plural}"

    def path(self, filename: str) -> str:
        """Where a file of this kind lies in a bundle."""
        return f"{self.directory}/{filename}"
