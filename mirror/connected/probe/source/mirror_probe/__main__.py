"""``python -m mirror_probe [--json]``: one line for each GPU.

Exit status: 0 when every GPU computed what it should; 1 when one did not; 3 when there is no driver or no GPU.
"""

from __future__ import annotations

import argparse
import json
import sys

from mirror_probe import Driver, DriverError, NoDriver, Result, architecture, probe


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mirror_probe", description="Run one small kernel on each GPU.")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    as_json = parser.parse_args(arguments).json
    try:
        driver = Driver()
        version, results, problem = driver.version(), probe(driver), ""
    except (NoDriver, DriverError) as exc:
        version, results, problem = "", (), str(exc)
    if not results and not problem:
        problem = "the NVIDIA driver is here, but it shows no GPU"
    text = _document(version, results, problem) if as_json else _lines(version, results, problem)
    print(text)  # noqa: T201  # this is a program
    if problem:
        return 3
    return 0 if all(result.ok for result in results) else 1


def _document(version: str, results: tuple[Result, ...], problem: str) -> str:
    document = {
        "compiled_for": architecture(),
        "driver_cuda": version,
        "gpus": [vars(result) for result in results],
        "problem": problem,
    }
    return json.dumps(document, indent=2)


def _lines(version: str, results: tuple[Result, ...], problem: str) -> str:
    if problem:
        return f"mirror_probe for {architecture()}: {problem}"
    head = f"mirror_probe for {architecture()}; the driver supports CUDA {version}"
    return "\n".join([head, *[str(result) for result in results]])


if __name__ == "__main__":
    sys.exit(main())
