"""What somebody without a key makes of two good bundles: parts moved from one into the other, or written in another way."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.core.bundle import layout
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.signatures.sshsig import SignatureMismatch
from mirror.core.trust.chain import MAX_ROOTS, fingerprint
from mirror.core.trust.quorum import NotSigned
from tests.support.bundles import SEQUENCE, BundleSimulator, verify_both_ways
from tests.support.keys import make_root, sign_manifest

OLD, NEW = b"the words of the older one", b"the words of the newer one"


def member(name: str, data: bytes) -> bytes:
    return layout.header(name, len(data)) + data + layout.padding(len(data))


def check(path: Path) -> None:
    with open_bundle(path) as bundle:
        bundle.trust(make_root())
        verify_both_ways(bundle)


@pytest.fixture
def older(tmp_path: Path) -> bytes:
    simulator = BundleSimulator()
    simulator.add("meta/words.txt", OLD)
    return simulator.write(tmp_path / "older.tar").read_bytes()


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    simulator = BundleSimulator(sequence=SEQUENCE + 1)
    simulator.add("meta/words.txt", NEW)
    path = simulator.write(tmp_path / "newer.tar")
    check(path)
    return path


def manifest_of(data: bytes) -> tuple[bytes, bytes]:
    """The manifest's bytes, and everything behind its member."""
    size = layout.read_size(data[: layout.BLOCK], layout.MANIFEST, 0, 1 << 20, "b.tar")
    return data[layout.BLOCK : layout.BLOCK + size], data[layout.member_bytes(size) :]


@pytest.mark.group(5)
@pytest.mark.parametrize("before", ["SIG/1.sig", "ROOT/1.json", "meta/words.txt"])
def test_a_manifest_that_is_not_first_is_refused(newer: Path, before: str) -> None:
    newer.write_bytes(member(before, b"x") + newer.read_bytes())
    with pytest.raises(BadLayout, match=r"expected the header of MANIFEST\.json"):
        check(newer)


@pytest.mark.group(5)
@pytest.mark.parametrize("where", ["SIG/", "ROOT/", "meta/", ""])
def test_a_second_manifest_is_refused_wherever_it_is(newer: Path, older: bytes, where: str) -> None:
    """Before the signatures, the roots or the members, and after the last of them; its own, or the older bundle's."""
    data = newer.read_bytes()
    for manifest in (manifest_of(data)[0], manifest_of(older)[0]):
        at = data.index(b"\0" + where.encode()) + 1 if where else len(data) - len(layout.END)
        newer.write_bytes(data[:at] + member(layout.MANIFEST, manifest) + data[at:])
        with pytest.raises(BadLayout if where != "SIG/" else NotSigned):  # it ends the signatures before the first one
            check(newer)


SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "indented": lambda data: json.dumps(json.loads(data), indent=2).encode(),
    "without blanks": lambda data: json.dumps(json.loads(data), separators=(",", ":")).encode(),
    "keys in another order": lambda data: json.dumps(dict(reversed(json.loads(data).items()))).encode(),
    "a line end more": lambda data: data + b"\n",
    "a line end less": lambda data: data.rstrip(b"\n"),
    "a blank before": lambda data: b" " + data,
    "an escape for a letter": lambda data: data.replace(b'"demo"', b'"\\u0064emo"'),
    "DOS line ends": lambda data: data.replace(b"\n", b"\r\n"),
}


@pytest.mark.group(10)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_manifest_in_another_spelling_is_refused(newer: Path, spelling: str) -> None:
    """The signature is over bytes: what means the same is not the same."""
    data, rest = manifest_of(newer.read_bytes())
    other = SPELLINGS[spelling](data)
    assert other != data
    assert json.loads(other) == json.loads(data)
    newer.write_bytes(member(layout.MANIFEST, other) + rest)
    with pytest.raises(SignatureMismatch):
        check(newer)


@pytest.mark.group(13)
def test_a_member_of_another_bundle_is_refused_although_that_one_signs_it(newer: Path, older: bytes) -> None:
    data = newer.read_bytes()
    assert len(OLD) == len(NEW) and OLD in older
    newer.write_bytes(data.replace(member("meta/words.txt", NEW), member("meta/words.txt", OLD)))
    with pytest.raises(DigestMismatch, match=r"meta/words\.txt"):
        check(newer)


@pytest.mark.group(13)
def test_the_manifest_of_another_bundle_is_refused_with_and_without_its_signature(newer: Path, older: bytes) -> None:
    data = newer.read_bytes()
    manifest, _ = manifest_of(older)
    newer.write_bytes(member(layout.MANIFEST, manifest) + manifest_of(data)[1])
    with pytest.raises(SignatureMismatch):
        check(newer)
    until = older.index(b"\0ROOT/1.json") + 1
    newer.write_bytes(older[:until] + data[data.index(b"\0ROOT/1.json") + 1 :])
    with pytest.raises(DigestMismatch, match=r"meta/words\.txt"):
        check(newer)


@pytest.mark.group(48)
def test_of_many_roots_no_more_than_allowed_are_read_though_a_builder_signed_them(newer: Path) -> None:
    documents = [b"%d" % number for number in range(300)]
    manifest = replace(BundleSimulator().manifest(), roots=tuple(map(fingerprint, documents))).encode()
    parts = [member(layout.MANIFEST, manifest), member("SIG/1.sig", sign_manifest(manifest))]
    for version, document in enumerate(documents, 1):
        parts += [member(name, document) for name in layout.root_names(version)]
    newer.write_bytes(b"".join(parts) + layout.END)
    with open_bundle(newer) as bundle:
        assert len(bundle.root_documents) == MAX_ROOTS == 256
    with pytest.raises(BadLayout, match="the roots in it are not the ones that its manifest names"):
        check(newer)
