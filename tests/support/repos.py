"""RPM repositories made for tests: createrepo_c's metadata, signed by a key made here.

The RPMs themselves need not exist to be listed. ``toolkit`` lists NVIDIA's packages after CUDA.md A2 and A3.

Example::

    vendor = Vendor()
    write_repository(tmp_path / "repo", toolkit("13.0"), vendor)
    open_repository(str(tmp_path / "repo"), [vendor.fingerprint], read)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import createrepo_c
import pysequoia

from mirror.connected.toolchain.rpmpackage import Capability, RpmPackage
from mirror.core.cuda.releases import VERSIONS, known_patches
from mirror.core.names import Sha256Hex

_SENSES = {"=": "EQ", "<": "LT", "<=": "LE", ">": "GT", ">=": "GE"}
_COMPRESSIONS = {"gz": createrepo_c.GZ, "xz": createrepo_c.XZ, "zst": createrepo_c.ZSTD, "bz2": createrepo_c.BZ2}


class Vendor:
    """A maker of RPMs with a signing key."""

    def __init__(self, user_id: str = "Vendor <rpms@example.org>") -> None:
        self._secret = pysequoia.Tsk.generate(user_id)
        certificate = self._secret.extract_certificate()
        self.fingerprint: str = certificate.fingerprint.upper()
        self.key = str(certificate).encode()

    def sign(self, data: bytes) -> bytes:
        """A detached, armored signature."""
        signature: bytes = pysequoia.sign(self._secret.signer(), data, mode=pysequoia.SignatureMode.DETACHED)
        return signature


@dataclass(frozen=True)
class Rpm:
    """One package to list. ``requires`` and the like are written as in a spec file: ``"cuda-crt-13-0 >= 13.0.88"``."""

    name: str
    version: str = "1.0"
    release: str = "1"
    arch: str = "x86_64"
    requires: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    obsoletes: tuple[str, ...] = ()
    installed_size: int = 1000
    location: str = ""
    location_base: str = ""
    data: bytes = b""
    checksum_type: str = "sha256"
    paths: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        return f"{self.name}-{self.version}-{self.release}.{self.arch}.rpm"

    @property
    def contents(self) -> bytes:
        """Bytes of a file that stands for the RPM where only its digest counts."""
        return self.data or f"the bytes of {self.filename}".encode()

    def package(self) -> RpmPackage:
        """What reading the repository gives for it."""
        own = Capability(self.name, "=", f"{self.version}-{self.release}")
        return RpmPackage(
            name=self.name,
            epoch=0,
            version=self.version,
            release=self.release,
            arch=self.arch,
            location=self.location or self.filename,
            size=len(self.contents),
            installed_size=self.installed_size,
            sha256=Sha256Hex(hashlib.sha256(self.contents).hexdigest()),
            requires=tuple(Capability(*text.split(" ")) for text in self.requires),
            provides=(own, *(Capability(*text.split(" ")) for text in self.provides)),
        )

    def entry(self) -> createrepo_c.Package:
        """The same for createrepo_c, with its Obsoletes."""
        entry = createrepo_c.Package()
        entry.name, entry.epoch, entry.version, entry.release = self.name, "0", self.version, self.release
        entry.arch, entry.summary, entry.description = self.arch, self.name, self.name
        entry.location_href = self.location or self.filename
        entry.location_base = self.location_base or None
        entry.checksum_type = self.checksum_type
        entry.pkgId = hashlib.new(self.checksum_type, self.contents).hexdigest()
        entry.size_package, entry.size_installed = len(self.contents), self.installed_size
        # createrepo_c prepends what it is given, one by one.
        entry.requires = [_dependency(text) for text in reversed(self.requires)]
        entry.obsoletes = [_dependency(text) for text in self.obsoletes]
        own = f"{self.name} = {self.version}-{self.release}"
        entry.provides = [_dependency(text) for text in reversed((own, *self.provides))]
        entry.files = [_file(path) for path in self.paths]
        return entry


def _file(path: str) -> tuple[str, str, str, None]:
    """A path as createrepo_c has it; one that ends with a slash is a directory."""
    directory, _, name = path.rstrip("/").rpartition("/")
    return "dir" if path.endswith("/") else "", f"{directory}/", name, None


def _dependency(text: str) -> tuple[str, str | None, str | None, str | None, str | None, bool]:
    name, _, rest = text.partition(" ")
    if not rest:
        return name, None, None, None, None, False
    sense, _, evr = rest.partition(" ")
    version, _, release = evr.partition("-")
    return name, _SENSES[sense], "0", version, release or None, False


def write_repository(
    directory: Path, rpms: Iterable[Rpm], vendor: Vendor, compression: str = "gz", files: bool = True
) -> None:
    """Write ``repodata/`` and, unless told not to, a file for each listed RPM; filelists when an RPM says what it holds."""
    repodata = directory / "repodata"
    repodata.mkdir(parents=True)
    listed = list(rpms)
    repomd = createrepo_c.Repomd()
    kinds = {"primary": createrepo_c.PrimaryXmlFile, "filelists": createrepo_c.FilelistsXmlFile}
    for kind in ("primary", *(["filelists"] if any(rpm.paths for rpm in listed) else [])):
        path = repodata / f"{kind}.xml.{compression}"
        out = kinds[kind](str(path), _COMPRESSIONS[compression])
        out.set_num_of_pkgs(len(listed))
        for rpm in listed:
            out.add_pkg(rpm.entry())
        out.close()
        record = createrepo_c.RepomdRecord(kind, str(path))
        record.fill(createrepo_c.SHA256)
        record.rename_file()
        repomd.set_record(record)
    for rpm in listed:
        if files and not rpm.location:
            (directory / rpm.filename).write_bytes(rpm.contents)
    (repodata / "repomd.xml.key").write_bytes(vendor.key)
    resign(directory, vendor, repomd.xml_dump())


def resign(directory: Path, vendor: Vendor, repomd: str) -> None:
    """Put another ``repomd.xml`` in place, with a signature of its own."""
    (directory / "repodata" / "repomd.xml").write_text(repomd)
    (directory / "repodata" / "repomd.xml.asc").write_bytes(vendor.sign(repomd.encode()))


def primary_of(directory: Path, kind: str = "primary") -> Path:
    """The primary file, or another, that ``repomd.xml`` names."""
    found = re.search(rf'href="(repodata/[^"]*{kind}[^"]*)"', (directory / "repodata" / "repomd.xml").read_text())
    assert found
    return directory / found[1]


def toolkit(release: str, patch: str = "") -> tuple[Rpm, ...]:
    """NVIDIA's packages of one CUDA release, named, versioned and depending as theirs do (CUDA.md A2, A3, A8).

    Args:
        patch: the patch release whose versions they have, ``"12.8.0"``; the newest known one by default.
    """
    major, minor = release.split(".")
    end, thirteen = f"-{major}-{minor}", int(major) >= 13
    versions = VERSIONS[patch or known_patches(release)[-1]]
    nvcc, cudart = versions["nvcc"], versions["cudart"]
    cccl = f"cccl{end}" if (int(major), int(minor)) >= (13, 3) else f"cuda-cccl{end}"
    nvvm = (f"libnvvm{end}", f"libnvptxcompiler{end}") if thirteen else (f"cuda-nvvm{end}",)
    config = (f"cuda-toolkit{end}-config-common", f"cuda-toolkit-{major}-config-common", "cuda-toolkit-config-common")
    system = ("libc.so.6(GLIBC_2.28)(64bit)", "rpmlib(PayloadIsXz) <= 5.2-1", "/bin/sh")

    def rpm(
        name: str, version: str, *requires: str, arch: str = "x86_64", size: int = 1000, obsoletes: tuple[str, ...] = ()
    ) -> Rpm:
        return Rpm(name, version, arch=arch, requires=(*requires, *system), installed_size=size, obsoletes=obsoletes)

    def library(component: str, *requires: str, stem: str = "lib") -> tuple[Rpm, Rpm]:
        version, name = versions.get(component, nvcc), f"{stem}{component}"
        development = (f"{name}{end} >= {version}", f"lib{component}.so.{major}()(64bit)")
        return rpm(f"{name}{end}", version, *requires, *config), rpm(f"{name}-devel{end}", version, *development)

    older = tuple(f"cuda-cccl-12-{n}" for n in range(10)) if cccl.startswith("cccl") else ()
    return (
        rpm(f"cuda-nvcc{end}", nvcc, *(f"{name} >= {nvcc}" for name in (f"cuda-crt{end}", *nvvm)), "gcc"),
        rpm(f"cuda-crt{end}", nvcc),
        *(rpm(name, nvcc) for name in nvvm),
        rpm(cccl, versions["cccl"], obsoletes=older),
        rpm(f"cuda-cudart{end}", cudart, *config),
        rpm(f"cuda-cudart-devel{end}", cudart, f"cuda-cudart{end} >= {cudart}", cccl, *config),
        rpm(f"cuda-driver-devel{end}", cudart, "libcuda.so.1()(64bit)", *config),
        *library("nvrtc", stem="cuda-"),
        *library("cublas"),
        *library("curand"),
        *library("nvjitlink"),
        *library("cusparse", f"libnvjitlink{end}"),
        *library("cusolver", f"libcublas{end}", f"libcusparse{end}", f"libnvjitlink{end}"),
        *(rpm(f"cuda-{name}{end}", cudart) for name in ("profiler-api", "nvtx", "cuobjdump")),
        *((rpm(f"cuda-culibos-devel{end}", cudart),) if thirteen else ()),
        *(rpm(name, cudart, arch="noarch") for name in config),
        rpm(f"cuda-toolkit{end}", cudart, f"cuda-nvcc{end} >= {nvcc}", f"cuda-cudart-devel{end}", size=0),
        rpm(f"cuda-runtime{end}", cudart, f"cuda-cudart{end}", "cuda-drivers >= 580", size=0),
    )


DRIVER = (
    Rpm("cuda-drivers", "580.65.06", requires=("nvidia-driver-cuda >= 3:580.65.06",), installed_size=0),
    Rpm("nvidia-driver-cuda", "580.65.06", requires=("kmod-nvidia-open-dkms",)),
    Rpm("nvidia-driver-cuda-libs", "580.65.06", provides=("libcuda.so.1()(64bit)",)),
    Rpm("kmod-nvidia-open-dkms", "580.65.06", requires=("dkms",)),
)
"""The driver's packages, which lie in the same repository."""
