"""A stack that was moved or copied, or whose host's Python was removed: each file is as it was, and all of it is useless."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.environment.variables import GenerationDamaged
from tests.support.desk import BASE, Desk, version_in


def copied(prefix: Path, place: Path) -> None:
    shutil.copytree(prefix, place, symlinks=True)


@pytest.mark.group(59)
@pytest.mark.parametrize("take", [Path.rename, copied])
def test_a_stack_in_another_place_is_told_and_built_anew_there(
    desk: Desk,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    take: Callable[[Path, Path], object],
) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(desk.store.directory))
    bundle, place = desk.bundle(), desk.path / "q"
    installed = desk.install(bundle)
    name = Path(installed.receipt.generation).name
    take(installed.prefix, place)
    assert main(["status", "--check", "--prefix", str(place)]) == GenerationDamaged.exit_code
    out, err = capsys.readouterr()
    assert f"moved      {place}/gens/{name} (was installed as {installed.receipt.generation})" in out.splitlines()
    assert "mirror install --repair" in err
    assert main(["run", "--prefix", str(place), "--", "python", "-c", "1"]) == GenerationDamaged.exit_code
    assert f"it was installed as {installed.receipt.generation}, and was moved or copied" in capsys.readouterr().err
    assert main(["install", "--repair", str(bundle), "--prefix", str(place), "--python", str(BASE)]) == 0
    assert version_in(place) == "1.0"
    assert main(["status", "--check", "--prefix", str(place)]) == 0


def test_the_same_place_by_another_way_is_none(desk: Desk) -> None:
    prefix = desk.install(desk.bundle()).prefix
    (desk.path / "link").symlink_to(prefix)
    assert main(["status", "--check", "--prefix", str(desk.path / "link")]) == 0


@pytest.mark.group(59)
def test_a_python_that_was_removed_is_told_and_another_taken(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(desk.store.directory))
    host = desk.path / "host"
    shutil.copytree(sys.base_prefix, host, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__", "*.a"))
    bundle = desk.bundle()
    prefix = desk.install(bundle, python=host / "bin" / BASE.name).prefix
    assert main(["status", "--check", "--prefix", str(prefix)]) == 0
    shutil.rmtree(host)
    capsys.readouterr()
    assert main(["status", "--check", "--prefix", str(prefix)]) == GenerationDamaged.exit_code
    python = host / "bin" / BASE.name
    lost = f"missing    {(prefix / 'current').resolve()}/venv/bin/python (of the host's Python, {python})"
    assert lost in capsys.readouterr().out.splitlines()
    assert main(["run", "--prefix", str(prefix), "--", "python", "-c", "1"]) == GenerationDamaged.exit_code
    assert f"the Python that its venv was made from, {python}, is gone" in capsys.readouterr().err
    ran = subprocess.run(
        ["sh", "-euc", f'. "{prefix}/current/env.sh"; python3 --version'], capture_output=True, text=True
    )
    assert "/venv/bin/python is not there, and another Python would run: " in ran.stderr
    assert main(["install", "--repair", str(bundle), "--prefix", str(prefix), "--python", str(BASE)]) == 0
    assert version_in(prefix) == "1.0"
