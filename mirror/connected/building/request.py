"""One build that is asked for: all that its wheel depends on, and the digest of that.

Rules: the document of a request holds no path of this machine, so that equal requests have equal keys everywhere; how many jobs
there are, and the limits, are no input of the wheel.

Example::

    request.key    # what the wheel is kept under
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mirror.connected.building.sandbox import Limits
from mirror.connected.building.sources import OwnTree, Tree
from mirror.connected.fetching.store import file_sha256
from mirror.core.errors import Unreadable, reading
from mirror.core.fields import canonical_json
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.target import Target

RECORD_FORMAT = "mirror-build/4"


@dataclass(frozen=True)
class Toolkit:
    """An unpacked CUDA toolkit that wheels are built with.

    Attributes:
        home: its top directory, on this machine.
        sha256: of all that it was unpacked from: two toolkits with one digest are the same, wherever they lie.
    """

    home: Path
    sha256: Sha256Hex


@dataclass(frozen=True)
class BuildRequest:
    """All that a wheel depends on.

    Attributes:
        sdist: the source, an sdist or another archive, whose digest the caller has checked.
        sdist_sha256: that digest.
        requirements: wheels of the pinned build requirements, likewise.
        python: interpreter of the target's minor version.
        target: the machine that the wheel is for.
        toolkit: the CUDA toolkit; None when the build needs none.
        environment: variables from ``NAME.toml``; they win over ours.
        own: what the source is, where it is an archive and no sdist; None for an sdist.
        trees: source trees that the build asks for.
        patches: changes to the source, in order: each as ``NAME.toml`` names it, and the file.
        limits: what each hook of the build may take; no input of the wheel.
        job_gib: of memory that one compiler takes; 0 for what is usual; no input of the wheel.
    """

    project: ProjectName
    version: str
    sdist: Path
    sdist_sha256: Sha256Hex
    requirements: tuple[Path, ...]
    python: Path
    target: Target
    toolkit: Toolkit | None
    environment: Mapping[str, str]
    own: OwnTree | None = None
    trees: tuple[Tree, ...] = ()
    patches: tuple[tuple[str, Path], ...] = ()
    limits: Limits = field(default_factory=Limits)
    job_gib: int = 0

    @cached_property
    def key(self) -> Sha256Hex:
        """The digest of all inputs. Raises as ``describe``."""
        return Sha256Hex(hashlib.sha256(canonical_json(self.describe())).hexdigest())

    def describe(self) -> dict[str, Any]:
        """The request as a document, without any path of this machine: equal documents give equal wheels.

        Raises:
            Unreadable: a build requirement or the interpreter cannot be read.
        """
        with reading("a build requirement or a patch", below=True):
            requirements = [{"filename": path.name, "sha256": file_sha256(path)} for path in self.requirements]
            patches = [{"path": written, "sha256": file_sha256(path)} for written, path in self.patches]
        return {
            "format": RECORD_FORMAT,
            "project": self.project,
            "version": self.version,
            "sdist": self.sdist.name,
            "sdist_sha256": self.sdist_sha256,
            "requirements": sorted(requirements, key=lambda item: item["filename"]),
            "python": _python_version(self.python),
            "machine": platform.machine(),
            "target": self.target.to_dict(),
            "toolkit": self.toolkit.sha256 if self.toolkit else "",
            "environment": dict(self.environment),
            **({"archive": self.own.describe()} if self.own else {}),
            "sources": [tree.describe() for tree in self.trees],
            "patches": patches,
        }


@lru_cache(maxsize=8)
def _python_version(python: Path) -> str:
    command = [str(python), "-I", "-c", "import platform, sys; print(platform.python_implementation(), sys.version)"]
    try:
        return " ".join(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split())
    except (OSError, subprocess.SubprocessError) as exc:
        raise Unreadable(str(python), f"it is no Python that runs here ({exc})") from exc
