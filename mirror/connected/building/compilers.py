"""The compilers of GPU code that are running, and for which GPUs: seen while a build runs, not when it ends hours later.

Rules: what runs is asked, by its command line, for every build tool writes its log in another way; a file name is no option.

Example::

    architectures(process.pid)    # {"sm_75", "sm_90a"}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mirror.connected.building.supervision import descendants

_COMPILERS = frozenset({"nvcc", "cicc", "ptxas"})
_CODE = re.compile(r"(?:^|,)code=(.+)", re.ASCII)
_ARCH = re.compile(r"--?(?:arch|gpu-architecture|code|gpu-code)(?:=(.*))?", re.ASCII)
_NAME = re.compile(r"\b((?:sm|compute)_[1-9][0-9]{1,2}[af]?)\b", re.ASCII)


def architectures(process: int) -> set[str]:
    """What the compilers below a process are asked for at this moment, as nvcc spells it."""
    return {name for arguments in _running(process) for name in asked_for(arguments)}


def asked_for(arguments: Sequence[str]) -> Iterator[str]:
    """The architectures of one command line; none when it is no compiler's."""
    # A launcher or a shell may stand before it.
    if not any(Path(word).name in _COMPILERS for word in arguments[:2]):
        return
    before = ""
    for word in arguments:
        coded, option = _CODE.search(word), _ARCH.fullmatch(word)
        if coded:  # of -gencode arch=compute_90a,code=[sm_90a,compute_90a]; what code is made from says nothing
            yield from _NAME.findall(coded[1])
        elif option and option[1] is not None:
            yield from _NAME.findall(option[1])
        elif _ARCH.fullmatch(before) and "=" not in before:
            yield from _NAME.findall(word)
        before = word


def _running(process: int) -> Iterator[list[str]]:
    for one in descendants(process):
        try:
            line = Path(f"/proc/{one}/cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        yield line.decode("utf-8", "replace").split("\0")[:-1]
