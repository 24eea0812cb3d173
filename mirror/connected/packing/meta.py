"""What mirror itself writes into ``meta/``: install.txt, rpms.json, redist.json, provenance.json, SHA256SUMS.

Each function takes values and returns bytes; equal values give equal bytes (no time, no path, no name of this machine).
``mirror.connected.bundle`` decides which files go in, and in what order.

Example::

    sha256sums(artifacts).decode()
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from mirror.core.archives.tarstream import measure
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import MirrorError
from mirror.core.fields import canonical_json
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.redist import MAX_UNPACKED_BYTES


class UnreadableWheel(MirrorError):
    """A wheel has the locked bytes, but is no zip file with a METADATA in it.

    Attributes:
        filename: of the wheel.
        problem: what is wrong inside.
    """

    ref = "unreadable-wheel"
    exit_code = 24
    hint = (
        "It was published like that: leave that project out of the stack, or pin another version of it, and lock again."
    )
    message = "{filename} is no wheel that can be read: {problem}"

    filename: str
    problem: str


def install_txt(wheels: Iterable[Artifact]) -> bytes:
    """The closed side's requirements: each wheel of the bundle, pinned, with exactly one hash (DESIGN.md section 6)."""
    head = "# What mirror install gives to uv or pip: --no-index --no-deps --require-hashes -r install.txt\n"
    lines = sorted(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
    return (head + "".join(lines)).encode()


def sha256sums(artifacts: Iterable[Artifact]) -> bytes:
    """For ``sha256sum -c`` in a directory where the tar was unpacked."""
    return "".join(f"{artifact.sha256}  {artifact.path}\n" for artifact in artifacts).encode()


def rpms_json(fingerprints: Sequence[str], key: str, rpms: Iterable[tuple[Artifact, str]]) -> bytes:
    """The RPM lock for the closed side, which has no TOML parser on Python 3.9.

    Args:
        fingerprints: of the vendor's signing keys, as pinned in ``NAME.toml``.
        key: the armored public key that signed the RPMs.
        rpms: each artifact with its NEVRA.
    """
    entries = [{"path": artifact.path, "name": artifact.name, "nevra": nevra} for artifact, nevra in rpms]
    return canonical_json({"fingerprints": list(fingerprints), "key": key, "rpms": entries})


def redist_json(manifest: str, sha256: Sha256Hex, release: str, archives: Iterable[Artifact]) -> bytes:
    """The redist lock for the closed side.

    Args:
        manifest: URL of NVIDIA's list.
        sha256: of the list, as pinned in ``NAME.toml``.
        release: the patch release that it is of.
        archives: the component archives, in order.
    """
    entries = [{"path": one.path, "component": one.name, "version": one.version} for one in archives]
    return canonical_json({"manifest": manifest, "sha256": sha256, "release": release, "archives": entries})


def provenance(locks: Mapping[str, Sha256Hex], builds: Sequence[Mapping[str, Any]], tool: str) -> bytes:
    """Which locks were followed, and what was built here from what.

    Args:
        locks: sha256 of each lock file by its name.
        builds: the builder's records, in the plan's order.
        tool: version of mirror.
    """
    return canonical_json({"mirror": tool, "locks": dict(locks), "builds": [dict(build) for build in builds]})


@dataclass(frozen=True)
class WheelFacts:
    """What the bundle needs to know from inside a wheel.

    Attributes:
        modules: top-level modules and packages that can be imported.
        requires: names of the projects that it may depend on, extras left aside.
        unpacked_size: bytes of its files once installed.
    """

    modules: tuple[str, ...]
    requires: frozenset[str]
    unpacked_size: int


def wheel_facts(path: Path) -> WheelFacts:
    """Read a wheel's central directory and METADATA (PEP 427). The file's digest has been checked before.

    Raises:
        UnreadableWheel: when it is no zip file, or has no METADATA that can be read.
    """
    with _opened(path) as archive:
        names = archive.namelist()
        metadata = [name for name in names if name.endswith(".dist-info/METADATA") and name.count("/") == 1]
        if not metadata:
            raise UnreadableWheel(path.name, "it has no .dist-info/METADATA")
        headers = BytesHeaderParser().parsebytes(archive.read(metadata[0]))
        size = _unpacked_size(archive)
    return WheelFacts(
        modules=tuple(sorted({module for name in names if (module := _module(name))})),
        requires=frozenset(_required(str(text) for text in headers.get_all("Requires-Dist", []))),
        unpacked_size=size,
    )


def wheel_size(path: Path) -> int:
    """Bytes of a wheel's files once installed, told by its central directory alone.

    Raises:
        UnreadableWheel: when it is no zip file.
    """
    with _opened(path) as archive:
        return _unpacked_size(archive)


def _unpacked_size(archive: zipfile.ZipFile) -> int:
    return sum(info.file_size for info in archive.infolist())


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A wheel's zip file; whatever zipfile cannot read in it has one name."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    # zipfile's words for damage, a cut member, an unknown compression, and encryption.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as exc:
        raise UnreadableWheel(path.name, str(exc) or type(exc).__name__) from exc


def _required(lines: Iterable[str]) -> Iterator[str]:
    """The projects that Requires-Dist lines name, extras left aside."""
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue  # from before PEP 508: the lock has settled what is installed, this is only about default imports
        if "extra" not in str(requirement.marker or ""):
            yield canonicalize_name(requirement.name)


def tar_size(path: Path) -> int:
    """Bytes of the files in a tar, each member judged as the closed side will judge it; nothing is unpacked.

    Raises:
        BadArchive: for a member that the closed side would refuse, and for what is no tar.
    """
    with path.open("rb") as stream:
        return measure(stream, path.name, MAX_UNPACKED_BYTES)


def _module(member: str) -> str:
    """The module that a wheel's member makes importable from the top; empty for any other member."""
    head, _, rest = member.partition("/")
    name = head if rest == "__init__.py" else head.removesuffix(".py") if not rest and head.endswith(".py") else ""
    return name if name.isidentifier() and not name.startswith("_") else ""


def default_imports(wheels: Mapping[str, WheelFacts]) -> tuple[str, ...]:
    """The modules of those wheels that no other wheel of the set requires: what the user asked for by name."""
    required = {name for owner, facts in wheels.items() for name in facts.requires if name != owner}
    return tuple(sorted({module for name, facts in wheels.items() if name not in required for module in facts.modules}))
