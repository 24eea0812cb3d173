"""``mirror bundle`` from lock to verified tar, on a loopback index, with real wheels, a real sdist and real keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.commands.connected.bundle import _print_result
from mirror.connected.bundle import Bundled, BundleOptions, OutputTaken, bundle
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import SeveralFailures
from mirror.connected.fetching.part import DownloadMismatch
from mirror.connected.fetching.store import Store
from mirror.connected.gathering import assemble
from mirror.connected.index.choice import HashNotOnIndex
from mirror.connected.index.wheels import NoWheelForTarget
from mirror.connected.pins.requirements import InvalidLock, PythonLock, parse_lock
from mirror.connected.planning.locks import LockOutdated, Locks
from mirror.connected.planning.plan import Part, Plan
from mirror.connected.planning.wishes import NotLocked, Wishes
from mirror.connected.prepare import make_plan, prepare
from mirror.connected.stack.without import UnknownPart
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.connected.toolchain.rpmpackage import RpmPin
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.reader import DigestMismatch, open_bundle
from mirror.core.bundle.writer import SourceChanged, pack
from mirror.core.errors import MirrorError, Unreadable, Unwritable
from mirror.core.kinds import RPM, WHEEL
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.progress import Advance, Silent
from mirror.core.signatures import sshsig
from mirror.core.target import Target
from mirror.core.toolkit.fileindex import FILELISTS, HEADERS, FileIndex
from mirror.core.trust.quorum import Tally, UnknownSigner
from mirror.core.trust.truststore import TrustStore
from mirror.core.trust.verdict import RootExpired
from mirror.core.words import utc
from tests.support.bundles import BundleSimulator
from tests.support.index import LoopbackIndex
from tests.support.keys import key, make_root, role, sign_root, write_private_key
from tests.support.osv import record, write_dump
from tests.support.progress import Colleague, Heard
from tests.support.rpms import Packager, toolkit
from tests.support.wheels import make_sdist, make_wheel, sha256_of

TOML = """
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.28"

[python]
requirements = ["alpha==1.0", "delta==2.0"]
build = ["delta"]

[indexes]
default = "{index}"
"""


@dataclass
class World:
    """A builder's machine: an index in reach, lock files, a store, keys.

    Attributes:
        locks: directory of the lock files of the stack "small".
        pins: one line of the Python lock for each project.
    """

    index: LoopbackIndex
    locks: Path
    store: Store
    trust: TrustStore
    tools: PythonLock
    pins: dict[str, str]

    @property
    def lock(self) -> Path:
        return self.locks / "small.txt"

    def write_lock(self, *, locked: str = "2026-11-01T00:00:00Z") -> None:
        head = f"# mirror: locked={locked}\n" if locked else ""
        self.lock.write_text(head + "".join(self.pins.values()))

    def options(self, output: Path, **wishes: object) -> BundleOptions:
        asked = replace(Wishes(self.lock, tools=self.tools), **wishes)  # type: ignore[arg-type]
        return BundleOptions(asked, output)

    def bundle(self, output: Path, **wishes: object) -> Bundled:
        return bundle(self.options(output, **wishes), self.store, self.trust)


def pin(name: str, version: str, *files: Path) -> str:
    return f"{name}=={version}" + "".join(f" --hash=sha256:{sha256_of(path)}" for path in files) + "\n"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = tmp_path / "upstream"
    alpha = make_wheel(made, "alpha", "1.0", requires=["beta"])
    beta = make_wheel(made, "beta", "1.1")
    delta = make_sdist(made, "delta", "2.0")
    tools = [make_wheel(made, "uv", "1.0"), make_wheel(made, "pip", "26.0")]
    with LoopbackIndex() as index:
        for path in (alpha, beta, delta, *tools):
            index.add(path)
        locks = tmp_path / "lockfiles"
        locks.mkdir()
        (locks / "small.toml").write_text(TOML.format(index=index.url))
        (locks / "small.build.txt").write_text("")
        carried = parse_lock((pin("uv", "1.0", tools[0]) + pin("pip", "26.0", tools[1])).encode(), "tools.txt")
        pins = {
            "alpha": pin("alpha", "1.0", alpha),
            "beta": pin("beta", "1.1", beta),
            "delta": pin("delta", "2.0", delta),
        }
        store, trust = Store(tmp_path / "store"), TrustStore(tmp_path / "keys")
        there = World(index, locks, store, trust, carried, pins)
        there.write_lock()
        yield there


def test_the_bundle_is_what_the_lock_says_and_verifies(world: World, tmp_path: Path) -> None:
    result = world.bundle(tmp_path / "b.tar")
    with open_bundle(tmp_path / "b.tar") as written:
        manifest = written.trust(world.trust.load_root())
        written.verify()
        install = written.read(
            manifest.artifacts[[a.filename for a in manifest.artifacts].index("install.txt")]
        ).decode()
        provenance = json.loads(written.read(next(a for a in manifest.artifacts if a.filename == "provenance.json")))
    assert manifest == result.manifest
    assert [artifact.path for artifact in manifest.artifacts] == [
        "tool/mirror.pyz",
        "tool/pip-26.0-py3-none-any.whl",
        "tool/uv-1.0-py3-none-any.whl",
        "wheels/alpha-1.0-py3-none-any.whl",
        "wheels/beta-1.1-py3-none-any.whl",
        "wheels/delta-2.0-py3-none-any.whl",
        "meta/SHA256SUMS",
        "meta/build-delta.log",
        "meta/dossier.json",
        "meta/install.txt",
        "meta/licences.txt",
        "meta/provenance.intoto.json",
        "meta/provenance.json",
        "meta/sbom.cdx.json",
        "meta/small.build.txt",
        "meta/small.toml",
        "meta/small.txt",
    ]
    assert (manifest.name, manifest.sequence, manifest.imports) == ("small", 1793491200, ("alpha", "delta"))
    built = next(artifact for artifact in manifest.artifacts if artifact.name == "delta")
    assert built.origin == "built"
    assert install.splitlines()[1:] == [
        f"{artifact.name}=={artifact.version} --hash=sha256:{artifact.sha256}" for artifact in manifest.of(WHEEL)
    ]
    assert provenance["builds"][0]["project"] == "delta"
    with zipfile.ZipFile(tmp_path / "upstream/alpha-1.0-py3-none-any.whl") as alpha:
        assert manifest.of(WHEEL)[0].unpacked_size == sum(member.file_size for member in alpha.infolist())
    assert built.unpacked_size > 0


def test_equal_locks_give_equal_bytes_from_another_place_with_an_empty_store(world: World, tmp_path: Path) -> None:
    first = world.bundle(tmp_path / "b.tar")
    elsewhere = tmp_path / "else where"
    shutil.copytree(world.locks, elsewhere)
    previous = os.umask(0o077)
    try:
        options = replace(world.options(elsewhere / "c.tar"), wishes=Wishes(elsewhere / "small.txt", tools=world.tools))
        second = bundle(options, Store(tmp_path / "other store"), world.trust)
    finally:
        os.umask(previous)
    assert first.sha256 == second.sha256


@pytest.mark.group(6)
def test_several_builders_and_holders_sign_in_one_order_and_none_of_a_roots_signatures_can_be_taken_out(
    world: World, tmp_path: Path
) -> None:
    root = make_root(role("carla", "dora"), role("ann", "ben"))
    trust = TrustStore(tmp_path / "two")
    trust.add_root(*sign_root(root, ("dora", "carla", "dora")), root.fingerprint)
    keys = [write_private_key(tmp_path / name, name) for name in ("ben", "ann", "ben")]
    made = [
        bundle(replace(world.options(tmp_path / f"{number}.tar"), keys=tuple(some)), world.store, trust)
        for number, some in enumerate((keys, keys[:2], keys[1:]))
    ]
    assert len({one.sha256 for one in made}) == 1
    with open_bundle(made[0].path) as written:
        written.trust(root)
        written.verify()
        assert [sshsig.parse(one).public for one in written.signatures] == [key("ann").public, key("ben").public]
        assert written.root_documents == (sign_root(root, ("carla", "dora")),)
        documents = (sign_root(root, ("carla",)),)
        sources: dict[str, bytes | Path] = {one.path: written.read(one) for one in written.manifest.artifacts}
        fewer = tmp_path / "fewer.tar"
        pack(written.manifest, written.manifest_bytes, written.signatures, documents, sources, fewer)
    with open_bundle(fewer) as altered:
        altered.trust(root)
        with pytest.raises(BadLayout, match=r"ROOT/1\.sig is not the one that meta/SHA256SUMS names"):
            altered.verify()


def test_a_second_run_asks_the_index_nothing(world: World, tmp_path: Path) -> None:
    first = world.bundle(tmp_path / "b.tar")
    asked = world.index.count("/simple/alpha/")
    second = world.bundle(tmp_path / "c.tar")
    assert (asked, world.index.count("/simple/alpha/")) == (1, 1)
    assert first.sha256 == second.sha256


def test_a_bundle_that_stands_is_checked_to_the_last_byte_and_not_written_again(world: World, output: Path) -> None:
    first, before = world.bundle(output), output.stat()
    again, after = world.bundle(output), output.stat()
    assert (again.sha256, again.size) == (first.sha256, first.size) == (sha256_of(output), before.st_size)
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_bundle_that_is_replaced_is_told(world: World, output: Path) -> None:
    BundleSimulator(name="small", sequence=1_700_000_000).write(output)
    assert [note for note in world.bundle(output).notes if "replaced" in note] == [
        "it replaced the bundle locked 2023-11-14T22:13:20Z, whose approvals are not this one's; a delta can go only from one "
        f"that is kept: name the next one with -o, and this one with --from {output.name}"
    ]
    assert not [note for note in world.bundle(output).notes if "replaced" in note]


def test_a_file_that_got_the_name_meanwhile_is_not_replaced(world: World, output: Path) -> None:
    with pytest.raises(Unwritable, match="it is there and is no bundle"):
        bundle(world.options(output), world.store, world.trust, Colleague(output, "verify"))
    assert output.read_text() == "theirs"
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_another_stacks_bundle_is_not_replaced(world: World, output: Path) -> None:
    BundleSimulator(name="other").write(output)
    before = output.read_bytes()
    assert (
        refused(world, output, OutputTaken)
        == f"{output} is the bundle of other, and would be replaced by that of small"
    )
    assert output.read_bytes() == before and not world.trust.has_root()


def test_another_stacks_bundle_is_seen_before_anything_is_asked_or_locked(world: World, output: Path) -> None:
    BundleSimulator(name="other").write(output)
    lock = world.options(output).wishes.lock
    for path in lock.parent.glob("small.*txt"):
        path.unlink()
    refused(world, output, OutputTaken)
    assert not lock.exists()


def test_keys_that_were_made_are_told_before_the_work_that_may_fail(world: World, output: Path) -> None:
    trust, heard = TrustStore(output.parent / "new"), Heard()
    world.index.serve("/files/beta-1.1-py3-none-any.whl", b"evil")
    with pytest.raises(DownloadMismatch):
        bundle(world.options(output), world.store, trust, heard)
    made = [f"made a private key, to be backed up: {trust.keys / name}" for name in ("root", "builder")]
    assert [line for line in heard.lines if "private key" in line] == made
    assert trust.has_root()


def test_what_a_killed_run_left_of_another_bundle_goes(world: World, output: Path) -> None:
    output.parent.mkdir(exist_ok=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = output.with_name(f"..old.tar.unverified.{dead.pid}.tmp")
    running = output.with_name(f"..now.tar.unverified.{os.getpid()}.tmp")
    for path in (left, running):
        path.write_bytes(b"half")
    world.bundle(output)
    assert sorted(os.listdir(output.parent)) == sorted([running.name, output.name])


def said_of(world: World, output: Path) -> str:
    """What a run says of the bundle that stands."""
    heard = Heard()
    bundle(world.options(output), world.store, world.trust, heard)
    return next((line for line in heard.lines if "is this very bundle" in line), "")


def test_a_bundle_to_which_nobody_wrote_since_it_was_checked_is_not_read_again(world: World, output: Path) -> None:
    world.bundle(output)
    assert said_of(world, output) == (
        f"{output} is this very bundle: it begins as it would, and was not written to since every byte of it was checked "
        "('mirror verify' reads them again)"
    )
    # Bytes of another file under its name, in another place, or a note of nobody's are read.
    moved = output.with_name("moved.tar")
    moved.write_bytes(output.read_bytes())
    checked = f"{moved} is this very bundle: every byte was checked, none is written again"
    assert said_of(world, moved) == checked != said_of(world, moved)
    moved.touch()
    assert said_of(world, moved) == checked
    for note in (world.store.root / "unchanged").iterdir():
        note.write_bytes(b"[]")
    assert said_of(world, moved) == checked
    world.store.root.chmod(0o777)
    world.store = Store(world.store.root)
    assert said_of(world, moved) == checked


def test_what_equal_inputs_made_before_is_not_looked_into_again(world: World, output: Path) -> None:
    first, facts = world.bundle(output), world.store.root / "facts"
    shutil.rmtree(facts)
    again = world.bundle(output)
    assert (again.sha256, again.manifest, again.notes) == (first.sha256, first.manifest, first.notes)
    assert not facts.exists()
    moved = output.with_name("moved.tar")
    shutil.copy(output, moved)
    assert world.bundle(moved).sha256 == first.sha256 and not facts.exists()


def test_what_may_be_another_bundle_is_thought_through_again(world: World, output: Path) -> None:
    world.bundle(output)
    facts, options = world.store.root / "facts", world.options(output)

    def is_looked_into(**changed: Any) -> bool:
        shutil.rmtree(facts, ignore_errors=True)
        bundle(replace(options, **changed), Store(world.store.root), world.trust)
        return facts.exists()

    assert not is_looked_into()
    next(world.store.root.glob("built/*/build.log")).write_text("it says something else\n")
    assert (is_looked_into(), is_looked_into()) == (True, False)
    data = output.read_bytes()
    output.write_bytes(data[:20] + b"x" + data[21:])  # what comes before tells a bundle from another file
    assert (is_looked_into(), is_looked_into()) == (True, False)
    for memory in world.store.root.glob("foreseen/*.json"):
        memory.write_bytes(b"{}")
    assert (is_looked_into(), is_looked_into()) == (True, False)
    assert (is_looked_into(policy=Policy()), is_looked_into(policy=Policy())) == (True, False)
    database = write_dump(output.with_name("database"), record("GHSA-1", "other", fixed="2"))
    assert (is_looked_into(osv=str(database)), is_looked_into(osv=str(database))) == (True, True)
    world.trust = TrustStore(output.with_name("other keys"))
    assert (is_looked_into(), is_looked_into()) == (True, False)
    world.store.root.chmod(0o777)
    assert is_looked_into()


def test_where_packages_come_from_is_told_here_and_not_in_the_bundle(
    world: World, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://here.example.org/simple/")
    toml = world.locks / "small.toml"
    toml.write_text(toml.read_text().partition("[indexes]")[0])
    world.write_lock()
    monkeypatch.setenv("PIP_INDEX_URL", world.index.url)
    first = world.bundle(output)
    assert any("PIP_EXTRA_INDEX_URL" in note for note in first.notes)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL")
    assert world.bundle(output.with_name("second.tar")).sha256 == first.sha256


@pytest.mark.parametrize("place", ["first", "middle", "last", "longer", "shorter", "none"])
def test_what_stands_and_is_not_that_bundle_to_the_last_byte_is_written_anew(
    world: World, output: Path, place: str
) -> None:
    """Its size and its times say that nothing happened to it."""
    first, before = world.bundle(output), output.stat()
    data = bytearray(output.read_bytes())
    if place in ("first", "middle", "last"):
        data[{"first": 20, "middle": len(data) // 2, "last": -1}[place]] ^= 1
    whole = bytes(data)
    changed = {"longer": whole + b"\0", "shorter": whole[:-1], "none": b""}.get(place, whole)
    output.write_bytes(changed)
    os.utime(output, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sha256_of(output) != first.sha256
    assert world.bundle(output).sha256 == first.sha256 == sha256_of(output)


def test_another_locks_bundle_takes_the_place_of_one_that_stands(world: World, output: Path) -> None:
    first = world.bundle(output)
    world.write_lock(locked="2026-11-02T00:00:00Z")
    second = world.bundle(output)
    assert second.sha256 == sha256_of(output) != first.sha256


def test_the_plan_says_what_is_here_what_is_fetched_and_what_is_built(world: World, tmp_path: Path) -> None:
    plan, _ = prepare(world.options(tmp_path / "b.tar").wishes, world.store)
    before = plan.to_dict(world.store)
    assert before["here"] == []
    assert [item["file"] for item in before["build"]] == ["delta 2.0"]
    assert {item["file"] for item in before["fetch"]} >= {"alpha-1.0-py3-none-any.whl", "delta-2.0.tar.gz"}
    assert all(item["size"] > 0 for item in before["fetch"])
    world.bundle(tmp_path / "b.tar")
    after = plan.to_dict(world.store)
    assert (after["fetch"], len(after["here"])) == ([], len(before["fetch"]))


def test_files_of_the_wheelhouse_are_not_fetched(world: World, tmp_path: Path) -> None:
    store = Store(tmp_path / "store", wheelhouse=tmp_path / "upstream")
    bundle(world.options(tmp_path / "b.tar"), store, world.trust)
    assert world.index.count("/files/alpha-1.0-py3-none-any.whl") == 0


def test_a_lock_of_pip_tools_without_toml_is_accepted(world: World, tmp_path: Path) -> None:
    """Two hashes a line, as pip-compile writes them; the file for this platform is chosen."""
    lock = tmp_path / "requirements.txt"
    other = "0" * 64
    lock.write_text(world.pins["alpha"].replace(" --hash", f" --hash=sha256:{other} --hash", 1) + world.pins["beta"])
    wishes = {"lock": lock, "index_url": world.index.url, "epoch": "1700000000"}
    result = world.bundle(tmp_path / "b.tar", **wishes)
    assert (result.manifest.name, result.manifest.sequence) == ("requirements", 1700000000)
    assert result.manifest.imports == ("alpha",)
    assert any("has no NAME.toml beside it" in note for note in result.notes)


def test_a_pylock_is_accepted(world: World, tmp_path: Path) -> None:
    lock = tmp_path / "pylock.site.toml"
    wheel = tmp_path / "upstream" / "beta-1.1-py3-none-any.whl"
    lock.write_text(
        'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "beta"\nversion = "1.1"\n'
        f'wheels = [{{name = "{wheel.name}", url = "https://example.org/{wheel.name}", '
        f'hashes = {{sha256 = "{sha256_of(wheel)}"}}}}]\n'
    )
    result = world.bundle(tmp_path / "b.tar", lock=lock, index_url=world.index.url, epoch="1700000000")
    assert result.manifest.name == "site"
    assert [artifact.name for artifact in result.manifest.of(WHEEL)] == ["beta"]


def refused(world: World, output: Path, error: type[MirrorError], **wishes: object) -> str:
    """The error that a bundle ends with; nothing may be left at or beside the output."""
    before = sorted(os.listdir(output.parent)) if output.parent.is_dir() else None
    with pytest.raises(error) as caught:
        world.bundle(output, **wishes)
    assert (sorted(os.listdir(output.parent)) if output.parent.is_dir() else None) == before
    return str(caught.value)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "b.tar"


def test_locked_refuses_to_lock_what_is_missing(world: World, output: Path) -> None:
    (world.locks / "small.build.txt").unlink()
    message = refused(world, output, NotLocked, locked=True)
    assert message == f"{world.locks} has no small.build.txt, and nothing may be locked now (--locked, --dry-run)"


def test_going_without_what_is_not_optional_is_refused(world: World, output: Path) -> None:
    message = refused(world, output, UnknownPart, without=frozenset({"alpha"}))
    assert message == "--without names 'alpha'; this stack can go without nothing"


def test_what_is_optional_is_pinned_as_soon_as_its_index_can_be_reached(
    world: World, output: Path, tmp_path: Path
) -> None:
    toml = world.locks / "small.toml"
    toml.write_text(toml.read_text().replace('build = ["delta"]', 'optional = ["extra==3.0"]\nbuild = ["delta"]'))
    unpinned = "# mirror: unpinned extra==3.0 (the index is out of reach)\n"
    world.lock.write_text(unpinned + world.lock.read_text())
    before = world.bundle(output)
    assert "goes without extra==3.0 (the index is out of reach)" in before.notes
    world.index.add(make_wheel(tmp_path / "upstream", "extra", "3.0"))
    assert "extra" not in {item.name for item in world.bundle(output, locked=True).manifest.artifacts}
    assert "extra" in {item.name for item in world.bundle(output).manifest.artifacts}


def test_an_outdated_build_lock_is_refused(world: World, output: Path) -> None:
    toml = world.locks / "small.toml"
    toml.write_text(toml.read_text() + '\n[build.delta]\nrequires = ["cmake>=3"]\n')
    assert "build asks for cmake>=3, the lock has no such pin" in refused(world, output, LockOutdated, locked=True)


@pytest.mark.parametrize("name", ["fooBar!!", "Foo_Bar"])
def test_an_odd_part_is_refused_by_name(world: World, output: Path, name: str) -> None:
    assert f"--without names {name!r}" in refused(world, output, UnknownPart, without=frozenset({name}))


def test_a_lock_is_never_overwritten_by_its_bundle(world: World) -> None:
    before = world.lock.read_bytes()
    assert "is no bundle" in refused(world, world.lock, Unwritable)
    assert world.lock.read_bytes() == before


@pytest.mark.parametrize("epoch", ["²", "99999999999999999", "abc"])
def test_an_odd_epoch_is_not_taken(world: World, tmp_path: Path, epoch: str) -> None:
    world.write_lock(locked="")
    assert any("when it was last changed" in note for note in world.bundle(tmp_path / "b.tar", epoch=epoch).notes)


def test_a_missing_lock_is_named(world: World, output: Path) -> None:
    message = refused(world, output, Unreadable, lock=world.locks / "none.txt")
    assert message == f"cannot read {world.locks / 'none.txt'}: No such file or directory"


def test_a_lock_that_no_longer_covers_its_toml_is_refused(world: World, output: Path) -> None:
    toml = world.locks / "small.toml"
    toml.write_text(toml.read_text().replace("alpha==1.0", "alpha==1.2"))
    message = refused(world, output, LockOutdated, locked=True)
    assert "requirements asks for alpha==1.2, the lock has 1.0" in message


@pytest.mark.group(38, 41)
def test_a_line_without_a_hash_and_a_second_pin_are_both_named(world: World, output: Path) -> None:
    world.pins["beta"] = "beta==1.1\n"
    world.pins["again"] = world.pins["alpha"].replace("1.0", "1.1", 1)
    world.write_lock()
    with pytest.raises(InvalidLock) as caught:
        world.bundle(output)
    assert len(caught.value.issues) == 2
    assert not output.exists()


def test_a_hash_that_no_file_has_is_named(world: World, output: Path) -> None:
    world.pins["beta"] = f"beta==1.1 --hash=sha256:{'0' * 64}\n"
    world.write_lock()
    assert "beta 1.1: no file on 127.0.0.1 has the locked sha256" in refused(world, output, HashNotOnIndex)


@pytest.mark.group(40)
def test_a_wheel_for_another_glibc_is_refused_with_both_sides(world: World, output: Path, tmp_path: Path) -> None:
    tag = "cp311-cp311-manylinux_2_31_x86_64"
    wheel = make_wheel(tmp_path / "upstream", "beta", "1.3", tag=tag)
    world.index.add(wheel)
    world.pins["beta"] = pin("beta", "1.3", wheel)
    world.write_lock()
    message = refused(world, output, NoWheelForTarget)
    assert message == "beta 1.3 has only manylinux_2_31 wheels; target small promises glibc 2.28"


@pytest.mark.group(56)
def test_other_bytes_under_the_locked_name_are_refused(world: World, output: Path) -> None:
    world.index.serve("/files/alpha-1.0-py3-none-any.whl", b"<html>please log in</html>")
    world.index.serve("/files/beta-1.1-py3-none-any.whl", b"evil")
    assert "2 files could not be fetched" in refused(world, output, SeveralFailures)


def test_an_output_directory_that_is_not_there_is_named(world: World, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "b.tar"
    assert str(path.parent) in refused(world, path, Unwritable)


def test_a_key_that_the_root_does_not_name_is_refused_before_the_long_work(world: World, output: Path) -> None:
    world.bundle(output)
    output.unlink()
    stranger = write_private_key(output.parent.parent / "stranger", "stranger")
    with pytest.raises(UnknownSigner):
        bundle(replace(world.options(output), keys=(stranger,)), world.store, world.trust)
    assert os.listdir(output.parent) == []


@pytest.mark.group(52, 55)
def test_a_root_that_expired_is_refused_before_the_long_work_and_one_that_soon_will_is_told(
    world: World, output: Path
) -> None:
    world.trust.add_root(*sign_root(make_root(expires=1)), make_root(expires=1).fingerprint)
    with pytest.raises(RootExpired) as caught:
        world.bundle(output)
    assert "whoever holds a root key signs the next root, `mirror trust rotate --expires DATE`" in caught.value.hint
    assert not world.store.root.exists()
    root = make_root(version=2, expires=int(time.time()) + 86_400)
    world.trust.add_root(*sign_root(root))
    held = write_private_key(output.with_name("held"), "builder")
    made = bundle(replace(world.options(output), keys=(held,)), world.store, world.trust)
    (note,) = [one for one in made.notes if "expires" in one]
    assert note.startswith(
        f"the trusted root expires at {utc(root.expires or 0)}, and nothing is trusted by it then: whoever"
    )


def test_an_interrupt_while_packing_leaves_nothing(world: World, output: Path) -> None:
    class Impatient:
        """Presses Ctrl-C when packing begins."""

        def say(self, line: str) -> None:
            pass

        def task(self, label: str, total: int | None = None, unit: str = "B") -> object:
            if label == "pack":
                raise KeyboardInterrupt
            from contextlib import nullcontext

            return nullcontext(lambda amount: None)

    with pytest.raises(KeyboardInterrupt):
        bundle(world.options(output), world.store, world.trust, Impatient())  # type: ignore[arg-type]
    assert os.listdir(output.parent) == []
    world.bundle(output)
    assert os.listdir(output.parent) == ["b.tar"]


class Meddler(Silent):
    """Does something when a step begins."""

    def __init__(self, step: str, act: Callable[[], object]) -> None:
        self.step, self.act = step, act

    def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
        if label == self.step:
            self.act()
        return nullcontext(lambda amount: None)


@pytest.mark.group(55)
@pytest.mark.parametrize("step", ["pack", "verify"])
def test_what_is_written_is_read_back_and_a_source_that_changed_is_told_from_a_disk_that_lies(
    world: World, output: Path, step: str
) -> None:
    """No byte is looked at as it is copied: the one reading of what was written finds what source or disk made of it."""
    world.bundle(output)
    output.unlink()
    kept = next(world.store.root.glob("sha256/*/*/alpha-1.0-py3-none-any.whl"))
    whole = kept.read_bytes()
    draft = output.with_name(".b.tar.unverified")
    path = kept if step == "pack" else draft

    def change() -> None:
        path.write_bytes(path.read_bytes().replace(whole, whole[:-1] + bytes([whole[-1] ^ 1])))

    with pytest.raises(SourceChanged if step == "pack" else DigestMismatch) as caught:
        bundle(world.options(output), world.store, world.trust, Meddler(step, change))
    named = str(kept) if step == "pack" else f"wheels/alpha-1.0-py3-none-any.whl of {draft}"
    assert str(caught.value).startswith(f"{named}: sha256 is ")
    assert os.listdir(output.parent) == []


class Toolchain:
    """Four RPMs with their lock, planned for a bundle; nothing else is in it."""

    def __init__(self, directory: Path) -> None:
        packager = Packager()
        self.rpms = toolkit(directory, packager)
        pins, parts = [], []
        for path in self.rpms:
            name, version, release = path.name.rsplit(".", 2)[0].rsplit("-", 2)
            digest, size = Sha256Hex(sha256_of(path)), path.stat().st_size
            pin = RpmPin(name, 0, version, release, "x86_64", path.name, size, digest, 1)
            pins.append(pin)
            download = Download(path.as_uri(), path.name, digest, size)
            parts.append(Part(RPM, name, f"{version}-{release}", download, 1, pin.nevra))
        self.target = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
        self.plan = Plan("demo", 1, self.target, tuple(parts))
        self.paths = {part.download.sha256: path for part, path in zip(parts, self.rpms, strict=True)}
        wanted = tuple(pin.name for pin in pins)
        url = "https://rpms.example.org/"
        lock = RpmLock(url, (packager.fingerprint,), 1, wanted, packager.armored, tuple(pins))
        python = parse_lock(b"# none\n", "demo.txt")
        self.locks = Locks(
            *(directory / "demo.txt", "demo", None, python, None, self.target, {"demo.txt": b"# none\n"}),
            pinned={RPM: lock},
        )

    def members(self, locks: Locks) -> dict[str, bytes]:
        """The texts that a bundle of these locks has in meta/."""
        sources = assemble(self.plan, locks, self.paths, ()).assembly.sources
        return {
            path: source for path, source in sources.items() if isinstance(source, bytes) and path.startswith("meta/")
        }


def test_the_locks_index_of_files_travels_under_a_name_that_the_closed_side_knows(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    index = FileIndex("13.0", "x86_64", FILELISTS, ())
    files = {**toolchain.locks.files, "demo.files.txt": index.encode()}
    members = toolchain.members(replace(toolchain.locks, index=index, files=files))
    assert members["meta/files.txt"] == index.encode()
    assert "meta/demo.files.txt" not in members
    assert "demo.files.txt" in json.loads(members["meta/provenance.json"])["locks"]


def test_without_it_the_carried_rpms_tell_what_they_bring(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    members = toolchain.members(toolchain.locks)
    index = FileIndex.parse(members["meta/files.txt"])
    assert index.source == HEADERS
    assert index.carried == {f"{path.name[: -len('.rpm')]}" for path in toolchain.rpms}
    assert {path for rpm in index.rpms for path in rpm.paths} >= {"bin/nvcc", "targets/x86_64-linux/include/cuda.h"}
    wishes = Wishes(toolchain.locks.path, epoch="1790000000", tools=toolchain.locks.python)
    note = "demo.files.txt is not there ('mirror lock' writes it): 'mirror which' will know the bundle's RPMs only"
    assert note in make_plan(toolchain.locks, wishes, Store(tmp_path / "store")).notes


def test_a_bundle_without_rpms_has_no_index_of_their_files(tmp_path: Path) -> None:
    toolchain = Toolchain(tmp_path)
    index = FileIndex("13.0", "x86_64", FILELISTS, ())
    locks = replace(toolchain.locks, index=index, files={"demo.files.txt": index.encode()})
    sources = assemble(replace(toolchain.plan, parts=()), locks, {}, ()).assembly.sources
    assert not [path for path in sources if "files.txt" in path]


def test_a_delta_is_applied_before_the_bundle_that_it_makes_is_named(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = world.bundle(tmp_path / "day1.tar").path
    world.write_lock(locked="2026-11-02T00:00:00Z")
    options = replace(world.options(tmp_path / "day2.tar"), base=first)
    _print_result(bundle(options, world.store, world.trust))
    said = capsys.readouterr().out
    carried, where, *steps = said.partition("\ncarry across: ")[2].splitlines()
    assert carried == str(tmp_path / "day2.tar.from-1793491200.delta")
    assert where.startswith("in the closed network, where small 1793491200 (locked 2026-11-01, day1.tar, manifest ")
    assert steps == [
        "  python3 -I mirror.pyz apply day2.tar.from-1793491200.delta",
        "  python3 -I mirror.pyz install day2.tar",
    ]


def test_of_a_delta_that_fails_it_is_said_that_the_bundle_is_written(world: World, tmp_path: Path) -> None:
    first = world.bundle(tmp_path / "day1.tar").path
    world.write_lock(locked="2026-11-02T00:00:00Z")
    output = tmp_path / "day2.tar"
    (tmp_path / "day2.tar.from-1793491200.delta").mkdir()
    with pytest.raises(MirrorError) as caught:
        bundle(replace(world.options(output), base=first), world.store, world.trust)
    assert f" The bundle itself is written, {output}: the same command without --from" in caught.value.hint
    assert world.bundle(output).path == output


def test_approvals_come_before_what_is_carried_and_installed(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = world.bundle(tmp_path / "day1.tar")
    short = replace(made, tallies=(Tally("approver", 1, (), ("alice",)),))
    _print_result(short)
    lines = capsys.readouterr().out.splitlines()
    assert lines.index("it cannot be installed before others have signed it, too:") < lines.index(
        f"carry across, once they have signed, {made.path}, with day1.tar.approval*"
    )
    assert lines[-1] == "  python3 -I mirror.pyz install day1.tar"


def test_what_lies_beside_a_bundle_for_another_of_its_name_is_one_note_with_the_step(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "day.tar"
    names = ["day.tar.approval.json", "day.tar.approval.json.sig", "day.tar.approval.sig", "day.tar.from-1.delta"]
    for name in names:
        (tmp_path / name).write_text("of yesterday")
    (note,) = (note for note in world.bundle(path).notes if "day.tar.approval" in note)
    command = note.partition(": ")[2].partition("  (")[0].split()
    assert command[:2] == ["rm", "-f"] and sorted(command[2:]) == [str(tmp_path / name) for name in names]
    for name in names:
        (tmp_path / name).unlink()
    assert not [note for note in world.bundle(path).notes if "beside it" in note]
