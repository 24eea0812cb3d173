from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.bundle import layout
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.offered_roots import KeyNotRoot, read_offered_roots
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.trust.root import MAX_ROOT_BYTES
from tests.support.keys import make_root, sign_root, signer, write_private_key


def member(name: str, data: bytes) -> bytes:
    return layout.header(name, len(data)) + data + layout.padding(len(data))


def bundle(*roots: tuple[bytes, bytes]) -> bytes:
    parts = [member(layout.MANIFEST, b"{}\n"), member(layout.signature_name(1), b"untrusted\n")]
    for version, documents in enumerate(roots, 1):
        parts += [member(name, data) for name, data in zip(layout.root_names(version), documents)]
    return b"".join(parts) + layout.END


def test_a_bundle_offers_its_chain(tmp_path: Path) -> None:
    first, second = sign_root(make_root()), sign_root(make_root(version=2))
    (tmp_path / "b.tar").write_bytes(bundle(first, second))
    assert read_offered_roots(tmp_path / "b.tar") == (first, second)


def test_a_document_is_offered_with_the_signatures_beside_it(tmp_path: Path) -> None:
    document, signatures = sign_root(make_root())
    (tmp_path / "1.json").write_bytes(document)
    (tmp_path / "1.sig").write_bytes(signatures)
    assert read_offered_roots(tmp_path / "1.json") == ((document, signatures),)


def test_missing_signatures_are_named(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(make_root().encode())
    with pytest.raises(Unreadable) as caught:
        read_offered_roots(tmp_path / "root.json")
    assert str(caught.value) == f"cannot read {tmp_path}/root.sig: No such file or directory"


def test_a_bundle_without_a_root_offers_none(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(bundle())
    with pytest.raises(InvalidDocument, match=r"Bundle invalid at 'ROOT/1\.json': missing"):
        read_offered_roots(tmp_path / "b.tar")


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\0" * 2048])
def test_a_file_that_is_neither_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(BadLayout):
        read_offered_roots(tmp_path / "x")


@pytest.mark.group(48)
def test_an_endless_document_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_bytes(b"{" + b" " * (1 << 20))
    (tmp_path / "1.sig").touch()
    with pytest.raises(InvalidDocument, match=f"it has more than the {MAX_ROOT_BYTES} bytes allowed"):
        read_offered_roots(tmp_path / "1.json")


def test_a_key_is_no_root(tmp_path: Path) -> None:
    key = write_private_key(tmp_path / "root", "root")
    with pytest.raises(KeyNotRoot, match=r"/root is a private key, and no root that says whose keys count$") as caught:
        read_offered_roots(key)
    assert "A private key is never carried" in caught.value.hint
    (tmp_path / "root.pub").write_text(signer("root").public.openssh())
    with pytest.raises(KeyNotRoot, match="is a public key") as caught:
        read_offered_roots(tmp_path / "root.pub")
    assert f"`mirror trust add {tmp_path}/root.pub --role approver|builder|root`" in caught.value.hint
    assert "private" not in caught.value.hint


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_path_that_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable):
        read_offered_roots(tmp_path / name)
