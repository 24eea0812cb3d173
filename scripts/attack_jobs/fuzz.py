"""Each parser is fed what a coverage-guided fuzzer (atheris) makes up; nothing but a named error comes out.

Each parser has a process of its own with limits of time and memory, and begins from good inputs and from what was found before.
What is found lies in ``tests/vectors/fuzz/PARSER`` afterwards, where ``tests/unit/test_parsers.py`` feeds it again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.parsers import KEPT, PARSERS

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 10
"""Longest that one input may take."""

RSS_MIB = 768
"""Most memory that the process may take, the fuzzer and what it keeps of the parser's coverage included."""


@dataclass(frozen=True)
class Fuzzed:
    """What came of one parser.

    Attributes:
        runs: inputs that were tried.
        found: files in which what was found was kept.
        words: the last words of the process where it found something, or could not begin.
    """

    parser: str
    runs: int
    found: tuple[Path, ...]
    words: str


def has_fuzzer() -> bool:
    """Whether atheris is installed for this Python."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(name: str, seconds: int, keep: Path = KEPT, package: str = "mirror") -> Fuzzed:
    """Fuzz one parser in a process of its own.

    Args:
        keep: a directory for what is found.
        package: whose coverage guides the fuzzer; all of mirror takes some seconds to prepare.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        corpus, crashes = Path(directory) / "corpus", Path(directory) / "found"
        corpus.mkdir()
        crashes.mkdir()
        parser = PARSERS[name]
        for number, seed in enumerate((*parser.seeds(), *parser.kept())):
            (corpus / f"{number}").write_bytes(seed)
        command = [sys.executable, "-m", "scripts.attack_jobs.fuzzing", name, package, f"-max_total_time={seconds}"]
        command += [
            f"-timeout={TIMEOUT_S}",
            f"-rss_limit_mb={RSS_MIB}",
            f"-artifact_prefix={crashes}/",
            "-max_len=65536",
        ]
        ran = subprocess.run([*command, str(corpus)], cwd=ROOT, capture_output=True, text=True, errors="replace")
        found = []
        for crash in sorted(crashes.iterdir()):
            data = crash.read_bytes()
            kept = keep / name / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
            found.append(kept)
    runs = re.findall(r"^#(\d+)", ran.stderr, re.MULTILINE)
    said = "\n".join(ran.stderr.splitlines()[-30:]) if ran.returncode or not runs else ""
    return Fuzzed(name, int(runs[-1]) if runs else 0, tuple(found), said)


def run(names: Sequence[str], seconds: int, workers: int, say: Callable[[str], object]) -> int:
    """Fuzz these parsers, print what was counted; the exit code."""
    if not has_fuzzer():
        say(
            "atheris is not installed for this Python: pip install '.[test]' brings it for CPython 3.11 to 3.13 on x86_64"
        )
        return 1
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda name: fuzz(name, seconds), names):
            results.append(result)
            say(f"{result.parser}: {result.runs:,} inputs" + (f", FOUND:\n{result.words}" if result.words else ""))
    print(f"{len(results)} parsers, {seconds} s each: {sum(result.runs for result in results):,} inputs")
    bad = [result for result in results if result.words]
    print(f"found: {len(bad)}")
    for result in bad:
        print(f"  {result.parser}: {', '.join(map(str, result.found)) or result.words.splitlines()[-1]}")
    return 1 if bad else 0
