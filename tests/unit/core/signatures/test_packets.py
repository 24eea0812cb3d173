"""OpenPGP's wire format, taken apart byte by byte."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from mirror.core.signatures import packets
from mirror.core.signatures.packets import Cursor, MalformedOpenPgp, SignaturePacket, dearmor
from scripts.cuda_rpms.openpgp import armor, packet, subpacket
from tests.support.rpms import CREATED, USER_ID, ed25519_key, sequoia_key

KEY = "PUBLIC KEY BLOCK"


def armored(data: bytes = b"\x99\x00\x01x", kind: str = KEY) -> bytes:
    return armor(kind, data)


def problem(of: bytes, kind: str = KEY) -> str:
    with pytest.raises(MalformedOpenPgp) as caught:
        dearmor(of, kind)
    return caught.value.problem


def test_reads_armor_with_headers_and_windows_line_ends() -> None:
    text = armored(b"\x99" + bytes(100)).replace(b"\n\n", b"\nVersion: 1\nComment: two\n\n", 1).replace(b"\n", b"\r\n")
    assert dearmor(text, KEY) == b"\x99" + bytes(100)


def test_reads_armor_without_a_checksum() -> None:
    lines = [line for line in armored().splitlines() if not line.startswith(b"=")]
    assert dearmor(b"\n".join(lines), KEY) == b"\x99\x00\x01x"


def test_reads_blocks_that_follow_each_other_as_one() -> None:
    assert dearmor(armored(b"\x99one") + b"\n" + armored(b"\x99two"), KEY) == b"\x99one\x99two"


def test_hands_binary_on_as_it_is() -> None:
    assert dearmor(b"\x99\x00", KEY) == b"\x99\x00"


def test_refuses_a_flipped_letter_in_armor() -> None:
    text = bytearray(armored(b"\x99" + bytes(30)))
    at = text.index(b"AAAA")
    text[at : at + 1] = b"B"
    assert problem(bytes(text)) == "the armor's checksum does not match its content"


def test_refuses_armor_of_another_kind() -> None:
    assert problem(armored(kind="SIGNATURE")) == "expected a PUBLIC KEY BLOCK, got a SIGNATURE"


@pytest.mark.parametrize(
    "text",
    [b"hello", armored()[:-5], armored().replace(b"\n\n", b"\n", 1), armored() + b"more", armored()[1:]],
    ids=["no armor", "cut short", "no blank line", "text after it", "no first dash"],
)
def test_refuses_broken_armor(text: bytes) -> None:
    assert problem(text) == "broken ASCII armor"


def test_refuses_base64_of_a_wrong_length() -> None:
    text = armored().replace(base64.b64encode(b"\x99\x00\x01x"), b"mQABe")
    assert problem(text).startswith("broken base64")


def test_refuses_nothing_and_too_much() -> None:
    assert problem(b"") == "it is empty"
    assert "more than the 1048576 allowed" in problem(b"\x99" * (packets.MAX_BYTES + 1))


def test_reads_packets_with_old_and_new_lengths() -> None:
    long, longer = bytes(300), bytes(9000)
    data = b"\x99\x00\x02ab" + b"\x98\x01c" + b"\x9a\x00\x00\x00\x01d" + packet(13, b"e") + packet(13, long)
    found = list(packets.packets(data + packet(2, longer)))
    assert found == [(6, b"ab"), (6, b"c"), (6, b"d"), (13, b"e"), (13, long), (2, longer)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x99\x00\x05ab", "5 bytes announced, 2 there"),
        (b"\x9b", "a packet without a length"),
        (b"\xc6\xe5abc", "a packet of partial lengths"),
        (b"\x11", "no packet begins with byte 0x11"),
        (b"\xcd\x00" * 2001, "more than 2000 packets"),
    ],
)
def test_refuses_broken_packets(data: bytes, words: str) -> None:
    with pytest.raises(MalformedOpenPgp, match=words):
        list(packets.packets(data))


def test_a_number_counts_its_bits() -> None:
    assert Cursor(b"\x00\x09\x01\x00").mpi() == 256
    with pytest.raises(MalformedOpenPgp, match="a number of 9 bits says that it has 10"):
        Cursor(b"\x00\x0a\x01\x00").mpi()


def test_a_cursor_refuses_what_is_left() -> None:
    cursor = Cursor(b"ab")
    cursor.take(1)
    with pytest.raises(MalformedOpenPgp, match="1 bytes too many"):
        cursor.end()


def signature(*hashed: bytes) -> SignaturePacket:
    made = ed25519_key().sign(b"data", CREATED, hashed=hashed)
    ((_, body),) = packets.packets(made)
    parsed = SignaturePacket.parse(body)
    assert parsed is not None
    return parsed


def test_reads_what_a_signature_says() -> None:
    parsed = signature(subpacket(27, b"\x03"), subpacket(9, (86_400).to_bytes(4, "big")))
    assert (parsed.kind, parsed.created, parsed.issuer) == (0, CREATED, ed25519_key().fingerprint)
    assert (parsed.flags, parsed.key_seconds, parsed.embedded) == (3, 86_400, b"")


def test_refuses_a_critical_part_that_nobody_here_understands() -> None:
    with pytest.raises(MalformedOpenPgp, match="a critical part of kind 20"):
        signature(subpacket(0x80 | 20, b"notation"))
    with pytest.raises(MalformedOpenPgp, match="a critical part of kind 3"):
        signature(subpacket(0x80 | packets.SIGNATURE_EXPIRES, bytes(4)))


def test_reads_past_critical_parts_that_change_nothing() -> None:
    assert signature(subpacket(0x80 | 11, b"\x09")).created == CREATED


def test_refuses_a_version_3_signature_that_hashes_other_bytes() -> None:
    with pytest.raises(MalformedOpenPgp, match="other than five bytes"):
        SignaturePacket.parse(b"\x03\x06" + bytes(30))


def test_reads_past_signatures_of_other_versions() -> None:
    assert SignaturePacket.parse(b"\x06" + bytes(40)) is None


def test_falls_back_to_a_key_id_where_there_is_no_version_4_fingerprint() -> None:
    head = bytes([4, 0, 22, 8]) + b"\x00\x00"
    loose = subpacket(16, b"12345678") + subpacket(33, b"\x06" + bytes(32))
    parsed = SignaturePacket.parse(head + len(loose).to_bytes(2, "big") + loose + b"ab")
    assert parsed is not None
    assert parsed.issuer == b"12345678".hex()


def test_a_digest_needs_an_allowed_hash_and_the_announced_first_bytes() -> None:
    parsed = signature()
    assert parsed.digest(b"data", frozenset({10})) is not None
    assert parsed.digest(b"data", frozenset({8})) is None
    assert parsed.digest(b"other", frozenset({10})) is None


def test_reads_keys_of_another_maker(tmp_path: Path) -> None:
    certificate = sequoia_key().extract_certificate()
    tags = [tag for tag, _ in packets.packets(dearmor(str(certificate).encode(), KEY))]
    assert tags[0] == packets.PUBLIC_KEY
    assert packets.PUBLIC_SUBKEY in tags


def test_long_user_ids_make_long_packets() -> None:
    data = ed25519_key().certificate(USER_ID * 20)
    assert [tag for tag, _ in packets.packets(data)] == [6, 13, 2]
