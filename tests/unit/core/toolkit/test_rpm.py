"""RPM headers: whose they are, and what a hostile one may claim."""

from __future__ import annotations

import base64
import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.core.signatures.openpgp import read_keys
from mirror.core.toolkit.rpm import Rpm, RpmNotTrusted, read_rpm
from mirror.core.toolkit.rpmheader import MalformedRpm
from mirror.core.words import grouped
from scripts.cuda_rpms import rpmfile
from scripts.cuda_rpms.openpgp import KEY_REVOCATION, PUBLIC_KEY, armor, packet
from scripts.cuda_rpms.rpmfile import BIN, INT32, INT64, STRING, STRING_ARRAY
from tests.support.rpms import (
    CREATED,
    DIRECTORY,
    HOME,
    USER_ID,
    Draft,
    Entries,
    Link,
    Packager,
    Program,
    ed25519_key,
    foreign_rpm,
    rsa_key,
    sequoia_key,
)
from tests.unit.core.signatures.test_openpgp import SIGNING, Family, expires

CONTENTS = {HOME: DIRECTORY, f"{HOME}/a.h": b"header", f"{HOME}/bin/nvcc": Program(b"elf"), f"{HOME}/b.h": Link("a.h")}


@pytest.fixture(scope="module")
def packager() -> Packager:
    return Packager()


def read(data: bytes, packager: Packager) -> Rpm:
    return read_rpm(io.BytesIO(data), "a.rpm", packager.certificates, [packager.fingerprint])


def edited(packager: Packager, edit: Callable[[Entries], object]) -> Draft:
    draft = packager.draft("cuda-crt-13-0", CONTENTS)
    draft.edit = edit
    return draft


def test_reads_what_a_package_says(packager: Packager) -> None:
    data = packager.draft("cuda-crt-13-0", CONTENTS, "13.0.88").bytes()
    stream = io.BytesIO(data)
    rpm = read_rpm(stream, "a.rpm", packager.certificates, [packager.fingerprint])
    assert (rpm.nevra, rpm.fingerprint, rpm.label) == ("cuda-crt-13-0-13.0.88-1.x86_64", packager.fingerprint, "a.rpm")
    assert (rpm.compressor, rpm.digest_algorithm, rpm.scriptlets) == ("xz", "sha256", ())
    assert rpm.payload_offset == stream.tell() == data.index(b"\xfd7zXZ")
    assert [(file.path, oct(file.mode), file.size, file.link) for file in rpm.files] == [
        (HOME, "0o40755", 0, ""),
        (f"{HOME}/a.h", "0o100644", 6, ""),
        (f"{HOME}/b.h", "0o120777", 3, "a.h"),
        (f"{HOME}/bin/nvcc", "0o100755", 3, ""),
    ]


def test_reads_a_package_without_files(packager: Packager) -> None:
    assert read(packager.draft("cuda-toolkit-13-0", {}).bytes(), packager).files == ()


def test_shows_an_epoch_and_scriptlets(packager: Packager) -> None:
    draft = edited(
        packager, lambda entries: entries.update({1003: (INT32, 2), 1152: (STRING, "true"), 1024: (STRING, "x")})
    )
    rpm = read(draft.bytes(), packager)
    assert rpm.nevra == "cuda-crt-13-0-2:1.0-1.x86_64"
    assert rpm.scriptlets == ("post", "posttrans")


def test_an_rsa_signature_lies_under_another_tag() -> None:
    packager = Packager(rsa_key())
    assert read(packager.draft("a", CONTENTS).bytes(), packager).fingerprint == packager.fingerprint


@pytest.mark.parametrize("form", ["V4", "V6"])
def test_reads_packages_of_another_maker(tmp_path: Path, form: str) -> None:
    secret = sequoia_key()
    certificate = secret.extract_certificate()
    path = foreign_rpm(tmp_path / "f.rpm", CONTENTS, secret, form=form)
    with open(path, "rb") as stream:
        rpm = read_rpm(stream, path.name, read_keys(str(certificate)), [certificate.fingerprint])
    assert rpm.nevra == "cuda-foreign-13-0-13.0.1-1.x86_64"
    assert [file.path for file in rpm.files] == sorted(CONTENTS)
    assert rpm.scriptlets == ("post",)


@pytest.mark.group(34)
def test_refuses_an_unsigned_package(packager: Packager) -> None:
    """SECURITY.md 34: the signature was stripped."""
    draft = packager.draft("a", CONTENTS)
    draft.key = None
    with pytest.raises(RpmNotTrusted) as caught:
        read(draft.bytes(), packager)
    assert str(caught.value) == "a.rpm: its header carries no OpenPGP signature"


def test_refuses_an_unsigned_package_of_another_maker(tmp_path: Path, packager: Packager) -> None:
    with pytest.raises(RpmNotTrusted, match="no OpenPGP signature"):
        read(foreign_rpm(tmp_path / "f.rpm", CONTENTS).read_bytes(), packager)


@pytest.mark.group(35)
def test_refuses_a_stranger(packager: Packager) -> None:
    """SECURITY.md 35: a key that nobody pinned."""
    stranger = Packager(ed25519_key(9))
    with pytest.raises(RpmNotTrusted) as caught:
        read(stranger.draft("a", CONTENTS).bytes(), packager)
    assert str(caught.value) == (
        f"a.rpm: signed by {grouped(stranger.fingerprint)}; the pinned key is {grouped(packager.fingerprint)}"
    )


@pytest.mark.group(34)
def test_refuses_every_flipped_byte_of_the_signed_header(packager: Packager) -> None:
    """SECURITY.md 34: an altered header."""
    draft = packager.draft("a", CONTENTS)
    data, main = draft.bytes(), draft.header()
    start = data.index(main)
    for at in range(start, start + len(main), 7):
        flipped = bytearray(data)
        flipped[at] ^= 0x20
        with pytest.raises((RpmNotTrusted, MalformedRpm)):
            read(bytes(flipped), packager)


def test_refuses_a_package_cut_short_anywhere(packager: Packager) -> None:
    data = packager.draft("a", CONTENTS).bytes()
    end = read(data, packager).payload_offset
    for length in range(0, end, 97):
        with pytest.raises(MalformedRpm, match="it ends after"):
            read(data[:length], packager)


def signed_as(packager: Packager, tags: Entries) -> bytes:
    """A package whose signature header holds just these entries."""
    draft = packager.draft("a", CONTENTS)
    signature = rpmfile.header(rpmfile.SIGNATURES, tags)
    return rpmfile.lead(draft.spec) + signature + bytes(-len(signature) % 8) + draft.header() + draft.packed()


def test_reads_signatures_in_the_form_of_rpm_6(packager: Packager) -> None:
    main = packager.draft("a", CONTENTS).header()
    text = base64.b64encode(packager.key.sign(main, CREATED)).decode()
    assert read(signed_as(packager, {278: (STRING_ARRAY, [text])}), packager).name == "a"
    with pytest.raises(MalformedRpm, match="a signature is no base64"):
        read(signed_as(packager, {278: (STRING_ARRAY, ["?"])}), packager)


def test_a_signature_of_the_wrong_type_is_refused(packager: Packager) -> None:
    with pytest.raises(MalformedRpm, match="tag 268 is of type 6, not binary"):
        read(signed_as(packager, {268: (STRING, "x")}), packager)


@pytest.mark.group(34)
def test_digests_and_whole_package_signatures_are_no_proof(packager: Packager) -> None:
    """MD5 alone, or a version 3 signature over header and archive together (SECURITY.md 34)."""
    main = packager.draft("a", CONTENTS).header()
    old: Entries = {1004: (BIN, bytes(16)), 1005: (BIN, packager.key.sign(main, CREATED)), 269: (STRING, "0" * 40)}
    with pytest.raises(RpmNotTrusted, match="no OpenPGP signature"):
        read(signed_as(packager, old), packager)


def test_a_pinned_keys_bad_signature_is_named_before_a_strangers(packager: Packager) -> None:
    own = packager.key.sign(b"another header", CREATED)
    strangers = ed25519_key(9).sign(b"", CREATED)
    with pytest.raises(RpmNotTrusted, match=f"the signature by {grouped(packager.fingerprint)} is not good"):
        read(signed_as(packager, {268: (BIN, strangers), 267: (BIN, own)}), packager)


def test_refuses_what_is_no_package(packager: Packager) -> None:
    with pytest.raises(MalformedRpm) as caught:
        read(bytes(200), packager)
    assert str(caught.value) == "a.rpm is not a readable RPM package: it does not begin as a binary package does"
    good = packager.draft("a", CONTENTS).bytes()
    with pytest.raises(MalformedRpm, match="it does not begin"):
        read(good[:6] + b"\x00\x01" + good[8:], packager)
    with pytest.raises(MalformedRpm, match="a header is missing"):
        read(good[:96] + bytes(200), packager)


@pytest.mark.group(33)
@pytest.mark.parametrize(("entries", "store"), [(0x80000000, 16), (1, 256 << 20), (4097, 16)])
def test_refuses_lengths_before_it_reads_so_much(packager: Packager, entries: int, store: int) -> None:
    """SECURITY.md 33: a header of 256 MiB."""
    good = packager.draft("a", CONTENTS).bytes()
    huge = good[:104] + struct.pack(">II", entries, store) + good[112:]
    with pytest.raises(MalformedRpm, match=f"a header of {entries} entries and {store} bytes"):
        read(huge, packager)


def raw_header(*index: tuple[int, int, int, int], store: bytes = b"text\0\0\0\0") -> bytes:
    packed = b"".join(struct.pack(">IIiI", *entry) for entry in index)
    return bytes.fromhex("8eade80100000000") + struct.pack(">II", len(index), len(store)) + packed + store


@pytest.mark.group(33)
@pytest.mark.parametrize(
    ("index", "problem"),
    [
        ([(1000, 6, 9, 1)], "tag 1000 has 1 items at 9 of 8 bytes"),
        ([(1000, 6, -1, 1)], "tag 1000 has 1 items at -1 of 8 bytes"),
        ([(1000, 4, 0, 0x80000000)], "tag 1000 has 2147483648 items at 0 of 8 bytes"),
        ([(1000, 8, 0, 9)], "tag 1000 has 9 items at 0 of 8 bytes"),
        ([(1000, 4, 0, 0)], "tag 1000 has 0 items at 0 of 8 bytes"),
        ([(1000, 4, 2, 1)], "tag 1000 has 1 items at 2 of 8 bytes"),
        ([(1000, 0, 0, 1)], "tag 1000 is of unknown type 0"),
        ([(1000, 10, 0, 1)], "tag 1000 is of unknown type 10"),
        ([(1000, 6, 0, 1), (1000, 6, 0, 1)], "tag 1000 occurs twice"),
    ],
)
def test_refuses_entries_that_do_not_fit_the_store(
    packager: Packager, index: list[tuple[int, int, int, int]], problem: str
) -> None:
    """SECURITY.md 33: an offset past the store, a count of 2^31."""
    data = packager.draft("a", CONTENTS).bytes()[:96] + raw_header(*index)
    with pytest.raises(MalformedRpm) as caught:
        read(data + bytes(8) + raw_header(), packager)
    assert caught.value.problem == problem


def drop(*tags: int) -> Callable[[Entries], object]:
    return lambda entries: [entries.pop(tag) for tag in tags]


def put(tag: int, kind: int, value: rpmfile.Value) -> Callable[[Entries], object]:
    return lambda entries: entries.update({tag: (kind, value)})


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (put(1000, STRING, "../evil"), "tag 1000 is '../evil'"),
        (put(1022, STRING, ""), "tag 1022 is ''"),
        (drop(1001), "tag 1001 is missing"),
        (put(1002, INT32, 1), "tag 1002 is of type 4, not text"),
        (put(1037, STRING_ARRAY, ["a"]), "tag 1037 is of type 8, not numbers"),
        (put(1106, INT32, 1), "it is a source package"),
        (put(1124, STRING, "drpm"), "its archive is of format 'drpm', not cpio"),
        (put(1027, STRING_ARRAY, ["/a"]), "its file names are in the form of rpm 3"),
        (put(1116, INT32, [0, 0, 0, 9]), "a file in directory 9 of 3"),
        (put(1030, 3, [0o100644]), "its file lists are of lengths 4, 4, 1, 4, 4, 4, 4, 4"),
        (drop(1035), "its file lists are of lengths 4, 4, 4, 4, 0, 4, 4, 4"),
        (put(1117, STRING_ARRAY, ["a.h"] * 4), "it lists a path twice"),
        (put(1117, STRING_ARRAY, ["..", "a", "b", "c"]), "it holds the path '/usr/local/..'"),
        (put(1117, STRING_ARRAY, ["", "a", "b", "c"]), "it holds the path '/usr/local/'"),
        (put(1117, STRING_ARRAY, ["x\n", "a", "b", "c"]), r"it holds the path '/usr/local/x\n'"),
        (put(1118, STRING_ARRAY, ["usr/", "/b/", "/c/"]), "it holds the path 'usr/cuda-13.0'"),
        (put(1118, STRING_ARRAY, ["/usr//x/", "/b/", "/c/"]), "it holds the path '/usr//x/cuda-13.0'"),
        (put(1118, STRING_ARRAY, ["/./", "/b/", "/c/"]), "it holds the path '/./cuda-13.0'"),
    ],
)
def test_refuses_a_signed_header_that_makes_no_sense(
    packager: Packager, edit: Callable[[Entries], object], problem: str
) -> None:
    with pytest.raises(MalformedRpm) as caught:
        read(edited(packager, edit).bytes(), packager)
    assert caught.value.problem == problem


@pytest.mark.group(33)
@pytest.mark.parametrize(
    ("store", "problem"), [(b"\xff\0", "tag 1000 is not UTF-8"), (b"abcd", "a string without an end")]
)
def test_refuses_broken_texts_in_a_signed_header(packager: Packager, store: bytes, problem: str) -> None:
    """SECURITY.md 33: a string without its zero byte."""
    main = raw_header((1000, 6, 0, 1), store=store)
    signature = rpmfile.header(rpmfile.SIGNATURES, {267: (BIN, packager.key.sign(main, CREATED))})
    data = packager.draft("a", {}).bytes()[:96] + signature + bytes(-len(signature) % 8) + main
    with pytest.raises(MalformedRpm, match=problem):
        read(data, packager)


@pytest.mark.parametrize(
    ("edit", "number"),
    [(put(5011, INT32, 1), 1), (drop(5011), 1), (put(5093, INT32, 2), 2), (put(5011, INT32, 99), 99)],
)
def test_digests_must_be_sha256_or_better(packager: Packager, edit: Callable[[Entries], object], number: int) -> None:
    with pytest.raises(RpmNotTrusted) as caught:
        read(edited(packager, edit).bytes(), packager)
    assert caught.value.problem == f"its digests are of algorithm {number}; SHA-256 or better is needed"


def test_reads_sizes_of_large_files(packager: Packager) -> None:
    def large(entries: Entries) -> None:
        entries[5008] = (INT64, [0, 6, 3, 5 << 30])
        del entries[1028]

    assert [file.size for file in read(edited(packager, large).bytes(), packager).files] == [0, 6, 3, 5 << 30]


@pytest.mark.group(33)
@pytest.mark.parametrize(
    "hostile",
    ["entries", "store", "signatures", "longest", "offset", "two signature headers", "two headers"],
)
def test_a_hostile_header_takes_little_memory(tmp_path: Path, packager: Packager, hostile: str) -> None:
    """SECURITY.md 33: refused, in less than 64 MB of memory, the interpreter's own included."""
    good = packager.draft("a", CONTENTS).bytes()
    main = packager.draft("a", CONTENTS).header()
    start = good.index(main)
    data = {
        "entries": good[:104] + struct.pack(">II", 0x80000000, 16) + good[112:],
        "store": good[:104] + struct.pack(">II", 1, 300 << 20) + good[112:] + bytes(1 << 20),
        "signatures": good[:104] + struct.pack(">II", 1, 8 << 20) + bytes(8 << 20) + good,
        "longest": good[:start] + main[:8] + struct.pack(">II", 4096, 16 << 20) + bytes((16 << 20) + (1 << 16)),
        "offset": good[:96] + raw_header((1000, 6, 0x7FFFFFFF, 1)) + bytes(64),
        "two signature headers": good[:start] + good[96:start] + good[start:],
        "two headers": good[: start + len(main)] + good[start:],
    }[hostile]
    path = tmp_path / "a.rpm"
    path.write_bytes(data)
    (tmp_path / "key.asc").write_text(packager.armored)
    done = subprocess.run(
        [sys.executable, "-c", _JUDGE, str(path), str(tmp_path / "key.asc"), packager.fingerprint],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
    )
    refused, peak_kib = done.stdout.split()
    assert refused in ("MalformedRpm", "RpmNotTrusted", "PayloadMismatch")
    assert int(peak_kib) < 64_000_000 // 1024


_JUDGE = """
import sys
from pathlib import Path
from mirror.core.errors import MirrorError
from mirror.core.signatures.openpgp import read_keys
from mirror.core.toolkit.payload import check_payload
from mirror.core.toolkit.rpm import read_rpm
with open(sys.argv[1], "rb") as stream:
    try:
        check_payload(read_rpm(stream, "a.rpm", read_keys(Path(sys.argv[2]).read_text()), [sys.argv[3]]), stream)
    except MirrorError as error:
        peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]  # ru_maxrss knows the parent's too
        print(type(error).__name__, peak)
"""


@pytest.mark.group(35)
def test_the_wrong_vendors_good_signature_is_refused(packager: Packager) -> None:
    """SECURITY.md 35: its key is known, and good; another one is pinned."""
    other = Packager(ed25519_key(7))
    both = read_keys(packager.armored + other.armored)
    data = other.draft("a", CONTENTS).bytes()
    assert read_rpm(io.BytesIO(data), "a.rpm", both, [other.fingerprint]).name == "a"
    words = f"signed by {grouped(other.fingerprint)}; the pinned key is {grouped(packager.fingerprint)}"
    with pytest.raises(RpmNotTrusted, match=words):
        read_rpm(io.BytesIO(data), "a.rpm", both, [packager.fingerprint])


def family_problem(family: Family, key: bytes) -> str:
    """Why a package signed by the family's subkey is refused."""
    packager = Packager(family.subkey)
    with pytest.raises(RpmNotTrusted) as caught:
        read_rpm(io.BytesIO(packager.draft("a", CONTENTS).bytes()), "a.rpm", read_keys(key), family.pins)
    return caught.value.problem


def test_a_bound_subkey_may_sign_packages() -> None:
    family = Family()
    data = Packager(family.subkey).draft("a", CONTENTS).bytes()
    rpm = read_rpm(io.BytesIO(data), "a.rpm", read_keys(family.key(family.binding())), family.pins)
    assert rpm.fingerprint == family.primary.fingerprint


@pytest.mark.group(35)
def test_an_unbound_subkey_signs_no_package() -> None:
    """SECURITY.md 35: the three files of CVE-2021-3521, no binding, a binding by another key, a binding without consent."""
    family, stranger = Family(), ed25519_key(8)
    for key in (
        family.key(),
        family.key(family.binding(by=stranger)),
        family.key(family.binding(agreement=b"")),
        family.key(family.binding(agreement=family.agreement(by=stranger))),
    ):
        assert "sign" in family_problem(family, key)


@pytest.mark.group(35)
def test_an_expired_key_signs_no_package() -> None:
    """SECURITY.md 35: what it signs after its end does not count."""
    key = ed25519_key(3)
    packager = Packager(key)
    armored = armor("PUBLIC KEY BLOCK", key.certificate(USER_ID, (SIGNING, expires(1)))).decode()
    draft = packager.draft("a", CONTENTS)
    main, payload = draft.header(), draft.packed()
    late = rpmfile.signature_header(main, len(payload), 0, key, CREATED + 100)
    data = rpmfile.lead(draft.spec) + late + main + payload
    with pytest.raises(RpmNotTrusted, match="expired"):
        read_rpm(io.BytesIO(data), "a.rpm", read_keys(armored), [key.fingerprint])


@pytest.mark.group(35)
def test_a_revoked_key_signs_no_package() -> None:
    """SECURITY.md 35: whenever it signed."""
    key = ed25519_key(3)
    packager = Packager(key)
    revocation = key.sign(key.hashed_form, CREATED + 5, KEY_REVOCATION)
    certificate = (
        packet(PUBLIC_KEY, key.body) + revocation + key.certificate(USER_ID)[len(packet(PUBLIC_KEY, key.body)) :]
    )
    armored = armor("PUBLIC KEY BLOCK", certificate).decode()
    with pytest.raises(RpmNotTrusted, match="revoked"):
        read_rpm(io.BytesIO(packager.draft("a", CONTENTS).bytes()), "a.rpm", read_keys(armored), [key.fingerprint])
