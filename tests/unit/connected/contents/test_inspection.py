"""Reading what is inside: real wheels, RPMs, component archives and an interpreter, each read once and remembered."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.contents.arriving import looking_inside
from mirror.connected.contents.inside import FORMAT, Contents, web_address, words
from mirror.connected.contents.inspection import Task, inspect
from mirror.connected.contents.licences import MAX_TEXT_BYTES
from mirror.connected.fetching.store import Store
from mirror.core.archives.tarstream import BadArchive
from mirror.core.binaries.glibc import GlibcNeed
from mirror.core.binaries.native import Native
from mirror.core.bundle.writer import SourceChanged
from mirror.core.errors import InvalidDocument, MirrorError, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.progress import Silent
from mirror.core.target import Target
from mirror.core.toolkit.payload import PayloadMismatch
from mirror.core.toolkit.redist import RedistSource
from mirror.core.toolkit.rpmsource import trusted_rpms
from mirror.core.wheels.record import RecordCheck
from mirror.core.wheels.wheelfile import WheelFile, WheelMember
from tests.support.nofiles import NO_FILES
from tests.support.redist import archive
from tests.support.rpms import DIRECTORY, HOME, Link, Packager, Program
from tests.support.wheels import make_wheel, sha256_of
from tests.unit.core.binaries.test_native import cubin

TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "12.6")
FULL = Contents(
    summary="A",
    homepage="https://a.example.org/",
    licence="MIT",
    licence_stated="",
    texts=(("LICENSE", "MIT\n"), ("NOTICE", "é\n")),
    needs=("b",),
    offers=("/a",),
    native=Native(
        2,
        ("sm_90",),
        {"aarch64": "3.4"},
        ("x",),
        (GlibcNeed("a.so", "x86_64", "GLIBC_2.28", "fcntl64"),),
        {"x86_64": "a.so"},
    ),
    scripts=("a",),
    setuid=("s",),
    scriptlets=("post",),
    signer="AB",
    faults=("broken",),
)
WHEEL = WheelFile(
    9,
    None,
    (WheelMember("a/", 0, 0o40755, False, b""), WheelMember("a/b\u202e.py", 1, 0o100644, True, bytes(range(32)))),
    {"METADATA": b"Author: J\xf6rg\r\n"},
    record=RecordCheck("", ("a",), ("b",), ("c",), ("d",), ("e",)),
    native=FULL.native,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def task_of(wheel: Path) -> Task:
    return Task.of_wheel(f"wheels/{wheel.name}", wheel, Sha256Hex(sha256_of(wheel)))


def read(store: Store, task: Task) -> Contents:
    return inspect([task], store)[task.path]


def memories(store: Store) -> list[Path]:
    return list((store.root / "facts").glob("*/*.json"))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-30], lambda data: bytes(len(data))])
def test_a_file_that_is_not_what_was_checked_is_named_and_nothing_is_remembered_of_it(
    store: Store, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    wheel = make_wheel(tmp_path, "left-pad", "1.0")
    task, data = task_of(wheel), wheel.read_bytes()
    wheel.write_bytes(damage(data))
    for _ in range(2):
        with pytest.raises(
            SourceChanged, match=rf"{wheel}: sha256 is .* now, it was {task.sha256} when it was fetched"
        ):
            read(store, task)
    with looking_inside(store) as arrived:
        arrived(task)
    assert not memories(store)
    wheel.write_bytes(data)
    assert read(store, task).faults == ()


def test_what_was_found_is_written_and_read_back() -> None:
    assert Contents.parse(FULL.encode()) == FULL
    assert Contents.parse(Contents().encode()) == Contents()
    for wheel in (WHEEL, WheelFile(1, ("zip-structure", "it is none"), native=FULL.native)):
        assert Contents.parse(replace(FULL, wheel=wheel).encode()) == replace(FULL, wheel=wheel)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", FULL.encode().replace(FORMAT.encode(), b"mirror-contents/0")])
def test_what_another_version_wrote_is_not_believed(data: bytes) -> None:
    with pytest.raises((ValueError, InvalidDocument)):
        Contents.parse(data)


def test_a_file_is_read_once_and_anew_when_its_memory_is_broken(store: Store, tmp_path: Path) -> None:
    task = task_of(make_wheel(tmp_path, "alpha", "1.0", said=["Summary: one"]))
    first = read(store, task)
    (memory,) = memories(store)
    memory.write_bytes(memory.read_bytes().replace(b"one", b"two"))
    assert read(store, task).summary == "two"  # it was remembered, not read
    memory.write_bytes(b"{")
    assert read(store, task) == first


@NO_FILES
def test_a_memory_that_is_no_file_is_made_anew(store: Store, tmp_path: Path, puts: Callable[[Path], None]) -> None:
    task = task_of(make_wheel(tmp_path, "one", "1.0"))
    contents = read(store, task)
    (memory,) = (store.root / "facts").rglob("*.json")
    puts(memory)
    assert read(store, task) == contents and memory.is_file()


def test_nothing_but_memories_is_left_in_the_store(store: Store, tmp_path: Path) -> None:
    read(store, task_of(make_wheel(tmp_path, "alpha", "1.0", files={"k.cubin": cubin(0x06005A04)})))
    assert [path for path in store.root.rglob("*") if path.is_file()] == memories(store)


def test_what_a_wheel_holds_is_found(store: Store, tmp_path: Path) -> None:
    big = cubin(0x0600640A) + bytes(9 << 20)  # more than is held in memory
    files = {"a/k.cubin": big, "a/data.bin": b"\x7fEL", "a-1.dist-info/licenses/LICENSE": b"text\r\n", "a/empty": b""}
    said = [
        "Summary:   two\twords ",
        "Project-URL: Tracker, https://t.example.org/",
        "Project-URL: Homepage, https://h.example.org/",
    ]
    found = read(store, task_of(make_wheel(tmp_path, "a", "1", files=files, said=said, requires=["b"])))
    assert found.native == Native(gpus=("sm_100a",))
    assert found.wheel and found.wheel.texts.keys() == {"METADATA", "WHEEL"} and found.wheel.record == RecordCheck()
    assert found.texts == (("a-1.dist-info/licenses/LICENSE", "text\n"),)
    assert (found.summary, found.homepage, found.needs) == ("two words", "https://h.example.org/", ("b",))


def test_what_is_no_zip_file_is_a_fault_and_no_error(store: Store, tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.write_bytes(b"not a zip file")
    assert read(store, task_of(wheel)).faults == (
        "a-1-py3-none-any.whl cannot be read: it is too short to be a zip file",
    )


def test_a_wheel_with_a_broken_member_is_not_relied_on(store: Store, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "a", "1", files={"a/LICENSE": b"x" * 999, "a/k.cubin": cubin(0x06005A04)})
    with zipfile.ZipFile(wheel) as archive:
        member = archive.getinfo("a/LICENSE")
    data = bytearray(wheel.read_bytes())
    data[member.header_offset + 30 + len("a/LICENSE")] ^= 0xFF
    wheel.write_bytes(data)
    found = read(store, task_of(wheel))
    assert len(found.faults) == 1 and "'a/LICENSE'" in found.faults[0]
    assert found.wheel and found.wheel.fault and (found.wheel.members, found.texts) == ((), ())
    assert read(store, task_of(wheel)) == found


def test_an_rpm_by_other_keys_is_read_anew_and_refused(store: Store, tmp_path: Path) -> None:
    packager = Packager()
    path = packager.rpm(tmp_path, "cuda-crt-13-0", {f"{HOME}/bin/a": Program(b"a")})

    def task(fingerprint: str) -> Task:
        (rpm,) = trusted_rpms([path], keys=packager.armored, fingerprints=[fingerprint])
        return Task.of_rpm(f"rpms/{path.name}", path, Sha256Hex(sha256_of(path)), rpm)

    assert read(store, task(packager.fingerprint)).signer == packager.fingerprint
    with pytest.raises(MirrorError):
        read(store, task("AB" * 20))
    assert len(memories(store)) == 1


def test_an_rpm_whose_contents_are_not_its_headers_is_refused(store: Store, tmp_path: Path) -> None:
    packager = Packager()
    draft = packager.draft("cuda-crt-13-0", {f"{HOME}/a": b"one"})
    other = packager.draft("cuda-crt-13-0", {f"{HOME}/a": b"two"})
    draft.payload = other.packed()
    path = tmp_path / draft.spec.filename
    path.write_bytes(draft.bytes())
    (rpm,) = trusted_rpms([path], keys=packager.armored, fingerprints=[packager.fingerprint])
    with pytest.raises(PayloadMismatch):
        read(store, Task.of_rpm(f"rpms/{path.name}", path, Sha256Hex(sha256_of(path)), rpm))


def test_a_component_archive_is_read_as_its_rpm_would_be(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "cuda_nvcc.tar.xz"
    archive(path, {"bin/nvcc": Program(b"#!"), "LICENSE": b"end user\n", "lib/k.cubin": cubin(0x06005A04)})
    source = RedistSource.of_file(path, Sha256Hex(sha256_of(path)), "cuda_nvcc", "12.6.85", TARGET)
    found = read(store, Task.of_archive("redist/cuda_nvcc.tar.xz", path, source))
    assert (found.scripts, found.native.gpus) == (("nvcc",), ("sm_90",))
    assert found.texts == (("/usr/local/cuda-12.6/share/licenses/cuda_nvcc/LICENSE", "end user\n"),)
    elsewhere = replace(source, target=replace(TARGET, cuda="13.0"))  # its files go to another place
    assert read(store, Task.of_archive("redist/cuda_nvcc.tar.xz", path, elsewhere)) != found


def test_a_long_text_of_an_rpm_is_cut_and_what_is_no_file_holds_nothing(store: Store, tmp_path: Path) -> None:
    packager = Packager()
    contents = {
        f"{HOME}/LICENSE": b"x" * (MAX_TEXT_BYTES + (2 << 20)),
        f"{HOME}/doc": DIRECTORY,
        f"{HOME}/bin/a": Link("../LICENSE"),
    }
    path = packager.rpm(tmp_path, "cuda-crt-13-0", contents)
    (rpm,) = trusted_rpms([path], keys=packager.armored, fingerprints=[packager.fingerprint])
    found = read(store, Task.of_rpm(f"rpms/{path.name}", path, Sha256Hex(sha256_of(path)), rpm))
    assert found.texts[0][1].endswith(
        f"[cut here by mirror: the file has {3 << 20} bytes, {MAX_TEXT_BYTES} are kept]\n"
    )
    assert (len(found.texts), found.scripts) == (1, ("a",))


def test_an_interpreters_links_are_passed_over(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "python.tar.xz"
    archive(path, {"bin/python3": Link("python3.11"), "bin/python3.11": Program(cubin(0x06005A04))})
    found = read(store, Task.of_interpreter("python/python.tar.xz", path, Sha256Hex(sha256_of(path))))
    assert (found.native.gpus, found.setuid) == (("sm_90",), ())


def test_an_interpreter_that_could_not_be_unpacked_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "python.tar.gz"
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(BadArchive):
        read(store, Task.of_interpreter("python/python.tar.gz", path, Sha256Hex(sha256_of(path))))


def test_a_file_that_is_gone_is_named(store: Store, tmp_path: Path) -> None:
    task = task_of(make_wheel(tmp_path, "alpha", "1.0"))

    def gone(scratch: Path, advance: object) -> Contents:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(Unreadable, match=r"alpha-1\.0-py3-none-any\.whl"):
        inspect([replace(task, read=gone)], store)


def test_publishers_words_are_one_plain_line() -> None:
    assert words("a\x1b[31m b\n c\u202e") == "a [31m b c"
    assert words("UNKNOWN") == ""
    assert words("x" * 301) == "x" * 300 + "..."


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://user:secret@a.example.org/b?token=1#c", "https://a.example.org/b"),
        ("javascript:alert(1)", ""),
        ('https://a.example.org/"onclick="x', ""),
        ("https://[", ""),
        ("", ""),
    ],
)
def test_only_plain_web_addresses_are_taken(text: str, address: str) -> None:
    assert web_address(text) == address


def test_what_others_could_have_written_is_read_anew(tmp_path: Path) -> None:
    """A memory that says more than the wheel does, in a store that everybody may write."""
    wheel, store = make_wheel(tmp_path, "a", "1"), Store(tmp_path / "store")
    task = Task.of_wheel("wheels/a-1-py3-none-any.whl", wheel, Sha256Hex(sha256_of(wheel)))
    found = inspect([task], store)
    (memory,) = (store.root / "facts").rglob("*.json")
    memory.write_bytes(replace(found[task.path], licence="MIT").encode())
    assert inspect([task], store)[task.path].licence == "MIT"
    store.root.chmod(0o777)
    said: list[str] = []
    assert inspect([task], Store(store.root), Listening(said)) == found
    assert said == [
        f"others than you can write to {store.root}: what is remembered there is not believed, all is read anew"
    ]


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self, said: list[str]) -> None:
        self._said = said

    def say(self, line: str) -> None:
        self._said.append(line)
