"""A Python lock as a value: its pins, and which of them are for a target.

``mirror.connected.pins.requirements`` reads one from a file.

Rules: nothing of a lock is left out in silence: what is not for the target, or of an extra or a group that nobody asked for, is
told with its marker; a lock of which nothing is left is refused.

Example::

    lock.within(environment(target), "pylock.toml").left_out
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from mirror.connected.pins import foreign
from mirror.connected.pins.markers import holds
from mirror.connected.pins.standards import read_specifiers
from mirror.core.errors import MirrorError
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.target import Target
from mirror.core.words import utc

_PATCHES = range(100)
_MARKERS_SHOWN = 4


class InvalidLock(MirrorError):
    """A file given as Python lock breaks the rules of one.

    Attributes:
        issues: every fault, as ``"line 12: ..."``.
    """

    ref = "invalid-lock"
    exit_code = 50
    message = "{path} is no usable lock: {issues:first}"

    path: str
    issues: tuple[str, ...]
    hint: str = foreign.PIN

    def context(self) -> str:
        return "\n".join(self.issues) if len(self.issues) > 1 else ""


@dataclass(frozen=True)
class Pin:
    """One project at one version.

    Attributes:
        version: as ``packaging`` normalises it, ``"1!2.0+cu128"``.
        hashes: of the files it may come from: exactly one in a lock of ours, often dozens in one made elsewhere.
        marker: the environments it is for; empty for all, and always so in a lock of ours.
        via: what asked for it, for people.
        wishes: a digest of each part of that ``NAME.toml`` that pins hang on (``mirror.connected.resolving.coverage``), by
            its name; empty where that is not known.
        requires_python: the versions of Python that a ``pylock.toml`` says it is for; empty for all.
        yanked: why its makers had withdrawn it at the time of locking (``"yes"`` when they gave no reason); empty when they had
            not, or when nobody wrote it down.
    """

    name: ProjectName
    version: str
    hashes: tuple[Sha256Hex, ...]
    marker: str = ""
    via: tuple[str, ...] = ()
    yanked: str = ""
    requires_python: str = ""

    def encode(self) -> str:
        """The pin's lines as pip-tools writes them."""
        marker = f" ; {self.marker}" if self.marker else ""
        lines = [f"{self.name}=={self.version}{marker}", *(f"    --hash=sha256:{digest}" for digest in self.hashes)]
        text = " \\\n".join(lines) + "\n"
        if len(self.via) == 1:
            return f"{text}    # via {self.via[0]}\n"
        return text + "".join(["    # via\n", *(f"    #   {name}\n" for name in self.via)] if self.via else [])


@dataclass(frozen=True)
class PythonLock:
    """A whole lock.

    Attributes:
        pins: sorted by name in a lock of ours.
        locked: time of locking in seconds since 1970 UTC, the bundle's sequence number; None in a lock made elsewhere.
        target: the machine it was made for; None in a lock made elsewhere.
        unpinned: optional requirements that it goes without, each with the reason.
        stack: sha256 of the ``NAME.toml`` that was locked; empty where that is not known.
        requires_python: the versions of Python that a ``pylock.toml`` is for; empty for all.
        environments: the markers of which one has to hold where a ``pylock.toml`` is used; empty for anywhere.
        extras, groups: that a ``pylock.toml`` offers.
        wanted_extras: those that are taken; none unless somebody asks.
        wanted_groups: those that are taken: by default the ones that the ``pylock.toml`` says.
        left_out: which pins ``within`` left out, and why; one sentence each, for people.
    """

    pins: tuple[Pin, ...]
    locked: int | None = None
    target: Target | None = None
    unpinned: tuple[str, ...] = ()
    stack: str = ""
    requires_python: str = ""
    environments: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    wanted_extras: tuple[str, ...] = ()
    wanted_groups: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    wishes: tuple[tuple[str, str], ...] = ()

    def find(self, name: ProjectName) -> Pin | None:
        return next((pin for pin in self.pins if pin.name == name), None)

    def choosing(self, extras: Sequence[str], groups: Sequence[str] | None, source: str) -> PythonLock:
        """The lock with other extras and dependency groups wanted than by default.

        Args:
            groups: in place of the lock's default ones; None for those.
            source: names the lock in errors.

        Raises:
            InvalidLock: it offers no such extra or group.
        """
        issues = [
            f"it offers no {kind} {name!r}, but {', '.join(offered) or 'none'}"
            for kind, wanted, offered in (("extra", extras, self.extras), ("group", groups or (), self.groups))
            for name in wanted
            if canonicalize_name(name) not in {canonicalize_name(one) for one in offered}
        ]
        if issues:
            raise InvalidLock(source, tuple(issues), "Name one that it offers, or leave --extra and --group out.")
        return replace(
            self, wanted_extras=tuple(extras), wanted_groups=self.wanted_groups if groups is None else tuple(groups)
        )

    def within(self, environment: Mapping[str, str], source: str = "the lock") -> PythonLock:
        """The lock with only the pins whose marker holds in an environment (``mirror.connected.pins.markers.environment``).

        Raises:
            InvalidLock: the lock, or one of those pins, is for other environments, or no pin is left; ``source`` names it.
        """
        python = environment["python_version"]
        target = f"Python {python}, {environment['sys_platform']} on {environment['platform_machine']}"
        if not _allows(self.requires_python, python):
            issue = f"it requires Python {self.requires_python}; the target has Python {python}"
            raise InvalidLock(source, (issue,), foreign.OTHER_TARGET)
        if self.environments and not any(holds(marker, environment) for marker in self.environments):
            issue = f"it is only for {' or '.join(self.environments)}; the target is {target}"
            raise InvalidLock(source, (issue,), foreign.OTHER_TARGET)
        wanted = self.wanted_extras, self.wanted_groups
        held = tuple(pin for pin in self.pins if not pin.marker or holds(pin.marker, environment, *wanted))
        if self.pins and not held:
            issue = f"none of its pins ({len(self.pins)}) is for the target ({target}): {self._markers(self.pins)}"
            raise InvalidLock(source, (issue,), self._way_to_more())
        misfits = [pin for pin in held if not _allows(pin.requires_python, python)]
        if misfits:
            issues = (
                f"{p.name}=={p.version} requires Python {p.requires_python}; the target has Python {python}"
                for p in misfits
            )
            raise InvalidLock(source, tuple(issues), foreign.OTHER_TARGET)
        pins = tuple(replace(pin, marker="", requires_python="") for pin in held)
        return replace(self, pins=pins, left_out=tuple(self._left_out(held, target, source)))

    def _left_out(self, held: Sequence[Pin], target: str, source: str) -> Iterator[str]:
        name = Path(source).name
        if len(held) < len(self.pins):
            others = [pin for pin in self.pins if pin not in held]
            yield f"{name}: {len(held)} of its {len(self.pins)} pins are for the target ({target}); {self._markers(others)}"
        for kind, option, offered, wanted in (
            ("extras", "--extra", self.extras, self.wanted_extras),
            ("dependency groups", "--group", self.groups, self.wanted_groups),
        ):
            if set(map(canonicalize_name, offered)) - set(map(canonicalize_name, wanted)):
                yield (
                    f"{name} offers the {kind} {', '.join(offered)}; taken: {', '.join(wanted) or 'none'} "
                    f"(to choose: {' '.join(f'{option} {one}' for one in offered)})"
                )

    def _way_to_more(self) -> str:
        """What to do when no pin is left."""
        if any(word in pin.marker for pin in self.pins for word in ("extras", "dependency_groups")):
            return f"Say what is wanted of it with --group or --extra. {foreign.OTHER_TARGET}"
        return foreign.OTHER_TARGET

    @staticmethod
    def _markers(pins: Sequence[Pin]) -> str:
        """Why pins are left out: each marker with how many have it, and some of them."""
        names: dict[str, list[str]] = {}
        for pin in pins:
            names.setdefault(pin.marker, []).append(pin.name)
        most = sorted(names.items(), key=lambda item: -len(item[1]))
        shown = [
            f"{len(found)} only for {marker} ({', '.join(found[:3])}{', ...' if len(found) > 3 else ''})"
            for marker, found in most[:_MARKERS_SHOWN]
        ]
        rest = sum(len(found) for _, found in most[_MARKERS_SHOWN:])
        return "; ".join([*shown, *([f"{rest} for others"] if rest else [])])

    def encode(self, title: str) -> bytes:
        """The file's bytes; a comment of one line says what it is. Inverse of ``parse_lock``."""
        head = [f"# {title}"]
        if self.locked is not None:
            head.append(f"# mirror: locked={utc(self.locked)}")
        if self.target is not None:
            head.append(f"# mirror: target={json.dumps(self.target.to_dict(), sort_keys=True, separators=(',', ':'))}")
        head += [f"# mirror: stack={self.stack}"] if self.stack else []
        head += [f"# mirror: wishes={json.dumps(dict(self.wishes), separators=(',', ':'))}"] if self.wishes else []
        head += [f"# mirror: unpinned {line}" for line in self.unpinned]
        head += [f"# mirror: withdrawn {pin.name} {pin.yanked}" for pin in self.pins if pin.yanked]
        head += [f"# mirror: python {self.requires_python}"] if self.requires_python else []
        head += [f"# mirror: environment {marker}" for marker in self.environments]
        return ("\n".join(head) + "\n" + "".join(pin.encode() for pin in self.pins)).encode()


def _allows(requires: str, python: str) -> bool:
    """The target names no patch release: only what excludes all of them is not for it."""
    return not requires or any(read_specifiers(requires).contains(f"{python}.{patch}") for patch in _PATCHES)
