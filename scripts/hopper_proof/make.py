"""The connected machine's part of the proof: two bundles, mirror.pyz, the fingerprint, the programs, cut for carrying.

The second bundle is the first one's stack with one component more in its toolchain, locked anew: another toolchain.

Example::

    make(Path("proof"), Path(".quickstart/cuda-13.0-math"), 55 << 20, Path("/usr/bin/python3.12"))
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mirror.connected.packing.installer import write_installer

from .carry import split, write_recipe

TOP = Path(__file__).parents[2]
STACK = "hopper-proof"
PROGRAMS = ("attention.py", "tma_wgmma.cu", "prove.py")
_COMPONENT = "profiler-api"


def make(directory: Path, repository: Path, piece_bytes: int, python: Path) -> None:
    """Write everything that is carried into ``directory``, each file no larger than ``piece_bytes``.

    Args:
        python: an interpreter of the target's version, 3.12, which the probe wheel is built with.
    """
    directory.mkdir(parents=True)
    keys = directory / "keys"
    environment = {**os.environ, "MIRROR_HOME": str(keys)}
    copy = ["--toolchain-repo", str(repository)]
    options = [*copy, "--python", str(python)]
    with tempfile.TemporaryDirectory(dir=directory) as name:
        work = Path(name)
        first, second = work / "bundle.tar", work / "other.tar"
        _mirror(environment, "bundle", "--lock", TOP / "lockfiles" / f"{STACK}.txt", *options, "-o", first)
        lock = _other_lock(work / "other", copy, environment)
        _mirror(environment, "bundle", "--lock", lock, *options, "-o", second)
        write_recipe(first, second, directory / "other.recipe", directory / "other.rest")
        split(first, directory, piece_bytes)
    shown = _mirror(environment, "trust", "show", "--json")
    (directory / "fingerprint").write_text(json.loads(shown)["fingerprint"] + "\n")
    shutil.rmtree(keys)  # made for this proof alone
    write_installer(directory / "mirror.pyz")
    for program in PROGRAMS:
        shutil.copy(Path(__file__).with_name(program), directory)


def _other_lock(directory: Path, copy: list[str], environment: dict[str, str]) -> Path:
    directory.mkdir()
    for suffix in (".toml", ".txt"):
        shutil.copy(TOP / "lockfiles" / f"{STACK}{suffix}", directory)
    wishes = directory / f"{STACK}.toml"
    text = wishes.read_text()
    changed = text.replace("components = [", f'components = ["{_COMPONENT}", ', 1)
    if changed == text:
        raise SystemExit(f"hopper-proof: {wishes.name} names no components to add one to")
    wishes.write_text(changed)
    _mirror(environment, "lock", wishes, *copy)
    return wishes.with_suffix(".txt")


def _mirror(environment: dict[str, str], *words: str | Path) -> str:
    command = [sys.executable, "-m", "mirror.cli.main", *(str(word) for word in words)]
    return subprocess.run(command, env=environment, cwd=TOP, text=True, stdout=subprocess.PIPE, check=True).stdout
