from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from mirror.cli.commands.anywhere.split import size
from mirror.cli.main import main


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4G", 4 * 10**9),
        ("4GB", 4 * 10**9),
        ("4GiB", 4 << 30),
        ("4.7g", 4_700_000_000),
        ("650M", 650 * 10**6),
        ("7", 7),
    ],
)
def test_sizes_are_counted_as_media_are_sold(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "G", "4X", "-4G", "4,7G", "0", "0.0001K", "\u0664G", "9" * 20])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        size(text)


def test_it_says_where_volumes_are_and_what_is_wrong_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.tar").write_bytes(b"0123456789")
    assert main(["split", "f.tar", "--size", "4"]) == 0
    digest = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    assert capsys.readouterr().out == (
        f"f.tar.001  4 B\nf.tar.002  4 B\nf.tar.003  2 B\nf.tar.volumes\nf.tar: 10 B in 3 volumes; sha256 {digest}\n"
    )
    assert main(["split", "f.tar", "--size", "4"]) == 0
    assert "f.tar: 10 B in 3 volumes; 3 were there already; sha256" in capsys.readouterr().out
    Path("f.tar.002").write_bytes(b"0123")
    Path("f.tar.003").unlink()
    assert main(["split", "--check", "f.tar.volumes"]) == 3
    out, err = capsys.readouterr()
    assert out == "f.tar.001: ok\nf.tar.002: BAD\nf.tar.003: MISSING\n"
    assert "f.tar.002 holds what f.tar.001 should: exchanged, renamed or copied twice; f.tar.003 is missing" in err
    assert "ref: bad-volumes" in err


@pytest.mark.parametrize(
    "words", [("--check", "-o", "x"), ("--size", "4", "--volumes", "x"), (), ("--size", "4", "--check")]
)
def test_options_that_do_not_go_together_are_a_usage_error(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["split", "f", *words])
    assert caught.value.code == 2
