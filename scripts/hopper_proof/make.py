"""The connected machine's part of the proofs: bundles in volumes, mirror.pyz, the fingerprint, the programs.

``make`` is for the proof of kernels. Its second bundle is the first one's stack with one component more in its toolchain,
locked anew: another toolchain; it is carried as a delta. ``make_server`` is for the proof of serving: the whole ``h100-cu130``
stack, an interpreter and a model.

Example::

    make(Path("proof"), Path(".quickstart/cuda-13.0-math"), 55 << 20, Path("/usr/bin/python3.12"))
    make_server(Path("served"), Path(".quickstart/cuda-13.0-math"), 55 << 20)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cuda_rpms.demokey import FINGERPRINT

from mirror.connected.packing.installer import write_installer
from mirror.core.bundle.volumes.splitting import split

from .interpreter import make_interpreter
from .model import make_model

TOP = Path(__file__).parents[2]
STACK = "hopper-proof"
PROGRAMS = ("attention.py", "tma_wgmma.cu", "prove.py")
SERVED = "h100-cu130"
_WAIVER = """
[[waiver]]
project = "python"
rule = "glibc-floor"
reason = "made of Debian 12's packages for this proof; the machine with the GPU has a newer glibc"
by = "scripts/hopper-proof"
"""
_COMPONENT = "profiler-api"


def make(directory: Path, repository: Path, volume_bytes: int, python: Path) -> None:
    """Write everything that is carried into ``directory``, each file no larger than ``volume_bytes``.

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
        _mirror(environment, "bundle", "--lock", lock, *options, "-o", second, "--from", first)
        (delta,) = work.glob("other.tar.from-*.delta")
        shutil.move(delta, directory / "other.delta")
        split(first, volume_bytes, [directory])
    shown = _mirror(environment, "trust", "show", "--json")
    (directory / "fingerprint").write_text(json.loads(shown)["fingerprint"] + "\n")
    shutil.rmtree(keys)  # made for this proof alone
    write_installer(directory / "mirror.pyz")
    for program in PROGRAMS:
        shutil.copy(Path(__file__).with_name(program), directory)


def make_server(directory: Path, repository: Path, volume_bytes: int, interpreter: Path | None = None) -> None:
    """Write the bundle of ``h100-cu130`` with an interpreter and a model, in volumes, and what goes with it.

    The stack's Python pins are the repository's own. Its toolchain is locked from the copy, whose key is the demonstration's.

    Args:
        interpreter: a python-build-standalone archive for CPython 3.11; by default one made of Debian's packages.
    """
    directory.mkdir(parents=True)
    keys = directory / "keys"
    environment = {**os.environ, "MIRROR_HOME": str(keys)}
    with tempfile.TemporaryDirectory(dir=directory) as name:
        work = Path(name)
        lock = _server_lock(work, interpreter)
        bundle = work / "bundle.tar"
        _mirror(environment, "bundle", "--lock", lock, "--toolchain-repo", repository, "-o", bundle)
        split(bundle, volume_bytes, [directory])
    shown = _mirror(environment, "trust", "show", "--json")
    (directory / "fingerprint").write_text(json.loads(shown)["fingerprint"] + "\n")
    write_installer(directory / "mirror.pyz")


def _server_lock(work: Path, interpreter: Path | None) -> Path:
    """The stack's ``NAME.toml`` with what the proof adds, beside its lock. ``wheelhouse/`` has the archive."""
    lockfiles, wheelhouse = work / "lockfiles", work / "wheelhouse"
    lockfiles.mkdir()
    wheelhouse.mkdir()
    waiver = "" if interpreter else _WAIVER
    if interpreter is None:
        interpreter = wheelhouse / "cpython-3.11-install_only.tar.gz"
        make_interpreter(interpreter)
    else:
        shutil.copy(interpreter, wheelhouse)
    make_model(lockfiles / "model")
    text = (TOP / "lockfiles" / f"{SERVED}.toml").read_text()
    text = re.sub(r"\[interpreter\]\n(?:[^\n]+\n)+", "", text)  # the proof brings its own
    text = text.replace("fingerprints = [", f'fingerprints = ["{FINGERPRINT}", ', 1)
    digest = hashlib.sha256(interpreter.read_bytes()).hexdigest()
    text += f'\n[interpreter]\nurl = "https://python.invalid/{interpreter.name}"\nsha256 = "{digest}"\n{waiver}'
    for path in sorted((lockfiles / "model").iterdir()):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        text += f'\n[[files]]\npath = "model/{path.name}"\nsha256 = "{digest}"\nto = "model/{path.name}"\n'
        if path.name == "config.json":
            text += 'directory_variable = "PROOF_MODEL"\n'
    (lockfiles / f"{SERVED}.toml").write_text(text)
    for suffix in (".txt", ".build.txt"):
        shutil.copy(TOP / "lockfiles" / f"{SERVED}{suffix}", lockfiles)
    return lockfiles / f"{SERVED}.txt"


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
    done = subprocess.run(command, env=environment, cwd=TOP, text=True, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"hopper-proof: 'mirror {words[0]}' ended with {done.returncode}; it said why above")
    return done.stdout
