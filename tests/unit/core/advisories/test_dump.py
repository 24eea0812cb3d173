"""Dumps of an advisory database: directories and zips, good and hostile."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from mirror.core.advisories import dump as osvdump
from mirror.core.advisories.dump import BadDump, search_dump
from mirror.core.advisories.record import MAX_BYTES
from mirror.core.errors import Unreadable
from tests.support.osv import record, wheel, write_dump, write_zip

TORCH = wheel("torch", "2.11.0")
RECORDS = (record("GHSA-1", "torch", fixed="2.12"), record("GHSA-2", "torch", fixed="2.0"), record("GHSA-3", "other"))


def test_a_directory_and_a_zip_say_the_same(tmp_path: Path) -> None:
    directory = search_dump(write_dump(tmp_path / "dump", *RECORDS), [TORCH])
    zipped = search_dump(write_zip(tmp_path / "all.zip", *RECORDS), [TORCH])
    assert [one.id for one in directory.findings] == ["GHSA-1"]
    assert directory.findings == zipped.findings
    digest = hashlib.sha256((tmp_path / "all.zip").read_bytes()).hexdigest()
    assert (zipped.source.name, zipped.source.sha256, zipped.source.records) == ("all.zip", digest, 3)


def test_a_directory_may_be_laid_out_as_the_database_is(tmp_path: Path) -> None:
    (tmp_path / "dump" / "PyPI").mkdir(parents=True)
    write_zip(tmp_path / "dump" / "PyPI" / "all.zip", RECORDS[0])
    write_dump(tmp_path / "dump" / "more", RECORDS[1])
    (tmp_path / "dump" / "README.txt").write_text("not a record")
    os.mkfifo(tmp_path / "dump" / "pipe.json")
    found = search_dump(tmp_path / "dump", [TORCH])
    assert (found.source.records, found.source.unreadable, found.source.name) == (2, 0, "a directory")


def test_equal_dumps_give_equal_bytes_wherever_they_lie(tmp_path: Path) -> None:
    write_dump(tmp_path / "one", *RECORDS)
    write_dump(tmp_path / "another place", *reversed(RECORDS))
    one, other = (search_dump(tmp_path / name, [TORCH]) for name in ("one", "another place"))
    assert one.encode() == other.encode()
    (tmp_path / "one" / "GHSA-3.json").write_text(json.dumps(record("GHSA-3", "torch")))
    assert search_dump(tmp_path / "one", [TORCH]).source.sha256 != one.source.sha256
    shutil.move(tmp_path / "another place" / "GHSA-2.json", tmp_path / "another place" / "moved.json")
    assert search_dump(tmp_path / "another place", [TORCH]).source.sha256 != other.source.sha256


def test_what_is_no_record_is_counted(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dump", RECORDS[0])
    (dump / "odd.json").write_text("[]")
    (dump / "large.json").write_text(" " * (MAX_BYTES + 5))
    found = search_dump(dump, [TORCH])
    assert (found.source.records, found.source.unreadable) == (1, 2)
    zipped = write_zip(tmp_path / "all.zip", RECORDS[0])
    with zipfile.ZipFile(zipped, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", b" " * (50 << 20))
        archive.writestr("notes.txt", b"not a record")
    tracemalloc.start()
    found = search_dump(zipped, [TORCH])
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert (found.source.records, found.source.unreadable, len(found.findings)) == (1, 1, 1)


def test_many_records_take_no_more_memory_than_one(tmp_path: Path) -> None:
    large = [record(f"GHSA-{number}", "other", summary="x" * 100_000) for number in range(300)]
    zipped = write_zip(tmp_path / "all.zip", *large)
    del large
    tracemalloc.start()
    assert search_dump(zipped, [TORCH]).source.records == 300
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_dump_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osvdump, "MAX_TOTAL_BYTES", 600)
    with pytest.raises(BadDump, match="it unpacks to more than 600 bytes"):
        search_dump(write_zip(tmp_path / "all.zip", *RECORDS), [TORCH])


def test_what_is_no_dump_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadDump, match=r"empty is no dump of an OSV database: it holds no record \(0 files are none\)"):
        search_dump(tmp_path / "empty", [TORCH])
    (tmp_path / "x.zip").write_bytes(b"not a zip")
    with pytest.raises(BadDump, match="no zip file"):
        search_dump(tmp_path / "x.zip", [TORCH])
    with pytest.raises(Unreadable, match="No such file or directory"):
        search_dump(tmp_path / "none", [TORCH])


def test_a_dump_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    # What is too long fails for everybody, also for who may read everything.
    with pytest.raises(Unreadable, match="too long"):
        search_dump(tmp_path / ("x" * 300), [TORCH])
    dump = write_dump(tmp_path / "dump", *RECORDS)
    place = os.open(dump, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=place)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    with pytest.raises(Unreadable, match="too long"):
        search_dump(dump, [TORCH])
