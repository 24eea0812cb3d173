"""Preflight: every reason why a bundle cannot be installed here, found together and before anything is written.

It judges a host, a prefix and its disk against a manifest that is trusted already. The facts come from
``mirror.closed.host.machine`` and ``mirror.closed.venv.interpreter``; ``mirror.closed.install`` acts on them.

Rules: it writes nothing; all faults are raised together, each one sentence that names both sides; what only might
disturb (a driver that is too old, running as root) is a note and no fault.

Example::

    plan = check(manifest, prefix.root, read_host(), read_disk(prefix.root), find_interpreter(manifest.target))
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.host.driverfit import driver_note
from mirror.closed.host.hostcompiler import NONE, compiles_at_run_time, too_new
from mirror.closed.host.machine import Disk, Host
from mirror.closed.venv.hostpackages import HostPackages
from mirror.closed.venv.hostpackages import issues as package_issues
from mirror.closed.venv.interpreter import Interpreter, Search
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.cpus import held
from mirror.core.cuda.gpus import capability_of
from mirror.core.cuda.releases import gcc_ceiling
from mirror.core.errors import MirrorError
from mirror.core.kinds import KINDS
from mirror.core.target import Target
from mirror.core.targets.detected import Detected, GpuKind
from mirror.core.targets.fit import Mismatch, mismatches
from mirror.core.trust.ownership import Way, reaching, user_name

REQUIREMENTS = "meta/install.txt"
"""What uv and pip are given: each wheel of the bundle, pinned, with its one hash."""

_UNPACKED_RATIO = 4
"""Bytes on disk for one byte of a compressed artifact whose unpacked size the manifest does not tell."""

_UNQUOTED = frozenset(" &;()<>|*?[]{}")
"""What a shell or ninja takes apart where a path is not quoted."""


class PreflightFailed(MirrorError):
    """The bundle cannot be installed on this host as it is, or a prefix cannot be changed by this user.

    Attributes:
        issues: one sentence each.
        action: what was refused, where that is no installation: ``"roll back /opt/h100"``.
        hint: the next step, for this user.
    """

    ref = "preflight-failed"
    exit_code = 90

    issues: tuple[str, ...]
    action: str = ""
    hint: str = "Nothing was written. Put right what is listed and run the same command again."

    def __str__(self) -> str:
        refused = f"cannot {self.action}" if self.action else "this host cannot take the bundle"
        return f"{refused}: {self.issues[0]}" if len(self.issues) == 1 else f"{refused}, for {len(self.issues)} reasons"

    def context(self) -> str:
        return "" if len(self.issues) == 1 else "\n".join(f"  - {issue}" for issue in self.issues)


@dataclass(frozen=True)
class Plan:
    """What preflight decided.

    Attributes:
        interpreter: the host's Python to use; None to unpack the one that the bundle carries.
        serve: whether wheels can be served on 127.0.0.1; otherwise they are copied out first.
        notes: what the operator should know; one sentence each.
        packages: the host's, which the venv is to see; None for none.
    """

    interpreter: Interpreter | None
    serve: bool
    notes: tuple[str, ...]
    packages: HostPackages | None = None


def check(
    manifest: Manifest, prefix: Path, host: Host, disk: Disk, search: Search, packages: HostPackages | None = None
) -> Plan:
    """Judge everything at once.

    Args:
        prefix: absolute, its parents resolved.
        disk: the one that ``prefix`` is on.
        search: what looking for the target's Python gave.
        packages: what that Python brings of what the bundle leaves to it; None when there is none to ask.

    Raises:
        PreflightFailed: with all faults.
    """
    issues = [
        *(one.words for one in _mismatches(manifest.target, host) if one.forbids),
        *_python_issues(manifest, host, search),
        *_package_issues(manifest, packages),
        *_tool_issues(manifest),
        *prefix_issues(prefix),
        *_toolchain_issues(manifest, prefix),
        *_disk_issues(manifest, prefix, host, disk),
    ]
    if issues:
        raise PreflightFailed(tuple(issues))
    notes = (*_notes(manifest, host, search), *(packages.notes() if packages else ()))
    return Plan(search.found, host.has_loopback, notes, packages)


def _mismatches(target: Target, host: Host) -> tuple[Mismatch, ...]:
    """This host against the target, by the rules that ``mirror bundle --check-target`` goes by as well."""
    detected = Detected(
        arch=host.arch,
        glibc=".".join(map(str, host.glibc)) if host.glibc else "",
        cpu=None if host.cpu_flags is None else held(host.arch, host.cpu_flags),
        gpus=tuple(GpuKind(model, capability_of(model), 1) for model in dict.fromkeys(host.gpu_models)),
    )
    return mismatches(target, detected)


def _python_issues(manifest: Manifest, host: Host, search: Search) -> list[str]:
    if search.found and _lacks_headers(manifest, search) and host.compiler:
        return [
            f"{search.found.path} comes without its headers (Python.h, pyconfig.h), with which this stack compiles at a "
            "server's first start: name another with --python FILE, ask for its -devel package, or a bundle with [interpreter]"
        ]
    if search.found or manifest.carries_python or manifest.is_data:
        return []
    looked = "; ".join(search.rejected) or "no Python was found on the PATH or where pyenv and uv keep theirs"
    wanted = manifest.target.python
    return [f"the bundle is for Python {wanted} and carries none, and this host has none that fits ({looked})"]


def _lacks_headers(manifest: Manifest, search: Search) -> bool:
    return bool(search.found and not search.found.has_headers and compiles_at_run_time(manifest.projects))


def prefer_carried(manifest: Manifest, search: Search) -> Search:
    """Pass over a Python of the host's that lacks the headers which the stack compiles with, where the bundle carries one."""
    if search.found and _lacks_headers(manifest, search) and manifest.carries_python and not manifest.host_packages:
        return Search(None, (*search.rejected, f"{search.found.path} comes without its headers"))
    return search


def _package_issues(manifest: Manifest, packages: HostPackages | None) -> list[str]:
    if not manifest.host_packages:
        return []
    if packages is None:
        left = ", ".join(project for project, _ in manifest.host_packages)
        return [
            f"the bundle leaves {left} to the host's Python, and none that fits is here: name it with --python FILE"
        ]
    return list(package_issues(manifest, packages))


def _tool_issues(manifest: Manifest) -> list[str]:
    carried = {artifact.name for artifact in manifest.tools}
    issues: list[str] = []
    if manifest.is_data:
        return issues
    if not carried & {"uv", "pip"}:
        issues.append("the bundle carries neither uv nor pip, so nothing can install its wheels")
    if manifest.find(REQUIREMENTS) is None:
        issues.append(f"the bundle has no {REQUIREMENTS}, the list of wheels to install")
    return issues


def prefix_issues(prefix: Path, is_written: bool = True) -> list[str]:
    """What makes a directory unfit to hold a stack; ``prefix`` must be absolute.

    Args:
        is_written: whether something is to be made there; False before believing what is there already.
    """
    text = str(prefix)
    if any(ord(letter) < 32 or letter in ":\x7f'\"\\$`" or 0xD800 <= ord(letter) < 0xE000 for letter in text):
        return [f"the prefix {text!r} holds a character that search paths and scripts cannot"]
    try:
        with reaching(prefix) as way:
            issues = way_issues(way)
            is_writable = os.access(".", os.W_OK | os.X_OK, dir_fd=way.descriptor)
            place = way.end.place
    except NotADirectoryError as exc:
        named = f"the prefix {prefix}" if exc.filename == str(prefix) else f"{exc.filename}, above the prefix,"
        return [f"{named} is not a directory"]
    except OSError as exc:
        return [f"the prefix {prefix} cannot be looked at: {exc.strerror}"]
    if is_written and not issues and not is_writable:
        issues.append(f"the prefix {prefix} cannot be made: {place} is not writable by you")
    return issues


def way_issues(way: Way, owner: int | None = None) -> list[str]:
    """Who else could change what is in a prefix, or put another one in its place.

    Args:
        owner: whom its users trust; None when it is to be changed, which this user has to own it for.
    """
    issues, end = [], None if way.missing else way.end
    if end and end.is_link:
        return [f"the prefix {end.place} is a symbolic link; name the directory that it points to"]
    if end and owner is None and end.facts.st_uid != os.geteuid():
        named = f"{user_name(end.facts.st_uid)}, you are {user_name(os.geteuid())}"
        issues.append(f"the prefix {end.place} belongs to {named}")
    for found in way.exposures({os.geteuid(), *([owner] if owner is not None else [])}):
        is_prefix = end is not None and found.place == end.place
        if not (is_prefix and found.owner is not None):
            what = f"the prefix {found.place}" if is_prefix else f"{found.place}, above the prefix,"
            issues.append(f"{what} {found.problem}, who could change what is installed")
    return list(dict.fromkeys(issues))


def refuse_exposed(prefix: Path, issues: Sequence[str], is_changed: bool) -> None:
    """Stop where there are issues of who else could change a prefix.

    Raises:
        PreflightFailed: with all of them.
    """
    if issues:
        raise PreflightFailed(tuple(issues), f"{'change' if is_changed else 'use'} {prefix}", _hint(prefix, is_changed))


def _toolchain_issues(manifest: Manifest, prefix: Path) -> list[str]:
    # nvcc and g++ take such a path when it is quoted. FlashInfer (jit/cpp_ext.py: "nvcc = $cuda_home/bin/nvcc", "build
    # {obj}: cuda_compile {source}") and torch's cpp_extension write it into build.ninja as it is.
    found = sorted(_UNQUOTED & set(str(prefix)))
    if not found or not manifest.carries_toolchain:
        return []
    named = ", ".join("a blank" if letter == " " else f"{letter!r}" for letter in found)
    return [
        f"the prefix {str(prefix)!r} holds {named}, and the bundle carries a CUDA toolchain: nvcc would work there, but "
        "FlashInfer and torch write its path unquoted into the commands that they build with"
    ]


def check_owner(prefix: Path, action: str) -> None:
    """Refuse a prefix in which somebody else could have made what looks installed, before anything in it is believed.

    Args:
        action: what is to be done with it, ``"roll back"``.

    Raises:
        PreflightFailed: with every reason.
    """
    issues = prefix_issues(prefix, is_written=False)
    if issues:
        raise PreflightFailed(tuple(issues), f"{action} {prefix}", _hint(prefix))


_SHARING = "A group shares a stack safely when one user installs it and the others only read it: mirror help sharing."


def _hint(prefix: Path, is_changed: bool = True) -> str:
    """The next step for somebody whose prefix is not theirs, or not theirs alone."""
    owner = os.geteuid()
    with contextlib.suppress(OSError):
        facts = prefix.lstat()
        if not stat.S_ISDIR(facts.st_mode):
            return "Nothing was changed. Name a directory with --prefix, or a place where none is yet."
        owner = facts.st_uid
    named = user_name(owner)
    if owner != os.geteuid() and is_changed:
        return (
            f"Nothing was changed. Only {named} changes what is installed there: ask them to run this command. You can use it "
            f"as it is ('mirror status --prefix {prefix}', 'mirror run --prefix {prefix} -- PROGRAM'), or install one of your "
            "own with --prefix DIR."
        )
    if owner != os.geteuid():
        return (
            f"What you would run from there could be anybody's. Ask {named} to take the right to write from all others (chmod "
            "go-w DIR) and to look at what is there with 'mirror status --check'; or install one of your own with --prefix DIR."
            f" {_SHARING}"
        )
    return (
        "Nothing was changed. Whoever can write there, or above, could plant programs that you then run. Name a prefix whose "
        "directories only you and root can write, as in your home; or take the right away (chmod go-w DIR; above the prefix "
        f"'chmod +t DIR' will do as well) and see what is there with 'mirror status --check'. {_SHARING}"
    )


def _disk_issues(manifest: Manifest, prefix: Path, host: Host, disk: Disk) -> list[str]:
    issues = []
    if disk.is_noexec:
        issues.append(f"the file system of {prefix} is mounted noexec: no program installed there could be started")
    needed = needed_bytes(manifest, copies_wheels=not host.has_loopback)
    if disk.free_bytes < needed:
        issues.append(f"{prefix} needs {needed:,} bytes, its file system has {disk.free_bytes:,} free")
    return issues


def needed_bytes(manifest: Manifest, copies_wheels: bool) -> int:
    """Room that an installation takes, from the signed sizes and 5 % more.

    Args:
        copies_wheels: whether the wheels are copied out of the bundle before they are installed.
    """
    total = sum(map(_unpacked, manifest.artifacts))
    for kind in KINDS:
        if kind.is_copied or (kind.is_project and copies_wheels):
            total += sum(artifact.size for artifact in manifest.of(kind))
    return total * 105 // 100


def _unpacked(artifact: Artifact) -> int:
    if artifact.kind is None:
        return 0
    return artifact.unpacked_size or artifact.size * _UNPACKED_RATIO


def _notes(manifest: Manifest, host: Host, search: Search) -> list[str]:
    notes = []
    if host.is_root:
        notes.append("you are root: mirror does not need it, and what it installs belongs to root")
    if search.found and not search.found.has_headers and manifest.target.gpu:
        notes.append(f"{search.found.path} comes without Python.h: Triton and torch cannot compile at run time with it")
    notes += [one.words for one in _mismatches(manifest.target, host) if one.fact == "gpu"]
    release = manifest.target.cuda
    if note := driver_note(release, host.driver):
        notes.append(note)
    if manifest.carries_toolchain:
        refusal = too_new(host.compiler, release, gcc_ceiling(release)) if host.compiler else NONE
        notes += [refusal] if refusal else []
    return notes
