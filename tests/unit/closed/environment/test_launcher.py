"""The launcher runs the mirror.pyz that lies beside it, under the first Python that is there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.environment.launcher import write_launcher
from mirror.closed.prefix.generations import Generation, Prefix, generation_at
from mirror.connected.packing.installer import installer_bytes, write_installer
from tests.support.desk import Desk
from tests.support.wheels import make_wheel


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    found = generation_at(tmp_path / "a 'stack'/gens/5-abababababab")
    assert found is not None
    found.launcher.parent.mkdir(parents=True)
    write_installer(found.launcher.with_name("mirror.pyz"))
    return found


def started(generation: Generation, *words: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run([generation.launcher, *words], env={"PATH": path}, capture_output=True, text=True)


def test_it_runs_mirror_isolated_and_knows_its_name(generation: Generation) -> None:
    write_launcher(generation, [Path("/gone/python"), Path(sys.executable)], generation.path.parents[1])
    assert started(generation, "--version").stdout.startswith("mirror ")
    usage = started(generation, "status", "--help", path=f"{generation.launcher.parent}:/usr/bin:/bin").stdout
    assert usage.startswith("usage: mirror status ")
    assert started(generation, "status", "--x").returncode == 2


def test_pythons_of_other_generations_are_not_relied_on(generation: Generation) -> None:
    prefix = generation.path.parents[1]
    other, own = prefix / "gens/4-cdcdcdcdcdcd/python/bin/python3", generation.path / "python/bin/python3"
    write_launcher(generation, [other, own], prefix)
    script = generation.launcher.read_text()
    assert "4-cdcdcdcdcdcd" not in script
    assert "5-abababababab/python/bin/python3" in script


def test_without_any_python_it_says_how_to_go_on(generation: Generation, tmp_path: Path) -> None:
    write_launcher(generation, [Path("/gone/python")], generation.path.parents[1])
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sh").symlink_to(shutil.which("sh") or "/bin/sh")
    done = subprocess.run(
        ["/bin/sh", generation.launcher, "status"], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True
    )
    assert done.returncode == 127
    assert f"python3 -I {generation.launcher.with_name('mirror.pyz')}" in done.stderr


def test_an_install_puts_mirror_on_the_path_that_env_sh_makes(desk: Desk) -> None:
    simulator = desk.simulator()
    simulator.add_wheel(make_wheel(desk.path, "left-pad", "1.0"))
    simulator.add("tool/mirror.pyz", installer_bytes(), "mirror", "0.1.0")
    bundle = simulator.write(desk.path / "bundle.tar")
    installed = desk.install(bundle)
    assert Prefix(installed.prefix).current() is not None
    prefix = installed.prefix
    script = f". '{prefix}/current/env.sh' && command -v mirror && mirror status --prefix '{prefix}' --check"
    done = subprocess.run(["sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{installed.receipt.generation}/bin/mirror\n")
    assert "is whole: all " in done.stdout
