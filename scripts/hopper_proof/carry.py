"""Bundles cut into pieces that fit through the gap, and put together again.

The second bundle holds most of the members of the first, so it travels as a recipe: which of its bytes are the first one's,
at which offset, and the bytes that are not. Whether the result is right is for its signature to say.

Rule: pieces are read and written in blocks; a piece that is missing or short ends the run.

Example::

    split(Path("bundle.tar"), Path("carried"), piece_bytes=55 << 20)
    join(Path("carried"), Path("bundle.tar"))
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

_BLOCK = 1 << 20


def split(bundle: Path, directory: Path, piece_bytes: int) -> list[Path]:
    """Cut a file into numbered pieces."""
    pieces = []
    with bundle.open("rb") as source:
        for number in range(-(-bundle.stat().st_size // piece_bytes)):
            piece = directory / f"{bundle.name}.{number:02}"
            piece.write_bytes(source.read(piece_bytes))
            pieces.append(piece)
    return pieces


def join(directories: list[Path], name: str, output: Path) -> None:
    """Put pieces together again, wherever among the directories they lie."""
    found = [piece for directory in directories for piece in directory.glob(f"{name}.[0-9][0-9]")]
    pieces = sorted(found, key=lambda piece: piece.name)
    numbers = [int(piece.suffix[1:]) for piece in pieces]
    if not pieces or numbers != list(range(len(pieces))):
        raise SystemExit(f"hopper-proof: pieces of {name} are missing: there are {numbers}")
    with output.open("wb") as target:
        for piece in pieces:
            target.write(piece.read_bytes())


def write_recipe(old: Path, new: Path, recipe: Path, rest: Path) -> None:
    """Say how ``new`` is made of parts of ``old``, and write the bytes that ``old`` lacks."""
    with tarfile.open(old) as archive:
        there = {(member.name, member.size): member.offset_data for member in archive}
    steps: list[list[int | str]] = []
    with tarfile.open(new) as archive, new.open("rb") as source, rest.open("wb") as out:
        at = 0
        for member in archive:
            offset = there.get((member.name, member.size))
            if offset is None or not _same(old, offset, new, member.offset_data, member.size):
                continue
            source.seek(at)
            out.write(source.read(member.offset_data - at))
            steps += [["new", member.offset_data - at], ["old", offset, member.size]]
            at = member.offset_data + member.size
        source.seek(at)
        tail = source.read()
        out.write(tail)
        steps.append(["new", len(tail)])
    recipe.write_text(json.dumps(steps))


def follow_recipe(old: Path, recipe: Path, rest: Path, output: Path) -> None:
    """Inverse of ``write_recipe``."""
    with old.open("rb") as before, rest.open("rb") as new, output.open("wb") as out:
        for step in json.loads(recipe.read_text()):
            source, left = (new, step[1]) if step[0] == "new" else (before, step[2])
            if step[0] == "old":
                before.seek(step[1])
            while left:
                block = source.read(min(left, _BLOCK))
                if not block:
                    raise SystemExit(f"hopper-proof: {source.name} is too short")
                out.write(block)
                left -= len(block)


def _same(one: Path, at: int, other: Path, other_at: int, size: int) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        first.seek(at)
        second.seek(other_at)
        while size:
            block = min(size, _BLOCK)
            if first.read(block) != second.read(block):
                return False
            size -= block
    return True
