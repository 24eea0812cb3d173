"""PEP 517 backend of the probe: nvcc makes the kernel's machine code, zipfile the wheel. It needs nothing else.

The GPU comes from ``CUDAARCHS``, as CMake spells it (``90a``); nvcc is ``$CUDA_HOME/bin/nvcc``, or the one on ``PATH``. The
wheel holds no host code, so it fits any Linux with any C library; its bytes depend on the sources and nvcc alone.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

PACKAGE = "mirror_probe"
HERE = Path(__file__).parent


def build_wheel(wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None) -> str:
    metadata = (HERE / "PKG-INFO").read_bytes()
    version = HeaderParser().parsestr(metadata.decode("utf-8"))["Version"]
    information = f"{PACKAGE}-{version}.dist-info"
    members = {f"{PACKAGE}/{path.name}": path.read_bytes() for path in sorted((HERE / PACKAGE).glob("*.py"))}
    architecture = gpu_architecture()
    members[f"{PACKAGE}/kernel.{architecture}.cubin"] = compiled_kernel(architecture)
    members[f"{information}/METADATA"] = metadata
    members[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: mirror-probe\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = f"{information}/RECORD"
    members[record] = record_of(members, record)
    name = f"{PACKAGE}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_STORED) as archive:
        for path, data in members.items():
            member = zipfile.ZipInfo(path)  # dated 1980-01-01
            member.external_attr = 0o100644 << 16
            archive.writestr(member, data)
    return name


def gpu_architecture() -> str:
    digits = os.environ.get("CUDAARCHS", "")
    if not digits:
        raise SystemExit("CUDAARCHS is not set: which GPU is this probe for? Set it to 90a for an H100.")
    return f"sm_{digits}"


def compiled_kernel(architecture: str) -> bytes:
    home = os.environ.get("CUDA_HOME")
    nvcc = str(Path(home) / "bin" / "nvcc") if home else shutil.which("nvcc")
    if nvcc is None:
        raise SystemExit("no nvcc: CUDA_HOME is not set and none is on PATH")
    # Relative names and a fixed directory: nothing of this machine gets into the machine code.
    command = [nvcc, "-cubin", f"-arch={architecture}", "-o", "kernel.cubin", "kernel.cu"]
    subprocess.run(command, cwd=HERE, check=True)
    return (HERE / "kernel.cubin").read_bytes()


def record_of(members: dict[str, bytes], record: str) -> bytes:
    lines = []
    for path, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode("ascii")
        lines.append(f"{path},sha256={digest},{len(data)}\n")
    return "".join([*lines, f"{record},,\n"]).encode("ascii")
