"""A check of a generation: what it takes as its measure, and how often it looks."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.receipt import read_receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.soundness import _Expected, check_generation
from mirror.core.bundle.dossier import PATH, Dossier, FileFacts, Waiver
from mirror.core.names import Sha256Hex
from mirror.core.vetting.rules import RECORD_MISMATCH
from tests.support.desk import Desk
from tests.support.generations import put_generation
from tests.support.wheels import make_wheel

KNOWN = Waiver(RECORD_MISMATCH, "one file was changed after RECORD was written", "alice")


def with_another_file(wheel: Path, name: str, data: bytes) -> Path:
    """The wheel with a file that is not the one that its RECORD speaks of."""
    with zipfile.ZipFile(wheel) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, old in members.items():
            archive.writestr(member, data if member == name else old)
    return wheel


def test_a_wheel_whose_record_is_known_to_be_wrong_is_sound_as_it_was_installed(desk: Desk) -> None:
    simulator = desk.simulator()
    wheel = make_wheel(desk.path, "left-pad", "1.0", files={"left_pad.py": b"", "native.so": b"as RECORD says"})
    artifact = simulator.add_wheel(with_another_file(wheel, "native.so", b"as it is"))
    simulator.add(PATH, Dossier((), (), (FileFacts(artifact.path, "wheel", waivers=(KNOWN,)),)).encode())
    desk.install(simulator.write(desk.path / "b.tar"))
    generation = Prefix(desk.path / "p").current()
    assert generation
    assert check_generation(generation).is_whole
    native = next(generation.path.rglob("native.so"))
    native.write_bytes(b"altered later")
    (damage,) = check_generation(generation).damages
    assert (damage.path, damage.kind, damage.owner) == (
        native.relative_to(generation.path).as_posix(),
        "changed",
        "left_pad 1.0",
    )


def sealed(prefix: Prefix, files: int) -> Generation:
    generation = put_generation(prefix, 1, files)
    seal = Seal.of(generation).encode()
    generation.files.write_bytes(seal)
    receipt = replace(read_receipt(generation), files_sha256=Sha256Hex(hashlib.sha256(seal).hexdigest()))
    generation.receipt.write_bytes(receipt.encode())
    return generation


def test_what_should_be_there_is_not_gathered_anew_for_each_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was once, and a stack of 70,000 files took so long that nobody saw its end."""
    gather = _Expected.paths
    times = []

    def counted(expected: _Expected) -> set[str]:
        times.append(1)
        return gather(expected)

    monkeypatch.setattr(_Expected, "paths", counted)
    assert check_generation(sealed(Prefix(tmp_path / "h100"), 50)).checked >= 50
    assert len(times) < 5
