"""Vetting held against uv and pip themselves: whatever one of them refuses to install, vetting finds."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import uv

from mirror.core.vetting.together import vet_set
from mirror.core.vetting.wheel import judge_wheel
from mirror.core.wheels.wheelfile import read_wheel
from tests.support.wheels import metadata
from tests.support.zips import Entry, zip_bytes
from tests.unit.core.vetting.test_wheel import INFO, TARGET, WHEEL, artifact, entry_points, record_of, wheel

DATA = "left_pad-1.0.data"
SAID = metadata("left-pad", "1.0")


def said(*lines: str, of: str = SAID, encoding: str = "utf-8") -> dict[str, bytes | None]:
    return {f"{INFO}/METADATA": (of + "".join(f"{line}\n" for line in lines)).encode(encoding)}


def described(text: str, encoding: str = "utf-8") -> dict[str, bytes | None]:
    return {f"{INFO}/WHEEL": text.encode(encoding)}


def points(text: str, encoding: str = "utf-8") -> dict[str, bytes | None]:
    return {f"{INFO}/entry_points.txt": text.encode(encoding)}


FILES: dict[str, Mapping[str, bytes | None]] = {
    "sound": {},
    # what is where
    "a file and a directory": {"a/b": b"1", "a/b/c": b"2"},
    "a file and a directory of purelib": {"a": b"1", f"{DATA}/purelib/a/c": b"2"},
    "a header and a directory of headers": {f"{DATA}/headers/a": b"1", f"{DATA}/headers/a/b": b"2"},
    "a script and a directory of data": {f"{DATA}/scripts/x": b"#!python\n", f"{DATA}/data/bin/x/y": b"2"},
    "an entry point and a directory of data": {f"{DATA}/data/bin/pad/y": b"2", **entry_points("pad=left_pad:main")},
    "a file in place of lib": {f"{DATA}/data/lib": b"1"},
    "a directory in place of pyvenv.cfg": {f"{DATA}/data/pyvenv.cfg/x": b"1"},
    "a directory of scripts": {f"{DATA}/scripts/sub/tool": b"#!python\n"},
    "a directory of compiled scripts": {f"{DATA}/scripts/__pycache__/x.pyc": b"1"},
    "an unknown scheme": {f"{DATA}/lib/x": b"1"},
    "a scheme in capitals": {f"{DATA}/Scripts/x": b"1"},
    "a file in no scheme": {f"{DATA}/x": b"1"},
    "a file that is a scheme": {f"{DATA}/purelib": b"1"},
    "a file that is the data directory": {DATA: b"1"},
    "a file with the name of a data directory": {"any.data": b"1"},
    "another data directory": {"other.data/x": b"1"},
    "a data directory below": {"pkg/any.data/scripts/y/z": b"1"},
    "two metadata directories": {"other-1.0.dist-info/METADATA": b"x"},
    "a file with the name of a metadata directory": {"x.dist-info": b"x"},
    "a metadata directory below": {"sub/other-1.0.dist-info/METADATA": b"x"},
    "METADATA is a directory": {f"{INFO}/METADATA": None, f"{INFO}/METADATA/x": b"1"},
    "entry_points.txt is a directory": {f"{INFO}/entry_points.txt/x": b"1"},
    "INSTALLER is a directory": {f"{INFO}/INSTALLER/x": b"1"},
    "REQUESTED is a directory": {f"{INFO}/REQUESTED/x": b"1"},
    "direct_url.json is a directory": {f"{INFO}/direct_url.json/x": b"1"},
    "a path longer than Linux allows": {"/".join(["d" * 200] * 25) + "/x.py": b"1"},
    "a script's name longer than Linux allows": {f"{DATA}/scripts/{'x' * 300}": b"#!python\n"},
    "a deep path": {"d/" * 300 + "x.py": b"1"},
    "a script without an end of line": {f"{DATA}/scripts/x": b"#!python"},
    "a script that is a program": {f"{DATA}/scripts/x": b"\x7fELF" + bytes(99)},
    "a name with a comma": {"a;b.py": b"1"},
    # METADATA
    "no METADATA": {f"{INFO}/METADATA": None},
    "an empty METADATA": said(of=""),
    "METADATA in Latin-1": said("Author: J\u00f6rg", encoding="latin-1"),
    "a description in Latin-1": said("", "J\u00f6rg", encoding="latin-1"),
    "METADATA in UTF-16": said(encoding="utf-16"),
    "METADATA with a byte order mark": said(of="\ufeff" + SAID),
    "METADATA that begins with a blank line": said(of="\n" + SAID),
    "METADATA that begins with nonsense": said(of="nonsense\n" + SAID),
    "METADATA of a new version": said(of=SAID.replace("2.2", "3.0")),
    "METADATA of no version": said(of=SAID.replace("Metadata-Version: 2.2\n", "")),
    "an unreadable requirement": said("Requires-Dist: a ===== b"),
    "an old requirement": said("Requires-Dist: numpy >=1.0.*"),
    "an empty requirement": said("Requires-Dist:"),
    "a requirement with an unknown marker": said("Requires-Dist: x; foo == 'b'"),
    "an unreadable Requires-Python": said("Requires-Python: three"),
    "another Requires-Python": said("Requires-Python: <3"),
    "a name that is none": said(of=SAID.replace("left-pad", "-left-pad-")),
    "a version that is none": said(of=metadata("left-pad", "1.0-x-y")),
    "an equal version": said(of=metadata("left-pad", "v1.0.0")),
    "lower-case keys": said(of=SAID.replace("Name", "name")),
    # WHEEL
    "no WHEEL": {f"{INFO}/WHEEL": None},
    "an empty WHEEL": described(""),
    "WHEEL in Latin-1": described(WHEEL + "Generator: J\u00f6rg\n", "latin-1"),
    "WHEEL with a byte order mark": described("\ufeff" + WHEEL),
    "WHEEL of a new format": described("Wheel-Version: 2.0\nTag: py3-none-any\n"),
    "WHEEL of half a format": described("Wheel-Version: 1\nTag: py3-none-any\n"),
    "WHEEL of no format": described("Tag: py3-none-any\n"),
    "WHEEL in lower case": described(WHEEL.lower()),
    "WHEEL that begins with nonsense": described("nonsense\n" + WHEEL),
    "an odd Root-Is-Purelib": described(WHEEL + "Root-Is-Purelib: maybe\n"),
    # RECORD
    "no RECORD": {f"{INFO}/RECORD": None},
    "an empty RECORD": {f"{INFO}/RECORD": b""},
    "RECORD in Latin-1": {f"{INFO}/RECORD": record_of({"a": b""}).encode() + b"\xf6,,\n"},
    "RECORD in UTF-16": {f"{INFO}/RECORD": "x,,\n".encode("utf-16")},
    # entry_points.txt
    "entry points in Latin-1": points("[console_scripts]\n# J\u00f6rg\n", "latin-1"),
    "entry points in UTF-16": points("[a]\n", "utf-16"),
    "entry points with a byte order mark": points("\ufeff[console_scripts]\npad = left_pad:main\n"),
    "entry points without a group": points("pad = left_pad:main\n"),
    "an empty name of a group": points("[]\n"),
    "a group twice": points("[x]\na = b\n[x]\nc = d\n"),
    "a plugin twice": points("[x]\na = b\na = c\n"),
    "a plugin without a value": points("[x]\na\n"),
    "an indented script": points("[console_scripts]\npad = left_pad:main\n  pad2 = left_pad:main\n"),
    "a script on two lines": entry_points("pad = ", "  left_pad:main"),
    "a script twice": entry_points("pad = left_pad:main", "pad = left_pad:main"),
    "two scripts of one name": entry_points("pad = left_pad:main", "pad = left_pad:other"),
    "two scripts that differ in case": entry_points("pad = left_pad:main", "Pad = left_pad:main"),
    "a script without an object": entry_points("pad = left_pad"),
    "a script without a call": entry_points("pad ="),
    "a script with a colon": entry_points("pad : left_pad:main"),
    "a script below": entry_points("a/b = left_pad:main"),
    "a script with a long name": entry_points("x" * 300 + " = left_pad:main"),
    "a script named python": entry_points("python = left_pad:main"),
    "a script of a name with a dash": entry_points("pad = left-pad:main"),
    "a script with blanks about the colon": entry_points("pad = left_pad : main"),
    "a script of a module that ends with a dot": entry_points("pad = left_pad.:main"),
    "a script with a comment": entry_points("pad = left_pad:main # comment"),
    "a script with extras": entry_points("pad = left_pad:main [a, b]"),
    "a script with no extra": entry_points("pad = left_pad:main []"),
    "a script with odd extras": entry_points("pad = left_pad:main [a; b]"),
    "a script with a dash in an extra": entry_points("pad = left_pad:main [a-b]"),
}  # fmt: skip


def wheels() -> Iterator[tuple[str, bytes]]:
    for name, files in FILES.items():
        yield name, wheel(files)
    yield "RECORD with an empty line", wheel(record=lambda text: text + "\n")
    yield "RECORD with four columns", wheel(record=lambda text: text + "a,b,c,d\n")
    yield "RECORD with two columns", wheel(record=lambda text: text.replace("RECORD,,", "RECORD,"))
    yield "RECORD with an open quote", wheel(record=lambda text: text + '"a\n')
    yield "RECORD with a byte order mark", wheel(record=lambda text: "\ufeff" + text)
    yield "RECORD with semicolons", wheel(record=lambda text: text.replace(",", ";"))
    yield (
        "RECORD that names a script otherwise",
        wheel(
            {f"{DATA}/scripts/x": b"#!python\n"},
            record=lambda text: text.replace(f"{DATA}/scripts", f"./{DATA}/scripts"),
        ),
    )
    for name in (f"{DATA}/scripts/sub/", f"{DATA}/lib/", "left_pad.py/", "other-1.0.dist-info/", "empty/"):
        members = {"left_pad.py": b"x", f"{INFO}/METADATA": SAID.encode(), f"{INFO}/WHEEL": WHEEL.encode()}
        entry = Entry(name, mode=0o40755, method=0)
        yield name, zip_bytes([*(Entry(p, d) for p, d in members.items()), entry, record_entry(members)])


def record_entry(files: Mapping[str, bytes]) -> Entry:
    return Entry(f"{INFO}/RECORD", record_of(files).encode())


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Each wheel in a directory of its own."""
    found = {}
    for number, (name, data) in enumerate(wheels()):
        found[name] = tmp_path / str(number) / "left_pad-1.0-py3-none-any.whl"
        found[name].parent.mkdir()
        found[name].write_bytes(data)
    return found


def rules(path: Path) -> set[str]:
    vetted = judge_wheel(read_wheel(io.BytesIO(path.read_bytes())), artifact(), TARGET)
    return {finding.rule for finding in (*vetted.findings, *vet_set([vetted], TARGET)[0])}


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "PIP_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.mark.slow
def test_whatever_uv_refuses_vetting_finds(tmp_path: Path, places: dict[str, Path]) -> None:
    refused = {}
    for name, path in places.items():
        words = ["pip", "install", "--no-config", "--no-index", "--no-deps", "--no-cache", "--quiet"]
        place = ["--python", sys.executable, "--prefix", str(path.parent / "uv"), str(path)]
        done = subprocess.run([uv.find_uv_bin(), *words, *place], env=environment(), capture_output=True, text=True)
        if done.returncode:
            refused[name] = done.stderr
    assert len(refused) > 40, refused.keys()
    assert {name: words for name, words in refused.items() if not rules(places[name])} == {}


PIP = """
import contextlib, io, json, sys
from pip._internal.cli.main import main
refused = {}
for name, path, place in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        words = ["install", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--ignore-installed"]
        code = main([*words, "--no-warn-script-location", "--prefix", place, path])
    if code:
        refused[name] = said.getvalue()[-1000:]
json.dump(refused, sys.stdout)
"""


@pytest.mark.slow
def test_whatever_pip_refuses_vetting_finds(places: dict[str, Path]) -> None:
    jobs = [(name, str(path), str(path.parent / "pip")) for name, path in places.items()]
    words = [sys.executable, "-I", "-c", PIP]
    done = subprocess.run(words, input=json.dumps(jobs), env=environment(), capture_output=True, text=True, check=True)
    refused = json.loads(done.stdout)
    assert len(refused) > 30, refused.keys()
    assert {name: words for name, words in refused.items() if not rules(places[name])} == {}


def test_what_both_install_passes(places: dict[str, Path]) -> None:
    fine = [
        "sound",
        "a deep path",
        "a script without an end of line",
        "an equal version",
        "a script with extras",
        "empty/",
    ]
    assert [name for name in fine if rules(places[name])] == []
