"""``[interpreter] version``: the archive that a lock pins, out of the table of python-build-standalone's releases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.lock import LockOptions, lock
from mirror.connected.locking.interpreter import ArchivePin, InterpreterLock, lock_interpreter
from mirror.connected.locking.upgrade import Upgrade
from mirror.connected.planning.locks import read_locks
from mirror.connected.planning.wishes import NotLocked
from mirror.connected.prepare import prepare
from mirror.connected.stack.interpreter import InterpreterWish
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import INTERPRETER
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from tests.unit.connected.test_bundle import TOML, World, world

__all__ = ["world"]

TARGET = Target("3.11", "x86_64", "2.28")


def test_a_real_archive_is_pinned_by_its_address_and_digest() -> None:
    """Digests as uv knows them, too (read off its refusals of other bytes)."""
    for arch, digest in (
        ("x86_64", "224ca8be2d28841e7a382a27c51e74f4ed0aabe249a79294684e782363165948"),
        ("aarch64", "a2364356a17f63de74120a55d5af1f8ae56b8e700c9d43f478ba90e2f543f3a6"),
    ):
        (pin,) = lock_interpreter(InterpreterWish("3.11.17"), replace(TARGET, arch=arch), 1).pins
        name = f"cpython-3.11.17%2B20261021-{arch}-unknown-linux-gnu-install_only_stripped.tar.gz"
        assert pin.url.endswith(f"/20261021/{name}")
        assert (pin.version, pin.arch, pin.sha256) == ("3.11.17", arch, digest)


def test_a_setting_of_this_machine_does_not_get_into_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = lock_interpreter(InterpreterWish("3.12"), TARGET, 1)
    monkeypatch.setenv("PBS_INSTALLER_BASE_URL", "https://mirror.example.org/pbs")
    assert lock_interpreter(InterpreterWish("3.12"), TARGET, 1) == plain


def test_what_was_locked_stays_as_long_as_it_answers() -> None:
    old = InterpreterLock(1, (ArchivePin("3.11.2", "x86_64", "https://example.org/a.tar.gz", Sha256Hex("ab" * 32)),))
    assert InterpreterLock.parse(old.encode()) == old
    assert lock_interpreter(InterpreterWish("3.11"), TARGET, 2, old) is old
    assert lock_interpreter(InterpreterWish("3.11.17"), TARGET, 2, old).pins[0].version == "3.11.17"
    arm = replace(TARGET, arch="aarch64")
    assert lock_interpreter(InterpreterWish("3.11"), arm, 2, old).pins[0].arch == "aarch64"
    assert old.differences(InterpreterWish("3.11.17"), arm) == (
        "the stack wants Python 3.11.17, the lock has 3.11.2",
        "the target is aarch64, the locked Python is for x86_64",
    )


def test_a_version_that_nobody_has_built_is_refused_with_its_source() -> None:
    with pytest.raises(InvalidDocument, match=r"'interpreter.version': pbs-installer [\d.]+ knows no CPython 3.11.999"):
        lock_interpreter(InterpreterWish("3.11.999"), TARGET, 1)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"version": "3.12"}, "expected '3.11', as target.python says, or a patch release of it, got '3.12'"),
        ({"version": "newest"}, "expected '3.11', as target.python says"),
        ({"version": "3.11", "sha256": "ab" * 32}, "an archive is named by its version or by url and sha256, not both"),
        ({}, "missing"),
        ({"versoin": "3.11"}, "unknown key; did you mean version?"),
    ],
)
def test_a_wish_that_is_none_is_refused(table: dict[str, str], problem: str) -> None:
    document = {"target": TARGET.to_dict(), "python": {"requirements": ["a"]}, "interpreter": table}
    with pytest.raises(InvalidDocument) as caught:
        Stack.from_dict(document, "demo")
    assert problem in str(caught.value)


def test_a_lock_is_written_beside_the_others_kept_and_upgraded_and_a_bundle_takes_its_archive(
    world: World, tmp_path: Path
) -> None:
    toml = world.locks / "small.toml"
    toml.write_text(TOML.format(index=world.index.url) + '[interpreter]\nversion = "3.11"\n')
    path = world.locks / "small.python.toml"
    with pytest.raises(NotLocked, match=r"small\.python\.toml"):
        prepare(replace(world.options(tmp_path / "b.tar").wishes, locked=True), world.store)
    lock(toml, LockOptions(now=1), world.store)
    first = path.read_bytes()
    lock(toml, LockOptions(now=9), world.store)
    assert path.read_bytes() == first
    older = first.replace(f'"{InterpreterLock.parse(first).pins[0].version}"'.encode(), b'"3.11.1"')
    path.write_bytes(older)
    lock(toml, LockOptions(now=10), world.store)
    assert path.read_bytes() == older
    plan, locks = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    (part,) = plan.of(INTERPRETER)
    assert part.download.filename == InterpreterLock.parse(older).pins[0].url.rpartition("/")[2].replace("%2B", "+")
    assert "small.python.toml" in locks.files
    moved = lock(toml, LockOptions(now=11, upgrade=Upgrade.of(["interpreter"])), world.store).moved
    assert [(one.name, one.old) for one in moved] == [("cpython", "3.11.1")]
    toml.write_text(TOML.format(index=world.index.url))
    lock(toml, LockOptions(now=12), world.store)
    assert not path.exists()
    assert read_locks(world.lock).pinned == {}
