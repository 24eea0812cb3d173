"""What tests read from strace: calls whole, whatever other threads did in between."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.faults import STRACE, needs_strace
from tests.support.tracing import Traced, python, traced


def test_a_call_that_another_thread_came_between_is_told_whole_and_where_it_began_and_ended() -> None:
    log = [
        "11    pread64(3</b.tar>,  <unfinished ...>",
        '12    openat(AT_FDCWD</>, "/p", O_RDONLY <unfinished ...>',
        '11    <... pread64 resumed>"\\0"..., 1024, 512) = 1024',
        '11    mkdir("/p/gens", 0777) = 0',
        "12    <... openat resumed>) = 4</p>",
    ]
    assert list(traced(log)) == [
        Traced(0, 2, 'pread64(3</b.tar>, "\\0"..., 1024, 512) = 1024'),
        Traced(3, 3, 'mkdir("/p/gens", 0777) = 0'),
        Traced(1, 4, 'openat(AT_FDCWD</>, "/p", O_RDONLY) = 4</p>'),
    ]


def test_a_call_that_never_ended_is_told_as_far_as_it_is_known() -> None:
    log = ["11    pread64(3</b.tar>,  <unfinished ...>", "12    +++ killed by SIGKILL +++"]
    assert list(traced(log)) == [Traced(1, 1, "+++ killed by SIGKILL +++"), Traced(0, 0, "pread64(3</b.tar>, ")]


READING = """
import os, threading
file = os.open(sys.argv[1], os.O_RDONLY)
def read(start):
    for offset in range(start, 4000, 8):
        os.pread(file, 1, offset)
threads = [threading.Thread(target=read, args=(start,)) for start in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@needs_strace
def test_every_read_of_eight_threads_is_found(tmp_path: Path) -> None:
    assert STRACE is not None
    (tmp_path / "read").write_bytes(bytes(4000))
    log = tmp_path / "trace"
    words = [STRACE, "-f", "-y", "-qq", "-e", "trace=pread64", "-o", str(log)]
    subprocess.run([*words, *python(READING, tmp_path / "read")], check=True)
    whole = [call.text for call in traced(log.read_text().splitlines()) if f"<{tmp_path}/read>" in call.text]
    assert sorted(int(text.rpartition(", ")[2].partition(")")[0]) for text in whole) == list(range(4000))
