"""The dossier: what is known of each artifact of a bundle beyond its name and bytes, for the people who decide about it.

It travels as ``meta/dossier.json``, so it is signed with the rest. The connected side fills it from the artifacts
themselves (``mirror.connected.papers.dossier``); the review room shows it and compares two of them. ``mirror verify --deep``
looks into the artifacts again and holds them against it.

Rules: a fact that nobody could find out is empty, never guessed; strict as all our documents; equal dossiers have equal
bytes; nothing of the machine that made it is in it.

Example::

    dossier = Dossier.parse(bundle.read(artifact))
    dossier.file("wheels/torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl").gpus      # ("sm_80", "sm_90", ...)
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mirror.core.bundle.manifest import artifact_path
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields, by, canonical_json, told
from mirror.core.kinds import kind_named

FORMAT = "mirror-dossier/1"
PATH = "meta/dossier.json"
LICENCES = "meta/licences.txt"
"""Every licence text once, under a line that names the files it is for."""

MAX_BYTES = 16 << 20


@dataclass(frozen=True)
class Waiver:
    """Something that the rules refuse in one artifact, known and accepted by somebody, for a reason.

    Attributes:
        rule: the vetting rule's name, ``"record-incomplete"``.
        reason: why it is accepted; one sentence.
        by: who accepted it.
        subject: the one thing that it is for (a file's path below the venv, a project's name); empty for all of the rule.
    """

    rule: str
    reason: str
    by: str
    subject: str = ""


@dataclass(frozen=True)
class FileFacts:
    """What is known of one artifact.

    Attributes:
        path: in the bundle.
        kind: the name of one of ``mirror.core.kinds.KINDS``.
        summary: the publisher's one line.
        licence: SPDX expression; empty when the publisher's words are none.
        licence_stated: the publisher's own words, where they are no SPDX expression.
        licence_files: names of the licence texts in it, all of them in ``LICENCES``.
        homepage: URL that the publisher names.
        requires: names of other projects or packages of this bundle that it needs.
        yanked: why the index withdrew it; ``"yes"`` when no reason was given; empty when it did not.
        uploaded: seconds since 1970 UTC, where the index tells; 0 when not.
        built: where it was built here, the path of its build log; empty when it came as it is.
        source_sha256: of the sdist that it was built from.
        signer: fingerprint of the OpenPGP key that signed an RPM.
        native: how many native programs and libraries (ELF) are in it.
        gpus: GPU architectures that its device code is for, ``"sm_90a"``, or ``"compute_90"`` for PTX, sorted.
        glibc: the newest glibc symbol version that its native code asks for, ``"2.28"``; empty without any.
        libstdcxx: likewise of libstdc++, ``"3.4.29"``.
        hooks: files that Python runs when it starts (``*.pth``, ``sitecustomize.py``).
        scripts: programs that it puts on the PATH.
        setuid: files that ask for set-user-id or set-group-id (never granted).
        scriptlets: RPM scriptlets that are not run.
        waivers: what the rules refuse in it, and why it is taken nevertheless.
    """

    path: str = field(metadata=by(artifact_path))
    kind: str = field(metadata=by(lambda text: kind_named(text).name))
    summary: str = ""
    licence: str = ""
    licence_stated: str = ""
    licence_files: tuple[str, ...] = ()
    homepage: str = ""
    requires: tuple[str, ...] = ()
    yanked: str = ""
    uploaded: int = 0
    built: str = ""
    source_sha256: str = ""
    signer: str = ""
    native: int = 0
    gpus: tuple[str, ...] = ()
    glibc: str = ""
    libstdcxx: str = ""
    hooks: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    setuid: tuple[str, ...] = ()
    scriptlets: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()


@dataclass(frozen=True)
class Dossier:
    """``meta/dossier.json``.

    Attributes:
        requirements: what the stack asks for by name, as written in ``NAME.toml``: the roots of every dependency path.
        packages: the CUDA components or RPMs that it asks for.
        files: the facts of each artifact outside ``meta/``, in the bundle's order.
        notes: what the maker of the bundle was told; one sentence each.
    """

    requirements: tuple[str, ...]
    packages: tuple[str, ...]
    files: tuple[FileFacts, ...]
    notes: tuple[str, ...] = ()
    format: str = field(default=FORMAT)

    @classmethod
    def parse(cls, data: bytes) -> Dossier:
        """Inverse of ``encode``. Raises InvalidDocument: with the path to the fault."""
        dossier = Fields.read(data, "Dossier", FORMAT, MAX_BYTES).fill(cls, format=FORMAT)
        paths = [one.path for one in dossier.files]
        if len(set(paths)) != len(paths):
            raise InvalidDocument("Dossier", "files", "two of them have one path")
        return dossier

    def encode(self) -> bytes:
        return canonical_json(told(self, "requirements", "packages", "files", "notes"))

    def file(self, path: str) -> FileFacts | None:
        return next((one for one in self.files if one.path == path), None)
