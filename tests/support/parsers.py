"""Every parser of mirror that meets bytes of others, as something that takes bytes, with good inputs to begin from.

``scripts/attack fuzz`` gives each to a coverage-guided fuzzer, ``tests/unit/test_parsers.py`` a few hundred altered inputs.
What may come out of one is a ``MirrorError``, or the error that its own docstring promises to whoever calls it.

Example::

    parser = PARSERS["manifest"]
    parser.feed(b"{}")      # nothing, whatever the bytes are
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import io
import json
import lzma
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from mirror.closed.prefix.comparison import compare, parse_host_status
from mirror.closed.prefix.history import History
from mirror.closed.prefix.receipt import Receipt
from mirror.closed.prefix.seal import Seal
from mirror.closed.site.directory import SiteRecord
from mirror.closed.site.indexpage import listed_files
from mirror.closed.site.pages import JSON, SiteWheel
from mirror.closed.site.rpmmetadata import read_package, repodata
from mirror.closed.site.server import prefers_json
from mirror.closed.webserver import byte_range
from mirror.connected.contents.modelcontents import read_model_file
from mirror.connected.index.simplepage import parse_page
from mirror.connected.locking.interpreter import InterpreterLock
from mirror.connected.models.modellock import ModelLock
from mirror.connected.packing.meta import rpms_json
from mirror.connected.pins.foreign import foreign_file
from mirror.connected.pins.requirements import parse_lock
from mirror.connected.sdists.archive import read_source_archive
from mirror.connected.sdists.sdist import read_sdist
from mirror.connected.signing.keyfile import read_key
from mirror.connected.stack.buildsettings import Archive as PinnedArchive
from mirror.connected.stack.buildsettings import OwnSource, SourceTree
from mirror.connected.stack.stack import read_target
from mirror.connected.toolchain.hermeto import read_rpms_lock
from mirror.connected.toolchain.redistlock import RedistLock
from mirror.connected.toolchain.redistmanifest import RedistManifest
from mirror.connected.toolchain.repodata import parse_primary, parse_repomd
from mirror.connected.toolchain.rpmlock import RpmLock
from mirror.core.advisories.cvss import base_score
from mirror.core.advisories.known import Advisories
from mirror.core.advisories.record import OsvRecord
from mirror.core.archives.cpio import Archive
from mirror.core.archives.decompress import Decompressed
from mirror.core.archives.tarstream import TarStream
from mirror.core.archives.zipdirectory import BadZip
from mirror.core.archives.zipmembers import NoZip, zip_members
from mirror.core.archives.zstdframe import Frame
from mirror.core.binaries.elf import MalformedElf, Section, defined_symbols, read_elf
from mirror.core.binaries.fatbin import read_images
from mirror.core.binaries.glibc import glibc_need
from mirror.core.bundle.delta.document import Delta
from mirror.core.bundle.delta.opened import open_delta
from mirror.core.bundle.delta.unpacked import FIRST_MEMBER, Slice, Unpacked
from mirror.core.bundle.dossier import Dossier
from mirror.core.bundle.manifest import Manifest
from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.volumes.index import VolumeIndex
from mirror.core.errors import MirrorError
from mirror.core.fields import strict_json
from mirror.core.logs.explained.log import explain_stream
from mirror.core.names import Sha256Hex, project_name
from mirror.core.policy.document import Policy
from mirror.core.policy.spdx import is_allowed
from mirror.core.signatures import openpgp, sshsig
from mirror.core.signatures.packets import packets
from mirror.core.signatures.pgpkeys import read_keys
from mirror.core.targets.detected import Detected, GpuKind
from mirror.core.toml import parse_toml
from mirror.core.toolkit.carried import RedistList, RpmList
from mirror.core.toolkit.fileindex import FileIndex
from mirror.core.toolkit.payload import contents
from mirror.core.toolkit.rpm import read_rpm
from mirror.core.toolkit.rpmheader import Header, MalformedRpm, Reader
from mirror.core.trust.root import Root
from mirror.core.trust.sidecars import Statement
from mirror.core.vetting.safetensors import read_header
from mirror.core.wheels.record import Record
from mirror.core.wheels.requirement import Requirement
from mirror.core.wheels.tags import WheelName
from mirror.core.wheels.versions import Version, satisfies
from mirror.core.wheels.wheelfile import read_wheel
from mirror.core.wheels.wheelzip import read_archive
from tests.support.bundles import BundleSimulator
from tests.support.deltas import make_pair
from tests.support.hub import make_safetensors
from tests.support.keys import make_root, sign_manifest, signer, write_private_key
from tests.support.libraries import container, image
from tests.support.rpms import HOME, Contents, Packager, Program, archive_of, members, toolkit
from tests.support.wheels import make_sdist, make_wheel

VECTORS = Path(__file__).parents[1] / "vectors"
KEPT = VECTORS / "fuzz"
"""What a fuzzer found once, by the parser's name: each is fed again for ever."""

LIMIT = 4 << 20
"""Of what a parser may give out, where its caller says how much it wants."""

Parse = Callable[[bytes], object]
Seeds = Callable[[], Iterable[bytes]]


@dataclass(frozen=True)
class Parser:
    """One of them.

    Attributes:
        name: as ``scripts/attack fuzz`` calls it.
        parse: takes any bytes.
        seeds: good inputs, and such as nearly are.
        promised: what may come out besides a ``MirrorError``.
        has_a_process: each input is parsed in a process of its own, which takes its time.
    """

    name: str
    parse: Parse
    seeds: Seeds
    promised: tuple[type[Exception], ...] = ()
    has_a_process: bool = False

    def feed(self, data: bytes) -> None:
        """Parse; an error that is promised is an answer.

        Raises:
            Exception: one that is not.
        """
        with contextlib.suppress(MirrorError, *self.promised):
            self.parse(data)

    def kept(self) -> list[bytes]:
        """What a fuzzer found in it once."""
        return [path.read_bytes() for path in sorted((KEPT / self.name).glob("*"))]


# -- how each is called -------------------------------------------------------------------------------------------------------


def _refuse(problem: str) -> NoReturn:
    raise MalformedRpm("a.rpm", problem)


def _tar(data: bytes) -> None:
    tar = TarStream(io.BytesIO(data), "a.tar", LIMIT)
    for _ in tar:
        for _ in tar.content():
            pass


def _cpio(data: bytes) -> None:
    archive = Archive(io.BytesIO(data).read, (3, 5), "a.rpm")
    for _ in archive:
        for _ in archive.content():
            pass


def _decompressed(data: bytes) -> None:
    stream, left = Decompressed(io.BytesIO(data), _refuse), LIMIT
    while left > 0 and (piece := stream.read(1 << 16)):
        left -= len(piece)
    stream.end()


@cache
def _packager() -> tuple[Packager, bytes]:
    packager = Packager()
    with tempfile.TemporaryDirectory() as directory:
        files: Contents = {f"{HOME}/bin/nvcc": Program(b"#!/bin/sh\n"), f"{HOME}/include/cuda.h": b"#define CUDA 1\n"}
        return packager, packager.rpm(Path(directory), "cuda-nvcc-13-0", files).read_bytes()


def _rpm(data: bytes) -> None:
    packager, _ = _packager()
    read_rpm(io.BytesIO(data), "a.rpm", packager.certificates, [packager.fingerprint])


def _rpm_header(data: bytes) -> None:
    header = Header(Reader(io.BytesIO(data), "a.rpm").header(1 << 20), "a.rpm")
    for tag in (1000, 1001, 1004, 1022, 1027, 1028, 1030, 1035, 1106, 1116, 1117, 1118, 5011):
        for read in (header.texts, header.numbers, header.blob):
            if tag in header:
                with contextlib.suppress(MirrorError):
                    read(tag)


@cache
def _rpm_metadata(data: bytes) -> None:
    repodata([read_package(io.BytesIO(data), "a.rpm", len(data), "ab" * 32)], 1)


def _site_pages(data: bytes) -> None:
    for kind in ("text/html", "application/json"):
        listed_files(data, kind, "http://index.example/simple/a/")


def _request(data: bytes) -> None:
    """What a client of ``mirror serve`` sends: it is answered, or not, and nothing comes out."""
    header = data.decode("latin-1")
    prefers_json(header)
    byte_range(header, 1000)


def _payload_place() -> tuple[Any, int]:
    packager, data = _packager()
    stream = io.BytesIO(data)
    return read_rpm(stream, "a.rpm", packager.certificates, [packager.fingerprint]), stream.tell()


def _payload(data: bytes) -> None:
    for content in contents(_payload_place()[0], io.BytesIO(data)):
        for _ in content.pieces:
            pass


def _zstd_frame(data: bytes) -> None:
    frame = Frame()
    while data and not frame.done:
        data = data[frame.follow(data) :]


def _wheel_zip(data: bytes) -> None:
    archive = read_archive(io.BytesIO(data))
    for member in archive.members:
        for _ in archive.content(member):
            pass


def _zip_members(data: bytes) -> None:
    stream = io.BytesIO(data)
    for member in zip_members(stream):
        member.read(stream, LIMIT)


def _wheel_file(data: bytes) -> None:
    read_wheel(io.BytesIO(data))


def _elf(data: bytes) -> None:
    stream = io.BytesIO(data)
    if found := read_elf(stream, "a.so"):
        glibc_need(stream, found, "a.so")
    with contextlib.suppress(MalformedElf):
        defined_symbols(stream, ("malloc", "PyInit_x"), "a.so")


def _fatbin(data: bytes) -> None:
    read_images(io.BytesIO(data), Section(0, len(data)), "a.so")


def _sshsig(data: bytes) -> None:
    for block in sshsig.split(data):
        sshsig.parse(block)
    sshsig.verify(b"words", data, "mirror-manifest@v1")


def _openssh_key(data: bytes) -> None:
    sshsig.PublicKey.from_openssh(_text(data))


def _openpgp_keys(data: bytes) -> None:
    read_keys(data)


def _openpgp_packets(data: bytes) -> None:
    for _ in packets(data):
        pass


def _openpgp_signature(data: bytes) -> None:
    packager, _ = _packager()
    openpgp.verify(b"words", data, packager.certificates, [packager.fingerprint])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _versions(data: bytes) -> None:
    one, _, other = _text(data).partition("\n")
    Version(one)
    satisfies(one, other)


def _spdx(data: bytes) -> None:
    is_allowed(_text(data), ["MIT", "Apache-2.0 WITH LLVM-exception"])


def _cvss(data: bytes) -> None:
    base_score(_text(data))


def _in_file(name: str, read: Callable[[Path], object]) -> Parse:
    """For a parser that reads a file."""

    def parse(data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as directory:
            path = Path(directory) / name
            path.write_bytes(data)
            path.chmod(0o600)
            read(path)

    return parse


def _source_archive(path: Path) -> None:
    own = OwnSource(SourceTree(PinnedArchive("c.tar.gz", path.as_uri(), Sha256Hex("0" * 64)), "", ""))
    read_source_archive(path, project_name("a"), "1.0", own)


def _source_archives() -> Iterable[bytes]:
    """Uncompressed, so that what is altered is the documents."""
    said = (
        b'[project]\nname = "a"\nversion = "1.0"\ndependencies = ["b>=1"]\n[project.optional-dependencies]\nc = ["d"]\n'
    )
    for name, data in (("pyproject.toml", said), ("setup.py", b"")):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            member = tarfile.TarInfo(f"a-0123/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        yield buffer.getvalue()


def _bundle(path: Path) -> None:
    with open_bundle(path) as bundle:
        bundle.trust(make_root())
        bundle.verify(threads=1)


def _delta(path: Path) -> None:
    with open_delta(path) as delta:
        delta.check()


def _wheel_parts(data: bytes) -> None:
    file = Unpacked(io.BytesIO(data), len(data))
    for part in range(len(file.members) + FIRST_MEMBER):
        for _ in file.read(Slice(part, 0, min(LIMIT, file.size_of(part)))):
            pass


# -- what each begins from ----------------------------------------------------------------------------------------------------


def _vectors(*names: str) -> Seeds:
    return lambda: [(VECTORS / "documents" / name).read_bytes() for name in names]


def _words(*texts: str) -> Seeds:
    return lambda: [text.encode() for text in texts]


def _in_directory(make: Callable[[Path], Path]) -> Seeds:
    def seeds() -> list[bytes]:
        with tempfile.TemporaryDirectory() as directory:
            return [make(Path(directory)).read_bytes()]

    return seeds


def _tars() -> list[bytes]:
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form) as archive:
            for name, data in (("top/a", b"a"), ("top/" + "d" * 90, b"")):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("top/l")
            link.type, link.linkname = tarfile.SYMTYPE, "a"
            archive.addfile(link)
        found.append(out.getvalue()[:4096].rstrip(b"\0") + bytes(2048))
    return [*found, gzip.compress(found[0], mtime=0)]


def _compressed() -> list[bytes]:
    data = b"words " * 50
    return [
        gzip.compress(data, mtime=0),
        bz2.compress(data),
        lzma.compress(data),
        lzma.compress(data, lzma.FORMAT_ALONE),
    ]


def _zips() -> list[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.py", (2026, 1, 1, 0, 0, 0)), b"a" * 300)
        archive.writestr("b/c", b"")
    return [out.getvalue(), *_in_directory(lambda path: make_wheel(path, "a", "1.0"))()]


def _headers() -> list[bytes]:
    _, data = _packager()
    at = data.index(b"\x8e\xad\xe8\x01", data.index(b"\x8e\xad\xe8\x01") + 4)
    return [data[at : _payload_place()[1]], data[96:at]]


def _payloads() -> list[bytes]:
    return [_packager()[1][_payload_place()[1] :]]


def _cpios() -> list[bytes]:
    return [archive_of(members({f"{HOME}/bin/nvcc": Program(b"#!"), f"{HOME}/a": b"words"}))]


def _elves() -> list[bytes]:
    """The smallest extension module of this Python."""
    place = Path(json.__file__).parents[1] / "lib-dynload"
    return [min((path.read_bytes() for path in place.glob("*.so")), key=len, default=b"\x7fELF")]


def _zstd_frames() -> list[bytes]:
    return [bytes.fromhex("28b52ffd04000900006162630a0d6a5f0f"), bytes.fromhex("28b52ffd2003190000616263")]


_DIGEST = "ab" * 32
_PAGE = (
    '<!DOCTYPE html><html><body><a href="a-1.0-py3-none-any.whl#sha256='
    + _DIGEST
    + '" data-requires-python="&gt;=3.9">'
    "a-1.0-py3-none-any.whl</a></body></html>"
)
_JSON_PAGE = {
    "meta": {"api-version": "1.1"}, "name": "a", "versions": ["1.0"],
    "files": [{"filename": "a-1.0-py3-none-any.whl", "url": "a", "hashes": {"sha256": _DIGEST}, "size": 1, "yanked": False}],
}  # fmt: skip
_PRIMARY = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
<package type="rpm"><name>a</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/>
<checksum type="sha256" pkgid="YES">{_DIGEST}</checksum><summary>a</summary><description>a</description><packager/><url/>
<time file="1" build="1"/><size package="1" installed="1" archive="1"/><location href="a.rpm"/>
<format><rpm:license>MIT</rpm:license></format></package></metadata>
"""
_REPOMD = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary">
<checksum type="sha256">{_DIGEST}</checksum><open-checksum type="sha256">{_DIGEST}</open-checksum>
<location href="repodata/primary.xml.gz"/><timestamp>1</timestamp><size>1</size><open-size>1</open-size></data></repomd>
"""
_PYLOCK = f"""\
lock-version = "1.0"
created-by = "x"
requires-python = ">=3.9"
[[packages]]
name = "a"
version = "1.0"
[[packages.wheels]]
name = "a-1.0-py3-none-any.whl"
url = "https://example.org/a-1.0-py3-none-any.whl"
hashes = {{sha256 = "{_DIGEST}"}}
"""
_STACK = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["a==1"]\n'
_OSV = {
    "id": "GHSA-1", "modified": "2026-01-01T00:00:00Z", "affected": [{
        "package": {"ecosystem": "PyPI", "name": "a"}, "versions": ["1"],
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}],
    }], "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
}  # fmt: skip
HOST = Detected(
    "x86_64", "2.34", "3.4.29", "1.3.13", ("avx2",), "535.1", "12.2", "", "11.4", shm_bytes=1, quota_bytes=-1,
    gpus=(GpuKind("NVIDIA H100", "9.0", 8),), pythons=(), platform_tags=("linux_x86_64",), unknown={"fips": "no such file"},
)  # fmt: skip
CARD_NAME = "README.md"
_REDIST = {"release_date": "2025-10-01", "release_label": "13.0.2", "cuda_nvcc": {
    "name": "n", "version": "13.0.88", "license": "l",
    "linux-x86_64": {"relative_path": "a/b.tar.xz", "sha256": _DIGEST, "size": "1"},
}}  # fmt: skip
_RECORD = "a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\na-1.dist-info/RECORD,,\n"
_POLICY = '[licences]\nallowed = ["MIT", "Apache-2.0"]\n[vulnerabilities]\nblock = ["high"]\n'


def _json(value: object) -> Seeds:
    return lambda: [json.dumps(value).encode()]


def _lockfile(*endings: str) -> Seeds:
    """Those that mirror brings; short ones, so that many changes fit into a second."""
    directory = Path(__file__).parents[2] / "lockfiles"
    return lambda: [(directory / f"quickstart.{ending}").read_bytes()[:6000] for ending in endings]


def _repomd_signatures() -> list[bytes]:
    with tempfile.TemporaryDirectory() as directory:
        packager, _ = _packager()
        toolkit(Path(directory), packager)
        packager.repository(Path(directory))
        return [path.read_bytes() for path in Path(directory).rglob("*.asc")]


def _binary_keys() -> list[bytes]:
    return [base64.b64decode("".join(_packager()[0].armored.splitlines()[2:-2]))]


def _rpm_lists() -> list[bytes]:
    packager, _ = _packager()
    return [rpms_json([packager.fingerprint], packager.armored, [])]


def _logs() -> list[bytes]:
    return [path.read_bytes()[:3000] for path in sorted((VECTORS / "logs").glob("*.txt"))]


def _write_bundle(directory: Path) -> Path:
    simulator = BundleSimulator()
    simulator.add("meta/a.txt", b"words")
    return simulator.write(directory / "b.tar")


@cache
def _made_delta() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        return make_pair(Path(directory)).delta.read_bytes()


def _deltas() -> list[bytes]:
    return [_made_delta()]


def _delta_heads() -> list[bytes]:
    line, _, rest = _made_delta().partition(b"\n")
    return [gzip.decompress(rest[: int(line.split()[1])])]


def _key_seeds() -> list[bytes]:
    with tempfile.TemporaryDirectory() as directory:
        return [write_private_key(Path(directory) / "k").read_bytes(), signer("a").public.openssh().encode() + b" me\n"]


PARSERS: dict[str, Parser] = {
    parser.name: parser
    for parser in (
        Parser("tar", _tar, _tars),
        Parser("cpio", _cpio, _cpios),
        Parser("decompress", _decompressed, _compressed),
        Parser("zstd-frame", _zstd_frame, _zstd_frames, (ValueError,)),
        Parser("rpm", _rpm, lambda: [_packager()[1]]),
        Parser("rpm-header", _rpm_header, _headers),
        Parser("rpm-metadata", _rpm_metadata, lambda: [_packager()[1]]),
        Parser("rpm-payload", _payload, _payloads),
        Parser("wheel-zip", _wheel_zip, _zips, (BadZip,)),
        Parser("zip-members", _zip_members, _zips, (NoZip,)),
        Parser("wheel-file", _wheel_file, _zips, (BadZip,)),
        Parser("record", Record.parse, _words(_RECORD), (ValueError,)),
        Parser("requirement", lambda data: Requirement.parse(_text(data)), _words(
            "a[b]>=1,<2; python_version >= '3.9' and extra == 'x'", "a @ https://e.org/a.whl"), (ValueError,)),
        Parser("wheel-name", lambda data: WheelName.parse(_text(data)), _words("a-1.0-1-cp311-abi3-manylinux_2_28_x86_64.whl"),
               (ValueError,)),
        Parser("version", _versions, _words("1!2.0.post1.dev2+cu124\n>=1,!=2.*", "1.0rc1\n~=1.0"), (ValueError,)),
        Parser("elf", _elf, _elves),
        Parser("fatbin", _fatbin, lambda: [container(image("sm_90a"), image("sm_80"))]),
        Parser("sshsig", _sshsig, lambda: [sign_manifest(b"words")]),
        Parser("openssh-key", _openssh_key, lambda: [signer("a").public.openssh().encode()], (ValueError,)),
        Parser("openpgp-keys", _openpgp_keys, lambda: [_packager()[0].armored.encode()]),
        Parser("openpgp-packets", _openpgp_packets, _binary_keys),
        Parser("openpgp-signature", _openpgp_signature, _repomd_signatures),
        Parser("bundle", _in_file("b.tar", _bundle), _in_directory(_write_bundle)),
        Parser("volumes", lambda data: VolumeIndex.parse(data, "i"), _words(
            f"# mirror-volumes/1: a.tar has 5 bytes in volumes of 3, sha256 {_DIGEST}\n"
            f"{_DIGEST}  a.tar.001\n{_DIGEST}  a.tar.002\n")),
        Parser("delta-head", lambda data: Delta.parse(gzip.compress(data, 1)), _delta_heads),
        Parser("delta", _in_file("d", _delta), _deltas),
        Parser("wheel-parts", _wheel_parts, _zips, (BadZip,)),
        Parser("manifest", Manifest.parse, _vectors("manifest.json")),
        Parser("dossier", Dossier.parse, _vectors("dossier.json")),
        Parser("root", Root.parse, _vectors("root.json")),
        Parser("statement", Statement.parse, _vectors("statement.json")),
        Parser("receipt", Receipt.from_bytes, _vectors("receipt.json", "receipt-short.json")),
        Parser("history", _in_file("history.jsonl", lambda path: History(path.parent).events()), _vectors("history.jsonl")),
        Parser("seal", Seal.parse, lambda: [Seal({"venv/a": _DIGEST, "b": "-> a"}).encode()]),
        Parser("advisories", Advisories.parse, _vectors("vulnerabilities.json")),
        Parser("osv-record", OsvRecord.parse, _json(_OSV), (ValueError,)),
        Parser("cvss", _cvss, _words("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")),
        Parser("policy", Policy.parse, _words(_POLICY)),
        Parser("spdx", _spdx, _words("MIT OR (Apache-2.0 WITH LLVM-exception AND BSD-3-Clause)"), (ValueError,)),
        Parser("json", lambda data: strict_json(data, "a.json", 1 << 20), _json({"a": [1, {"b": None}], "c": "d"})),
        Parser("toml", lambda data: parse_toml(data, "a.toml", 1 << 20), _words(_STACK, _POLICY)),
        Parser("rpm-list", RpmList.from_bytes, _rpm_lists),
        Parser("redist-list", RedistList.from_bytes, _json({"format": "mirror-redist/1", "archives": []})),
        Parser("file-index", FileIndex.parse, _lockfile("files.txt")),
        Parser("safetensors", lambda data: read_header(io.BytesIO(data), len(data)),
               lambda: [make_safetensors({"a": ("F32", [2], bytes(8))})], (ValueError,)),
        Parser("requirements", lambda data: parse_lock(data, "a.txt"), _words(
            f"# mirror: locked=2026-11-01T00:00:00Z\na==1.0 --hash=sha256:{_DIGEST}\n",
            f"a==1 \\\n  --hash=sha256:{_DIGEST}\n")),
        Parser("pylock", lambda data: parse_lock(data, "pylock.a.toml"), _words(_PYLOCK)),
        Parser("foreign-lock", lambda data: foreign_file("poetry.lock", _text(data)), _words("[[package]]\nname = 'a'\n")),
        Parser("rpm-lock", RpmLock.parse, _lockfile("rpms.toml")),
        Parser("redist-lock", RedistLock.parse, _words('format = "mirror-redist/1"\nlocked = 2026-11-01T00:00:00Z\n')),
        Parser("redist-manifest", lambda data: RedistManifest.parse(data, "redistrib.json"), _json(_REDIST)),
        Parser("interpreter-lock", InterpreterLock.parse, _words(
            'format = "mirror-interpreter/1"\nlocked = 2026-11-01T00:00:00Z\n[[archive]]\nversion = "3.11.17"\n'
            'arch = "x86_64"\n'
            f'url = "https://e.org/a.tar.gz"\nsha256 = "{_DIGEST}"\n')),
        Parser("model-lock", ModelLock.parse, _words('format = "mirror-models/1"\nlocked = 2026-11-01T00:00:00Z\n')),
        Parser("host", Detected.parse, lambda: [HOST.encode()]),
        Parser("stack-target", _in_file("a.toml", read_target), _words(_STACK)),
        Parser("rpms-lock-yaml", _in_file("rpms.lock.yaml", lambda path: read_rpms_lock(path, "x86_64")), _words(
            "lockfileVersion: 1\nlockfileVendor: redhat\narches:\n- arch: x86_64\n  packages:\n  - url: https://e.org/a.rpm\n")),
        Parser("model-card", _in_file("README.md", lambda path: read_model_file(path, CARD_NAME)), _words(
            "---\nlicense: mit\ntags: [a, b]\n---\n# A model\n")),
        Parser("repomd", lambda data: parse_repomd(data, "https://r.example.org/"), _words(_REPOMD), has_a_process=True),
        Parser("primary", lambda data: parse_primary(data, "primary.xml", "https://r.example.org/"), _words(_PRIMARY),
               has_a_process=True),
        Parser("index-page", lambda data: parse_page(data, "https://i.example.org/simple/a/"), lambda: [
            _PAGE.encode(), json.dumps(_JSON_PAGE).encode()]),
        Parser("site-pages", _site_pages, lambda: [
            b'<a href="a-1.whl#sha256=' + b"ab" * 32 + b'">', json.dumps({"files": [{"url": "a", "hashes": {}}]}).encode()
        ], (ValueError,)),
        Parser("site-record", SiteRecord.parse, lambda: [SiteRecord((SiteWheel("a.whl", "a", "1", 1, "ab" * 32),)).encode()]),
        Parser("request", _request, _words("bytes=5-9", f"{JSON}; q=0.5, text/html"), (ValueError,)),
        Parser("host-status", lambda data: compare([parse_host_status(data, "n1")]), _json(
            {"format": "mirror-status/1", "stacks": [{"prefix": "/p", "current": "1-a", "generations": [{"id": "1-a"}]}]})),
        Parser("sdist", _in_file("a-1.0.tar.gz", read_sdist), _in_directory(lambda path: make_sdist(path, "a", "1.0"))),
        Parser("source-archive", _in_file("c.tar.gz", _source_archive), _source_archives),
        Parser("key-file", _in_file("k", read_key), _key_seeds),
        Parser("doctor-log", lambda data: explain_stream(io.BytesIO(data)), _logs),
    )
}  # fmt: skip
"""By name; those of the connected side read files of a person's and answers of servers."""
