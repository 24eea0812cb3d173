"""``--without``: what a person leaves out of a stack that can do without it.

Rules: ``toolchain`` is the CUDA toolchain, wherever it comes from, which any stack can go without (``rpms``, as older
mirrors called it, means the same); every other word is a requirement that ``NAME.toml`` calls optional, in whatever spelling
of its name.

Example::

    left_out({"toolchain", "FlashInfer_JIT.cache"}, stack)     # frozenset({"toolchain", "flashinfer-jit-cache"})
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.utils import canonicalize_name

from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.kinds import RPM
from mirror.core.names import project_name
from mirror.core.words import did_you_mean

TOOLCHAIN = "toolchain"
_OLD_WORD = RPM.directory


class UnknownPart(MirrorError):
    """``--without`` or ``--upgrade`` names something that the stack does not have, or cannot go without."""

    ref = "unknown-part"
    exit_code = 22
    hint = "Leave that --without out, or move the requirement to [python].optional in NAME.toml and lock again."

    name: str
    known: tuple[str, ...]
    option: str = "--without"

    def __post_init__(self) -> None:
        if self.option != "--without":
            toolchain = (
                ", or 'toolchain' for the CUDA toolchain" if TOOLCHAIN in self.known else "; it has no toolchain"
            )
            self.hint = f"Name a project of the lock{toolchain}; --upgrade alone moves everything."

    def __str__(self) -> str:
        near = did_you_mean(self.name, self.known)
        if self.option == "--without":
            return (
                f"--without names {self.name!r}; this stack can go without {', '.join(self.known) or 'nothing'}{near}"
            )
        return f"{self.option} names {self.name!r}, which is not in this stack{near}"


def part_name(word: str) -> str:
    """The normal name of a part, as people write it."""
    name = str(canonicalize_name(word))
    return TOOLCHAIN if name == _OLD_WORD else name


def left_out(names: Iterable[str], stack: Stack | None) -> frozenset[str]:
    """The parts that are left out, each under its normal name.

    Args:
        stack: the wishes; None for a lock made elsewhere, in which nothing is optional.

    Raises:
        UnknownPart: when the stack cannot go without something that is named.
    """
    optional = tuple(str(project_name(item.name)) for item in stack.optional) if stack else ()
    known = (*([TOOLCHAIN] if stack and stack.toolchain else []), *optional)
    parts = set()
    for name in sorted(names):
        part = part_name(name)
        if part != TOOLCHAIN and part not in optional:
            raise UnknownPart(name, known)
        parts.add(part)
    return frozenset(parts)
