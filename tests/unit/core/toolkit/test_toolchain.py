"""Unpacking a toolchain: good packages, packages that do not fit together, packages that attack."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import pytest

from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import InvalidDocument, Unreadable, Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.progress import Advance
from mirror.core.target import Target
from mirror.core.toolkit.payload import PayloadMismatch
from mirror.core.toolkit.rpm import RpmNotTrusted
from mirror.core.toolkit.rpmsource import RpmSource, TrustedRpm, trusted_rpms
from mirror.core.toolkit.toolchain import BadToolchain, Dangling, ForeignPackage, Toolchain, Unpacked, unpack_toolchain
from scripts.cuda_rpms.rpmfile import Member
from tests.support.rpms import (
    DIRECTORY,
    HOME,
    Contents,
    Draft,
    Link,
    Packager,
    Program,
    archive_of,
    ed25519_key,
    foreign_rpm,
    sequoia_key,
    toolkit,
    zstd_here,
)

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28", gpu="sm_90a", cuda="13.0")
LIB = f"{HOME}/targets/x86_64-linux/lib"


@pytest.fixture(scope="module")
def packager() -> Packager:
    return Packager()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cuda"


def source(draft: Draft) -> RpmSource:
    data = draft.bytes()
    return RpmSource(draft.spec.filename, lambda: io.BytesIO(data))


def trusted(packager: Packager, packages: Iterable[RpmSource | Path]) -> tuple[TrustedRpm, ...]:
    return trusted_rpms(packages, keys=packager.armored, fingerprints=[packager.fingerprint])


def unpack(packager: Packager, root: Path, *packages: RpmSource | Path) -> Toolchain:
    return unpack_toolchain(trusted(packager, packages), root, TARGET)


def unpack_all(packager: Packager, root: Path, *packages: Contents) -> Toolchain:
    drafts = [packager.draft(f"package-{number}", contents) for number, contents in enumerate(packages, 1)]
    return unpack(packager, root, *(source(draft) for draft in drafts))


def problem(packager: Packager, root: Path, *packages: Contents) -> str:
    with pytest.raises(BadToolchain) as caught:
        unpack_all(packager, root, *packages)
    assert not root.exists()
    return caught.value.problem


def owners(made: Toolchain) -> dict[str, str]:
    return {path: package.nevra for package in made.packages for path in package.files}


def file_sha256(path: Path) -> Sha256Hex:
    return Sha256Hex(hashlib.sha256(path.read_bytes()).hexdigest())


def tree(root: Path) -> dict[str, str]:
    """Path to mode, or to a link's target."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            mode = path.lstat().st_mode
            found[path.relative_to(root).as_posix()] = (
                str(path.readlink()) if path.is_symlink() else f"{stat.S_IMODE(mode):o}"
            )
    return found


def test_unpacks_a_toolkit(tmp_path: Path, root: Path, packager: Packager) -> None:
    packages = toolkit(tmp_path, packager)
    made = unpack(packager, root, *packages)
    assert tree(root) == {
        "bin": "755",
        "bin/nvcc": "755",
        "bin/nvcc.profile": "644",
        "include": "targets/x86_64-linux/include",
        "lib64": "targets/x86_64-linux/lib",
        "targets": "755",
        "targets/x86_64-linux": "755",
        "targets/x86_64-linux/include": "755",
        "targets/x86_64-linux/include/cuda.h": "644",
        "targets/x86_64-linux/lib": "755",
        "targets/x86_64-linux/lib/libcudart.so": "libcudart.so.13",
        "targets/x86_64-linux/lib/libcudart.so.13": "libcudart.so.13.0.96",
        "targets/x86_64-linux/lib/libcudart.so.13.0.96": "755",
    }
    assert (root / "lib64" / "libcudart.so").read_bytes() == b"library"
    assert made.packages[0] == Unpacked(
        "cuda-nvcc-13-0-13.0.96-1.x86_64", file_sha256(packages[0]), ("bin/nvcc", "bin/nvcc.profile")
    )
    assert owners(made)["lib64"] == "cuda-cudart-13-0-13.0.96-1.x86_64"
    assert [len(package.files) for package in made.packages] == [2, 3, 2, 0]
    assert made.made == ("include -> targets/x86_64-linux/include",)
    assert made.dropped == ("/etc/ld.so.conf.d/000_cuda.conf",)
    assert made.dangling == ()


def test_unpacks_a_package_of_another_maker_and_runs_no_scriptlet(tmp_path: Path, root: Path) -> None:
    secret = sequoia_key()
    certificate = secret.extract_certificate()
    path = foreign_rpm(tmp_path / "f.rpm", {f"{HOME}/bin/nvcc": Program(b"elf")}, secret)
    packages = trusted_rpms([path], keys=str(certificate), fingerprints=[certificate.fingerprint])
    made = unpack_toolchain(packages, root, TARGET)
    assert made.scriptlets == ("cuda-foreign-13-0: post",)
    assert (root / "bin" / "nvcc").read_bytes() == b"elf"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, root: Path, packager: Packager, umask: int) -> None:
    old = os.umask(umask)
    try:
        unpack_all(packager, root, {f"{HOME}/bin/nvcc": Program(b"x"), f"{HOME}/a/b.h": b"x"})
    finally:
        os.umask(old)
    assert tree(root) == {"bin": "755", "bin/nvcc": "755", "a": "755", "a/b.h": "644"}
    assert stat.S_IMODE(root.stat().st_mode) == 0o755


@pytest.mark.group(32)
@pytest.mark.parametrize("mode", [0o6755, 0o777, 0o000, 0o4711])
def test_modes_are_tamed(root: Path, packager: Packager, mode: int) -> None:
    """SECURITY.md 32: set-id, writable for everybody and mode 0 are written as 0755 or 0644."""
    draft = packager.draft("a", {})
    draft.members = [Member.of_bytes(f"{HOME}/x", b"x", mode)]
    unpack(packager, root, source(draft))
    assert tree(root) == {"x": "755" if mode & 0o111 else "644"}


def test_two_packages_may_bring_the_same_thing(root: Path, packager: Packager) -> None:
    same: Contents = {f"{HOME}/a": b"same", f"{HOME}/b": Link("a"), f"{HOME}/c": DIRECTORY}
    made = unpack_all(packager, root, same, same)
    assert owners(made) == {"a": "package-1-1.0-1.x86_64", "b": "package-1-1.0-1.x86_64"}


@pytest.mark.group(31)
@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({f"{HOME}/a": b"1"}, {f"{HOME}/a": b"2"}, "bring different contents of a"),
        ({f"{HOME}/a": Link("b"), f"{HOME}/x": b""}, {f"{HOME}/a": Link("c")}, "lets a lead to b"),
        ({f"{HOME}/a": Link("b")}, {f"{HOME}/a": b"1"}, "bring a as a file and as a link"),
        ({f"{HOME}/a": b"1"}, {f"{HOME}/a/b": b"1"}, "brings a, which another package has as a directory"),
        ({f"{HOME}/a": b"1"}, {f"{HOME}/a": DIRECTORY}, "brings a, which another package has as a directory"),
        ({f"{HOME}/lib64": Link("targets")}, {f"{HOME}/lib64/x": b"1"}, "brings lib64, which another package has as a"),
        ({HOME: b"1"}, {f"{HOME}/a": b"1"}, f"holds {HOME} as something other than a directory"),
    ],
)
def test_refuses_packages_that_do_not_fit(
    root: Path, packager: Packager, first: Contents, second: Contents, words: str
) -> None:
    """SECURITY.md 31: a file below a link, a link in a file's place; two contents of one path."""
    assert words in problem(packager, root, first, second)


@pytest.mark.group(31)
@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("lib64", "/etc"),
        ("lib64", ".."),
        ("lib64", "../cuda-12.8"),
        ("a/b/lib64", "../../../x"),
        ("a/lib64", "../.."),
        ("a/lib64", "../../cuda-12.8/lib64"),
        ("lib64", "targets/../.."),
        ("lib64", "targets/../lib"),
        ("lib64", "a\nb"),
        ("lib64", "/usr/local/cuda-12.8/lib64"),
    ],
)
def test_refuses_links_out_of_the_tree(root: Path, packager: Packager, path: str, target: str) -> None:
    """SECURITY.md 31: ``lib64 -> /etc`` and its like."""
    words = problem(packager, root, {f"{HOME}/{path}": Link(target), f"{HOME}/x": b""})
    assert words == f"package-1-1.0-1.x86_64 lets {path} lead out of the tree, to {target!r}"


@pytest.mark.parametrize(
    ("path", "target", "written"),
    [
        ("lib64", f"{HOME}/targets/lib", "targets/lib"),
        ("a/b", f"{HOME}/targets/lib", "../targets/lib"),
        ("a/b", HOME, ".."),
        ("a/b/c", "../../x", "../../x"),
    ],
)
def test_links_become_relative(root: Path, packager: Packager, path: str, target: str, written: str) -> None:
    unpack_all(packager, root, {f"{HOME}/{path}": Link(target), f"{HOME}/x": b""})
    assert str((root / path).readlink()) == written


@pytest.mark.group(32)
@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_refuses_devices_and_the_like(root: Path, packager: Packager, kind: int) -> None:
    """SECURITY.md 32: devices and FIFOs."""
    draft = packager.draft("a", {})
    draft.members = [Member(f"{HOME}/null", kind | 0o666)]
    with pytest.raises(BadToolchain, match="which is no file, link or directory"):
        unpack(packager, root, source(draft))


def test_refuses_packages_of_another_release(root: Path, packager: Packager) -> None:
    words = problem(packager, root, {"/usr/local/cuda-12.8/bin/nvcc": b"x"}, {})
    assert words == "none of 2 packages has a file below /usr/local/cuda-13.0"


def test_ghosts_are_not_written(root: Path, packager: Packager) -> None:
    draft = packager.draft("a", {f"{HOME}/a": b"1", f"{HOME}/log": b"2"})
    draft.archive = archive_of(draft.members[:1])
    draft.edit = lambda entries: entries.update({1037: (4, [0, 1 << 6])})
    unpack(packager, root, source(draft))
    assert tree(root) == {"a": "644"}


def test_hard_links_are_one_file(root: Path, packager: Packager) -> None:
    from tests.unit.core.toolkit.test_payload import hard_linked

    draft = packager.draft("a", {f"{HOME}/one": b"same", f"{HOME}/two": b"same"})
    draft.archive = hard_linked(0)
    unpack(packager, root, source(draft))
    assert (root / "one").samefile(root / "two")
    assert (root / "one").read_bytes() == b"same"


def test_names_the_package_that_a_dangling_link_waits_for(root: Path, packager: Packager) -> None:
    devel = packager.draft("libcublas-devel-13-0", {f"{LIB}/libcublas.so": Link("libcublas.so.13"), f"{HOME}/x": b""})
    other = packager.draft("other", {f"{HOME}/gone": Link("nowhere")})
    made = unpack(packager, root, source(devel), source(other))
    assert made.dangling == (
        Dangling("gone", "nowhere", "other"),
        Dangling("targets/x86_64-linux/lib/libcublas.so", "libcublas.so.13", "libcublas-devel-13-0", "libcublas-13-0"),
    )
    assert [str(link) for link in made.dangling] == [
        "gone -> nowhere (of other)",
        "targets/x86_64-linux/lib/libcublas.so -> libcublas.so.13 (of libcublas-devel-13-0; libcublas-13-0 brings it)",
    ]


def test_writes_nothing_when_one_package_is_a_strangers(tmp_path: Path, root: Path, packager: Packager) -> None:
    stranger = Packager(ed25519_key(9))
    paths = toolkit(tmp_path, packager)
    paths.append(stranger.rpm(tmp_path, "evil", {f"{HOME}/bin/gcc": Program(b"x")}))
    with pytest.raises(RpmNotTrusted, match="evil-1"):
        unpack(packager, root, *paths)
    assert not root.exists()


def test_writes_nothing_when_an_archive_is_altered(tmp_path: Path, root: Path, packager: Packager) -> None:
    paths = toolkit(tmp_path, packager)
    data = bytearray(paths[0].read_bytes())
    data[-1] ^= 1
    paths[0].write_bytes(data)
    with pytest.raises(PayloadMismatch):
        unpack(packager, root, *paths)
    assert not root.exists()


def test_what_was_written_is_removed_when_a_file_is_altered(root: Path, packager: Packager) -> None:
    """Here the archive's own digest is missing, so that only the file's tells."""
    draft = packager.draft("a", {f"{HOME}/a": b"1", f"{HOME}/b": b"2"})
    draft.digest = ""
    draft.archive = archive_of([*draft.members[:1], Member.of_bytes(f"{HOME}/b", b"3")])
    with pytest.raises(PayloadMismatch, match=f"{HOME}/b has digest"):
        unpack(packager, root, source(draft))
    assert not root.exists()


def test_a_package_that_changes_between_its_two_readings_is_refused(root: Path, packager: Packager) -> None:
    good = packager.draft("a", {f"{HOME}/a": b"1" * 100_000})
    other = packager.draft("a", {f"{HOME}/a": b"2" * 100_000})
    turns = iter([good.bytes(), good.bytes()[:-8] + b"evil" * 2, other.bytes()])
    with pytest.raises(Exception, match=r"refused its archive|has digest"):
        unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(next(turns))))
    assert not root.exists()


def test_does_not_touch_a_root_that_exists(tmp_path: Path, root: Path, packager: Packager) -> None:
    root.mkdir()
    (root / "mine").write_text("mine")
    with pytest.raises(Unwritable, match="File exists"):
        unpack(packager, root, *toolkit(tmp_path, packager))
    assert (root / "mine").read_text() == "mine"


def test_names_a_package_that_is_not_there(tmp_path: Path, root: Path, packager: Packager) -> None:
    with pytest.raises(Unreadable, match="No such file"):
        unpack(packager, root, tmp_path / "none.rpm")


def test_a_disk_that_fails_is_named_and_leaves_nothing(
    tmp_path: Path, root: Path, packager: Packager, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    paths = [packager.rpm(tmp_path, "big", {f"{HOME}/a": os.urandom(1 << 16)}, compressor="none")]
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, before[1]))
    try:
        with pytest.raises(Unwritable, match="File too large"):
            unpack(packager, root, *paths)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert not root.exists()


class Listener:
    """A ``Progress`` that hands each advance to a function."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.advance, self.total = advance, 0

    def say(self, line: str) -> None:
        raise AssertionError(line)

    def task(self, label: str, total: int | None = None, unit: str = "B") -> AbstractContextManager[Advance]:
        self.total = total or 0
        return nullcontext(self.advance)


def test_an_interruption_stops_all_packages_and_leaves_nothing(root: Path, packager: Packager) -> None:
    """The large package waits after its first file until the other has failed; its other files are not written any more."""
    failed, written = threading.Event(), []

    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            failed.set()
            raise KeyboardInterrupt

    def advance(amount: int) -> None:
        written.append(amount)
        failed.wait(5)
        time.sleep(0.2)

    large = packager.draft("large", {f"{HOME}/a{number}": b"1" * 1000 for number in range(20)}).bytes()
    small = packager.draft("small", {f"{HOME}/b": b"1"}).bytes()
    turns = {"large": iter([io.BytesIO(large), io.BytesIO(large)]), "small": iter([io.BytesIO(small), Failing(small)])}
    sources = [RpmSource(name, partial(next, streams)) for name, streams in turns.items()]
    with pytest.raises(KeyboardInterrupt):
        unpack_toolchain(trusted(packager, sources), root, TARGET, jobs=2, progress=Listener(advance))
    assert not root.exists()
    assert len(written) < 20


def test_tells_how_far_it_is(tmp_path: Path, root: Path, packager: Packager) -> None:
    seen: list[int] = []
    listener = Listener(seen.append)
    unpack_toolchain(trusted(packager, toolkit(tmp_path, packager)), root, TARGET, jobs=1, progress=listener)
    assert sum(seen) == listener.total > 0


def test_an_empty_tail_of_an_archive_is_noticed(root: Path, packager: Packager) -> None:
    """A source that gives less at its second reading than before its archive begins."""
    data = packager.draft("a", {f"{HOME}/a": b"1"}).bytes()
    turns = iter([data, data[:50]])
    with pytest.raises(Exception, match="its xz stream is cut short"):
        unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(next(turns))))


@pytest.mark.parametrize("payload_digest", [None, ""], ids=["archive digest", "file digests only"])
def test_a_package_is_held_to_the_sha256_of_its_whole_file(
    root: Path, packager: Packager, payload_digest: str | None
) -> None:
    """The altered byte is in the lead, which no signature covers and no reader looks at."""
    draft = packager.draft("a", {f"{HOME}/a": os.urandom(3 << 20)}, compressor="none")
    draft.digest = payload_digest
    good = draft.bytes()
    altered = good[:90] + bytes([good[90] ^ 1]) + good[91:]
    named, found = (Sha256Hex(hashlib.sha256(data).hexdigest()) for data in (good, altered))
    with pytest.raises(DigestMismatch) as caught:
        unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(altered), named))
    assert (caught.value.name, caught.value.expected, caught.value.actual) == ("a.rpm", named, found)
    assert not root.exists()
    unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(good), named))


def test_a_package_is_held_to_the_nevra_that_its_source_names(root: Path, packager: Packager) -> None:
    data = packager.draft("a", {f"{HOME}/a": b"1"}).bytes()
    with pytest.raises(InvalidDocument, match=r"it says a-2\.0-1\.x86_64, the package itself is a-1\.0-1\.x86_64"):
        unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(data), nevra="a-2.0-1.x86_64"))
    assert not root.exists()
    unpack(packager, root, RpmSource("a.rpm", lambda: io.BytesIO(data), nevra="a-1.0-1.x86_64"))


@pytest.mark.group(31)
@pytest.mark.parametrize(
    "links",
    [
        {"loop": "loop"},
        {"a": "b", "b": "a"},
        {"lib64": "targets/lib", "targets/lib": "../lib64"},
        {"a": "b/x", "b": "a"},
    ],
)
def test_refuses_links_that_lead_round(root: Path, packager: Packager, links: dict[str, str]) -> None:
    """SECURITY.md 31: a symlink loop, of one link or of several, through their directories too."""
    contents: Contents = {f"{HOME}/{path}": Link(target) for path, target in links.items()}
    assert " lead round, by way of " in problem(packager, root, {**contents, f"{HOME}/x": b""})


def test_links_through_links_are_kept(root: Path, packager: Packager) -> None:
    """NVIDIA's own: ``libX.so`` by ``lib64`` to a directory below ``targets``."""
    contents: Contents = {
        f"{HOME}/lib64": Link("targets/x86_64-linux/lib"),
        f"{HOME}/libx.so": Link("lib64/libx.so"),
        f"{LIB}/libx.so": Link("libx.so.1"),
        f"{LIB}/libx.so.1": b"x",
    }
    assert unpack_all(packager, root, contents).dangling == ()
    assert (root / "libx.so").read_bytes() == b"x"


@pytest.mark.group(31)
def test_hard_links_out_of_the_tree_are_not_made(root: Path, packager: Packager) -> None:
    """SECURITY.md 31: the outer name is listed and nothing is written there."""
    draft = packager.draft("a", {f"{HOME}/one": b"same", "/usr/local/two": b"same"})
    draft.edit = lambda entries: entries.update({1096: (4, [7, 7])})
    draft.archive = archive_of(draft.members)
    made = unpack(packager, root, source(draft))
    assert made.dropped == ("/usr/local/two",)
    assert (root / "one").stat().st_nlink == 1


@pytest.mark.group(32)
def test_modes_that_were_not_kept_are_listed(root: Path, packager: Packager) -> None:
    """SECURITY.md 32: set-id, writable for everybody, mode 0000; of directories too."""
    draft = packager.draft("a", {})
    modes = {"a": 0o4755, "b": 0o2755, "c": 0o666, "d": 0o000, "e": 0o755, "f": 0o664}
    draft.members = [
        *(Member.of_bytes(f"{HOME}/{name}", b"x", mode) for name, mode in modes.items()),
        Member(f"{HOME}/open", stat.S_IFDIR | 0o1777),
    ]
    made = unpack(packager, root, source(draft))
    assert made.tamed == (
        "a (mode 4755)",
        "b (mode 2755)",
        "c (mode 0666)",
        "d (mode 0000)",
        "open (mode 1777)",
    )
    assert tree(root) == {"a": "755", "b": "755", "c": "644", "d": "644", "e": "755", "f": "644", "open": "755"}


def test_the_compilers_programs_can_be_run_by_everybody(root: Path, packager: Packager) -> None:
    """Also where a package lets its owner alone run them; a script's text does not get a bit that it had not."""
    programs = ["bin/nvcc", "bin/ptxas", "bin/cudafe++", "nvvm/bin/cicc"]
    draft = packager.draft("a", {f"{HOME}/bin/nvcc.profile": b"TOP = .."})
    draft.members += [Member.of_bytes(f"{HOME}/{name}", b"elf", 0o744) for name in programs]
    unpack(packager, root, source(draft))
    found = tree(root)
    assert {found[name] for name in programs} == {"755"}
    assert found["bin/nvcc.profile"] == "644"
    assert (root / "bin" / "nvcc.profile").read_bytes() == b"TOP = .."


def test_a_real_include_directory_is_merged_by_links_and_nothing_is_copied(root: Path, packager: Packager) -> None:
    made = unpack_all(
        packager,
        root,
        {f"{HOME}/include/own.h": b"own", f"{HOME}/include/crt": DIRECTORY},
        {f"{HOME}/targets/x86_64-linux/include/cuda.h": b"cuda", f"{HOME}/targets/x86_64-linux/include/crt/a.h": b"a"},
    )
    assert made.made == (
        "include/crt/a.h -> ../../targets/x86_64-linux/include/crt/a.h",
        "include/cuda.h -> ../targets/x86_64-linux/include/cuda.h",
    )
    assert tree(root)["include/own.h"] == "644"
    assert (root / "include" / "crt" / "a.h").read_bytes() == b"a"


def test_an_include_link_of_a_package_is_kept_as_it_is(root: Path, packager: Packager) -> None:
    link: Contents = {f"{HOME}/include": Link("targets/x86_64-linux/include")}
    made = unpack_all(packager, root, link, {f"{HOME}/targets/x86_64-linux/include/cuda.h": b"cuda"})
    assert made.made == ()
    assert str((root / "include").readlink()) == "targets/x86_64-linux/include"
    assert owners(made)["include"] == "package-1-1.0-1.x86_64"


def test_stubs_stay_where_linkers_find_them_and_loaders_do_not(root: Path, packager: Packager) -> None:
    made = unpack_all(packager, root, {f"{LIB}/stubs/libcuda.so": b"stub", f"{LIB}/libcudart.so.13.0.96": b"rt"})
    assert (root / "lib64" / "stubs" / "libcuda.so").read_bytes() == b"stub"
    assert not [line for line in made.made if "stubs" in line]


SBSA = Target(python="3.11", arch="aarch64", glibc="2.28", gpu="sm_90a", cuda="13.0")


def test_the_tree_of_an_arm_server_has_its_own_target_directory(root: Path, packager: Packager) -> None:
    lib = f"{HOME}/targets/sbsa-linux/lib"
    packages: dict[str, Contents] = {
        "cuda-nvcc-13-0": {f"{HOME}/bin/nvcc": Program(b"elf")},
        "cuda-cudart-13-0": {f"{lib}/libcudart.so.13.0.96": Program(b"rt")},
        "cuda-cudart-devel-13-0": {
            f"{HOME}/targets/sbsa-linux/include/cuda.h": b"cuda",
            f"{lib}/libcudart.so": Link("libcudart.so.13"),
        },
    }
    drafts = [packager.draft(name, contents, "13.0.96", arch="aarch64") for name, contents in packages.items()]
    drafts.append(packager.draft("cuda-toolkit-config-common", {"/etc/ld.so.conf.d/x.conf": b""}, arch="noarch"))
    made = unpack_toolchain(trusted(packager, map(source, drafts)), root, SBSA)
    assert made.made == (
        "targets/sbsa-linux/lib/libcudart.so.13 -> libcudart.so.13.0.96",
        "include -> targets/sbsa-linux/include",
        "lib64 -> targets/sbsa-linux/lib",
    )
    assert (root / "lib64" / "libcudart.so").read_bytes() == b"rt"
    assert made.dangling == ()
    assert made.dropped == ("/etc/ld.so.conf.d/x.conf",)


@pytest.mark.parametrize(("target", "arch", "other"), [(TARGET, "x86_64", "aarch64"), (SBSA, "aarch64", "x86_64")])
def test_refuses_packages_for_another_architecture(
    root: Path, packager: Packager, target: Target, arch: str, other: str
) -> None:
    drafts = [packager.draft("good", {f"{HOME}/a": b"1"}, arch=arch)]
    drafts += [packager.draft(name, {f"{HOME}/{name}": b"1"}, arch=other) for name in ("one", "two")]
    with pytest.raises(ForeignPackage) as caught:
        unpack_toolchain(trusted(packager, map(source, drafts)), root, target)
    assert str(caught.value) == f"one-1.0-1.{other} (and 1 more) is for another architecture; the target is {arch}"
    assert "sbsa" in caught.value.hint
    assert not root.exists()


def test_unpacks_several_packages_at_once(root: Path, packager: Packager) -> None:
    """Each package's first file waits until the other's has begun: one after the other they would wait for ever."""
    met = threading.Barrier(2, timeout=10)
    begun: set[int] = set()

    def advance(amount: int) -> None:
        if threading.get_ident() not in begun:
            begun.add(threading.get_ident())
            met.wait()

    drafts = [packager.draft(name, {f"{HOME}/{name}": b"1"}) for name in ("one", "two")]
    unpack_toolchain(trusted(packager, map(source, drafts)), root, TARGET, jobs=2, progress=Listener(advance))
    assert tree(root) == {"one": "644", "two": "644"}


@pytest.mark.parametrize(
    ("owner", "link", "target", "package"),
    [
        ("cuda-cudart-devel-13-0", "libcudart.so", "libcudart.so.13", "cuda-cudart-13-0"),
        ("libcublas-devel-13-0", "libcublasLt.so", "libcublasLt.so.13", "libcublas-13-0"),
        ("anything", "libnvrtc.so", "libnvrtc.so.13", "cuda-nvrtc-13-0"),
        ("libcufile-devel-13-0", "libcufile.so", "libcufile.so.0", "libcufile-13-0"),
        ("anything", "libother.so", "libother.so.1", ""),
    ],
)
def test_a_dangling_link_tells_the_package_that_fills_it(
    root: Path, packager: Packager, owner: str, link: str, target: str, package: str
) -> None:
    """By what is known of NVIDIA's packages, else by the rule that ``-devel`` links lead into the package without it."""
    draft = packager.draft(owner, {f"{LIB}/{link}": Link(target), f"{HOME}/x": b""})
    assert unpack(packager, root, source(draft)).dangling == (
        Dangling(f"targets/x86_64-linux/lib/{link}", target, owner, package),
    )


@pytest.mark.parametrize("compressor", ["none", "gzip", "bzip2", "xz", "lzma", "zstd"])
def test_unpacks_whatever_packages_are_compressed_with(root: Path, packager: Packager, compressor: str) -> None:
    """SECURITY.md 36."""
    draft = packager.draft("a", {f"{HOME}/a": b"1" * 100_000}, compressor=compressor)
    packages = trusted_rpms([source(draft)], keys=packager.armored, fingerprints=[packager.fingerprint], zstd=zstd_here)
    unpack_toolchain(packages, root, TARGET)
    assert (root / "a").read_bytes() == b"1" * 100_000
