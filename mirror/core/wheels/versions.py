"""Versions and version specifiers (PEP 440), for the side that has no ``packaging``.

On the connected side ``packaging`` decides; this module answers the same, and a test holds the two against each other.
``mirror.core.wheels.requirement`` decides which requirement applies where.

Rules: pre-releases satisfy a specifier like any other version, for what is judged here was chosen already; what is no version
satisfies only ``===``.

Example::

    satisfies("2.11.0+cu130", ">=2.10,<3")      # True
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any, Tuple

_VERSION = re.compile(
    r"v?(?:(?P<epoch>[0-9]+)!)?(?P<release>[0-9]+(?:\.[0-9]+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_number>[0-9]*))?"
    r"(?P<post>-(?P<post_dash>[0-9]+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]*))?"
    r"(?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]*))?"
    r"(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?",
    re.IGNORECASE | re.ASCII,
)
MAX_LENGTH = 4096
"""Characters of one version."""

_DIGITS, _LONG = re.compile("[0-9]+", re.ASCII), re.compile("[0-9]{101}", re.ASCII)
_RELEASE = re.compile(r"v?(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*", re.IGNORECASE | re.ASCII)
_CLAUSE = re.compile(r"(~=|===|==|!=|<=|>=|<|>)\s*([^\s]+)")
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}

_LOWEST, _HIGHEST = (-1, "", 0), (1, "", 0)
_Part = Tuple[int, str, int]


class Version:
    """A version as PEP 440 orders it.

    Attributes:
        public: without the local part, for comparisons that leave it aside.
        release: the numbers, ``(2, 11, 0)``.
    """

    def __init__(self, text: str) -> None:
        """Parse. Raises ``ValueError`` for what is no version."""
        match = _VERSION.fullmatch(text.strip()) if len(text) <= MAX_LENGTH else None
        if match is None:
            raise ValueError(f"expected a version, got {text[:200]!r}")
        if _LONG.search(text):  # here, not when it is compared
            raise ValueError(f"{text[:60]!r}... is no version: a number in it has more than 100 digits")
        self.epoch = int(match["epoch"] or 0)
        self.release = tuple(int(number) for number in match["release"].split("."))
        pre = (match["pre"] or "").lower()
        self.pre = (_PRE.get(pre, pre), int(match["pre_number"] or 0)) if pre else None
        post = match["post_dash"] or match["post_number"] or 0
        self.post = int(post) if match["post"] else None
        self.dev = int(match["dev_number"] or 0) if match["dev"] else None
        self.local = re.sub(r"[-_.]", ".", match["local"].lower()) if match["local"] else ""

    @property
    def trimmed(self) -> tuple[int, ...]:
        """The release without the zeros at its end: 1.0 is 1."""
        end = len(self.release)
        while end > 1 and self.release[end - 1] == 0:
            end -= 1
        return self.release[:end]

    def first(self) -> Version:
        """The earliest of all pre-releases of this version."""
        first = copy(self)
        first.dev = 0
        return first

    @property
    def public(self) -> tuple[Any, ...]:
        """The sort key of everything but the local part."""
        if self.pre:
            pre: _Part = (0, *self.pre)
        elif self.post is None and self.dev is not None:
            pre = _LOWEST  # 1.0.dev1 comes before 1.0a1
        else:
            pre = _HIGHEST
        post = -1 if self.post is None else self.post
        dev = (1, 0) if self.dev is None else (0, self.dev)
        return (self.epoch, self.trimmed, pre, post, dev)

    @property
    def key(self) -> tuple[Any, ...]:
        """The sort key. Numbers in a local part come after words, a longer one after its beginning."""
        parts = self.local.split(".") if self.local else ()
        return (*self.public, tuple((1, int(part), "") if _DIGITS.fullmatch(part) else (0, 0, part) for part in parts))


def same_version(one: str, other: str) -> bool:
    """Whether two texts are one version: ``1.0`` is ``1.0.0``, and ``1.0-1`` is ``1.0.post1``."""
    try:
        return Version(one).key == Version(other).key
    except ValueError:
        return one == other


def satisfies(version: str, specifier: str) -> bool:
    """Whether a version is in a set of specifiers, which are joined by commas.

    Raises:
        ValueError: for a specifier that is none.
    """
    for clause in filter(None, (part.strip() for part in specifier.split(","))):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise ValueError(f"expected a specifier such as '>=1.0', got {clause!r}")
        if not _holds(version, match[1], match[2]):
            return False
    return True


def _holds(text: str, operator: str, wanted: str) -> bool:
    if operator == "===":
        return text.lower() == wanted.lower()
    prefixed = wanted.endswith(".*")
    limit = Version(wanted[:-2] if prefixed else wanted)
    if prefixed and (operator not in ("==", "!=") or not _RELEASE.fullmatch(wanted[:-2])):
        raise ValueError(f"'.*' follows plain numbers after == or !=, got {operator}{wanted}")
    if (limit.local and operator not in ("==", "!=")) or (operator == "~=" and len(limit.release) < 2):
        raise ValueError(f"{wanted!r} does not go with {operator}")
    try:
        version = Version(text)
    except ValueError:
        return False
    if prefixed:
        return _begins(version, limit) == (operator == "==")
    if operator == "~=":
        prefix = Version(f"{limit.epoch}!{'.'.join(map(str, limit.release[:-1]))}")
        return version.public >= limit.public and _begins(version, prefix)
    return _compared(version, operator, limit)


def _compared(version: Version, operator: str, limit: Version) -> bool:
    if operator in ("==", "!="):
        # A local part counts only where the specifier has one.
        same = version.key == limit.key if limit.local else version.public == limit.public
        return same == (operator == "==")
    if operator == "<=":
        return version.public <= limit.public
    if operator == ">=":
        return version.public >= limit.public
    if operator == "<":
        # Neither 1.0rc1 nor 1.0.dev1 is before 1.0: it ends where 1.0.dev0 begins, unless it is a pre-release itself.
        return version.key < (limit if limit.pre or limit.dev is not None else limit.first()).key
    same = (version.epoch, version.trimmed, version.pre) == (limit.epoch, limit.trimmed, limit.pre)
    if same and limit.dev is None and limit.post is None and version.post is not None:
        return False  # 1.0.post1 is not after 1.0
    return version.public > limit.public  # nor is 1.0+local


def _begins(version: Version, prefix: Version) -> bool:
    """Whether a version's release begins with the prefix's; ``1`` counts as ``1.0`` where the prefix is longer."""
    release = (*version.release, *(0,) * (len(prefix.release) - len(version.release)))
    return version.epoch == prefix.epoch and release[: len(prefix.release)] == prefix.release
