"""What is looked at again of a kind, in a bundle that was verified."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from mirror.core.archives.tarstream import BadArchive
from mirror.core.bundle.reader import open_bundle
from mirror.core.kinds import INTERPRETER, MODEL
from mirror.review.kinds import LOOKS
from tests.support.bundles import BundleSimulator


def looked(tmp_path: Path, path: str, content: Path | bytes, unpacked_size: int = 0) -> list[str]:
    """The rules that one artifact of a bundle breaks."""
    simulator = BundleSimulator()
    simulator.add(path, content, "org/tiny" if path.startswith("models") else "python", unpacked_size=unpacked_size)
    with open_bundle(simulator.write(tmp_path / "bundle.tar")) as bundle:
        bundle.trust(simulator.root)
        bundle.verify()
        (artifact,) = (one for one in bundle.manifest.artifacts if one.path == path)
        assert artifact.kind is not None
        return [finding.rule for finding in LOOKS[artifact.kind](bundle, artifact)]


def test_what_is_judged_elsewhere_is_not_looked_at_here() -> None:
    assert set(LOOKS) >= {INTERPRETER, MODEL}
    assert not any(kind.is_toolchain or kind.brings_wheels for kind in LOOKS)


@pytest.mark.parametrize(
    ("name", "content", "rules"),
    [("config.json", b"{}", []), ("a.bin", b"", ["pickle"]), ("notes.txt", b"\x80\x04K\x01.", ["pickle"])],
)
def test_a_pickle_of_a_model_is_told_by_its_name_or_its_bytes(
    name: str, content: bytes, rules: list[str], tmp_path: Path
) -> None:
    assert looked(tmp_path, f"models/org--tiny/{name}", content) == rules


def test_a_file_that_is_no_safetensors_is_told(tmp_path: Path) -> None:
    assert looked(tmp_path, "models/org--tiny/model.safetensors", b"\xff" * 16) == ["safetensors"]


def test_every_member_of_an_interpreter_is_judged(tmp_path: Path) -> None:
    with pytest.raises(BadArchive):
        looked(tmp_path, "python/python.tar.gz", b"no archive", 1 << 20)
    (tmp_path / "python3").write_bytes(b"")
    with tarfile.open(tmp_path / "python.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "python3", "python/bin/python3")
    assert looked(tmp_path, "python/python.tar.gz", tmp_path / "python.tar.gz", 1 << 20) == []
