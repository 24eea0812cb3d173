"""``mirror which`` as people type it, and out of mirror.pyz on the oldest Python."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.prefix.receipt import Receipt
from mirror.connected.packing.installer import write_installer
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.fileindex import BUNDLED, INSTALLED
from tests.support.bundles import BundleSimulator
from tests.unit.cli.commands.closed.test_install import python
from tests.unit.closed.which.test_search import INDEX, TARGET


@pytest.fixture
def lock(tmp_path: Path) -> str:
    (tmp_path / "demo.toml").touch()
    (tmp_path / "demo.files.txt").write_bytes(INDEX.encode())
    return str(tmp_path / "demo.toml")


def ask(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert main(["which", *words]) == code
    out, err = capsys.readouterr()
    return (err if code else out).splitlines()


def test_what_is_there_is_said_in_two_lines(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "nv/target", "--lock", lock) == [
        f"cuda-cccl-13-0 13.0.88-1 (cccl) brings {TARGET}/include/nv/target",
        "  it is in this stack",
    ]


def test_what_is_not_there_comes_with_the_line_to_add(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "nvrtc.h", "--lock", lock) == [
        f"cuda-nvrtc-devel-13-0 13.0.88-1 (nvrtc-devel) brings {TARGET}/include/nvrtc.h",
        "  it is not in this stack; add to [rpms] of demo.toml: "
        'packages = [..., "cuda-nvrtc-devel-13-0"], or components = [..., "nvrtc-devel"]',
    ]


def test_a_library_may_be_named_as_linkers_name_it(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ask(capsys, "-lnvrtc", "--lock", lock)
    assert lines[0] == f"cuda-nvrtc-13-0 13.0.88-1 (nvrtc) brings {TARGET}/lib/libnvrtc.so.13 and 1 more"
    assert lines[-1] == f"{TARGET}/lib/libnvrtc.so is a link that mirror makes when it installs, to libnvrtc.so.13"


def test_the_drivers_files_are_explained(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(capsys, "nvidia-smi", "--lock", lock) == [
        "nvidia-smi is the GPU driver's, on the closed host already and never in a bundle"
    ]


def test_what_nobody_knows_ends_with_a_name_and_what_comes_near(lock: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ask(capsys, "NVRTC.h", "--lock", lock, code=108)
    assert lines[0] == f"error: no RPM that the lock {lock} knows brings 'NVRTC.h'"
    assert lines[1] == "did you mean nvrtc.h (of cuda-nvrtc-devel-13-0)?"
    assert lines[-1] == "ref: file-in-no-package"


def test_a_bundle_is_asked_with_the_operators_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator = BundleSimulator()
    simulator.add(BUNDLED, INDEX.encode())
    simulator.store(tmp_path / "trust")
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    bundle = str(simulator.write(tmp_path / "b.tar"))
    assert ask(capsys, "nv/target", "--bundle", bundle)[1] == "  it is in this bundle"
    answer = json.loads("\n".join(ask(capsys, "nvrtc.h", "--bundle", bundle, "--json")))
    assert (answer["asked"], answer["rpms"][0]["carried"]) == ("bundle", False)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "expected FILE and at most one NAME, got 0 words"),
        (("a", "b", "c"), "got 3 words"),
        (("a", "demo", "--prefix", "/p"), "a stack's name (demo) and --prefix, --bundle or --stack exclude each other"),
        (("a", "--prefix", "/p", "--lock", "x"), "not allowed with"),
    ],
)
def test_a_command_line_that_says_too_much_or_too_little(
    words: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["which", *words])
    assert caught.value.code == 2
    assert problem in capsys.readouterr().err


def test_an_install_is_asked_by_its_name_with_mirror_pyz_on_the_oldest_python(tmp_path: Path) -> None:
    """The generation is made by hand: what an install writes is tested where installs are."""
    oldest = python("3.9")
    generation = tmp_path / "share/mirror/demo/gens/1790000000-0123456789ab"
    (generation / "cuda" / TARGET / "include/nv").mkdir(parents=True)
    (generation / "cuda" / TARGET / "include/nv/target").touch()
    (generation / INSTALLED).write_bytes(INDEX.encode())
    (generation / "receipt.json").write_bytes(receipt(generation))
    (generation / "COMPLETE").write_text("0123456789ab" + "0" * 52 + "\n")
    (generation.parents[1] / "current").symlink_to(f"gens/{generation.name}")
    write_installer(tmp_path / "mirror.pyz")

    def run(*words: str) -> list[str]:
        command = [oldest, "-I", str(tmp_path / "mirror.pyz"), "which", *words]
        environment = {"XDG_DATA_HOME": str(tmp_path / "share"), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()

    assert run("<nv/target>", "demo") == [
        f"cuda-cccl-13-0 13.0.88-1 (cccl) brings {TARGET}/include/nv/target",
        f"  it is installed: {generation}/cuda/{TARGET}/include/nv/target",
    ]
    assert run("libcudart.so.13.0.96")[1] == f"  it was installed, and is missing now in {generation}"
    assert run("-lcuda")[0].startswith("cuda-driver-devel-13-0 ")


def receipt(generation: Path) -> bytes:
    """A receipt as ``install`` writes it."""
    digest = Sha256Hex("0123456789ab" + "0" * 52)
    made = Receipt(
        "demo", 1, digest, str(generation), 1, "/python", "3.11.7", "host", "uv", ("b",), (("wheel", 1),), "0.1.0"
    )
    return made.encode()
