"""What mirror itself writes into ``meta/``: install.txt, rpms.json, redist.json, provenance.json, SHA256SUMS.

Each function takes values and returns bytes; equal values give equal bytes (no time, no path, no name of this machine).
``mirror.connected.bundle`` decides which files go in, and in what order.

Example::

    sha256sums(artifacts).decode()
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name

from mirror.connected.pins.standards import read_requirement
from mirror.core.archives.tarstream import measure
from mirror.core.bundle.manifest import Artifact
from mirror.core.bundle.signaturearea import root_sums
from mirror.core.fields import canonical_json
from mirror.core.names import Sha256Hex
from mirror.core.toolkit.redist import MAX_UNPACKED_BYTES
from mirror.core.trust.chain import Documents
from mirror.core.wheels.wheelfile import WheelFile


def install_txt(wheels: Iterable[Artifact]) -> bytes:
    """The closed side's requirements: each wheel of the bundle, pinned, with exactly one hash (DESIGN.md section 6)."""
    head = "# What mirror install gives to uv or pip: --no-index --no-deps --require-hashes -r install.txt\n"
    lines = sorted(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
    return (head + "".join(lines)).encode()


def sha256sums(artifacts: Iterable[Artifact], roots: Documents = ()) -> bytes:
    """For ``sha256sum -c`` in a directory where the tar was unpacked.

    Args:
        roots: that travel with it; their signatures are nowhere else bound to the manifest.
    """
    lines = (*root_sums(roots), *(f"{artifact.sha256}  {artifact.path}" for artifact in artifacts))
    return "".join(f"{line}\n" for line in lines).encode()


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
    """Which locks were followed (by name, each with its sha256), and what was built here from what: the builder's records."""
    return canonical_json({"mirror": tool, "locks": dict(locks), "builds": [dict(build) for build in builds]})


def _required(lines: Iterable[str]) -> Iterator[str]:
    """The projects that Requires-Dist lines name, extras left aside."""
    for line in lines:
        try:
            requirement = read_requirement(line)
        except InvalidRequirement:
            continue  # from before PEP 508: the lock has settled what is installed, this is only about default imports
        if "extra" not in str(requirement.marker or ""):
            yield canonicalize_name(requirement.name)


def tar_size(path: Path) -> int:
    """Bytes of the files in a tar, each member judged as the closed side will judge it. Raises BadArchive where it refuses."""
    with path.open("rb") as stream:
        return measure(stream, path.name, MAX_UNPACKED_BYTES)


def module_of(member: str) -> str:
    """The module that a wheel's member makes importable from the top; empty for any other member."""
    head, _, rest = member.partition("/")
    name = head if rest == "__init__.py" else head.removesuffix(".py") if not rest and head.endswith(".py") else ""
    return name if name.isidentifier() and not name.startswith("_") else ""


def default_imports(wheels: Mapping[Artifact, WheelFile]) -> tuple[str, ...]:
    """The modules of those projects that no other wheel of the set requires: what the user asked for by name."""
    installed = {canonicalize_name(one.name): wheel for one, wheel in wheels.items() if one.is_project}
    needs = {name: wheel.headers("METADATA").get_all("Requires-Dist", []) for name, wheel in installed.items()}
    required = {other for name, lines in needs.items() for other in _required(map(str, lines)) if other != name}
    members = (one.name for name, wheel in installed.items() if name not in required for one in wheel.members)
    return tuple(sorted({module for member in members if (module := module_of(member))}))
