"""Whoever stops a command gets the terminal back at once, wherever it is: real processes, real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest

from tests.support.bundles import BundleSimulator
from tests.support.desk import Desk, tools
from tests.support.index import LoopbackIndex
from tests.support.keys import trust_store
from tests.support.wheels import make_wheel, sha256_of
from tests.support.zips import Entry, zip_bytes

__all__ = ["tools"]
MIRROR = [sys.executable, "-m", "mirror.cli.start"]
AT_ONCE_S = 4
"""The machine may be busy; what is stopped would go on for many times as long."""


@contextmanager
def started(words: Sequence[str | Path], home: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "MIRROR_HOME": str(home)}
    with subprocess.Popen(
        words, env=environment, stdout=DEVNULL, stderr=PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stop(process: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Its exit code and last words, once it was sent a signal."""
    since = time.monotonic()
    process.send_signal(number)
    _, words = process.communicate(timeout=60)
    assert time.monotonic() - since < AT_ONCE_S
    assert "Traceback" not in words
    return process.returncode, words


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended before it said {words!r}")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small bundle whose wheels unpack to 12 GB of zeros, and the keys of who trusts it."""
    place = tmp_path_factory.mktemp("heavy")
    block, packer = bytes(64 << 20), zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    count = 24
    zeros = Entry("heavy/zeros.bin", packed=packed * count + b"\x03\x00", both={"crc": 1, "size": count * len(block)})
    simulator = BundleSimulator()
    for number in range(8):
        wheel = place / f"heavy{number}-1.0-py3-none-any.whl"
        wheel.write_bytes(zip_bytes([zeros, Entry(f"heavy{number}-1.0.dist-info/METADATA", b"Name: heavy\n")]))
        simulator.add_wheel(wheel)
    trust_store(place / "keys", simulator.root)
    return simulator.write(place / "heavy.tar"), place / "keys"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_looking_into_large_wheels_stops_at_once(heavy: tuple[Path, Path], number: int, code: int) -> None:
    bundle, keys = heavy
    with started([*MIRROR, "verify", "--deep", "--verbose", bundle], keys) as process:
        wait_for(process, "look inside begins")
        time.sleep(0.3)
        assert stop(process, number)[0] == code


def test_comparing_what_is_installed_stops_at_once(tmp_path: Path, tools: tuple[Path, Path]) -> None:
    desk = Desk(tmp_path, BundleSimulator().store(tmp_path / "keys"), *tools)
    prefix = desk.install(desk.bundle()).prefix
    for name in ("left_pad.py", "left_pad-1.0.dist-info/METADATA"):
        (module,) = (prefix / "current").glob(f"venv/lib/python*/site-packages/{name}")
        os.truncate(module, 100 << 30)  # of holes
    with started([*MIRROR, "status", "--check", "--verbose", "--prefix", prefix], tmp_path / "keys") as process:
        wait_for(process, "check")
        time.sleep(0.3)
        assert stop(process, signal.SIGTERM)[0] == 143


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    """A thread that waits for it is left behind: it would wait for half a minute."""
    script = (
        "import sys\nfrom mirror.cli import start as door\nimport mirror.cli.commands.review.verify as verify\n"
        "from mirror.core.system.crew import Crew\n"
        "from mirror.connected.fetching.transport import get_bytes, new_session\n"
        "def ask(args):\n"
        "    with new_session(2) as session, Crew(2) as crew:\n"
        "        waiting = crew.submit(get_bytes, session, sys.argv[2], 99)\n"
        "        print('asked', file=sys.stderr, flush=True)\n        waiting.result()\n"
        "verify.run = ask\ndoor.start()\n"
    )
    with LoopbackIndex() as index:
        index.serve("/silent", b"words")
        index.fail("/silent", delay_s=30)
        with started([sys.executable, "-c", script, "verify", f"{index.origin}/silent"], tmp_path) as process:
            wait_for(process, "asked")
            time.sleep(0.5)
            assert stop(process, signal.SIGTERM)[0] == 143


class Builder:
    """A builder's machine, on which ``b.tar`` was made once."""

    def __init__(self, place: Path, index: LoopbackIndex) -> None:
        self.place = place
        (place / "lockfiles").mkdir()
        for name, projects in {"small.txt": ("alpha", "beta"), "tools.txt": ("uv", "pip")}.items():
            lines = "# mirror: locked=2026-11-01T00:00:00Z\n"
            for project in projects:
                index.add(wheel := make_wheel(place / "upstream", project, "1.0"))
                lines += f"{project}==1.0 --hash=sha256:{sha256_of(wheel)}\n"
            (place / "lockfiles" / name).write_text(lines)
        (place / "lockfiles/small.toml").write_text(
            '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["alpha", "beta"]\n'
            f'[indexes]\ndefault = "{index.url}"\n'
        )
        with self.bundling() as process:
            words = process.communicate(timeout=60)[1]
        assert process.returncode == 0, words

    def bundling(self) -> AbstractContextManager[subprocess.Popen[str]]:
        return started([sys.executable, "-m", "tests.support.bundling", self.place], self.place / "keys")


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    with LoopbackIndex() as index:
        yield Builder(tmp_path_factory.mktemp("builder"), index)


@pytest.mark.parametrize(("kind", "forgotten"), [("unchanged", ""), ("foreseen", "unchanged"), ("facts", "foreseen")])
def test_ctrl_c_while_a_memory_is_read_is_not_taken_for_a_memory_that_cannot_be_read(
    builder: Builder, kind: str, forgotten: str
) -> None:
    store = builder.place / "home/store"
    for path in store.glob(f"{forgotten}/*.json") if forgotten else ():
        path.unlink()
    memory = min(store.glob(f"{kind}/**/*.json"))
    before = memory.stat()
    with started([sys.executable, "-c", _INTERRUPTED, memory, builder.place], builder.place / "keys") as process:
        words = process.communicate(timeout=60)[1]
    assert (process.returncode, words.partition("\n")[0]) == (130, "error: interrupted")
    assert memory.stat() == before  # nothing was made anew in its place


_INTERRUPTED = """
import os, sys
from pathlib import Path
from tests.support.bundling import main
memory, place = sys.argv[1:]
def interrupt(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, Path)) and os.fspath(arguments[0]) == memory:
        raise KeyboardInterrupt
sys.addaudithook(interrupt)
sys.exit(main(Path(place)))
"""
"""Ctrl-C comes as the memory is being opened."""
