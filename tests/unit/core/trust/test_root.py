from __future__ import annotations

import copy
import hashlib
from typing import Any, Callable

import pytest

from mirror.core.errors import InvalidDocument
from mirror.core.fields import canonical_json, strict_json
from mirror.core.trust.root import Key, Role, Root
from mirror.core.words import MAX_TIME, utc
from tests.support.keys import key, make_root, role, signer

TEAM = make_root(
    root=role("rita", "ron", "rose", threshold=2),
    builder=role("bob"),
    approver=role("ann", "abe", threshold=1),
    version=7,
    expires=2_000_000_000,
)


def edited(edit: Callable[[dict[str, Any]], object], root: Root = TEAM) -> bytes:
    document = copy.deepcopy(strict_json(root.encode(), "Root", 1 << 16))
    edit(document)
    return canonical_json(document)


def fault(data: bytes) -> str:
    with pytest.raises(InvalidDocument) as caught:
        Root.parse(data)
    return str(caught.value)


@pytest.mark.parametrize("root", [TEAM, make_root()])
def test_what_is_encoded_is_parsed_again(root: Root) -> None:
    assert Root.parse(root.encode()) == root
    assert Root.parse(root.encode()).encode() == root.encode()


def test_the_document_is_as_the_format_says() -> None:
    assert make_root().encode().decode() == (
        '{\n  "format": "mirror-root/1",\n  "roles": {\n'
        '    "approver": {\n      "keys": {},\n      "threshold": 0\n    },\n'
        f'    "builder": {{\n      "keys": {{\n        "builder": "{key("builder").public.openssh()}"\n      }},\n'
        '      "threshold": 1\n    },\n'
        f'    "root": {{\n      "keys": {{\n        "root": "{key("root").public.openssh()}"\n      }},\n'
        '      "threshold": 1\n    }\n  },\n  "version": 1\n}\n'
    )


def test_the_fingerprint_is_the_sha256_of_the_document() -> None:
    assert TEAM.fingerprint == hashlib.sha256(TEAM.encode()).hexdigest()


def test_the_order_in_which_keys_are_given_does_not_matter() -> None:
    assert role("a", "b") == role("b", "a")


def test_one_builder_without_approval_is_one_person() -> None:
    assert make_root().is_one_person
    assert not TEAM.is_one_person
    assert not make_root(builder=role("b", "c", threshold=2)).is_one_person
    assert make_root(approver=role("ann", threshold=0)).is_one_person


@pytest.mark.group(70)
@pytest.mark.parametrize("version", [0, -1, 2**31, 2**63])
def test_refuses_versions_that_cannot_be(version: int) -> None:
    message = fault(edited(lambda document: document.update(version=version)))
    assert message.startswith("Root invalid at 'version': expected") or "digits" in message


@pytest.mark.group(70)
def test_refuses_a_threshold_of_zero_for_builder_and_root() -> None:
    for name, keys in (("builder", 1), ("root", 3)):
        message = fault(edited(lambda document: document["roles"][name].update(threshold=0)))  # noqa: B023 - used at once
        assert message == (
            f"Root invalid at 'roles.{name}.threshold': expected 1 to {keys}, the number of its keys, got 0"
        )


@pytest.mark.group(70)
def test_refuses_a_threshold_above_the_number_of_keys() -> None:
    assert fault(edited(lambda document: document["roles"]["approver"].update(threshold=3))) == (
        "Root invalid at 'roles.approver.threshold': expected 0 to 2, the number of its keys, got 3"
    )


@pytest.mark.group(70)
def test_refuses_a_role_without_keys() -> None:
    assert fault(edited(lambda document: document["roles"]["builder"].update(keys={}))) == (
        "Root invalid at 'roles.builder.threshold': the role has no key, got 1"
    )


@pytest.mark.group(70)
@pytest.mark.parametrize("name", ["root", "builder", "approver"])
def test_refuses_a_missing_role(name: str) -> None:
    assert fault(edited(lambda document: document["roles"].pop(name))) == f"Root invalid at 'roles.{name}': missing"


@pytest.mark.group(7, 70)
def test_refuses_a_key_in_two_roles_under_another_name() -> None:
    message = fault(
        edited(lambda document: document["roles"]["approver"]["keys"].update(zed=key("bob").public.openssh()))
    )
    assert message == (
        "Root invalid at 'roles.approver.keys.zed': the same key as roles.builder.keys.bob; a key serves once, in one role"
    )


@pytest.mark.group(7)
def test_refuses_a_key_twice_in_one_role_which_would_count_one_person_as_two() -> None:
    message = fault(edited(lambda document: document["roles"]["root"]["keys"].update(zed=key("rita").public.openssh())))
    assert "the same key as roles.root.keys.rita" in message


def test_refuses_one_name_for_two_keys() -> None:
    message = fault(
        edited(lambda document: document["roles"]["approver"]["keys"].update(bob=key("x").public.openssh()))
    )
    assert message == "Root invalid at 'roles.approver.keys.bob': another key has this name"


@pytest.mark.group(8)
def test_refuses_a_small_order_key() -> None:
    text = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    message = fault(edited(lambda document: document["roles"]["builder"]["keys"].update(eve=text)))
    assert message.startswith("Root invalid at 'roles.builder.keys.eve': expected a usable ed25519 key, got 0100")


@pytest.mark.parametrize("text", ["", "ssh-rsa AAAA", "ssh-ed25519 AAAA bob", 7])
def test_refuses_what_is_no_key(text: object) -> None:
    assert "roles.builder.keys.eve" in fault(
        edited(lambda document: document["roles"]["builder"]["keys"].update(eve=text))
    )


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "../x", "a" * 65, "-a", "a\n"])
def test_refuses_names_that_could_not_be_shown_or_listed(name: str) -> None:
    text = key("x").public.openssh()
    assert "expected a name such as" in fault(
        edited(lambda document: document["roles"]["builder"]["keys"].update({name: text}))
    )


@pytest.mark.group(12)
def test_refuses_unknown_keys_and_formats() -> None:
    assert fault(edited(lambda document: document.update(extra=1))) == (
        "Root invalid at 'extra': unknown key; known here: expires, format, roles, version"
    )
    assert "roles.builder.extra" in fault(edited(lambda document: document["roles"]["builder"].update(extra=1)))
    assert "roles.boss" in fault(edited(lambda document: document["roles"].update(boss={})))
    assert fault(edited(lambda document: document.update(format="mirror-root/2"))) == (
        "Root invalid at 'format': this mirror reads 'mirror-root/1', got 'mirror-root/2': use a newer mirror"
    )


@pytest.mark.parametrize("expires", [-1, MAX_TIME + 1, 10**17, "2027", True])
def test_refuses_dates_that_cannot_be(expires: object) -> None:
    assert "'expires'" in fault(edited(lambda document: document.update(expires=expires)))


def test_refuses_a_second_encoding_of_the_same_root() -> None:
    for data in (TEAM.encode() + b"\n", TEAM.encode().replace(b"  ", b" "), TEAM.encode().strip()):
        assert "not in the one encoding of a root" in fault(data)


NO_ROOTS = {
    "nothing": b"",
    "an empty table": b"{}",
    "a list": b"[]",
    "no UTF-8": b"\xff",
    "a key twice": b'{"version": 1, "version": 1}',
    "too many bytes": b" " * (64 << 10) + b"{}",
}


@pytest.mark.parametrize("data", NO_ROOTS.values(), ids=NO_ROOTS)
def test_refuses_what_is_no_root(data: bytes) -> None:
    assert fault(data).startswith("Root invalid")


def test_a_root_that_breaks_a_rule_cannot_be_made() -> None:
    with pytest.raises(InvalidDocument, match="the same key as"):
        Root(1, role("a"), Role((Key("b", signer("a").public),), 1))


def test_times_are_shown_in_utc() -> None:
    assert utc(1_795_225_800) == "2026-11-21T01:50:00Z"
    assert utc(MAX_TIME) == "9999-12-31T23:59:59Z"
