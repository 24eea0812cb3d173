from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mirror.closed.doctor.checkup import ProblemsFound, examine
from mirror.core.logs.finding import GOOD, NOTE
from mirror.core.target import Target
from tests.support.stacks import Stack, torch_version

HOUSE = Path(__file__).parents[4]
MINOR = "{}.{}".format(*sys.version_info)
ALONE = """\
import json, os, sys
from pathlib import Path
from mirror.closed.doctor.checkup import examine
checkup = examine(None, os.environ)
print(json.dumps([[finding.level, finding.subject, finding.what] for finding in checkup.findings]))
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    stack = Stack(tmp_path, Target(MINOR, os.uname().machine, "2.17", "sm_90a", "13.0"))
    stack.toolkit()
    stack.project("torch", "2.11.0", files=torch_version())
    return stack


def test_the_host_alone_is_looked_at_when_nothing_is_installed() -> None:
    checkup = examine(None, os.environ)
    assert checkup.findings
    assert checkup.facts.environment is None


def test_the_host_comes_first_then_the_stack_then_the_self_test(stack: Stack) -> None:
    subjects = [finding.subject for finding in examine(stack.environment(), os.environ).findings]
    assert subjects.index("loopback") < subjects.index("torch") < subjects.index("self-test")


def test_a_quick_look_leaves_the_self_test_out(stack: Stack) -> None:
    assert "self-test" not in {
        finding.subject for finding in examine(stack.environment(), os.environ, quick=True).findings
    }


def test_its_exit_code_is_its_own() -> None:
    assert (ProblemsFound.exit_code, str(ProblemsFound())) == (110, "the doctor found problems")


def snapshot(*places: Path) -> dict[str, float]:
    found = {}
    for place in places:
        found.update({str(path): path.lstat().st_ctime for path in place.rglob("*")})
    return found


def test_nothing_of_the_stack_and_of_the_home_is_changed(stack: Stack, tmp_path: Path) -> None:
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    home.mkdir()
    temporary.mkdir()
    variables = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(temporary)}
    before = snapshot(stack.root, home, temporary)
    examine(stack.environment(), variables)
    assert snapshot(stack.root, home, temporary) == before


def test_it_works_in_a_namespace_without_network(tmp_path: Path) -> None:
    command = ["unshare", "-rn", sys.executable, "-c", ALONE]
    finished = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False)
    if finished.returncode and "unshare" in finished.stderr:
        pytest.skip(finished.stderr.strip())
    assert finished.returncode == 0, finished.stderr
    assert "no program can reach another one on 127.0.0.1" in finished.stdout


@pytest.mark.group(68)
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_no_socket_is_connected_but_to_this_host(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(trace), sys.executable, "-c", ALONE]
    finished = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=120, check=False)
    if finished.returncode and "ptrace" in finished.stderr:
        pytest.skip(finished.stderr.strip())
    calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    assert calls  # the look at the loopback device
    assert [line for line in calls if "127.0.0.1" not in line] == []


def test_a_user_without_rights_and_without_anything_gets_an_answer(tmp_path: Path) -> None:
    """The zipped closed side, as another user, with an empty environment."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("needs root to become somebody else")
    with zipfile.ZipFile(tmp_path / "house.zip", "w") as archive:
        for path in (HOUSE / "mirror").rglob("*.py"):
            archive.write(path, path.relative_to(HOUSE))
    shutil.copy(tmp_path / "house.zip", "/tmp/mirror-doctor-test.zip")
    try:
        script = f"import sys; sys.path.insert(0, '/tmp/mirror-doctor-test.zip')\n{ALONE}"
        command = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "env",
            "-i",
            "/usr/bin/python3",
            "-I",
            "-c",
            script,
        ]
        finished = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=120, check=False)
    finally:
        Path("/tmp/mirror-doctor-test.zip").unlink()
    if "No such file" in finished.stderr and "python3" in finished.stderr:
        pytest.skip("no system Python")
    assert finished.returncode == 0, finished.stderr
    assert GOOD in finished.stdout
    assert NOTE in finished.stdout
