"""mirror's own reading of versions, held against packaging's."""

from __future__ import annotations

import random

import pytest
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version as Theirs

from mirror.core.wheels.versions import Version, same_version, satisfies

_PRE = ("", "", "a1", "rc0", ".beta2", "b", "-c1", "pre", "alpha3", "preview.2")
_POST = ("", "", ".post1", "-1", ".rev2", "post", "r3", ".post0")
_DEV = ("", "", "", ".dev1", "dev", ".dev0")
_LOCAL = ("", "", "", "+cu130", "+1", "+cu13.1", "+CU_1", "+a", "+0", "+ubuntu-1")


def _version(random: random.Random) -> str:
    release = ".".join(str(random.choice((0, 1, 2, 10))) for _ in range(random.randint(1, 4)))
    parts = (random.choice(("", "", "", "1!", "v")), release, *map(random.choice, (_PRE, _POST, _DEV, _LOCAL)))
    return "".join(parts)


def _near(limit: str, random: random.Random) -> str:
    """A version beside another: its release, one zero more or less, the next or the one before; its parts or others."""
    at = Theirs(limit)
    numbers = list(at.release)
    step = random.choice(("same", "same", "same", "longer", "shorter", "next", "before"))
    if step == "longer":
        numbers.append(random.choice((0, 0, 1)))
    elif step == "shorter" and len(numbers) > 1:
        numbers.pop()
    elif step == "next":
        numbers[-1] += 1
    elif step == "before":
        numbers[-1] = max(numbers[-1] - 1, 0)
    own = (
        "".join(map(str, at.pre or ())),
        "" if at.post is None else f".post{at.post}",
        "" if at.dev is None else f".dev{at.dev}",
        f"+{at.local}" if at.local else "",
    )
    others = map(random.choice, (_PRE, _POST, _DEV, _LOCAL))
    parts = (mine if random.random() < 0.7 else other for mine, other in zip(own, others, strict=True))
    return f"{at.epoch}!{'.'.join(map(str, numbers))}{''.join(parts)}"


def _theirs(version: str, specifier: str) -> bool | None:
    try:
        return SpecifierSet(specifier).contains(version, prereleases=True)
    except InvalidSpecifier:
        return None


def _ours(version: str, specifier: str) -> bool | None:
    try:
        return satisfies(version, specifier)
    except ValueError:
        return None


@pytest.mark.parametrize("seed", range(4))
def test_versions_are_ordered_as_packaging_orders_them(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(5000):
        one, other = _version(chance), _version(chance)
        assert (Version(one).key < Version(other).key) == (Theirs(one) < Theirs(other)), (one, other)
        assert same_version(one, other) == (Theirs(one) == Theirs(other)), (one, other)


@pytest.mark.parametrize("seed", range(4))
def test_specifiers_hold_where_they_hold_for_packaging(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10_000):
        operator = chance.choice(("~=", "==", "!=", "<=", ">=", "<", ">", "==="))
        limit = _version(chance)
        specifier = operator + limit + chance.choice(("", "", ".*"))
        version = _near(limit, chance) if chance.random() < 0.7 else _version(chance)
        assert _ours(version, specifier) == _theirs(version, specifier), (version, specifier)


def test_a_set_of_specifiers_holds_when_each_does() -> None:
    assert satisfies("2.11.0+cu130", ">=2.10, <3,!=2.10.1")
    assert not satisfies("3.0", ">=2.10,<3")
    assert satisfies("1.0", "")


@pytest.mark.parametrize("text", ["", "1.0.x", "latest", "1..0", "1.0+", "1,0"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a version"):
        Version(text)
    assert not satisfies(text, ">=1")
    assert satisfies("odd", "===ODD") and same_version("odd", "odd")


@pytest.mark.parametrize("specifier", ["1.0", "=>1", ">=1.0 <2", "~=1", ">=1.*", "==1.0rc1.*", "<1.0+local"])
def test_what_is_no_specifier_is_refused(specifier: str) -> None:
    with pytest.raises(ValueError, match=r"expected|not go with|follows"):
        satisfies("1.0", specifier)
