from __future__ import annotations

import argparse
import getpass
import json
from pathlib import Path

import pytest

from mirror.cli.commands.connected import key
from mirror.connected.signing import keyfile
from mirror.connected.signing.keyfile import KeyExists, LockedKey, read_key
from mirror.core.errors import Unreadable
from tests.support.keys import signer, write_private_key


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    key.configure(parser.add_subparsers())
    args = parser.parse_args(["key", *map(str, words)])
    return key.run(args)


def test_new_makes_the_builders_key_by_default(mirror_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new") == 0
    path = mirror_home / "keys" / "builder"
    public = read_key(path).public
    assert capsys.readouterr().out == (
        f"{public.openssh()}\n  file         {path}\n  fingerprint  {public.fingerprint}\n"
    )
    assert path.stat().st_mode & 0o777 == 0o600


def test_new_makes_the_key_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("new", tmp_path / "mine", "--comment", "me@here", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(tmp_path / "mine")
    assert (tmp_path / "mine.pub").read_text() == f"{facts['public']} me@here\n"


def test_new_a_second_time_replaces_nothing(mirror_home: Path) -> None:
    run("new")
    before = (mirror_home / "keys" / "builder").read_bytes()
    with pytest.raises(KeyExists):
        run("new")
    assert (mirror_home / "keys" / "builder").read_bytes() == before


@pytest.mark.group(69)
def test_new_with_a_passphrase_needs_a_terminal(mirror_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(LockedKey, match="no terminal"):
        run("new", "--passphrase")
    assert not (mirror_home / "keys" / "builder").exists()


def test_new_asks_for_a_passphrase_until_it_is_typed_twice_alike(
    mirror_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = iter([b"", b"secret", "other", b"secret", "secret"])
    monkeypatch.setattr(keyfile, "ask_passphrase", lambda path: next(typed))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: next(typed))
    assert run("new", "--passphrase") == 0
    made = read_key(mirror_home / "keys" / "builder")
    assert made.unlock(b"secret").public_key().public_bytes_raw() == made.public.raw
    assert next(typed, None) is None


@pytest.mark.parametrize("passphrase", [b"", b"secret"])
def test_show_prints_the_public_half_of_a_private_key_locked_or_not(
    tmp_path: Path, passphrase: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_private_key(tmp_path / "id", "alice", passphrase)
    assert run("show", path) == 0
    assert capsys.readouterr().out.splitlines()[0] == signer("alice").public.openssh()


def test_show_prints_a_public_key_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = signer("alice").public
    (tmp_path / "id.pub").write_text(public.openssh() + " a comment\n")
    assert run("show", tmp_path / "id.pub", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(tmp_path / "id.pub"),
        "fingerprint": public.fingerprint,
        "public": public.openssh(),
    }


def test_show_without_a_key_names_where_it_looked(mirror_home: Path) -> None:
    with pytest.raises(Unreadable, match=f"cannot read {mirror_home}/keys/builder: No such file"):
        run("show")
