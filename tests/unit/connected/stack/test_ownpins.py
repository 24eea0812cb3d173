"""What NAME.toml pins itself: a person's own files are looked at each time, and a failure names the table that pins them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomllib

from mirror.cli.main import main
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import SeveralFailures, fetch
from mirror.connected.fetching.store import Store
from mirror.connected.stack.ownpins import own_pins_named
from mirror.connected.stack.stack import Stack
from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from tests.support.index import LoopbackIndex, LoopbackServer
from tests.support.wheels import make_wheel, sha256_of

TARGET = f'[target]\npython = "3.11"\narch = "{os.uname().machine}"\nglibc = "2.28"\n\n[python]\nrequirements = []\n'
NONE = Sha256Hex("0" * 64)

Typed = Callable[..., Any]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command beside the stack, and get its document; what it says of a failure where a code is expected."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def type_it(*words: object, code: int = 0) -> Any:
        capsys.readouterr()
        ended = main([*map(str, words), *(() if code else ("--json",))])
        out, err = capsys.readouterr()
        assert ended == code, err
        return err if code else json.loads(out)

    return type_it


def write_stack(directory: Path) -> Path:
    """``pe.toml``, which carries ``tpl.jinja`` and nothing else."""
    file = directory / "tpl.jinja"
    file.write_text("one")
    (directory / "pe.toml").write_text(f'{TARGET}\n[[files]]\npath = "tpl.jinja"\nsha256 = "{sha256_of(file)}"\n')
    return file


@pytest.mark.parametrize("command", [("bundle", "pe", "-o", "2.tar"), ("bundle", "pe", "--dry-run"), ("lock", "pe")])
def test_a_file_that_was_edited_is_refused_whatever_the_cache_has(
    typed: Typed, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = write_stack(tmp_path)
    pinned = sha256_of(file)
    typed("bundle", "pe", "-o", "1.tar")
    file.write_text("two")
    said = typed(*command, code=72)
    assert f"tpl.jinja: sha256 is {sha256_of(file)}, [[files]] of pe.toml says {pinned}" in said
    assert "If you mean this file, write its sha256 in [[files]] of pe.toml" in " ".join(said.split())
    assert not (tmp_path / "2.tar").exists()


def test_a_file_that_was_removed_is_missed_whatever_the_cache_has(typed: Typed, tmp_path: Path) -> None:
    file = write_stack(tmp_path)
    typed("bundle", "pe", "-o", "1.tar")
    file.unlink()
    said = " ".join(typed("bundle", "pe", "-o", "2.tar", code=11).split())
    assert f"cannot read {file}: No such file or directory" in said
    assert "[[files]] of pe.toml names it: put it there, or take it out of that table." in said


def test_the_file_is_named_in_the_toml_of_several_targets(typed: Typed, tmp_path: Path) -> None:
    file = write_stack(tmp_path)
    text = (tmp_path / "pe.toml").read_text()
    (tmp_path / "pe.toml").write_text(text.replace("[python]", "[targets.a]\n\n[targets.b]\n\n[python]"))
    file.write_text("two")
    assert "[[files]] of pe.toml says" in typed("bundle", "pe", "-o", "1.tar", code=72)


def test_a_wheel_of_a_directory_that_was_made_again_is_refused_and_one_that_is_gone_is_not(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = make_wheel(tmp_path / "made", "alpha", "1.0")
    with LoopbackIndex() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        more = f'\n[indexes]\nmade = {{ find-links = "{(tmp_path / "made").as_uri()}" }}\n\n[python.index]\nalpha = "made"\n'
        (tmp_path / "fl.toml").write_text(TARGET.replace("[]", '["alpha==1.0"]') + more)
        typed("lock", "fl")
        store = Store(tmp_path / "cache" / "mirror")
        download = Download(wheel.as_uri(), wheel.name, Sha256Hex(sha256_of(wheel)))
        fetch([download], store)
        typed("build", "fl")
        make_wheel(tmp_path / "made", "alpha", "1.0", requires=["beta"])
        said = typed("build", "fl", code=72)
        assert f"{wheel.as_uri()}: sha256 is {sha256_of(wheel)}, the lock says {download.sha256}" in said
        wheel.unlink()
        typed("build", "fl")


def stack_of(table: str) -> Stack:
    return Stack.from_dict(tomllib.loads(TARGET + table), "pe")


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ('[[files]]\nurl = "{}"\nsha256 = "{}"\n', "[[files]]"),
        ('[interpreter]\nurl = "{}"\nsha256 = "{}"\n', "[interpreter]"),
        ('[indexes]\nown = {{ file = "{}", sha256 = "{}" }}\n', "[indexes]"),
    ],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_a_failure_names_the_table_that_pins_the_file(
    server: LoopbackServer, tmp_path: Path, table: str, place: str, is_there: bool
) -> None:
    url = server.serve("/a-1-py3-none-any.whl", b"upstream") if is_there else f"{server.origin}/a-1-py3-none-any.whl"
    download = Download(url, "a-1-py3-none-any.whl", NONE)
    with pytest.raises(MirrorError) as caught, own_pins_named(stack_of(table.format(url, NONE)), [download]):
        fetch([download], Store(tmp_path / "store"))
    if is_there:
        assert str(caught.value).endswith(f", {place} of pe.toml says {NONE}")
    assert f"in {place} of pe.toml" in caught.value.hint and "lock" not in caught.value.hint


def test_several_failures_name_each_its_own(server: LoopbackServer, tmp_path: Path) -> None:
    own, locked = (
        Download(server.serve(f"/{name}", b"upstream"), name, Sha256Hex(digit * 64))
        for name, digit in (("own", "0"), ("other", "1"))
    )
    stack = stack_of(f'[[files]]\nurl = "{own.url}"\nsha256 = "{NONE}"\n')
    with pytest.raises(SeveralFailures) as caught, own_pins_named(stack, [own, locked]):
        fetch([own, locked], Store(tmp_path / "store"))
    assert ["[[files]] of pe.toml says" in str(one) for one in caught.value.errors] == [True, False]
