"""Two wheels, one path, other bytes: which one is kept was decided when the bundle was made (SECURITY.md row 29)."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.core.bundle.dossier import PATH, Dossier, FileFacts, Waiver
from tests.support.desk import Desk
from tests.support.wheels import make_wheel

WAIVER = Waiver("collision", "its files are the ones to keep", "alice")


@pytest.mark.parametrize("winner", ["alpha", "beta"])
def test_the_wheel_whose_waiver_it_is_is_installed_last(desk: Desk, winner: str) -> None:
    simulator = desk.simulator()
    facts = []
    for name in ("alpha", "beta"):
        files = {f"shared/{number}.py": f"# {name}".encode() for number in range(100)}
        artifact = simulator.add_wheel(make_wheel(desk.path, name, "1.0", files=files))
        facts.append(FileFacts(artifact.path, "wheel", waivers=(WAIVER,) if name == winner else ()))
    simulator.add(PATH, Dossier((), (), tuple(facts)).encode())
    generation = Path(desk.install(simulator.write(desk.path / "b.tar")).receipt.generation)
    found = {path.read_text() for path in generation.rglob("site-packages/shared/*.py")}
    assert found == {f"# {winner}"}
