"""What a carried Python is asked to do, by itself: this file is run by it, and imports nothing but its standard library.

``mirror.connected.building.trial`` starts it, without network, and judges what it wrote.

Rule: each promise gets its line as soon as it was tried, so that whoever reads knows at which one the program died.

Example::

    main(Path("results.jsonl"), Path("scratch"), "/usr/bin/gcc")
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

KEPT, BROKEN, UNTRIED = "kept", "broken", "untried"

EXTENSION = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "trial", NULL, -1, methods};

PyMODINIT_FUNC PyInit_trial(void) { return PyModule_Create(&module); }
"""


class Untried(Exception):
    """It could not be tried, and that is no fault of the interpreter's."""


def main(results: Path, scratch: Path, compiler: str) -> None:
    """Try every promise, and write a line of JSON for each."""
    tried: dict[str, Callable[[], None]] = {
        "moves": lambda: moves(scratch / "python"),
        "ssl": has_ssl,
        "ctypes": has_ctypes,
        "lzma": has_lzma,
        "sqlite3": has_sqlite3,
        "venv": lambda: makes_venvs(scratch / "venv"),
        "extensions": lambda: compiles_extensions(scratch, compiler),
    }
    with results.open("w", encoding="utf-8") as stream:
        for promise, attempt in tried.items():
            outcome, words = KEPT, ""
            try:
                attempt()
            except Untried as exc:
                outcome, words = UNTRIED, str(exc)
            except Exception as exc:  # noqa: BLE001  # whatever an unknown Python raises is what is to be told
                outcome, words = BROKEN, f"{type(exc).__name__}: {exc}"
            stream.write(json.dumps([promise, outcome, words]) + "\n")
            stream.flush()


def moves(own: Path) -> None:
    """It finds its own library where it lies now, and not the one of this machine."""
    own = own.resolve()
    for found in (Path(sys.base_prefix), Path(os.__file__).parents[2]):
        if found.resolve() != own:
            raise RuntimeError(f"it takes its library from {found}, not from where it lies")


def has_ssl() -> None:
    import ssl

    ssl.create_default_context()


def has_ctypes() -> None:
    import ctypes

    if ctypes.CDLL(None).abs(-42) != 42:
        raise RuntimeError("abs(-42) is not 42")


def has_lzma() -> None:
    import lzma

    if lzma.decompress(lzma.compress(b"mirror")) != b"mirror":
        raise RuntimeError("what it compresses it does not give back")


def has_sqlite3() -> None:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    found = connection.execute("select 40 + 2").fetchone()
    connection.close()
    if found != (42,):
        raise RuntimeError(f"40 + 2 is {found[0]}")


def makes_venvs(directory: Path) -> None:
    """Without pip: what a bundle's venv is filled with comes from the bundle."""
    import venv

    venv.create(directory, symlinks=True, with_pip=False)
    said = _said([str(directory / "bin" / "python"), "-I", "-c", "import encodings, sys; print(sys.prefix)"])
    if Path(said).resolve() != directory.resolve():
        raise RuntimeError(f"a venv's Python takes {said} for its own directory, which is {directory}")


def compiles_extensions(scratch: Path, compiler: str) -> None:
    """As Triton and torch do at a server's first start."""
    import importlib.util
    import sysconfig

    if not compiler:
        raise Untried("this machine has no C compiler (gcc, clang or cc)")
    plain, source, module = (scratch / name for name in ("plain.c", "trial.c", "trial.so"))
    plain.write_text("#include <limits.h>\nint answer(void) { return INT_MAX; }\n", "utf-8")
    source.write_text(EXTENSION, "utf-8")
    try:
        _said([compiler, "-shared", "-fPIC", str(plain), "-o", str(module)])
    except RuntimeError as exc:
        raise Untried(f"this machine's {compiler} compiles no C at all ({exc})") from exc
    # Not Debian's own scheme, "posix_local", which is of a Python that stays where it is; Triton passes over it, too.
    paths = sysconfig.get_paths(scheme="posix_prefix")
    headers = [f"-I{path}" for path in dict.fromkeys((paths["include"], paths["platinclude"]))]
    _said([compiler, "-shared", "-fPIC", *headers, str(source), "-o", str(module)])
    spec = importlib.util.spec_from_file_location("trial", str(module))
    if spec is None or spec.loader is None:
        raise RuntimeError(f"it finds no way to import {module}")
    trial = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trial)
    if trial.answer() != 42:
        raise RuntimeError("the extension does not answer 42")


def _said(command: list[str]) -> str:
    """What a program prints. Raises RuntimeError with its first complaint."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise RuntimeError(str(exc)) from exc
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(next((line for line in lines if "error" in line), lines[0]))
    return done.stdout.decode("utf-8", "replace").strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
