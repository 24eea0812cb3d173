"""Found once and remembered: sizes only as hints, secrets never."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.planning.pinned_files import find_files
from mirror.connected.stack.stack import Stack
from tests.support.index import LoopbackIndex, LoopbackServer
from tests.support.wheels import make_wheel, sha256_of

TARGET = {"python": "3.11", "arch": "x86_64", "glibc": "2.28"}
PAGE = '<!doctype html><a href="{url}#sha256={sha256}">{name}</a>'
HTML = "text/html"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "upstream", "alpha", "1.0")


def lock_of(wheel: Path) -> PythonLock:
    return parse_lock(f"alpha==1.0 --hash=sha256:{sha256_of(wheel)}\n".encode(), "small.txt")


def stack_on(index_url: str) -> Stack:
    return Stack.from_dict(
        {"target": TARGET, "python": {"requirements": ["alpha==1.0"]}, "indexes": {"default": index_url}}, "small"
    )


def listed(server: LoopbackServer, wheel: Path, query: str = "") -> Stack:
    """A stack whose index is a page without sizes, with one link to the wheel."""
    url = server.serve(f"/files/{wheel.name}{query}", wheel.read_bytes())
    page = PAGE.format(url=url, sha256=sha256_of(wheel), name=wheel.name)
    server.serve("/simple/alpha/", page.encode(), HTML)
    return stack_on(f"{server.origin}/simple/")


def remembered(store: Store) -> list[Path]:
    return list((store.root / "found").glob("*.json"))


def test_a_size_that_the_index_tells_is_only_a_hint(tmp_path: Path, store: Store, wheel: Path) -> None:
    with LoopbackIndex() as index:
        index.add(wheel)
        stack = stack_on(index.url)
        (first,) = find_files(lock_of(wheel), stack, store)
        (again,) = find_files(lock_of(wheel), stack, store)
    assert (first.download.size, first.download.size_hint) == (None, wheel.stat().st_size)
    assert first.uploaded == 1767225600  # 2026-01-01, as the index tells it
    assert again == first
    assert len(remembered(store)) == 1


@pytest.mark.parametrize(("told", "hint"), [(17, 17), (0, None)])
def test_a_wrong_size_in_answer_to_head_is_remembered_and_hinders_no_fetch(
    server: LoopbackServer, store: Store, wheel: Path, told: int, hint: int | None
) -> None:
    stack = listed(server, wheel)
    server.serve(f"/files/{wheel.name}", bytes(told))
    find_files(lock_of(wheel), stack, store)
    (part,) = find_files(lock_of(wheel), stack, store)
    server.serve(f"/files/{wheel.name}", wheel.read_bytes())
    assert (part.download.size, part.download.size_hint) == (None, hint)
    assert fetch([part.download], store)[part.download.sha256].read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize(("query", "files"), [("", 1), ("?token=secret", 0)])
def test_a_url_that_may_hold_a_secret_is_not_written_down(
    server: LoopbackServer, store: Store, wheel: Path, query: str, files: int
) -> None:
    (part,) = find_files(lock_of(wheel), listed(server, wheel, query), store)
    assert part.download.url.endswith(f"{wheel.name}{query}")
    assert len(remembered(store)) == files


def test_an_index_that_tells_no_time_leaves_it_open(server: LoopbackServer, store: Store, wheel: Path) -> None:
    (part,) = find_files(lock_of(wheel), listed(server, wheel), store)
    assert part.uploaded == 0


def test_what_another_version_remembered_is_asked_again(server: LoopbackServer, store: Store, wheel: Path) -> None:
    """Sizes that were held to are not believed any more."""
    stack = listed(server, wheel)
    find_files(lock_of(wheel), stack, store)
    (memory,) = remembered(store)
    data = memory.read_bytes()
    memory.write_bytes(data.replace(b'"size_hint"', b'"size"'))
    (part,) = find_files(lock_of(wheel), stack, store)
    assert part.download.size is None
    assert memory.read_bytes() == data
    assert server.count("/simple/alpha/") == 2


def test_after_one_pin_moved_only_that_project_is_asked_for(
    tmp_path: Path, server: LoopbackServer, store: Store
) -> None:
    made = [make_wheel(tmp_path / "upstream", name, version) for name, version in (("a", "1"), ("b", "1"), ("b", "2"))]
    for name in "ab":
        links = []
        for wheel in made:
            if wheel.name.startswith(f"{name}-"):
                url = server.serve(f"/files/{wheel.name}", wheel.read_bytes())
                links.append(PAGE.format(url=url, sha256=sha256_of(wheel), name=wheel.name))
        server.serve(f"/simple/{name}/", "".join(links).encode(), HTML)
    stack = stack_on(f"{server.origin}/simple/")
    first, moved = (
        parse_lock(
            b"".join(f"{w.name[0]}=={w.name[2]} --hash=sha256:{sha256_of(w)}\n".encode() for w in wheels), "small.txt"
        )
        for wheels in (made[:2], made[::2])
    )
    find_files(first, stack, store)
    parts = find_files(moved, stack, store)
    assert [(part.name, part.version) for part in parts] == [("a", "1"), ("b", "2")]
    # The page of b is the same, its server says; of another version nothing is remembered, so it is fetched after all.
    assert (server.count("/simple/a/"), server.count("/simple/b/")) == (1, 3)
    assert find_files(first, stack, store) and find_files(moved, stack, store) == parts
    assert (server.count("/simple/a/"), server.count("/simple/b/")) == (1, 3)


def test_what_others_can_write_is_not_believed(server: LoopbackServer, store: Store, wheel: Path) -> None:
    stack = listed(server, wheel)
    find_files(lock_of(wheel), stack, store)
    store.root.chmod(0o777)
    for count, root in ((2, store.root), (3, store.root)):
        find_files(lock_of(wheel), stack, Store(root))
        assert server.count("/simple/alpha/") == count
    store.root.chmod(0o755)
    find_files(lock_of(wheel), stack, Store(store.root))
    assert server.count("/simple/alpha/") == 3


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"files": {}}', b'{"files": [1]}', b'{"files": [{"pin": []}]}', b'{"files": [{}]}']
)
def test_a_memory_that_cannot_be_read_is_made_anew(
    server: LoopbackServer, store: Store, wheel: Path, data: bytes
) -> None:
    stack = listed(server, wheel)
    find_files(lock_of(wheel), stack, store)
    (memory,) = remembered(store)
    whole = memory.read_bytes()
    memory.write_bytes(data)
    find_files(lock_of(wheel), stack, store)
    assert memory.read_bytes() == whole


def test_a_file_that_is_named_to_lead_elsewhere_is_not_taken_from_memory(
    server: LoopbackServer, store: Store, wheel: Path
) -> None:
    stack = listed(server, wheel)
    (part,) = find_files(lock_of(wheel), stack, store)
    (memory,) = remembered(store)
    memory.write_bytes(memory.read_bytes().replace(b'"filename": "alpha', b'"filename": "../../alpha'))
    assert find_files(lock_of(wheel), stack, store) == (part,)
