"""The Python lock, ``NAME.txt``: pinned and hashed projects, in the format of pip-tools.

It reads locks that mirror wrote, ones that pip-tools or uv wrote elsewhere, and PEP 751's ``pylock.toml``; it writes the first
kind only. ``mirror.connected.pins.pythonlock`` is the model of a lock; ``mirror.connected.lock`` finds which file of an index a
pin means.

Rules: a pin has one exact version and sha256 digests, nothing weaker; a project is pinned once; a line that names an index, a
URL, a path, a VCS or an environment variable is refused (SECURITY.md 38, 41, 42), because the stack alone says where files come
from. The file travels in the bundle as it is: one with credentials anywhere in it is refused, and they are never echoed. Every
fault of a file is reported at once.

Example::

    lock = read_lock(Path("lockfiles/h100.txt"))
    lock.find(project_name("torch")).version     # "2.10.0"
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker
from packaging.pylock import (
    Package,
    PackageSdist,
    PackageWheel,
    Pylock,
    PylockUnsupportedVersionError,
    PylockValidationError,
)
from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion

from mirror.connected.pins import foreign
from mirror.connected.pins.foreign import foreign_file
from mirror.connected.pins.ownership import PINS, is_own
from mirror.connected.pins.pythonlock import InvalidLock, Pin, PythonLock
from mirror.connected.pins.standards import long_number, read_marker, read_requirement, read_specifiers, read_version
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, strict_json
from mirror.core.names import ProjectName, Sha256Hex, project_name, sha256_hex
from mirror.core.stackfiles import stack_word
from mirror.core.system.durable import read_file
from mirror.core.target import Target
from mirror.core.toml import parse_toml

__all__ = ["InvalidLock", "Pin", "PythonLock", "exact_version", "logical_lines", "parse_lock", "read_lock"]

MAX_BYTES = 16 << 20
"""Largest lock that is read: uv lists every file of a version, some 60 kB a project at worst."""

_NOTE = re.compile(r"#\s*mirror:\s*(?P<key>[a-z]+)[= ](?P<value>.*)")
_HASH = re.compile(r"\s--hash[= ](?P<hash>\S+)")
_CREDENTIALS = re.compile(r"://[^/\s]*@")
_COMMENT = re.compile(r"(?:^|\s)#.*")


def read_lock(path: Path) -> PythonLock:
    """Read a lock: ``pylock.toml`` and ``pylock.NAME.toml`` (PEP 751), anything else as requirements.

    Raises:
        InvalidLock: with every fault in it.
        MirrorError: as ``read_file``.
    """
    return parse_lock(read_file(path, MAX_BYTES), str(path))


def parse_lock(data: bytes, source: str) -> PythonLock:
    """Parse a lock's bytes; ``source`` names them in errors and tells the format by its ending.

    Raises:
        InvalidLock: with every fault in it.
    """
    if len(data) > MAX_BYTES:
        raise InvalidLock(source, (f"it has more than the {MAX_BYTES} bytes allowed",))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidLock(source, (f"it is not UTF-8: {exc}",)) from exc
    told = foreign_file(Path(source).name, text)
    if told:
        raise InvalidLock(source, (f"it is {told.what}",), told.step)
    reader = _PylockReader() if source.endswith(".toml") else _RequirementsReader()
    reader.read(text)
    reader.check_pins()
    if reader.issues:
        raise InvalidLock(source, tuple(reader.issues), " ".join(reader.hints) or _step(data, source))
    return reader.lock()


def _step(data: bytes, source: str) -> str:
    """What to do about a lock that is no usable one."""
    return foreign.DAMAGED.replace("NAME", stack_word(Path(source))) if is_own(data, PINS) else foreign.PIN


class _Reader:
    """Gathers pins and faults; a subclass knows one format."""

    def __init__(self) -> None:
        self.pins: list[Pin] = []
        self.places: list[str] = []
        self.issues: list[str] = []
        self.hints: dict[str, None] = {}
        self.yanked: dict[str, str] = {}
        self.said = PythonLock(())

    def lock(self) -> PythonLock:
        return replace(self.said, pins=tuple(replace(pin, yanked=self.yanked.get(pin.name, "")) for pin in self.pins))

    def say(self, **facts: Any) -> None:
        """Note what the file says of the whole lock, by the names of ``PythonLock``."""
        self.said = replace(self.said, **facts)

    def read(self, text: str) -> None:
        raise NotImplementedError

    def fault(self, place: str, problem: str, hint: str = "") -> None:
        """Note a fault, with the next step where it has one of its own."""
        self.issues.append(f"{place}: {problem}")
        if hint:
            self.hints[hint] = None

    def pin(
        self,
        place: str,
        requirement: Requirement,
        hashes: list[str],
        via: tuple[str, ...] = (),
        requires_python: str = "",
    ) -> None:
        """Check one pin and keep it."""
        name = project_name(requirement.name)
        version = exact_version(requirement)
        if requirement.url:
            hint = foreign.NO_PROJECT if requirement.url.startswith("file:") else foreign.NO_DIRECT
            self.fault(place, f"{name} names a URL: a lock names versions of an index", hint)
        elif version is None:
            self.fault(place, f"{name} is not pinned: expected '{name}==VERSION', got '{requirement}'")
        elif not hashes:
            self.fault(place, f"{name}=={version} has no hash: expected --hash=sha256:... for it", foreign.HASHES)
        else:
            digests = tuple(self._digest(place, f"{name}=={version}", text) for text in hashes)
            marker = str(requirement.marker) if requirement.marker else ""
            self.pins.append(Pin(name, version, digests, marker, via, requires_python=requires_python))
            self.places.append(place)

    def _digest(self, place: str, pin: str, text: str) -> Sha256Hex:
        algorithm, _, digest = text.partition(":")
        if algorithm != "sha256":
            self.fault(place, f"{pin} has a {algorithm} hash: only sha256 is accepted")
        else:
            try:
                return sha256_hex(digest)
            except ValueError as exc:
                self.fault(place, f"{pin} has a bad sha256 hash: {exc}")
        return Sha256Hex("")  # never seen: a fault ends in InvalidLock

    def check_pins(self) -> None:
        """Hold the rules between pins."""
        first: dict[ProjectName, int] = {}
        owner: dict[Sha256Hex, Pin] = {}
        for index, (pin, place) in enumerate(zip(self.pins, self.places, strict=True)):
            other = self.pins[first.setdefault(pin.name, index)]
            if other is not pin and not (pin.marker and other.marker):
                self.fault(place, f"{pin.name}=={pin.version} is pinned to {other.version} already")
            for digest in pin.hashes:
                if digest and owner.setdefault(digest, pin).name != pin.name:
                    self.fault(place, f"{pin.name} and {owner[digest].name} have one hash: {digest}")


class _RequirementsReader(_Reader):
    """pip's requirements format, as pip-tools and uv write it."""

    def read(self, text: str) -> None:
        for number, raw in enumerate(text.splitlines(), start=1):
            comment = _COMMENT.search(raw)
            if comment and _CREDENTIALS.search(comment[0]):
                self.fault(f"line {number}", "a comment has a URL with credentials: they would travel in the bundle")
        for number, line, via in logical_lines(text):
            place = f"line {number}"
            if line.startswith("#"):
                if not _CREDENTIALS.search(line):  # else a bad note would echo them
                    self._note(place, line)
            else:
                self._requirement(place, line, via)

    def _requirement(self, place: str, line: str, via: tuple[str, ...]) -> None:
        if line.startswith("-"):
            option = foreign.option_of(line)
            if option in foreign.HARMLESS:
                return None
            return self.fault(
                place, f"{option} is refused: NAME.toml says where files come from", foreign.hint_of(option)
            )
        if "${" in line:
            return self.fault(place, "an environment variable is refused: a lock means the same everywhere")
        words = _HASH.sub("", f" {line}").strip()
        try:
            requirement = read_requirement(words)
        except InvalidRequirement as exc:
            # Never echo the line: it may be a URL with a password in it (SECURITY.md T23).
            hint = foreign.NO_PROJECT if words.startswith((".", "/", "~", "file:")) else ""
            problem = "expected 'NAME==VERSION --hash=sha256:...', got something else"
            return self.fault(place, str(exc) if isinstance(exc.__cause__, InvalidMarker) else problem, hint)
        return self.pin(place, requirement, [match["hash"] for match in _HASH.finditer(f" {line}")], via)

    def _note(self, place: str, line: str) -> None:
        """A comment; those that begin with ``mirror:`` carry the lock's own facts."""
        match = _NOTE.fullmatch(line)
        if match is None:
            return
        key, value = match["key"], match["value"].strip()
        try:
            if key == "locked":
                self.say(locked=_seconds(value))
            elif key == "target":
                fields = Fields(strict_json(value.encode(), "target", MAX_BYTES), "target")
                self.say(target=Target.from_fields(fields))
            elif key == "unpinned":
                self.say(unpinned=(*self.said.unpinned, value))
            elif key == "stack":
                self.say(stack=sha256_hex(value))
            elif key == "wishes":
                parts = Fields(strict_json(value.encode(), "wishes", MAX_BYTES), "wishes")
                self.say(wishes=tuple((part, parts.text(part)) for part in parts.left()))
            elif key == "withdrawn":
                name, _, reason = value.partition(" ")
                self.yanked[project_name(name)] = reason or "yes"
            elif key == "python":
                self.say(requires_python=str(read_specifiers(value)))
            elif key == "environment":
                self.say(environments=(*self.said.environments, str(read_marker(value))))
            else:
                self.fault(place, f"unknown note 'mirror: {key}'")
        except (ValueError, InvalidDocument) as exc:
            self.fault(place, f"bad note 'mirror: {key}': {exc}")


class _PylockReader(_Reader):
    """PEP 751, by ``packaging.pylock``."""

    def read(self, text: str) -> None:
        for number, line in enumerate(text.splitlines(), start=1):
            if _CREDENTIALS.search(line):
                self.fault(f"line {number}", "a URL with credentials: they would travel in the bundle")
        if problem := long_number(text):
            self.fault("pylock", problem)
            return
        try:
            pylock = Pylock.from_dict(parse_toml(text.encode(), "pylock", MAX_BYTES))
            environments = tuple(str(read_marker(str(marker))) for marker in pylock.environments or ())
        except (InvalidDocument, InvalidMarker, PylockValidationError, PylockUnsupportedVersionError) as exc:
            self.fault("pylock", str(exc))
            return
        wanted = tuple(pylock.default_groups or ())
        self.say(
            requires_python=str(pylock.requires_python or ""),
            environments=environments,
            extras=tuple(pylock.extras or ()),
            wanted_groups=wanted,
            groups=tuple(dict.fromkeys((*(pylock.dependency_groups or ()), *wanted))),
        )
        for index, package in enumerate(pylock.packages):
            self._package(f"packages[{index}]", package)

    def _package(self, place: str, package: Package) -> None:
        if package.vcs or package.directory or package.archive:
            return self.fault(
                place,
                f"{package.name} comes from a VCS, a directory or a URL: a lock names versions of an index",
                foreign.NO_PROJECT if package.directory else foreign.NO_DIRECT,
            )
        files: list[PackageWheel | PackageSdist] = [*(package.wheels or ()), *filter(None, [package.sdist])]
        if any(
            "?" in url or re.search("//[^/]*@", url) for url in [package.index or "", *(f.url or "" for f in files)]
        ):
            self.fault(place, f"{package.name} has a URL with a user or a query: it would travel in the bundle")
        # A sha256 is what we compare; other algorithms beside it are of no use to us and no harm.
        hashes = [f"sha256:{file.hashes['sha256']}" for file in files if "sha256" in file.hashes]
        pinned = f"=={package.version}" if package.version else ""
        requirement = read_requirement(f"{package.name}{pinned}")
        try:
            requirement.marker = read_marker(str(package.marker)) if package.marker else None
        except InvalidMarker as exc:
            return self.fault(place, f"{package.name}: {exc}")
        return self.pin(place, requirement, hashes, requires_python=str(package.requires_python or ""))


def logical_lines(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Lines with continuations joined, their number, and the ``# via`` comments below them."""
    number, joined, via = 0, "", list[str]()
    for current, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if line.startswith("#") and raw[:1] == " " and joined:
            via += [word.strip() for word in re.sub(r"#\s*(via(\s|$))?", "", line).split(",") if word.strip()]
            continue
        if joined and not joined.endswith("\\"):
            yield number, joined, tuple(via)
            joined, via = "", []
        if line.startswith("#"):
            yield current, line, ()
        elif line or joined:
            number = number if joined else current
            joined = (joined.removesuffix("\\") + " " + re.sub(r"\s#.*", "", line)).strip()
    if joined:
        yield number, joined.removesuffix("\\").strip(), tuple(via)


def exact_version(requirement: Requirement) -> str | None:
    """The version that a requirement pins with ``==``, normalised; None when it allows several.

    >>> exact_version(Requirement("torch==2.10.0"))
    '2.10.0'
    """
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator not in ("==", "==="):
        return None
    try:
        return str(read_version(specifiers[0].version))
    except InvalidVersion:
        return None


def _seconds(text: str) -> int:
    """Inverse of ``utc``. Raises ``ValueError``."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp())
