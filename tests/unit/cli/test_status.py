"""``mirror status --check``: what changed on the disk since it was installed is found, named and left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.environment.variables import GenerationDamaged
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.status import NoneCurrent
from mirror.core.errors import Unwritable
from mirror.core.trust.verdict import expiring
from tests.support.desk import Desk
from tests.support.generations import put_generation
from tests.support.keys import make_root, trust_store
from tests.support.otheruser import shared_directory


@pytest.mark.group(59)
@pytest.mark.parametrize("name", ["left_pad.py", "env.sh", "METADATA"])
def test_one_bit_that_rots_after_installing_is_found_and_named(
    desk: Desk, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    desk.install(desk.bundle())
    generation = (desk.path / "p/current").resolve()
    (path,) = (path for path in generation.rglob(name) if "left" in str(path) or name == "env.sh")
    words = ["status", "--check", "--prefix", str(desk.path / "p")]
    assert main(words) == 0
    assert " is whole: all " in capsys.readouterr().out
    _flip(path)
    rotten = path.read_bytes()
    assert main(words) == GenerationDamaged.exit_code
    out, err = capsys.readouterr()
    assert f"changed    {path} (of {'mirror' if name == 'env.sh' else 'left_pad 1.0'})" in out.splitlines()
    assert f"hint: 'mirror install --repair BUNDLE --prefix {desk.path}/p', with the bundle that it came from" in err
    assert main([*words, "--json"]) == GenerationDamaged.exit_code
    (damage,) = json.loads(capsys.readouterr().out)["stacks"][0]["checks"][0]["damages"]
    assert (generation / damage["path"], damage["kind"]) == (path, "changed")
    assert path.read_bytes() == rotten, "it looks, and changes nothing"


def test_a_root_that_expires_soon_is_told(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.install(desk.bundle())
    soon = trust_store(desk.path / "soon", make_root(expires=int(time.time()) + 86_400))
    monkeypatch.setenv("MIRROR_HOME", str(soon.directory))
    words = ["status", "--prefix", str(desk.path / "p")]
    assert main(words) == 0
    (note,) = expiring(soon.load_root())
    assert capsys.readouterr().out.splitlines()[-1] == f"note: {note}"
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [note]


def test_a_lost_current_is_told_with_the_step_and_one_that_is_no_link_with_its_own(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_HOME", str(desk.store.directory))
    bundle = desk.bundle()
    desk.install(bundle)
    current, there = desk.path / "p/current", ["--prefix", str(desk.path / "p")]
    current.unlink()
    assert main(["status", *there]) == 0
    assert "  none is current; 'mirror rollback' makes the newest whole one so" in capsys.readouterr().out.splitlines()
    for words in (["status", "--check"], ["run"], ["doctor"]):
        assert main([*words, *there, *(["--", "true"] if words == ["run"] else [])]) == NoneCurrent.exit_code
        assert (
            f"error: none of the generations in {desk.path}/p is current\nhint: 'mirror rollback', "
            in capsys.readouterr().err
        )
    current.mkdir()
    assert main(["rollback", *there]) == Unwritable.exit_code
    assert "it is no link of mirror's\nhint: mirror did not make it: move it away" in capsys.readouterr().err
    current.rmdir()
    assert main(["rollback", *there]) == 0 and current.is_symlink()


def _flip(path: Path) -> None:
    """Flip one bit; size and time stay, as when a disk does it."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.group(67)
def test_what_others_may_write_below_a_generation_is_told_with_the_step_and_run_warns_of_what_it_uses(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shared_directory() as shared:
        generation = put_generation(Prefix(shared / "h100"), 5)
        (generation.path / "venv/bin").chmod(0o777)
        words = ["--prefix", str(shared / "h100")]
        assert main(["status", "--check", *words]) == GenerationDamaged.exit_code
        out, err = capsys.readouterr()
        assert f"exposed    {generation.path}/venv/bin (may be written by every user)" in out.splitlines()
        assert f"hint: 'chmod -R go-w {generation.path}' takes from others the right to write; who had it may" in err
        run = [sys.executable, "-m", "mirror.cli.main", "run", *words, "--", "true"]
        warning = f"warning: {generation.path}/venv/bin may be written by every user: whoever writes there decides"
        assert warning in subprocess.run(run, capture_output=True, text=True).stderr
        (generation.path / "venv/bin").chmod(0o755)
        main(["status", "--check", *words])
        assert "exposed" not in capsys.readouterr().out
        assert "warning" not in subprocess.run(run, capture_output=True, text=True).stderr
