from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.doctor.host.disks import (
    CACHE,
    TEMPORARY,
    Place,
    cache_directory,
    default_caches,
    judge_default_caches,
    judge_place,
    judge_shared_memory,
    probe,
    temporary_directory,
)  # fmt: skip
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING, Finding

HOUSE = Path(__file__).parents[5]
LOOK = """\
import json, sys
from pathlib import Path
from mirror.closed.doctor.host.disks import CACHE, TEMPORARY, judge_place, probe
place = probe(Path(sys.argv[1], "below"), must_exist=False)
purpose = CACHE if sys.argv[2] == "cache" else TEMPORARY
print(json.dumps([finding.to_dict() for finding in judge_place(place, purpose)]))
"""


def mounted(place: Path, options: str, purpose: str, before: str = "true") -> list[Finding]:
    """What is told of a tmpfs that is mounted with some options, in a namespace of its own."""
    place.mkdir()
    script = f'mount -t tmpfs -o {options} probe "$0" && {{ {before}; }} && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", script, str(place), sys.executable, "-c", LOOK, str(place), purpose]
    finished = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=60, check=False)
    if finished.returncode and "mount" in finished.stderr + finished.stdout:
        pytest.skip(f"no mounts here: {finished.stderr.strip()}")
    assert finished.returncode == 0, finished.stderr
    return [Finding(**words) for words in json.loads(finished.stdout)]


def test_a_sound_directory_is_good_and_nothing_stays_in_it(tmp_path: Path) -> None:
    place = probe(tmp_path / "not" / "made" / "yet")
    assert (place.nearest, place.write_error, place.exec_error) == (tmp_path, 0, 0)
    assert list(tmp_path.iterdir()) == []
    levels = [finding.level for finding in judge_place(Place(tmp_path, tmp_path, free_bytes=1 << 40), CACHE)]
    assert levels == [GOOD]


def test_no_code_can_be_loaded_from_a_noexec_cache(tmp_path: Path) -> None:
    found = mounted(tmp_path / "cache", "noexec,size=20g", "cache")
    problems = [finding for finding in found if finding.level == PROBLEM]
    assert [finding.row for finding in problems] == ["42"]
    assert "no code can be loaded from the cache directory" in problems[0].what


def test_a_noexec_temporary_directory_is_a_warning(tmp_path: Path) -> None:
    found = mounted(tmp_path / "tmp", "noexec,size=20g", "tmp")
    assert [(finding.level, finding.row) for finding in found] == [(WARNING, "42")]


def test_a_full_disk_is_noticed_by_writing(tmp_path: Path) -> None:
    fill = 'head -c 2000000 /dev/zero > "$0/ballast" 2>/dev/null || true'
    found = mounted(tmp_path / "full", "size=1m", "cache", before=fill)
    assert [(finding.level, finding.row) for finding in found] == [(PROBLEM, "43")]
    assert "No space left on device" in found[0].what


def test_a_read_only_home_is_noticed(tmp_path: Path) -> None:
    found = mounted(tmp_path / "home", "ro,size=1m", "cache")
    assert [(finding.level, finding.row) for finding in found] == [(PROBLEM, "44")]


def test_little_room_and_few_inodes_are_warnings(tmp_path: Path) -> None:
    found = mounted(tmp_path / "small", "size=40m,nr_inodes=50", "cache")
    assert [(finding.level, finding.row) for finding in found] == [(WARNING, "43")] * 2
    assert "room for" in found[1].what


def test_a_used_up_quota_is_called_by_its_name(tmp_path: Path) -> None:
    (found,) = judge_place(Place(tmp_path, tmp_path, write_error=errno.EDQUOT), CACHE)
    assert (found.level, found.row) == (PROBLEM, "43")
    assert "quota" in found.cause


def test_a_directory_of_somebody_else_is_a_problem(tmp_path: Path) -> None:
    theirs, command = Path("/usr"), [sys.executable, "-c", LOOK]
    if os.geteuid() == 0:
        # Root of a namespace that does not know the owner has no more rights than anybody.
        theirs = tmp_path / "theirs"
        theirs.mkdir(mode=0o755)
        os.chown(theirs, 12345, 12345)
        command = ["unshare", "-r", *command]
    finished = subprocess.run(
        [*command, str(theirs), "cache"], cwd=HOUSE, capture_output=True, text=True, timeout=60, check=False
    )
    if finished.returncode and "unshare" in finished.stderr:
        pytest.skip(finished.stderr.strip())
    (found,) = [Finding(**words) for words in json.loads(finished.stdout)]
    assert (found.level, found.row) == (PROBLEM, "14")
    assert "Permission denied" in found.what


def test_a_temporary_directory_must_exist(tmp_path: Path) -> None:
    (found,) = judge_place(probe(tmp_path / "gone", must_exist=True), TEMPORARY)
    assert (found.level, found.row) == (PROBLEM, "14")
    (tmp_path / "file").touch()
    assert probe(tmp_path / "file", must_exist=True).write_error == errno.ENOTDIR
    assert probe(tmp_path / "file" / "below").write_error == errno.ENOTDIR


def test_directories_come_from_the_callers_variables() -> None:
    assert temporary_directory({"TMPDIR": "/scratch"}) == Path("/scratch")
    assert temporary_directory({"TMPDIR": ""}) == Path("/tmp")
    assert cache_directory({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c")
    assert cache_directory({"HOME": "/h"}) == Path("/h/.cache")
    assert cache_directory({}) is None


def test_shared_memory_of_a_container_is_too_small(tmp_path: Path) -> None:
    levels = [
        judge_shared_memory(Place(tmp_path, tmp_path, free_bytes=free, write_error=error)).level
        for free, error in ((64 << 20, 0), (8 << 30, 0), (8 << 30, errno.ENOSPC))
    ]
    assert levels == [WARNING, GOOD, WARNING]


def test_caches_of_a_shell_without_env_sh_are_listed_with_their_size(tmp_path: Path) -> None:
    for name, size in ((".triton/cache/k.so", 3 << 20), (".cache/flashinfer/a", 1 << 20), (".cache/vllm/empty", 0)):
        path = tmp_path / "home" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    inductor = tmp_path / "torchinductor_me"
    inductor.mkdir()
    (inductor / "x").write_bytes(bytes(2 << 20))
    variables = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path), "USER": "me"}
    (found,) = judge_default_caches(default_caches(variables))
    assert (found.level, found.row) == (NOTE, "57")
    assert (
        f"{inductor} (2 MiB), {tmp_path}/home/.triton (3 MiB), {tmp_path}/home/.cache/flashinfer (1 MiB)" in found.what
    )
    assert "vllm" not in found.what
    assert list(judge_default_caches(default_caches({"TMPDIR": str(tmp_path / "x")}))) == []
