"""A host says what it is, in a file small enough for paper; elsewhere a stack is locked for it, and refused for another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import CUT, can_cut, find_python, run
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel

STACK = """\
# The stack of the third floor.
[target]
python = "3.8"      # what it was before
arch = "x86_64"
glibc = "2.99"      # a host that nobody has

[python]
requirements = ["a"]
[indexes]
default = "{url}"
"""


def test_a_host_is_detected_and_a_stack_is_locked_for_it_and_refused_for_another(tmp_path: Path) -> None:
    installer, told = tmp_path / "mirror.pyz", tmp_path / "target.toml"
    mirror = [sys.executable, "-m", "mirror.cli.main"]
    run([*mirror, "installer", "-o", installer])
    operator = [*(CUT if can_cut() else []), find_python("3.9") or sys.executable, "-I", installer]
    run([*operator, "detect", "-o", told], {"MIRROR_HOME": str(tmp_path / "none")})
    assert 300 < told.stat().st_size < 2048
    found = json.loads(run([*operator, "detect", "--json"]))
    assert found["glibc"] == ".".join(os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])  # type: ignore[union-attr]
    assert "{}.{}".format(*sys.version_info) in {".".join(one["version"].split(".")[:2]) for one in found["pythons"]}
    assert all(found[name] is None for name in found["unknown"])

    with LoopbackIndex() as index:
        index.add(make_wheel(tmp_path, "a", "1.0"))
        stack = tmp_path / "floor3.toml"
        stack.write_text(STACK.format(url=index.url))
        environment = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": str(tmp_path / "uv")}
        locked = json.loads(run([*mirror, "lock", stack, "--target", told, "--json"], environment))
        newest = found["pythons"][0]["version"].rpartition(".")[0]
        assert locked["notes"][:2] == [
            f"[target] of floor3.toml changed: python 3.8 -> {newest}",
            f"[target] of floor3.toml changed: glibc 2.99 -> {found['glibc']}",
        ]
        text = stack.read_text()
        assert f'python = "{newest}"      # what it was before\n' in text
        assert text.startswith("# The stack of the third floor.\n[target]\n")
        assert (
            json.loads(run([*mirror, "lock", stack, "--target", told, "--json"], environment))["files"][0]["changed"]
            is False
        )

        other = tmp_path / "other.toml"
        other.write_text(told.read_text().replace(f'glibc = "{found["glibc"]}"', 'glibc = "2.17"'))
        done = subprocess.run(
            [*mirror, "bundle", str(stack), "--dry-run", "--check-target", str(other)],
            env={**os.environ, **environment, "MIRROR_HOME": str(tmp_path / "keys")},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 6, done.stdout + done.stderr
    assert (
        "error: floor3 is not for the host of other.toml: the bundle is for glibc "
        f"{found['glibc']} or newer, other.toml has 2.17\n" in done.stderr
    )
    assert "ref: host-unfit" in done.stderr
