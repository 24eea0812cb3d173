"""The CUDA toolkit: the bundle's RPMs or component archives, unpacked into a generation without rpm and without root.

It hands the packages (``mirror.core.toolkit.carried``), straight out of the bundle, to ``mirror.core.toolkit.toolchain``, which
checks each again, its digest and an RPM's vendor's signature, and unpacks. ``mirror.closed.environment.variables`` and
``mirror.closed.selftest.selftest`` use the toolkit.

Rules:
(1) which keys are trusted comes from the signed ``rpms.json``, never from an RPM or from the host;
(2) the bytes that are unpacked are those of the signed manifest, whatever became of the file since it was verified.

Example::

    unpack_toolkit(bundle, generation.cuda)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mirror.core.archives.zstdframe import Zstd
from mirror.core.bundle.reader import Bundle
from mirror.core.cuda.redistnames import asked_for_by, redist_name_of
from mirror.core.progress import SILENT, Progress
from mirror.core.toolkit.carried import carried_archives, carried_rpms
from mirror.core.toolkit.toolchain import Dangling, Toolchain, unpack_toolchain


def unpack_toolkit(
    bundle: Bundle, root: Path, jobs: int = 0, progress: Progress = SILENT, zstd: Zstd | None = None
) -> Toolchain:
    """Unpack every RPM and component archive of the bundle, so that ``root/bin/nvcc`` is the compiler.

    Args:
        root: where; it must not exist.
        jobs: how many packages to read at once; 0 for one per processor.
        zstd: decompresses where this Python cannot (``mirror.closed.toolkit.zstd``).

    Raises:
        DigestMismatch: when one of them has changed since the bundle was verified.
        InvalidDocument: when an RPM is another than the list says.
        MirrorError: as ``carried_rpms``, ``carried_archives`` and ``mirror.core.toolkit.toolchain`` say.
    """
    rpms, archives, target = carried_rpms(bundle, zstd), carried_archives(bundle), bundle.manifest.target
    toolchain = unpack_toolchain((*rpms, *archives), root, target, jobs=jobs, progress=progress)
    if not archives:
        return toolchain
    lost = (replace(link, package=redist_name_of(link.package, target.cuda)) for link in toolchain.dangling)
    return replace(toolchain, dangling=tuple(lost))


def dangling_notes(links: Iterable[Dangling]) -> tuple[str, ...]:
    """What an operator should know of links that lead nowhere; one sentence each."""
    return tuple(
        f"the toolkit's link {link} leads nowhere"
        + (f": add {link.package!r} to {'.'.join(asked_for_by(link.package))}" if link.package else "")
        for link in links
    )
