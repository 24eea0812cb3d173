"""The file index: which RPM of a CUDA release brings which file. A lock, ``NAME.files.txt``, carried as ``meta/files.txt``.

A repository's filelists are pruned whenever it changes, so what they said when a stack was locked is kept with the lock. It is
read by people too: packages in order of name, ``+`` for those of the bundle, ``-`` for the others of the release; below each
its directories, and in them one file a line. ``mirror.connected.toolchain.filelists`` makes it from a repository,
``mirror.core.toolkit.filesearch`` searches it.

Rules: paths are those below ``/usr/local/cuda-X.Y`` that compilers, linkers and shells look at (``kept_path``); there is one
way to write an index, so that equal indexes have equal bytes, and any other is refused when it is read (DESIGN.md section 4
says why it is no JSON).

Example::

    index = FileIndex.parse(Path("lockfiles/quickstart.files.txt").read_bytes())
    [rpm.name for rpm in index.rpms if rpm.carried]
"""

from __future__ import annotations

import posixpath
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from mirror.core.errors import InvalidDocument
from mirror.core.target import ARCHITECTURES, CUDA_TARGETS
from mirror.core.toolkit.package import Package

FORMAT = "mirror-files/1"
BUNDLED = "meta/files.txt"
"""Where it is in a bundle."""
INSTALLED = "files.txt"
"""Where it is in a generation."""
FILELISTS = "filelists"
HEADERS = "headers"
MAX_BYTES = 16 << 20
"""A full release has about 8,000 files that are kept, in less than 1 MiB."""

_HEAD = """\
# Which RPM brings which file of the CUDA toolkit: "+" in the bundle, "-" not. Ask it with `mirror which FILE`.
# Written by mirror; change NAME.toml and lock again rather than editing this file.
"""
_RELEASE = re.compile(r"[1-9][0-9]\.[0-9]", re.ASCII)
_PACKAGE = re.compile(
    r"([+-]) ([A-Za-z0-9_][A-Za-z0-9._+-]*) ((?:[0-9]+:)?[A-Za-z0-9._+~^-]+)\.([A-Za-z0-9_]+)", re.ASCII
)
_PART = re.compile(r"[!-~]+", re.ASCII)
_TOP = ("bin", "include", "lib", "lib64")
_NVVM = ("bin", "include", "lib", "lib64", "libdevice")


@dataclass(frozen=True)
class IndexedRpm:
    """One package of an index.

    Attributes:
        name: ``"cuda-nvcc-13-0"``.
        evr: ``[epoch:]version-release``.
        arch: as RPM spells it.
        carried: whether it is one of the lock's, and so in the bundle.
        paths: below the CUDA home, sorted; none for a package that only brings others or configuration.
    """

    name: str
    evr: str
    arch: str
    carried: bool
    paths: tuple[str, ...]

    @property
    def nevra(self) -> str:
        return f"{self.name}-{self.evr}.{self.arch}"


@dataclass(frozen=True)
class FileIndex:
    """What brings what.

    Attributes:
        release: of CUDA, ``"13.0"``.
        arch: the target's, as ``uname -m`` prints it.
        source: ``FILELISTS``: it knows every package of the release; ``HEADERS``: only those of the bundle.
        rpms: in order of name.
    """

    release: str
    arch: str
    source: str
    rpms: tuple[IndexedRpm, ...]

    @property
    def triplet(self) -> str:
        """NVIDIA's directory below ``targets/``."""
        return CUDA_TARGETS[self.arch]

    @property
    def count(self) -> int:
        """How many files it knows."""
        return sum(len(rpm.paths) for rpm in self.rpms)

    @property
    def carried(self) -> frozenset[str]:
        """The packages of the bundle: name-epoch:version-release.arch of each."""
        return frozenset(rpm.nevra for rpm in self.rpms if rpm.carried)

    @classmethod
    def of_packages(cls, packages: Iterable[Package], release: str, arch: str) -> FileIndex:
        """The index of packages that are at hand, from what they themselves say that they hold."""

        def entry(package: Package) -> IndexedRpm:
            paths = [file.path for file in package.files if not (stat.S_ISDIR(file.mode) or file.ghost)]
            evr = package.nevra[len(package.name) + 1 : -len(package.arch) - 1]
            return IndexedRpm(package.name, evr, package.arch, True, kept_paths(paths, release, arch))

        return cls(release, arch, HEADERS, tuple(sorted(map(entry, packages), key=lambda rpm: rpm.name)))

    def encode(self) -> bytes:
        """The file's bytes."""
        lines = [f"format {FORMAT}", f"cuda {self.release}", f"arch {self.arch}", f"from {self.source}"]
        for rpm in self.rpms:
            lines += ["", f"{'+' if rpm.carried else '-'} {rpm.name} {rpm.evr}.{rpm.arch}"]
            directory = ""
            for path in rpm.paths:
                head, _, name = path.rpartition("/")
                if head != directory:
                    directory = head
                    lines.append(f"{directory}/")
                lines.append(f"  {name}")
        return (_HEAD + "\n".join(lines) + "\n").encode("ascii")

    @classmethod
    def parse(cls, data: bytes, source: str = "File index") -> FileIndex:
        """Inverse of ``encode``. ``source`` names the file in errors.

        Raises:
            InvalidDocument: with the line of the fault.
        """
        if len(data) > MAX_BYTES:
            raise InvalidDocument(source, "", f"it has {len(data)} bytes, more than the {MAX_BYTES} allowed")
        if not data.isascii():
            number = next(number for number, line in enumerate(data.split(b"\n"), 1) if not line.isascii())
            raise InvalidDocument(source, f"line {number}", "expected ASCII characters only")
        lines = data.decode("ascii").split("\n")
        index = _Lines(lines, source).index()
        # Order, repetition, blanks and what else could be written in two ways: compared with the one way.
        for number, (found, expected) in enumerate(zip_longest(lines, index.encode().decode("ascii").split("\n")), 1):
            if found != expected:
                raise InvalidDocument(source, f"line {number}", f"expected {_shown(expected)}, got {_shown(found)}")
        return index


class _Lines:
    """A reader of an index's lines. It is strict about what it meets, and leaves the order of it to ``parse``."""

    def __init__(self, lines: list[str], source: str) -> None:
        self._lines, self._source = lines, source
        self._next = len(_HEAD.splitlines())

    def index(self) -> FileIndex:
        found = self._word("format")
        self._check(found == FORMAT, f"this mirror reads {FORMAT!r}, got {found!r}")
        release = self._word("cuda")
        self._check(_RELEASE.fullmatch(release), f"expected a CUDA release such as '13.0', got {release!r}")
        arch = self._word("arch")
        self._check(arch in ARCHITECTURES, f"expected one of {', '.join(ARCHITECTURES)}, got {arch!r}")
        source = self._word("from")
        self._check(source in (FILELISTS, HEADERS), f"expected {FILELISTS} or {HEADERS}, got {source!r}")
        return FileIndex(release, arch, source, tuple(self._rpms(arch)))

    def _line(self) -> str:
        line = self._lines[self._next] if self._next < len(self._lines) else ""
        self._next += 1
        return line

    def _check(self, good: object, problem: str) -> None:
        if not good:
            raise InvalidDocument(self._source, f"line {self._next}", problem)

    def _word(self, key: str) -> str:
        found, _, word = self._line().partition(" ")
        self._check(found == key, f"expected {key!r}, got {found!r}")
        return word

    def _rpms(self, arch: str) -> Iterator[IndexedRpm]:
        """The packages, in order of name, each with its files."""
        last = ""
        while self._next < len(self._lines) - 1:
            self._check(self._line() == "", "expected an empty line before a package")
            line = self._line()
            match = _PACKAGE.fullmatch(line)
            self._check(match, f"expected a package such as '+ cuda-nvcc-13-0 13.0.88-1.x86_64', got {line[:100]!r}")
            assert match is not None
            self._check(match[2] > last, f"{match[2]} does not come after {last}")
            last = match[2]
            yield IndexedRpm(
                match[2], match[3], match[4], match[1] == "+", tuple(sorted(set(self._paths(arch)), key=_order))
            )

    def _paths(self, arch: str) -> Iterator[str]:
        directory = ""
        while self._next < len(self._lines) and self._lines[self._next]:
            line = self._line()
            if line.startswith("  "):
                path = directory + line[2:]
                self._check(is_kept(path, arch), f"{path[:100]!r} is no path that an index holds")
                yield path
            else:
                directory = line
                self._check(line.endswith("/"), f"expected a directory, or a file after two blanks, got {line[:100]!r}")


def kept_paths(paths: Iterable[str], release: str, arch: str) -> tuple[str, ...]:
    """Of a package's absolute paths, none of them a directory's, those that an index holds: below the CUDA home, in order."""
    home = f"/usr/local/cuda-{release}/"
    below = {path[len(home) :] for path in paths if path.startswith(home)}
    return tuple(sorted((path for path in below if is_kept(path, arch)), key=_order))


def is_kept(path: str, arch: str) -> bool:
    """Whether a path below the CUDA home is where compilers, linkers and shells look; samples, documents and GUIs are not."""
    parts = path.split("/")
    if len(parts) < 2 or any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts):
        return False
    if parts[0] == "targets":
        return parts[1] == CUDA_TARGETS[arch] and len(parts) > 3
    if parts[0] == "nvvm":
        return parts[1] in _NVVM and len(parts) > 2
    if parts[:2] == ["extras", "CUPTI"]:  # cupti.h: its package keeps header and library out of targets/
        return parts[2:3] in (["include"], ["lib64"]) and len(parts) > 3
    return parts[0] in _TOP


def _order(path: str) -> tuple[str, str]:
    """By directory, so that each directory is written once."""
    return posixpath.split(path)


def _shown(line: str | None) -> str:
    return "the end" if line is None else repr(line[:100])
