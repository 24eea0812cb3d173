"""What mirror itself writes into ``meta/``: install.txt, rpms.json, provenance.json, SHA256SUMS.

Each function takes values and returns bytes; equal values give equal bytes (no time, no path, no name of this machine).
Which files go in, and in what order, is ``mirror.connected.bundle``'s.

Example::

    sha256sums(artifacts).decode()
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mirror.core.fields import canonical_json
from mirror.core.manifest import Artifact
from mirror.core.names import Sha256Hex


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
    """Read a wheel's central directory and METADATA (PEP 427). The file's digest has been checked before."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        size = sum(info.file_size for info in archive.infolist())
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA") and name.count("/") == 1)
        headers = BytesHeaderParser().parsebytes(archive.read(metadata))
    requires = (Requirement(text) for text in headers.get_all("Requires-Dist", []))
    return WheelFacts(
        modules=tuple(sorted({module for name in names if (module := _module(name))})),
        requires=frozenset(canonicalize_name(item.name) for item in requires if "extra" not in str(item.marker or "")),
        unpacked_size=size,
    )


def tar_size(path: Path) -> int:
    """Bytes of the files in a tar, compressed or not. Its headers are read, nothing is unpacked."""
    with tarfile.open(path) as archive:
        return sum(member.size for member in archive if member.isfile())


def _module(member: str) -> str:
    """The module that a wheel's member makes importable from the top; empty for any other member."""
    head, _, rest = member.partition("/")
    name = head if rest == "__init__.py" else head.removesuffix(".py") if not rest and head.endswith(".py") else ""
    return name if name.isidentifier() and not name.startswith("_") else ""


def default_imports(wheels: Mapping[str, WheelFacts]) -> tuple[str, ...]:
    """The modules of those wheels that no other wheel of the set requires: what the user asked for by name."""
    required = {name for owner, facts in wheels.items() for name in facts.requires if name != owner}
    return tuple(sorted({module for name, facts in wheels.items() if name not in required for module in facts.modules}))
