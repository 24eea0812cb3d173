"""The process in which one parser is fuzzed.

``python -m scripts.attack_jobs.fuzzing PARSER PACKAGE [libFuzzer's options] CORPUS``: the coverage of PACKAGE guides it.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    name, package = sys.argv.pop(1), sys.argv.pop(1)
    with atheris.instrument_imports(include=[package]):
        from tests.support.parsers import PARSERS
    atheris.Setup(sys.argv, PARSERS[name].feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
