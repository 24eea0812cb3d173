from __future__ import annotations

from pathlib import Path

from mirror.closed.kinds.file import install_files
from mirror.core.bundle.reader import open_bundle
from tests.support.bundles import BundleSimulator


def test_files_lie_where_the_manifest_says(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    simulator.add("files/chat.jinja", b"{{ messages }}")
    simulator.add("files/tiktoken/o200k_base.tiktoken", b"IQ== 0\n")
    simulator.add("files/empty", b"")
    with open_bundle(simulator.write(tmp_path / "b.tar")) as bundle:
        bundle.trust(simulator.root, ("builder",))
        bundle.verify()
        install_files(bundle, tmp_path / "generation")
    files = {path: path.read_bytes() for path in (tmp_path / "generation").rglob("*") if path.is_file()}
    assert {str(path.relative_to(tmp_path / "generation")): data for path, data in files.items()} == {
        "files/chat.jinja": b"{{ messages }}",
        "files/tiktoken/o200k_base.tiktoken": b"IQ== 0\n",
        "files/empty": b"",
    }


def test_a_bundle_without_files_makes_no_directory(tmp_path: Path) -> None:
    simulator = BundleSimulator()
    with open_bundle(simulator.write(tmp_path / "b.tar")) as bundle:
        bundle.trust(simulator.root, ("builder",))
        install_files(bundle, tmp_path / "generation")
    assert not (tmp_path / "generation").exists()
