"""A stack whose Python is carried, and the archive's server out of reach: bundled without it, then with it, brought by hand.

Every step is a command as a user types it; the archive is made of the Python that runs the tests, with a digest of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.test_second_day import Builder, Operator
from tests.support.interpreters import MINOR, make_interpreter_archive
from tests.support.wheels import sha256_of
from tests.unit.connected.building.test_trial import small

pytestmark = pytest.mark.index

STACK = """\
[target]
python = "{minor}"
arch = "x86_64"
glibc = "2.28"
[python]
requirements = ["idna==3.7"]
[interpreter]
url = "https://127.0.0.1:9/python/{archive.name}"
sha256 = "{digest}"
optional = true
[[waiver]]
project = "python"
rule = "glibc-floor"
reason = "this machine's own, which is not made to be carried"
by = "a test"
"""


def test_a_python_out_of_reach_is_left_out_then_brought_by_hand_tried_and_installed(tmp_path: Path) -> None:
    builder, archive = Builder(tmp_path / "builder"), make_interpreter_archive(tmp_path)
    toml = builder.directory / "lockfiles" / "demo.toml"
    toml.write_text(STACK.format(minor=MINOR, archive=archive, digest=sha256_of(archive)))

    # Nobody reaches the server: the bundle is made, and says what it lacks, and how to bring it.
    less = builder.json("bundle", "demo", "-o", "less.tar")
    (told,) = (note for note in less["notes"] if "goes without python" in note)
    assert f"127.0.0.1 is out of reach. To carry it, put {archive.name} (sha256 {sha256_of(archive)}) from" in told
    assert "python" not in less["contents"]

    # One that does not keep its promises is not carried.
    bare = small(tmp_path / "builder", "#!/bin/sh\necho no libssl.so.3 >&2; exit 127\n").rename(
        builder.directory / archive.name
    )
    toml.write_text(STACK.format(minor=MINOR, archive=archive, digest=sha256_of(bare)))
    command = [sys.executable, "-m", "mirror.cli.main", "bundle", "demo", "--wheelhouse", ".", "-o", "bare.tar"]
    environment = {**os.environ, **builder.environment}
    refused = subprocess.run(command, cwd=builder.directory, env=environment, capture_output=True, text=True)
    assert refused.returncode == 7 and not (builder.directory / "bare.tar").exists(), refused.stderr
    assert "a carried Python must start; this one says: no libssl.so.3" in refused.stderr

    # A whole one is, and the bundle with it is the newer one.
    toml.write_text(STACK.format(minor=MINOR, archive=archive, digest=sha256_of(archive)))
    more = builder.json("bundle", "demo", "--wheelhouse", tmp_path, "-o", "more.tar")
    assert more["contents"]["python"]["count"] == 1 and more["sequence"] > less["sequence"]
    assert not any(words in note for note in more["notes"] for words in ("goes without", "not tried"))
    builder("installer", "-o", "mirror.pyz")
    operator = Operator(tmp_path / "closed", builder.directory / "mirror.pyz")
    for bundle in (builder.directory / "less.tar", builder.directory / "more.tar"):
        operator("trust", "add", bundle, "--fingerprint", more["root_fingerprint"])
        operator("install", bundle)
        assert operator.installed() == "3.7"
