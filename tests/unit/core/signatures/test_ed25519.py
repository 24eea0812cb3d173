from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mirror.core.signatures.ed25519 import is_usable_key, verify

VECTORS = Path(__file__).parents[3] / "vectors" / "wycheproof_ed25519_test.json"
ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19

# RFC 8032 section 7.1: public key, message, signature.
RFC_8032 = {
    "test 1": (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    "test 2": (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "test 3": (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
    "test sha(abc)": (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e030"
        "3dca179c138ac17ad9bef1177331a704",
    ),
}

# The eight points whose order divides 8, in canonical form (y, and y with the sign bit where x is not zero).
SMALL_ORDER = (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)

# Other spellings: y not reduced, or "minus zero".
NON_CANONICAL = (
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    FIELD.to_bytes(32, "little").hex(),
    (FIELD + 1).to_bytes(32, "little").hex(),
    (FIELD + 3).to_bytes(32, "little").hex(),
    "ff" * 32,
)


def _wycheproof() -> list[Any]:
    groups = json.loads(VECTORS.read_bytes())["testGroups"]
    return [
        pytest.param(group["publicKey"]["pk"], test, id=str(test["tcId"]))
        for group in groups
        for test in group["tests"]
    ]


def _rfc(name: str) -> tuple[bytes, bytes, bytes]:
    public, message, signature = (bytes.fromhex(text) for text in RFC_8032[name])
    return public, message, signature


def test_the_vector_file_holds_all_151_tests() -> None:
    assert len(_wycheproof()) == 151


@pytest.mark.parametrize(("public", "test"), _wycheproof())
def test_agrees_with_wycheproof(public: str, test: dict[str, Any]) -> None:
    accepted = verify(bytes.fromhex(public), bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"]))
    assert accepted is (test["result"] == "valid"), test["comment"]


@pytest.mark.parametrize("name", RFC_8032)
def test_accepts_the_signatures_of_rfc_8032(name: str) -> None:
    assert verify(*_rfc(name))


def test_refuses_a_signature_with_one_bit_flipped_in_any_byte() -> None:
    public, message, signature = _rfc("test 3")
    for index in range(64):
        flipped = bytearray(signature)
        flipped[index] ^= 1 << index % 8
        assert not verify(public, message, bytes(flipped))


def test_refuses_another_message_and_another_key() -> None:
    public, message, signature = _rfc("test 3")
    assert not verify(public, message + b"\0", signature)
    assert not verify(public, b"", signature)
    assert not verify(_rfc("test 2")[0], message, signature)


@pytest.mark.group(8)
def test_refuses_s_plus_the_group_order() -> None:
    public, message, signature = _rfc("test 2")
    s = int.from_bytes(signature[32:], "little")
    for multiple in (1, 2, 3):
        malleated = signature[:32] + (s + multiple * ORDER).to_bytes(32, "little")
        assert not verify(public, message, malleated)


@pytest.mark.group(8)
@pytest.mark.parametrize("encoded", SMALL_ORDER)
def test_refuses_small_order_keys_which_sign_anything(encoded: str) -> None:
    key = bytes.fromhex(encoded)
    assert not is_usable_key(key)
    # With A of order n, R = -h·A and S = 0 satisfies the equation for one message in n; the neutral R covers those.
    neutral = bytes([1]) + bytes(31)
    assert not any(verify(key, b"message %d" % number, neutral + bytes(32)) for number in range(64))


@pytest.mark.group(8)
@pytest.mark.parametrize("encoded", NON_CANONICAL)
def test_refuses_non_canonical_keys(encoded: str) -> None:
    assert not is_usable_key(bytes.fromhex(encoded))
    assert not verify(bytes.fromhex(encoded), b"", bytes(64))


@pytest.mark.group(8)
@pytest.mark.parametrize("encoded", NON_CANONICAL)
def test_refuses_a_non_canonical_r(encoded: str) -> None:
    public, message, signature = _rfc("test 3")
    assert not verify(public, message, bytes.fromhex(encoded) + signature[32:])


def test_refuses_a_key_that_is_no_point_of_the_curve() -> None:
    assert not is_usable_key((2).to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_refuses_keys_of_another_length(length: int) -> None:
    public, message, signature = _rfc("test 1")
    key = (public * 3)[:length]
    assert not is_usable_key(key)
    assert not verify(key, message, signature)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_refuses_signatures_of_another_length(length: int) -> None:
    public, message, signature = _rfc("test 1")
    assert not verify(public, message, (signature * 2)[:length])


def test_real_keys_are_usable() -> None:
    assert all(is_usable_key(bytes.fromhex(public)) for public, _, _ in RFC_8032.values())
