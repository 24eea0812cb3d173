from __future__ import annotations

import dataclasses
import os
import time

import pytest

from mirror.closed.environment.variables import GenerationDamaged, load_environment
from mirror.closed.host.machine import read_host
from mirror.closed.install import Options, install
from mirror.closed.prefix.check import Check
from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.receipt import read_receipt
from mirror.closed.prefix.switching import roll_back
from mirror.closed.preflight import PreflightFailed
from mirror.closed.upgrade_check import BundleOlder, OtherStack, SequenceReused
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.desk import BASE, MINOR, Desk, version_in
from tests.support.interpreters import make_interpreter_archive
from tests.support.wheels import make_wheel


def test_a_bundle_becomes_the_current_generation(desk: Desk) -> None:
    installed = desk.install(desk.bundle())
    assert version_in(installed.prefix) == "1.0"
    assert not installed.was_installed
    receipt = installed.receipt
    assert (receipt.installer, dict(receipt.counts)["wheel"], receipt.signers) == ("uv", 1, ("builder",))
    assert receipt.checks == (Check("import left_pad", "passed"),)
    assert receipt.python_origin == "host"
    current = Prefix(installed.prefix).current()
    assert current is not None
    assert read_receipt(current) == receipt
    kept = ["COMPLETE", "env.fish", "env.sh", "files.json", "manifest.json", "receipt.json", "venv"]
    assert sorted(path.name for path in current.path.iterdir()) == kept


@pytest.mark.group(14)
def test_installing_again_changes_nothing_and_is_quick(desk: Desk) -> None:
    bundle = desk.bundle()
    first = desk.install(bundle)
    before = {path: path.lstat().st_mtime_ns for path in desk.path.glob("p/**/*")}
    started = time.monotonic()
    again = desk.install(bundle)
    assert time.monotonic() - started < 1
    assert again == dataclasses.replace(first, was_installed=True)
    assert {path: path.lstat().st_mtime_ns for path in desk.path.glob("p/**/*")} == before


def test_installing_again_puts_a_lost_or_altered_manifest_back(desk: Desk) -> None:
    bundle = desk.bundle()
    desk.install(bundle)
    current = Prefix(desk.path / "p").current()
    assert current is not None
    before = load_environment(current)
    for spoil in (current.manifest.unlink, lambda: current.manifest.write_bytes(b"{}")):
        spoil()
        with pytest.raises(GenerationDamaged):
            load_environment(current)
        assert desk.install(bundle).was_installed
        assert load_environment(current) == before


def test_a_newer_bundle_becomes_current_and_the_older_stays(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    installed = desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    assert version_in(installed.prefix) == "2.0"
    roll_back(Prefix(installed.prefix))
    assert version_in(installed.prefix) == "1.0"


def test_installing_what_was_rolled_back_makes_it_current_again(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    newer = desk.bundle("2.0", sequence=SEQUENCE + 1)
    installed = desk.install(newer)
    roll_back(Prefix(installed.prefix))
    assert desk.install(newer).was_installed
    assert version_in(installed.prefix) == "2.0"


@pytest.mark.group(14)
def test_an_older_bundle_is_refused_even_after_a_rollback(desk: Desk) -> None:
    desk.install(desk.bundle("2.0"))
    desk.install(desk.bundle("3.0", sequence=SEQUENCE + 2))
    roll_back(Prefix(desk.path / "p"))
    with pytest.raises(BundleOlder) as exc_info:
        desk.install(desk.bundle("1.0", sequence=SEQUENCE + 1))
    assert str(exc_info.value) == (
        "the bundle was locked at 2026-09-21T14:13:21Z, a newer one of 2026-09-21T14:13:22Z is installed"
    )


@pytest.mark.group(14)
def test_another_bundle_with_the_same_sequence_is_refused(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    with pytest.raises(SequenceReused, match="were both locked at 2026-09-21T14:13:20Z, and differ"):
        desk.install(desk.bundle("2.0"))
    assert version_in(desk.path / "p") == "1.0"


@pytest.mark.group(16)
def test_a_prefix_holds_one_stack(desk: Desk) -> None:
    desk.install(desk.bundle("1.0"))
    with pytest.raises(OtherStack, match="holds the stack 'demo', the bundle is 'other'"):
        desk.install(desk.bundle("2.0", name="other", sequence=SEQUENCE + 1))


def test_pip_installs_where_the_bundle_carries_no_uv(desk: Desk) -> None:
    installed = desk.install(desk.bundle(uv=False))
    assert installed.receipt.installer == "pip"
    assert version_in(installed.prefix) == "1.0"


@pytest.mark.parametrize("uv", [True, False])
def test_wheels_are_copied_out_where_there_is_no_loopback_device(desk: Desk, uv: bool) -> None:
    installed = desk.install(desk.bundle(uv=uv), dataclasses.replace(read_host(), has_loopback=False))
    assert version_in(installed.prefix) == "1.0"


def test_a_carried_interpreter_is_used_where_the_host_has_none(desk: Desk) -> None:
    simulator = desk.simulator()
    simulator.add_wheel(make_wheel(desk.path, "left-pad", "1.0"))
    archive = make_interpreter_archive(desk.path)
    simulator.add(f"python/{archive.name}", archive, unpacked_size=1 << 29)
    bundle = simulator.write(desk.path / "bundle.tar", ("left_pad", "json"))
    installed = install(Options(bundle, desk.path / "p"), desk.store, interpreters=())
    assert installed.receipt.python_origin == "bundle"
    assert installed.receipt.python == f"{installed.receipt.generation}/python/bin/python{MINOR}"
    assert version_in(installed.prefix) == "1.0"


def test_a_root_is_trusted_the_first_time_by_its_fingerprint(desk: Desk) -> None:
    store = TrustStore(desk.path / "empty")
    options = Options(desk.bundle(), desk.path / "p", BASE, fingerprint=BundleSimulator().root.fingerprint)
    install(options, store)
    assert store.load_root() == BundleSimulator().root
    assert install(dataclasses.replace(options, fingerprint=""), store).was_installed


@pytest.mark.group(64)
def test_whatever_the_umask_nobody_else_may_write(desk: Desk) -> None:
    before = os.umask(0)
    try:
        desk.install(desk.bundle())
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert [
        str(path) for path in desk.path.glob("p/**/*") if not path.is_symlink() and path.stat().st_mode & 0o022
    ] == []


@pytest.mark.group(64)
def test_a_prefix_with_a_space_works(desk: Desk) -> None:
    installed = desk.install(desk.bundle(), prefix=desk.path / "my prefix")
    assert version_in(installed.prefix) == "1.0"


def test_an_older_installed_bundle_comes_back_by_rollback_only(desk: Desk) -> None:
    """SECURITY.md T4: the file of an old bundle is no way to go back."""
    older = desk.bundle("1.0")
    desk.install(older)
    desk.install(desk.bundle("2.0", sequence=SEQUENCE + 1))
    with pytest.raises(BundleOlder):
        desk.install(older)
    assert version_in(desk.path / "p") == "2.0"


@pytest.mark.group(67)
def test_a_prefix_that_others_can_write_is_not_believed(desk: Desk) -> None:
    bundle = desk.bundle("1.0")
    desk.install(bundle)
    (desk.path / "p").chmod(0o777)
    with pytest.raises(PreflightFailed, match="may be written by every user"):
        desk.install(bundle)
    with pytest.raises(PreflightFailed, match="may be written by every user"):
        roll_back(Prefix(desk.path / "p"))
