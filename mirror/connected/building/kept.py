"""Wheels that were built and are kept, by the digest of what they were built from; other machines' are judged alike.

Rules: the record is the last file of a directory, which counts for nothing without it; a wheel that is not what its record says
any more is not there; of a record from elsewhere only the inputs and the digest are believed, when they are those asked for.

Example::

    built = kept_wheel(request, store) or build_wheel(request, store)
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mirror.connected.building.fit import check_built_wheel
from mirror.connected.building.outcome import Outcome, Traces, examine
from mirror.connected.building.request import BuildRequest
from mirror.connected.building.workshop import Workshop
from mirror.connected.fetching.store import Store, file_sha256, make_way, refuse_write
from mirror.core.errors import FAMILIES, InvalidDocument, MirrorError
from mirror.core.fields import Fields, canonical_json, strict_json
from mirror.core.kinds import WHEEL
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.system.durable import open_regular, read_regular, write_file

MAX_RECORD_BYTES = 1 << 20


@dataclass(frozen=True)
class BuiltWheel:
    """A wheel that was built here.

    Attributes:
        log: what the build said, without paths of this machine.
        record: what it was built from, for the bundle's provenance.
    """

    project: ProjectName
    version: str
    path: Path
    sha256: Sha256Hex
    log: Path
    record: Mapping[str, Any]

    @property
    def member(self) -> str:
        """Where it lies in a bundle."""
        return WHEEL.path(self.path.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it."""
        return tuple(self.record["outcome"]["notes"])


def kept_wheel(request: BuildRequest, store: Store) -> BuiltWheel | None:
    """The wheel that an equal request gave before, if it is still what it was; nothing is built. Raises as ``describe``."""
    return kept_in(request, store.built(request.key))


def adopt(
    request: BuildRequest, store: Store, name: str, wheel: bytes, log: bytes, record: Mapping[str, Any]
) -> BuiltWheel:
    """Keep a wheel that was built elsewhere, after checking it as a download is checked, and as one that was built here.

    Args:
        name: the wheel's file name.
        record: what the builder says it was built from and what came out.

    Raises:
        ForeignBuild: it was built from something else, or its bytes are not those that the record names.
        BuiltWheelUnfit: it is another project's, or not for the target.
        Unwritable, NoSpace: the store refuses.
    """
    wanted = request.describe()
    differing = sorted(key for key, value in wanted.items() if record.get(key) != value)
    if differing:
        said = "; ".join(f"{key} is {record.get(key)!r} there, {wanted[key]!r} here" for key in differing)
        raise ForeignBuild(name, f"it was built from other inputs: {said}"[:2000])
    digest = hashlib.sha256(wheel).hexdigest()
    if digest != record.get("sha256") or name != record.get("wheel") or Path(name).name != name:
        raise ForeignBuild(
            name, f"its sha256 is {digest}, and its record tells of {record.get('wheel')}, {record.get('sha256')}"
        )
    kept = store.built(request.key)
    draft = store.root / "incoming" / request.key
    try:
        with Workshop(store.root / "build" / request.key[:16]) as room:
            draft.mkdir(parents=True, exist_ok=True)
            path = draft / name
            path.write_bytes(wheel)
            outcome = judged(path, request, room)
            prepare(kept)
            write_file(kept / "build.log", log)
            path.replace(kept / name)
    except OSError as exc:
        refuse_write(exc, kept, len(wheel))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    # What came out is found here again, and nothing of the other machine's word for it is kept.
    record = {**wanted, "wheel": name, "sha256": digest, "outcome": outcome.to_dict()}
    write_record(kept, record)
    return built_of(request, kept, record)


class ForeignBuild(MirrorError):
    """A wheel that another machine built cannot be taken for the one that is wanted."""

    ref = "foreign-build"
    exit_code = FAMILIES["bundle"]
    hint = (
        "Give every machine the same mirror, the same lock and the same Python to the last digit (--python), and build that "
        "job again there, or here."
    )
    message = "{wheel}, built on another machine, was not taken: {problem}"

    wheel: str
    problem: str


def judged(wheel: Path, request: BuildRequest, room: Workshop) -> Outcome:
    """Refuse a wheel that is another one, and see what came out. Raises BuiltWheelUnfit."""
    traces = Traces(room.path)
    read = check_built_wheel(wheel, request.project, request.version, request.target, room.path, traces)
    return examine(wheel, read, traces, f"{request.project} {request.version}", request.target)


def write_record(kept: Path, record: Mapping[str, Any]) -> None:
    """The last file: without it the directory counts for nothing."""
    write_file(kept / "build.json", canonical_json(record))


def prepare(kept: Path) -> None:
    """Make the directory of a wheel, with nothing but files in it. Raises ``OSError``."""
    make_way(kept, stat.S_ISDIR)
    kept.mkdir(parents=True, exist_ok=True)
    for path in kept.iterdir():
        make_way(path)


def kept_in(request: BuildRequest, directory: Path) -> BuiltWheel | None:
    """The outcome of an earlier equal request, if it is still what it was."""
    data = read_regular(directory / "build.json", MAX_RECORD_BYTES)
    if data is None:
        return None
    try:
        record: dict[str, Any] = strict_json(data, "build.json", MAX_RECORD_BYTES)
        fields = Fields(record, "build.json")
        wheel = fields.text("wheel")
        if wheel != Path(wheel).name or file_sha256(directory / wheel) != fields.text("sha256"):
            return None
        fields.table("outcome").texts("notes")
        open_regular(directory / "build.log").close()
    except (OSError, ValueError, InvalidDocument):
        return None
    return built_of(request, directory, record)


def built_of(request: BuildRequest, directory: Path, record: dict[str, Any]) -> BuiltWheel:
    path = directory / record["wheel"]
    return BuiltWheel(request.project, request.version, path, record["sha256"], directory / "build.log", record)
