"""Pages that did not change are fetched again and not parsed again; whatever changed on them is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.index import simplepage
from mirror.connected.index.indexfile import IndexFile
from mirror.connected.index.pagememory import PageMemory
from mirror.connected.index.pages import Index
from mirror.core.names import project_name
from tests.support.index import LoopbackServer
from tests.support.wheels import make_wheel, sha256_of

ALPHA = project_name("alpha")
LINK = '<a href="/f/{name}#sha256={sha256}"{more}>{name}</a>'


@pytest.fixture
def links(tmp_path: Path) -> list[str]:
    wheels = [make_wheel(tmp_path / "upstream", "alpha", version) for version in ("1.0", "2.0")]
    return [LINK.format(name=wheel.name, sha256=sha256_of(wheel), more="") for wheel in wheels]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of the pages that were parsed."""
    seen: list[str] = []
    whole = simplepage.parse_page

    def counting(data: bytes, url: str) -> simplepage.Page:
        seen.append(url)
        return whole(data, url)

    monkeypatch.setattr(simplepage, "parse_page", counting)
    return seen


def asked(server: LoopbackServer, store: Store | None, page: str, version: str = "1.0") -> tuple[IndexFile, ...]:
    server.serve("/simple/alpha/", f"<!doctype html>{page}".encode(), "text/html")
    with Index(f"{server.origin}/simple/", memory=PageMemory(store) if store else None) as index:
        index.versions(ALPHA)
        return index.files(ALPHA, version)


def test_a_page_is_fetched_each_time_and_parsed_once(
    server: LoopbackServer, store: Store, links: list[str], parsed: list[str]
) -> None:
    found = [asked(server, store, "".join(links)) for _ in range(3)]
    assert found[0] == found[1] == found[2] == asked(server, None, "".join(links))
    assert [one.version for one in found[0]] == ["1.0"]
    assert server.count("/simple/alpha/") == 4
    assert len(parsed) == 2  # by the first, and by the one without a memory


def test_what_is_withdrawn_meanwhile_is_seen(server: LoopbackServer, store: Store, links: list[str]) -> None:
    assert asked(server, store, links[0])[0].yanked is None
    assert asked(server, store, links[0].replace("<a ", '<a data-yanked="broken" '))[0].yanked == "broken"
    assert asked(server, store, links[1]) == ()
    assert asked(server, store, links[0])[0].yanked is None


def test_one_page_at_two_addresses_has_two_sets_of_links(store: Store, links: list[str]) -> None:
    found = []
    for _ in range(2):
        with LoopbackServer() as server:
            found.append((server.origin, asked(server, store, links[0])[0].url))
    assert all(url.startswith(origin) for origin, url in found) and found[0] != found[1]


def test_an_address_with_a_secret_is_not_written_down(server: LoopbackServer, store: Store, links: list[str]) -> None:
    (file,) = asked(server, store, links[0].replace("#", "?token=secret#"))
    assert file.url.endswith("?token=secret")
    assert not [path for path in store.root.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_what_others_can_write_is_not_believed(
    server: LoopbackServer, store: Store, links: list[str], parsed: list[str]
) -> None:
    asked(server, store, links[0])
    store.root.chmod(0o777)
    asked(server, Store(store.root), links[0])
    assert len(parsed) == 2


@pytest.mark.parametrize("data", [b"", b"[]", b'{"pages": 1}', b'{"pages": [1]}', b'{"pages": [["a"]]}'])
def test_a_memory_that_cannot_be_read_is_made_anew(
    server: LoopbackServer, store: Store, links: list[str], data: bytes
) -> None:
    asked(server, store, links[0])
    memory = store.root / "pages" / "read.json"
    whole = memory.read_bytes()
    memory.write_bytes(data)
    asked(server, store, links[0])
    assert memory.read_bytes() == whole


@pytest.mark.parametrize("old", ['"filename"', '"sha256"', 'alpha-1.0-py3-none-any.whl",'])
def test_an_entry_that_cannot_be_read_is_read_on_the_page(
    server: LoopbackServer, store: Store, links: list[str], old: str
) -> None:
    (first,) = asked(server, store, links[0])
    memory = store.root / "pages" / "read.json"
    memory.write_text(memory.read_text().replace(old, old.replace("a", "b")))
    assert asked(server, store, links[0]) == (first,)


def test_a_page_that_did_not_change_is_asked_for_and_not_sent(
    server: LoopbackServer, store: Store, links: list[str], parsed: list[str]
) -> None:
    found = [asked(server, store, "".join(links)) for _ in range(3)]
    assert found[0] == found[1] == found[2]
    assert server.unchanged == ["/simple/alpha/"] * 2
    assert len(parsed) == 1


def test_another_version_on_a_known_page_is_read_on_the_page_of_now(
    server: LoopbackServer, store: Store, links: list[str]
) -> None:
    asked(server, store, "".join(links))
    with Index(f"{server.origin}/simple/", memory=PageMemory(store)) as index:
        assert index.versions(ALPHA) == ("1", "2")
        assert server.unchanged == ["/simple/alpha/"]
        withdrawn = links[1].replace("<a ", '<a data-yanked="broken" ')
        server.serve("/simple/alpha/", f"<!doctype html>{links[0]}{withdrawn}".encode(), "text/html")
        assert index.files(ALPHA, "2.0")[0].yanked == "broken"
    assert asked(server, store, "".join(links), "2.0")[0].yanked is None  # remembered under the digest of its own page


def test_an_etag_is_not_believed_where_others_can_write(server: LoopbackServer, store: Store, links: list[str]) -> None:
    asked(server, store, links[0])
    store.root.chmod(0o777)
    asked(server, Store(store.root), links[0])
    assert server.unchanged == []


def test_an_etag_that_cannot_be_sent_again_is_not_noted(store: Store) -> None:
    memory = PageMemory(store)
    for etag in ("", '"\xe9"', "a\nb", "x" * 300):
        memory.note("http://127.0.0.1/", etag, "0" * 64)
    assert memory.known("http://127.0.0.1/") is None
