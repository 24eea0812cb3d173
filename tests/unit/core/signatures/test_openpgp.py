"""Signatures over files, and keys that may or may not make them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pysequoia
import pytest

from mirror.core.errors import MirrorError
from mirror.core.signatures import openpgp, packets
from mirror.core.signatures.openpgp import BadSignature, MalformedOpenPgp, UnpinnedKey, UnusableKey, read_keys, verify
from mirror.core.signatures.pgpkeys import Certificate, PublicKey
from mirror.core.words import grouped
from scripts.cuda_rpms import demokey
from scripts.cuda_rpms.openpgp import (
    KEY_REVOCATION,
    PRIMARY_BINDING,
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SUBKEY_BINDING,
    SUBKEY_REVOCATION,
    USER_ID,
    Ed25519Key,
    SigningKey,
    armor,
    mpi,
    packet,
    subpacket,
)
from tests.support.rpms import CREATED, Packager, ed25519_key, rsa_key, sequoia_key
from tests.support.rpms import USER_ID as NAME

DATA = b"repomd"
DAY = 86_400
SIGNING, CERTIFYING = subpacket(27, b"\x02"), subpacket(27, b"\x01")


def judged(key: bytes, signature: bytes, pins: Sequence[str], data: bytes = DATA) -> str:
    return verify(data, signature, read_keys(key), pins)


def expires(seconds: int) -> bytes:
    return subpacket(9, seconds.to_bytes(4, "big"))


class Family:
    """A primary key that certifies and a subkey, bound in the way that a test asks for."""

    def __init__(self) -> None:
        self.primary, self.subkey = ed25519_key(1), ed25519_key(2)
        self.both = self.primary.hashed_form + self.subkey.hashed_form
        self.pins = [self.primary.fingerprint]
        self.signature = self.subkey.sign(DATA, CREATED)

    def agreement(self, by: SigningKey | None = None) -> bytes:
        """The embedded signature by which a subkey agrees to be bound."""
        made = (by or self.subkey).sign(self.both, CREATED, PRIMARY_BINDING)
        ((_, body),) = packets.packets(made)
        return subpacket(32, body)

    def binding(self, *hashed: bytes, agreement: bytes | None = None, by: SigningKey | None = None) -> bytes:
        loose = [self.agreement()] if agreement is None else [agreement]
        return (by or self.primary).sign(self.both, CREATED, SUBKEY_BINDING, hashed or (SIGNING,), loose)

    def key(self, *after: bytes, primary: bytes | None = None) -> bytes:
        """The primary as it is, the subkey, and the packets that follow it."""
        own = self.primary.certificate(NAME, (CERTIFYING,)) if primary is None else primary
        return own + packet(PUBLIC_SUBKEY, self.subkey.body) + b"".join(after)


def problem_of(key: bytes, signature: bytes, pins: Sequence[str]) -> str:
    with pytest.raises(UnusableKey) as caught:
        judged(key, signature, pins)
    assert str(caught.value) == f"the pinned key {grouped(pins[0])} may not sign this: {caught.value.problem}"
    return caught.value.problem


@pytest.mark.parametrize("key", [ed25519_key(), rsa_key()], ids=["ed25519", "rsa"])
def test_a_pinned_key_signs(key: SigningKey) -> None:
    packager = Packager(key)
    signature = armor("SIGNATURE", key.sign(DATA, CREATED))
    assert verify(DATA, signature, packager.certificates, [key.fingerprint]) == key.fingerprint
    with pytest.raises(BadSignature) as caught:
        verify(DATA + b"!", signature, packager.certificates, [key.fingerprint])
    assert str(caught.value) == f"the signature by {grouped(key.fingerprint)} is not good: it does not fit the bytes"


@pytest.mark.parametrize("key", [ed25519_key(), rsa_key()], ids=["ed25519", "rsa"])
def test_no_flipped_bit_of_a_signature_is_accepted(key: SigningKey) -> None:
    public, signature = key.certificate(NAME), bytearray(key.sign(DATA, CREATED))
    refused = 0
    for at in range(0, len(signature), 3):
        flipped = bytearray(signature)
        flipped[at] ^= 1 << at % 8
        try:
            judged(public, bytes(flipped), [key.fingerprint])
        except MirrorError:
            refused += 1
        else:  # the part that no signature covers only hints at the key
            assert bytes(flipped[-70:]) == bytes(signature[-70:])
    assert refused > len(signature) / 3 * 0.6


def test_pins_may_be_written_as_people_print_them() -> None:
    key = ed25519_key()
    spaced = " ".join(key.fingerprint[at : at + 4] for at in range(0, 40, 4)).lower()
    assert judged(key.certificate(NAME), key.sign(DATA, CREATED), [spaced]) == key.fingerprint


@pytest.mark.parametrize("pin", ["", "9CD0A493D42D0685", "0x" + "A" * 39, "A" * 64])
def test_refuses_a_pin_that_is_no_fingerprint(pin: str) -> None:
    key = ed25519_key()
    with pytest.raises(MalformedOpenPgp, match="expected the fingerprint of an OpenPGP key, 40 hex digits"):
        judged(key.certificate(NAME), key.sign(DATA, CREATED), [pin])


@pytest.mark.group(35)
def test_a_good_key_of_another_vendor_does_not_count() -> None:
    key, other = ed25519_key(1), ed25519_key(2)
    both = key.certificate(NAME) + other.certificate(NAME)
    with pytest.raises(UnpinnedKey) as caught:
        judged(both, other.sign(DATA, CREATED), [key.fingerprint])
    assert str(caught.value) == f"signed by {grouped(other.fingerprint)}; the pinned key is {grouped(key.fingerprint)}"


def test_an_unknown_key_is_named_by_what_the_signature_says() -> None:
    key, stranger = ed25519_key(1), ed25519_key(2)
    with pytest.raises(UnpinnedKey, match=f"signed by {grouped(stranger.fingerprint)}; "):
        judged(key.certificate(NAME), stranger.sign(DATA, CREATED), [key.fingerprint])


def test_without_pins_nothing_is_good() -> None:
    key = ed25519_key()
    with pytest.raises(UnpinnedKey, match="the pinned key is none"):
        judged(key.certificate(NAME), key.sign(DATA, CREATED), [])


def test_a_file_without_signature_packets_is_not_signed() -> None:
    key = ed25519_key()
    with pytest.raises(UnpinnedKey, match="not signed in a way that is read here"):
        judged(key.certificate(NAME), packet(USER_ID, b"x"), [key.fingerprint])


def test_one_good_signature_among_others_is_enough() -> None:
    key, other = ed25519_key(1), ed25519_key(2)
    signatures = other.sign(DATA, CREATED) + key.sign(b"else", CREATED) + key.sign(DATA, CREATED)
    assert judged(key.certificate(NAME), signatures, [key.fingerprint]) == key.fingerprint


def test_a_pinned_keys_bad_signature_says_more_than_a_strangers() -> None:
    key, other = ed25519_key(1), ed25519_key(2)
    with pytest.raises(BadSignature):
        judged(key.certificate(NAME), key.sign(b"else", CREATED) + other.sign(DATA, CREATED), [key.fingerprint])


def test_only_signatures_over_files_count() -> None:
    key = ed25519_key()
    with pytest.raises(BadSignature, match="it is of type 0x01, not one over a file's bytes"):
        judged(key.certificate(NAME), key.sign(DATA, CREATED, kind=1), [key.fingerprint])


def test_sha1_is_too_weak_for_data(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ed25519_key()
    signature = key.sign(DATA, CREATED)
    at = signature.index(bytes([4, 0, 22, 10]))
    weak = signature[: at + 3] + b"\x02" + signature[at + 4 :]
    with pytest.raises(BadSignature, match="it uses sha1; SHA-256 or better is needed"):
        judged(key.certificate(NAME), weak, [key.fingerprint])


def test_a_signature_older_than_its_key_does_not_count() -> None:
    key = ed25519_key()
    problem = problem_of(key.certificate(NAME), key.sign(DATA, CREATED - 1), [key.fingerprint])
    assert problem == "the signature claims a time before the key was made"


def test_an_expired_key_counts_for_what_it_signed_before() -> None:
    key = ed25519_key()
    public = key.certificate(NAME, (expires(DAY),))
    assert judged(public, key.sign(DATA, CREATED + DAY - 1), [key.fingerprint]) == key.fingerprint
    problem = problem_of(public, key.sign(DATA, CREATED + DAY), [key.fingerprint])
    assert problem == "the key had expired when the signature was made"


@pytest.mark.group(35)
def test_a_revoked_key_never_counts() -> None:
    key = ed25519_key()
    revocation = key.sign(key.hashed_form, CREATED, KEY_REVOCATION)
    public = packet(PUBLIC_KEY, key.body) + revocation + key.certificate(NAME)[len(packet(PUBLIC_KEY, key.body)) :]
    assert problem_of(public, key.sign(DATA, CREATED), [key.fingerprint]) == "it is revoked"


def test_a_strangers_revocation_does_not_count() -> None:
    key, stranger = ed25519_key(1), ed25519_key(2)
    revocation = stranger.sign(key.hashed_form, CREATED, KEY_REVOCATION)
    public = packet(PUBLIC_KEY, key.body) + revocation + key.certificate(NAME)[len(packet(PUBLIC_KEY, key.body)) :]
    assert judged(public, key.sign(DATA, CREATED), [key.fingerprint]) == key.fingerprint


def test_a_key_that_says_nothing_of_itself_does_not_count() -> None:
    key = ed25519_key()
    bare = packet(PUBLIC_KEY, key.body)
    assert problem_of(bare, key.sign(DATA, CREATED), [key.fingerprint]) == "it carries no signature of its own"
    forged = packet(PUBLIC_KEY, key.body) + packet(USER_ID, NAME) + ed25519_key(2).sign(b"", CREATED, 0x13)
    assert problem_of(forged, key.sign(DATA, CREATED), [key.fingerprint]) == "it carries no signature of its own"


def test_a_direct_statement_is_enough() -> None:
    key = ed25519_key()
    public = packet(PUBLIC_KEY, key.body) + key.sign(key.hashed_form, CREATED, 0x1F)
    assert judged(public, key.sign(DATA, CREATED), [key.fingerprint]) == key.fingerprint


def test_a_revoked_user_id_says_nothing_any_more() -> None:
    key = ed25519_key()
    statement = key.hashed_form + b"\xb4" + len(NAME).to_bytes(4, "big") + NAME
    public = key.certificate(NAME) + key.sign(statement, CREATED, 0x30)
    assert problem_of(public, key.sign(DATA, CREATED), [key.fingerprint]) == "it carries no signature of its own"


def test_the_newest_statement_holds() -> None:
    key = ed25519_key()
    statement = key.hashed_form + b"\xb4" + len(NAME).to_bytes(4, "big") + NAME
    public = key.certificate(NAME) + key.sign(statement, CREATED + DAY, 0x13, (CERTIFYING,))
    assert problem_of(public, key.sign(DATA, CREATED), [key.fingerprint]) == "it is not for signing files"


def test_signatures_on_a_key_that_cannot_be_read_prove_nothing() -> None:
    key = ed25519_key()
    odd = packet(2, b"\x03\x09rest") + packet(2, b"\x06rest")
    assert judged(key.certificate(NAME) + odd, key.sign(DATA, CREATED), [key.fingerprint]) == key.fingerprint


def test_a_bound_subkey_signs_for_its_primary() -> None:
    family = Family()
    assert judged(family.key(family.binding()), family.signature, family.pins) == family.primary.fingerprint


def test_a_subkey_alone_is_no_pin() -> None:
    family = Family()
    with pytest.raises(UnpinnedKey):
        judged(family.key(family.binding()), family.signature, [family.subkey.fingerprint])


def test_an_unbound_copy_of_a_bound_subkey_does_no_harm() -> None:
    family = Family()
    unbound = packet(PUBLIC_SUBKEY, family.subkey.body)
    key = family.primary.certificate(NAME, (CERTIFYING,)) + unbound + unbound + family.binding()
    assert judged(key, family.signature, family.pins) == family.primary.fingerprint


def test_a_strangers_key_under_the_same_id_does_no_harm() -> None:
    """A signature may name its key by id alone, and ids can be made to collide."""
    key = ed25519_key()
    (certificate,) = read_keys(key.certificate(NAME))
    stranger = Certificate("0" * 40, certificate.signers)
    assert verify(DATA, key.sign(DATA, CREATED), [stranger, certificate], [key.fingerprint]) == key.fingerprint


@pytest.mark.group(35)
def test_an_unbound_subkey_does_not_count() -> None:
    family = Family()
    assert problem_of(family.key(), family.signature, family.pins) == "the subkey is not bound to it"


def test_a_subkey_bound_by_a_stranger_does_not_count() -> None:
    family = Family()
    key = family.key(family.binding(by=ed25519_key(3)))
    assert problem_of(key, family.signature, family.pins) == "the subkey is not bound to it"


@pytest.mark.parametrize("agreement", [b"", b"other", b"broken"])
def test_a_subkey_must_have_agreed(agreement: bytes) -> None:
    family = Family()
    loose = {b"other": family.agreement(by=ed25519_key(3)), b"broken": subpacket(32, b"\x04\x19")}.get(agreement, b"")
    key = family.key(family.binding(agreement=loose))
    assert problem_of(key, family.signature, family.pins) == "the subkey has not agreed to be bound to it"


def test_a_subkey_for_encryption_does_not_sign() -> None:
    family = Family()
    key = family.key(family.binding(subpacket(27, b"\x0c")))
    assert problem_of(key, family.signature, family.pins) == "the subkey is not for signing files"


def test_a_revoked_subkey_does_not_count() -> None:
    family = Family()
    revocation = family.primary.sign(family.both, CREATED, SUBKEY_REVOCATION)
    key = family.key(family.binding(), revocation)
    assert problem_of(key, family.signature, family.pins) == "the subkey is revoked"


@pytest.mark.parametrize("whose", ["primary", "subkey"])
def test_a_subkey_ends_with_itself_or_with_its_primary(whose: str) -> None:
    family = Family()
    own = family.primary.certificate(NAME, (CERTIFYING, expires(DAY))) if whose == "primary" else None
    binding = family.binding(SIGNING, expires(DAY)) if whose == "subkey" else family.binding()
    key = family.key(binding, primary=own)
    assert judged(key, family.signature, family.pins) == family.primary.fingerprint
    late = family.subkey.sign(DATA, CREATED + DAY)
    assert problem_of(key, late, family.pins) == "the key had expired when the signature was made"


def test_a_subkey_of_a_revoked_primary_does_not_count() -> None:
    family = Family()
    bare = packet(PUBLIC_KEY, family.primary.body)
    revoked = bare + family.primary.sign(family.primary.hashed_form, CREATED, KEY_REVOCATION)
    problem = problem_of(family.key(family.binding(), primary=revoked), family.signature, family.pins)
    assert problem == "its primary key cannot be used: it is revoked"


def test_the_newer_form_of_ed25519_is_read() -> None:
    class Native(Ed25519Key):
        """Algorithm 27 of RFC 9580: the bytes themselves instead of numbers."""

        algorithm = 27

        def material(self) -> bytes:
            return self.private.public_key().public_bytes_raw()

        def raw_sign(self, data: bytes) -> bytes:
            import hashlib

            return self.private.sign(hashlib.sha512(data).digest())

    key = Native(ed25519_key().private, CREATED)
    assert judged(key.certificate(NAME), key.sign(DATA, CREATED), [key.fingerprint]) == key.fingerprint


def test_keys_of_other_kinds_are_read_past() -> None:
    key = ed25519_key()
    others = [
        b"\x06" + bytes(40),  # version 6
        b"\x04" + bytes(4) + b"\x11" + bytes(9),  # DSA
        b"\x04" + bytes(4) + b"\x16" + b"\x08" + bytes(20),  # EdDSA on another curve
        b"\x04" + bytes(4) + b"\x16" + bytes.fromhex("092b06010401da470f01") + mpi(1 << 200),  # a point of another form
    ]
    data = b"".join(packet(PUBLIC_KEY, body) + packet(USER_ID, b"x") for body in others) + key.certificate(NAME)
    assert [certificate.fingerprint for certificate in read_keys(data)] == [key.fingerprint]


@pytest.mark.parametrize(
    ("bits", "exponent"), [(1024, 65_537), (8200, 65_537), (2048, 1), (2048, 4), (2048, 2**40 + 1)]
)
def test_refuses_rsa_keys_that_nobody_should_use(bits: int, exponent: int) -> None:
    body = b"\x04" + bytes(4) + b"\x01" + mpi((1 << bits - 1) + 1) + mpi(exponent)
    with pytest.raises(MalformedOpenPgp, match="an RSA key of"):
        read_keys(packet(PUBLIC_KEY, body))


def test_refuses_a_file_that_begins_with_something_else() -> None:
    with pytest.raises(MalformedOpenPgp, match="it begins with a packet of tag 13"):
        read_keys(packet(USER_ID, b"x"))


def test_a_signature_with_broken_numbers_is_bad() -> None:
    key = ed25519_key()
    signature = key.sign(DATA, CREATED)
    ((_, body),) = packets.packets(signature)
    for values in (b"\x00\x08", mpi(1 << 300) + mpi(1), mpi(1) + mpi(1) + b"x"):
        start = body.rindex(packets.SignaturePacket.parse(body).values)  # type: ignore[union-attr]
        with pytest.raises(BadSignature):
            judged(key.certificate(NAME), packet(2, body[:start] + values), [key.fingerprint])


def test_a_key_does_not_take_a_signature_of_another_algorithm() -> None:
    key, other = rsa_key(), ed25519_key()
    ((_, body),) = packets.packets(other.sign(DATA, CREATED))
    signature, public = packets.SignaturePacket.parse(body), PublicKey.parse(key.body)
    assert signature is not None
    assert public is not None
    assert signature.digest(DATA, frozenset({10})) is not None
    assert not public.has_signed(signature, DATA, frozenset({10}))


def test_version_3_signatures_by_rsa_are_read() -> None:
    """Old RPMs carry them (SECURITY.md 2.3)."""
    key = rsa_key()
    import hashlib

    trailer = b"\x00" + CREATED.to_bytes(4, "big")
    head = b"\x03\x05" + trailer + bytes.fromhex(key.fingerprint)[-8:] + b"\x01\x0a"
    left = hashlib.sha512(DATA + trailer).digest()[:2]
    signature = packet(2, head + left + key.raw_sign(DATA + trailer))
    assert judged(key.certificate(NAME), signature, [key.fingerprint]) == key.fingerprint


@pytest.mark.parametrize("suite", [None, pysequoia.CipherSuite.RSA2k, pysequoia.CipherSuite.RSA4k])
def test_agrees_with_sequoia(suite: pysequoia.CipherSuite | None) -> None:
    secret = sequoia_key(suite)
    certificate = secret.extract_certificate()
    signature = pysequoia.sign(secret.signer(), DATA, mode=pysequoia.SignatureMode.DETACHED)
    keys = read_keys(str(certificate))
    assert verify(DATA, signature, keys, [certificate.fingerprint]) == certificate.fingerprint.upper()
    with pytest.raises(BadSignature):
        verify(DATA + b"!", signature, keys, [certificate.fingerprint])


def test_sequoia_accepts_what_is_signed_here() -> None:
    key = demokey.demo_key()
    certificate = pysequoia.Cert.from_bytes(demokey.public_key())
    assert certificate.fingerprint.upper() == demokey.FINGERPRINT == key.fingerprint
    signature = armor("SIGNATURE", key.sign(DATA, demokey.CREATED))
    found = pysequoia.verify(DATA, lambda _: [certificate], signature=pysequoia.Sig.from_bytes(signature))
    assert found.valid_sigs


@pytest.mark.skipif(shutil.which("gpg") is None, reason="needs gpg")
def test_agrees_with_gpg(tmp_path: Path) -> None:
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)

    def gpg(*arguments: str) -> bytes:
        command = ["gpg", "--homedir", str(home), "--batch", "--passphrase", "", *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout

    data = tmp_path / "data"
    data.write_bytes(DATA)
    for algorithm in ("rsa2048", "ed25519"):
        gpg("--quick-gen-key", algorithm, algorithm, "sign", "1y")
        fingerprint = gpg("--list-keys", "--with-colons", algorithm).split(b"\nfpr:")[1].split(b":")[8].decode()
        gpg("--yes", "--digest-algo", "SHA256", "--local-user", fingerprint, "--armor", "--detach-sign", str(data))
        key = read_keys(gpg("--armor", "--export", algorithm))
        signature = Path(f"{data}.asc").read_bytes()
        assert verify(DATA, signature, key, [fingerprint]) == fingerprint
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_errors_have_their_own_codes() -> None:
    errors = (MalformedOpenPgp, UnpinnedKey, BadSignature, UnusableKey)
    assert [error.exit_code for error in errors] == [40, 41, 42, 43]
    assert openpgp.pin("a" * 40) == "A" * 40
