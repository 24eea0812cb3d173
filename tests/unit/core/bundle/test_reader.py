"""The reader against a good bundle and everything that one edit can make of it."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import lzma
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.core.bundle import layout
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.bundle.writer import pack
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.trust.quorum import NotSigned, UnknownSigner
from mirror.core.trust.root import Root
from tests.support.bundles import verify_both_ways
from tests.support.keys import make_root, role, sign_manifest, sign_root

MEMBERS = {"wheels/a-1-py3-none-any.whl": b"a" * 700, "wheels/b-1-py3-none-any.whl": b"b" * 512, "meta/empty": b""}


def artifact(path: str, data: bytes) -> Artifact:
    return Artifact(path, len(data), Sha256Hex(hashlib.sha256(data).hexdigest()), path.split("/")[1])


ARTIFACTS = tuple(artifact(*item) for item in MEMBERS.items())
MANIFEST = Manifest("q", 7, Target("3.11", "x86_64", "2.28"), ARTIFACTS, (make_root().fingerprint,))


@pytest.fixture
def root() -> Root:
    return make_root()


@pytest.fixture
def good(tmp_path: Path, root: Root) -> Path:
    path = tmp_path / "good.tar"
    data = MANIFEST.encode()
    pack(MANIFEST, data, (sign_manifest(data),), (sign_root(root),), MEMBERS, path)
    return path


def check(path: Path, root: Root, both_ways: bool = True) -> Manifest:
    with open_bundle(path) as bundle:
        manifest = bundle.trust(root)
        verify_both_ways(bundle) if both_ways else bundle.verify()
        return manifest


def test_one_reading_gives_the_digest_of_the_file_and_notices_a_beginning_that_changed(good: Path, root: Root) -> None:
    data = good.read_bytes()
    with open_bundle(good) as bundle:
        bundle.trust(root)
        assert bundle.verify_whole() == hashlib.sha256(data).hexdigest()
        good.write_bytes(data[:600] + bytes([data[600] ^ 1]) + data[601:])
        with pytest.raises(BadLayout, match="what comes before its artifacts has changed since it was opened"):
            bundle.verify_whole()


def test_reads_what_was_packed(good: Path, root: Root) -> None:
    with open_bundle(good) as bundle:
        assert bundle.trust(root) == MANIFEST
        bundle.verify()
        for item in bundle.manifest.artifacts:
            with bundle.open(item) as stream:
                assert stream.read() == MEMBERS[item.path] == bundle.read(item)
            offset, size = bundle.offset(item)
            assert good.read_bytes()[offset : offset + size] == MEMBERS[item.path]
        assert bundle.root_documents == (sign_root(root),)
        assert bundle.digest == hashlib.sha256(MANIFEST.encode()).hexdigest()


def test_a_stream_over_a_member_seeks_like_a_file(good: Path, root: Root) -> None:
    with open_bundle(good) as bundle:
        bundle.trust(root)
        with bundle.open(MANIFEST.artifacts[0]) as stream:
            assert stream.seek(-2, os.SEEK_END) == 698
            assert stream.read() == b"aa"
            assert stream.read() == b""
            stream.seek(0)
            assert len(stream.read(10_000)) == 700


@pytest.mark.group(1)
def test_every_flipped_byte_is_refused(good: Path, root: Root) -> None:
    data = bytearray(good.read_bytes())
    with open(good, "r+b", buffering=0) as stream:
        for offset in range(len(data)):
            os.pwrite(stream.fileno(), bytes([data[offset] ^ (1 << offset % 8)]), offset)
            with pytest.raises(MirrorError):
                check(good, root, both_ways=offset % 31 == 0)
            os.pwrite(stream.fileno(), data[offset : offset + 1], offset)
    check(good, root)


@pytest.mark.group(2)
def test_every_truncation_is_refused(good: Path, root: Root) -> None:
    data = good.read_bytes()
    for size in [*range(0, len(data), 512), 100, len(data) - 1]:
        good.write_bytes(data[:size])
        with pytest.raises(BadLayout, match="truncated"):
            check(good, root)


@pytest.mark.group(3)
@pytest.mark.parametrize("extra", [b"\0", bytes(512), bytes(10 << 10)])
def test_trailing_data_is_refused(good: Path, root: Root, extra: bytes) -> None:
    good.write_bytes(good.read_bytes() + extra)
    with pytest.raises(BadLayout, match="there is trailing data"):
        check(good, root)


@pytest.mark.group(3)
def test_a_second_tar_behind_the_first_is_refused(good: Path, root: Root) -> None:
    good.write_bytes(good.read_bytes() * 2)
    with pytest.raises(BadLayout, match="there is trailing data"):
        check(good, root)


def blocks(data: bytes) -> list[bytes]:
    return [data[i : i + 512] for i in range(0, len(data), 512)]


@pytest.mark.group(4)
@pytest.mark.parametrize("edit", ["swap", "drop", "double"])
def test_no_block_can_be_moved_removed_or_repeated(good: Path, root: Root, edit: str) -> None:
    original = blocks(good.read_bytes())
    for index in range(len(original) - 1):
        changed = list(original)
        if edit == "swap":
            changed[index], changed[index + 1] = changed[index + 1], changed[index]
        elif edit == "drop":
            del changed[index]
        else:
            changed.insert(index, changed[index])
        if changed == original:
            continue
        good.write_bytes(b"".join(changed))
        with pytest.raises(MirrorError):
            check(good, root)


def member(name: str, data: bytes) -> bytes:
    return layout.header(name, len(data)) + data + layout.padding(len(data))


A, B, EMPTY = (member(name, data) for name, data in MEMBERS.items())


@pytest.mark.group(4)
@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ((B, EMPTY), "wheels/a-1-py3-none-any.whl is missing: here begins wheels/b-1-py3-none-any.whl"),
        ((A, EMPTY), "wheels/b-1-py3-none-any.whl is missing: here begins meta/empty"),
        ((EMPTY,), "wheels/a-1-py3-none-any.whl (and 1 more) is missing: here begins meta/empty"),
        ((A, B), "meta/empty is missing: the archive ends where it should begin"),
        ((), "wheels/a-1-py3-none-any.whl is missing: the archive ends where it should begin"),
        (
            (B, A, EMPTY),
            "wheels/b-1-py3-none-any.whl and wheels/a-1-py3-none-any.whl are in another order: "
            "wheels/b-1-py3-none-any.whl begins where wheels/a-1-py3-none-any.whl should",
        ),
        (
            (A, A, B, EMPTY),
            "wheels/a-1-py3-none-any.whl is there twice: it begins again where wheels/b-1-py3-none-any.whl should",
        ),
        (
            (A, member("wheels/evil\x1b-1.whl", b"x"), B, EMPTY),
            "'wheels/evil\\x1b-1.whl' is not in the manifest: it begins where wheels/b-1-py3-none-any.whl should",
        ),
        (
            (A, member("wheels/b-1-py3-none-any.whl", b"b"), EMPTY),
            "the header of wheels/b-1-py3-none-any.whl is not the one the manifest describes: it tells another size",
        ),
        ((A, b"?" * 512, B, EMPTY), "the header of wheels/b-1-py3-none-any.whl is not the one the manifest describes"),
        ((A, bytes(len(B)), EMPTY), "the header of wheels/b-1-py3-none-any.whl was overwritten with zeros"),
        ((A, B, EMPTY, member("zzz", b"x")), "there is trailing data"),
    ],
)
def test_what_is_missing_moved_or_added_is_named(
    good: Path, root: Root, parts: tuple[bytes, ...], problem: str
) -> None:
    data = good.read_bytes()
    head = data[: data.index(A)]
    good.write_bytes(b"".join((head, *parts, layout.END)))
    with pytest.raises(BadLayout) as caught:
        check(good, root)
    if problem == "there is trailing data":
        assert caught.value.problem.startswith(problem)
    else:
        assert caught.value.problem == problem
        place = caught.value.offset
        assert good.read_bytes()[len(head) : place] == b"".join(parts)[: place - len(head)]


@pytest.mark.group(2)
def test_a_truncated_file_tells_how_much_is_there_and_where_it_ends(good: Path, root: Root) -> None:
    data = good.read_bytes()
    whole, at = len(data), data.index(A)
    for size, where in (
        (at + 512 + 100, "it ends within wheels/a-1-py3-none-any.whl, of which it has 100 of 700 bytes"),
        (at + 200, "it ends within wheels/a-1-py3-none-any.whl, of which it has 0 of 700 bytes"),
        (at + len(A) + 512, "it ends within wheels/b-1-py3-none-any.whl, of which it has 0 of 512 bytes"),
    ):
        good.write_bytes(data[:size])
        with pytest.raises(BadLayout) as caught:
            check(good, root)
        assert caught.value.problem == f"the file is truncated: {size} bytes, the manifest describes {whole}; {where}"
    good.write_bytes(data[:600])
    with pytest.raises(BadLayout, match=r"the file is truncated: it has 600 bytes and ends within MANIFEST\.json"):
        check(good, root)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (gzip.compress(b"x" * 9000, mtime=0), "it is a gzip file (.gz, .tgz)"),
        (bz2.compress(b"x"), "it is a bzip2 file (.bz2)"),
        (lzma.compress(b"x" * 9000), "it is an xz file (.xz)"),
        (b"\x28\xb5\x2f\xfd" + b"1" * 600, "it is a zstd file (.zst)"),
        (b"PK\x03\x04" + b"1" * 600, "it is a zip file, as wheels are"),
        (b"<html>404", "it is a page of HTML or XML, such as a server's answer in place of the file"),
        (bytes(4096), "it is a file that begins with nothing but zeros"),
        (member("other/file", b"x"), "it is another tar: expected the header of MANIFEST.json, found b'other/file'"),
    ],
)
def test_another_kind_of_file_is_called_what_it_is(tmp_path: Path, root: Root, content: bytes, kind: str) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(content)
    with pytest.raises(BadLayout) as caught:
        check(path, root)
    assert (
        caught.value.problem in (kind, f"{kind}: expected the header of MANIFEST.json")
        and "an uncompressed tar" in caught.value.hint
    )


def packed(path: Path, root: Root, edit: Callable[[dict[str, object]], None]) -> None:
    """A bundle whose manifest was edited and signed by the right builder: the reader's own rules must refuse it."""
    document = json.loads(MANIFEST.encode())
    edit(document)
    data = json.dumps(document).encode()
    parts = [layout.header("MANIFEST.json", len(data)), data, layout.padding(len(data))]
    signature = sign_manifest(data)
    parts += [layout.header("SIG/1.sig", len(signature)), signature, layout.padding(len(signature))]
    for name, text in zip(layout.root_names(1), sign_root(root)):
        parts += [layout.header(name, len(text)), text, layout.padding(len(text))]
    for name, content in MEMBERS.items():
        parts += [layout.header(name, len(content)), content, layout.padding(len(content))]
    path.write_bytes(b"".join([*parts, layout.END]))


@pytest.mark.group(18)
def test_a_signed_digest_that_the_bytes_do_not_have_is_named(tmp_path: Path, root: Root) -> None:
    def edit(document: dict[str, object]) -> None:
        document["artifacts"][0]["sha256"] = "0" * 64  # type: ignore[index]

    path = tmp_path / "b.tar"
    packed(path, root, edit)
    with pytest.raises(DigestMismatch) as caught:
        check(path, root)
    actual = hashlib.sha256(b"a" * 700).hexdigest()
    assert (
        str(caught.value) == f"wheels/a-1-py3-none-any.whl of {path}: sha256 is {actual}, the manifest says {'0' * 64}"
    )


def test_a_manifest_written_in_another_spelling_is_refused(good: Path, root: Root) -> None:
    """The same JSON with other white space is other bytes: the signature is over bytes."""
    data = json.dumps(json.loads(MANIFEST.encode())).encode()
    parts = [layout.header("MANIFEST.json", len(data)), data, layout.padding(len(data))]
    old = layout.member_bytes(len(MANIFEST.encode()))
    good.write_bytes(b"".join(parts) + good.read_bytes()[old:])
    with pytest.raises(MirrorError, match="signature"):
        check(good, root)


@pytest.mark.group(6)
def test_unsigned_is_refused(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    pack(MANIFEST, MANIFEST.encode(), (), (), MEMBERS, path)
    with pytest.raises(NotSigned):
        check(path, root)


@pytest.mark.group(6)
def test_signed_by_a_stranger_is_refused(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    data = MANIFEST.encode()
    pack(MANIFEST, data, (sign_manifest(data, "stranger"),), (sign_root(root),), MEMBERS, path)
    with pytest.raises(UnknownSigner):
        check(path, root)


def test_a_bundle_without_the_roots_that_it_names_is_refused(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    data = MANIFEST.encode()
    pack(MANIFEST, data, (sign_manifest(data),), (), MEMBERS, path)
    with pytest.raises(BadLayout, match="the roots in it are not the ones that its manifest names"):
        check(path, root)


@pytest.mark.group(6)
def test_a_root_in_the_bundle_does_not_vouch_for_itself(tmp_path: Path, root: Root) -> None:
    """A stranger who brings a root of their own is still a stranger."""
    theirs = make_root(root=role("mallory"), builder=role("stranger"))
    path = tmp_path / "b.tar"
    data = MANIFEST.encode()
    pack(MANIFEST, data, (sign_manifest(data, "stranger"),), (sign_root(theirs, ("mallory",)),), MEMBERS, path)
    with pytest.raises(UnknownSigner):
        check(path, root)


@pytest.mark.group(16)
@pytest.mark.parametrize("kind", ["directory", "fifo", "missing", "device"])
def test_what_is_no_regular_file_is_named(tmp_path: Path, root: Root, kind: str) -> None:
    path = tmp_path / "b.tar"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/null")
    with pytest.raises(Unreadable, match=re.escape(str(path))):
        check(path, root)


def test_a_file_that_is_no_bundle_is_named(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(b"PK\x03\x04" + bytes(2000))
    with pytest.raises(BadLayout, match=r"expected the header of MANIFEST\.json"):
        check(path, root)


@pytest.mark.group(48)
def test_the_manifest_has_a_size_limit(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    path.write_bytes(layout.header("MANIFEST.json", (4 << 20) + 1) + bytes(5 << 20))
    with pytest.raises(BadLayout, match="the limit is 4194304"):
        check(path, root)


@pytest.mark.group(48)
def test_more_signatures_than_allowed_are_refused(tmp_path: Path, root: Root) -> None:
    path = tmp_path / "b.tar"
    data = MANIFEST.encode()
    pack(MANIFEST, data, (sign_manifest(data),) * 17, (), MEMBERS, path)
    with pytest.raises(MirrorError):
        check(path, root)


@pytest.mark.group(59, 62)
def test_a_change_after_verification_is_noticed_when_read(good: Path, root: Root) -> None:
    with open_bundle(good) as bundle:
        bundle.trust(root)
        bundle.verify()
        item = bundle.manifest.artifacts[0]
        with open(good, "r+b") as stream:
            stream.seek(bundle.offset(item)[0])
            stream.write(b"X")
        with pytest.raises(DigestMismatch):
            bundle.read(item)
