"""Vetting: is a wheel what it says it is, to the last file, before any installer sees it?

It holds the judging of one wheel, in order: the zip's form, its names, its metadata, its contents against RECORD, what its
compiled files ask of glibc, and what it puts where. How two wheels go together is ``mirror.core.vetting.together``'s; whether a
finding stands in the way is ``mirror.core.vetting.rules``'s.

Rules (SECURITY.md 2.3, 22 to 28, 39, 46 and 47): nothing is unpacked, each content is streamed through hashes once, and of a
compiled file some pages are read again; a wheel whose form cannot be relied on is judged no further; what is found is told,
never raised.

Example::

    with path.open("rb") as stream:
        vetted = vet_wheel(stream, artifact, target)
    vetted.findings
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Callable

from mirror.core.archives.zipseek import TooScattered
from mirror.core.binaries.elf import MAGIC, MalformedElf, read_elf
from mirror.core.binaries.glibc import GlibcNeed, glibc_need
from mirror.core.bundle.manifest import BUILT, Artifact
from mirror.core.kinds import WHEEL
from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.vetting.identity import Identity, Texts, look_at_identity
from mirror.core.vetting.rules import GLIBC_FLOOR, Finding
from mirror.core.wheels.paths import (
    INSTALLERS_FILES,
    WheelLayout,
    clashes,
    escape_of,
    is_environments,
    nested,
    oddity_of,
)
from mirror.core.wheels.record import Record
from mirror.core.wheels.wheelzip import Archive, BadZip, Marks, Member, read_archive

MAX_RATIO = 60
"""Deflate reaches 1,032; real wheels of more than ``SMALL_BYTES`` stay below 10."""

SMALL_BYTES = 64 << 20

_MAX_TEXT_BYTES = 32 << 20
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")
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


def vet_wheel(
    stream: BinaryIO, artifact: Artifact, target: Target, advance: Callable[[int], object] = lambda amount: None
) -> Vetted:
    """Look at everything in a wheel.

    Args:
        stream: seekable, over the wheel's bytes, whose digest has been checked.
        artifact: what the manifest says it is. Wheels of ``tool/`` are judged in themselves; those of ``wheels/`` also as
            something that is installed.
        advance: told the bytes of the wheel that were looked at.

    Raises:
        OSError: when the stream cannot be read.
    """
    vetting = _Vetting(artifact, target, advance)
    try:
        vetting.look(read_archive(stream))
    except BadZip as exc:
        vetting.found(exc.rule, str(exc))
    return vetting.result()


class _Vetting:
    """One wheel being judged."""

    def __init__(self, artifact: Artifact, target: Target, advance: Callable[[int], object]) -> None:
        self.artifact, self.target, self._advance = artifact, target, advance
        self.project = project_name(artifact.name)
        self.is_installed = artifact.kind is WHEEL
        self.is_built = artifact.origin == BUILT
        self._findings: list[Finding] = []
        self._hooks: list[str] = []
        self._scripts: dict[str, bytes] = {}
        self._setuid: list[str] = []
        self._installed: dict[str, bytes] = {}
        self._requires: tuple[str, ...] = ()
        self._files = 0
        self._glibc: list[GlibcNeed] = []
        self._unread: list[str] = []

    def found(self, rule: str, what: str, subject: str = "") -> None:
        self._findings.append(Finding(rule, self.artifact.path, self.project, what, subject))

    def found_in(self, rule: str, what: str, paths: Iterable[str]) -> None:
        """One finding for all files of one fault."""
        names = sorted(paths)
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            self.found(rule, f"{what}: {names[0]!r}{more}")

    def result(self) -> Vetted:
        return Vetted(
            self.artifact,
            self.project,
            tuple(self._findings),
            tuple(sorted(self._hooks)),
            tuple(sorted(name[4:] for name in self._scripts)),
            tuple(sorted(self._setuid)),
            {**self._installed, **self._scripts} if self.is_installed else {},
            self._requires,
            self._files,
            tuple(self._glibc),
            tuple(self._unread),
        )

    def look(self, archive: Archive) -> None:
        self._look_at_sizes(archive)
        if not self._look_at_names(archive.members):
            return  # paths that cannot be relied on: what is where cannot be told
        info = self._own_info(archive.members)
        if info is None:
            return
        texts = Texts.of(archive, info, _MAX_TEXT_BYTES)
        identity, faults = look_at_identity(texts, self.artifact, self.target)
        for rule, what in faults:
            self.found(rule, what)
        record = self._record(texts)
        digests = self._hash(archive, record, info)
        self._files = len(digests)
        layout = WheelLayout(info[: -len(".dist-info")], self.artifact.name, self.target.python)
        self._look_at_directories(archive.members, layout)
        self._lay_out(digests, identity, layout)

    def _look_at_sizes(self, archive: Archive) -> None:
        described = [member.name for member in archive.members if member.descriptor]
        self.found_in("zip-data-descriptor", "sizes only follow their member (data descriptors)", described)
        if archive.unpacked > SMALL_BYTES and archive.unpacked > archive.size * MAX_RATIO:
            self.found("zip-size", f"{archive.size} bytes unpack to {archive.unpacked}")
        if self.artifact.unpacked_size not in (0, archive.unpacked):
            self.found(
                "unpacked-size",
                f"it unpacks to {archive.unpacked} bytes, the manifest says {self.artifact.unpacked_size}",
            )

    def _look_at_names(self, members: Sequence[Member]) -> bool:
        escapes = [(name, why) for name in (member.name for member in members) if (why := escape_of(name))]
        for name, why in escapes[:1]:
            more = f" (and {len(escapes) - 1} more such names)" if len(escapes) > 1 else ""
            self.found("member-path", f"the name {name!r} {why}{more}")
        plain = [member.name for member in members if not escape_of(member.name)]
        odd = [(name, why) for name in plain if (why := oddity_of(name))]
        for why in sorted({why for _, why in odd}):
            self.found_in("member-name", f"a name {why}", [name for name, other in odd if other == why])
        for one, other in nested(plain):
            self.found("zip-content", f"{one!r} is a file of it, and a directory of it in {other!r}")
        for one, other in clashes(member.name for member in members):
            self.found("name-clash", f"{one!r} and {other!r} differ in nothing but case or Unicode's form")
        self._setuid += [member.name for member in members if member.mode & _SETUID and not member.is_directory]
        return not escapes

    def _own_info(self, members: Sequence[Member]) -> str | None:
        """The one ``.dist-info`` directory, which must be the wheel's own."""
        # pip counts a file of such a name, too.
        tops = {member.name.partition("/")[0] for member in members}
        infos = sorted(top for top in tops if top.lower().endswith(".dist-info"))
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

    def _record(self, texts: Texts) -> Record:
        if texts.record is None:
            self.found("record-missing", "it has no RECORD")
            return Record({})
        try:
            return Record.parse(texts.record)
        except (ValueError, UnicodeDecodeError) as exc:
            self.found("record-missing", f"its RECORD cannot be read: {exc}")
            return Record({})

    def _hash(self, archive: Archive, record: Record, info: str) -> dict[str, bytes]:
        """Stream each content once, and hold RECORD against it; the SHA-256 of each file."""
        digests, wrong, unlisted, weak = {}, [], [], []
        exempt = {f"{info}/{name}" for name in ("RECORD", *_SIGNATURES)}
        signatures = []
        for member in archive.members:
            if member.is_directory:
                continue
            line = record.lines.get(member.name)
            more = line.algorithm if line and line.digest and line.algorithm != "sha256" else ""
            hashes = {name: hashlib.new(name) for name in ("sha256", *([more] if more else []))}
            marks, head = Marks(member), b""
            for piece in archive.content(member, marks):
                head = head if len(head) >= len(MAGIC) else head + piece[: len(MAGIC)]
                for one in hashes.values():
                    one.update(piece)
            self._advance(member.packed)
            if head.startswith(MAGIC):
                self._look_at_native(archive.seekable(member, marks), member.name)
            digests[member.name] = hashes["sha256"].digest()
            if member.name in exempt:
                signatures += [member.name] * (not member.name.endswith("/RECORD"))
            elif line is None:
                unlisted.append(member.name)
            elif not line.digest:
                weak.append(member.name)
            elif hashes[line.algorithm].digest() != line.digest or line.size not in (None, member.size):
                wrong.append(member.name)
        if record.lines:
            self.found_in("record-incomplete", "RECORD does not list", unlisted)
            self.found_in("record-weak", "no SHA-256 or better in RECORD", weak)
            self.found_in("record-mismatch", "other bytes than RECORD says", wrong)
            escaping = {path for path in record.lines if escape_of(path)}
            self.found_in("record-path", "RECORD lists paths outside of the wheel", escaping)
            directories = {member.name.rstrip("/") for member in archive.members if member.is_directory}
            known = {*digests, *directories, *exempt, *escaping}
            self.found_in(
                "record-stale", "RECORD lists what is not there", {p.rstrip("/") for p in record.lines} - known
            )
        self.found_in("record-signature", "a signature that no installer checks", signatures)
        return digests

    def _look_at_native(self, stream: BinaryIO, name: str) -> None:
        """Whether a compiled file starts on the oldest C library that the target promises."""
        try:
            elf = read_elf(stream, name)
            need = glibc_need(stream, elf, name) if elf and elf.machine == self.target.arch else None
        except (MalformedElf, TooScattered) as exc:
            self._unread.append(str(exc))
            return
        if need:
            self._glibc.append(need)
            if what := need.above(self.target):
                # The C library of the machine that built it is what it asks for, and building it elsewhere is the way out.
                where = "; it was built here: build it on a system as old as that" if self.is_built else ""
                self.found(GLIBC_FLOOR, what + where, name)

    def _look_at_directories(self, members: Iterable[Member], layout: WheelLayout) -> None:
        """Directories that installers do not take, though nothing may be in them."""
        for member in members:
            if member.is_directory and (problem := layout.fault_of(member.name)):
                self.found("data-scheme", problem)
        parents = {member.name.rpartition("/")[0] for member in members}
        info = {f"{layout.stem}.dist-info/{name}" for name in INSTALLERS_FILES}
        self.found_in("wheel-format", "a directory in the place of a file of .dist-info", info & parents)

    def _lay_out(self, digests: Mapping[str, bytes], identity: Identity, layout: WheelLayout) -> None:
        """Where everything goes once installed, and what must not go there."""
        self._requires = identity.requires
        for name, digest in digests.items():
            try:
                path = layout.installed(name)
            except ValueError as exc:
                self.found("data-scheme", str(exc))
                continue
            clash = self._installed.setdefault(path, digest)
            if clash != digest:
                self.found("collision", f"two of its members go to {path}", path)
            if path.startswith("bin/"):
                self._scripts[path] = digest
            if layout.is_hook(path):
                self._hooks.append(name)
        for name, call in identity.scripts.items():
            path, digest = f"bin/{name}", hashlib.sha256(f"calls {call}".encode()).digest()
            if self._scripts.setdefault(path, digest) != digest:
                self.found("collision", f"a script and an entry point of it are both {path}", path)
        paths = {*self._installed, *self._scripts, *layout.directories()}
        for one, other in nested(paths) if not list(nested(digests)) else ():
            self.found("zip-content", f"it installs {one!r} as a file, and as a directory in {other!r}")
        if not self.is_installed:
            return
        for name in self._hooks:
            self.found("startup-hook", f"Python runs {name} whenever it starts", name)
        for path in sorted({*self._installed, *self._scripts}):
            if is_environments(path) and not (self.project == "pip" and path.startswith("bin/pip")):
                self.found("environment-file", f"it puts {path} in the place of the environment's own", path)
