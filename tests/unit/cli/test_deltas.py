"""``mirror diff`` and ``mirror report`` of a delta: the bundle that it makes is looked at, as it will be installed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from mirror.cli.deltas import NoBundleOfHost, bundle_of_host
from mirror.cli.main import main
from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.volumes.splitting import split
from mirror.core.errors import InvalidDocument
from tests.support.deltas import Pair, make_pair
from tests.support.keys import make_root, trust_store


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """A bundle, the next one's delta, and under another name what that is to make."""
    monkeypatch.setenv("MIRROR_HOME", str(tmp_path / "trust"))
    monkeypatch.chdir(tmp_path)
    trust_store(tmp_path / "trust", make_root())
    found = make_pair(tmp_path)
    found.new.rename(tmp_path / "as-made")
    return found


def test_a_delta_is_compared_as_the_bundle_that_it_makes(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(pair.old), str(pair.delta), "--json"]) == 0
    of_delta = json.loads(capsys.readouterr().out)
    assert pair.new.read_bytes() == Path("as-made").read_bytes()
    assert main(["diff", str(pair.old), str(pair.new), "--json"]) == 0
    assert of_delta == json.loads(capsys.readouterr().out)


def test_the_older_bundle_is_the_base_where_it_lies_elsewhere(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shelf").mkdir()
    old = pair.old.rename(pair.old.parent / "shelf" / "approved.tar")
    assert main(["diff", str(old), str(pair.delta)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("from ")
    assert f"note: the delta makes {pair.new}, which stays" in told.err


def test_the_older_bundle_may_lie_in_volumes_elsewhere(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """In two directories, of which the second has the index, too."""
    media = [Path("a"), Path("b")]
    for place in media:
        place.mkdir()
    split(pair.old, pair.old.stat().st_size // 3, media[:1])
    shutil.copy(f"a/{pair.old.name}.volumes", "b")
    Path(f"a/{pair.old.name}.002").rename(f"b/{pair.old.name}.002")
    pair.old.unlink()
    assert main(["diff", f"a/{pair.old.name}.volumes", str(pair.delta), "--volumes", "b"]) == 0
    assert capsys.readouterr().out.startswith("from ")


def test_an_older_bundle_than_the_base_is_compared_where_the_base_lies_beside(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("as-made").rename("another.tar")
    assert main(["diff", "another.tar", str(pair.delta)]) == 0
    assert "nothing differs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["verify", "inspect"])
def test_what_takes_no_delta_says_what_does(pair: Pair, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(pair.delta)]) == 3
    told = capsys.readouterr().err
    assert f"error: {pair.delta} is a delta, and no bundle: apply it first\n" in told
    assert f"hint: 'mirror apply {pair.delta} --base PREV' makes the bundle" in told and "ref: is-delta" in told


def test_the_page_of_a_delta_is_the_bundles(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(pair.delta), "--since", str(pair.old)]) == 0
    page = Path(f"{pair.new.name}.report.html").read_text()
    assert f"wrote {pair.new.name}.report.html" in capsys.readouterr().out
    assert main(["report", str(pair.new), "--since", str(pair.old), "-o", "again.html"]) == 0
    assert Path("again.html").read_text() == page


def test_without_a_base_nothing_is_looked_at(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    pair.old.unlink()
    assert main(["report", str(pair.delta)]) == 3
    assert "ref: no-base" in capsys.readouterr().err
    assert not list(Path().glob("*.html"))


def test_another_base_is_refused_with_both_names(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    pair.old.unlink()
    Path("as-made").rename("other.tar")
    assert main(["diff", "other.tar", str(pair.delta)]) == 3
    assert "ref: wrong-base" in capsys.readouterr().err


def status(path: Path, current: str, name: str = "demo") -> Path:
    """What ``mirror status --json`` prints on a host, as far as it is read."""
    generations = [{"id": current, "name": name}] if current else []
    stack = {"prefix": "/p", "current": current, "generations": generations, "unfinished": []}
    path.write_text(json.dumps({"format": "mirror-status/1", "stacks": [stack]}))
    return path


@pytest.mark.parametrize("suffix", ["", ".2"])
def test_a_hosts_status_names_the_bundle_to_go_from(pair: Pair, tmp_path: Path, suffix: str) -> None:
    """Also a generation that was built anew: it is of the same bundle."""
    (tmp_path / "a.tar").write_text("no bundle")
    with open_bundle(pair.old) as old:
        told = status(tmp_path / "n1.json", f"1795000000-{old.digest[:12]}{suffix}")
    assert bundle_of_host(told, "demo", tmp_path) == pair.old
    assert bundle_of_host(pair.old, "demo", tmp_path) == pair.old


def test_a_pipe_in_the_place_of_the_bundle_before_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert bundle_of_host(tmp_path / "pipe", "demo", tmp_path) == tmp_path / "pipe"


@pytest.mark.parametrize(
    ("current", "stack", "words"),
    [
        ("1795000000-abababababab", "demo", "demo 1795000000 (locked 2026-11-18) is current there: no bundle in "),
        ("1795000000-abababababab", "other", "nothing is current there: there is no other to go from"),
        ("", "demo", "nothing is current there: there is no demo to go from"),
    ],
)
def test_a_host_whose_bundle_is_not_there_is_told(
    pair: Pair, tmp_path: Path, current: str, stack: str, words: str
) -> None:
    with pytest.raises(NoBundleOfHost) as exc_info:
        bundle_of_host(status(tmp_path / "n1.json", current), stack, tmp_path)
    assert words in str(exc_info.value)


def test_of_two_stacks_of_one_name_none_is_taken_for_the_one_that_is_meant(tmp_path: Path) -> None:
    path = status(tmp_path / "n1.json", "1795000000-abababababab")
    document = json.loads(path.read_text())
    document["stacks"] += json.loads(status(path, "1796000000-cdcdcdcdcdcd").read_text())["stacks"]
    document["stacks"][1]["prefix"] = "/other"
    path.write_text(json.dumps(document))
    with pytest.raises(NoBundleOfHost) as exc_info:
        bundle_of_host(path, "demo", tmp_path)
    first = document["stacks"][0]["prefix"]
    assert str(exc_info.value) == (
        f"{path} says that more than one bundle is current there: it has demo in {first} and in /other"
    )


def test_another_document_is_told(tmp_path: Path) -> None:
    (tmp_path / "n1.json").write_text('{"format": "mirror-verify/1"}')
    with pytest.raises(InvalidDocument):
        bundle_of_host(tmp_path / "n1.json", "demo", tmp_path)
