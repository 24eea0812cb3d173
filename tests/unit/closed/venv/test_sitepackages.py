"""Where a venv's wheels are, told or refused, never left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.venv.sitepackages import records_in, site_packages
from tests.support.otheruser import call_as_other, needs_root, shared_directory


def make(venv: Path) -> Path:
    site = venv / "lib" / "python3.11" / "site-packages"
    for info in ("six-1.17.0.dist-info", "idna-3.10.dist-info"):
        (site / info).mkdir(parents=True)
        (site / info / "RECORD").touch()
    (site / "half-1.dist-info").mkdir()
    (site / "six.py").touch()
    return site


def test_each_record_is_named_in_order(tmp_path: Path) -> None:
    site = make(tmp_path)
    assert site_packages(tmp_path) == (site,)
    assert records_in(tmp_path) == (site / "idna-3.10.dist-info/RECORD", site / "six-1.17.0.dist-info/RECORD")


def test_where_nothing_was_installed_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "lib" / "python3.11").mkdir(parents=True)
    assert site_packages(tmp_path) == records_in(tmp_path) == records_in(tmp_path / "none") == ()


@needs_root
@pytest.mark.group(51)
def test_what_cannot_be_looked_into_is_no_empty_answer() -> None:
    def look() -> None:
        with pytest.raises(PermissionError):
            records_in(venv)

    with shared_directory() as venv:
        make(venv).chmod(0)
        call_as_other(look)
