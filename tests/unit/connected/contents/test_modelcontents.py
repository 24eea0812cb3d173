"""What the files of a model say: the card, licence texts, tensors, and compiled code where none is expected."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mirror.connected.contents.inside import Contents
from mirror.connected.contents.modelcontents import read_model_file, with_cards
from tests.support.hub import CARD, make_model, make_safetensors
from tests.unit.core.binaries.test_native import cubin


def read(directory: Path, name: str, data: bytes) -> Contents:
    source = directory / "source"
    source.write_bytes(data)
    return read_model_file(source, name)


def card(directory: Path, *lines: str) -> Contents:
    return read(directory, "README.md", "\n".join(["---", *lines, "---", "# A model", ""]).encode())


def test_a_card_says_the_licence_and_in_its_first_line_what_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, "README.md", CARD)
    assert (found.licence, found.licence_stated, found.summary) == ("Apache-2.0", "", "Tiny, a model of two tensors")
    assert found.texts == (("README.md", CARD.decode()),) and found.faults == ()
    assert Contents.parse(found.encode()) == found


@pytest.mark.parametrize(
    ("lines", "licence", "stated"),
    [
        (["license: mit"], "MIT", ""),
        (["license: [cc-by-nc-4.0]"], "CC-BY-NC-4.0", ""),
        (["license: [mit, apache-2.0]"], "", "mit; apache-2.0"),
        (["license: llama3.1"], "", "llama3.1"),
        (["license: other", "license_name: qwen", "license_link: LICENSE"], "", "qwen LICENSE"),
        (["license: other"], "", "other"),
        (["license: unknown"], "", ""),
        (["tags: [a]"], "", ""),
        (["license: {a: b}"], "", ""),
        (["license: 3"], "", ""),
    ],
)
def test_a_licence_is_an_expression_or_stays_the_publishers_words(
    tmp_path: Path, lines: list[str], licence: str, stated: str
) -> None:
    found = card(tmp_path, *lines)
    assert (found.licence, found.licence_stated, found.faults) == (licence, stated, ())


@pytest.mark.parametrize("text", ["", "no front matter\n", "---\nlicense: mit\n"])
def test_a_card_without_front_matter_says_no_licence(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, "README.md", text.encode()).licence == ""


@pytest.mark.parametrize("line", ["a: [", "- a", "!!python/object/apply:os.system [true]", "a: 2026-99-99", "[" * 5000])
def test_front_matter_that_is_none_is_a_fault_and_nothing_is_run(tmp_path: Path, line: str) -> None:
    found = card(tmp_path, line)
    assert len(found.faults) == 1 and found.faults[0].startswith("the front matter of README.md cannot be read: ")
    assert (found.licence, len(found.texts)) == ("", 1)


def test_front_matter_that_grows_when_it_is_written_out_does_no_harm(tmp_path: Path) -> None:
    bomb = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)), "license: *a11"]
    assert card(tmp_path, *bomb).licence_stated == ""


@pytest.mark.group(11)
def test_front_matter_of_brackets_in_brackets_is_a_fault_at_once(tmp_path: Path) -> None:
    began = time.process_time()
    (fault,) = card(tmp_path, "[" * 200_000).faults
    assert fault.startswith("the front matter of README.md cannot be read: ")
    assert time.process_time() - began < 5, "the reader in Python would take an hour"


def test_a_licence_file_is_a_text(tmp_path: Path) -> None:
    assert read(tmp_path, "LICENSE", b"Some licence\n").texts == (("LICENSE", "Some licence\n"),)


def test_tensors_are_counted_and_a_false_header_is_a_fault(tmp_path: Path) -> None:
    data = make_model()["model.safetensors"]
    assert read(tmp_path, "model.safetensors", data).summary == "2 tensors (BF16, F32)"
    assert (
        read(tmp_path, "a/b.safetensors", make_safetensors({"w": ("F32", [1], bytes(4))})).summary == "1 tensor (F32)"
    )
    assert read(tmp_path, "a/b.safetensors", make_safetensors({})).summary == "0 tensors"
    assert read(tmp_path, "model.safetensors", data[:-1]).faults == (
        "model.safetensors: safetensors header invalid: its tensors end at byte 24, its data has 23 bytes",
    )


def test_compiled_code_in_a_repository_is_seen(tmp_path: Path) -> None:
    found = read(tmp_path, "kernels/a.so", cubin(0x06005A04))
    assert found.native.gpus == ("sm_90",)
    assert read(tmp_path, "config.json", b"{}") == Contents()


def test_a_cards_licence_is_that_of_its_repositorys_files_and_of_no_others() -> None:
    contents = {
        "models/org--tiny/README.md": Contents(licence="MIT", summary="Tiny"),
        "models/org--tiny/a/b.json": Contents(summary="b"),
        "models/org--tiny/a/README.md": Contents(licence="ISC"),
        "models/org--other/c.json": Contents(),
        "files/models/README.md": Contents(licence="ISC"),
        "wheels/a.whl": Contents(licence="BSD-3-Clause"),
    }
    found = with_cards(contents)
    assert {path: one.licence for path, one in found.items()} == {
        "models/org--tiny/README.md": "MIT",
        "models/org--tiny/a/b.json": "MIT",
        "models/org--tiny/a/README.md": "MIT",
        "models/org--other/c.json": "",
        "files/models/README.md": "ISC",
        "wheels/a.whl": "BSD-3-Clause",
    }
    assert found["models/org--tiny/a/b.json"].summary == "b"
