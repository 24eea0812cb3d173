"""What the system cannot tell is never taken for "not there" before something is removed: each look fails, one at a time."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from mirror.closed.environment.caches import remember
from mirror.closed.environment.variables import load_environment
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.usage import is_held, processes_below
from mirror.core.errors import Unreadable
from tests.support.desk import Desk
from tests.support.generations import put_generation
from tests.support.keys import trust_store
from tests.support.layers import add, make_host, pack
from tests.support.tracing import faults, needs_strace, python

pytestmark = pytest.mark.group(51)

LOOKS = ("openat", "newfstatat", "fstat", "readlinkat", "readlink", "read", "getdents64", "flock", "fgetxattr")
GC = """
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Prefix
collect([Prefix(Path(sys.argv[1]))], keep=9, caches={"HOME": sys.argv[2]})
"""
SWEEP = """
from mirror.closed.prefix.generations import Prefix
prefix = Prefix(Path(sys.argv[1]))
with prefix.lock():
    prefix.sweep()
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "h100")


def use(generation: Generation, home: Path) -> Path:
    """What a start of this generation leaves in the user's home."""
    environment = load_environment(generation)
    remember(environment, {"HOME": str(home)})
    return environment.caches({"HOME": str(home)})


@needs_strace
@pytest.mark.parametrize(
    ("error", "each"),
    [("EIO", 5), *(pytest.param(error, 1, marks=pytest.mark.slow) for error in ("EIO", "ESTALE", "EMFILE", "ENOMEM"))],
)
def test_no_look_of_gc_that_fails_removes_a_generation_that_is_kept_or_a_cache(
    prefix: Prefix, tmp_path: Path, error: str, each: int
) -> None:
    """In CI each fifth, and all with each error before a release."""
    generations = [put_generation(prefix, sequence) for sequence in (1, 2)]
    caches = [use(generation, tmp_path) for generation in generations]
    models = caches[0].with_name("0" * 16)
    (models / "mlc_llm/model_weights/hf").mkdir(parents=True)
    (models / "mlc_llm/model_weights/hf/params.bin").touch()
    there = sorted(tmp_path.rglob("*"))
    found = list(faults(python(GC, prefix.root, tmp_path), tmp_path, LOOKS, f"error={error}"))
    assert len(found) > 20
    for fault in found[::each]:
        fault.run()
        left = sorted(path for path in tmp_path.rglob("*") if path.name not in ("history.json", "history.jsonl"))
        assert left == there, fault
        assert prefix.current() == generations[-1], fault


@needs_strace
@pytest.mark.parametrize("error", ["ESTALE", pytest.param("EMFILE", marks=pytest.mark.slow)])
def test_no_look_of_a_sweep_that_fails_removes_more_than_a_killed_run_has_left(prefix: Prefix, error: str) -> None:
    """As every install begins; the current generation has lost its mark, and is never swept."""
    kept = [put_generation(prefix, sequence) for sequence in (1, 2)]
    kept[-1].complete.unlink()
    garbage = prefix.root / f"gens/3-{'cd' * 6}"
    (garbage / "venv").mkdir(parents=True)
    for fault in faults(python(SWEEP, prefix.root), prefix.root, LOOKS, f"error={error}"):
        (garbage / "venv").mkdir(parents=True, exist_ok=True)
        fault.run()
        assert prefix.installed() == (kept[0],), fault
        assert prefix.pointed_to() == kept[1] and kept[1].manifest.exists(), fault
    with prefix.lock():
        prefix.sweep()
    assert not garbage.exists()


@needs_strace
def test_a_generation_whose_mark_cannot_be_read_is_named_and_stays(prefix: Prefix) -> None:
    generations = [put_generation(prefix, sequence) for sequence in (1, 2)]
    source = GC.replace("keep=9", "keep=0").replace(', caches={"HOME": sys.argv[2]}', "")
    marks = [
        fault
        for fault in faults(python(SWEEP, prefix.root), prefix.root, ("openat",), "error=EIO")
        if '"COMPLETE"' in fault.call
    ]
    assert len(marks) >= 1
    for fault in marks:
        finished = fault.run()
        assert finished.returncode != 0
        assert "/COMPLETE: Input/output error" in finished.stderr
    assert prefix.installed() == tuple(generations)
    assert subprocess.run(python(source, prefix.root), capture_output=True).returncode == 0
    assert prefix.installed() == (generations[1],)


def test_a_mark_that_says_something_else_is_damage_and_no_absence(prefix: Prefix) -> None:
    damaged, current = put_generation(prefix, 1), put_generation(prefix, 2)
    damaged.complete.write_bytes(b"\0" * 65)
    report = collect([prefix], keep=0)
    assert report.removed == ()
    assert [(item.path, item.why) for item in report.kept if item.kind == "unfinished"] == [
        (damaged.path, "its mark COMPLETE is damaged, or mirror did not make it: look at it, and remove it by hand")
    ]
    assert prefix.installed() == (current,) and damaged.manifest.exists()


def test_what_mirror_did_not_make_is_not_swept_from_between_the_generations(prefix: Prefix) -> None:
    put_generation(prefix, 1)
    (prefix.root / "gens/notes").mkdir()
    (prefix.root / "gens/notes/todo").write_text("dear")
    collect([prefix])
    assert (prefix.root / "gens/notes/todo").exists()


def test_without_descriptors_left_nobody_is_said_to_use_nothing(prefix: Prefix) -> None:
    generation = put_generation(prefix, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        with pytest.raises(Unreadable, match="Too many open files"):
            is_held(generation.path)
        with pytest.raises((Unreadable, OSError), match="Too many open files"):
            processes_below([generation.path])
        with pytest.raises(Unreadable, match="Too many open files"):
            prefix.installed()
        with pytest.raises(Unreadable, match="Too many open files"):
            _ = generation.is_complete
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


LAYER = """
from mirror.closed.prefix.generations import Prefix
from mirror.closed.warm.layer import check_layer, layer_of, read_layer, read_member
from mirror.core.errors import MirrorError
generation = Prefix(Path(sys.argv[1])).current()
try:
    layer = read_layer(layer_of(generation))
    [read_member(layer_of(generation), one) for one in layer.files]
    print(check_layer(generation))
except MirrorError as exc:
    print(type(exc).__name__)
"""
CHECK = """
from mirror.closed.prefix.generations import Prefix
from mirror.closed.soundness import check_generation
print(sorted({one.kind for one in check_generation(Prefix(Path(sys.argv[1])).current()).damages}))
"""


@needs_strace
@pytest.mark.parametrize("error", ["EIO", pytest.param("EMFILE", marks=pytest.mark.slow)])
def test_a_layer_that_cannot_be_read_is_not_called_damaged(prefix: Prefix, tmp_path: Path, error: str) -> None:
    generation, host, store = put_generation(prefix, 1), make_host(tmp_path / "a", "H100"), trust_store(tmp_path / "s")
    host.compile(generation)
    add(pack(generation, host, store, tmp_path / "l.tar").path, prefix, generation, host, store)
    found = [
        fault
        for fault in faults(python(LAYER, prefix.root), prefix.root, ("openat", "read", "getdents64"), f"error={error}")
        if "/warm." in fault.call
    ]
    assert len(found) > 10
    for fault in found:
        assert fault.run().stdout == "Unreadable\n", fault


@needs_strace
def test_a_document_of_a_generation_that_cannot_be_read_is_not_called_changed(desk: Desk) -> None:
    done = desk.install(desk.bundle("1.0"))
    names = ("receipt.json", "files.json", "manifest.json", "COMPLETE", "RECORD")
    found = [
        fault
        for fault in faults(python(CHECK, done.prefix), done.prefix, ("openat", "read"), "error=EIO")
        if any(f"/{name}" in fault.call for name in names)
    ]
    assert len(found) > 10
    for fault in found:
        finished = fault.run()
        assert finished.stdout in ("['unreadable']\n", "") and "changed" not in finished.stderr, fault


def test_a_tree_is_removed_with_few_descriptors_however_deep_it_is(tmp_path: Path) -> None:
    deep = tmp_path / "tree"
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    source = """
import resource
from mirror.closed.prefix.tree import remove_tree
resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
remove_tree(Path(sys.argv[1]))
"""
    finished = subprocess.run(python(source, tmp_path / "tree"), capture_output=True, text=True)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
