"""NVIDIA's component archives and their JSON, made small for tests after CUDA.md A9.

``components`` gives what each archive of a release holds, ``write_redist`` a directory that can stand in for NVIDIA's.

Example::

    write_redist(tmp_path / "redist", "12.6.3")
    archive(tmp_path / "a.tar.xz", {"bin/nvcc": Program(b"elf")})
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from mirror.core.cuda.redistnames import PLATFORMS
from tests.support.rpms import Link, Program

NVCC = b"""#!/bin/sh
# Says its release, and writes its arguments where nvcc would write machine code.
while [ $# -gt 0 ]; do case "$1" in -o) out=$2; shift;; *) said="$said $1";; esac; shift; done
if [ -n "$out" ]; then printf 'machine code of%%s' "$said" > "$out"; else echo nvcc %s; fi
"""

Contents = Mapping[str, Union[bytes, Link, Program, "HardLink", None]]


@dataclass(frozen=True)
class HardLink:
    """Another name of an earlier file among an archive's contents."""

    original: str


def tar_of(contents: Contents, top: str = "component-archive", form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar as NVIDIA lays it out: one top directory, everything below it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for path, content in {"": None, **contents}.items():
            info, data = tarfile.TarInfo(f"{top}/{path}".rstrip("/")), b""
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
            elif isinstance(content, Link):
                info.type, info.linkname = tarfile.SYMTYPE, content.target
            elif isinstance(content, HardLink):
                info.type, info.linkname = tarfile.LNKTYPE, f"{top}/{content.original}"
            else:
                data = content.data if isinstance(content, Program) else content
                info.size, info.mode = len(data), 0o755 if isinstance(content, Program) else 0o644
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def archive(path: Path, contents: Contents, top: str = "") -> Path:
    """A component archive, written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    top = top or path.name[: -len(".tar.xz")]
    path.write_bytes(lzma.compress(tar_of(contents, top), preset=0))
    return path


def components(release: str) -> dict[str, tuple[str, Contents]]:
    """Key -> version and contents of each component: a compiler that prints, and a library that is a word."""
    major, minor = release.split(".")[:2]
    dotted = f"{major}.{minor}"
    cccl = "include/cccl" if int(major) >= 13 else "include"
    nvcc: dict[str, Any] = {
        "LICENSE": b"terms of nvcc\n",
        "bin/nvcc": Program(NVCC % release.encode()),
        "bin/nvcc.profile": b"TOP = $(_HERE_)/..\n",
    }
    crt: dict[str, Any] = {"include/crt/host_config.h": b"/* crt */\n"}
    nvvm: dict[str, Any] = {"nvvm/bin/cicc": Program(b"cicc\n"), "nvvm/libdevice/libdevice.10.bc": b"bc"}
    ptx: dict[str, Any] = {"lib/libnvptxcompiler_static.a": b"!<arch>\n"}
    culibos: dict[str, Any] = {"lib/libculibos.a": b"!<arch>\nculibos"}
    cudart: dict[str, Any] = {
        "LICENSE": b"terms of cudart\n",
        "include/cuda.h": f"#define CUDA_VERSION {major}0{minor}0\n".encode(),
        "include/cuda_fp16.h": b"#include <nv/target>\n",
        f"lib/libcudart.so.{dotted}.77": Program(b"cudart"),
        f"lib/libcudart.so.{major}": Link(f"libcudart.so.{dotted}.77"),
        "lib/libcudart.so": Link(f"libcudart.so.{major}"),
        "lib/stubs/libcuda.so": Program(b"stub"),
        f"pkg-config/cuda-{dotted}.pc": b"prefix=/usr/local/cuda\n",
    }
    split = int(major) >= 13
    found: dict[str, dict[str, Any]] = {
        ("cccl" if (int(major), int(minor)) >= (13, 3) else "cuda_cccl"): {f"{cccl}/nv/target": b"/* nv */\n"},
        "cuda_nvcc": nvcc if split else {**nvcc, **crt, **nvvm, **ptx},
        "cuda_cudart": cudart if split else {**cudart, **culibos},
        **({"cuda_crt": crt, "libnvvm": nvvm, "libnvptxcompiler": ptx, "cuda_culibos": culibos} if split else {}),
        "cuda_nvrtc": {
            "include/nvrtc.h": b"\n",
            "lib/libnvrtc.so": Link("libnvrtc.so.1"),
            "lib/libnvrtc.so.1": b"nvrtc",
        },
        "cuda_cuobjdump": {"bin/cuobjdump": Program(b"cuobjdump")},
        "libcublas": {"include/cublas_v2.h": b"\n", "lib/libcublas.so": b"cublas"},
        "libcurand": {"include/curand_kernel.h": b"\n", "lib/libcurand.so": b"curand"},
    }
    return {name: (f"{dotted}.77", contents) for name, contents in found.items()}


def write_redist(directory: Path, label: str, arch: str = "x86_64", **changes: Any) -> Path:
    """Write the archives of a release and the JSON that lists them; returns the JSON's path.

    Args:
        label: ``release_label``, ``"12.6.3"``.
        changes: entries of the JSON's top level to put in, in place of what would be there; None leaves one out.
    """
    platform = PLATFORMS[arch]
    document: dict[str, Any] = {"release_date": "2024-11-20", "release_label": label, "release_product": "cuda"}
    for name, (version, contents) in components(label).items():
        relative = f"{name}/{platform}/{name}-{platform}-{version}-archive.tar.xz"
        data = archive(directory / relative, contents).read_bytes()
        entry = {"relative_path": relative, "sha256": hashlib.sha256(data).hexdigest(), "md5": "0" * 32}
        other = {**entry, "relative_path": f"{name}/windows-x86_64/{name}.zip", "size": "1"}
        document[name] = {
            "name": name,
            "license": "CUDA Toolkit",
            "license_path": f"{name}/LICENSE.txt",
            "version": version,
            platform: {**entry, "size": str(len(data))},
            "windows-x86_64": other,
        }
    document["cuda_compat"] = {"version": "1", "cuda_variant": ["13"], platform: {"cuda13": {"relative_path": "x"}}}
    document.update(changes)
    document = {key: value for key, value in document.items() if value is not None}
    path = directory / f"redistrib_{label}.json"
    path.write_text(json.dumps(document, indent=4))
    return path
