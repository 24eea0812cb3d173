"""A warm start carried: one host compiles, packs and signs; another host, another user, starts and compiles nothing.

Every step is a command as it is typed, by mirror.pyz. The two hosts are one prefix path, emptied in between, and two users with
homes of their own; a small server that keeps its kernels as Triton, vLLM, inductor and FlashInfer do stands in for vLLM.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mirror.closed.prefix.tree import remove_tree
from mirror.connected.packing.installer import write_installer
from tests.support.desk import MINOR, Desk, tools
from tests.support.desk import desk as desk
from tests.support.keys import write_private_key
from tests.support.otheruser import home_of_other, listing, needs_root, run_as_other, shared_directory
from tests.support.server import make_stack

__all__ = ["tools"]

PYTHON = Path(f"/usr/bin/python{MINOR}")
"""The one that runs the tests may be out of another user's reach."""

pytestmark = [needs_root, pytest.mark.skipif(not PYTHON.exists(), reason=f"no {PYTHON} on this machine")]

COLD = {"FlashInfer": 2, "Triton": 2, "torch.compile": 1, "vLLM": 1}


@dataclass
class Site:
    """A directory that two hosts and two users see under one name, and what was carried there."""

    shared: Path
    bundle: Path
    installer: Path
    home: Path
    trust: Path

    @property
    def prefix(self) -> Path:
        return self.shared / "opt" / "demo"

    def mirror(self, *words: object, code: int = 0, **variables: str) -> str:
        """One command by the owner of the prefix; its stdout, or its stderr where it is to fail."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        environment = {**kept, "HOME": str(self.home), "MIRROR_HOME": str(self.trust), **variables}
        command = [sys.executable, "-I", str(self.installer), *map(str, words)]
        done = subprocess.run(command, env=environment, cwd=self.home, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code else done.stdout

    def json(self, *words: object) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.mirror(*words, "--json"))
        return document

    def install(self) -> None:
        self.mirror("install", self.bundle, "--prefix", self.prefix, "--python", PYTHON)

    def leave(self) -> None:
        """Go to another host: nothing of this one is there."""
        remove_tree(self.prefix)
        shutil.rmtree(self.home)
        self.home.mkdir()

    def serve(self, *arguments: str, **variables: str) -> dict[str, int]:
        words = ("run", "--prefix", self.prefix, "--", "kernelserver", *arguments)
        compiled: dict[str, int] = json.loads(self.mirror(*words, code=0, **variables))
        return compiled


@pytest.fixture
def site(desk: Desk) -> Iterator[Site]:
    with shared_directory() as shared:
        write_installer(desk.path / "mirror.pyz")
        simulator = desk.simulator()
        make_stack(simulator, desk.path)
        simulator.add("tool/mirror.pyz", desk.path / "mirror.pyz")
        bundle = simulator.write(desk.path / "bundle.tar", ("kernelserver",))
        home = desk.path / "home"
        home.mkdir()
        yield Site(shared, bundle, desk.path / "mirror.pyz", home, desk.store.directory)


def test_a_second_host_and_a_second_user_compile_nothing(site: Site) -> None:
    key = write_private_key(site.trust.parent / "builder")
    layer = site.trust.parent / "demo.warm.tar"

    # Host A: cold, then warm; nothing of the first start is compiled twice. Pack.
    site.install()
    site.mirror("cache", "pack", "--prefix", site.prefix, "-o", layer, "--key", key, code=8)  # nothing compiled yet
    assert site.serve() == COLD
    assert site.serve() == {}
    made = site.json("cache", "pack", "--prefix", site.prefix, "-o", layer, "--key", key)
    assert made["compiled"] == COLD
    assert made["signers"] == ["builder"]
    assert made["left_out"] == []
    assert made["key"]["generation"] == str((site.prefix / "current").resolve())

    # Whoever approves sees what will run.
    shown = site.mirror("cache", "show", layer)
    assert "code  FlashInfer " in shown and "aot/sampling/sampling.so" in shown and "__grp__norm.json" in shown
    assert ".ninja_log" not in shown and "/lock" not in shown and "kernel.cu" not in shown
    assert site.json("verify", layer)["manifest_sha256"]

    # Host B has the same stack at the same place, and never started it.
    site.leave()
    site.install()
    assert site.json("cache", "status", "--prefix", site.prefix)["layer"] is None
    assert site.json("cache", "add", layer, "--prefix", site.prefix)["was_there"] is False
    assert site.json("cache", "add", layer, "--prefix", site.prefix)["was_there"] is True
    assert site.serve() == {}
    state = site.json("cache", "status", "--prefix", site.prefix)
    assert (state["carried"], state["compiled"], state["added"], state["changed"]) == (COLD, {}, [], [])
    assert "  compiled   0 objects, since then" in site.mirror("cache", "status", "--prefix", site.prefix)
    assert "is whole" in site.mirror("status", "--check", "--prefix", site.prefix)

    # A second user of host B: by env.sh, in a tree that is not theirs and does not change.
    home, before = home_of_other(site.shared), listing(site.prefix)
    script = (
        f'set -eu; . "{site.prefix}/current/env.sh"; kernelserver; mirror cache status --prefix {site.prefix} --json'
    )
    done = run_as_other(["sh", "-c", script], home)
    assert done.returncode == 0, done.stderr
    served, told = done.stdout.split("\n", 1)
    assert json.loads(served) == {}
    assert json.loads(told)["compiled"] == {}
    assert listing(site.prefix) == before
    assert not [path for path in home.rglob("*") if path.is_file() and str(site.home).encode() in path.read_bytes()
                and path.name.startswith("__grp__")]  # fmt: skip

    # What is compiled after that is counted, by program; a variable that counts makes vLLM compile again.
    assert site.serve("cascade", VLLM_USE_SOMETHING="1") == {"FlashInfer": 1, "vLLM": 1}
    state = site.json("cache", "status", "--prefix", site.prefix)
    assert state["compiled"] == {"FlashInfer": 2, "vLLM": 1}  # a module and its object
    assert site.json("cache", "status", "--prefix", site.prefix)["faults"] == []


def test_a_layer_that_does_not_fit_is_refused_with_both_sides(site: Site, tmp_path: Path) -> None:
    key = write_private_key(site.trust.parent / "builder")
    layer = site.trust.parent / "demo.warm.tar"
    site.install()
    site.serve()
    site.mirror("cache", "pack", "--prefix", site.prefix, "-o", layer, "--key", key)

    elsewhere = site.shared / "elsewhere"
    site.mirror("install", site.bundle, "--prefix", elsewhere, "--python", PYTHON)
    said = site.mirror("cache", "add", layer, "--prefix", elsewhere, code=8)
    here, there = (site.prefix / "current").resolve(), (elsewhere / "current").resolve()
    assert f"  path: the layer was compiled in {here}, this generation is {there}\n" in said
    assert "ref: layer-does-not-fit" in said
    assert not (there / "warm").exists()

    # A layer is no stack, and a stack no layer.
    assert "ref: not-a-layer" in site.mirror("install", layer, "--prefix", site.prefix, code=8)
    assert "ref: not-a-layer" in site.mirror("cache", "add", site.bundle, "--prefix", site.prefix, code=8)

    # A stranger's signature, and one flipped bit.
    stranger = write_private_key(tmp_path / "stranger", "stranger")
    said = site.mirror("cache", "pack", "--prefix", site.prefix, "-o", tmp_path / "x.tar", "--key", stranger, code=37)
    assert "ref: unknown-signer" in said
    assert not (tmp_path / "x.tar").exists()
    data = bytearray(layer.read_bytes())
    data[data.index(b"compiled for the GPU")] ^= 1
    (tmp_path / "bad.tar").write_bytes(data)
    assert "ref: digest-mismatch" in site.mirror("cache", "add", tmp_path / "bad.tar", "--prefix", site.prefix, code=14)
