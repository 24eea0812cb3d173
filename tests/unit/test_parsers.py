"""A sample of ``scripts/attack fuzz``: each parser is fed altered inputs, and only named errors come out."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument
from scripts.attack_jobs.fuzz import ROOT, has_fuzzer
from tests.support.parsers import PARSERS, Parser

INPUTS = 80
"""Altered inputs for each parser."""

TIME_S = 5.0
"""Longest for one input; the slowest takes a hundredth of it on an idle machine."""

MEMORY = 96 << 20
"""Most that one parser may add to what the process had at its greatest, in bytes."""


def altered(parser: Parser) -> Iterator[bytes]:
    """Its good inputs, each cut, doubled, with bytes flipped, exchanged and inserted: the same in every run."""
    seeds = [seed for seed in parser.seeds() if seed]
    draw = random.Random(parser.name)
    yield from (b"", b"\0", b"\xff" * 64, b"[" * 5000, b"9" * 6000, b'{"a":' * 5000, *seeds)
    for _ in range(INPUTS // 10 if parser.has_a_process else INPUTS):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            at, size = draw.randrange(len(data) + 1), draw.choice((1, 1, 2, 4, 8, 64))
            piece = draw.choice(
                (draw.randbytes(size), b"\xff" * size, bytes(size), bytes(data[at : at + size]), b"9" * size)
            )
            kind = draw.randrange(4)
            if kind == 0:
                data[at : at + size] = piece
            elif kind == 1:
                data[at:at] = piece
            elif kind == 2:
                del data[at : at + size]
            else:
                data = data[:at] if draw.random() < 0.2 else data + piece
        yield bytes(data)


@pytest.mark.group(11, 21, 33, 36)
@pytest.mark.parametrize("name", PARSERS)
def test_nothing_but_a_named_error_comes_out_in_bounded_time_and_memory(name: str) -> None:
    parser = PARSERS[name]
    inputs = [*altered(parser), *parser.kept()]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for data in inputs:
        began = time.process_time()
        parser.feed(data)
        assert time.process_time() - began < TIME_S, data[:200]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < MEMORY


def test_what_a_parser_promises_does_come_out_of_good_inputs() -> None:
    """A seed that every parser refuses at once would show nothing: most are taken, and all are of the right kind."""
    taken = 0
    for parser in PARSERS.values():
        for seed in parser.seeds():
            try:
                parser.parse(seed)
                taken += 1
                break
            except Exception:  # noqa: BLE001 - counted by what is left
                continue
    assert taken > 0.8 * len(PARSERS)


def test_an_error_that_nobody_promised_is_no_answer() -> None:
    def parse(data: bytes) -> None:
        raise InvalidDocument("a", "b", "c") if data else KeyError("x")

    parser = Parser("bad", parse, lambda: [b""], (ValueError,))
    parser.feed(b"x")
    with pytest.raises(KeyError):
        parser.feed(b"")


@pytest.mark.skipif(not has_fuzzer(), reason="needs atheris")
def test_the_fuzzer_runs_a_parser_and_counts_no_memory_of_whoever_started_it(tmp_path: Path) -> None:
    large = f"""
from pathlib import Path
from scripts.attack_jobs.fuzz import RSS_MIB, fuzz
memory = b"x" * ((RSS_MIB + 100) << 20)
fuzzed = fuzz("wheel-name", 2, Path({str(tmp_path)!r}), "mirror.core.wheels.tags")
print(fuzzed.runs > 100, fuzzed.found, fuzzed.words)
"""
    done = subprocess.run([sys.executable, "-c", large], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True () \n"
