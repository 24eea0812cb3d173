"""A stack and a host of the closed network, by the file that ``mirror detect`` wrote there.

``mirror.core.targets.fit`` holds the rules; this module asks them before something is locked or bundled, and writes what a host
is into the ``[target]`` of a ``NAME.toml``.

Rules: only ``[target]`` is changed, and of it only ``python``, ``glibc`` and ``gpu``; comments and everything else stay; a file
that would say anything else afterwards is left alone; what a person has to decide (another architecture, an older CUDA, one of
several kinds of GPU) is refused with both sides.

Example::

    adopt(Path("lockfiles/h100.toml"), Detected.load(Path("target.toml")), "target.toml")     # ("glibc 2.31 -> 2.34",)
"""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from mirror.connected.stack.stack import Stack
from mirror.core.cuda.gpus import capability
from mirror.core.errors import FAMILIES, MirrorError, Unwritable, reading
from mirror.core.names import dotted_numbers
from mirror.core.system.durable import write_file
from mirror.core.target import Target
from mirror.core.targets.detected import Detected
from mirror.core.targets.fit import mismatches, remarks
from mirror.core.toml import parse_toml

_MAX_BYTES = 1 << 20
_HEADER = re.compile(r"\s*\[\s*target\s*\]\s*(#.*)?", re.ASCII)
_TAKEN = ("python", "glibc", "gpu")


class HostUnfit(MirrorError):
    """A stack is not for the host that a file describes.

    Attributes:
        source: the file that ``mirror detect`` wrote.
    """

    ref = "host-unfit"
    exit_code: ClassVar[int] = FAMILIES["lock"]
    stack: str
    source: str
    issues: tuple[str, ...]
    hint: str = (
        "Change [target] of NAME.toml: 'mirror lock NAME --target FILE' takes Python, glibc and GPU from the host's file; what "
        "is of another architecture or CUDA release is a stack of its own ('mirror init')."
    )

    def __str__(self) -> str:
        count = len(self.issues)
        why = self.issues[0] if count == 1 else f"{count} things do not go together"
        return f"{self.stack} is not for the host of {self.source}: {why}"

    def context(self) -> str:
        return "" if len(self.issues) == 1 else "\n".join(f"  - {issue}" for issue in self.issues)


def check_host(name: str, target: Target, path: Path, carries_python: bool) -> tuple[str, ...]:
    """Hold a target against a host's file.

    Returns:
        What might disturb there, and what could not be judged.

    Raises:
        HostUnfit: with every mismatch. Unreadable, InvalidDocument: as ``Detected.load``.
    """
    host = Detected.load(path)
    found = mismatches(target, host, path.name, carries_python)
    if found:
        raise HostUnfit(name, path.name, tuple(one.words for one in found))
    return remarks(target, host, path.name)


def adopt(path: Path, host: Detected, source: str) -> tuple[str, ...]:
    """Write what a host is into ``[target]`` of a ``NAME.toml``.

    Args:
        source: what the host's file is called.

    Returns:
        What changed, ``"glibc 2.31 -> 2.34"``.

    Raises:
        HostUnfit: when the stack cannot be for it, or when there is something to decide.
        Unwritable: when the file cannot be written, or not without changing more. MirrorError: as ``Stack.load``.
    """
    stack = Stack.load(path)
    changed = wanted_of(stack, host, source)
    if changed:
        _rewrite(path, changed, replace(stack.target, **changed))
    return tuple(f"{key} {getattr(stack.target, key) or '(none)'} -> {new}" for key, new in changed.items())


def wanted_of(stack: Stack, host: Detected, source: str) -> dict[str, str]:
    """The keys of ``[target]`` that are to be others for a host, each with its value. Arguments and errors as ``adopt``."""
    target = _taken(stack, host, source, stack.carries_python)
    found = mismatches(target, host, source, stack.carries_python)
    if found:
        raise HostUnfit(stack.name, source, tuple(one.words for one in found))
    return {key: new for key in _TAKEN if (new := getattr(target, key)) != getattr(stack.target, key)}


def _taken(stack: Stack, host: Detected, source: str, carries_python: bool) -> Target:
    """The stack's target with what the host's file knows."""
    target = stack.target
    if host.glibc:
        target = replace(target, glibc=".".join(host.glibc.split(".")[:2]))
    minors = {one.minor: one.headers for one in host.pythons or ()}
    if minors and not carries_python and target.python not in minors:
        best = max(minors, key=lambda minor: (minors[minor], dotted_numbers(minor)))
        target = replace(target, python=best)
    kinds = {one.capability for one in host.gpus or () if capability(one.capability)}
    if kinds and target.cuda and target.cuda_arch.rstrip("af") not in kinds:
        if len(kinds) > 1:
            several = ", ".join(sorted(kinds))
            issue = (
                f"{source} has GPUs of {several}, and [target] says {target.gpu or 'none'}: write one of them into it"
            )
            raise HostUnfit(stack.name, source, (issue,))
        only = capability(kinds.pop())
        assert only is not None
        if problem := only.problem_with(target.cuda):
            raise HostUnfit(stack.name, source, (f"{source} has {only.models[0]}, and {problem}",))
        target = replace(target, gpu=only.gpu)
    return target


def _rewrite(path: Path, changed: dict[str, str], target: Target) -> None:
    with reading(path):
        data, mode = path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    edited = _edited(data.decode("utf-8"), changed).encode()
    before, after = (parse_toml(one, str(path), _MAX_BYTES) for one in (data, edited))
    before["target"] = target.to_dict()
    if after != before:
        wanted = ", ".join(f'{key} = "{value}"' for key, value in changed.items())
        raise Unwritable(str(path), "its [target] is written in a way that is not changed without a person").advised(
            f"Write it there yourself: {wanted}."
        )
    write_file(path, edited, mode)


def _edited(text: str, changed: dict[str, str]) -> str:
    """The text with other values in its table ``[target]``; comments stay."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if _HEADER.fullmatch(line.rstrip("\r\n"))), None)
    if start is None:
        return text
    end = next(
        (number for number in range(start + 1, len(lines)) if lines[number].lstrip().startswith("[")), len(lines)
    )
    for key, value in changed.items():
        form = re.compile(rf"""(\s*{key}\s*=\s*)("[^"]*"|'[^']*')(.*)""", re.DOTALL)
        for number in range(start + 1, end):
            if match := form.fullmatch(lines[number]):
                lines[number] = f'{match[1]}"{value}"{match[3]}'
                break
        else:
            lines[start] = lines[start].rstrip("\r\n") + f'\n{key} = "{value}"\n'
    return "".join(lines)
