"""Real wheels and sdists, made from words in a few milliseconds. Equal arguments give equal bytes.

Example::

    path = make_wheel(tmp_path, "left-pad", "1.0", requires=["numpy>=2"])
    path = make_sdist(tmp_path, "left-pad", "1.0", build_requires=["setuptools>=42"])
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_DATE = (2026, 1, 1, 0, 0, 0)
_MTIME = 1767225600

IN_TREE_BACKEND = '''\
"""A PEP 517 backend without build requirements: it zips NAME.py and the metadata it was given."""
import base64, hashlib, os, pathlib, zipfile

NAME, VERSION, METADATA = {name!r}, {version!r}, {metadata!r}

def get_requires_for_build_wheel(config_settings=None):
    return []

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    info = "%s-%s.dist-info" % (NAME, VERSION)
    members = [
        (NAME + ".py", pathlib.Path(NAME + ".py").read_bytes()),
        (info + "/METADATA", METADATA.encode()),
        (info + "/WHEEL", b"Wheel-Version: 1.0\\nGenerator: in-tree\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"),
    ]
    record = ""
    for name, data in members:
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\\n" % (name, digest, len(data))
    members.append((info + "/RECORD", (record + info + "/RECORD,,\\n").encode()))
    filename = "%s-%s-py3-none-any.whl" % (NAME, VERSION)
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data)
    return filename
'''


def metadata(
    name: str, version: str, requires: Sequence[str] = (), requires_python: str = "", extras: Sequence[str] = ()
) -> str:
    """A core metadata document (METADATA, PKG-INFO)."""
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] * bool(requires_python)
    lines += [f"Provides-Extra: {extra}" for extra in extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return "\n".join(lines) + "\n"


def make_wheel(
    directory: Path,
    name: str,
    version: str,
    *,
    tag: str = "py3-none-any",
    build: str = "",
    requires: Sequence[str] = (),
    requires_python: str = "",
    extras: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
    said: Sequence[str] = (),
) -> Path:
    """Write a wheel and return its path.

    Args:
        tag: compressed tag set of the file's name, ``"cp311-cp311-manylinux_2_28_x86_64"``.
        build: build tag, ``"2"``.
        files: members; by default one module that knows its version.
        scripts: console scripts, name to ``module:function``.
        said: further lines of METADATA, ``"License: MIT"``.
    """
    module = name.replace("-", "_").replace(".", "_")
    info = f"{module}-{version}.dist-info"
    members = dict(files if files is not None else {f"{module}.py": f'__version__ = "{version}"\n'.encode()})
    lines = "".join(f"{line}\n" for line in said)
    members[f"{info}/METADATA"] = (metadata(name, version, requires, requires_python, extras) + lines).encode()
    members[f"{info}/WHEEL"] = _wheel_file(tag, build).encode()
    if scripts:
        points = ["[console_scripts]", *(f"{key} = {value}" for key, value in scripts.items())]
        members[f"{info}/entry_points.txt"] = ("\n".join(points) + "\n").encode()
    record = "".join(f"{path},{_record_hash(data)},{len(data)}\n" for path, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    directory.mkdir(parents=True, exist_ok=True)
    stem = "-".join(part for part in (module, version, build, tag) if part)
    path = directory / f"{stem}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(_member(member), data)
    return path


def make_sdist(
    directory: Path,
    name: str,
    version: str,
    *,
    build_requires: Sequence[str] | None = (),
    backend: str = IN_TREE_BACKEND,
    requires: Sequence[str] = (),
    requires_python: str = "",
    extras: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """Write an sdist and return its path. By default it builds with a backend of its own, which needs nothing.

    Args:
        build_requires: of ``[build-system]``; None leaves ``pyproject.toml`` out (a setup.py project).
        backend: source of the in-tree backend, a format string of ``name``, ``version`` and ``metadata``.
        files: further or replacing members, relative to the sdist's top directory.
    """
    module = name.replace("-", "_")
    core = metadata(name, version, requires, requires_python, extras)
    members = {
        "PKG-INFO": core.encode(),
        f"{module}.py": f'__version__ = "{version}"\n'.encode(),
        "backend.py": (
            backend.format(name=module, version=version, metadata=core) if backend is IN_TREE_BACKEND else backend
        ).encode(),
    }
    if build_requires is not None:
        listed = ", ".join(f'"{requirement}"' for requirement in build_requires)
        members["pyproject.toml"] = (
            f'[build-system]\nrequires = [{listed}]\nbuild-backend = "backend"\nbackend-path = ["."]\n'.encode()
        )
    members.update(files or {})
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{module}-{version}.tar.gz"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for member, data in sorted(members.items()):
            entry = tarfile.TarInfo(f"{module}-{version}/{member}")
            entry.size, entry.mtime, entry.mode = len(data), _MTIME, 0o644
            archive.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wheel_file(tag: str, build: str) -> str:
    pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
    lines = ["Wheel-Version: 1.0", "Generator: tests", f"Root-Is-Purelib: {str(abis == ['none']).lower()}"]
    lines += [f"Build: {build}"] * bool(build)
    lines += [f"Tag: {python}-{abi}-{platform}" for python in pythons for abi in abis for platform in platforms]
    return "\n".join(lines) + "\n"


def _record_hash(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type, info.create_system, info.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
    return info


def add_dist_info(archive: zipfile.ZipFile, filename: str) -> None:
    """Give a wheel that holds its files already its METADATA, WHEEL and RECORD, as its file name says."""
    name, version, *_, python, abi, platform = filename[: -len(".whl")].split("-")
    info = f"{name}-{version}.dist-info"
    archive.writestr(_member(f"{info}/METADATA"), metadata(name.replace("_", "-"), version))
    archive.writestr(_member(f"{info}/WHEEL"), _wheel_file(f"{python}-{abi}-{platform}", ""))
    files = {member: archive.read(member) for member in archive.namelist()}
    record = "".join(f"{path},{_record_hash(data)},{len(data)}\n" for path, data in files.items())
    archive.writestr(_member(f"{info}/RECORD"), f"{record}{info}/RECORD,,\n")


def zstd_wheel(directory: Path) -> Path:
    """The wheel of the zstd decompressor that is installed here; where the standard library has one, an empty wheel will do."""
    path = directory / "backports_zstd-1.0-cp3-cp3-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        if sys.version_info < (3, 14):
            package = Path(str(importlib.import_module("backports.zstd").__file__)).parent
            for file in sorted(package.rglob("*")):
                if file.suffix in (".py", ".so"):
                    archive.write(file, f"backports/zstd/{file.relative_to(package)}")
        add_dist_info(archive, path.name)
    return path
