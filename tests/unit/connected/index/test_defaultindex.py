"""Which index packages come from, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.index.defaultindex import public_index, with_default_index
from mirror.connected.lock import lock
from mirror.connected.locking.drafts import LockOptions
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.target import Target
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel

STACK = Stack("demo", Target("3.11", "x86_64", "2.28"), ())
DEFAULT = public_index()
OURS = "https://pypi.corp.example/simple/"


def found(
    environment: dict[str, str], stack: Stack = STACK, index_url: str | None = None
) -> tuple[str, tuple[str, ...]]:
    chosen, notes = with_default_index(
        stack, index_url, {"XDG_CONFIG_DIRS": "/nonexistent", "PIP_CONFIG_FILE": "/dev/null", **environment}
    )
    return chosen.indexes.get("default", DEFAULT), notes


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_an_index_of_the_environment_is_used_and_told_without_its_credentials(variable: str) -> None:
    url = "https://me:secret@pypi.corp.example/simple/"
    assert found({variable: url}) == (url, (f"packages come from {OURS}, as {variable} says",))


def test_a_named_default_index_of_uv_is_its_url() -> None:
    assert found({"UV_DEFAULT_INDEX": f"corp={OURS}"})[0] == OURS


def test_pips_configuration_is_used_the_file_that_is_named_before_the_users(tmp_path: Path) -> None:
    users, named = tmp_path / ".config" / "pip" / "pip.conf", tmp_path / "own.conf"
    users.parent.mkdir(parents=True)
    users.write_text(f"[global]\nindex-url = {OURS}\n")
    home = {"HOME": str(tmp_path), "PIP_CONFIG_FILE": ""}
    assert found(home) == (OURS, (f"packages come from {OURS}, as {users} says",))
    named.write_text("[global]\nindex_url = https://other.example/simple\n")
    assert found({**home, "PIP_CONFIG_FILE": str(named)})[0] == "https://other.example/simple"


def test_what_the_stack_or_the_command_says_comes_first_and_needs_no_word() -> None:
    stack = replace(STACK, indexes={"default": "https://stack.example/simple/"})
    assert found({"PIP_INDEX_URL": OURS}, stack) == ("https://stack.example/simple/", ())
    assert found({"PIP_INDEX_URL": OURS}, stack, "https://now.example/") == ("https://now.example/", ())


def test_the_public_index_by_its_name_needs_no_word() -> None:
    assert found({"PIP_INDEX_URL": DEFAULT.rstrip("/")}) == (DEFAULT, ())


def test_further_indexes_are_not_used_and_that_is_told() -> None:
    url, notes = found({"PIP_EXTRA_INDEX_URL": OURS})
    assert url == DEFAULT
    assert notes == (
        "the further indexes of PIP_EXTRA_INDEX_URL are not used: name one in [indexes] of demo.toml, and the projects that "
        "come from it in [python.index]",
    )


def test_an_index_that_is_no_url_is_not_used_and_that_is_told() -> None:
    assert found({"PIP_INDEX_URL": "pypi.corp.example"}) == (
        DEFAULT, ("PIP_INDEX_URL names an index that is no http, https or file URL: it is not used",)
    )  # fmt: skip


@pytest.mark.parametrize("url", ["http://[x/", "http://h:99999/", "https://pypi.corp.example/simple/?token=secret"])
@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"])
def test_an_index_that_cannot_be_asked_is_refused_where_it_is_named_and_no_other_stands_in(
    variable: str, url: str
) -> None:
    with pytest.raises(InvalidDocument, match=f"^{variable} invalid: ") as caught:
        found({variable: url})
    assert "secret" not in str(caught.value)
    assert caught.value.hint.startswith("Correct the URL there, or name another index: --index-url")


def test_a_lock_of_such_an_index_is_the_lock_and_names_no_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    toml = tmp_path / "demo.toml"
    toml.write_text('[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["a"]\n')
    with LoopbackIndex() as server:
        server.add(make_wheel(tmp_path, "a", "1.0"))
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        locked = lock(toml, LockOptions(now=1), Store(tmp_path / "store"))
        before = (tmp_path / "demo.txt").read_bytes()
        assert locked.notes[0] == f"packages come from {server.url}, as PIP_INDEX_URL says"
        monkeypatch.delenv("PIP_INDEX_URL")
        again = lock(toml, LockOptions(now=2, index_url=server.url), Store(tmp_path / "store"))
    assert not any(file.changed for file in again.files)
    assert b"127.0.0.1" not in before
