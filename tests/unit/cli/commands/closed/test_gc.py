"""``mirror gc`` as an operator types it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.closed.environment.variables import load_environment
from mirror.closed.prefix.generations import Prefix
from tests.support.generations import put_generation


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "mirror"


def test_every_stack_is_swept_when_none_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefixes = [Prefix(home / name) for name in ("h100", "quickstart")]
    gone = [put_generation(prefix, sequence) for prefix in prefixes for sequence in (1, 2, 3)][::3]
    assert main(["gc", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert f"would remove generation {gone[0].path} (" in out
    assert out.splitlines()[-1].startswith("would free ")
    assert "removing" not in err
    assert all(generation.is_complete for generation in gone)
    assert main(["gc"]) == 0
    out, err = capsys.readouterr()
    assert "kept generation" in out
    assert f"removing {gone[1].path}: older than what is kept" in err
    assert [len(prefix.installed()) for prefix in prefixes] == [2, 2]
    assert main(["gc", "h100", "--keep", "0"]) == 0
    assert [len(prefix.installed()) for prefix in prefixes] == [1, 2]


def test_json_is_for_machines(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prefix = Prefix(home / "h100")
    first, second = put_generation(prefix, 1), put_generation(prefix, 2)
    cache = load_environment(second).caches({"XDG_CACHE_HOME": str(home.parent / "cache")})
    for path in (cache, cache.with_name("0" * 16)):
        path.mkdir(parents=True)
    assert main(["gc", "--prefix", str(prefix.root), "--keep", "0", "--caches", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(item["kind"], item["path"]) for item in found["removed"]] == [
        ("generation", str(first.path)),
        ("cache", str(cache.with_name("0" * 16))),
    ]
    assert [item["kind"] for item in found["kept"]] == ["generation", "cache"]
    assert found["bytes"] == sum(item["size"] for item in found["removed"]) > 0
    assert found["dry_run"] is False


def test_of_nothing_there_is_nothing_to_remove(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc"]) == main(["gc", "h100", "--caches"]) == 99
    assert main(["gc", "--caches"]) == 0
    assert capsys.readouterr().out == "freed 0 B\n"


@pytest.mark.parametrize("number", ["-1", "x", "1e3", "\u0661"])
def test_a_number_is_a_number(home: Path, number: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["gc", "--keep", number])
    assert ended.value.code == 2


def test_nohup_still_means_what_it_says(home: Path) -> None:
    """A server started by `nohup mirror run` outlives its terminal: what is ignored stays so."""
    put_generation(Prefix(home / "h100"), 1)
    command = ["nohup", sys.executable, "-m", "mirror.cli.main", "run", "h100", "--"]
    report = ["sh", "-c", "kill -HUP $$; grep -E '^SigIgn' /proc/self/status; exit 5"]
    done = subprocess.run([*command, *report], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    ignored = int(done.stdout.split()[1], 16)
    assert ignored == 1, "SIGHUP alone: Python's own ignored SIGPIPE is not passed on"
