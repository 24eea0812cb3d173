"""A delta is applied, or refused with a name; and nothing is left where the bundle should be."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mirror.closed.delta.applying import DamagedBase, NoBase, Options, OtherZlib, WrongBase, apply_delta
from mirror.closed.delta.unpatching import NoUnpatcher, Unpatcher, carried, patching_program, this_python
from mirror.connected.delta.frames import compressed
from mirror.connected.delta.making import make_delta
from mirror.connected.packing.installer import write_installer
from mirror.core.bundle.delta.document import PIECE_BYTES
from mirror.core.bundle.delta.opened import DamagedDelta
from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.volumes.splitting import split
from mirror.core.errors import InvalidDocument, MirrorError, Unwritable
from mirror.core.progress import Advance, Silent
from mirror.core.words import utc
from tests.e2e.conftest import find_python
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.deltas import Pair, edit, make_pair, part
from tests.support.keys import make_root, trust_store
from tests.support.mounts import needs_mounts
from tests.support.progress import Colleague, Heard
from tests.support.wheels import zstd_wheel


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("made"))


@pytest.fixture
def pair(made: Pair, tmp_path: Path) -> Pair:
    """The base and the delta as they were carried; ``new`` is what shall come out, and is not there."""
    for path in (made.old, made.delta):
        shutil.copy(path, tmp_path)
    delta = dataclasses.replace(made.made, path=tmp_path / made.delta.name)
    return Pair(tmp_path / "old.tar", tmp_path / "new.tar", delta)


def apply(pair: Pair, **options: Any) -> Path:
    return apply_delta(pair.delta, Options(**options), trust_store(pair.old.parent / "t", make_root())).path


def refused(pair: Pair, **options: Any) -> MirrorError:
    with pytest.raises(MirrorError) as caught:
        apply(pair, **options)
    assert not pair.new.exists()
    assert not [path for path in pair.old.parent.iterdir() if path.name.startswith(".")]
    return caught.value


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_the_very_bundle_comes_out_beside_the_delta(made: Pair, pair: Pair) -> None:
    assert apply(pair) == pair.new
    assert pair.new.read_bytes() == made.new.read_bytes()
    with open_bundle(pair.new) as bundle:
        bundle.trust(make_root())
        bundle.verify()


def test_a_second_run_finds_it_and_writes_nothing(pair: Pair) -> None:
    before = apply(pair).stat()
    applied = apply_delta(pair.delta, Options(), trust_store(pair.old.parent / "t", make_root()))
    assert applied.was_there and applied.path.stat().st_ino == before.st_ino


def test_delta_and_base_may_lie_in_volumes(made: Pair, pair: Pair) -> None:
    media = pair.old.parent / "media"
    media.mkdir()
    for path in (pair.delta, pair.old):
        split(path, 20_000, [media])
        path.unlink()
    out = apply_delta(
        media / f"{pair.delta.name}.volumes",
        Options(media / "old.tar"),
        trust_store(pair.old.parent / "t", make_root()),
    )
    assert out.path == media / "new.tar" and out.path.read_bytes() == made.new.read_bytes()


def test_bad_copies_of_volumes_of_either_are_told(pair: Pair) -> None:
    media = pair.old.parent / "media"
    media.mkdir()
    bad = []
    for path in (pair.delta, pair.old):
        volume = split(path, 20_000, [media]).volumes[0].name
        path.unlink()
        bad.append(path.parent / volume)
        bad[-1].write_bytes(bytes(len(bad)))
    told = Heard()
    options = Options(media / "old.tar", volumes=(pair.old.parent,))
    apply_delta(media / f"{pair.delta.name}.volumes", options, trust_store(pair.old.parent / "t", make_root()), told)
    notes = [line for line in told.lines if line.startswith("note: ")]
    assert [line.partition(", the index says ")[0] for line in notes] == [
        f"note: {bad[0]} has 1 bytes",
        f"note: {bad[1]} has 2 bytes",
    ]
    assert all(line.endswith("; another copy is read") for line in notes)


def test_what_is_there_and_is_something_else_is_not_replaced(pair: Pair) -> None:
    pair.new.write_text("mine")
    with pytest.raises(Unwritable) as caught:
        apply(pair)
    assert str(caught.value).startswith(
        f"cannot write {pair.new}: it is there and is not demo {SEQUENCE + 1} (locked {utc(SEQUENCE + 1)[:10]}, new.tar, "
    )
    assert caught.value.hint == "Name another file with -o, or remove the one that is there if nobody needs it."
    assert pair.new.read_text() == "mine"
    with pytest.raises(Unwritable, match="does not exist"):
        apply(pair, output=pair.new.parent / "nowhere/new.tar")


def test_a_wrong_base_is_refused_with_both_names(made: Pair, pair: Pair) -> None:
    error = refused(pair, base=made.new)
    assert isinstance(error, WrongBase)
    old, new = made.made.head.base, made.made.head.target
    assert str(error) == f"the delta goes from {old}; {made.new} is {new}"
    other = BundleSimulator("other").write(pair.old.parent / "other.tar")
    assert f"{other} is other {SEQUENCE} (locked {utc(SEQUENCE)[:10]}, other.tar, manifest " in str(
        refused(pair, base=other)
    )


@pytest.mark.parametrize("name", ["monday.tar", "old.bin", "old"])
@pytest.mark.parametrize("stands", [False, True], ids=["alone", "beside another one of its name"])
def test_a_base_of_another_name_is_found_by_its_digest(made: Pair, pair: Pair, stands: bool, name: str) -> None:
    pair.old.rename(pair.old.with_name(name))
    (pair.old.parent / "a.tar").write_bytes(b"no bundle")
    if stands:
        BundleSimulator("other").write(pair.old)
    assert apply(pair).read_bytes() == made.new.read_bytes()


def test_a_base_that_is_not_there_is_asked_for_by_name(made: Pair, pair: Pair) -> None:
    pair.old.unlink()
    error = refused(pair)
    assert isinstance(error, NoBase)
    assert str(error) == (
        f"the delta goes from {made.made.head.base}; {pair.old} is not there, and no other file beside the delta is that bundle"
    )
    assert "'mirror install DELTA --base PREV'" in error.hint


def test_a_base_that_another_delta_makes_is_to_be_made_first(made: Pair, pair: Pair) -> None:
    shutil.copy(made.new, pair.new)
    make_delta(pair.new, pair.old, make_root()).path.rename(pair.delta.with_name("back.delta"))
    pair.old.unlink()
    pair.new.unlink()
    error = refused(pair)
    assert isinstance(error, NoBase)
    step = f"'mirror apply {pair.delta.with_name('back.delta')}', and then the same command again."
    assert error.hint == f"back.delta, which lies beside it, makes that bundle: {step}"


def test_another_base_is_refused_also_where_the_bundle_lies_there_already(pair: Pair) -> None:
    apply(pair, base=pair.old)
    other = pair.old.with_name("other.tar")
    BundleSimulator("other").write(other)
    with pytest.raises(WrongBase, match="demo"):
        apply(pair, base=other)
    assert apply(pair, base=pair.old) == pair.new
    pair.old.unlink()
    assert apply(pair, base=pair.old) == pair.new, "it needs none, so the one that it was made of may be gone"


@pytest.mark.parametrize("content", ["kept", "alpha", "meta/words"])
def test_a_base_with_one_bit_off_is_named_with_its_file(pair: Pair, content: str) -> None:
    with open_bundle(pair.old) as bundle:
        bundle.trust(make_root())
        artifact = next(one for one in bundle.manifest.artifacts if content in one.path)
        offset, size = bundle.offset(artifact)
    flip(pair.old, offset + size // 2)
    error = refused(pair)
    assert isinstance(error, DamagedBase)
    assert str(error).startswith(f"{pair.old}: the sha256 of {artifact.path} is ")


def test_a_volume_of_the_base_that_is_damaged_is_named(pair: Pair) -> None:
    split(pair.old, 20_000)
    pair.old.unlink()
    flip(pair.old.with_name("old.tar.002"), 15_000)
    assert f"{pair.old.parent}/old.tar.002 is damaged, or of another file" in str(refused(pair))


def test_a_base_whose_headers_are_damaged_is_named(pair: Pair) -> None:
    with open_bundle(pair.old) as bundle:
        bundle.trust(make_root())
        offset, _ = bundle.offset(bundle.manifest.artifacts[1])
    flip(pair.old, offset - 300)
    assert isinstance(refused(pair), DamagedBase)


@pytest.mark.group(1, 2, 3)
def test_a_delta_that_is_flipped_or_cut_anywhere_is_refused(pair: Pair) -> None:
    whole = pair.delta.read_bytes()
    draw = random.Random(1)
    for at in [*range(100), *(draw.randrange(len(whole)) for _ in range(150)), len(whole) - 1]:
        flip(pair.delta, at)
        assert isinstance(refused(pair), (DamagedDelta, InvalidDocument)), at
        pair.delta.write_bytes(whole)
    for cut in (0, 5, 80, len(whole) // 2, len(whole) - 1):
        pair.delta.write_bytes(whole[:cut])
        assert isinstance(refused(pair), (DamagedDelta, InvalidDocument)), cut
    pair.delta.write_bytes(whole + b"\0")
    assert isinstance(refused(pair), DamagedDelta)


Edit = Callable[[dict[str, Any]], object]
HUGE = 1 << 40


def _samples(head: dict[str, Any]) -> None:
    head["samples"][0]["sha256"] = "00" * 32


def test_a_zlib_that_packs_otherwise_is_told_before_anything_is_written(pair: Pair) -> None:
    edit(pair.delta, _samples)
    error = refused(pair)
    assert isinstance(error, OtherZlib)
    assert error.files == ("wheels/alpha-2.0-py3-none-any.whl",)
    assert "to be carried whole: wheels/alpha-2.0-py3-none-any.whl" in str(error) and "--no-redeflate" in error.hint


def grow_stretch(head: dict[str, Any]) -> None:
    part(head, "alpha")["pieces"][0]["slices"][-1][2] += 1000


def of_nothing(head: dict[str, Any]) -> None:
    part(head, "alpha")["pieces"][0]["slices"] = [[99, 0, 5]]


def other_base(head: dict[str, Any]) -> None:
    part(head, "alpha")["base"]["path"] = "wheels/none.whl"


def a_text_taken_for_a_wheel(head: dict[str, Any]) -> None:
    part(head, "words")["pieces"][0]["slices"] = [[1, 0, 5]]


def more_members(head: dict[str, Any]) -> None:
    part(head, "alpha")["members"] += 1


def another_digest(head: dict[str, Any]) -> None:
    part(head, "words")["sha256"] = "11" * 32


def another_whole(head: dict[str, Any]) -> None:
    head["target"]["sha256"] = "11" * 32


HOSTILE: dict[str, tuple[Edit, type[MirrorError], str]] = {
    "a stretch beyond its part": (grow_stretch, DamagedDelta, "it names a stretch that the base's file does not have"),
    "a part that is none": (
        of_nothing,
        DamagedDelta,
        "it names a stretch that the base's file does not have: [99, 0, 5]",
    ),
    "a file that the base has not": (other_base, DamagedBase, "wheels/none.whl is not where it should be"),
    "members of what is no wheel": (a_text_taken_for_a_wheel, DamagedDelta, "meta/words.txt does not come out: it "),
    "another table": (more_members, OtherZlib, "wheels/alpha-2.0-py3-none-any.whl"),  # as if it packed to other bytes
    "another file's digest": (another_digest, DamagedDelta, "the head says 1111"),
    "another bundle's digest": (another_whole, DamagedDelta, f"not {'11' * 32}"),
}


@pytest.mark.group(47)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_delta_that_means_harm_is_refused_by_name(pair: Pair, name: str) -> None:
    change, kind, words = HOSTILE[name]
    edit(pair.delta, change)
    error = refused(pair)
    assert isinstance(error, kind) and words in str(error)


@pytest.mark.group(47)
@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (compressed(b"\0" * PIECE_BYTES, b""), "it holds more than was told"),
        (compressed(b"x", b""), "it holds less than was told, or something follows it"),
        (b"no frame at all", "no frame begins with"),
        (bytes.fromhex("28b52ffd00a0"), ""),
    ],
)
def test_a_frame_that_is_another_is_refused_and_gives_no_more_than_it_may(pair: Pair, frame: bytes, words: str) -> None:
    packed = pair.made.head.parts[0].packed
    edit(
        pair.delta,
        lambda head: head["parts"][0]["pieces"][0].update(packed=len(frame)),
        lambda data: frame + data[packed:],
    )
    error = refused(pair)
    assert isinstance(error, DamagedDelta) and words in str(error)


# -- who decompresses ---------------------------------------------------------------------------------------------------------


PREFIX, CONTENT = b"what was before " * 40, b"what was before, and is now " * 300


def ways() -> list[Any]:
    return [this_python(), *([patching_program()] if shutil.which("zstd") else [])]


@pytest.mark.parametrize("way", ways(), ids=lambda way: str(way[0]).split(",")[0])
@pytest.mark.parametrize("prefix", [PREFIX, b""])
def test_each_way_takes_frames_with_a_prefix_and_without(tmp_path: Path, way: Any, prefix: bytes) -> None:
    unpatcher, frame = Unpatcher([way], tmp_path), compressed(CONTENT, prefix)
    for _ in range(2):
        assert b"".join(unpatcher.frame([prefix], [frame[:9], frame[9:]], len(CONTENT))) == CONTENT


@pytest.mark.parametrize("way", ways(), ids=lambda way: str(way[0]).split(",")[0])
def test_a_frame_that_is_cut_short_or_followed_by_something_is_refused(tmp_path: Path, way: Any) -> None:
    unpatcher, frame = Unpatcher([way], tmp_path), compressed(CONTENT, PREFIX)
    with pytest.raises(EOFError, match="it is cut short"):
        list(unpatcher.frame([PREFIX], [frame[:-2]], len(CONTENT)))
    with pytest.raises(ValueError, match="something follows it"):
        list(unpatcher.frame([PREFIX], [frame, b"more"], len(CONTENT)))


def test_the_decompressor_that_the_base_carries_is_run_by_a_python_of_its_version(tmp_path: Path) -> None:
    wheel = zstd_wheel(tmp_path)
    unpatcher = Unpatcher([carried(Path(sys.executable), wheel, tmp_path)], tmp_path)
    assert b"".join(unpatcher.frame([PREFIX], [compressed(CONTENT, PREFIX)], len(CONTENT))) == CONTENT


def test_a_host_without_any_is_told_what_was_tried(tmp_path: Path) -> None:
    program = tmp_path / "zstd"
    program.write_text("#!/bin/sh\necho 'unknown option --patch-from' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(NoUnpatcher) as caught:
        Unpatcher([patching_program("no-such-zstd"), patching_program(str(program))], tmp_path)
    assert str(caught.value) == (
        "nothing on this host decompresses the delta: the program no-such-zstd: it is not on PATH; "
        f"the program {program}: unknown option --patch-from"
    )


# -- where something is scarce ------------------------------------------------------------------------------------------------


def environment(pair: Pair, **more: str) -> dict[str, str]:
    trust_store(pair.old.parent / "t", make_root())
    return {"PATH": os.environ["PATH"], "MIRROR_HOME": str(pair.old.parent / "t"), "HOME": str(pair.old.parent), **more}


def test_the_oldest_python_applies_it_with_nothing_but_its_library_and_zstd(
    made: Pair, pair: Pair, tmp_path: Path
) -> None:
    python = find_python("3.9")
    if python is None or shutil.which("zstd") is None:
        pytest.skip("no Python 3.9, or no zstd program, on this machine")
    write_installer(tmp_path / "mirror.pyz")
    command = [str(python), "-I", f"{tmp_path}/mirror.pyz", "apply", str(pair.delta), "--json"]
    done = subprocess.run(command, env=environment(pair), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert pair.new.read_bytes() == made.new.read_bytes()


def unfinished(pair: Pair, data: bytes) -> Path:
    """As a run that was killed has left it."""
    path = pair.new.with_name(f".new.tar.{pair.made.head.sha256[:12]}.part")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("cut", [0, 100, 5000, 60_000, -2000, -1])
def test_what_a_killed_run_has_left_is_gone_on_with(made: Pair, pair: Pair, cut: int) -> None:
    left = unfinished(pair, made.new.read_bytes()[: cut or None])
    assert apply(pair).read_bytes() == made.new.read_bytes()
    assert not left.exists()


def test_what_is_there_already_is_not_made_again(made: Pair, pair: Pair) -> None:
    """Its counterpart in the base, which is damaged here, is asked for nothing."""
    first = next(one for one in pair.made.head.parts[1:] if one.how != "same")
    with open_bundle(pair.old) as base:
        offset = next(at for name, at, _ in base.members() if first.base and name == first.base.path)
    flip(pair.old, offset + 40)
    assert isinstance(refused(pair), DamagedBase)
    with open_bundle(made.new) as new:
        end = next(at + size for name, at, size in new.members() if name == first.path)
    unfinished(pair, made.new.read_bytes()[: end + 600])
    assert apply(pair).read_bytes() == made.new.read_bytes()


@pytest.mark.parametrize("at", [10, 700, 40_000])
def test_what_is_not_right_is_made_again_from_there_on(made: Pair, pair: Pair, at: int) -> None:
    flip(unfinished(pair, made.new.read_bytes()[:-1500] + b"and more" * 4000), at)
    assert apply(pair).read_bytes() == made.new.read_bytes()


class Stopping(Silent):
    """Ctrl-C once so many bytes were written."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Advance]:
        def advance(amount: int) -> None:
            self.left -= amount * (label == "apply")
            if self.left < 0:
                raise KeyboardInterrupt

        yield advance


def test_ctrl_c_leaves_what_was_written_and_the_same_command_goes_on(made: Pair, pair: Pair) -> None:
    store = trust_store(pair.old.parent / "t", make_root())
    with pytest.raises(KeyboardInterrupt):
        apply_delta(pair.delta, Options(), store, Stopping(made.new.stat().st_size // 2))
    (left,) = pair.old.parent.glob(".new.tar.*.part")
    assert left.stat().st_size > made.new.stat().st_size // 4 and not pair.new.exists()
    assert apply(pair).read_bytes() == made.new.read_bytes()
    assert not left.exists()


def test_what_was_left_of_another_bundle_of_that_name_goes(made: Pair, pair: Pair) -> None:
    other = pair.new.with_name(".new.tar.0123456789ab.part")
    other.write_text("of last week")
    apply(pair)
    assert not other.exists()


@pytest.mark.group(63)
def test_a_file_of_somebody_elses_making_is_not_gone_on_with(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    place = pair.new.with_name(f".new.tar.{pair.made.head.sha256[:12]}.part")
    place.symlink_to(tmp_path / "precious")
    with pytest.raises(Unwritable):
        apply(pair)
    place.unlink()
    os.link(tmp_path / "precious", place)
    with pytest.raises(Unwritable, match=r"beside it, is no file of ours"):
        apply(pair)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_file_that_got_the_name_meanwhile_is_not_replaced(pair: Pair) -> None:
    store = trust_store(pair.old.parent / "t", make_root())
    with pytest.raises(Unwritable) as caught:
        apply_delta(pair.delta, Options(base=pair.old, output=pair.new), store, Colleague(pair.new, "apply"))
    assert (
        str(caught.value) == f"cannot write {pair.new}: another file has got that name meanwhile, and is not replaced"
    )
    assert caught.value.hint == "Name another file with -o, or remove that one if nobody needs it."
    assert pair.new.read_text() == "theirs"
    assert not list(pair.old.parent.glob(".*"))


def test_two_at_once_do_not_write_one_file(pair: Pair) -> None:
    with unfinished(pair, b"").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Unwritable, match="another mirror is writing it now"):
            apply(pair)


@needs_mounts
@pytest.mark.group(49)
def test_a_full_disk_is_named_and_nothing_is_left(made: Pair, pair: Pair) -> None:
    """Once too small from the beginning, and once filled by somebody else meanwhile: written is then what had room."""
    directory = pair.old.parent
    (directory / "small").mkdir()
    apply_ = f"{sys.executable} -m mirror.cli.main apply {pair.delta} -o small/new.tar"
    script = f"mount -t tmpfs -o size=64k x small && {apply_}; echo $?; ls -A small"
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        cwd=directory,
        env=environment(pair, PYTHONPATH=str(Path(__file__).parents[4])),
        capture_output=True,
        text=True,
    )
    assert done.stdout == "10\n", done.stderr
    assert (
        f"cannot write small/new.tar: it takes {made.made.head.size} bytes, {directory}/small has 65536 free"
        in done.stderr
    )
    for limit, place in ((140_000, "new.tar"), (20_000, f"{directory}/tmp/mirror-apply-")):
        (directory / "tmp").mkdir(exist_ok=True)
        done = subprocess.run(
            ["prlimit", f"--fsize={limit}", *apply_.replace("small/", "").split()],
            cwd=directory,
            env=environment(pair, PYTHONPATH=str(Path(__file__).parents[4]), TMPDIR=str(directory / "tmp")),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 10 and f"cannot write {place}" in done.stderr and "File too large" in done.stderr
        assert not pair.new.exists() and not list(directory.glob(".new.tar*")) and not list(directory.glob("tmp/*"))
