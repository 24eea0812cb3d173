from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.targets.detected import MAX_BYTES, Detected, Disk, FoundPython, GpuKind, one_line

HOST = Detected(
    arch="x86_64",
    glibc="2.34",
    libstdcxx="3.4.29",
    cxxabi="1.3.13",
    cpu=("x86-64-v1", "x86-64-v2", "x86-64-v3", "avx", "avx2"),
    driver="535.104.05",
    driver_cuda="12.2",
    cuda_compat="",
    gcc="11.4",
    shm_bytes=1 << 30,
    quota_bytes=-1,
    gpus=(GpuKind("NVIDIA H100 80GB HBM3", "9.0", 8),),
    pythons=(
        FoundPython("3.11.7", "/usr/bin/python3.11", True, True),
        FoundPython("3.9.18", "/usr/bin/python3", False, True),
    ),
    disks=(Disk("install", "/home/a", 1 << 40, False),),
    platform_tags=("manylinux_2_34_x86_64", "manylinux_2_5_x86_64", "linux_x86_64"),
    markers=(("os_name", "posix"), ("python_version", "3.11")),
    unknown={"fips": "no such file"},
)


def test_what_is_written_is_read_back_and_fits_on_a_page() -> None:
    assert Detected.parse(HOST.encode()) == HOST
    assert len(HOST.encode()) < MAX_BYTES
    assert Detected.parse(HOST.encode().replace(b"\n", b"   # typed from paper\n")) == HOST


def test_nothing_known_is_written_and_read_back_too() -> None:
    names = [one.name for one in dataclasses.fields(Detected) if one.default is None]
    host = Detected("aarch64", unknown=dict.fromkeys(names, "nobody looked"))
    assert Detected.parse(host.encode()) == host
    assert host.to_dict()["fips"] is None


@pytest.mark.group(11)
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('glibc = "2.34"\n', "", "at 'glibc': missing"),
        ('glibc = "2.34"', 'glibc = "new"', "at 'glibc': expected a version such as '2.34', got 'new'"),
        ('arch = "x86_64"', 'arch = "vax"', "at 'arch': expected one of x86_64, aarch64, got 'vax'"),
        ('"avx2"]', '"mmx"]', "at 'cpu[4]': expected one of"),
        (
            'model = "NVIDIA',
            'model = "\\u001b[2J',
            "at 'gpus[0].model': expected one line of at most 160 printable ASCII",
        ),
        ("count = 8", "count = -8", "at 'gpus[0].count': expected at least 0, got -8"),
        ("free_bytes = ", "free_bytes = 99999999999999", "a number is beyond 64 bits"),
        ("noexec = false", 'noexec = "no"', "at 'disks[0].noexec': expected bool, got str"),
        ('fips = "no such file"', 'glibc = "x"', "at 'glibc': it is under 'unknown' as well"),
        ('fips = "no such file"', 'kernel = "x"', "at 'unknown.kernel': unknown key"),
        (
            'format = "mirror-host/1"',
            'format = "mirror-host/2"',
            "this mirror reads 'mirror-host/1', got 'mirror-host/2'",
        ),
        ("[markers]\n", "[[gpus]]\n" * 20 + "[markers]\n", "at 'gpus': it has 21 entries, more than 16"),
        ('"linux_x86_64"]', '"../x"]', "at 'platform_tags[2]': expected a platform tag"),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_place(old: str, new: str, problem: str) -> None:
    text = HOST.encode().decode()
    assert old in text
    with pytest.raises(InvalidDocument) as caught:
        Detected.parse(text.replace(old, new, 1).encode(), "target.toml")
    assert problem in str(caught.value)


def test_another_file_says_who_writes_such_a_one(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text('[target]\npython = "3.11"\n')
    with pytest.raises(InvalidDocument) as caught:
        Detected.load(path)
    assert caught.value.hint == "'mirror detect -o target.toml' writes such a file on the closed host."
    with pytest.raises(Unreadable):
        Detected.load(tmp_path)


def test_a_long_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_bytes(HOST.encode() + b"#" * (1 << 20))
    with pytest.raises(InvalidDocument, match="more than the 16384 bytes allowed"):
        Detected.load(path)


def test_a_foreign_text_becomes_one_line() -> None:
    assert one_line("a\x1b[2J\nb\u20ac" + "c" * 200, 12) == "a?[2J?b?cccc"
