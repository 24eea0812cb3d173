"""What stops an installation, and that the old state stands whatever it is. Each fault is a real one."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.closed.host.machine import read_host
from mirror.closed.install import Options, install
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.lock import PrefixBusy
from mirror.closed.prefix.usage import processes_below
from mirror.closed.preflight import PreflightFailed
from mirror.closed.selftest.selftest import SelfTestFailed
from mirror.closed.venv.venv import InstallerFailed
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.progress import Advance
from mirror.core.trust.quorum import NotSigned, UnknownSigner
from mirror.core.trust.truststore import NoTrustedRoot, TrustStore, UnconfirmedRoot
from tests.support.bundles import SEQUENCE, BundleSimulator, flip_last_byte_of
from tests.support.desk import BASE, Desk, version_in
from tests.support.faults import STRACE, needs_strace
from tests.support.wheels import make_wheel

HOUSE = Path(__file__).parents[3]


@pytest.fixture
def installed(desk: Desk) -> Desk:
    """A prefix that holds version 1.0."""
    desk.install(desk.bundle("1.0"))
    return desk


def newer(desk: Desk, body: bytes = b"__version__ = '2.0'\n") -> Path:
    """A newer bundle, whose one module has this body."""
    simulator = desk.simulator(sequence=SEQUENCE + 1)
    simulator.add_wheel(make_wheel(desk.path / "newer", "left-pad", "2.0", files={"left_pad.py": body}))
    return simulator.write(desk.path / "newer.tar", ("left_pad",))


def assert_old_state(desk: Desk) -> None:
    """Version 1.0 is current, and nothing of anything else is left."""
    assert version_in(desk.path / "p") == "1.0"
    assert sorted(path.name for path in (desk.path / "p").iterdir()) == [
        ".lock",
        "current",
        "gens",
        "history.json",
        "history.jsonl",
    ]
    assert len(list((desk.path / "p/gens").iterdir())) == 1


class Interfering:
    """A ``Progress`` that does something once a task has ended."""

    def __init__(self, label: str, action: Callable[[], object]) -> None:
        self._label, self._action = label, action

    def say(self, line: str) -> None:
        pass

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        yield lambda amount: None
        if label == self._label:
            self._action()


# -- before anything is written -------------------------------------------------------------------------------------------


def test_without_trust_nothing_is_installed_and_no_fingerprint_is_shown(desk: Desk) -> None:
    with pytest.raises(NoTrustedRoot) as exc_info:
        install(Options(desk.bundle(), desk.path / "p", BASE), TrustStore(desk.path / "empty"))
    fingerprint = BundleSimulator().root.fingerprint
    assert fingerprint not in str(exc_info.value) + exc_info.value.context() + exc_info.value.hint
    assert not (desk.path / "p").exists()
    assert not (desk.path / "empty").exists()


@pytest.mark.group(70)
def test_a_wrong_fingerprint_trusts_nothing(desk: Desk) -> None:
    store = TrustStore(desk.path / "empty")
    with pytest.raises(UnconfirmedRoot):
        install(Options(desk.bundle(), desk.path / "p", BASE, fingerprint="ab" * 32), store)
    assert not store.has_root()
    assert not (desk.path / "p").exists()


@pytest.mark.group(6)
@pytest.mark.parametrize(("signers", "error"), [((), NotSigned), (("stranger",), UnknownSigner)])
def test_who_did_not_sign_is_refused(desk: Desk, signers: tuple[str, ...], error: type[MirrorError]) -> None:
    simulator = desk.simulator()
    simulator.signers = signers
    with pytest.raises(error):
        desk.install(simulator.write(desk.path / "bundle.tar"))
    assert not (desk.path / "p").exists()


@pytest.mark.group(1)
def test_a_flipped_bit_in_the_last_member_is_found_before_the_first_byte_is_written(desk: Desk) -> None:
    simulator = desk.simulator()
    simulator.add("meta/last.txt", b"the last words")
    bundle = simulator.write(desk.path / "bundle.tar")
    flip_last_byte_of(bundle, b"the last words")
    with pytest.raises(DigestMismatch, match=r"meta/last\.txt"):
        desk.install(bundle)
    assert not (desk.path / "p").exists()


@pytest.mark.group(2)
def test_a_truncated_bundle_writes_nothing(desk: Desk) -> None:
    bundle = desk.bundle()
    os.truncate(bundle, bundle.stat().st_size - 1)
    with pytest.raises(BadLayout, match="truncated"):
        desk.install(bundle)
    assert not (desk.path / "p").exists()


def test_a_bundle_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(Unreadable, match=r"none\.tar: No such file or directory"):
        desk.install(desk.path / "none.tar")


def test_a_prefix_that_is_a_file(desk: Desk) -> None:
    (desk.path / "p").write_text("mine")
    with pytest.raises(PreflightFailed, match="is not a directory"):
        desk.install(desk.bundle())
    assert (desk.path / "p").read_text() == "mine"


def test_a_python_of_another_version_is_never_replaced_in_silence(desk: Desk) -> None:
    other = desk.path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    with pytest.raises(PreflightFailed, match="does not answer as a Python does"):
        desk.install(desk.bundle(), python=other)


@pytest.mark.group(64)
def test_faults_of_the_host_are_told_together(desk: Desk) -> None:
    with pytest.raises(PreflightFailed) as exc_info:
        desk.install(desk.bundle(), dataclasses.replace(read_host(), arch="sparc", glibc=(2, 5)))
    assert len(exc_info.value.issues) == 2
    assert not (desk.path / "p").exists()


# -- while it is being built ----------------------------------------------------------------------------------------------


def test_a_self_test_that_fails_leaves_the_old_state(installed: Desk) -> None:
    with pytest.raises(SelfTestFailed, match="import left_pad"):
        installed.install(newer(installed, b"raise RuntimeError('broken')\n"))
    assert_old_state(installed)


def test_a_lock_that_names_what_is_not_carried_leaves_the_old_state(installed: Desk) -> None:
    simulator = installed.simulator(sequence=SEQUENCE + 1)
    simulator.add("meta/install.txt", f"numpy==2.0 --hash=sha256:{'ab' * 32}\n".encode())
    with pytest.raises(InstallerFailed) as exc_info:
        installed.install(simulator.write(installed.path / "bundle.tar"))
    assert "numpy" in exc_info.value.context()
    assert_old_state(installed)


@pytest.mark.group(59, 62)
def test_a_wheel_changed_after_verification_is_noticed_when_it_is_used(installed: Desk) -> None:
    bundle = newer(installed, b"__version__ = '2.0'\n")
    wheel = (installed.path / "newer/left_pad-2.0-py3-none-any.whl").read_bytes()
    data = bundle.read_bytes()
    place = data.index(wheel) + len(wheel) // 3

    def tamper() -> None:
        with bundle.open("r+b") as stream:
            stream.seek(place)
            stream.write(bytes([data[place] ^ 1]))

    options = Options(bundle, installed.path / "p", BASE)
    with pytest.raises(InstallerFailed):
        install(options, installed.store, progress=Interfering("verify", tamper))
    assert_old_state(installed)


@pytest.mark.group(59, 62)
def test_a_tool_changed_after_verification_is_never_run(installed: Desk) -> None:
    bundle = newer(installed)
    place = bundle.read_bytes().index(installed.pip.read_bytes()) + 1000

    def tamper() -> None:
        with bundle.open("r+b") as stream:
            stream.seek(place)
            stream.write(b"evil")

    options = Options(bundle, installed.path / "p", BASE)
    with pytest.raises(DigestMismatch, match="tool/pip"):
        install(options, installed.store, progress=Interfering("verify", tamper))
    assert_old_state(installed)


@pytest.mark.group(60)
def test_a_second_run_at_the_same_time_is_refused(installed: Desk) -> None:
    bundle = newer(installed)
    with Prefix(installed.path / "p").lock(), pytest.raises(PrefixBusy, match=f"process {os.getpid()} on "):
        installed.install(bundle)
    assert installed.install(bundle).receipt.sequence == SEQUENCE + 1


@pytest.mark.group(60, 62)
def test_of_two_runs_the_slower_one_finds_it_installed(installed: Desk) -> None:
    bundle = newer(installed)
    options = Options(bundle, installed.path / "p", BASE)
    slower = install(options, installed.store, progress=Interfering("verify", lambda: installed.install(bundle)))
    assert slower.was_installed
    assert version_in(installed.path / "p") == "2.0"


# -- killed ---------------------------------------------------------------------------------------------------------------

WAITING = b"import os, time\nopen(os.path.join(os.path.dirname(__file__), 'here'), 'w').close()\ntime.sleep(1000)\n"


def start(desk: Desk, bundle: Path, *before: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, as an operator runs it.

    Args:
        before: a program that runs it.
    """
    command = [*before, sys.executable, "-m", "mirror.cli.main", "install", str(bundle)]
    command += ["--prefix", str(desk.path / "p"), "--python", str(BASE)]
    environment = {**os.environ, "MIRROR_HOME": str(desk.path / "trust"), "PYTHONPATH": str(HOUSE)}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes] | None = None) -> None:
    for _ in range(600):
        if condition():
            return
        assert process is None or process.poll() is None, f"it ended with {process.returncode}"
        time.sleep(0.05)
    raise AssertionError("waited for 30 s")


@pytest.mark.group(52)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_the_old_state(installed: Desk, number: signal.Signals, code: int) -> None:
    process = start(installed, newer(installed, WAITING))
    wait_for(lambda: list(installed.path.glob("p/gens/*/venv/lib/*/site-packages/here")), process)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert_old_state(installed)


@pytest.mark.group(51)
def test_a_killed_run_leaves_garbage_that_the_next_run_removes(installed: Desk) -> None:
    process = start(installed, newer(installed, WAITING))
    wait_for(lambda: list(installed.path.glob("p/gens/*/venv/lib/*/site-packages/here")), process)
    process.kill()
    process.communicate()
    prefix = Prefix(installed.path / "p")
    assert version_in(prefix.root) == "1.0"
    (garbage,) = prefix.unfinished()
    with pytest.raises(PrefixBusy) as exc_info:  # what it had started still runs, and may write there
        installed.install(newer(installed))
    assert "a program that it had started" in exc_info.value.hint
    place = prefix.path_of(garbage)
    for user in processes_below([place])[place]:
        os.kill(int(user.split()[1]), signal.SIGKILL)
    wait_for(lambda: not processes_below([place])[place])
    installed.install(newer(installed))
    assert version_in(prefix.root) == "2.0"
    assert garbage not in [path.name for path in (prefix.root / "gens").iterdir()]


@pytest.mark.group(51)
@pytest.mark.parametrize("delay_s", [0.2, 0.5, 0.9, 1.3])
def test_killed_at_any_time_the_old_or_the_new_state_stands_and_a_rerun_succeeds(
    installed: Desk, delay_s: float
) -> None:
    bundle = newer(installed)
    process = start(installed, bundle)
    time.sleep(delay_s)
    process.kill()
    process.communicate()
    assert version_in(installed.path / "p") in ("1.0", "2.0")
    for _ in range(100):  # an installer that outlives us keeps the lock until it too has ended
        try:
            installed.install(bundle)
            break
        except PrefixBusy:
            time.sleep(0.1)
    prefix = Prefix(installed.path / "p")
    assert version_in(prefix.root) == "2.0"
    assert prefix.unfinished() == ()


@pytest.mark.group(49)
def test_a_file_that_may_not_grow_is_named_and_the_old_state_stands(installed: Desk) -> None:
    process = start(installed, newer(installed), "prlimit", "--fsize=1000000")
    errors = process.communicate()[1].decode()
    assert process.returncode == 10
    assert f"error: cannot write {installed.path}/p/gens/" in errors
    assert "File too large" in errors
    assert_old_state(installed)


MARKS = (
    "mkdir", "rename", "symlink", "unlink", "rmdir", "mkdirat", "renameat", "symlinkat", "unlinkat", "linkat",
    "fsync", "syncfs", "flock", "ftruncate",
)  # fmt: skip
"""Calls by which the state on the disk changes, or is made to last."""


def traced(desk: Desk, bundle: Path) -> tuple[int, list[str]]:
    """Run under strace: the exit code, and the calls that concern the prefix, of the main thread alone."""
    assert STRACE is not None
    log = desk.path / "trace"
    process = start(desk, bundle, STRACE, "-y", "-o", str(log), "-e", f"trace={','.join(MARKS)}")
    process.communicate()
    return process.returncode, [line for line in log.read_text().splitlines() if f"{desk.path}/p" in line]


@pytest.mark.group(54)
@needs_strace
def test_what_is_promised_is_on_the_disk_before_the_promise(installed: Desk) -> None:
    code, calls = traced(installed, newer(installed))
    assert code == 0

    def last(*words: str) -> int:
        return max(number for number, call in enumerate(calls) if all(word in call for word in words))

    generation = next(call for call in calls if "syncfs(" in call).split("<")[1].split(">")[0]
    order = [
        last("syncfs(", f"<{generation}>"),  # all that was installed,
        last("fsync(", ".COMPLETE."),  # then its mark
        last("renameat(", '"COMPLETE"'),
        last("fsync(", f"<{generation}>"),  # and the mark's name,
        last("fsync(", "/p/gens>"),  # then the generation's own name,
        last("renameat(", '"current"'),  # and only then does it become current.
        last("fsync(", f"<{installed.path}/p>"),
    ]
    assert order == sorted(order)
