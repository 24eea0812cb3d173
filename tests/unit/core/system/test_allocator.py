"""How many arenas the threads share; what it spares is measured by ``scripts/bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mirror.core.system.allocator import share_arenas

_MAPPED = """
import ctypes, sys, threading
from mirror.core.system.allocator import share_arenas
assert sys.argv[1:] == ["alone"] or share_arenas()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
places = set()
def place():
    places.add(library.malloc(1 << 16) >> 26)  # an arena begins at a multiple of 64 MiB
    barrier.wait()
barrier = threading.Barrier(8)
threads = [threading.Thread(target=place) for _ in range(8)]
[one.start() for one in threads]
[one.join() for one in threads]
print(len(places))
"""


def test_threads_share_two_arenas_where_each_had_its_own() -> None:
    def arenas(*words: str) -> int:
        return int(subprocess.run([sys.executable, "-c", _MAPPED, *words], capture_output=True, check=True).stdout)

    assert arenas() <= 2 < arenas("alone")


def test_another_c_library_is_left_as_it_is(tmp_path: Path) -> None:
    assert not share_arenas(str(tmp_path / "libc.musl.so"))
