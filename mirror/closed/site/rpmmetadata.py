"""The repodata of an RPM repository: ``repomd.xml``, and what it names, made of the packages' own headers.

``createrepo_c`` makes the same on the connected side; here there is the standard library alone. What a header means is told by
rpm's own tables; ``mirror.core.toolkit.rpmheader`` reads it.

Rules: a package's header is read once, its payload never; the digest and size of its file come from whoever verified it; the
same packages give the same bytes; scriptlets are not told of, as repodata has none.

Example::

    package = read_package(stream, "cuda-nvcc-13-0-13.0.88-1.x86_64.rpm", size, sha256)
    repodata([package], revision=1)["repomd.xml"]
"""

from __future__ import annotations

import gzip
import hashlib
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO
from xml.sax.saxutils import escape, quoteattr

from mirror.core.toolkit.rpm import GHOST, LEAD_BYTES, MAX_HEADER_BYTES, MAX_SIGNATURE_HEADER_BYTES
from mirror.core.toolkit.rpmheader import Header, Reader

_COMMON, _RPM = "http://linux.duke.edu/metadata/common", "http://linux.duke.edu/metadata/rpm"
_FILELISTS, _OTHER = "http://linux.duke.edu/metadata/filelists", "http://linux.duke.edu/metadata/other"
_REPO = "http://linux.duke.edu/metadata/repo"

_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH = 1000, 1001, 1002, 1003, 1022
_SUMMARY, _DESCRIPTION, _BUILD_TIME, _BUILD_HOST, _SIZE, _LONG_SIZE = 1004, 1005, 1006, 1007, 1009, 5009
_VENDOR, _LICENSE, _PACKAGER, _GROUP, _URL, _SOURCE_RPM, _ARCHIVE_SIZE = 1011, 1014, 1015, 1016, 1020, 1044, 1046
_DIRECTORY_INDEXES, _BASE_NAMES, _DIRECTORY_NAMES, _MODES, _FLAGS = 1116, 1117, 1118, 1030, 1037
_CHANGE_TIMES, _CHANGE_NAMES, _CHANGE_TEXTS = 1080, 1081, 1082

_RELATIONS = {  # names, flags, versions
    "provides": (1047, 1112, 1113),
    "requires": (1049, 1048, 1050),
    "conflicts": (1054, 1053, 1055),
    "obsoletes": (1090, 1114, 1115),
    "suggests": (5049, 5051, 5050),
    "enhances": (5055, 5057, 5056),
    "recommends": (5046, 5048, 5047),
    "supplements": (5052, 5054, 5053),
}
_SENSES = {2: "LT", 4: "GT", 8: "EQ", 10: "LE", 12: "GE"}
_FIRST = 64 | 512 | 1024
"""Flags of what is needed before the package's own programs run at its installation: prereq, pre, post."""

_CHANGES = 10
"""As many entries of a changelog as createrepo tells."""
_PRIMARY = re.compile(r"(?:/etc/.*|.*bin/.*|/usr/lib/sendmail)", re.DOTALL)
"""The paths that ``primary.xml`` names, so that dependencies on them are found without the long list."""
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Package:
    """One RPM of the repository.

    Attributes:
        filename: in the repository.
        primary, files, changes: what each of the three documents tells of it, in XML.
    """

    filename: str
    primary: str
    files: str
    changes: str


@dataclass(frozen=True)
class _Read:
    """A package file whose header was read."""

    filename: str
    size: int
    sha256: str
    header: Header
    begins: int
    ends: int


def read_package(stream: BinaryIO, filename: str, size: int, sha256: str) -> Package:
    """Read the header of a package whose bytes were verified.

    Raises:
        MalformedRpm: when it breaks the format.
    """
    reader = Reader(stream, filename)
    reader.take(LEAD_BYTES)
    reader.header(MAX_SIGNATURE_HEADER_BYTES)
    reader.take(-reader.offset % 8)
    begins = reader.offset
    header = Header(reader.header(MAX_HEADER_BYTES), filename)
    read = _Read(filename, size, sha256, header, begins, reader.offset)
    files = _of(read, (f"  {line}" for _, line in _file_lines(header)))
    return Package(filename, _primary(read), files, _changes(read))


def repodata(packages: Sequence[Package], revision: int) -> dict[str, bytes]:
    """The files of ``repodata/``, by their names; ``repomd.xml`` is the last.

    Args:
        revision: greater than that of what was there before.
    """
    ordered = sorted(packages, key=lambda package: package.filename)
    count = f'packages="{len(ordered)}"'
    documents = {
        "primary": (
            "metadata",
            f'xmlns="{_COMMON}" xmlns:rpm="{_RPM}" {count}',
            [package.primary for package in ordered],
        ),
        "filelists": ("filelists", f'xmlns="{_FILELISTS}" {count}', [package.files for package in ordered]),
        "other": ("otherdata", f'xmlns="{_OTHER}" {count}', [package.changes for package in ordered]),
    }
    files: dict[str, bytes] = {}
    told = []
    for kind, (tag, attributes, parts) in documents.items():
        opened = _document(tag, attributes, parts)
        packed = gzip.compress(opened, mtime=0)
        name = f"{_sha256(packed)}-{kind}.xml.gz"
        files[name] = packed
        told.append(_data(kind, name, packed, opened, revision))
    head = f'xmlns="{_REPO}" xmlns:rpm="{_RPM}"'
    files["repomd.xml"] = _document("repomd", head, [f"<revision>{revision}</revision>\n", *told])
    return files


def _document(tag: str, attributes: str, parts: Iterable[str]) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{tag} {attributes}>\n{"".join(parts)}</{tag}>\n'.encode()


def _data(kind: str, name: str, packed: bytes, opened: bytes, revision: int) -> str:
    return (
        f'<data type="{kind}">\n'
        f'  <checksum type="sha256">{_sha256(packed)}</checksum>\n'
        f'  <open-checksum type="sha256">{_sha256(opened)}</open-checksum>\n'
        f'  <location href="repodata/{name}"/>\n'
        f"  <timestamp>{revision}</timestamp>\n  <size>{len(packed)}</size>\n  <open-size>{len(opened)}</open-size>\n"
        "</data>\n"
    )


def _primary(package: _Read) -> str:
    header = package.header
    texts = {"summary": _SUMMARY, "description": _DESCRIPTION, "packager": _PACKAGER, "url": _URL}
    told = {"license": _LICENSE, "vendor": _VENDOR, "group": _GROUP, "buildhost": _BUILD_HOST, "sourcerpm": _SOURCE_RPM}
    built = header.number(_BUILD_TIME, 0)
    installed = header.number(_LONG_SIZE, 0) or header.number(_SIZE, 0)
    lines = [
        '<package type="rpm">',
        f"  <name>{_text(header, _NAME)}</name>",
        f"  <arch>{_text(header, _ARCH)}</arch>",
        f"  {_version(package)}",
        f'  <checksum type="sha256" pkgid="YES">{package.sha256}</checksum>',
        *(f"  <{tag}>{_text(header, number)}</{tag}>" for tag, number in texts.items()),
        f'  <time file="{built}" build="{built}"/>',
        f'  <size package="{package.size}" installed="{installed}" archive="{header.number(_ARCHIVE_SIZE, 0)}"/>',
        f"  <location href={quoteattr(package.filename)}/>",
        "  <format>",
        *(f"    <rpm:{tag}>{_text(header, number)}</rpm:{tag}>" for tag, number in told.items()),
        f'    <rpm:header-range start="{package.begins}" end="{package.ends}"/>',
        *_relations(header),
        *(f"    {line}" for path, line in _file_lines(header) if _PRIMARY.fullmatch(path)),
        "  </format>",
        "</package>",
    ]
    return "\n".join(lines) + "\n"


def _changes(package: _Read) -> str:
    header = package.header
    entries = zip(
        header.numbers(_CHANGE_TIMES), header.texts(_CHANGE_NAMES, "replace"), header.texts(_CHANGE_TEXTS, "replace")
    )
    lines = [
        f"  <changelog author={quoteattr(_clean(who))} date={quoteattr(str(when))}>{escape(_clean(what))}</changelog>"
        for when, who, what in [*entries][:_CHANGES][::-1]
    ]
    return _of(package, lines)


def _of(package: _Read, lines: Iterable[str]) -> str:
    name, arch = (quoteattr(_clean(package.header.text(tag))) for tag in (_NAME, _ARCH))
    body = "".join(f"{line}\n" for line in lines)
    return f'<package pkgid="{package.sha256}" name={name} arch={arch}>\n  {_version(package)}\n{body}</package>\n'


def _version(package: _Read) -> str:
    header = package.header
    version, release = (quoteattr(_clean(header.text(tag))) for tag in (_VERSION, _RELEASE))
    return f'<version epoch="{header.number(_EPOCH, 0)}" ver={version} rel={release}/>'


def _relations(header: Header) -> Iterator[str]:
    for kind, (names, flags, versions) in _RELATIONS.items():
        found = header.texts(names)
        columns = header.numbers(flags) or (0,) * len(found), header.texts(versions) or ("",) * len(found)
        if any(len(column) != len(found) for column in columns):
            header.refuse(f"its {kind} are lists of different lengths")
        # What rpm itself has to understand is nothing that a package of the repository provides.
        triples = dict.fromkeys(one for one in zip(found, *columns) if not one[0].startswith("rpmlib("))
        if triples:
            yield f"    <rpm:{kind}>"
            yield from (f"      {_entry(kind, *one)}" for one in triples)
            yield f"    </rpm:{kind}>"


def _entry(kind: str, name: str, flags: int, version: str) -> str:
    words = [f"name={quoteattr(_clean(name))}"]
    sense = _SENSES.get(flags & 14)
    if sense and version:
        epoch, _, rest = version.rpartition(":")
        number, _, release = rest.partition("-")
        words += [f'flags="{sense}"', f"epoch={quoteattr(_clean(epoch or '0'))}", f"ver={quoteattr(_clean(number))}"]
        words += [f"rel={quoteattr(_clean(release))}"] if release else []
    if kind == "requires" and flags & _FIRST:
        words.append('pre="1"')
    return f"<rpm:entry {' '.join(words)}/>"


def _file_lines(header: Header) -> Iterator[tuple[str, str]]:
    names, directories = header.texts(_BASE_NAMES), header.texts(_DIRECTORY_NAMES)
    columns = header.numbers(_DIRECTORY_INDEXES), header.numbers(_MODES), header.numbers(_FLAGS)
    if any(len(column) != len(names) for column in columns) or any(index >= len(directories) for index in columns[0]):
        header.refuse("its file lists are of different lengths")
    for name, index, mode, flags in zip(names, *columns):
        path = directories[index] + name
        kind = ' type="dir"' if stat.S_ISDIR(mode) else ' type="ghost"' if flags & GHOST else ""
        yield path, f"<file{kind}>{escape(_clean(path))}</file>"


def _text(header: Header, tag: int) -> str:
    found = header.texts(tag, "replace")
    return escape(_clean(found[0])) if found else ""


def _clean(text: str) -> str:
    """Without the characters that no XML document may hold."""
    return _NO_XML.sub("\ufffd", text)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
