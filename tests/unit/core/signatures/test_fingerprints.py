from __future__ import annotations

import pytest

from mirror.core.signatures.fingerprints import openpgp_fingerprint, root_fingerprint
from mirror.core.words import grouped

KEY = "610C7B14E068A878070DA4E99CD0A493D42D0685"
ROOT = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
SPELLINGS = (
    lambda digits: digits,
    str.upper,
    str.lower,
    grouped,
    lambda digits: grouped(digits).replace(" ", ":"),
    lambda digits: f"  {grouped(digits).replace(' ', '-')}\n",
    lambda digits: f"0x{digits}",
    lambda digits: grouped(digits[:20]) + "  " + grouped(digits[20:]),  # as gpg prints it
    lambda digits: grouped(digits).replace(" ", "\u00a0"),  # copied from a page
)


@pytest.mark.parametrize("spell", SPELLINGS)
def test_a_fingerprint_is_taken_as_people_write_it(spell) -> None:  # type: ignore[no-untyped-def]  # eight lambdas
    assert openpgp_fingerprint(spell(KEY)) == KEY
    assert root_fingerprint(spell(ROOT)) == ROOT


def test_it_is_shown_in_groups_of_four_and_other_words_as_they_are() -> None:
    assert grouped(KEY) == "610C 7B14 E068 A878 070D A4E9 9CD0 A493 D42D 0685"
    assert grouped("an unnamed key") == "an unnamed key"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("AB" * 32, "64: that is a key of version 5 or 6, and mirror checks signatures by keys of version 4 only"),
        (
            f"{'ab ' * 32}",
            "64: that is a key of version 5 or 6, and mirror checks signatures by keys of version 4 only",
        ),
        ("D42D 0685", "the key id 'D42D 0685': it can be forged, so it pins nothing"),
        ("9CD0A493D42D0685", "the key id '9CD0A493D42D0685': it can be forged, so it pins nothing"),
        (KEY[:-1], f"39 of them, {KEY[:-1]!r}"),
        ("", "''"),
        ("G" * 40, f"{'G' * 40!r}"),
        ("\u0660" * 40, repr("\u0660" * 40)),
    ],
)
def test_what_is_no_openpgp_fingerprint_says_what_it_looks_like(text: str, found: str) -> None:
    with pytest.raises(ValueError) as caught:
        openpgp_fingerprint(text)
    assert str(caught.value) == f"expected the fingerprint of an OpenPGP key, 40 hex digits, got {found}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ROOT[:4], f"4 of them, {ROOT[:4]!r}; put quotes round it when there are blanks in it"),
        (ROOT + "0", f"65 of them, '{ROOT}0'"),
        ("SHA256:WRcHM+OLo/8", "an ssh key's fingerprint, 'SHA256:WRcHM+OLo/8': a key is not the root that names it"),
        ("g" * 64, repr("g" * 64)),
    ],
)
def test_what_is_no_roots_fingerprint_says_what_it_looks_like(text: str, found: str) -> None:
    with pytest.raises(ValueError) as caught:
        root_fingerprint(text)
    assert str(caught.value) == f"expected the root's fingerprint, 64 hex digits, got {found}"
