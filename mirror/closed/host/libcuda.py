"""Where Triton looks for the driver's library when it links a launcher.

Rule: as ``libcuda_dirs`` of triton/backends/nvidia/driver.py has it (read in 3.6.0): the directory that is named, or those that
the loader's cache knows, or else those of ``LD_LIBRARY_PATH`` that hold it; found only when one of them does.

Example::

    libcuda_directories(os.environ)     # (PosixPath('/usr/lib/x86_64-linux-gnu'),)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mirror.closed.host.command import run

NAME = "libcuda.so.1"


def libcuda_directories(variables: Mapping[str, str]) -> tuple[Path, ...]:
    """The directories that Triton gives the linker; empty when it finds none.

    Args:
        variables: the server's: ``TRITON_LIBCUDA_PATH`` and ``LD_LIBRARY_PATH``.
    """
    if named := variables.get("TRITON_LIBCUDA_PATH"):
        return (Path(named),)
    listed = run(["/sbin/ldconfig", "-p"], {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, timeout_s=20).output.splitlines()
    places = [Path(line.split()[-1]).parent for line in listed if NAME in line]
    if not places:
        places = [Path(place) for place in variables.get("LD_LIBRARY_PATH", "").split(":") if place]
        places = [place for place in places if (place / NAME).exists()]
    return tuple(dict.fromkeys(places)) if any((place / NAME).exists() for place in places) else ()
