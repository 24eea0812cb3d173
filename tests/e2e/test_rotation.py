"""Who must sign changes: rotated to two approvers and two builders, bundled, signed by several people, installed, a key lost;
refused by one who may, and taken back.

Every step is a command as its user types it: the builders' and approvers' `mirror`, the operator's `mirror.pyz` on the oldest
Python. Nothing of the test makes or signs a bundle in their place.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import find_python
from tests.support.agents import add_key, ssh_agent
from tests.support.osv import record, write_dump

pytestmark = pytest.mark.index

MINOR = "{}.{}".format(*sys.version_info)
MIRROR = [str(Path(sys.executable).with_name("mirror"))]
STACK = f"""\
[target]
python = "{MINOR}"
arch = "x86_64"
glibc = "2.28"

[python]
requirements = ["six==1.17.0"]
"""


@dataclass
class Person:
    """Somebody at a machine of their own.

    Attributes:
        desk: where they work; the bundle's files are carried there.
        command: how they call mirror.
    """

    desk: Path
    command: list[str]

    @property
    def environment(self) -> dict[str, str]:
        home = self.desk / "home"
        return {
            **os.environ,
            "HOME": str(home),
            "MIRROR_HOME": str(home / "mirror"),
            "XDG_DATA_HOME": str(home / "data"),
        }

    def types(self, *words: object, code: int = 0, **environment: str) -> str:
        """Type a command; what it printed, stdout before stderr."""
        done = subprocess.run(
            [*self.command, *map(str, words)],
            cwd=self.desk,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def json(self, *words: object, code: int = 0) -> Any:
        out = self.types(*words, "--json", code=code)
        return json.JSONDecoder().raw_decode(out[out.index("{") :])[0]

    def gets(self, *files: Path) -> None:
        """Files are carried here."""
        for file in files:
            shutil.copy2(file, self.desk)

    def sh(self, script: str, **environment: str) -> None:
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.desk,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


def person(directory: Path, name: str, command: list[str] | None = None) -> Person:
    desk = directory / name
    (desk / "home").mkdir(parents=True)
    return Person(desk, command or MIRROR)


def carried(bundle: Path) -> list[Path]:
    """What is carried of a bundle: the file, and what lies beside it."""
    return sorted(bundle.parent.glob(f"{bundle.name}*"))


@pytest.fixture
def builder(tmp_path: Path) -> Person:
    """The builder's machine: a root of version 1, the public keys of the others, a small stack."""
    made = person(tmp_path, "builder")
    (made.desk / "lockfiles").mkdir()
    (made.desk / "lockfiles" / "small.toml").write_text(STACK)
    for name in ("second", "alice", "bob", "third"):
        made.types("key", "new", made.desk / name)
    made.types("trust", "init")
    return made


@pytest.fixture
def operator(tmp_path: Path, builder: Person) -> Person:
    """The closed host: mirror.pyz, and trust in root version 1 alone, which was told before anything was rotated."""
    builder.types("installer", "-o", "mirror.pyz")
    python = find_python("3.9") or Path(sys.executable)
    made = person(tmp_path, "closed", [str(python), "-I", "mirror.pyz"])
    root = builder.desk / "home" / "mirror" / "roots"
    made.gets(builder.desk / "mirror.pyz", root / "1.json", root / "1.sig")
    told = re.search(r"root fingerprint  ((?:[0-9a-f]{4}\s*)+)\n", builder.types("trust", "show"))
    assert told
    spoken = ":".join(told[1].upper().split())  # as it was noted on the telephone
    made.types("trust", "add", "1.json", "--fingerprint", spoken)
    return made


def rotate(builder: Person, *words: str) -> None:
    for name in ("alice", "bob"):
        builder.types("trust", "add", f"{name}.pub", "--role", "approver")
    builder.types("trust", "add", "second.pub", "--role", "builder")
    builder.types("trust", "rotate", *words)


BOTH = ("--threshold", "approver=2", "--threshold", "builder=2")


def bundle(builder: Person, *words: object, name: str = "b.tar") -> Path:
    builder.types("bundle", "--lock", "lockfiles/small.txt", "-o", name, *words)
    return builder.desk / name


def test_the_whole_rotation(tmp_path: Path, builder: Person, operator: Person) -> None:
    # A bundle of the time before.
    before = bundle(builder, name="before.tar")
    operator.gets(before)
    operator.types("install", "before.tar")

    # Rotated, and bundled: it is packed, and says who must sign next and what they type.
    rotate(builder, *BOTH)
    told = builder.types("bundle", "--lock", "lockfiles/small.txt", "-o", "b.tar")
    made = builder.desk / "b.tar"
    assert "  builder:   1 of 2 signed: builder\n" in told
    assert "  approver:  0 of 2 signed: -\n" in told
    assert "  missing:   second (builder)\n  missing:   alice and bob (approver)\n" in told
    assert "  next:      mirror approve b.tar --key KEY\n" in told
    manifest = builder.json("inspect", "b.tar")
    assert manifest["signatures"]["builder"] == {"threshold": 2, "signed": ["builder"], "not_signed": ["second"]}

    # Nobody installs that; verify says that it is intact, who is missing, and does not say "ok".
    missing = "needs 2 builders, has 1 (builder), missing second; needs 2 approvers, has none, missing alice and bob"
    operator.gets(*carried(made))
    for command in ("verify", "install"):
        refused = operator.types(command, "b.tar", code=38)
        assert f"error: the manifest has too few signatures: {missing}\n" in refused
        approve = shlex.join([*operator.command, "approve", "b.tar"])
        assert f"hint: Each of those who are missing signs with `{approve} --key KEY`" in refused
        assert "ok:" not in refused
    assert "intact, but not ok (threshold-not-met): b.tar" in operator.types("verify", "b.tar", code=38)

    # Everything that only looks works, before they have signed.
    operator.types("inspect", "b.tar")
    operator.types("report", "b.tar", "--since", "before.tar", "-o", "r.html")
    assert "still to sign second (builder); alice and bob (approver)" in operator.types(
        "report", "b.tar", "-o", "r.html"
    )
    operator.types("diff", "before.tar", "b.tar")
    assert "no file index" not in operator.types("diff", "before.tar", "b.tar", "--json")

    # One signs by a key file, one by an agent, one by ssh-keygen as the help prints it.
    second = builder.types("approve", "b.tar", "--key", "second")
    assert second.startswith("second approved b.tar as a builder at ")
    assert "  builder:   2 of 2 signed: builder, second\n" in second
    assert "  missing:   alice and bob (approver)\n  next:      mirror approve b.tar --key KEY\n" in second
    with ssh_agent(tmp_path) as address:
        add_key(address, builder.desk / "alice")
        (builder.desk / "elsewhere").mkdir()
        (builder.desk / "alice").rename(builder.desk / "elsewhere" / "alice")
        by_agent = builder.types("approve", "b.tar", "--key", "alice.pub", SSH_AUTH_SOCK=address)
    assert "  missing:   bob (approver)\n" in by_agent
    lines = re.search(r"(?:\n    \S.*)+\n", builder.types("approve", "--help"))
    assert lines
    builder.sh(re.sub(r"\bFILE\b", "b.tar", re.sub(r"\bKEY\b", "bob", lines[0])))
    assert "ok: b.tar is intact" in builder.types("verify", "b.tar")

    # The host that trusts version 1 installs it, follows the chain, and keeps what was there.
    operator.gets(*carried(made))
    assert "trusting root version 2, which follows version 1" in operator.types("install", "b.tar")
    assert operator.json("trust", "show")["version"] == 2
    operator.types("status")

    # A key is lost: the holder's name goes, another comes, the next bundle is signed by those who are there.
    lost = builder.types("trust", "remove", "second", code=4)
    assert "hint: First add another key to the role: `mirror trust add KEY.pub --role builder`" in lost
    builder.types("trust", "add", "third.pub", "--role", "builder")
    builder.types("trust", "remove", "second")
    builder.types("trust", "rotate")
    after = bundle(builder, "--key", "home/mirror/keys/builder", "--key", "third", name="after.tar")
    assert "missing:   alice and bob (approver)\n" in builder.types("verify", "after.tar", code=38)
    assert "has no say in this" in builder.types("approve", "after.tar", "--key", "second", code=119)
    for key in ("elsewhere/alice", "bob"):
        builder.types("approve", "after.tar", "--key", key)
    builder.types("verify", "after.tar")
    operator.gets(*carried(after))
    operator.types("install", "after.tar")
    assert operator.json("trust", "show")["version"] == 3

    # What the lost key signed before does not count any more.
    assert "missing:   third (builder)" in builder.types("verify", "b.tar", code=38)
    assert "needs 2 builders, has 1 (builder), missing third" in operator.types("verify", "b.tar", code=38)

    # The first builder's key goes too: nothing that is signed beside makes up for it, and what is packed again is installed.
    builder.types("trust", "rotate", "--threshold", "builder=1")
    builder.types("trust", "remove", "builder")
    builder.types("trust", "rotate")
    assert "nothing to change, and nothing was signed: root version 5" in builder.types("trust", "rotate")
    assert "packs it again from the same lock" in builder.types("approve", "b.tar", "--key", "third", code=38)
    again = bundle(builder, "--key", "third")
    for key in ("elsewhere/alice", "bob"):
        builder.types("approve", "b.tar", "--key", key)
    operator.gets(*carried(again))
    operator.types("install", "b.tar")
    assert operator.json("trust", "show")["version"] == 5

    # What nobody whom the root trusts has signed is named where it is held against the new one, with the way that there is.
    told = builder.types("diff", "before.tar", "b.tar", code=4)
    assert "error: before.tar: the manifest " in told and "(tar xf FILE MANIFEST.json)" in told
    builder.sh("tar xf before.tar MANIFEST.json")
    builder.types("diff", "MANIFEST.json", "b.tar")
    words = ("bundle", "--lock", "lockfiles/small.txt", "-o", "b.tar", "--key", "third", "--from", "before.tar")
    told = builder.types(*words, code=4)
    assert (
        "error: before.tar: the manifest " in told and "b.tar is whole and stands: carry it instead of a delta" in told
    )


def test_a_rotation_that_changes_no_threshold(builder: Person, operator: Person) -> None:
    rotate(builder)
    told = builder.types("bundle", "--lock", "lockfiles/small.txt", "-o", "b.tar")
    assert "next:" not in told
    operator.gets(builder.desk / "b.tar")
    assert "ok: b.tar is intact" in operator.types("verify", "b.tar")
    operator.types("install", "b.tar")
    assert operator.json("trust", "show")["version"] == 2


def test_a_bundle_of_the_time_before_is_signed_by_the_new_ones(builder: Person, operator: Person) -> None:
    before = bundle(builder)
    rotate(builder, *BOTH)
    assert "missing:   second (builder)" in builder.types("verify", "b.tar", code=38)
    for name in ("second", "alice", "bob"):
        builder.types("approve", "b.tar", "--key", name)
    builder.types("verify", "b.tar")
    operator.gets(*carried(before))
    operator.types("install", "b.tar")  # who has not heard of the new root is not asked more than the old one asks
    assert operator.json("trust", "show")["version"] == 1


def test_an_approver_refuses_and_takes_it_back(builder: Person, operator: Person) -> None:
    rotate(builder, "--threshold", "approver=1")
    made = bundle(builder)
    dump = write_dump(builder.desk / "dump", record("GHSA-1", "six"))
    assert "GHSA-1" in builder.types("rescan", "b.tar", "--osv", dump)
    builder.types("approve", "b.tar", "--key", "bob")
    assert "alice" in builder.types("reject", "b.tar", "--key", "alice", "--note", "GHSA-1 is in it")

    # One signature would be enough, and one refusal is too many: nobody installs it, and everyone is told why.
    operator.gets(*carried(made))
    for command in ("verify", "install"):
        refused = operator.types(command, "b.tar", code=118)
        assert "error: alice refused this bundle at " in refused
        assert ": GHSA-1 is in it\n" in refused
        assert "approve" in refused

    builder.types("approve", "b.tar", "--key", "alice", "--note", "it is not reachable")
    assert "ok: b.tar is intact" in builder.types("verify", "b.tar")
    operator.gets(*carried(made))
    operator.types("install", "b.tar")
    signed = operator.json("verify", "b.tar")["signers"]
    assert signed["approver"] == ["alice", "bob"]


def test_the_second_builder_packs_and_the_first_signs_beside_it(builder: Person, operator: Person) -> None:
    rotate(builder, "--threshold", "builder=2")
    made = bundle(builder, "--key", "second")
    assert "missing:   builder (builder)" in builder.types("verify", "b.tar", code=38)
    builder.types("approve", "b.tar", "--key", "home/mirror/keys/builder")
    operator.gets(*carried(made))
    operator.types("install", "b.tar")
    assert builder.json("verify", "b.tar")["signers"]["builder"] == ["builder", "second"]


def test_a_key_without_the_role_is_told_how_to_get_it_before_the_long_work(builder: Person) -> None:
    told = builder.types("bundle", "--lock", "lockfiles/small.txt", "-o", "b.tar", "--key", "second", code=37)
    assert "`mirror trust add KEY.pub --role builder`, then `mirror trust rotate`" in told
    assert not (builder.desk / "b.tar").exists()


def test_bundled_again_the_signatures_beside_it_still_count(builder: Person) -> None:
    rotate(builder, *BOTH)
    bundle(builder)
    builder.types("approve", "b.tar", "--key", "second")
    builder.types("approve", "b.tar", "--key", "alice")
    again = builder.json("bundle", "--lock", "lockfiles/small.txt", "-o", "b.tar")
    assert again["signatures"]["builder"]["signed"] == ["builder", "second"]
    assert again["missing"] == ["needs 2 approvers, has 1 (alice), missing bob"]
    assert again["next"] == ["mirror approve b.tar --key KEY"]


@pytest.mark.parametrize(
    "left",
    [
        "both",
        pytest.param("next-root.json", marks=pytest.mark.slow),
        pytest.param("next-root.sig", marks=pytest.mark.slow),
    ],
)
def test_killed_between_the_steps_the_same_commands_end_it(builder: Person, operator: Person, left: str) -> None:
    """A rotation writes a draft, signs it, trusts it, removes the draft: whatever a kill left of the last, it goes on."""
    home = builder.desk / "home" / "mirror"
    for name in ("alice", "bob"):
        builder.types("trust", "add", f"{name}.pub", "--role", "approver")
    draft = (home / "next-root.json").read_bytes()
    builder.types("trust", "add", "second.pub", "--role", "builder")
    builder.types("trust", "rotate", *BOTH)
    for name in ("next-root.json", "next-root.sig") if left == "both" else (left,):
        (home / name).write_bytes(draft if name.endswith("json") else (home / "roots" / "2.sig").read_bytes())
    made = bundle(builder)
    for name in ("second", "alice", "bob"):
        builder.types("approve", "b.tar", "--key", name)
    operator.gets(*carried(made))
    operator.types("install", "b.tar")
    builder.types("trust", "add", "third.pub", "--role", "builder")
    builder.types("trust", "rotate")
    assert builder.json("trust", "show")["version"] == 3
