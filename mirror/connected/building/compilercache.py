"""ccache or sccache, where the machine has one: the same translation unit is not compiled twice, whatever else has changed.

A build sees no variable of the caller's; a compiler cache's own are the exception, because they say where this machine, or this
site, keeps compiled objects. They are no input of the build.

Rules: a cache lies in mirror's store unless the caller has said where; ccache's remote storage may be a directory
(``file:``), for a build reaches no network; sccache is used only through a server that was started outside and listens on a
socket in the file system (``SCCACHE_SERVER_UDS``), for the same reason; a build that is to verify another one takes no object
from anywhere, but has its commands: ccache hands the compiler paths relative to where it runs, and ``__FILE__`` shows them.

Example::

    compiler_cache(os.environ, store.root, room.path)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from mirror.connected.building.sandbox import SYSTEM_PATH

_CCACHE = ("CCACHE_DIR", "CCACHE_REMOTE_STORAGE", "CCACHE_SECONDARY_STORAGE", "CCACHE_MAXSIZE", "CCACHE_READONLY")


def compiler_cache(
    caller: Mapping[str, str],
    store: Path,
    build: Path,
    find: Callable[[str], str | None] = lambda name: shutil.which(name, path=SYSTEM_PATH),
    fresh: bool = False,
) -> dict[str, str]:
    """The variables that have a build use this machine's compiler cache; none where there is none.

    Args:
        caller: the environment of whoever started mirror.
        store: mirror's own directory.
        build: the directory of the build; ccache keeps its objects independent of it.
        find: looks a program up.
        fresh: for a build that verifies another one: the same commands, and all of it compiled.
    """
    sccache, ccache = find("sccache"), find("ccache")
    socket = caller.get("SCCACHE_SERVER_UDS", "")
    if sccache and socket:
        return {} if fresh else {**_launchers(sccache), "SCCACHE_SERVER_UDS": socket}
    if not ccache:
        return {}
    own = {
        "CCACHE_DIR": str((build if fresh else store) / "ccache"),
        "CCACHE_BASEDIR": str(build),
        "CCACHE_NOHASHDIR": "1",
    }
    own["CCACHE_COMPILERCHECK"] = "content"
    shared = {} if fresh else {name: caller[name] for name in _CCACHE if name in caller}
    return {**_launchers(ccache), **own, **shared}


def _launchers(program: str) -> dict[str, str]:
    """By the names of CMake and FlashInfer, and by the one of torch's cpp_extension."""
    cmake = ("CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_CUDA_COMPILER_LAUNCHER")
    names = (*cmake, "FLASHINFER_CXX_LAUNCHER", "FLASHINFER_NVCC_LAUNCHER")
    return {**dict.fromkeys(names, program), "PYTORCH_NVCC": f"{program} nvcc"}
