"""Whether several hosts have the same installed: what ``mirror status --json`` printed on each, side by side.

It reads documents that were collected from the hosts by whatever the site collects with; it asks no host itself.

Rules: a document is another host's words, so all of it is judged before it is believed; a host whose document is an error is no
host without anything, unless that is what the error says; what most hosts have is what the others are held against, and among
as many, what the host has that was named first. But damage is never what most have: every host that has some differs. Of one
name each host has one stack, wherever it lies; where a host has two, their prefixes tell them apart, on every host.

Example::

    comparison = compare(read_host_statuses(paths))
    comparison.differing                      # ("n7",)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.prefix.status import NothingInstalled
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError, Unreadable
from mirror.core.fields import Fields, strict_json
from mirror.core.system.durable import read_file

_MAX_BYTES = 64 << 20
_STATUS, _ERROR = "mirror-status/1", "mirror-error/1"

ABSENT = "not installed"
"""The one fact of a host that has not got a stack which another has."""
_WHOLE, _DAMAGED, _UNCERTAIN = "as installed", "damaged", "not all checked"


class HostsDiffer(MirrorError):
    """Not every host has what most of them have."""

    ref = "hosts-differ"
    exit_code = FAMILIES["install"]
    hint = (
        "'mirror activate' makes current what is prepared there; 'mirror install' installs what is missing; 'mirror status "
        "--check' there names what is damaged, and how it is repaired."
    )
    message = "{count} of {total} hosts differ: {hosts}"

    count: int
    total: int
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class HostStatus:
    """What one host told.

    Attributes:
        host: its name, as the document was called.
        stacks: what it has: of each stack, by its name and its prefix, the facts that are compared, in words.
        problem: why it told nothing; empty when it did.
    """

    host: str
    stacks: Mapping[tuple[str, str], Mapping[str, str]]
    problem: str = ""


@dataclass(frozen=True)
class Difference:
    """One fact that one host has otherwise.

    Attributes:
        host: which.
        stack: of which stack, ``"h100"`` or ``"h100 in /srv/h100"``; empty where the host told nothing at all.
        fact: ``current``, ``prepared``, ``python``, ``files`` or ``state``.
        here, elsewhere: what it has, and what most hosts have.
    """

    host: str
    stack: str
    fact: str
    here: str
    elsewhere: str


@dataclass(frozen=True)
class Comparison:
    """All hosts.

    Attributes:
        hosts: their names, as they were given.
        common: what most of them have: the facts of each stack.
        differences: what others have otherwise, by host.
        unchecked: the hosts on which nobody compared the files of a stack, though somebody did on another.
    """

    hosts: tuple[str, ...]
    common: Mapping[str, Mapping[str, str]]
    differences: tuple[Difference, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def differing(self) -> tuple[str, ...]:
        """The hosts that differ in anything."""
        return tuple(dict.fromkeys(difference.host for difference in self.differences))

    def enforce(self) -> None:
        """Raises ``HostsDiffer`` unless all have the same."""
        if self.differing:
            raise HostsDiffer(len(self.differing), len(self.hosts), self.differing)

    def to_dict(self) -> dict[str, Any]:
        differences = [vars(difference) for difference in self.differences]
        return {**vars(self), "differing": self.differing, "differences": differences}


def read_host_statuses(paths: Sequence[Path]) -> tuple[HostStatus, ...]:
    """Read what several hosts have told, each in a file that is named after it.

    A file that cannot be read, or is no document of ``mirror status --json``, is a host that gave no answer: it was off, or
    its command was cut.

    Raises:
        Unreadable, InvalidDocument: when that is true of all of them.
    """
    stems = [path.name.removesuffix(".json") for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    statuses, faults = [], []
    for path, name in zip(paths, names):
        try:
            statuses.append(parse_host_status(read_file(path, _MAX_BYTES), name, str(path)))
        except (Unreadable, InvalidDocument) as exc:
            faults.append(exc)
            statuses.append(HostStatus(name, {}, f"no answer: {exc}"))
    if len(faults) == len(paths):
        raise faults[0]
    return tuple(statuses)


def parse_host_status(data: bytes, host: str, document: str = "Status of a host") -> HostStatus:
    """The same of a file's bytes. Raises InvalidDocument."""
    fields = Fields(strict_json(data, document, _MAX_BYTES), document)
    if fields.known_format((_ERROR, _STATUS)) == _ERROR:
        error = fields.table("error")
        ref, message = error.text("ref"), error.text("message")
        return HostStatus(host, {}, "" if ref == NothingInstalled.ref else message)
    stacks = [_stack(stack) for stack in fields.tables("stacks")]
    if len(dict(stacks)) != len(stacks):
        fields.fail("stacks", "two have one name and one prefix")
    return HostStatus(host, dict(stacks))


def _stack(fields: Fields) -> tuple[tuple[str, str], dict[str, str]]:
    current, prefix = fields.text("current"), fields.text("prefix")
    name, python, prepared, is_damaged = "", "", [], False
    for generation in fields.tables("generations"):
        ident = generation.text("id")
        name = generation.text("name", "") or name
        if ident == current:
            python = generation.text("python_version", "")
            is_damaged = bool(generation.text("problem", ""))
        if generation.flag("prepared", False):
            prepared.append(_bundle(ident))
    facts = {"current": _bundle(current) or "none", "prepared": ", ".join(sorted(prepared)) or "none"}
    checks = list(fields.tables("checks"))  # also of other generations, as the host's own exit code is
    if is_damaged or any(check.take("damages", list) or check.take("layer", list, []) for check in checks):
        facts["files"] = _DAMAGED
    elif checks:
        facts["files"] = _UNCERTAIN if any(check.take("unchecked", list, []) for check in checks) else _WHOLE
    return (name or prefix, prefix), {**facts, "python": python or "unknown"}


def _bundle(ident: str) -> str:
    """A generation's name without the number of its build: what was repaired is the same bundle."""
    return ident.partition(".")[0]


def compare(statuses: Sequence[HostStatus]) -> Comparison:
    """Hold every host against what most of them have."""
    told = [status for status in statuses if not status.problem]
    counts = [Counter(name for name, _ in status.stacks) for status in told]
    twice = {name for count in counts for name in count if count[name] > 1}
    found = {
        status.host: {
            f"{name} in {prefix}" if name in twice else name: facts for (name, prefix), facts in status.stacks.items()
        }
        for status in told
    }
    stacks = sorted({name for one in found.values() for name in one})
    common = {name: _most([one.get(name) for one in found.values()]) for name in stacks}
    differences: list[Difference] = []
    unchecked: list[str] = []
    for status in statuses:
        if status.problem:
            differences.append(Difference(status.host, "", "state", status.problem, "a status"))
            continue
        here = found[status.host]
        for name, facts in common.items():
            differences += _differences(status.host, name, here.get(name), facts)
        if any("files" in common[name] and "files" not in facts for name, facts in here.items()):
            unchecked.append(status.host)
    return Comparison(tuple(status.host for status in statuses), common, tuple(differences), tuple(unchecked))


def _most(found: Sequence[Mapping[str, str] | None]) -> dict[str, str]:
    """What most have of each fact; of as many, what comes first."""
    present = [facts for facts in found if facts is not None]
    if 2 * len(present) < len(found):
        return {"state": ABSENT}
    names = dict.fromkeys(fact for facts in present for fact in facts)
    most = {name: Counter(one[name] for one in present if name in one).most_common(1)[0][0] for name in names}
    if "files" in most:
        sound = Counter(one["files"] for one in present if one.get("files", _DAMAGED) != _DAMAGED)
        most["files"] = sound.most_common(1)[0][0] if sound else _WHOLE
    return most


def _differences(host: str, name: str, here: Mapping[str, str] | None, common: Mapping[str, str]) -> list[Difference]:
    if here is None or "state" in common:
        state = ABSENT if here is None else f"{here['current']} is current"
        elsewhere = common.get("state", "installed")
        return [Difference(host, name, "state", state, elsewhere)] if state != elsewhere else []
    return [
        Difference(host, name, fact, here[fact], common[fact])
        for fact in here
        if fact in common and here[fact] != common[fact]  # of files that nobody checked nothing is known
    ]
