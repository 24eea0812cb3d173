"""``mirror which``: which package brings a file, whether this stack has it, and what to write into ``NAME.toml`` if not.

It joins the packages that an index names (``mirror.core.toolkit.filesearch``) with what no package brings: links that mirror
makes, the GPU driver's files, the files of the venv's wheels. ``mirror.closed.which.place`` finds the index.

Rules: nothing is changed and nothing outside the place is asked; a file that nobody brings is an error, with what comes near.

Example::

    answer = which(installed_place(Prefix(Path("~/.local/share/mirror/h100"))), "nv/target")
    answer.rpms[0].rpm.name
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.closed.which.place import Place
from mirror.core.cuda.components import bringer, package_name, role_of
from mirror.core.cuda.redistnames import asked_for_by, redist_name_of
from mirror.core.errors import MirrorError
from mirror.core.toolkit.fileindex import FILELISTS, FileIndex, IndexedRpm
from mirror.core.toolkit.filesearch import Match, is_named, library_name, near, search, wanted_names

_DRIVER = re.compile(
    r"(?:lib(?:cuda|cudadebugger|nvcuvid|nvoptix|nvidia-[a-z0-9-]+|(?:EGL|GLX|GLESv2|GLESv1_CM)_nvidia)\.so(?:\.[0-9]+)*"
    r"|nvidia-(?:smi|modprobe|persistenced|cuda-mps-(?:control|server)))",
    re.ASCII,
)
_STUBS = {"libcuda.so": "driver-devel", "libnvidia-ml.so": "nvml-devel"}
_LINKS = {"include": "include", "lib64": "lib"}
_WHEELS = re.compile(
    r"(?:lib)?(cudnn|nccl|nvshmem|cusparselt)(?!_frontend)(?:_[a-z0-9_]{1,60})?(?:\.h|\.a|\.so(?:\.[0-9]+)*)",
    re.ASCII | re.IGNORECASE,
)
_MOST_WHEELS = 5
_WIDTH = 240


class FileUnknown(MirrorError):
    """No package of the index brings the file, and mirror knows nothing else of it.

    Attributes:
        file: as it was asked for.
        place: where was looked.
        near: files that may have been meant, each with its package.
        knows_all: whether every package of the release was looked at, or only those of the bundle.
    """

    ref = "file-in-no-package"
    exit_code = 108
    hint = "Name it as it is included, linked or called: nv/target, -lcublas, libnvrtc.so.13, ptxas. There are no wildcards."

    file: str
    place: str
    near: tuple[tuple[str, str], ...]
    knows_all: bool

    def __str__(self) -> str:
        return f"no RPM that {self.place} knows brings {_cut(self.file)!r}"

    def context(self) -> str:
        lines = [line for line in (_as_wheel(self.file),) if line]
        lines += [f"did you mean {name} (of {package})?" for name, package in self.near]
        if not self.knows_all:
            lines.append("it knows the RPMs of the bundle only: the repository's filelists were not locked")
        return "\n".join(lines)


@dataclass(frozen=True)
class Answer:
    """What is known of a file.

    Attributes:
        file: as it was asked for.
        place: where.
        rpms: the packages that bring it, those of the stack first.
        made: what mirror makes under that name; empty when it does not.
        driver: who brings it when the GPU driver does; empty when it does not.
        wheels: files of that name in the venv, each with its project.
    """

    file: str
    place: Place
    rpms: tuple[Match, ...]
    made: str = ""
    driver: str = ""
    wheels: tuple[tuple[str, str], ...] = ()

    def on_disk(self, path: str) -> Path | None:
        """Where a path of the CUDA home is in this install; None where nothing is installed, or not that."""
        file = self.place.path / "cuda" / path
        return file if self.place.kind == "install" and file.exists() else None

    def to_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "stack": self.place.stack,
            "asked": self.place.kind,
            "where": str(self.place.path),
            "cuda": self.place.index.release,
            "rpms": [self._rpm(match) for match in self.rpms],
            "made_by_mirror": self.made,
            "driver": self.driver,
            "wheels": [{"path": path, "project": project} for path, project in self.wheels],
        }

    def _rpm(self, match: Match) -> dict[str, Any]:
        rpm = match.rpm
        return {
            "name": rpm.name,
            "evr": rpm.evr,
            "role": role_of(rpm.name),
            "carried": rpm.carried,
            "paths": list(match.paths),
            "on_disk": [str(file) for path in match.paths if (file := self.on_disk(path))],
            "add": "" if rpm.carried else toml_line(rpm.name),
        }


def toml_line(package: str) -> str:
    """What to write below the table of ``asked_for_by`` in ``NAME.toml``."""
    return f'{asked_for_by(package)[1]} = [..., "{package}"]'


def which(place: Place, file: str) -> Answer:
    """Answer for one file.

    Raises:
        FileUnknown: when nobody is known to bring it.
    """
    index, names = place.index, wanted_names(file)
    made, driver = _made(index, names), _driver(index, names)
    rpms = () if names[0] in _LINKS else search(index, file)
    if driver and not rpms and (stub := _stub(names)):
        rpms = search(index, f"stubs/{stub}") or _known(
            index, package_name(_STUBS[stub], index.release), f"targets/{index.triplet}/lib/stubs/{stub}"
        )
    if not (rpms or made or driver):
        rpms = _known(index, next(filter(None, (bringer(name, index.release) for name in names)), ""))
    wheels = tuple(_in_wheels(place, names))
    if not (rpms or made or driver or wheels):
        raise FileUnknown(file, str(place), near(index, file), index.source == FILELISTS)
    return Answer(file, place, rpms, made, driver, wheels)


def _cut(text: str) -> str:
    """As much of what was typed as is told again."""
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}\u2026"


def _as_wheel(file: str) -> str:
    """Who brings a file of a library that PyTorch's stack takes as a wheel; empty for any other file."""
    found = _WHEELS.fullmatch(posixpath.basename(wanted_names(file)[0]))
    if not found:
        return ""
    project = f"nvidia-{found[1].lower()}-cu*"
    return f"{found[0]} comes in the wheel {project}, not in an RPM of the CUDA toolkit; torch asks for it"


def _driver(index: FileIndex, names: tuple[str, ...]) -> str:
    name = posixpath.basename(names[0])
    if not _DRIVER.fullmatch(name) or "stubs/" in names[0]:
        return ""
    stub = _stub(names)
    package = package_name(_STUBS[stub], index.release) if stub else ""
    real = f"{stub}.1" if stub else _cut(name)
    link = f"; to link with it, lib/stubs/{stub} of {package} stands in for it" if package else ""
    return f"{real} is the GPU driver's, on the closed host already and never in a bundle{link}"


def _stub(names: tuple[str, ...]) -> str:
    """The stub that stands in for a library of the driver; empty when there is none."""
    library = library_name(posixpath.basename(names[0]))
    return library[0] if library and library[0] in _STUBS else ""


def _made(index: FileIndex, names: tuple[str, ...]) -> str:
    """What ``mirror.core.cuda.links`` makes under a name."""
    if names[0] in _LINKS:
        return f"{names[0]} is a link to targets/{index.triplet}/{_LINKS[names[0]]}; mirror makes it where no RPM brings it"
    name = posixpath.basename(names[0])
    library = library_name(name)
    carried = [path for rpm in index.rpms if rpm.carried for path in rpm.paths if _lies_beside_linkers(index, path)]
    if library is None or any(posixpath.basename(path) == name for path in carried):
        return ""
    versions = [path for path in carried if path.startswith(f"{posixpath.dirname(path)}/{name}.")]
    if not versions or "." in library[1]:
        return ""
    first = min(versions, key=len)
    return f"{posixpath.dirname(first)}/{name} is a link that mirror makes when it installs, to {posixpath.basename(first)}"


def _lies_beside_linkers(index: FileIndex, path: str) -> bool:
    return posixpath.dirname(path) in (f"targets/{index.triplet}/lib", "nvvm/lib64")


def _known(index: FileIndex, package: str, *paths: str) -> tuple[Match, ...]:
    """A package that mirror's own table knows, and the index does not: one made from the bundle's RPMs knows no others."""
    if any(rpm.carried and "-" not in rpm.name for rpm in index.rpms):  # component archives, and what holds it there
        package = redist_name_of(package, index.release)
    if not package or package in {rpm.name for rpm in index.rpms}:
        return ()
    return (Match(IndexedRpm(package, "", "", False, ()), paths),)


def _in_wheels(place: Place, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Files of the venv's wheels, by their RECORD (PEP 376); modules of Python are found by Python."""
    found = 0
    stems = {(library_name(name) or (posixpath.basename(name),))[0] for name in names}
    for record in sorted(place.path.glob("venv/lib/python3*/site-packages/*.dist-info/RECORD")):
        for path in recorded(record, stems):
            if path.endswith((".py", ".pyc")) or not any(is_named(path, name) for name in names):
                continue
            project, _, version = record.parent.name[: -len(".dist-info")].partition("-")
            yield path, f"{project} {version}"
            found += 1
            if found == _MOST_WHEELS:
                return


def recorded(record: Path, stems: Iterable[str]) -> Iterator[str]:
    """The paths in a RECORD whose lines hold one of the stems; none of a RECORD that cannot be read, or no further."""
    try:
        with record.open(encoding="utf-8", errors="replace", newline="") as stream:
            lines = (line for line in stream if any(stem in line for stem in stems))
            yield from (row[0] for row in csv.reader(lines) if row)
    except (OSError, csv.Error):
        return
