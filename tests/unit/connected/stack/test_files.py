"""``[[files]]``: what may be written, and what is refused with what to write instead."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import tomllib

import mirror.connected.stack.files as files
from mirror.connected.stack.files import FileWish, read_files
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields

DIGEST = hashlib.sha256(b"{{ messages }}").hexdigest()
URL = "https://example.org/encodings/o200k_base.tiktoken"
GOOD = {"url": URL, "sha256": DIGEST}


def read(directory: Path, *tables: dict[str, Any]) -> tuple[FileWish, ...]:
    return read_files(Fields({"files": list(tables)}, "NAME.toml").tables("files"), directory)


def test_a_file_from_an_address_lies_under_its_own_name(tmp_path: Path) -> None:
    (wish,) = read(tmp_path, GOOD)
    assert (wish.to, wish.path, wish.name) == (
        "o200k_base.tiktoken",
        "files/o200k_base.tiktoken",
        "o200k_base.tiktoken",
    )
    assert (wish.origin, wish.variables, wish.licence) == (URL, (), "")
    download = wish.download()
    assert (download.url, download.filename, download.sha256, download.size) == (URL, wish.name, DIGEST, None)


def test_the_example_of_the_documentation_is_read(tmp_path: Path) -> None:
    assert files.__doc__ is not None
    (wish,) = read(tmp_path, *tomllib.loads(files.__doc__.partition("Example::")[2])["files"])
    assert wish.path == "files/tiktoken/o200k_base.tiktoken"
    assert wish.variables == (("TIKTOKEN_ENCODINGS_BASE", "files/tiktoken"),)


def test_a_file_beside_the_stack_says_nothing_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "chat 1.jinja").write_bytes(b"{{ messages }}")
    table = {
        "path": "templates/chat 1.jinja",
        "sha256": DIGEST,
        "to": "chat.jinja",
        "variable": "CHAT",
        "licence": "mit",
    }
    (wish,) = read(tmp_path, table)
    assert wish.url == (tmp_path / "templates" / "chat 1.jinja").as_uri()
    assert (wish.origin, wish.licence) == ("file:templates/chat 1.jinja", "MIT")
    assert wish.variables == (("CHAT", "files/chat.jinja"),)


def test_both_variables_name_a_file_and_its_directory(tmp_path: Path) -> None:
    (wish,) = read(tmp_path, {**GOOD, "to": "a/b", "variable": "ONE", "directory_variable": "ALL"})
    assert wish.variables == (("ONE", "files/a/b"), ("ALL", "files/a"))


def test_a_missing_digest_of_a_file_here_is_shown_to_be_pasted(tmp_path: Path) -> None:
    (tmp_path / "chat.jinja").write_bytes(b"{{ messages }}")
    with pytest.raises(InvalidDocument) as caught:
        read(tmp_path, {"path": "chat.jinja"})
    line = f'sha256 = "{DIGEST}"'
    assert str(caught.value) == (
        f"NAME.toml invalid at 'files[0].sha256': missing: if the file is the one that you mean, write {line}"
    )
    assert read(tmp_path, {"path": "chat.jinja", **tomllib.loads(line)})[0].sha256 == DIGEST


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"url": URL}, r"files\[0\]\.sha256': missing: it is what pins the file; take it from whoever made it"),
        (
            {"path": "absent.txt"},
            r"files\[0\]\.sha256': missing, and the file cannot be read: .*absent\.txt: No such file",
        ),
        ({"sha256": DIGEST}, r"files\[0\]\.url': expected one of url and path"),
        ({**GOOD, "path": "a"}, r"files\[0\]\.url': expected one of url and path"),
        ({**GOOD, "url": "ftp://example.org/a"}, r"files\[0\]\.url': expected a URL"),
        ({**GOOD, "url": "https://me:secret@example.org/a"}, "credentials in a URL are refused"),
        ({"path": "/etc/passwd", "sha256": DIGEST}, r"files\[0\]\.path': expected a path relative to NAME\.toml"),
        ({"path": "~/a", "sha256": DIGEST}, r"expected a path relative to NAME\.toml, got '~/a'"),
        ({**GOOD, "sha256": DIGEST.upper()}, r"files\[0\]\.sha256': expected 64 hex digits"),
        ({**GOOD, "to": "../a"}, r"files\[0\]\.to': expected a path below files/ .*, got '\.\./a'"),
        ({**GOOD, "to": "/a"}, r"files\[0\]\.to'"),
        ({**GOOD, "to": "a/"}, r"files\[0\]\.to'"),
        ({**GOOD, "to": "a b"}, r"files\[0\]\.to'"),
        ({**GOOD, "url": "https://example.org/"}, r"files\[0\]\.to': .* got ''"),
        ({**GOOD, "url": "https://example.org/a%20b"}, r"files\[0\]\.to': .* got 'a b'"),
        ({**GOOD, "variable": "PATH"}, r"files\[0\]\.variable': expected the name of a variable that no shell"),
        ({**GOOD, "directory_variable": "LD_PRELOAD"}, r"files\[0\]\.directory_variable': expected the name"),
        ({**GOOD, "licence": "Apache 2"}, r"files\[0\]\.licence': expected an SPDX expression such as 'Apache-2.0'"),
        ({**GOOD, "summary": "a\nb"}, r"files\[0\]\.summary': expected one line"),
        ({**GOOD, "mode": "0755"}, r"files\[0\]\.mode': unknown key"),
    ],
)
def test_what_could_be_misunderstood_is_refused(tmp_path: Path, table: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read(tmp_path, table)


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("a", "a", r"files\[1\]\.to': files/a is another file's already"),
        ("a", "A", r"files\[1\]\.to': files/a is another file's already"),
        ("a", "a/b/c", r"files\[1\]\.to': of files/a/b/c and files/a one lies in the other"),
        ("a/b/c", "a", r"files\[1\]\.to': of files/a and files/a/b/c one lies in the other"),
        ("a/b/c", "A/b", r"files\[1\]\.to': of files/A/b and files/a/b/c one lies in the other"),
    ],
)
def test_two_files_do_not_meet(tmp_path: Path, first: str, second: str, problem: str) -> None:
    with pytest.raises(InvalidDocument, match=problem):
        read(tmp_path, {**GOOD, "to": first}, {**GOOD, "to": second})


def test_the_order_of_the_tables_does_not_matter(tmp_path: Path) -> None:
    tables = [{**GOOD, "to": name} for name in ("b/a", "a/z", "a/b")]
    assert read(tmp_path, *tables) == read(tmp_path, *reversed(tables))
    assert [wish.to for wish in read(tmp_path, *tables)] == ["a/b", "a/z", "b/a"]
