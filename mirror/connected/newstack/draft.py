"""A new stack: the ``NAME.toml`` that ``mirror init`` writes, with comments, ready to be locked and to be changed.

Rules: what is there is never written over; the file is one that ``Stack`` reads, checked before it is written; the toolchain is
written as a comment unless it is asked for, so that the file can be locked wherever the package index is in reach.

Example::

    made = new_stack("h100", Choices(requirements=("vllm",), gpu="h100"))
    made.path       # lockfiles/h100.toml
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier

from mirror.connected.newstack.borrowed import Borrowed, borrow, refuse_two_pins, required_python
from mirror.connected.pins.ownership import PINS, is_own
from mirror.connected.pins.requirements import MAX_BYTES
from mirror.connected.pins.standards import read_requirement, read_specifiers
from mirror.connected.stack.stack import Stack
from mirror.core.cuda.components import component
from mirror.core.cuda.gpus import Gpu, capability, gpu
from mirror.core.errors import InvalidDocument, Unwritable
from mirror.core.names import dotted_numbers
from mirror.core.stackfiles import DIRECTORY, own_name, stack_word
from mirror.core.system.durable import create_file, read_file
from mirror.core.target import Target
from mirror.core.targets.distributions import FINGERPRINTS
from mirror.core.toml import parse_toml

PYTHON, ARCH, GLIBC, CUDA = "3.11", "x86_64", "2.31", "13.0"
_PYTHONS = (PYTHON, "3.12", "3.13", "3.10", "3.14", "3.9")
"""In the order in which they are offered to a project that is not for all of them."""

_CUDA_REPOSITORY = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/{}/"
_KEY = "D42D0685"
_CUDA_DIRECTORIES = {"x86_64": "x86_64", "aarch64": "sbsa"}


@dataclass(frozen=True)
class Choices:
    """What the user said; what is empty gets a default.

    Attributes:
        source: a file to take wishes from, see ``mirror.connected.newstack.borrowed``; None for none.
        gpu: a name (``"h100"``) or a compute capability.
        python, arch, glibc, cuda: as in ``Target``.
        toolchain: a component of ``[rpms]``; empty for none.
    """

    requirements: tuple[str, ...] = ()
    source: Path | None = None
    gpu: str = ""
    python: str = ""
    arch: str = ""
    glibc: str = ""
    cuda: str = ""
    toolchain: str = ""


@dataclass(frozen=True)
class NewStack:
    """A stack that was just written.

    Attributes:
        left_out: what a file had that was not taken over, each with the reason.
    """

    path: Path
    stack: Stack
    left_out: tuple[str, ...]

    @property
    def word(self) -> str:
        """How a command is told of it."""
        return self.stack.name if stack_word(self.path) == self.stack.name else str(self.path)

    @property
    def next_command(self) -> str:
        return f"mirror lock {self.word}"

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.stack.name,
            "path": str(self.path),
            "target": self.stack.target.to_dict(),
            "requirements": [str(one) for one in self.stack.requirements],
            "left_out": list(self.left_out),
            "next": self.next_command,
        }


def new_stack(word: str, choices: Choices) -> NewStack:
    """Write a new stack's file.

    Args:
        word: the stack's name; or a path to the file, where it is not to be in ``lockfiles/`` (or here, where there is none).

    Raises:
        Unwritable: when it is there already, cannot be written, or its lock would be written over ``source``.
        InvalidDocument: when a choice is none. MirrorError: as ``borrow``.
    """
    path = stack_file(word)
    if path.exists():
        raise _exists(path)
    if choices.source:
        _check_source(choices.source, path)
    target = _target(choices)
    borrowed = borrow(choices.source, target) if choices.source else Borrowed()
    for text in choices.requirements:
        try:
            read_requirement(text)
        except InvalidRequirement as exc:
            raise _unfit("python.requirements", f"expected a requirement such as 'vllm==0.25.1', got {text!r}") from exc
        borrowed.add(text)
    refuse_two_pins(borrowed, "new stack", target)
    text = _text(path.stem, target, choices, borrowed)
    stack = Stack.from_dict(parse_toml(text.encode(), str(path), len(text) * 4), path.stem, str(path))
    try:
        create_file(path, text.encode())
    except FileExistsError as exc:
        raise _exists(path) from exc
    return NewStack(path, stack, tuple(borrowed.left_out))


def stack_file(word: str) -> Path:
    """Where the file of a stack of this name belongs. Raises InvalidDocument when the name is none."""
    path = Path(word)
    if len(path.parts) == 1 and path.suffix != ".toml":
        path = (Path(DIRECTORY) if Path(DIRECTORY).is_dir() else Path()) / f"{word}.toml"
    elif path.suffix != ".toml":
        path = path.with_name(f"{path.name}.toml") if path.name else path
    try:
        own_name(path.stem)
    except ValueError as exc:
        raise _unfit("", str(exc)) from exc
    return path


def _check_source(source: Path, path: Path) -> None:
    """Refuse wishes that stand where the pins are to be written. Raises Unwritable."""
    lock = path.with_suffix(".txt")
    if lock.exists() and source.exists() and lock.samefile(source) and not is_own(read_file(source, MAX_BYTES), PINS):
        raise Unwritable(
            str(lock), f"`mirror lock {path.stem}` writes its pins there, and it is what you wrote yourself"
        ).advised(
            f"Nothing was written. Give the stack or that file another name; {path.stem}.in is a usual one for wishes."
        )


def _exists(path: Path) -> Unwritable:
    return Unwritable(str(path), "it is there already, and nothing is written over").advised(
        f"Change that file, or choose another name; mirror lock {path.stem} locks it as it is."
    )


def _unfit(where: str, problem: str) -> InvalidDocument:
    return InvalidDocument("new stack", where, problem).advised(
        "Give another value; mirror init --help lists the options."
    )


def _target(choices: Choices) -> Target:
    """The target that the choices and the defaults make."""
    kind = _gpu(choices.gpu) if choices.gpu else None
    cuda = choices.cuda or (_newest_cuda(kind) if kind or choices.toolchain else "")
    if kind and choices.cuda:
        _check_cuda(kind, choices)
    target = Target(
        python=choices.python or _python(choices.source),
        arch=choices.arch or (kind.arch if kind else "") or ARCH,
        glibc=choices.glibc or GLIBC,
        gpu=kind.capability if kind else "",
        cuda=cuda,
    )
    if choices.toolchain:
        try:
            component(choices.toolchain, cuda)
        except ValueError as exc:
            raise _unfit("rpms.components", str(exc)) from exc
    return target


def _gpu(name: str) -> Gpu:
    if name.startswith("sm_"):
        return Gpu(name, (0, 0))
    try:
        return gpu(name)
    except ValueError as exc:
        raise _unfit("target.gpu", str(exc)) from exc


def _newest_cuda(kind: Gpu | None) -> str:
    known = capability(kind.capability) if kind else None
    return known.usual_release if known else CUDA


def _check_cuda(kind: Gpu, choices: Choices) -> None:
    pair = dotted_numbers(choices.cuda)
    if len(pair) == 2 and not kind.cuda <= pair < (kind.cuda_end or (99, 0)):
        first = ".".join(map(str, kind.cuda))
        until = f", and before {'.'.join(map(str, kind.cuda_end))}" if kind.cuda_end else ""
        raise _unfit(
            "target.cuda", f"{choices.gpu} ({kind.capability}) needs CUDA {first} or newer{until}, got {choices.cuda}"
        )


def _python(source: Path | None) -> str:
    """The first Python on offer that a file's project is for."""
    said = required_python(source) if source else ""
    try:
        allowed = read_specifiers(said)
    except InvalidSpecifier:
        return PYTHON
    fitting = (minor for minor in _PYTHONS if any(allowed.contains(f"{minor}.{patch}") for patch in (0, 99)))
    return next(fitting, PYTHON)


def _text(name: str, target: Target, choices: Choices, borrowed: Borrowed) -> str:
    parts = [
        _head(name),
        _target_table(target, choices),
        _python_table(borrowed),
        _indexes(borrowed),
        _rpms(target, choices),
    ]
    return "\n".join(part for part in parts if part)


def _head(name: str) -> str:
    return f"""\
# The stack {name}: what is carried into the closed network, and for which machine. Written by `mirror init`; change it as you
# like, and `mirror bundle {name}` locks what changed. A line that begins with '#' says nothing yet.
"""


def _target_table(target: Target, choices: Choices) -> str:
    lines = [
        (
            f'python = "{target.python}"',
            "the minor version there; mirror carries no interpreter unless [interpreter] names one",
        ),
        (f'arch = "{target.arch}"', "as `uname -m` prints it there"),
        (f'glibc = "{target.glibc}"', "the oldest among the hosts: RHEL 8 has 2.28, RHEL 9 2.34, Ubuntu 22.04 2.35"),
        (
            f'gpu = "{target.gpu}"' if target.gpu else '# gpu = "sm_90a"',
            f"compute capability of {choices.gpu}"
            if target.gpu
            else "compute capability: sm_80 A100, sm_90a H100, sm_100a B200",
        ),
        (
            f'cuda = "{target.cuda}"' if target.cuda else f'# cuda = "{CUDA}"',
            "the CUDA toolkit's release: the one that torch was built with",
        ),
    ]
    width = max(len(line) for line, _ in lines)
    return "[target]\n" + "".join(f"{line:<{width}}  # {words}\n" for line, words in lines)


def _python_table(borrowed: Borrowed) -> str:
    lines = ["[python]"]
    if borrowed.requirements:
        lines += [f"requirements = {_list(borrowed.requirements)}"]
    else:
        lines += [
            "# What must be installed; what it needs is found by `mirror lock`.",
            "requirements = [",
            '  # "vllm",',
            "]",
        ]
    if borrowed.constraints:
        lines += [f"constraints = {_list(borrowed.constraints)} # limits on what something else asks for"]
    else:
        lines += ["# constraints = []  # limits on what something else asks for"]
    lines += ['# build = []        # projects built from their sdist; each needs "NAME==VERSION" above']
    lines += ["# imports = []      # what must import once it is installed; by default what you asked for"]
    lines += [f"# not taken over: {' '.join(one.split())}" for one in borrowed.left_out]
    return "\n".join(lines) + "\n"


def _indexes(borrowed: Borrowed) -> str:
    special = borrowed.from_extra_index()
    lines = []
    if borrowed.index or special:
        lines += ["[indexes]"]
        lines += [f"default = {json.dumps(borrowed.index)}"] * bool(borrowed.index)
        lines += [f"extra = {json.dumps(borrowed.extra_index)}"] * bool(special)
    if special:
        lines += ["", "[python.index] # a project comes from one index and no other"]
        lines += [f'{project} = "extra"' for project in special]
    if borrowed.extra_index and not special:
        lines += [
            "# [indexes]  # a project comes from one index and no other: name those that come from here in [python.index]"
        ]
        lines += [f"# extra = {json.dumps(borrowed.extra_index)}"]
    return "\n".join(lines) + "\n" if lines else ""


def _rpms(target: Target, choices: Choices) -> str:
    lines = [
        "[rpms]",
        f'repository = "{_CUDA_REPOSITORY.format(_CUDA_DIRECTORIES.get(target.arch, target.arch))}"',
        f'fingerprints = ["{FINGERPRINTS[_KEY]}"] # NVIDIA: cudatools <cudatools@nvidia.com>',
        f'components = ["{choices.toolchain or "flashinfer-jit"}"] # or nvcc, vllm-source, or parts such as "cuobjdump"',
    ]
    words = "# The CUDA toolchain, for whatever compiles kernels on the closed host (FlashInfer, torch's extensions)."
    if choices.toolchain:
        return "\n".join([words, *lines]) + "\n"
    how = "# Take the '#' away to carry it" + ("." if target.cuda else ", and that of cuda above.")
    return "\n".join([words, how, *(f"# {line}" for line in lines)]) + "\n"


def _list(values: list[str]) -> str:
    return "[\n" + "".join(f"  {json.dumps(value)},\n" for value in values) + "]"
