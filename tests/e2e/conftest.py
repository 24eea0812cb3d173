"""One real bundle for the whole journey: the quickstart stack, made once, as a user would make it.

What it takes from outside (wheels of the index, and NVIDIA's wheels behind the RPM repository) is kept in the user's cache
and in .quickstart/, as scripts/quickstart leaves it, so that a second run is quick.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parents[2]
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
CUT = ["unshare", "-rn"]
"""A network namespace of its own, as an ordinary user: no interface is up, not even loopback."""


def run(command: Sequence[object], environment: Mapping[str, str] | None = None, **options: Any) -> str:
    """Run a command to its end and return its stdout; what it said is in the failure if it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        **options,
    )
    output: str = done.stdout
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{output}\n{done.stderr}"
    return output


def find_python(minor: str) -> Path | None:
    """A real interpreter of this version: on PATH, or below pyenv's root. A shim that leads nowhere does not count."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = shutil.which(f"python{minor}")
    candidates = [*root.glob(f"versions/{minor}.*/bin/python{minor}"), *([Path(on_path)] if on_path else [])]
    for candidate in candidates:
        done = subprocess.run([candidate, "-I", "-c", "import sys; print(sys.version_info[:2])"], capture_output=True)
        if done.returncode == 0:
            return candidate
    return None


def can_cut() -> bool:
    return shutil.which("unshare") is not None and subprocess.run([*CUT, "true"], capture_output=True).returncode == 0


@dataclass(frozen=True)
class Made:
    """What the builder hands over.

    Attributes:
        bundle, installer: the two files that cross the gap.
        fingerprint: of the root, told by another way.
        home: the builder's keys.
        rpms: the RPM repository.
        result: what ``mirror bundle --json`` said.
    """

    bundle: Path
    installer: Path
    fingerprint: str
    home: Path
    rpms: Path
    result: dict[str, Any]


@pytest.fixture(scope="session")
def rpm_repository() -> Path:
    """The CUDA 13.0 repository of scripts/cuda-rpms."""
    path = HOUSE / ".quickstart" / "cuda-13.0"
    run([sys.executable, HOUSE / "scripts" / "cuda-rpms", "-o", path])
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, rpm_repository: Path) -> Made:
    directory = tmp_path_factory.mktemp("builder")
    home = directory / "home"
    bundle, installer = directory / "bundle.tar", directory / "mirror.pyz"
    mirror = [sys.executable, "-m", "mirror.cli.main"]
    lock = HOUSE / "lockfiles" / "quickstart.txt"
    words = ["bundle", "--lock", lock, "--locked", "--toolchain-repo", rpm_repository, "-o", bundle, "--json"]
    result = json.loads(run([*mirror, *words], {"MIRROR_HOME": str(home)}))
    run([*mirror, "installer", "-o", installer])
    return Made(bundle, installer, result["root_fingerprint"], home, rpm_repository, result)
