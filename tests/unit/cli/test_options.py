"""Values of shared options are refused before any work, and shown without what they may hide."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.cli.grammar import places
from mirror.cli.main import main, parser
from mirror.cli.options import openpgp_fingerprint, place, url


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", [("lock", "no.toml"), ("bundle", "--lock", "no.txt")])
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (
            "--toolchain-repo",
            "ftp://example.org/",
            "argument --toolchain-repo: expected a URL that begins with https://",
        ),
        ("--toolchain-repo", "https:///rhel9", "argument --toolchain-repo: expected a URL that begins with https://"),
        ("--toolchain-repo", "nowhere/rhel9", "argument --toolchain-repo: there is no directory 'nowhere/rhel9'"),
        (
            "--rpm-fingerprint",
            "D42D0685",
            "--rpm-fingerprint: expected the fingerprint of an OpenPGP key, 40 hex digits",
        ),
        (
            "--rpm-fingerprint",
            "Z" * 40,
            "--rpm-fingerprint: expected the fingerprint of an OpenPGP key, 40 hex digits",
        ),
    ],
)
def test_a_wrong_value_is_refused_first(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...], option: str, value: str, message: str
) -> None:
    assert message in refused(capsys, *command, option, value)


@pytest.mark.parametrize("command", [("lock", "demo.toml"), ("bundle", "--lock", "demo.txt")])
def test_the_name_of_before_of_an_option_is_taken_and_never_shown(command: tuple[str, ...], tmp_path: Path) -> None:
    assert parser().parse_args([*command, "--rpm-repo", str(tmp_path)]).toolchain_repo == str(tmp_path)
    place_of = next(one for one in places(parser()) if one.name == command[0])
    assert "--rpm-repo" not in place_of.parser.format_help()
    assert not any("--rpm-repo" in option.words for option in place_of.options)
    assert "--rpm-repo" not in str(place_of.argument)


@pytest.mark.parametrize("value", ["ftp://me:secret@example.org/", "me:secret@example.org", "http://[secret/",
                                   "http://me:secret@h:99999/", "https://example.org/?token=secret"])  # fmt: skip
def test_a_wrong_index_is_refused_without_its_credentials(capsys: pytest.CaptureFixture[str], value: str) -> None:
    words = refused(capsys, "bundle", "--lock", "no.txt", "--index-url", value)
    assert "argument --index-url: " in words
    assert "secret" not in words


def test_a_copy_of_the_toolchain_whose_host_cannot_be_asked_for_is_refused_with_or_without_a_toolchain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = refused(capsys, "lock", "demo", "--toolchain-repo", "http://h:99999/")
    assert "argument --toolchain-repo: expected a URL whose host and port can be read" in said


def test_good_values_are_taken_as_people_write_them(tmp_path: Path) -> None:
    assert openpgp_fingerprint("610c 7b14 e068 a878 070d  a4e9 9cd0 a493 d42d 0685") == (
        "610C7B14E068A878070DA4E99CD0A493D42D0685"
    )
    assert url("https://me:token@example.org/simple/") == "https://me:token@example.org/simple/"
    for good in (str(tmp_path), tmp_path.as_uri(), "https://example.org/rhel9"):
        assert place(good) == good


@pytest.mark.parametrize(
    "words", ["bundle demo", "report b.tar", "apply d.delta", "split b.tar --size 1G", "detect", "installer"]
)
def test_standard_output_is_no_place_for_a_file(capsys: pytest.CaptureFixture[str], words: str) -> None:
    said = refused(capsys, *words.split(), "-o", "-")
    assert "argument -o/--output: '-' names no file, and standard output is not written to this way" in said
