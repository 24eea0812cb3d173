"""What is inside the files of a model: its card's words, its licence texts, what its tensors are.

``mirror.core.vetting.modelfile`` judges whether a file is what its name says, and whether it runs code.

Rules: the card is ``README.md`` at the top of the repository, whose front matter (YAML between two lines of dashes) names the
licence; what it says holds for every file of the repository. Weights are not read through: their bytes are held to their digest
elsewhere.

Example::

    contents = with_cards({artifact.path: read_model_file(source, name) for artifact, source, name in files})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mirror.connected.contents.filecontents import read_file, read_text
from mirror.connected.contents.inside import Contents, words
from mirror.connected.contents.licences import licence_of
from mirror.connected.pins.foreignyaml import parse_yaml
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import MODEL
from mirror.core.vetting.safetensors import read_header

CARD = "README.md"


def read_model_file(source: Path, name: str) -> Contents:
    """What one file of a model is; ``name`` is its path in the repository. Raises OSError when the file cannot be read."""
    if name == CARD:
        return _card(source)
    if name.lower().endswith(".safetensors"):
        return _tensors(source, name)
    return read_file(source, name)


def with_cards(contents: Mapping[str, Contents]) -> dict[str, Contents]:
    """The same, every file of a model with the licence that its repository's card names, by path in the bundle."""
    cards = {path.rpartition("/")[0]: one for path, one in contents.items() if _is_card(path)}
    found = {}
    for path, one in contents.items():
        repository = "/".join(path.split("/")[:2])
        card = cards.get(repository) if path.startswith(f"{MODEL.directory}/") else None
        found[path] = replace(one, licence=card.licence, licence_stated=card.licence_stated) if card else one
    return found


def _is_card(path: str) -> bool:
    directory, *names = path.split("/")
    return directory == MODEL.directory and len(names) == 2 and names[1] == CARD


def _card(source: Path) -> Contents:
    text = read_text(source)
    try:
        facts, body = _front_matter(text)
        faults: tuple[str, ...] = ()
    except ValueError as exc:
        facts, body, faults = {}, text, (words(f"the front matter of {CARD} cannot be read: {exc}"),)
    said = licence_of(*_licence(facts))
    return Contents(
        summary=next((line for raw in body.splitlines() if (line := words(raw.strip(" #*")))), ""),
        licence=said.expression,
        licence_stated=words(said.stated),
        texts=((CARD, text),),
        faults=faults,
    )


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    """What is between the dashes, and what follows."""
    if not text.startswith("---\n"):
        return {}, text
    head, dashes, body = text[3:].partition("\n---\n")
    facts = parse_yaml(head) if dashes else None
    if not isinstance(facts, dict):
        raise ValueError("expected a table between two lines of dashes")
    return facts, body


def _licence(facts: Mapping[str, Any]) -> tuple[str, str]:
    """An expression, where the card has one word for it, and a publisher's words otherwise."""
    licence = facts.get("license")
    # Texts alone: of a YAML list that names itself many times, str() would not end.
    listed = [one for one in licence if isinstance(one, str)] if isinstance(licence, list) else []
    if len(listed) > 1:
        return "", "; ".join(listed)
    word = listed[0] if listed else licence if isinstance(licence, str) else ""
    if word == "other":
        named = (facts.get(key) for key in ("license_name", "license_link"))
        return "", " ".join(one for one in named if isinstance(one, str)) or word
    return "" if word == "unknown" else word, ""


def _tensors(source: Path, name: str) -> Contents:
    try:
        with source.open("rb") as stream:
            header = read_header(stream, source.stat().st_size)
    except InvalidDocument as exc:
        return Contents(faults=(words(f"{name}: {exc}"),))
    count = f"{header.tensors} tensor{'' if header.tensors == 1 else 's'}"
    return Contents(summary=words(f"{count} ({', '.join(header.types)})" if header.types else count))
