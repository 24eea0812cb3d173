"""Many files at once: resumed, retried, judged by digest; whatever goes wrong has its name and leaves no half file."""

from __future__ import annotations

import hashlib
import io
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import SeveralFailures, fetch
from mirror.connected.fetching.part import DownloadMismatch, Part
from mirror.connected.fetching.patience import Patience
from mirror.connected.fetching.store import NoSpace, Store
from mirror.connected.fetching.transport import HostUnreachable, HttpRefused, Truncated, new_session
from mirror.core.errors import Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from tests.support.index import LoopbackServer
from tests.support.nofiles import NO_FILES, device, nowhere
from tests.support.scripted import Reply, ScriptedServer, reply

HASTE = Patience(attempts=3, first_wait_s=0.01, longest_wait_s=1, connect_s=5, read_s=2)
DATA = bytes(range(256)) * 2000


def digest(data: bytes) -> Sha256Hex:
    return Sha256Hex(hashlib.sha256(data).hexdigest())


def download(url: str, data: bytes = DATA, size: int | None = -1) -> Download:
    """What a lock would say of ``data`` at ``url``; its size is left out when None."""
    return Download(url, url.rpartition("/")[2], digest(data), len(data) if size == -1 else size)


def served(server: LoopbackServer, name: str = "a-1.whl", data: bytes = DATA) -> Download:
    return download(server.serve(f"/{name}", data), data)


def get(store: Store, *downloads: Download, jobs: int = 4) -> dict[Sha256Hex, Path]:
    return fetch(downloads, store, jobs=jobs, patience=HASTE)


def leave_part(store: Store, wanted: Download, data: bytes) -> None:
    store.part(wanted.sha256).parent.mkdir(parents=True, exist_ok=True)
    store.part(wanted.sha256).write_bytes(data)


def incoming(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "incoming").iterdir())


def files(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "sha256").rglob("*") if path.is_file())


# What goes well


def test_files_come_under_their_own_names_with_their_bytes(server: LoopbackServer, store: Store) -> None:
    wanted = [served(server, f"p{number}-1.whl", DATA[number:]) for number in range(12)]
    paths = get(store, *wanted)
    assert list(paths) == [item.sha256 for item in wanted]
    for item in wanted:
        assert paths[item.sha256].name == item.filename
        assert digest(paths[item.sha256].read_bytes()) == item.sha256
    assert incoming(store) == []


def test_a_second_run_asks_no_server(server: LoopbackServer, store: Store) -> None:
    first = get(store, served(server))
    server.seen.clear()
    assert get(store, served(server)) == first
    assert server.seen == []


@pytest.mark.parametrize(("left", "size"), [(0, None), (0, len(DATA)), (7, len(DATA))])
def test_a_file_that_was_cut_off_in_the_store_is_fetched_again(
    server: LoopbackServer, store: Store, left: int, size: int | None
) -> None:
    wanted = download(server.serve("/a-1.whl", DATA), size=size)
    path = get(store, wanted)[wanted.sha256]
    path.write_bytes(DATA[:left])
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert server.count("/a-1.whl") == 2
    hinted = replace(wanted, size=None, size_hint=len(DATA) + 1)  # a server's word against the file's own digest
    assert get(store, hinted)[wanted.sha256].read_bytes() == DATA
    assert server.count("/a-1.whl") == 2


@NO_FILES
def test_what_is_no_file_where_one_is_fetched_to_is_taken_away(
    server: LoopbackServer, store: Store, puts: Callable[[Path], None]
) -> None:
    wanted = served(server)
    if puts not in (device, nowhere):  # links, which are refused there
        puts(store.part(wanted.sha256))
    puts(store.path(wanted.sha256, wanted.filename))
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert incoming(store) == []


def test_one_file_wanted_twice_is_fetched_once(server: LoopbackServer, store: Store) -> None:
    get(store, served(server), served(server))
    assert server.count("/a-1.whl") == 1


def test_a_file_in_the_wheelhouse_is_not_fetched(server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "a-1.whl").write_bytes(DATA)
    wanted = served(server)
    assert get(Store(tmp_path / "store", tmp_path), wanted) == {wanted.sha256: tmp_path / "a-1.whl"}
    assert server.seen == []


def test_a_file_url_is_copied(tmp_path: Path, store: Store) -> None:
    (tmp_path / "a-1.whl").write_bytes(DATA)
    wanted = download((tmp_path / "a-1.whl").as_uri())
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA


def test_an_unknown_size_is_no_hindrance(server: LoopbackServer, store: Store) -> None:
    wanted = download(server.serve("/a-1.whl", DATA), size=None)
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA


@pytest.mark.parametrize("hint", [0, 17, len(DATA) + 1])
def test_a_wrong_hint_of_the_size_is_no_hindrance(server: LoopbackServer, store: Store, hint: int) -> None:
    wanted = replace(download(server.serve("/a-1.whl", DATA), size=None), size_hint=hint)
    leave_part(store, wanted, DATA[:20])
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA


def test_the_callers_session_is_left_open(server: LoopbackServer, store: Store) -> None:
    with new_session() as session:
        fetch([served(server)], store, jobs=1, session=session, patience=HASTE)
        assert session.get(server.origin + "/a-1.whl").content == DATA


class Counting:
    """A progress that adds up."""

    def __init__(self) -> None:
        self.total: int | None = 0
        self.done = 0

    def say(self, line: str) -> None:
        raise AssertionError("fetch has nothing to say")

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Callable[[int], None]]:
        self.total = total
        yield self._advance

    def _advance(self, amount: int) -> None:
        assert amount > 0
        self.done += amount


def test_progress_counts_each_byte_once_though_some_come_twice(server: LoopbackServer, store: Store) -> None:
    server.ranges = False
    server.fail("/a-1.whl", cut_after=100_000, times=1)
    progress = Counting()
    fetch([served(server)], store, jobs=1, progress=progress, patience=HASTE)
    assert (progress.done, progress.total) == (len(DATA), len(DATA))


# Going on where it broke off (SECURITY.md 56)


def ranges(server: LoopbackServer) -> list[str]:
    return [seen.headers.get("Range", "") for seen in server.seen]


@pytest.mark.group(56)
def test_a_broken_off_body_is_gone_on_with(server: LoopbackServer, store: Store) -> None:
    server.fail("/a-1.whl", cut_after=100_000, times=1)
    wanted = served(server)
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert ranges(server) == ["", "bytes=100000-"]


@pytest.mark.group(56)
def test_the_next_run_goes_on_with_what_an_earlier_one_left(server: LoopbackServer, store: Store) -> None:
    wanted = served(server)
    leave_part(store, wanted, DATA[:1234])
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert ranges(server) == ["bytes=1234-"]


def test_a_whole_part_needs_no_request(server: LoopbackServer, store: Store) -> None:
    wanted = served(server)
    leave_part(store, wanted, DATA)
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert server.seen == []


@pytest.mark.group(56)
@pytest.mark.parametrize("rotten", [b"\xff" * 1234, DATA[:-1] + b"!", DATA + b"more"])
def test_a_rotten_part_is_thrown_away(server: LoopbackServer, store: Store, rotten: bytes) -> None:
    wanted = served(server)
    leave_part(store, wanted, rotten)
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert ranges(server)[-1] == ""


@pytest.mark.group(56)
def test_a_server_that_ignores_ranges_is_taken_from_the_beginning(server: LoopbackServer, store: Store) -> None:
    server.ranges = False
    wanted = served(server)
    leave_part(store, wanted, DATA[:1234])
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA


@pytest.mark.group(56)
def test_a_part_longer_than_the_servers_file_is_thrown_away(server: LoopbackServer, store: Store) -> None:
    wanted = download(server.serve("/a-1.whl", DATA), size=None)
    leave_part(store, wanted, DATA + b"more")
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert ranges(server) == [f"bytes={len(DATA) + 4}-", ""]


@pytest.mark.group(56)
def test_a_range_that_begins_elsewhere_is_not_appended(store: Store) -> None:
    odd = reply(206, DATA[5:], f"Content-Range: bytes 5-{len(DATA) - 1}/{len(DATA)}")
    with ScriptedServer(odd, reply(200, DATA)) as server:
        wanted = download(server.url("a-1.whl"))
        leave_part(store, wanted, DATA[:10])
        assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert b"Range" not in server.requests[1]


@pytest.mark.group(56)
def test_a_body_without_length_that_ends_early_is_gone_on_with(store: Store) -> None:
    rest = reply(206, DATA[100:], f"Content-Range: bytes 100-{len(DATA) - 1}/{len(DATA)}")
    with ScriptedServer(reply(200, DATA[:100], length=False), rest) as server:
        wanted = download(server.url("a-1.whl"))
        assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert b"Range: bytes=100-\r\n" in server.requests[1]


@pytest.mark.group(57)
def test_a_copy_that_is_cut_short_or_altered_is_to_be_copied_again(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "a-1.rpm"
    copy.write_bytes(DATA[:100])
    with pytest.raises(Truncated) as cut:
        get(store, download(copy.as_uri()))
    assert cut.value.hint == "The copy is cut short: copy it again."
    copy.write_bytes(DATA[:-1] + b"?")
    with pytest.raises(DownloadMismatch) as altered:
        get(store, download(copy.as_uri()))
    assert altered.value.hint.startswith("The copy is damaged, or was altered: copy it again")


@pytest.mark.group(56)
def test_a_body_that_always_breaks_off_is_told_and_its_beginning_kept(store: Store) -> None:
    nothing_new = Reply(b"HTTP/1.1 206 OK\r\nContent-Range: bytes 7-19/20\r\nContent-Length: 13\r\n\r\n")
    data = DATA[:20]
    with ScriptedServer(Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + data[:7]), nothing_new) as server:
        wanted = download(server.url("a-1.whl"), data)
        with pytest.raises(Truncated, match="broke off") as caught:
            get(store, wanted)
    assert caught.value.hint.startswith("The connection breaks off.")
    assert len(server.requests) == 3
    assert store.part(wanted.sha256).read_bytes() == data[:7]
    assert files(store) == []


# What the server may do to us


def test_other_bytes_are_refused_and_nothing_is_left(server: LoopbackServer, store: Store) -> None:
    url = server.serve("/a-1.whl", DATA[::-1]).replace("://", "://user:secret@")
    wanted = download(url)
    with pytest.raises(DownloadMismatch) as caught:
        get(store, wanted)
    assert str(caught.value) == (
        f"{server.origin}/a-1.whl: sha256 is {digest(DATA[::-1])}, the lock says {digest(DATA)}"
    )
    assert server.count("/a-1.whl") == 1
    assert (files(store), incoming(store)) == ([], [])


@pytest.mark.group(50, 56)
def test_more_bytes_than_the_lock_says_are_not_taken(server: LoopbackServer, store: Store) -> None:
    url = server.serve("/a-1.whl", DATA + b"!")
    with pytest.raises(DownloadMismatch, match=f"it is longer, the lock says {len(DATA)} bytes"):
        get(store, download(url))
    assert incoming(store) == []


@pytest.mark.group(56)
@pytest.mark.parametrize("page", [b"<html>log in</html>", b"<html>log in</html>" * 100_000])
@pytest.mark.parametrize("size", [-1, None])
def test_a_login_page_is_told_from_a_file(server: LoopbackServer, store: Store, page: bytes, size: int | None) -> None:
    url = server.serve("/a-1.whl", page, "text/html; charset=utf-8")
    with pytest.raises(DownloadMismatch) as caught:
        get(store, download(url, size=size))
    assert "a web page instead of the file, most likely a login" in caught.value.hint


def test_a_file_that_was_removed_upstream_is_named(server: LoopbackServer, store: Store) -> None:
    with pytest.raises(HttpRefused) as caught:
        get(store, download(f"{server.origin}/gone-1.whl"))
    assert str(caught.value) == f"{server.origin}/gone-1.whl: the server answers 404 Not Found"
    assert "removed upstream" in caught.value.hint


@pytest.mark.group(56)
def test_a_busy_server_is_asked_again(server: LoopbackServer, store: Store) -> None:
    server.fail("/a-1.whl", status=503, times=2)
    wanted = served(server)
    assert get(store, wanted)[wanted.sha256].read_bytes() == DATA
    assert server.count("/a-1.whl") == 3


def test_all_failures_are_told_together_and_what_came_is_kept(server: LoopbackServer, store: Store) -> None:
    good = served(server, "good-1.whl")
    gone = download(f"{server.origin}/gone-1.whl", b"gone")
    wrong = download(server.serve("/wrong-1.whl", b"wrong"), b"right")
    with pytest.raises(SeveralFailures) as caught:
        get(store, gone, good, wrong)
    assert [type(error) for error in caught.value.errors] == [HttpRefused, DownloadMismatch]
    assert caught.value.exit_code == HttpRefused.exit_code
    assert "gone-1.whl" in str(caught.value)
    assert str(caught.value).startswith("2 files could not be fetched; the first: ")
    assert "wrong-1.whl" in caught.value.context()
    assert pickle.loads(pickle.dumps(caught.value)).exit_code == HttpRefused.exit_code
    assert files(store) == ["good-1.whl"]


@pytest.mark.group(56)
def test_an_unreachable_host_is_not_asked_again_for_each_file(store: Store) -> None:
    with ScriptedServer(Reply(b"")) as server:
        wanted = [download(server.url(f"p{number}-1.whl"), DATA[number:]) for number in range(9)]
        with pytest.raises(SeveralFailures) as caught:
            get(store, *wanted, jobs=1)
    assert all(isinstance(error, HostUnreachable) for error in caught.value.errors)
    assert len(caught.value.errors) == 9
    assert len(server.requests) == HASTE.attempts


def test_a_compressed_body_is_taken_as_it_is(store: Store) -> None:
    with ScriptedServer(reply(200, DATA, "Content-Encoding: gzip")) as server:
        wanted = download(server.url("a-1.tar.gz"))
        assert get(store, wanted)[wanted.sha256].read_bytes() == DATA


# What this machine may do to us


@pytest.mark.group(49)
def test_files_that_will_not_fit_are_refused_before_the_first_byte(server: LoopbackServer, store: Store) -> None:
    wanted = download(server.serve("/a-1.whl", DATA), size=1 << 60)
    with pytest.raises(NoSpace) as caught:
        get(store, wanted)
    assert caught.value.needed == 1 << 60
    assert 0 < caught.value.free < 1 << 60
    assert server.seen == []


@pytest.mark.group(49)
def test_a_disk_that_fills_up_is_told_with_what_is_still_needed() -> None:
    wanted = download("https://example.org/a-1.whl")
    with io.FileIO("/dev/full", "r+b") as full:
        part = Part(full, Path("/dev/full"), wanted, lambda amount: None)
        with pytest.raises(NoSpace) as caught:
            part.write(DATA[:100])
    assert caught.value.needed == len(DATA)


def test_a_store_that_cannot_be_made_is_unwritable(server: LoopbackServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unwritable):
        get(Store(tmp_path / "file"), served(server))


def test_a_link_in_the_place_of_a_part_is_not_written_through(
    server: LoopbackServer, store: Store, tmp_path: Path
) -> None:
    wanted = served(server)
    leave_part(store, wanted, b"")
    store.part(wanted.sha256).unlink()
    (tmp_path / "victim").write_bytes(b"precious")
    store.part(wanted.sha256).symlink_to(tmp_path / "victim")
    with pytest.raises(Unwritable):
        get(store, wanted)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_file_url_that_leads_nowhere_is_unreadable(store: Store, tmp_path: Path) -> None:
    with pytest.raises(Unreadable):
        get(store, download((tmp_path / "none-1.whl").as_uri()))


def test_two_runs_at_once_fetch_a_file_once(server: LoopbackServer, store: Store) -> None:
    wanted = served(server)
    server.fail("/a-1.whl", delay_s=0.001)
    found: list[Path] = []
    runs = [threading.Thread(target=lambda: found.extend(get(store, wanted).values())) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert found == [store.path(wanted.sha256, "a-1.whl")] * 3
    assert server.count("/a-1.whl") == 1
    assert incoming(store) == []


INTERRUPTED = """
import sys
from pathlib import Path
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
root, *rest = sys.argv[1:]
wanted = [Download(url, url.rpartition("/")[2], sha256, int(size)) for url, sha256, size in zip(*[iter(rest)] * 3)]
fetch(wanted, Store(Path(root)), jobs=3)
"""


def interrupt(store: Store, *wanted: Download) -> None:
    """Fetch in a process of its own; once bytes of each file have come, send what Ctrl-C sends."""
    arguments = [text for item in wanted for text in (item.url, item.sha256, str(item.size))]
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(store.root), *arguments],
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )
    deadline = time.monotonic() + 20
    while not all(store.part(item.sha256).exists() and store.part(item.sha256).stat().st_size for item in wanted):
        assert time.monotonic() < deadline, "no bytes came"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, errors = process.communicate(timeout=40)
    assert time.monotonic() - sent < 3
    assert b"KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT
    assert not (store.root / "sha256").exists()
    assert incoming(store) == sorted(f"{item.sha256}.part" for item in wanted)


@pytest.mark.group(52)
def test_an_interrupt_ends_at_once_and_leaves_parts_to_go_on_with(server: LoopbackServer, store: Store) -> None:
    wanted = [served(server, f"p{number}-1.whl", DATA[number:]) for number in range(3)]
    for item in wanted:
        server.fail(f"/{item.filename}", delay_s=0.02)  # ten seconds for the whole
    interrupt(store, *wanted)
    server.faults.clear()
    server.seen.clear()
    assert len(get(store, *wanted)) == 3
    assert all(text.startswith("bytes=") for text in ranges(server))
    assert incoming(store) == []


def test_an_interrupt_does_not_wait_for_a_silent_server(store: Store) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(DATA)}\r\n\r\n".encode()
    with ScriptedServer(Reply(head + DATA[:1000], pause_s=60)) as server:
        wanted = download(server.url("a-1.whl"))
        interrupt(store, wanted)
    assert store.part(wanted.sha256).read_bytes() == DATA[:1000]
