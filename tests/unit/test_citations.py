"""What the sources cite of the handbook's documents (SECURITY.md, CUDA.md, DESIGN.md) is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.cli.commands.anywhere.help import DOCUMENTS, page
from mirror.core.logs.symptoms import SYMPTOMS

HOUSE = Path(__file__).parents[2]
NAMES = "|".join(topic.upper() for topic in DOCUMENTS)
WORD = re.compile(
    r"[\s,]*(?:(-|(?:and|to|sections?|rows?|findings?)(?!\w))|([A-Z]?\d+(?:\.\d+)?[a-z]?|[A-H])(?![\w.]?\w))"
)
CITATION = re.compile(rf"\b({NAMES})\.md\b")


def sources() -> Iterator[Path]:
    for directory in ("mirror", "tests", "scripts"):
        for path in sorted((HOUSE / directory).rglob("*")):
            if path.suffix in (".py", "") and path.is_file() and "__pycache__" not in path.parts:
                yield path


def places(topic: str) -> set[str]:
    """What can be cited of a page: ``"2.3"`` for a section, ``"row 29"``, ``"finding 6"``."""
    text = page(topic)
    found = set(re.findall(r"^##+ ([A-H]?\d*(?:\.\d+)?)\.?(?= )", text, re.MULTILINE))
    found |= {f"row {name}" for name in re.findall(r"^- \*\*(\w+)\*\* ", text, re.MULTILINE)}
    first = text.partition("\n## 1.")[0]
    return found | {f"finding {number}" for number in re.findall(r"^(\d+)\. ", first, re.MULTILINE)}


def citations(text: str) -> Iterator[tuple[str, str]]:
    """Page and place of each citation, as ``places`` spells them."""
    text = re.sub(r"\s*\n\s*(?:# )?", " ", text)
    for found in CITATION.finditer(text):
        topic, at, noun, last, is_range = found[1].lower(), found.end(), "", "", False
        while word := WORD.match(text, at):
            at = word.end()
            if word[1] in ("and", "to", "-"):
                is_range = word[1] != "and"
            elif word[1]:
                noun = word[1].rstrip("s")
            else:
                numbers = range(int(last) + 1, int(word[2]) + 1) if is_range else (word[2],)
                yield from ((topic, place_of(topic, noun, str(one))) for one in numbers)
                last, is_range = word[2], False


def place_of(topic: str, noun: str, name: str) -> str:
    """How ``places`` spells what a source calls ``"section 0"``, ``"T4"``, ``"39"``, ``"A5"`` or ``"2.3"``."""
    if noun == "finding":
        return f"finding {name}"
    is_row = name[0].isdigit() and "." not in name if topic == "cuda" else name[0] in "TB" or "." not in name
    return name if topic == "design" or noun == "section" or not is_row else f"row {name}"


ALL = [(path, *found) for path in sources() if path != Path(__file__) for found in citations(path.read_text("utf-8"))]


@pytest.mark.parametrize("topic", DOCUMENTS)
def test_every_place_that_a_source_cites_is_on_the_page(topic: str) -> None:
    there = places(topic)
    cited = [(path, place) for path, name, place in ALL if name == topic]
    assert cited, "the sources cite it"
    assert not [f"{path.relative_to(HOUSE)}: {place}" for path, place in cited if place not in there]


def test_every_row_that_the_doctor_tells_is_on_the_page() -> None:
    assert {f"row {symptom.row}" for symptom in SYMPTOMS if symptom.row} <= places("cuda")


def test_every_citation_names_a_place() -> None:
    """All but those of a page as a whole."""
    told = sum(len(CITATION.findall(path.read_text("utf-8"))) for path in sources() if path != Path(__file__))
    assert told > 150
    assert len(ALL) > told


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(SECURITY.md 56); bytes", [("security", "row 56")]),
        ("SECURITY.md\n    section 0): S", [("security", "0")]),
        ("SECURITY.md 2.3, 22 to 24, T14", [("security", x) for x in ("2.3", "row 22", "row 23", "row 24", "row T14")]),
        ("SECURITY.md findings 4 and 5)", [("security", "finding 4"), ("security", "finding 5")]),
        ("SECURITY.md T18, 19-21, DESIGN.md section 5",
         [*[("security", x) for x in ("row T18", "row 19", "row 20", "row 21")], ("design", "5")]),
        ("CUDA.md B4,\n            # C3).", [("cuda", "B4"), ("cuda", "C3")]),
        ("CUDA.md E 39, 44b.", [("cuda", "E"), ("cuda", "row 39"), ("cuda", "row 44b")]),
        ("row of CUDA.md E, cause, next", [("cuda", "E")]),
        ("SECURITY.md 999", [("security", "row 999")]),
    ],
)  # fmt: skip
def test_a_citation_is_read_as_people_read_it(text: str, found: list[tuple[str, str]]) -> None:
    assert list(citations(text)) == found


def test_what_is_not_there_cannot_be_cited() -> None:
    assert "row 999" not in places("security") and "A13" not in places("cuda") and "10" not in places("design")
    assert {"0", "2.3", "row 74", "row T24", "row B9", "finding 10"} <= places("security")
    assert {"A1", "A12", "B3", "C5", "D", "E", "row 44b"} <= places("cuda")
    assert {"4", "9"} <= places("design")
