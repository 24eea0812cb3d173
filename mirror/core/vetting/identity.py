"""What a wheel's metadata says it is, held against what it is called and what it is for.

It holds the meaning of METADATA, WHEEL and entry_points.txt. ``mirror.core.wheels.tags`` parses file names and tags,
``mirror.core.vetting.wheel`` judges the rest of the wheel.

Rules (SECURITY.md 26, 38, 39, 40 and 46): name and version are the same inside, in the file name and in the manifest, however
they are spelt; METADATA, WHEEL and entry_points.txt are UTF-8; WHEEL names the file name's tags, of which the target takes
one; each script has a plain name and calls an object of a module. What uv or pip would refuse is a fault here.

Example::

    identity, faults = look_at_identity(wheel, artifact, target)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message

from mirror.core.bundle.manifest import Artifact
from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.wheels.tags import WheelName, expanded, target_tags
from mirror.core.wheels.versions import same_version, satisfies
from mirror.core.wheels.wheelfile import WheelFile

_SCRIPT = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_DOTTED = r"[A-Za-z_]\w*(?:\.\w+)*"
_EXTRA = r"\s*\w+\s*"
_CALL = re.compile(rf"{_DOTTED}:{_DOTTED}\s*(?:\[{_EXTRA}(?:,{_EXTRA})*\])?")
_GROUP = re.compile(r"\[[^\[\]]*[^\[\]\s][^\[\]]*\]")
_GROUPS = ("console_scripts", "gui_scripts")


@dataclass(frozen=True)
class Identity:
    """What the metadata says: Requires-Dist lines, and what each script calls."""

    requires: tuple[str, ...] = ()
    scripts: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def is_of(artifact: Artifact, name: str, version: str) -> bool:
        """Whether a name and a version are the artifact's, however they are spelt."""
        try:
            return project_name(name) == project_name(artifact.name) and same_version(
                version.replace("_", "-"), artifact.version
            )
        except ValueError:
            return False


def look_at_identity(wheel: WheelFile, artifact: Artifact, target: Target) -> tuple[Identity, list[tuple[str, str]]]:
    """Read the metadata: what it says, and what is wrong with it as ``(rule, what)``."""
    faults = list(_name_faults(artifact, target))
    for name in ("METADATA", "WHEEL"):
        if name not in wheel.texts:
            return Identity(), [*faults, ("wheel-format", f"its .dist-info has no {name}")]
    for name in ("METADATA", "WHEEL"):
        problem = _no_utf8(wheel.texts[name])
        faults += [("wheel-format", f"its {name} is not UTF-8: {problem}")] if problem else []
    metadata = wheel.headers("METADATA")
    faults += _metadata_faults(metadata, artifact, target)
    faults += _wheel_faults(wheel.headers("WHEEL"), artifact)
    scripts, more = _scripts(wheel.texts.get("entry_points.txt", b""))
    requires = tuple(str(line) for line in metadata.get_all("Requires-Dist", []))
    return Identity(requires, scripts), [*faults, *more]


def _no_utf8(text: bytes) -> str:
    """Where a text is in another encoding; empty when it is not. uv and pip each fail on some such documents."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as exc:
        return f"line {text.count(bytes([10]), 0, exc.start) + 1} has the byte {text[exc.start]:#04x}"
    return ""


def _name_faults(artifact: Artifact, target: Target) -> Iterator[tuple[str, str]]:
    try:
        name = WheelName.parse(artifact.filename)
    except ValueError as exc:
        yield "wheel-identity", str(exc)
        return
    if not Identity.is_of(artifact, name.project, name.version):
        yield "wheel-identity", f"its name says {name.project} {name.version}, the manifest {_said(artifact)}"
    if not name.tags & target_tags(target):
        yield "wheel-target", f"it is for {', '.join(sorted(name.tags))}; the target is {target}"


def _metadata_faults(metadata: Message, artifact: Artifact, target: Target) -> Iterator[tuple[str, str]]:
    for key in ("Name", "Version"):
        if len(metadata.get_all(key, [])) != 1:
            yield "wheel-format", f"its METADATA says {key} {len(metadata.get_all(key, []))} times"
            return
    name, version = str(metadata["Name"]).strip(), str(metadata["Version"]).strip()
    if not Identity.is_of(artifact, name, version):
        yield "wheel-identity", f"its METADATA says {name} {version}, the manifest {_said(artifact)}"
    python = str(metadata.get("Requires-Python", "")).strip()
    try:
        # Which patch release a host has is not known: one that fits is enough, as when the wheel was chosen.
        if python and not any(satisfies(f"{target.python}.{patch}", python) for patch in (0, 99)):
            yield "requires-python", f"it asks for Python {python}, the target has {target.python}"
    except ValueError as exc:
        yield "requires-python", f"its Requires-Python cannot be read: {exc}"


def _wheel_faults(wheel: Message, artifact: Artifact) -> Iterator[tuple[str, str]]:
    version = next((str(value).strip() for key, value in wheel.items() if key == "Wheel-Version"), "")  # uv heeds case
    if not re.fullmatch(r"1\.[0-9]+", version, re.ASCII):
        yield "wheel-format", f"its WHEEL is of format {version!r}, not 1"
    try:
        inside = frozenset(tag for line in wheel.get_all("Tag", []) for tag in expanded(str(line).strip()))
        outside = WheelName.parse(artifact.filename).tags
    except ValueError as exc:
        yield "wheel-tags", f"its tags cannot be read: {exc}"
        return
    # A name too long for a bundle has been cut to the one tag by which the target takes the wheel.
    if inside != outside and not (len(outside) == 1 and outside < inside):
        yield (
            "wheel-tags",
            f"its WHEEL says {', '.join(sorted(inside - outside)) or 'less'}, "
            f"its name {', '.join(sorted(outside - inside)) or 'less'}",
        )


def _scripts(data: bytes) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """What the console and GUI scripts call, by their names, and what is wrong with them."""
    scripts: dict[str, str] = {}
    faults: list[tuple[str, str]] = []
    group, groups, names, depth = "", set[str](), set[str](), 0
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {}, [("wheel-format", "its entry_points.txt is not UTF-8")]
    lines = text.replace("\r\n", "\n").split("\n")
    if text.splitlines() != lines[: len(lines) - (not lines[-1])]:
        # One installer takes such a character for the end of a line and another does not: what is a comment to one of them
        # is a script to the other.
        return {}, [("wheel-format", "its entry_points.txt has other ends of lines than LF and CRLF")]
    for raw in lines:
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if _GROUP.fullmatch(line):
            group, names = line[1:-1].strip(), set()
            if group in groups:
                faults.append(("wheel-format", f"its entry_points.txt has {line} twice"))
            groups.add(group)
            continue
        name, equals, call = (part.strip() for part in line.partition("="))
        if not equals or line[0] == "[":
            faults.append(("wheel-format", f"its entry_points.txt has the line {line!r}"))
        elif group in _GROUPS and names and len(raw) - len(raw.lstrip()) > depth:
            # uv takes it for more of the line above, pip for a script of its own.
            faults.append(("wheel-format", f"its entry_points.txt has the indented line {line!r}"))
        elif not groups and not faults:
            faults.append(("wheel-format", f"its entry_points.txt has the line {line!r} before any [group]"))
        elif name in names:
            rule, what = ("entry-point", "its script") if group in _GROUPS else ("wheel-format", f"in [{group}]")
            faults.append((rule, f"{what} {name!r} is there twice"))
        elif group in _GROUPS:
            if not _SCRIPT.fullmatch(name) or name in (".", ".."):
                faults.append(("entry-point", f"it has a script named {name!r}"))
            elif not _CALL.fullmatch(call):
                faults.append(("entry-point", f"its script {name!r} calls {call!r}"))
            elif scripts.setdefault(name, call) != call:
                faults.append(("entry-point", f"its script {name!r} is there twice"))
        names.add(name)
        depth = len(raw) - len(raw.lstrip())
    return scripts, faults


def _said(artifact: Artifact) -> str:
    return f"{artifact.name} {artifact.version}"
