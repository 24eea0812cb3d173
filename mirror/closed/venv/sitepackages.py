"""Where a venv keeps what was installed into it; a look that fails is told, where ``Path.glob`` would leave it out.

Example::

    for site in site_packages(generation.venv):
        site / "torch"
"""

from __future__ import annotations

from pathlib import Path

from mirror.core.system.durable import facts_of


def site_packages(venv: Path) -> tuple[Path, ...]:
    """Its site-packages, one for each Python; none where nothing was installed.

    Raises:
        OSError: when that cannot be told.
    """
    return tuple(site for python in _below(venv / "lib", "python") if facts_of(site := python / "site-packages"))


def records_in(venv: Path) -> tuple[Path, ...]:
    """The RECORD of each wheel in a venv (PEP 376).

    Raises:
        OSError: when that cannot be told.
    """
    information = (info for site in site_packages(venv) for info in _below(site, "", ".dist-info"))
    return tuple(record for info in information if facts_of(record := info / "RECORD"))


def _below(directory: Path, start: str, end: str = "") -> list[Path]:
    try:
        found = sorted(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in found if path.name.startswith(start) and path.name.endswith(end)]
