"""RPM packages made for tests: good ones, edited ones, and ones by another maker.

``Packager`` writes them with the writer of ``scripts/cuda_rpms``, which leaves every byte open to an edit; ``foreign_rpm``
writes them with rpm-rs and keys of Sequoia, so that the reader meets files that nobody here had a hand in.

Example::

    packager = Packager()
    path = packager.rpm(tmp_path, "cuda-crt-13-0", {"/usr/local/cuda-13.0/include/a.h": b"..."})
    read_rpm(path.open("rb"), path.name, packager.certificates, [packager.fingerprint])
"""

from __future__ import annotations

import hashlib
import importlib
import io
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

import pysequoia
import rpm_rs
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from mirror.core.archives.zstdframe import Decompressor, ModuleDecompressor
from mirror.core.signatures.openpgp import read_keys
from mirror.core.signatures.pgpkeys import Certificate
from scripts.cuda_rpms import rpmfile
from scripts.cuda_rpms.openpgp import Ed25519Key, RsaKey, SigningKey, armor
from scripts.cuda_rpms.repodata import write_repodata
from scripts.cuda_rpms.rpmfile import Member, Payload, Spec, Value

CREATED = 1_700_000_000
USER_ID = b"Packager <rpms@example.org>"
HOME = "/usr/local/cuda-13.0"

Entries = dict[int, tuple[int, Value]]


@dataclass(frozen=True)
class Link:
    """A symbolic link among a package's contents."""

    target: str


@dataclass(frozen=True)
class Program:
    """An executable file among a package's contents."""

    data: bytes


DIRECTORY = None
Contents = Mapping[str, "bytes | Link | Program | None"]


def ed25519_key(seed: int = 1) -> Ed25519Key:
    """A key that is the same on every run."""
    return Ed25519Key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), CREATED)


@cache
def rsa_key(bits: int = 2048) -> RsaKey:
    """An RSA key; making one takes a moment, so each size is made once."""
    return RsaKey(rsa.generate_private_key(65_537, bits), CREATED)


def members(contents: Contents) -> list[Member]:
    """The members of a package, sorted as rpm sorts them."""
    made = []
    for path, content in contents.items():
        if content is DIRECTORY:
            made.append(Member.directory(path))
        elif isinstance(content, Link):
            made.append(Member.symlink(path, content.target))
        elif isinstance(content, Program):
            made.append(Member.of_bytes(path, content.data, 0o755))
        else:
            made.append(Member.of_bytes(path, content))
    return sorted(made, key=lambda member: member.path.split("/"))


def archive_of(listed: Sequence[Member]) -> bytes:
    """The cpio archive of these members."""
    return b"".join(rpmfile.archive(listed, CREATED, []))


def compressed(archive: bytes, compressor: str = "xz") -> bytes:
    if compressor == "zstd":
        return bytes(zstd_module().compress(archive))
    out = io.BytesIO()
    rpmfile.compress([archive], out, compressor)
    return out.getvalue()


def zstd_module() -> ModuleType:
    """What compresses zstd here: the standard library's from Python 3.14 on, ``backports.zstd`` before."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name)


def zstd_here() -> Decompressor:
    """A decompressor as the connected room brings one."""
    return ModuleDecompressor(zstd_module())


@dataclass
class Draft:
    """A package before it is signed: change what a test is about, then call ``bytes``.

    Attributes:
        members: what the header lists.
        archive: what the archive holds, uncompressed; by default exactly the header's files.
        payload: the compressed archive; by default made from ``archive``.
        digest: what the header says of the payload; None for its true digest, empty for nothing.
        edit: changes the main header's entries, before they are signed.
        compressor: of the payload, and what the header says of it.
    """

    spec: Spec
    members: list[Member]
    key: SigningKey | None
    archive: bytes | None = None
    payload: bytes | None = None
    digest: str | None = None
    edit: Callable[[Entries], object] = field(default=lambda entries: None)
    compressor: str = "xz"

    def header(self) -> bytes:
        """The main header."""
        archive = archive_of(self.members) if self.archive is None else self.archive
        digests = [
            hashlib.sha256(member.open().read()).hexdigest() if stat.S_ISREG(member.mode) else ""
            for member in self.members
        ]
        digest = hashlib.sha256(self.packed()).hexdigest() if self.digest is None else self.digest
        payload = Payload(digest, hashlib.sha256(archive).hexdigest(), len(archive), tuple(digests))
        entries = rpmfile.package_entries(self.spec, self.members, payload, self.compressor)
        if not digest:
            del entries[5092], entries[5093]
        self.edit(entries)
        return rpmfile.header(rpmfile.IMMUTABLE, entries)

    def packed(self) -> bytes:
        archive = archive_of(self.members) if self.archive is None else self.archive
        return compressed(archive, self.compressor) if self.payload is None else self.payload

    def bytes(self) -> bytes:
        """The whole package."""
        main, payload = self.header(), self.packed()
        signature = rpmfile.signature_header(main, len(payload), 0, self.key, CREATED)
        return rpmfile.lead(self.spec) + signature + main + payload


class Packager:
    """A maker of packages with an OpenPGP key of its own."""

    def __init__(self, key: SigningKey | None = None) -> None:
        self.key = key or ed25519_key()
        self.fingerprint = self.key.fingerprint
        self.armored = armor("PUBLIC KEY BLOCK", self.key.certificate(USER_ID)).decode()

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        return read_keys(self.armored)

    def draft(
        self, name: str, contents: Contents, version: str = "1.0", compressor: str = "xz", arch: str = "x86_64"
    ) -> Draft:
        """A package to be edited."""
        spec = Spec(name, version, arch=arch, summary=name, description=name, license="MIT", build_time=CREATED)
        return Draft(spec, members(contents), self.key, compressor=compressor)

    def rpm(
        self,
        directory: Path,
        name: str,
        contents: Contents,
        version: str = "1.0",
        compressor: str = "xz",
        arch: str = "x86_64",
    ) -> Path:
        """A good package, written into ``directory``."""
        draft = self.draft(name, contents, version, compressor, arch)
        path = directory / draft.spec.filename
        path.write_bytes(draft.bytes())
        return path

    def repository(self, directory: Path) -> None:
        """Give the packages in ``directory`` their repodata, signed."""
        write_repodata(directory, sorted(directory.glob("*.rpm")), self.key, USER_ID, CREATED)


def toolkit(directory: Path, packager: Packager) -> list[Path]:
    """Four small packages that together have the shape of a CUDA 13.0 compiler."""
    target = f"{HOME}/targets/x86_64-linux"
    packages: dict[str, Contents] = {
        "cuda-nvcc-13-0": {
            f"{HOME}/bin/nvcc": Program(b"#!/bin/sh\necho nvcc\n"),
            f"{HOME}/bin/nvcc.profile": b"TOP = ..\n",
        },
        "cuda-cudart-13-0": {
            HOME: DIRECTORY,
            f"{HOME}/lib64": Link("targets/x86_64-linux/lib"),
            f"{target}/lib/libcudart.so.13": Link("libcudart.so.13.0.96"),
            f"{target}/lib/libcudart.so.13.0.96": Program(b"library"),
        },
        "cuda-cudart-devel-13-0": {
            f"{HOME}/lib64": Link("targets/x86_64-linux/lib"),
            f"{target}/include/cuda.h": b"#define CUDA_VERSION 13000\n",
            f"{target}/lib/libcudart.so": Link("libcudart.so.13"),
        },
        "cuda-toolkit-config-common": {"/etc/ld.so.conf.d/000_cuda.conf": b"/usr/local/cuda/lib64\n"},
    }
    return [packager.rpm(directory, name, contents, "13.0.96") for name, contents in packages.items()]


def sequoia_key(suite: pysequoia.CipherSuite | None = None) -> pysequoia.Tsk:
    """A key by another maker: Sequoia's have a primary that certifies and a subkey that signs."""
    return pysequoia.Tsk.generate("Vendor <rpms@example.org>", cipher_suite=suite)


def foreign_rpm(
    path: Path,
    contents: Contents,
    secret: pysequoia.Tsk | None = None,
    compression: str = "Xz",
    form: str = "V4",
) -> Path:
    """A package by rpm-rs, signed when there is a key."""
    builder = rpm_rs.PackageBuilder("cuda-foreign-13-0", "13.0.1", "MIT", "x86_64", "made by rpm-rs")
    builder.using_config(
        rpm_rs.BuildConfig(
            format=getattr(rpm_rs.RpmFormat, form), compression=getattr(rpm_rs.CompressionType, compression)
        )
    )
    builder.post_install_script("exit 1")
    for name, content in contents.items():
        if content is DIRECTORY:
            builder.with_dir_entry(rpm_rs.FileOptions.dir(name))
        elif isinstance(content, Link):
            builder.with_symlink(rpm_rs.FileOptions.symlink(name, content.target))
        elif isinstance(content, Program):
            builder.with_file_contents(content.data, rpm_rs.FileOptions.new(name, permissions=0o755))
        else:
            builder.with_file_contents(content, rpm_rs.FileOptions.new(name))
    made = (
        builder.build_and_sign(rpm_rs.Signer(pysequoia.armor(bytes(secret), pysequoia.ArmorKind.SecretKey).encode()))
        if secret
        else builder.build()
    )
    path.write_bytes(bytes(made.to_bytes()))
    return path
