"""The process in which one parser is fuzzed: ``python -m scripts.attack_jobs.fuzzing PARSER [libFuzzer's options] CORPUS``."""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["mirror"]):
        from tests.support.parsers import PARSERS
    atheris.Setup(sys.argv, PARSERS[name].feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
