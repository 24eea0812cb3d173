"""What a bundle has for a site: its wheels and its RPMs, and what an index and a repository tell of them.

``mirror.closed.install`` decides whom to trust; ``publish`` and ``serve`` take what ``install`` would take: a bundle that is
signed and approved, that nobody refused, every byte of which was verified.

Rules: nothing of an unverified bundle is read; what is told of a wheel is its own METADATA, of an RPM its own header.

Example::

    with verified_bundle(path) as bundle:
        shelf = read_shelf(bundle)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from pathlib import Path

from mirror.closed.install import trusted_manifest
from mirror.closed.site.pages import SiteWheel
from mirror.closed.site.rpmmetadata import Package, read_package
from mirror.closed.warm.carried import refuse_layer
from mirror.core.archives.zipdirectory import BadZip
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle, open_bundle
from mirror.core.errors import FAMILIES, MirrorError
from mirror.core.kinds import KINDS, RPM, WHEEL
from mirror.core.names import project_name
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import judge
from mirror.core.progress import SILENT, Progress
from mirror.core.toolkit.carried import read_rpm_list
from mirror.core.trust.sidecars import shell_word
from mirror.core.trust.truststore import TrustStore
from mirror.core.wheels.wheelfile import read_metadata


class NothingToGive(MirrorError):
    """A bundle holds nothing that an index or a repository gives out."""

    ref = "nothing-to-give"
    exit_code = FAMILIES["install"]
    hint = "'mirror inspect FILE' lists what is in it."
    message = "{path} holds no {wanted}"

    path: str
    wanted: str


class NameTaken(MirrorError):
    """Where a bundle is to be published, other bytes have the name of one of its files.

    Attributes:
        place: the directory, or the index's address.
        files: name, sha256 there and sha256 in the bundle of each; no sha256 there where the place does not tell.
    """

    ref = "name-taken"
    exit_code = FAMILIES["install"]
    hint = (
        "Nothing was published or overwritten. Find out which of the two is right: who published the other one, and out of "
        "which bundle? A site that wants both gives them places of their own."
    )

    place: str
    files: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        (name, there, here), *others = self.files
        more = f", and of {len(others)} more files of the bundle" if others else ""
        other = f"sha256 {there}" if there else "other bytes"
        return f"{self.place} has another {name}{more}: {other} there, {here} in the bundle"

    def context(self) -> str:
        return "\n".join(
            f"  {name}: {there or 'other bytes'} there, {here} in the bundle" for name, there, here in self.files[1:]
        )


class PublishedChanged(MirrorError):
    """A file of a site has other bytes than were published there, and it is the place that changed."""

    ref = "published-changed"
    exit_code = FAMILIES["install"]
    hint = "Nothing was written. Remove what has changed, and publish again: {step}"
    message = (
        "{paths:first} has changed since it was published: sha256 {actual} now, {published} then and in the bundle"
    )

    paths: tuple[str, ...]
    actual: str
    published: str

    def __post_init__(self) -> None:
        self.hint = self.hint.format(step=f"rm {' '.join(map(shell_word, self.paths))}")


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        place: where.
        added: names of the files that are new there.
        kept: names of those that were there already, with the same bytes.
        notes: one sentence each.
        index: the address that pip takes; empty for a directory, whose address its web server knows.
    """

    place: str
    added: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...] = ()
    index: str = ""


@dataclass(frozen=True)
class Shelf:
    """What there is.

    Attributes:
        wheels: in the order of the manifest.
        packages: the RPMs.
        metadata: METADATA of each wheel that has one, by the wheel's file name.
        keys: the vendors' public keys that the RPMs are signed with, by a file name.
        artifacts: the bundle's own, by the file name of the wheel or RPM.
        revision: when the bundle was locked.
    """

    wheels: tuple[SiteWheel, ...]
    packages: tuple[Package, ...]
    metadata: Mapping[str, bytes]
    keys: Mapping[str, bytes]
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)
    revision: int = 0


@contextmanager
def verified_bundle(
    path: Path,
    policy: Policy | None = None,
    store: TrustStore | None = None,
    progress: Progress = SILENT,
    volumes: Iterable[Path] = (),
) -> Iterator[Bundle]:
    """Open a bundle that ``mirror install`` would take, and read all of it.

    Args:
        volumes: directories in which volumes of it may lie.

    Raises:
        MirrorError: as ``mirror.closed.install`` does, for what it refuses before it looks at the host.
    """
    with open_bundle(path, volumes) as bundle:
        manifest = trusted_manifest(bundle, store or TrustStore.default(), "")
        refuse_layer(path, manifest)
        if policy:
            judge(policy, manifest, bundle.read).enforce()
        bundle.verify(progress)
        yield bundle


def read_shelf(bundle: Bundle) -> Shelf:
    """Look into the wheels and RPMs of a verified bundle.

    Raises:
        MalformedRpm: for an RPM whose header breaks the format.
        NothingToGive: when there are none.
    """
    wheels, metadata, manifest = [], {}, bundle.manifest
    for artifact in manifest.wheels:
        if text := _metadata(bundle, artifact):
            metadata[artifact.filename] = text
        wheels.append(_wheel(artifact, text))
    listed = read_rpm_list(bundle)
    rpms = manifest.of(RPM)
    packages = []
    for rpm in rpms:
        with bundle.open(rpm) as stream:
            packages.append(read_package(stream, rpm.filename, rpm.size, rpm.sha256))
    key = listed.key.encode()
    keys = {f"RPM-GPG-KEY-{hashlib.sha256(key).hexdigest()[:12]}": key} if rpms else {}
    if not wheels and not packages:
        raise NothingToGive(str(bundle.path), "wheels and no RPMs")
    artifacts = {artifact.filename: artifact for artifact in (*manifest.wheels, *rpms)}
    return Shelf(tuple(wheels), tuple(packages), metadata, keys, artifacts, manifest.sequence)


def left_out(manifest: Manifest) -> tuple[str, ...]:
    """What a bundle has that no site gives out, in a sentence; nothing when all of it is wheels and RPMs."""
    kinds = (kind for kind in KINDS if kind not in (WHEEL, RPM) and not kind.is_installers)
    rest = [kind.counted(len(found)) for kind in kinds if (found := manifest.of(kind))]
    return (f"not given out: {', '.join(rest)}; 'mirror install' is for those",) if rest else ()


def _metadata(bundle: Bundle, artifact: Artifact) -> bytes:
    try:
        with bundle.open(artifact) as stream:
            return read_metadata(stream) or b""
    except BadZip:  # somebody has waived that; pip and uv will look for themselves
        return b""


def _wheel(artifact: Artifact, metadata: bytes) -> SiteWheel:
    needs = str(BytesHeaderParser().parsebytes(metadata).get("Requires-Python", ""))
    return SiteWheel(
        artifact.filename,
        project_name(artifact.name),
        artifact.version,
        artifact.size,
        artifact.sha256,
        needs if needs.isprintable() else "",
        hashlib.sha256(metadata).hexdigest() if metadata else "",
    )
