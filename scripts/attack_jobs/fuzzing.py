"""The process in which one parser is fuzzed.

``python -m scripts.attack_jobs.fuzzing PARSER PACKAGE [libFuzzer's options] CORPUS``: the coverage of PACKAGE guides it.
"""

from __future__ import annotations

import os
import sys

import atheris


def main() -> None:
    name, package = sys.argv.pop(1), sys.argv.pop(1)
    with atheris.instrument_imports(include=[package]):
        from tests.support.parsers import PARSERS
    atheris.Setup(sys.argv, PARSERS[name].feed)
    atheris.Fuzz()


def in_a_child() -> int:
    """Fuzz in a forked child; its exit code.

    libFuzzer's limit of memory is on ``ru_maxrss``, and Linux hands that of whoever called ``exec`` on to the program that it
    becomes: a large test process would be taken for the fuzzer's own memory. Only ``fork`` begins at nothing.
    """
    child = os.fork()
    if not child:
        main()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(in_a_child())
