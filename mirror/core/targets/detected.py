"""What a host says of itself, in one small file: ``mirror detect`` writes it there, and it is held against targets elsewhere.

It is read on the connected side, where whoever carried it is a stranger: bounded, strict, every text one short printable line.
``mirror.closed.doctor.detect`` finds the facts, ``mirror.core.targets.fit`` judges them.

Rules: a fact is there, or its name is under ``unknown`` with the reason, never both and never neither; an empty text is a plain
no (no driver is loaded, no gcc is found); what is written is below 2,048 bytes, so that it fits on a page or into a QR code;
equal facts have equal bytes.

Example::

    host = Detected.load(Path("target.toml"))
    host.glibc, host.unknown.get("fips")        # "2.34", None
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Callable, Tuple, TypeVar

from mirror.core.cpus import isa_name
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.names import shaped
from mirror.core.system.durable import read_file
from mirror.core.target import architecture
from mirror.core.toml import parse_toml

FORMAT = "mirror-host/1"
BEGINNING = b"# What this host is, as 'mirror detect' found it"
MAX_BYTES = 2048
"""What is written; what is read may be eight times as long, for somebody may have added comments."""

_MAX_READ = 8 * MAX_BYTES
_MOST = 16
"""GPUs of one kind each, Pythons, or disks."""

_line = shaped(r"[\x20-\x7e]{0,160}", "one line of at most 160 printable ASCII characters")
_version = shaped(r"([0-9]{1,6}(\.[0-9]{1,6}){0,4})?", "a version such as '2.34'")
_tag = shaped(r"[a-z0-9_]{1,60}", "a platform tag such as 'manylinux_2_34_x86_64'")
_VERSIONS = ("glibc", "libstdcxx", "cxxabi", "driver", "driver_cuda", "cuda_compat", "gcc")
_NO = -1

T = TypeVar("T")
Marker = Tuple[str, str]


@dataclass(frozen=True)
class GpuKind:
    """GPUs of one model: how the driver names it, its compute capability (empty when not known), and how many there are."""

    model: str
    capability: str
    count: int


@dataclass(frozen=True)
class FoundPython:
    """A CPython of the host's: its version, its path, and whether its C headers and the module ``venv`` are there."""

    version: str
    path: str
    headers: bool
    venv: bool

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True)
class Disk:
    """A file system: what it is for, a path on it, bytes that this user may still write, whether programs start from it."""

    use: str
    path: str
    free_bytes: int
    noexec: bool


@dataclass(frozen=True)
class Detected:
    """One host. What is None is not known, and ``unknown`` says why.

    Attributes:
        arch: as ``uname -m`` prints it.
        glibc: its version; empty for another C library.
        libstdcxx, cxxabi: newest symbol versions of the C++ library, ``"3.4.30"`` and ``"1.3.13"``; empty without that library.
        cpu: every instruction set that its processors have (``mirror.core.cpus``).
        driver: version of the NVIDIA kernel driver; empty when none is loaded.
        driver_cuda: newest CUDA release that the driver supports by itself; empty when none is loaded.
        cuda_compat: driver version of a cuda-compat library that was found; empty when none was.
        gcc: version; empty when none is on the PATH.
        fips: whether the kernel is in FIPS mode.
        shm_bytes: free in /dev/shm.
        quota_bytes: the least that a quota leaves this user anywhere; -1 when there is no quota.
        gpus, pythons: of each kind; an empty tuple when there is none.
        disks: where things would be installed, cached and compiled.
        platform_tags: newest and oldest platform tag that its wheels may have (PEP 600), as uv and pex name platforms.
        markers: values of the marker variables (PEP 508) under its first Python, sorted.
        unknown: fact -> why it is not known.
    """

    arch: str
    glibc: str | None = None
    libstdcxx: str | None = None
    cxxabi: str | None = None
    cpu: tuple[str, ...] | None = None
    driver: str | None = None
    driver_cuda: str | None = None
    cuda_compat: str | None = None
    gcc: str | None = None
    fips: bool | None = None
    shm_bytes: int | None = None
    quota_bytes: int | None = None
    gpus: tuple[GpuKind, ...] | None = None
    pythons: tuple[FoundPython, ...] | None = None
    disks: tuple[Disk, ...] = ()
    platform_tags: tuple[str, ...] = ()
    markers: tuple[Marker, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Detected:
        """Read a file.

        Raises:
            Unreadable: when that fails. InvalidDocument: when it is none, with the path to the fault.
        """
        return cls.parse(read_file(path, _MAX_READ), str(path))

    @classmethod
    def parse(cls, data: bytes, document: str = "host") -> Detected:
        """Inverse of ``encode``; comments and the order of keys do not count. Raises InvalidDocument."""
        try:
            return cls._parsed(data, document)
        except InvalidDocument as exc:
            exc.hint = "'mirror detect -o target.toml' writes such a file on the closed host."
            raise

    @classmethod
    def _parsed(cls, data: bytes, document: str) -> Detected:
        table = Fields(parse_toml(data, document, _MAX_READ), document)
        table.known_format(FORMAT)
        unknown = _unknown(table.table("unknown"))
        for name in unknown:
            if name in table:
                table.fail(name, "it is under 'unknown' as well")
        markers = table.table("markers")

        def known(name: str, getter: Callable[..., T], *asked: Any) -> T | None:
            return None if name in unknown else getter(name, *asked)

        return table.fill(
            cls,
            arch=table.checked("arch", architecture),
            **{name: known(name, table.checked, _version) for name in _VERSIONS},
            cpu=known("cpu", table.all_checked, isa_name),
            fips=known("fips", table.flag),
            shm_bytes=known("shm_bytes", table.number),
            quota_bytes=known("quota_bytes", table.number, None, _NO),
            gpus=known("gpus", partial(_rows, table, GpuKind, model=_line, capability=_version)),
            pythons=known("pythons", partial(_rows, table, FoundPython, version=_version, path=_line)),
            disks=_rows(table, Disk, "disks", use=_line, path=_line),
            platform_tags=table.all_checked("platform_tags", _tag),
            markers=tuple(sorted((name, markers.checked(name, _line)) for name in markers.left())),
            unknown=unknown,
        )

    def encode(self) -> bytes:
        """As TOML."""
        return ("\n".join(self._lines()) + "\n").encode("ascii")

    def _lines(self) -> Iterator[str]:
        yield f"{BEGINNING.decode()}; for 'mirror lock --target' and 'mirror bundle --check-target'."
        yield f'format = "{FORMAT}"'
        plain = [one.name for one in fields(self) if one.name not in ("gpus", "pythons", "disks", "markers", "unknown")]
        yield from (f"{name} = {_toml(value)}" for name in plain if (value := getattr(self, name)) is not None)
        for name in ("gpus", "pythons", "disks"):
            for row in getattr(self, name) or ():
                yield f"[[{name}]]"
                yield from (f"{key} = {_toml(value)}" for key, value in vars(row).items())
        for name, pairs in (("markers", self.markers), ("unknown", sorted(self.unknown.items()))):
            if pairs:
                yield f"[{name}]"
                yield from (f"{key} = {_toml(value)}" for key, value in pairs)

    def to_dict(self) -> dict[str, Any]:
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in ("gpus", "pythons", "disks"):
            facts[name] = None if facts[name] is None else [vars(row) for row in facts[name]]
        lists = {name: list(value) for name, value in facts.items() if isinstance(value, tuple) and name != "markers"}
        return {**facts, **lists, "markers": dict(self.markers), "unknown": dict(self.unknown)}


def one_line(text: str, most: int = 80) -> str:
    """A foreign text as such a file may hold it: printable ASCII, and not long."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)[:most]


_MAY_BE_UNKNOWN = frozenset(one.name for one in fields(Detected) if one.default is None)


def _unknown(table: Fields) -> dict[str, str]:
    table.only(*_MAY_BE_UNKNOWN)
    return {name: table.checked(name, _line) for name in table.left()}


def _rows(table: Fields, kind: type[T], name: str, **checks: Callable[[str], str]) -> tuple[T, ...]:
    """The rows of an array of tables; the texts that have a check pass through it."""
    rows = tuple(table.tables(name))
    if len(rows) > _MOST:
        table.fail(name, f"it has {len(rows)} entries, more than {_MOST}")
    return tuple(row.fill(kind, **{key: row.checked(key, check) for key, check in checks.items()}) for row in rows)


def _toml(value: object) -> str:
    """Texts, numbers, flags and lists of texts are alike in JSON and TOML, as long as they are ASCII."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
