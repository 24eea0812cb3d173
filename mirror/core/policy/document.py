"""policy.toml: what a site allows in its closed network. This module reads it; ``mirror.core.policy.rules`` applies it.

Each table is a rule of its own, and a table that is not there rules nothing::

    [licences]
    allowed = ["Apache-2.0", "BSD-3-Clause", "MIT"]     # SPDX; "NAME WITH EXCEPTION" too
    words = ["NVIDIA Proprietary Software"]             # publishers' own words that are no SPDX expression
    unknown = false                                     # and those that say nothing?

    [[licences.exception]]
    name = "nvidia-cudnn-cu13"
    reason = "our contract with NVIDIA covers it"

    [vulnerabilities]
    block = ["critical", "high", "unknown"]

    [[vulnerabilities.ignored]]
    id = "CVE-2026-0001"
    reason = "the HTTP server is not used here"
    expires = "2026-12-31"                              # may be left out; the last day on which it counts

    [waivers]
    by = ["alice"]                                      # whose waivers of vetting rules count

    [files]
    hooks = ["setuptools"]                              # true, false, or the projects and packages that may
    native = true
    setuid = false
    unsigned = true                                     # RPMs and archives without their publisher's signature
    built = true                                        # wheels built by the bundle's maker

Rules: an unknown key is refused, for a rule that is misspelt would not rule; so is a policy without any rule.

Example::

    policy = read_policy(Path("policy.toml"))
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Union

from mirror.core.advisories.cvss import severity
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.policy.spdx import licence_name
from mirror.core.system.durable import read_file
from mirror.core.toml import parse_toml

MAX_BYTES = 1 << 20
FILE_RULES = ("hooks", "native", "setuid", "unsigned", "built")


@dataclass(frozen=True)
class LicenceRule:
    """``[licences]``.

    Attributes:
        allowed: SPDX names, ``"NAME WITH EXCEPTION"``.
        words: what publishers say instead of an expression, compared without regard to case and blanks.
        unknown: whether a file may be without any licence that is known.
        exceptions: names of artifacts, and why their licence does not matter.
    """

    allowed: tuple[str, ...]
    words: tuple[str, ...] = ()
    unknown: bool = False
    exceptions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Ignored:
    """One vulnerability that does not block, why, and until when (``"2026-12-31"``; empty for always)."""

    id: str
    reason: str
    expires: str = ""

    def counts(self, today: str) -> bool:
        return not self.expires or today <= self.expires

    def __str__(self) -> str:
        return f"{self.reason}, until {self.expires}" if self.expires else f"{self.reason}, without an end"


@dataclass(frozen=True)
class VulnerabilityRule:
    """``[vulnerabilities]``: the severities that block, and what does not."""

    block: tuple[str, ...]
    ignored: tuple[Ignored, ...] = ()

    def ignoring(self, names: Collection[str], today: str) -> Optional[Ignored]:
        """What says that a vulnerability of these names does not block on this day; None for nothing."""
        return next((one for one in self.ignored if one.id in names and one.counts(today)), None)


@dataclass(frozen=True)
class FileRule:
    """One key of ``[files]``: True for everybody, False for nobody, or the names of those who may."""

    allows: Union[bool, tuple[str, ...]]

    def allows_for(self, name: str) -> bool:
        return self.allows if isinstance(self.allows, bool) else name in self.allows


@dataclass(frozen=True)
class Policy:
    """A site's policy.

    Attributes:
        licences, vulnerabilities: None when the policy has no such rule.
        waivers: who may waive; None for anybody.
        files: by key of ``FILE_RULES``.
    """

    licences: Optional[LicenceRule] = None
    vulnerabilities: Optional[VulnerabilityRule] = None
    waivers: Optional[tuple[str, ...]] = None
    files: tuple[tuple[str, FileRule], ...] = ()

    @classmethod
    def parse(cls, data: bytes, name: str = "policy.toml") -> Policy:
        """Read a policy. Raises InvalidDocument: with the line, or the path to the fault."""
        value = parse_toml(data, name, MAX_BYTES)
        document = Fields(value, name)
        document.only("licences", "vulnerabilities", "waivers", "files")
        policy = cls(
            licences=_licences(document.table("licences")) if "licences" in document else None,
            vulnerabilities=_blocking(document.table("vulnerabilities")) if "vulnerabilities" in document else None,
            waivers=_waivers(document.table("waivers")) if "waivers" in document else None,
            files=_files(document.table("files"), value["files"]) if "files" in document else (),
        )
        if policy == cls():
            raise InvalidDocument(
                name, "", "it has no rule: it needs [licences], [vulnerabilities], [waivers] or [files]"
            )
        return policy

    @property
    def about_vulnerabilities(self) -> Policy:
        """What of it can be asked again when only the advisories are newer."""
        return Policy(vulnerabilities=self.vulnerabilities)

    @property
    def needs_dossier(self) -> bool:
        return bool(self.licences or self.waivers is not None or any(key != "built" for key, _ in self.files))


def read_policy(path: Path) -> Policy:
    """Read a policy's file.

    Raises:
        Unreadable: when it cannot be read.
        InvalidDocument: as ``Policy.parse``.
    """
    return Policy.parse(read_file(path, MAX_BYTES), str(path))


def _licences(item: Fields) -> LicenceRule:
    item.only("allowed", "words", "unknown", "exception")
    allowed = _needed(item, "allowed", licence_name)
    return item.fill(LicenceRule, allowed=allowed, exceptions=tuple(map(_exception, item.tables("exception"))))


def _exception(item: Fields) -> tuple[str, str]:
    item.only("name", "reason")
    return item.text("name"), item.checked("reason", _reason)


def _blocking(item: Fields) -> VulnerabilityRule:
    item.only("block", "ignored")
    return VulnerabilityRule(_needed(item, "block", severity), tuple(map(_ignored, item.tables("ignored"))))


def _ignored(item: Fields) -> Ignored:
    item.only("id", "reason", "expires")
    return item.fill(Ignored, reason=item.checked("reason", _reason), expires=item.checked("expires", _date, ""))


def _waivers(item: Fields) -> tuple[str, ...]:
    item.only("by")
    return item.texts("by")


def _files(item: Fields, value: Mapping[str, Any]) -> tuple[tuple[str, FileRule], ...]:
    rules = []
    for key in FILE_RULES:
        if isinstance(value.get(key), list):
            rules.append((key, FileRule(item.texts(key))))
        elif key in item:
            rules.append((key, FileRule(item.flag(key))))
    item.end()
    return tuple(rules)


def _needed(item: Fields, key: str, check: Callable[[str], str]) -> tuple[str, ...]:
    if key not in item:
        item.fail(key, "missing")
    return item.all_checked(key, check)


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError("a reason is needed")
    return text


def _date(text: str) -> str:
    try:
        if text and datetime.date.fromisoformat(text).isoformat() != text:
            raise ValueError
    except ValueError:
        raise ValueError(f"expected a date such as '2026-12-31', got {text!r}") from None
    return text
