"""Several hosts, as the page `site` of the handbook has them prepared and activated: by Ansible, and by ClusterShell.

A host is a home of its own on this machine, and a ``mirror`` in it. One of them is killed while it prepares.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mirror
from mirror.connected.packing.installer import write_installer
from tests.support.bundles import SEQUENCE
from tests.support.desk import BASE, Desk, desk, tools, version_in

__all__ = ["desk", "tools"]

pytestmark = [pytest.mark.index, pytest.mark.slow]

PAGE = Path(mirror.__file__).parent / "help" / "site.md"
HOSTS = ("n1", "n2", "n3")
NEWER = SEQUENCE + 86400

HOST = """\
#!/bin/sh
export HOME="{home}" MIRROR_HOME="{trust}" XDG_DATA_HOME="{home}/share"
if rm "$HOME/dies" 2>/dev/null; then
  {command} "$@" & pid=$!
  while ! [ -d "$HOME"/share/mirror/demo/gens/{newer}-*/venv ]; do sleep 0.01; done
  kill -9 $pid; wait $pid; exit $?
fi
exec {command} "$@"
"""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ansible and ClusterShell, from the package index."""
    import uv

    place = tmp_path_factory.mktemp("programs")
    subprocess.run([uv.find_uv_bin(), "venv", "-q", place / "venv"], check=True)
    packages = ["ansible-core", "ClusterShell"]
    python = place / "venv/bin/python"
    subprocess.run([uv.find_uv_bin(), "pip", "install", "-q", "--python", python, *packages], check=True)
    return place / "venv/bin"


@pytest.fixture
def fleet(desk: Desk) -> Desk:
    """Three hosts with 1.0 installed, one of which will be killed in the middle of the next preparation."""
    write_installer(desk.path / "mirror.pyz")
    desk.bundle("1.0").rename(desk.path / "first.tar")
    desk.bundle("2.0", sequence=NEWER).rename(desk.path / "second.tar")
    for name in HOSTS:
        home = desk.path / name
        home.mkdir()
        command = f"{sys.executable} -I {desk.path}/mirror.pyz"
        script = home / "mirror"
        script.write_text(HOST.format(home=home, trust=desk.path / "trust", command=command, newer=NEWER))
        script.chmod(0o755)
        subprocess.run([script, "install", desk.path / "first.tar", "--python", BASE], check=True)
    (desk.path / "n2/dies").touch()
    return desk


def blocks(language: str) -> list[str]:
    """The examples of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def versions(fleet: Desk) -> list[str]:
    return [version_in(fleet.path / name / "share/mirror/demo") for name in HOSTS]


def prepared(fleet: Desk) -> list[int]:
    return [len([*(fleet.path / name / "share/mirror/demo/gens").glob("*/COMPLETE")]) for name in HOSTS]


def test_ansible_prepares_all_hosts_and_activates_none_until_all_are(fleet: Desk, programs: Path) -> None:
    (playbook,) = blocks("yaml")
    own = playbook.replace("python3 -I /carry/mirror.pyz", f"{fleet.path}/{{{{ inventory_hostname }}}}/mirror")
    (fleet.path / "site.yml").write_text(own.replace("mirror: /", 'mirror: "/').replace("/mirror\n", '/mirror"\n', 1))
    lines = [f"{name} ansible_connection=local" for name in HOSTS]
    (fleet.path / "hosts").write_text("\n".join(lines) + "\n")
    command = [programs / "ansible-playbook", "-i", fleet.path / "hosts", fleet.path / "site.yml"]
    command += ["-e", f"bundle={fleet.path}/second.tar", "-e", f"ansible_python_interpreter={sys.executable}"]
    environment = {**os.environ, "ANSIBLE_HOME": str(fleet.path / "ansible"), "LC_ALL": "C.UTF-8"}

    def play() -> subprocess.CompletedProcess[str]:
        return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)

    failed = play()
    assert failed.returncode != 0 and "n2" in failed.stdout, failed.stdout + failed.stderr
    assert (versions(fleet), prepared(fleet)) == (["1.0"] * 3, [2, 1, 2])
    again = play()
    assert again.returncode == 0, again.stdout + again.stderr
    assert versions(fleet) == ["2.0"] * 3
    third = play()
    assert third.stdout.count("changed=0") == 3


def test_clustershell_does_the_same_and_the_hosts_are_compared(fleet: Desk, programs: Path) -> None:
    switch, ask = blocks("sh")

    def clush(script: str, *replaced: tuple[str, str]) -> subprocess.CompletedProcess[str]:
        for old, new in (("clush ", "clush -R exec "), ("gpu[1-8]", "n[1-3]"), *replaced):
            script = script.replace(old, new)
        script = re.sub(r"(['\"])mirror ", rf"\1{fleet.path}/%h/mirror ", script)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(fleet.path)}
        return subprocess.run(["sh", "-c", script], env=environment, cwd=fleet.path, capture_output=True, text=True)

    names = {path.name for path in (fleet.path / "n1/share/mirror/demo/gens").iterdir()}
    (fleet.path / "status").mkdir()
    bundle = ("/carry/bundle.tar", f"{fleet.path}/second.tar")
    failed = clush(switch, bundle)
    assert failed.returncode == 137, failed.stdout + failed.stderr
    assert (versions(fleet), prepared(fleet)) == (["1.0"] * 3, [2, 1, 2])
    own = ("mirror status --compare", f"{fleet.path}/n1/mirror status --compare")
    told = clush(ask, own)
    assert told.returncode == 8
    new = next(path.name for path in (fleet.path / "n1/share/mirror/demo/gens").iterdir() if path.name not in names)
    assert f"n2: demo: prepared none; elsewhere {new}" in told.stdout.splitlines()
    again = clush(switch, bundle, ("$NAME $GENERATION", f"demo {new}"))
    assert again.returncode == 0, again.stdout + again.stderr
    assert versions(fleet) == ["2.0"] * 3
    alike = clush(ask, own)
    assert (alike.returncode, alike.stdout.splitlines()[0]) == (0, "3 of 3 hosts have the same:")
