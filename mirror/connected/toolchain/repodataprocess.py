"""Repository metadata is read by createrepo_c in a process of its own: on some documents it crashes, or takes any memory.

``mirror.connected.toolchain.repodata`` and ``mirror.connected.toolchain.filelists`` ask for it, and check what comes out.

Rules: the process has limits in memory, time and files; that it dies is one more way in which a document is not readable; what
it says is taken for as foreign as the document. Before createrepo_c sees a document it is unpacked once, in pieces: it is one
whole stream of at most ``MAX_OPEN_BYTES``, in UTF-8 and declared as nothing else, without NUL and without a document type,
which could define entities (SECURITY.md 47). Names of files are never the document's.

Example::

    for entry in entries("primary", data):
        entry.text("name")
"""

from __future__ import annotations

import codecs
import importlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import IO, Any, BinaryIO, NoReturn

from mirror.core.archives.decompress import Decompressed
from mirror.core.archives.pieces import head_of
from mirror.core.archives.zstdframe import ModuleDecompressor, OneFrame
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, strict_json
from mirror.core.system.signals import held_signals
from mirror.core.trust.scratch import scratch_directory

MAX_OPEN_BYTES = 1 << 30
"""A document unpacked: NVIDIA's primary.xml has some ten MB, that of Fedora's whole distribution 250."""

MAX_MEMORY_BYTES = 256 << 20
"""More than the process has when it begins. It holds one package at a time."""

MAX_SECONDS = 600
MAX_SAID_BYTES = 256 << 20
"""Of all that the process says: several times what it says of Fedora's whole distribution."""

_MAX_LINE_BYTES = 16 << 20
_PIECE = 1 << 20
_HEAD_BYTES = 1 << 10
_DECLARED = re.compile(rb"<\?xml[ \t\r\n][^>]*?\bencoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"'>]*)[\"']")
_ZSTD = b"\x28\xb5\x2f\xfd"


class NotReadable(ValueError):
    """A document that cannot be read, with the reason in words."""


def entries(kind: str, data: bytes, wanted: Iterable[str] = ()) -> Generator[Fields]:
    """What a document lists, one by one.

    Args:
        kind: ``"repomd"``, ``"primary"`` or ``"filelists"``.
        data: the document, in whatever compression.
        wanted: of a ``repomd.xml`` which of its files; of a ``filelists.xml`` the sha256 of the packages that matter.

    Returns:
        Of a ``repomd.xml`` one entry, or none; of the others an entry for each package. Each is as the functions at the end of
        this module say it, and nothing in it was checked.

    Raises:
        NotReadable: also after some entries.
    """
    with scratch_directory("mirror-") as directory:
        document, question = directory / "document", directory / "wanted"
        document.write_bytes(data)
        question.write_text(json.dumps(list(wanted)))
        with _reader(kind, document, question) as process:
            assert process.stdout is not None
            yield from _said(process.stdout)
            status = process.wait()
    if status:
        raise NotReadable(_end_in_words(status))


def _said(stream: IO[bytes]) -> Iterator[Fields]:
    total = 0
    while line := stream.readline(_MAX_LINE_BYTES + 1):
        total += len(line)
        if len(line) > _MAX_LINE_BYTES or total > MAX_SAID_BYTES:
            raise NotReadable("it lists more than any repository does")
        if not line.endswith(b"\n"):
            return  # its writer died within it; how, the caller tells
        try:
            fields = Fields(strict_json(line, "entry", _MAX_LINE_BYTES), "entry")
        except InvalidDocument as exc:
            raise NotReadable(f"an entry of it is none: {exc.problem}") from exc
        if "problem" in fields:
            raise NotReadable(fields.text("problem"))
        yield fields


@contextmanager
def _reader(kind: str, document: Path, question: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The process, which is gone at the end of the block, or after ``MAX_SECONDS``."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    command = [sys.executable, "-I", "-c", program, kind, str(document), str(question)]
    process = None
    try:
        with held_signals():
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        timer = threading.Timer(MAX_SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        yield process
        timer.cancel()
    finally:
        if process is not None:
            timer.cancel()
            timer.join()
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _end_in_words(status: int) -> str:
    if status == -signal.SIGKILL:
        return f"its reader was stopped: it took longer than {MAX_SECONDS} seconds, or the machine has no memory left"
    if status < 0:
        return (
            f"its reader crashed on it ({signal.Signals(-status).name}): it is built to do that, or to need more memory"
        )
    return f"its reader ended with status {status}: it needs more memory than the {MAX_MEMORY_BYTES >> 20} MiB allowed"


@cache
def createrepo_module() -> ModuleType:
    """Import createrepo_c. Its librpm complains on stderr where the host has no rpm, unless it is shown an rpmrc."""
    with tempfile.TemporaryDirectory(prefix="mirror-") as directory:
        Path(directory, "rpmrc").touch()
        before = os.environ.get("RPM_CONFIGDIR")
        os.environ["RPM_CONFIGDIR"] = directory
        try:
            import createrepo_c
        finally:
            del os.environ["RPM_CONFIGDIR"]
            if before is not None:
                os.environ["RPM_CONFIGDIR"] = before
    module: ModuleType = createrepo_c
    return module


# What follows runs in the process of its own.


def main() -> NoReturn:
    """Read the document that the command line names, and say what is in it, a line of JSON for each entry."""
    kind, document, question = sys.argv[1:]
    createrepo = createrepo_module()
    _limit()
    try:
        with open(document, "rb") as stream:
            _check(stream)
        wanted = strict_json(Path(question).read_bytes(), "wanted", MAX_SAID_BYTES)
        readers = {"repomd": _say_record, "primary": _say_packages, "filelists": _say_files}
        readers[kind](createrepo, document, wanted)
    except NotReadable as exc:
        _say({"problem": str(exc)})
    except (createrepo.CreaterepoCError, MemoryError) as exc:
        _say({"problem": _in_words(exc, document)})
    sys.stdout.flush()
    os._exit(0)  # createrepo_c's own end is no part of what was asked


def _in_words(exc: Exception, document: str) -> str:
    """What createrepo_c says, in a line, without the name that the document has here."""
    said = " ".join(str(exc).replace(f"'{document}' ", "").split())
    if isinstance(exc, MemoryError) or "interrupted" in said:  # createrepo_c's word for an error in what it calls
        return f"one of its entries needs more memory than the {MAX_MEMORY_BYTES >> 20} MiB allowed"
    return said


def _limit() -> None:
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MAX_MEMORY_BYTES, now + MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _check(stream: BinaryIO) -> None:
    """Unpack all of a document, keep nothing of it, and refuse what createrepo_c need not see.

    Raises:
        NotReadable: with the rule that it breaks.
    """

    def refuse(problem: str) -> NoReturn:
        raise NotReadable(problem)

    zstd = stream.read(len(_ZSTD)) == _ZSTD
    stream.seek(0)
    decompressor = OneFrame(ModuleDecompressor(importlib.import_module("backports.zstd"))) if zstd else None
    unpacked = Decompressed(stream, refuse, "zstd" if zstd else "", decompressor)
    decoder = codecs.getincrementaldecoder("utf-8")()
    pieces = iter(lambda: unpacked.read(_PIECE), b"")
    head = head_of(pieces, _HEAD_BYTES)
    _check_head(head)
    total, before = 0, b""
    for piece in chain([head], pieces):
        total += len(piece)
        if total > MAX_OPEN_BYTES:
            raise NotReadable(f"it unpacks to more than the {MAX_OPEN_BYTES} bytes allowed")
        joined = before + piece
        if b"\0" in piece or b"<!DOCTYPE" in joined or b"<!ENTITY" in joined:
            raise NotReadable("it has a document type, or NUL in it, which no repository's has")
        before = joined[-8:]
        try:
            decoder.decode(piece)
        except UnicodeDecodeError as exc:
            raise NotReadable(f"it is not UTF-8: {exc.reason} before byte {total}") from exc
    unpacked.end()


def _check_head(piece: bytes) -> None:
    head = piece.removeprefix(codecs.BOM_UTF8).lstrip()
    if not head.startswith(b"<"):
        raise NotReadable(f"it begins with {piece[:4]!r}, which no XML document in UTF-8 does")
    declared = _DECLARED.match(head)
    if declared and declared[1].lower() not in (b"utf-8", b"utf8", b"us-ascii", b"ascii"):
        raise NotReadable(f"it says that it is in {declared[1][:40].decode('ascii', 'replace')}, not in UTF-8")


def _say(entry: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(entry) + "\n")


def _say_record(createrepo: ModuleType, document: str, wanted: list[str]) -> None:
    try:
        record: Any = createrepo.Repomd(document)[wanted[0]]
    except KeyError:
        return
    _say(
        {
            "location": record.location_href or "",
            "base": record.location_base or "",
            "algorithm": record.checksum_type or "",
            "checksum": record.checksum or "",
            "size": max(0, record.size),
            "open_size": max(0, record.size_open),
        }
    )


def _say_packages(createrepo: ModuleType, document: str, wanted: list[str]) -> None:
    def take(entry: Any) -> None:
        texts = {
            "name": entry.name,
            "epoch": entry.epoch,
            "version": entry.version,
            "release": entry.release,
            "arch": entry.arch,
            "location": entry.location_href,
            "base": entry.location_base,
            "algorithm": entry.checksum_type,
            "checksum": entry.pkgId,
        }
        _say(
            {
                **{key: text or "" for key, text in texts.items()},
                "size": max(0, entry.size_package),
                "installed_size": max(0, entry.size_installed),
                "requires": [_capability(one) for one in entry.requires],
                "provides": [_capability(one) for one in entry.provides],
            }
        )

    createrepo.xml_parse_primary(document, pkgcb=take, warningcb=_go_on, do_files=0)


def _capability(entry: tuple[Any, ...]) -> list[str]:
    """Name, flags, epoch, version, release."""
    return [text or "" for text in entry[:5]]


def _say_files(createrepo: ModuleType, document: str, wanted: list[str]) -> None:
    digests = frozenset(wanted)

    def begin(digest: str, name: str, arch: str) -> Any:
        return createrepo.Package() if digest in digests else None

    def take(package: Any) -> None:
        files = [directory + name for kind, directory, name, *_ in package.files if not kind]
        _say({"checksum": package.pkgId or "", "files": files})

    createrepo.xml_parse_filelists(document, begin, take, _go_on)


def _go_on(kind: int, message: str) -> bool:
    """A vendor's unknown tags are no fault; what we use is checked by whoever asked."""
    return True
