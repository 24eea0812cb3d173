"""Instruction sets of processors as data: the levels that wheels may be built for, and how Linux lists what a processor has.

``mirror.core.target`` holds which one a stack may use, ``mirror.closed.host`` reads a host's.

Sources: the levels x86-64-v2 to v4 are those of the System V ABI's AMD64 supplement, as gcc 11 and newer take them in
``-march``; the names without a number, and what is meant by them, are those of the published matrix of vLLM builds
(``mirror.core.targets.matrix``); flags are spelled as ``/proc/cpuinfo`` does.

Rule: a processor has an instruction set when it lists every flag of it; a list that cannot be read says nothing.

Example::

    >>> missing("x86-64-v3", frozenset({"avx", "cx16"}))[:2]
    ('abm', 'avx2')
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mirror.core.names import one_of

_V2 = frozenset(["cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"])
_V3 = _V2 | frozenset(["abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"])
_V4 = _V3 | frozenset(["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"])


@dataclass(frozen=True)
class Isa:
    """An instruction set.

    Attributes:
        name: as a target has it.
        arch: of its machines.
        options: gcc's.
        flags: that ``/proc/cpuinfo`` lists for a processor that has it.
        machines: who has it, for people.
    """

    name: str
    arch: str
    options: str
    flags: frozenset[str]
    machines: str = ""


ISAS = {
    one.name: one
    for one in (
        Isa("x86-64-v1", "x86_64", "-march=x86-64", frozenset()),
        Isa("x86-64-v2", "x86_64", "-march=x86-64-v2", _V2),
        Isa("x86-64-v3", "x86_64", "-march=x86-64-v3", _V3),
        Isa("x86-64-v4", "x86_64", "-march=x86-64-v4", _V4),
        Isa("avx", "x86_64", "-march=x86-64-v2 -mavx", _V2 | {"avx"}, "Sandy Bridge and newer"),
        Isa("avx2", "x86_64", "-march=x86-64-v3", _V3, "Haswell and newer"),
        Isa("avx512", "x86_64", "-march=x86-64-v4", _V4, "Skylake-SP and newer"),
        Isa("avx512vnni", "x86_64", "-march=x86-64-v4 -mavx512vnni", _V4 | {"avx512_vnni"}, "Cascade Lake and newer"),
        Isa("avx512bf16", "x86_64", "-march=x86-64-v4 -mavx512bf16", _V4 | {"avx512_bf16"}, "Sapphire Rapids and newer"),
        Isa("armv8_2", "aarch64", "-march=armv8.2-a+fp16+dotprod", frozenset({"asimdhp", "asimddp"}), "Neoverse N1"),
        Isa("armv9", "aarch64", "-march=armv9-a+bf16+i8mm", frozenset({"sve2", "bf16", "i8mm"}), "NVIDIA Grace"),
    )
}  # fmt: skip
"""By name; of two with the same flags, one is the ABI's name and the other the matrix's."""


isa_name = one_of(ISAS)
"""Check a name."""


def missing(name: str, flags: Collection[str]) -> tuple[str, ...]:
    """The flags of an instruction set that a processor lacks, sorted; nothing for an empty name."""
    return tuple(sorted(ISAS[name].flags - set(flags))) if name else ()


def held(arch: str, flags: Collection[str]) -> tuple[str, ...]:
    """Every instruction set that a processor of this architecture has."""
    return tuple(name for name, one in ISAS.items() if one.arch == arch and not missing(name, flags))


def read_flags(proc: Path = Path("/proc")) -> frozenset[str] | None:
    """What this machine's first processor lists; None when that cannot be read."""
    try:
        lines = (proc / "cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return None
