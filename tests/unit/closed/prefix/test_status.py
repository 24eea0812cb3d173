from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Identity, NoSuchGeneration, Prefix
from mirror.closed.prefix.status import (
    AmbiguousStack,
    NothingInstalled,
    choose_prefix,
    installed_stacks,
    read_status,
)
from mirror.closed.prefix.switching import roll_back
from mirror.core.names import Sha256Hex
from tests.unit.closed.prefix.test_receipt import RECEIPT


def put(prefix: Prefix, *sequences: int) -> Prefix:
    """Install receipts; the last becomes current."""
    for sequence in sequences:
        digest = Sha256Hex(f"{sequence:x}" * 64)[:64]
        with prefix.lock():
            with prefix.building(Identity.of(sequence, Sha256Hex(digest)), Sha256Hex(digest)) as generation:
                receipt = replace(RECEIPT, name=prefix.root.name, sequence=sequence, generation=str(generation.path))
                generation.receipt.write_bytes(receipt.encode())
            prefix.activate(generation)
    return prefix


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return tmp_path / "mirror"


def test_status_lists_what_is_installed(tmp_path: Path) -> None:
    prefix = put(Prefix(tmp_path / "h100"), 1, 2)
    (tmp_path / "h100/gens/3-cccccccccccc").mkdir()
    status = read_status(prefix)
    assert [one.receipt.sequence for one in status.generations if one.receipt] == [1, 2]
    assert (status.current, status.unfinished) == ("2-222222222222", ("3-cccccccccccc",))
    assert status.to_dict()["generations"][0]["name"] == "h100"


def test_status_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingInstalled, match="nothing is installed in"):
        read_status(Prefix(tmp_path / "h100"))
    assert list(tmp_path.iterdir()) == []


def test_a_stack_is_found_by_its_name_or_by_being_the_only_one(home: Path) -> None:
    with pytest.raises(NothingInstalled):
        choose_prefix()
    put(Prefix(home / "h100"), 1)
    (home / "empty").mkdir()
    (home / "file").touch()
    assert choose_prefix("h100").root == choose_prefix().root == home / "h100"
    put(Prefix(home / "quickstart"), 1)
    with pytest.raises(AmbiguousStack) as exc_info:
        choose_prefix()
    assert str(exc_info.value) == "which stack? h100, quickstart are installed"
    assert [prefix.root.name for prefix in installed_stacks()] == ["h100", "quickstart"]
    assert choose_prefix("h100", home / "elsewhere").root == home / "elsewhere"


def test_a_shell_that_has_sourced_env_sh_works_with_that_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever lies in the default place; a name or a path that is given says otherwise."""
    put(Prefix(home / "h100"), 1)
    mine = home.parent / "mine"
    monkeypatch.setenv("MIRROR_GENERATION", str(mine / "gens/7-0123456789ab"))
    assert choose_prefix().root == mine
    assert choose_prefix("h100").root == choose_prefix("", home / "h100").root == home / "h100"
    for other in ("", "gens/7-0123456789ab", f"{mine}/gens", f"{mine}/7-0123456789ab", f"{mine}/gens/else"):
        monkeypatch.setenv("MIRROR_GENERATION", other)
        assert choose_prefix().root == home / "h100"


@pytest.mark.parametrize("name", ["../x", "a/b", "."])
def test_a_name_is_no_path(home: Path, name: str) -> None:
    with pytest.raises(NothingInstalled):
        choose_prefix(name)


def test_rollback_goes_to_the_one_before(tmp_path: Path) -> None:
    prefix = put(Prefix(tmp_path / "h100"), 1, 2, 3)
    assert roll_back(prefix).current == "2-222222222222"
    result = roll_back(prefix)
    assert (result.before, result.current) == ("2-222222222222", "1-111111111111")
    with pytest.raises(
        NoSuchGeneration, match=r"holds no generation before the current one; it holds 1 \(1-111111111111\)"
    ):
        roll_back(prefix)
    current = prefix.current()
    assert current is not None
    assert current.name == "1-111111111111"


def test_rollback_goes_forward_again_by_name(tmp_path: Path) -> None:
    prefix = put(Prefix(tmp_path / "h100"), 1, 2)
    roll_back(prefix)
    assert roll_back(prefix, "2-2222").current == "2-222222222222"
    assert roll_back(prefix, "2-2222").before == "2-222222222222"


def test_rollback_needs_one_match(tmp_path: Path) -> None:
    prefix = put(Prefix(tmp_path / "h100"), 121, 122)
    for to in ("12", "7"):
        with pytest.raises(NoSuchGeneration, match=f"holds no generation '{to}'"):
            roll_back(prefix, to)


def test_rollback_where_nothing_is_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NothingInstalled):
        roll_back(Prefix(tmp_path / "h100"))
    assert list(tmp_path.iterdir()) == []


def test_without_a_current_one_rollback_takes_the_newest(tmp_path: Path) -> None:
    prefix = put(Prefix(tmp_path / "h100"), 1, 2)
    (tmp_path / "h100/current").unlink()
    assert roll_back(prefix).current == "2-222222222222"
