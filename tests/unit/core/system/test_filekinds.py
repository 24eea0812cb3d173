"""A bundle, a wheel or a key that is named where a document is expected is told as what it is."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mirror.core.errors import WrongKind
from mirror.core.system.durable import read_file
from mirror.core.system.filekinds import kind_of_file
from tests.support.bundles import BundleSimulator
from tests.support.keys import key, write_private_key
from tests.support.wheels import make_wheel


def test_each_kind_of_file_is_told_as_what_it_is_where_a_document_is_expected(tmp_path: Path) -> None:
    bundle = tmp_path / "day3.tar"
    BundleSimulator().write(bundle)
    (tmp_path / "alice.pub").write_text(f"{key('alice').public.openssh()} alice\n")
    kinds = {
        bundle: "a bundle",
        make_wheel(tmp_path, "a", "1.0"): "a zip file, as wheels are",
        write_private_key(tmp_path / "alice"): "a private key",
        tmp_path / "alice.pub": "a public key",
    }
    for path, kind in kinds.items():
        with pytest.raises(WrongKind) as caught:
            read_file(path, 64 << 10)
        assert str(caught.value) == f"{path} is {kind}; a document was expected in its place"
        assert caught.value.hint.endswith("Nothing is said against this one.")


def test_an_archive_is_known_by_its_first_bytes() -> None:
    assert kind_of_file(gzip.compress(b"x")) == "a gzip file (.gz, .tgz)"
    assert kind_of_file(b"name".ljust(257, b"\0") + b"ustar  \0") == "a tar"


@pytest.mark.parametrize("text", [b"", b"six==1.16.0\n", b"{}", b"[target]\n", b"# mirror: locked=2026\n", b"\xff\xfe"])
def test_of_other_files_nothing_is_said(text: bytes) -> None:
    assert kind_of_file(text) == ""
