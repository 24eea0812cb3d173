"""Vetting: is a wheel what it says it is, to the last file, before any installer sees it?

It holds the judging of one wheel, in order: the zip's form, its names, its metadata, its contents against RECORD, what its
compiled files ask of glibc, and what it puts where. ``mirror.core.wheels.wheelfile`` reads it; ``mirror.core.vetting.together``
judges how wheels go together; ``mirror.core.vetting.rules`` decides whether a finding stands in the way.

Rules (SECURITY.md 2.3, 22 to 28, 39, 46 and 47): a judgement takes what was read, the target and the manifest's word, and opens
no file; a wheel whose form cannot be relied on is judged no further; what is found is told, never raised.

Example::

    judge_wheel(wheel, artifact, target).findings     # of a wheel as ``read_wheel`` gives it
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mirror.core.binaries.glibc import GlibcNeed
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.vetting.identity import Identity, look_at_identity
from mirror.core.vetting.rules import GLIBC_FLOOR, RECORD_MISMATCH, Finding
from mirror.core.wheels.hostcommands import is_host_command
from mirror.core.wheels.paths import (
    INSTALLERS_FILES,
    WheelLayout,
    clashes,
    escape_of,
    is_environments,
    nested,
    oddity_of,
    source_of,
)
from mirror.core.wheels.wheelfile import SIGNATURES, WheelFile, WheelMember

MAX_RATIO = 60
"""Deflate reaches 1,032; real wheels of more than ``SMALL_BYTES`` stay below 10."""

SMALL_BYTES = 64 << 20

_TOLD = 8
"""Findings of one kind that are told one by one, each with a subject of its own."""

_SETUID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True)
class Vetted:
    """What was found in one wheel.

    Attributes:
        artifact: as the manifest names it.
        project: its normalised name.
        findings: what the rules refuse.
        hooks: members that Python runs when it starts.
        scripts: programs that it puts on the PATH.
        setuid: members that ask for set-user-id or set-group-id; installers never grant it.
        installed: digest of each file by where it is installed, below the venv; empty for a tool, which is not installed.
        requires: its Requires-Dist lines.
        files: how many files it holds.
        glibc: what each of its compiled files for the target's machine asks of glibc; a file that asks nothing is not in it.
        unread: one sentence for each compiled file that could not be read, so that nobody knows what it asks for.
    """

    artifact: Artifact
    project: str
    findings: tuple[Finding, ...] = ()
    hooks: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    setuid: tuple[str, ...] = ()
    installed: Mapping[str, bytes] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    files: int = 0
    glibc: tuple[GlibcNeed, ...] = ()
    unread: tuple[str, ...] = ()


def judge_wheel(wheel: WheelFile, artifact: Artifact, target: Target) -> Vetted:
    """Look at everything in a wheel that was read.

    Args:
        artifact: what the manifest says it is. Wheels of ``tool/`` are judged in themselves; those of ``wheels/`` also as
            something that is installed.
    """
    return _Vetting(artifact, target).look(wheel)


class _Vetting:
    """One wheel being judged."""

    def __init__(self, artifact: Artifact, target: Target) -> None:
        self.artifact, self.target = artifact, target
        self.project = project_name(artifact.name)
        self.is_installed = artifact.is_project
        self.is_built = artifact.origin == BUILT
        self._findings: list[Finding] = []

    def found(self, rule: str, what: str, subject: str = "") -> None:
        self._findings.append(Finding(rule, self.artifact.path, self.project, what, subject))

    def found_in(self, rule: str, what: str, paths: Iterable[str]) -> None:
        """One finding for all files of one fault."""
        names = sorted(paths)
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.found(rule, f"{what}: {names[0]!r}{more}")

    def _vetted(self, **facts: Any) -> Vetted:
        return Vetted(self.artifact, self.project, tuple(self._findings), **facts)

    def look(self, wheel: WheelFile) -> Vetted:
        if wheel.fault:
            self.found(*wheel.fault)
            return self._vetted()
        self._look_at_sizes(wheel)
        files = [member for member in wheel.members if not member.is_directory]
        setuid = tuple(sorted(member.name for member in files if member.mode & _SETUID))
        # Where paths cannot be relied on, what is where cannot be told.
        info = self._own_info(wheel.infos) if self._look_at_names(wheel.members) else None
        if info is None:
            return self._vetted(setuid=setuid)
        identity, faults = look_at_identity(wheel, self.artifact, self.target)
        for rule, what in faults:
            self.found(rule, what)
        digests = {member.name: member.sha256 for member in files}
        glibc = self._look_at_native(wheel)
        self._look_at_record(wheel)
        self.found_in(
            "record-signature",
            "a signature that no installer checks",
            {f"{info}/{one}" for one in SIGNATURES} & {*digests},
        )
        layout = WheelLayout(info[: -len(".dist-info")], self.artifact.name, self.target.python)
        self._look_at_directories(wheel.members, layout)
        installed, scripts, hooks = self._lay_out(digests, identity, layout)
        self._look_at_bytecode(digests)
        return self._vetted(
            hooks=tuple(sorted(hooks)),
            scripts=tuple(sorted(path[len("bin/") :] for path in scripts)),
            setuid=setuid,
            installed={**installed, **scripts} if self.is_installed else {},
            requires=identity.requires,
            files=len(digests),
            glibc=glibc,
            unread=wheel.native.faults,
        )

    def _look_at_sizes(self, wheel: WheelFile) -> None:
        described = [member.name for member in wheel.members if member.has_descriptor]
        self.found_in("zip-data-descriptor", "sizes only follow their member (data descriptors)", described)
        unpacked = wheel.unpacked_size
        if unpacked > SMALL_BYTES and unpacked > wheel.size * MAX_RATIO:
            self.found("zip-size", f"{wheel.size} bytes unpack to {unpacked}")
        if self.artifact.unpacked_size not in (0, unpacked):
            self.found(
                "unpacked-size", f"it unpacks to {unpacked} bytes, the manifest says {self.artifact.unpacked_size}"
            )

    def _look_at_names(self, members: Sequence[WheelMember]) -> bool:
        judged = [(member.name, escape_of(member.name)) for member in members]
        escapes = [(name, why) for name, why in judged if why]
        for name, why in escapes[:1]:
            more = f" (and {len(escapes) - 1} more such names)" if len(escapes) > 1 else ""
            self.found("member-path", f"the name {name!r} {why}{more}")
        plain = [name for name, why in judged if not why]
        odd = [(name, why) for name in plain if (why := oddity_of(name))]
        for why in sorted({why for _, why in odd}):
            self.found_in("member-name", f"a name {why}", [name for name, other in odd if other == why])
        for one, other in nested(plain):
            self.found("zip-content", f"{one!r} is a file of it, and a directory of it in {other!r}")
        for one, other in clashes(member.name for member in members):
            self.found("name-clash", f"{one!r} and {other!r} differ in nothing but case or Unicode's form")
        return not escapes

    def _own_info(self, infos: Sequence[str]) -> str | None:
        """The one ``.dist-info`` directory, which must be the wheel's own."""
        if len(infos) != 1:
            self.found(
                "dist-info", f"it has {len(infos)} .dist-info directories ({', '.join(infos) or 'none'}), not one"
            )
            return None
        name, _, version = infos[0][: -len(".dist-info")].partition("-")
        if not infos[0].endswith(".dist-info") or not Identity.is_of(self.artifact, name, version):
            self.found(
                "dist-info", f"its metadata is in {infos[0]!r}; it is {self.artifact.name} {self.artifact.version}"
            )
            return None
        return infos[0]

    def _look_at_native(self, wheel: WheelFile) -> tuple[GlibcNeed, ...]:
        """Whether its compiled files start on the oldest C library that the target promises; what they ask of it."""
        needs = tuple(need for need in wheel.native.needs if need.machine == self.target.arch)
        # The C library of the machine that built it is what it asks for, and building it elsewhere is the way out.
        where = "; it was built here: build it on a system as old as that" if self.is_built else ""
        for need in needs:
            if what := need.above(self.target):
                self.found(GLIBC_FLOOR, what + where, need.path)
        self.found_in("gpu-code", "nobody knows which GPUs it is for", wheel.native.gpu_faults)
        return needs

    def _look_at_record(self, wheel: WheelFile) -> None:
        record = wheel.record
        if record.problem:
            self.found("record-missing", record.problem)
        self.found_in("record-incomplete", "RECORD does not list", record.unlisted)
        self.found_in("record-weak", "no SHA-256 or better in RECORD", record.weak)
        self.found_in(RECORD_MISMATCH, "other bytes than RECORD says", record.wrong)
        self.found_in("record-path", "RECORD lists paths outside of the wheel", record.outside)
        self.found_in("record-stale", "RECORD lists what is not there", record.stale)

    def _look_at_directories(self, members: Iterable[WheelMember], layout: WheelLayout) -> None:
        """Directories that installers do not take, though nothing may be in them."""
        for member in members:
            if member.is_directory and (problem := layout.fault_of(member.name)):
                self.found("data-scheme", problem)
        parents = {member.name.rpartition("/")[0] for member in members}
        info = {f"{layout.stem}.dist-info/{name}" for name in INSTALLERS_FILES}
        self.found_in("wheel-format", "a directory in the place of a file of .dist-info", info & parents)

    def _look_at_bytecode(self, names: Collection[str]) -> None:
        """What Python runs in the place of a source, which it looks at no further than its time and size, or not at all."""
        found = sorted(name for name in names if (source := source_of(name)) and source in names)
        for name in found[:_TOLD]:
            self.found("bytecode", f"Python may run {name} in place of {source_of(name)}", name)
        self.found_in("bytecode", "Python may run what is compiled in place of its source", found[_TOLD:])

    def _lay_out(
        self, digests: Mapping[str, bytes], identity: Identity, layout: WheelLayout
    ) -> tuple[dict[str, bytes], dict[str, bytes], list[str]]:
        """Where everything goes once installed, which of it are scripts and which hooks; and what must not go there."""
        installed: dict[str, bytes] = {}
        scripts: dict[str, bytes] = {}
        hooks: list[str] = []
        for name, digest in digests.items():
            try:
                path = layout.installed(name)
            except ValueError as exc:
                self.found("data-scheme", str(exc))
                continue
            clash = installed.setdefault(path, digest)
            if clash != digest:
                self.found("collision", f"two of its members go to {path}", path)
            if path.startswith("bin/"):
                scripts[path] = digest
            if layout.is_hook(path):
                hooks.append(name)
        for name, call in identity.scripts.items():
            path, digest = f"bin/{name}", hashlib.sha256(f"calls {call}".encode()).digest()
            if scripts.setdefault(path, digest) != digest:
                self.found("collision", f"a script and an entry point of it are both {path}", path)
        paths = {*installed, *scripts, *layout.directories()}
        for one, other in nested(paths) if not list(nested(digests)) else ():
            self.found("zip-content", f"it installs {one!r} as a file, and as a directory in {other!r}")
        if self.is_installed:
            self._look_at_places(installed, scripts, hooks)
        return installed, scripts, hooks

    def _look_at_places(self, installed: Collection[str], scripts: Collection[str], hooks: Iterable[str]) -> None:
        """What an environment must not be given."""
        for name in hooks:
            self.found("startup-hook", f"Python runs {name} whenever it starts", name)
        for path in sorted({*installed, *scripts}):
            if is_environments(path) and not (self.project == "pip" and path.startswith("bin/pip")):
                self.found("environment-file", f"it puts {path} in the place of the environment's own", path)
            elif path.startswith("bin/") and is_host_command(path[4:]):
                place = "in place of the host's or CUDA's program of that name (env.sh puts it first)"
                self.found("host-command", f"its script {path[4:]!r} runs {place}", path)
