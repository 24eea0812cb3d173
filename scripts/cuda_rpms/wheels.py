"""NVIDIA's wheels: which ones, by digest, and bringing them here.

``wheels.sha256`` pins each file (``sha256sum -c`` reads it too). The address of the index is pypi-simple's default;
fetching, resuming and keeping the files is ``mirror.connected``'s.

Example::

    with zipfile.ZipFile(fetch_wheels(["nvidia-cuda-crt"])["nvidia-cuda-crt"].path) as wheel: ...
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import parse_wheel_filename
from pypi_simple import PyPISimple

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
from mirror.core.names import Sha256Hex, sha256_hex
from mirror.core.progress import SILENT, Progress

PINS = Path(__file__).with_name("wheels.sha256")


@dataclass(frozen=True)
class Wheel:
    """A pinned wheel; ``path`` is where it lies once fetched."""

    project: str
    version: str
    filename: str
    sha256: Sha256Hex
    path: Path = Path()


def pinned() -> dict[str, Wheel]:
    """The wheels of ``wheels.sha256``, by project."""
    wheels = {}
    for line in PINS.read_text().splitlines():
        digest, filename = line.split()
        project, version, _, _ = parse_wheel_filename(filename)
        wheels[str(project)] = Wheel(str(project), str(version), filename, sha256_hex(digest))
    return wheels


def fetch_wheels(projects: Iterable[str], progress: Progress = SILENT) -> dict[str, Wheel]:
    """Bring the wheels of ``projects`` into mirror's store, unless they are there.

    Raises:
        MirrorError: what ``mirror.connected.fetching.fetch`` raises.
        LookupError: when the index has no such file.
    """
    store = Store.default()
    wheels = [wheel for project, wheel in pinned().items() if project in set(projects)]
    missing = [wheel for wheel in wheels if store.find(wheel.sha256, wheel.filename) is None]
    with PyPISimple() as index:
        downloads = [_locate(index, wheel) for wheel in missing]
    fetch(downloads, store, progress=progress)
    found = {}
    for wheel in wheels:
        path = store.find(wheel.sha256, wheel.filename)
        assert path is not None  # fetch raises otherwise
        found[wheel.project] = Wheel(wheel.project, wheel.version, wheel.filename, wheel.sha256, path)
    return found


def _locate(index: PyPISimple, wheel: Wheel) -> Download:
    for file in index.get_project_page(wheel.project).packages:
        if file.filename == wheel.filename:
            return Download(file.url, file.filename, wheel.sha256, file.size)
    raise LookupError(f"the package index has no {wheel.filename}")
