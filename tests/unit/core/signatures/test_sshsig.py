from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from mirror.core.signatures.sshsig import (
    MAX_SIGNATURE_BYTES,
    PublicKey,
    SignatureMismatch,
    UnacceptableSignature,
    from_strings,
    parse,
    signed_data,
    split,
    to_strings,
    verify,
)
from tests.support.keys import private_key, signer, write_private_key

NAMESPACE = "mirror-manifest@v1"
MESSAGE = b'{"format": "mirror-bundle/1"}\n'
ORDER = 2**252 + 27742317777372353535851937790883648493
TYPE = b"ssh-ed25519"


def armor(blob: bytes, width: int = 70) -> bytes:
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def forge(
    magic: bytes = b"SSHSIG\0\0\0\1",
    key: bytes = b"",
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    digest: bytes = b"sha512",
    signature: bytes = b"",
    tail: bytes = b"",
    width: int = 70,
) -> bytes:
    """A block with one thing changed; what is not changed is as in a good one."""
    good = private_key("alice").sign(signed_data(MESSAGE, namespace))
    fields = (key or signer("alice").public.blob, namespace, reserved, digest, signature or to_strings(TYPE, good))
    return armor(magic + to_strings(*fields) + tail, width)


@pytest.fixture
def good() -> bytes:
    return signer("alice").sign(MESSAGE, NAMESPACE)


def test_a_good_signature_names_its_key(good: bytes) -> None:
    assert verify(MESSAGE, good, NAMESPACE) == signer("alice").public
    assert forge() == good


def test_verifies_what_ssh_keygen_signs(tmp_path: Path) -> None:
    key, message = write_private_key(tmp_path / "key", "alice"), tmp_path / "message"
    message.write_bytes(MESSAGE)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, message], check=True)
    assert verify(MESSAGE, (tmp_path / "message.sig").read_bytes(), NAMESPACE) == signer("alice").public


@pytest.mark.group(10)
@pytest.mark.parametrize("message", [b"", MESSAGE + b"\n", MESSAGE.replace(b" ", b"")])
def test_refuses_other_bytes_even_if_they_are_the_same_json(good: bytes, message: bytes) -> None:
    with pytest.raises(SignatureMismatch) as caught:
        verify(message, good, NAMESPACE)
    fingerprint = signer("alice").public.fingerprint
    assert str(caught.value) == f"the signature by {fingerprint} is not over these bytes"


@pytest.mark.group(9)
def test_refuses_a_signature_made_for_another_use() -> None:
    with pytest.raises(UnacceptableSignature) as caught:
        verify(MESSAGE, signer("alice").sign(MESSAGE, "file"), NAMESPACE)
    assert str(caught.value) == (
        "not an acceptable signature: it was made for namespace 'file', expected 'mirror-manifest@v1'"
    )


def test_refuses_every_flipped_bit_of_the_block(good: bytes) -> None:
    for index in range(len(good)):
        flipped = bytearray(good)
        flipped[index] ^= 1 << index % 8
        with pytest.raises((UnacceptableSignature, SignatureMismatch)):
            verify(MESSAGE, bytes(flipped), NAMESPACE)


def test_refuses_a_block_cut_anywhere(good: bytes) -> None:
    for size in range(len(good)):
        with pytest.raises(UnacceptableSignature):
            parse(good[:size])


@pytest.mark.group(8)
def test_refuses_s_plus_the_group_order_which_ssh_keygen_accepts() -> None:
    raw = parse(forge()).raw
    s = int.from_bytes(raw[32:], "little") + ORDER
    malleated = forge(signature=to_strings(TYPE, raw[:32] + s.to_bytes(32, "little")))
    with pytest.raises(SignatureMismatch):
        verify(MESSAGE, malleated, NAMESPACE)


RSA = to_strings(b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * 256)
ECDSA = to_strings(b"ecdsa-sha2-nistp256", b"nistp256", b"\4" + b"\1" * 64)
CERTIFICATE = to_strings(b"ssh-ed25519-cert-v01@openssh.com", b"nonce", b"\1" * 32)
SECURITY_KEY = to_strings(b"sk-ssh-ed25519@openssh.com", b"\1" * 32, b"ssh:")
BAD = {
    "another version": (forge(magic=b"SSHSIG\0\0\0\2"), "sshsig of version 1"),
    "another magic": (forge(magic=b"SSHSOG\0\0\0\1"), "sshsig of version 1"),
    "hash sha256": (forge(digest=b"sha256"), "expected hash sha512, got b'sha256'"),
    "something reserved": (forge(reserved=b"x"), "its reserved field is not empty"),
    "a trailing byte": (forge(tail=b"\0"), "cut short"),
    "a trailing field": (forge(tail=to_strings(b"x")), "expected 5 fields, got 6"),
    "an RSA key": (forge(key=RSA), "expected an ssh-ed25519 key, got 'ssh-rsa'"),
    "an ECDSA key": (forge(key=ECDSA), "expected an ssh-ed25519 key, got 'ecdsa-sha2-nistp256'"),
    "a certificate": (forge(key=CERTIFICATE), "expected an ssh-ed25519 key, got 'ssh-ed25519-cert"),
    "a security key": (forge(key=SECURITY_KEY), "expected an ssh-ed25519 key, got 'sk-ssh-ed25519"),
    "a small-order key": (forge(key=to_strings(TYPE, bytes([1]) + bytes(31))), "expected a usable ed25519 key"),
    "a key of 31 bytes": (forge(key=to_strings(TYPE, b"\1" * 31)), "expected a usable ed25519 key"),
    "an RSA signature": (forge(signature=to_strings(b"rsa-sha2-512", b"\1" * 256)), "expected 64 bytes by ssh-ed25519"),
    "a signature of 63 bytes": (forge(signature=to_strings(TYPE, b"\1" * 63)), "expected 64 bytes by ssh-ed25519"),
    "a signature and more": (forge(signature=to_strings(TYPE, b"\1" * 64, b"")), "expected 64 bytes by ssh-ed25519"),
    "lines of 76": (forge(width=76), "its armor is not the one that ssh-keygen writes"),
    "CRLF line ends": (forge().replace(b"\n", b"\r\n"), "its armor is not the one that ssh-keygen writes"),
    "no final newline": (forge()[:-1], "its armor is not the one that ssh-keygen writes"),
    "text before": (b"x\n" + forge(), "expected one block"),
    "two blocks": (forge() * 2, "not an acceptable signature"),
    "another armor": (forge().replace(b"SSH SIGNATURE", b"PGP SIGNATURE"), "expected one block"),
    "base64 of nothing": (armor(b""), "sshsig of version 1"),
    "letters outside base64": (forge().replace(b"U1NI", b"U1N*"), "not an acceptable signature"),
    "too many bytes": (b"A" * (MAX_SIGNATURE_BYTES + 1), "it has 8193 bytes, the limit is 8192"),
    "nothing": (b"", "expected one block"),
}


@pytest.mark.group(9)
@pytest.mark.parametrize("name", BAD)
def test_refuses(name: str) -> None:
    armored, problem = BAD[name]
    with pytest.raises(UnacceptableSignature) as caught:
        verify(MESSAGE, armored, NAMESPACE)
    assert problem in str(caught.value)


def test_splits_a_file_of_signatures(good: bytes) -> None:
    other = signer("bob").sign(MESSAGE, NAMESPACE)
    assert split(good + other) == (good, other)
    assert split(b"") == ()


@pytest.mark.group(9)
def test_refuses_text_after_the_last_signature(good: bytes) -> None:
    with pytest.raises(UnacceptableSignature, match="nothing after the last"):
        split(good + b"x")


def test_a_public_key_round_trips_through_its_text(tmp_path: Path) -> None:
    public = signer("alice").public
    assert PublicKey.from_openssh(public.openssh()) == public
    assert PublicKey.from_blob(public.blob) == public
    key = write_private_key(tmp_path / "key", "alice")
    shown = subprocess.run(["ssh-keygen", "-y", "-f", key], check=True, capture_output=True, text=True).stdout
    assert shown.split()[:2] == public.openssh().split()
    listed = subprocess.run(["ssh-keygen", "-l", "-f", key], check=True, capture_output=True, text=True).stdout
    assert listed.split()[1] == public.fingerprint


def _text(key: bytes, kind: str = "ssh-ed25519") -> str:
    return f"{kind} {base64.b64encode(key).decode()}"


@pytest.mark.group(73)
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected 'ssh-ed25519 AAAA...', got ''"),
        (_text(signer("alice").public.blob) + " alice@example.org", "expected 'ssh-ed25519 AAAA...'"),
        ("no-pty " + _text(signer("alice").public.blob), "expected 'ssh-ed25519 AAAA...'"),
        (_text(RSA, "ssh-rsa"), "expected a key of type ssh-ed25519, got 'ssh-rsa'"),
        (_text(RSA), "expected an ssh-ed25519 key, got 'ssh-rsa'"),
        (_text(CERTIFICATE, "ssh-ed25519-cert-v01@openssh.com"), "got 'ssh-ed25519-cert-v01@openssh.com'"),
        (_text(to_strings(TYPE, b"\1" * 31)), "expected a usable ed25519 key"),
        (_text(to_strings(TYPE, b"\1" * 33)), "expected a usable ed25519 key"),
        (_text(to_strings(TYPE, bytes(32))), "expected a usable ed25519 key"),
        (_text(to_strings(TYPE)), "expected an ssh-ed25519 key"),
        (_text(b""), "expected 'ssh-ed25519 AAAA...'|the key is empty"),
        (_text(signer("alice").public.blob + b"\0"), "cut short"),
        (_text(signer("alice").public.blob)[:-1], "expected 'ssh-ed25519 AAAA...'"),
        (_text(signer("alice").public.blob) + "\r", "expected 'ssh-ed25519 AAAA...'"),
    ],
    ids=lambda text: text[:30],
)
def test_refuses_other_texts_of_keys(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        PublicKey.from_openssh(text)


@pytest.mark.group(73)
@pytest.mark.parametrize("padding", ["=", "=="])
def test_refuses_a_second_spelling_of_a_key(padding: str) -> None:
    # base64 decoders before Python 3.11 let surplus padding pass.
    with pytest.raises(ValueError, match=r"got another spelling|got 'ssh-ed25519 AAAA"):
        PublicKey.from_openssh(signer("alice").public.openssh() + padding)


def test_strings_round_trip_and_refuse_what_does_not_fit() -> None:
    assert from_strings(to_strings(b"", b"a", b"bc")) == (b"", b"a", b"bc")
    for data in (b"\0", b"\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xffabc"):
        with pytest.raises(ValueError, match="cut short"):
            from_strings(data)
