"""Packing: equal bytes for equal manifests, refusal of sources that changed, nothing left behind."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from mirror.core.bundle import layout, writer
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.writer import NoSpaceForBundle, Source, SourceChanged, pack
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance, Silent
from mirror.core.target import Target
from tests.support.keys import make_root, sign_manifest, sign_root

DATA = b"wheel bytes" * 100


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "a-1-py3-none-any.whl"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path


def manifest() -> Manifest:
    digest = Sha256Hex(hashlib.sha256(DATA).hexdigest())
    artifact = Artifact("wheels/a-1-py3-none-any.whl", len(DATA), digest, "a", "1")
    return Manifest("q", 7, Target("3.11", "x86_64", "2.28"), (artifact,))


def write(output: Path, source: Source, wanted: Manifest | None = None) -> str:
    wanted = wanted or manifest()
    data = wanted.encode()
    return pack(
        wanted, data, (sign_manifest(data),), (sign_root(make_root()),), {wanted.artifacts[0].path: source}, output
    )


def test_returns_the_digest_of_the_file(tmp_path: Path, source: Path) -> None:
    output = tmp_path / "out.tar"
    assert write(output, source) == hashlib.sha256(output.read_bytes()).hexdigest()


def test_equal_input_gives_equal_bytes_under_another_umask_and_path(tmp_path: Path, source: Path) -> None:
    first = write(tmp_path / "one.tar", source)
    (tmp_path / "other").mkdir()
    previous = os.umask(0o077)
    try:
        second = write(tmp_path / "other" / "two.tar", DATA)
    finally:
        os.umask(previous)
    assert first == second


def test_gnu_tar_lists_and_extracts_it_without_a_warning(tmp_path: Path, source: Path) -> None:
    write(tmp_path / "out.tar", source)
    done = subprocess.run(["tar", "xvf", "out.tar"], cwd=tmp_path, capture_output=True, text=True, check=True)
    names = ["MANIFEST.json", "SIG/1.sig", "ROOT/1.json", "ROOT/1.sig", "wheels/a-1-py3-none-any.whl"]
    assert done.stdout.split() == names
    assert done.stderr == ""
    assert (tmp_path / "wheels" / "a-1-py3-none-any.whl").read_bytes() == DATA


@pytest.mark.group(55)
@pytest.mark.parametrize("change", [b"X" + DATA[1:], DATA[:-1], DATA + b"X", b""])
def test_a_source_that_has_changed_is_refused_and_nothing_is_left(tmp_path: Path, source: Path, change: bytes) -> None:
    source.write_bytes(change)
    (tmp_path / "out").mkdir()
    with pytest.raises(SourceChanged, match=r"a-1-py3-none-any\.whl: sha256 is"):
        write(tmp_path / "out" / "out.tar", source)
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.group(55)
@pytest.mark.parametrize("change", [DATA[:-1], DATA + b"X", b""])
def test_a_source_of_another_size_is_refused_as_it_is_copied(tmp_path: Path, source: Path, change: bytes) -> None:
    source.write_bytes(change)
    (tmp_path / "out").mkdir()
    wanted = manifest()
    with pytest.raises(SourceChanged, match=r"a-1-py3-none-any\.whl: sha256 is"):
        writer.write(wanted, b"", {wanted.artifacts[0].path: source}, tmp_path / "out" / "out.tar")
    assert os.listdir(tmp_path / "out") == []


class Told(Silent):
    """Adds up what it is told."""

    total = 0

    def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
        return nullcontext(self.advance)

    def advance(self, amount: int) -> None:
        self.total += amount


@pytest.mark.parametrize("kind", [Path, bytes])
def test_what_the_system_copies_are_the_bytes_that_packing_writes(
    tmp_path: Path, source: Path, kind: type[Path] | type[bytes]
) -> None:
    wanted, data = manifest(), manifest().encode()
    documents, signatures = (sign_root(make_root()),), (sign_manifest(data),)
    sources: dict[str, Source] = {wanted.artifacts[0].path: source if kind is Path else DATA}
    pack(wanted, data, signatures, documents, sources, tmp_path / "packed.tar")
    told = Told()
    writer.write(wanted, layout.head(data, signatures, documents), sources, tmp_path / "written.tar", told)
    assert told.total == wanted.total_bytes == len(DATA)
    assert (tmp_path / "written.tar").read_bytes() == (tmp_path / "packed.tar").read_bytes()


@pytest.mark.group(49)
def test_a_bundle_larger_than_the_disk_is_refused_before_writing(tmp_path: Path, source: Path) -> None:
    huge = [
        dataclasses.replace(manifest().artifacts[0], path=f"wheels/a-{n}-py3-none-any.whl", size=8 * 2**30 - 1)
        for n in range(500)
    ]
    wanted = dataclasses.replace(manifest(), artifacts=tuple(huge))
    (tmp_path / "out").mkdir()
    with pytest.raises(NoSpaceForBundle, match=r"the bundle takes \d+ bytes, .*/out has \d+ free"):
        write(tmp_path / "out" / "out.tar", source, wanted)
    assert os.listdir(tmp_path / "out") == []
