"""Real shared libraries, made by this machine's gcc, and GPU code in them as fatbinary writes it.

Example::

    make_library(tmp_path / "libinner.so.2", soname="libinner.so.2", versions={"INNER_2": ["inner"]})
    make_library(tmp_path / "libkernels.so", gpu_code=["sm_90a", "compute_90"])
"""

from __future__ import annotations

import platform
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

_SPECIFIC, _FAMILY = 0x100000, 0x200000

THREADS = """
#include <pthread.h>
#include <stdlib.h>
int start(pthread_t *thread) { return pthread_create ? pthread_create(thread, 0, 0, 0) : atoi("3"); }
"""
"""C that needs GLIBC_2.34 for pthread_create, where the machine's glibc is that new."""


def _links_against_glibc_2_34() -> bool:
    if platform.machine() != "x86_64" or not shutil.which("gcc"):
        return False
    name, release = platform.libc_ver()
    return name == "glibc" and tuple(map(int, release.split(".")[:2])) >= (2, 34)


needs_newer_glibc = pytest.mark.skipif(not _links_against_glibc_2_34(), reason="needs gcc and glibc 2.34 on x86_64")


def make_library(
    path: Path,
    *,
    soname: str = "",
    needs: Sequence[Path] = (),
    runpath: str = "",
    rpath: str = "",
    versions: Mapping[str, Sequence[str]] | None = None,
    defines: Sequence[str] = (),
    uses: Sequence[str] = (),
    gpu_code: Sequence[str] = (),
    source: str = "",
    options: Sequence[str] = (),
) -> Path:
    """Compile a library.

    Args:
        path: where it goes; its directories are made.
        soname: its own name.
        needs: libraries that it is linked against, used or not.
        runpath: searched after LD_LIBRARY_PATH.
        rpath: searched before it.
        versions: symbol version -> functions that it defines under it.
        defines: functions without a version.
        uses: functions of others that it calls.
        gpu_code: architectures of the images in its ``.nv_fatbin`` section.
        source: more C.
        options: more of gcc's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    code, script = path.with_name(path.name + ".c"), path.with_name(path.name + ".map")
    named = [*defines, *(name for names in (versions or {}).values() for name in names)]
    calls = "".join(f"int {name}(void);\n" for name in uses)
    body = " + ".join([*(f"{name}()" for name in uses), "0"])
    code.write_text(
        "".join(f"int {name}(void) {{ return 1; }}\n" for name in named)
        + f"{calls}int calls_them(void) {{ return {body}; }}\n{source}"
    )
    command = ["gcc", "-shared", "-fPIC", str(code), "-o", str(path), "-Wl,--no-as-needed", *map(str, needs)]
    command += [f"-Wl,-soname,{soname}"] * bool(soname)
    command += ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"] if runpath else []
    command += ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{rpath}"] if rpath else []
    if versions:
        script.write_text("".join(f"{name} {{ global: {'; '.join(names)}; }};\n" for name, names in versions.items()))
        command.append(f"-Wl,--version-script={script}")
    subprocess.run([*command, *options], check=True, timeout=60)
    code.unlink()
    script.unlink(missing_ok=True)
    if gpu_code:
        add_gpu_code(path, gpu_code)
    return path


def add_gpu_code(path: Path, architectures: Sequence[str]) -> None:
    """Give a library a ``.nv_fatbin`` section with an image for each architecture."""
    section = path.with_name(path.name + ".fatbin")
    section.write_bytes(container(*(image(architecture) for architecture in architectures)))
    subprocess.run(["objcopy", f"--add-section=.nv_fatbin={section}", str(path)], check=True, timeout=60)
    section.unlink()


def container(*images: bytes) -> bytes:
    """What nvcc makes of one source file."""
    body = b"".join(images)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def image(architecture: str) -> bytes:
    """Code for ``"sm_90a"`` or PTX for ``"compute_90"``, with nothing in it."""
    kind = 1 if architecture.startswith("compute_") else 2
    number = architecture.rpartition("_")[2]
    flags = 0x11 | (_SPECIFIC if number.endswith("a") else _FAMILY if number.endswith("f") else 0)
    header = struct.pack(
        "<HHIQIIHHIIIQQQ", kind, 0x101, 64, 24, 0, 0, 8, 1, int(number.rstrip("af")), 0, 0, flags, 0, 0
    )
    return header + bytes(24)
