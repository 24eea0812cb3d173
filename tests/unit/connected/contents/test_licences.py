"""From publishers' words to SPDX where they can mean one licence only, and the one file of all texts."""

from __future__ import annotations

import pytest

from mirror.connected.contents import licences
from mirror.connected.contents.licences import (
    MAX_TEXT_BYTES,
    Licence,
    is_licence_file,
    licence_of,
    licences_txt,
    text_of,
)

OSI = "License :: OSI Approved :: "
MIT_TEXT = "MIT License\n\nCopyright (c) 2022 A\n\nPermission is hereby granted, free of charge, to any person\n"


@pytest.mark.parametrize(
    ("expression", "words", "classifiers", "spdx"),
    [
        ("mit and apache-2.0", "", [], "MIT AND Apache-2.0"),  # PEP 639: case is put right
        ("Apache-2.0", "BSD", [f"{OSI}MIT License"], "Apache-2.0"),  # core metadata 2.4 goes before everything
        ("", "MIT", [], "MIT"),
        (
            "",
            "LicenseRef-NVIDIA-Proprietary",
            ["License :: Other/Proprietary License"],
            "LicenseRef-NVIDIA-Proprietary",
        ),
        ("", "Apache 2.0", [f"{OSI}Apache Software License"], "Apache-2.0"),
        ("", "Apache License, Version 2.0", [], "Apache-2.0"),
        ("", "3-Clause BSD License", [f"{OSI}BSD License"], "BSD-3-Clause"),
        ("", "ISC License", [f"{OSI}ISC License (ISCL)", "Topic :: Internet"], "ISC"),
        ("", "", [f"{OSI}MIT License"], "MIT"),
        ("", "", ["License :: OSI Approved", f"{OSI}MIT License"], "MIT"),
        ("", MIT_TEXT, [], "MIT"),
        ("", "MIT OR Apache-2.0", [f"{OSI}MIT License", f"{OSI}Apache Software License"], "MIT OR Apache-2.0"),
    ],
)
def test_words_that_can_mean_one_licence_only_become_its_expression(
    expression: str, words: str, classifiers: list[str], spdx: str
) -> None:
    assert licence_of(expression, words, classifiers) == Licence(spdx)


@pytest.mark.parametrize(
    ("words", "classifiers", "stated"),
    [
        ("", [], ""),
        ("BSD", [f"{OSI}BSD License"], "BSD; BSD License"),  # two clauses, three, four?
        ("", [f"{OSI}Apache Software License"], "Apache Software License"),  # 1.1 or 2.0
        ("MIT License", [f"{OSI}Apache Software License", f"{OSI}MIT License"], "MIT License; Apache Software License"),
        ("Apache 2.0", ["License :: Other/Proprietary License"], "Apache 2.0; Other/Proprietary License"),
        ("", ["License :: Other/Proprietary License"], "Other/Proprietary License"),
        ("NVIDIA Proprietary Software", [], "NVIDIA Proprietary Software"),
        (MIT_TEXT + "of software\n" * 200, [], "MIT License"),  # something follows: more licences, perhaps
        ("Copyright A.\n" + MIT_TEXT, [], "Copyright A."),
        ("x" * 300, [], "x" * 200 + "..."),
    ],
)
def test_words_that_could_mean_several_stay_words(words: str, classifiers: list[str], stated: str) -> None:
    assert licence_of("", words, classifiers) == Licence("", stated)


def test_an_expression_that_is_none_is_shown_as_it_was_stated() -> None:
    assert licence_of("Our own, see the file", "MIT") == Licence("", "Our own, see the file")


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("a-1.dist-info/licenses/third_party/any.name", True),
        ("/usr/share/licenses/cuda-nvcc-13-0/EULA", True),
        ("a-1.dist-info/LICENSE", True),
        ("a/vendor/License.txt", True),
        ("a/LICENCE-MIT", True),
        ("a/COPYING.LESSER", True),
        ("a/THIRD-PARTY-NOTICES.txt", True),
        ("a/license.py", False),
        ("a/licenses.json", False),
        ("a/notice.cpython-311-x86_64-linux-gnu.so", False),
        ("a/licensing.txt", False),
        ("a/unlicensed/code.txt", False),
    ],
)
def test_a_licence_file_is_known_by_its_name_or_its_place(path: str, is_one: bool) -> None:
    assert is_licence_file(path) is is_one


def test_each_text_is_there_once_under_everything_that_holds_it() -> None:
    texts = [
        ("wheels/b.whl", "b/LICENSE", "MIT\n"),
        ("wheels/a.whl", "a/NOTICE", "other\n"),
        ("wheels/a.whl", "a/LICENSE", "MIT\n"),
    ]
    made = licences_txt(texts).decode()
    assert made.count("MIT\n") == made.count("other\n") == 1
    assert "wheels/a.whl: a/LICENSE\nwheels/b.whl: b/LICENSE\n" in made
    assert "2 texts" in made
    assert licences_txt(reversed(texts)).decode() == made


def test_a_text_is_made_plain_and_cut_with_a_note() -> None:
    assert text_of(b"\xef\xbb\xbfA\r\nB\rC\0 \xff\n\n", 11) == "A\nB\nC \N{REPLACEMENT CHARACTER}\n"
    cut = text_of(b"x" * MAX_TEXT_BYTES, MAX_TEXT_BYTES + 7)
    assert cut.endswith(
        f"x\n[cut here by mirror: the file has {MAX_TEXT_BYTES + 7} bytes, {MAX_TEXT_BYTES} are kept]\n"
    )


def test_more_texts_than_there_is_room_for_are_named_by_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "MAX_TOTAL_BYTES", 5)
    made = licences_txt([("wheels/a.whl", "LICENSE", "one\n"), ("wheels/b.whl", "LICENSE", "two\n")]).decode()
    assert "one\n" in made and "two\n" not in made
    assert "wheels/b.whl: LICENSE" in made
    assert "more than 5 bytes of texts; sha256 27dd8ed4" in made
