"""Documents that kill a reader in C, or want all of its memory: each is an error with a name, and costs us nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from backports import zstd

from mirror.connected.toolchain import repodataprocess
from mirror.connected.toolchain.filelists import parse_filelists
from mirror.connected.toolchain.repodata import InvalidRepodata, parse_primary, parse_repomd
from mirror.connected.toolchain.repodataprocess import NotReadable, entries
from tests.support.repos import Rpm, Vendor, primary_of, write_repository

URL = "https://rpms.example.org/rhel9/"
DIGEST = "1" * 64
XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
COMMON = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
HEAD = (
    f'<metadata {COMMON} packages="1"><package type="rpm"><name>a</name><arch>x86_64</arch>'
    f'<version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">{DIGEST}</checksum><summary>'
)
TAIL = '</summary><location href="a.rpm"/></package></metadata>'
PRIMARY = XML + HEAD + "fine" + TAIL
FILELISTS = (
    f'{XML}<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="1"><package pkgid="{DIGEST}" name="a" '
    'arch="x86_64"><version epoch="0" ver="1" rel="1"/><file>/usr/bin/a</file></package></filelists>'
)
REPOMD = (
    f'{XML}<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">'
    f'<checksum type="sha256">{DIGEST}</checksum><location href="repodata/p.xml"/><size>9</size></data></repomd>'
)

READERS: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "primary": (PRIMARY, lambda data: parse_primary(data, "repodata/primary.xml", URL)),
    "filelists": (FILELISTS, lambda data: parse_filelists(data, URL, {DIGEST})),
    "repomd": (REPOMD, lambda data: parse_repomd(data, URL)),
}

pytestmark = [pytest.mark.group(45), pytest.mark.group(47)]


def refused(kind: str, data: bytes) -> str:
    with pytest.raises(InvalidRepodata) as caught:
        READERS[kind][1](data)
    assert "mirror-" not in str(caught.value)  # no name of ours for the file
    return caught.value.problem


@pytest.mark.parametrize("kind", READERS)
def test_the_plain_document_is_read(kind: str) -> None:
    text, read = READERS[kind]
    assert read(text.encode())
    assert read(b"\xef\xbb\xbf" + text.encode())
    assert read(text.replace("UTF-8", "utf-8").encode())
    assert read(text.removeprefix(XML).encode())


@pytest.mark.parametrize(
    "declared", ["UTF-7", "UTF-16", "UTF-32", "ISO-8859-1", "EUC-JP", "HZ", "ISO-2022-JP", "x" * 90, ""]
)
@pytest.mark.parametrize("kind", READERS)
def test_a_document_that_says_it_is_in_another_encoding_is_not_tried(kind: str, declared: str) -> None:
    text = READERS[kind][0].replace("UTF-8", declared).replace("</", "<\u0561/", 1)
    assert f"it says that it is in {declared[:40]}, not in UTF-8" in refused(kind, text.encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-32"),
        lambda text: text.encode("utf-7").replace(b"<", b"+ADw-"),
        lambda text: text.encode("cp037"),
        lambda text: text.encode().replace(b"</", b"\xff</", 1),
        lambda text: text.encode().replace(b"</", b"\xc0\xbc/", 1),
        lambda text: text.encode().replace(b"</", b"\xed\xa0\x80</", 1),
        lambda text: text.encode().replace(b"</", b"\0</", 1),
        lambda text: text.encode().replace(b"</", b"&#0;</", 1),
        lambda text: text.encode().replace(b"</", b"&#xd800;</", 1),
        lambda text: text.encode()[:-9],
        lambda text: text.encode()[:200],
        lambda text: b"",
        lambda text: b"\0" * 1000,
        lambda text: text.replace("?>", "?><!DOCTYPE a>").encode(),
        lambda text: text.replace("?>", "?>" + " " * 70_000 + "<!DOCTYPE a>").encode(),
        lambda text: text.replace("?>", '?><!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>').encode(),
        lambda text: text.replace("?>", '?><!DOCTYPE a SYSTEM "file:///etc/passwd">').encode(),
        lambda text: text.replace("</", "<a>" * 300_000 + "</", 1).encode(),
        lambda text: text.encode() + text.encode(),
    ],
    ids=range(21),
)
@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_document_has_a_name(kind: str, change: Callable[[str], bytes]) -> None:
    assert refused(kind, change(READERS[kind][0]))


def gzipped(pieces: Iterable[bytes]) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(piece) for piece in pieces), packer.flush()])


def test_a_bomb_takes_the_memory_of_its_reader_and_none_of_ours() -> None:
    """600 MiB in one text: createrepo_c would take all of it, and more."""
    bomb = gzipped([(XML + HEAD).encode(), *[b"x" * (1 << 20)] * 600, TAIL.encode()])
    assert len(bomb) < 1 << 20
    script = f"""
import resource, sys
from mirror.connected.toolchain.repodata import InvalidRepodata, parse_primary
try:
    parse_primary(sys.stdin.buffer.read(), "repodata/primary.xml.gz", {URL!r})
except InvalidRepodata as exc:
    print(exc.problem)
# The kernel's ru_maxrss of ourselves is also that of whoever started us.
ours = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(ours >> 10, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10)
"""
    done = subprocess.run([sys.executable, "-c", script], input=bomb, capture_output=True, timeout=300, check=True)
    problem, _, peaks = done.stdout.decode().strip().rpartition("\n")
    ours, the_readers = map(int, peaks.split())
    assert "memory" in problem
    assert ours < 100
    assert the_readers < 400


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_a_document_that_unpacks_to_more_than_allowed_is_broken_off(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repodataprocess, "MAX_OPEN_BYTES", 3 << 20)
    data = pack(PRIMARY.replace("fine", "x" * (4 << 20)).encode())
    with pytest.raises(NotReadable, match="it unpacks to more than the 3145728 bytes allowed"):
        repodataprocess._check(io.BytesIO(data))
    repodataprocess._check(io.BytesIO(pack(PRIMARY.replace("fine", "x" * (2 << 20)).encode())))


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(PRIMARY.encode())[:-9],
        gzip.compress(PRIMARY.encode()) + b"x",
        gzip.compress(PRIMARY.encode()) + gzip.compress(b"<a/>"),
        lzma.compress(PRIMARY.encode())[:-20],
        bz2.compress(PRIMARY.encode())[:-5],
        b"\x28\xb5\x2f\xfd" + b"\xff" * 100,
        b"\x1f\x8b" + b"\xff" * 100,
        gzip.compress(gzip.compress(PRIMARY.encode())),
    ],
    ids=range(8),
)
def test_a_broken_stream_has_a_name(data: bytes) -> None:
    assert "is not readable: " in refused("primary", data)


def test_an_entry_of_a_million_things_has_a_name() -> None:
    listed = (
        "</summary><format><rpm:provides>" + '<rpm:entry name="x"/>' * 1_500_000 + "</rpm:provides></format><summary>"
    )
    assert "needs more memory" in refused("primary", (XML + HEAD + listed + TAIL).encode())


def test_a_reader_that_is_killed_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repodataprocess, "MAX_SECONDS", 0.05)
    many = gzipped([(XML + HEAD).encode(), *[b"x" * (1 << 20)] * 300, TAIL.encode()])
    assert "its reader was stopped: it took longer than 0.05 seconds" in refused("primary", many)


def test_a_reader_that_crashes_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A createrepo_c that ends as the real one does on some documents, in its place in the child's path."""
    (tmp_path / "createrepo_c.py").write_text(
        "import os, signal\nCreaterepoCError = OSError\n"
        "def xml_parse_primary(*_, **__): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert "its reader crashed on it (SIGSEGV)" in refused("primary", PRIMARY.encode())


def test_what_a_reader_says_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in (
        "{",
        "[]",
        '{"a": 1, "a": 2}',
        '{"name": "\\ud800"}',
        '{"size": ' + "9" * 5000 + "}",
        "[" * 9999,
        '{"name": 1}',
    ):
        (tmp_path / "createrepo_c.py").write_text(
            f"CreaterepoCError = OSError\ndef xml_parse_primary(*_, **__): print({said!r})\n"
        )
        monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
        assert "is not readable: " in refused("primary", PRIMARY.encode())


def test_nobody_is_left_behind_when_a_document_is_broken_off(tmp_path: Path) -> None:
    vendor = Vendor()
    write_repository(tmp_path, [Rpm(f"a{number}") for number in range(2000)], vendor, files=False)
    listed = entries("primary", primary_of(tmp_path).read_bytes())
    assert next(listed).text("name")
    listed.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert not any(isinstance(thread, threading.Timer) for thread in threading.enumerate())
