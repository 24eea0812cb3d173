"""The schedule: the builds of a plan, what they take on this machine, and their order.

It finds the target's Python, unpacks the toolchain from the very RPMs or archives that the bundle will carry, and gives each
build to ``mirror.connected.building.builder``. The same code unpacks the toolchain on the closed side
(``mirror.core.toolkit.toolchain``).

Rules: a toolchain is unpacked once for each set of them and has its directory only when it is whole; a wheel is never built
with a Python of another minor version than the target's.

Example::

    wheels = build_wheels(plan, locks, paths, store, None, progress)
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from mirror.connected.building.builder import build_wheel
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.building.request import BuildRequest, Toolkit
from mirror.connected.building.sandbox import Limits
from mirror.connected.building.sources import OwnTree, Tree
from mirror.connected.fetching.store import Store, file_sha256, make_way
from mirror.connected.planning.locks import Locks
from mirror.connected.planning.plan import Plan
from mirror.connected.probe.sdist import probe_sdist
from mirror.core.errors import MirrorError
from mirror.core.names import Sha256Hex
from mirror.core.progress import SILENT, Progress
from mirror.core.target import Target
from mirror.core.toolkit.package import PackageSource
from mirror.core.toolkit.toolchain import unpack_toolchain
from mirror.core.trust.scratch import scratch_directory

Watch = Callable[[Sha256Hex, PackageSource], PackageSource]
"""Is given a package that is unpacked, with its digest, and gives what is read in its place."""


def _unwatched(digest: Sha256Hex, source: PackageSource) -> PackageSource:
    return source


class NoBuildPython(MirrorError):
    """Something is to be built, and the target's Python is not on this machine."""

    ref = "no-build-python"
    exit_code = 75
    hint = "Install that Python on this machine, or name one: --python /path/to/it"
    message = "wheels are to be built for Python {wanted}; this machine has {found}"

    wanted: str
    found: str


def build_wheels(
    plan: Plan,
    locks: Locks,
    paths: Mapping[Sha256Hex, Path],
    store: Store,
    python: Path | None = None,
    progress: Progress = SILENT,
    watched: Watch = _unwatched,
) -> tuple[BuiltWheel, ...]:
    """Build what the plan says, in its order.

    Args:
        paths: the fetched files by digest.
        python: interpreter of the target's minor version; looked for when None.
        watched: is given each package of a toolchain that is unpacked, with its digest, and gives what is read in its place.

    Raises:
        NoBuildPython: when there is none.
        MirrorError: as ``unpack_toolchain`` and ``build_wheel`` do.
    """
    with scratch_directory("mirror-sdist-") as directory:
        requests = build_requests(plan, locks, paths, store, directory, python, progress, watched)
        return tuple(build_wheel(request, store, progress=progress) for request in requests)


def build_requests(
    plan: Plan,
    locks: Locks,
    paths: Mapping[Sha256Hex, Path],
    store: Store,
    scratch: Path,
    python: Path | None = None,
    progress: Progress = SILENT,
    watched: Watch = _unwatched,
) -> tuple[BuildRequest, ...]:
    """The builds of a plan with all that they take, in its order; the toolchain is unpacked for them.

    Args:
        scratch: an empty directory that outlives the requests.

    Raises:
        NoBuildPython: when there is no interpreter for them.
        MirrorError: as ``unpack_toolchain`` does.
    """
    if not plan.builds:
        return ()
    interpreter = find_python(plan.target, python)
    toolkit = _toolkit(plan, locks, paths, store, progress, watched)
    requirements = tuple(paths[item.sha256] for item in plan.build_requirements)
    requests = []
    for build in plan.builds:
        sdist, settings = paths[build.sdist.sha256] if build.sdist else probe_sdist(scratch), build.settings
        request = BuildRequest(
            project=build.name,
            version=build.version,
            sdist=sdist,
            sdist_sha256=file_sha256(sdist),
            requirements=requirements if build.sdist else (),
            python=interpreter,
            target=plan.target,
            toolkit=toolkit,
            environment=dict(settings.environment),
            own=OwnTree(settings.own, paths) if settings.own else None,
            trees=tuple(Tree(one, paths) for one in settings.sources),
            patches=settings.patches,
            limits=Limits(settings.limit_minutes * 60, settings.limit_gib << 30),
            job_gib=settings.job_gib,
        )
        requests.append(request)
    return tuple(requests)


def find_python(target: Target, given: Path | None = None) -> Path:
    """An interpreter of the target's minor version.

    Raises:
        NoBuildPython: when the given one, or every one on PATH, is of another.
    """
    tried = []
    for candidate in [given] if given else _candidates(target.python):
        version = _version(candidate)
        if version == target.python:
            return candidate
        tried.append(f"{candidate} ({version or 'not a Python'})")
    raise NoBuildPython(target.python, ", ".join(tried))


def _candidates(minor: str) -> Iterator[Path]:
    yield Path(sys.executable)
    found = shutil.which(f"python{minor}")
    if found:
        yield Path(found)


def _version(python: Path) -> str:
    command = [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def toolkit_key(target: Target, digests: Iterable[Sha256Hex]) -> Sha256Hex:
    """What a toolkit that is unpacked from packages of these digests goes by, in whatever order they are named."""
    names = "\n".join(sorted(digests))
    return Sha256Hex(hashlib.sha256(f"{target.cuda} {target.arch}\n{names}".encode()).hexdigest())


def _toolkit(
    plan: Plan, locks: Locks, paths: Mapping[Sha256Hex, Path], store: Store, progress: Progress, watched: Watch
) -> Toolkit | None:
    """The CUDA toolkit unpacked from the plan's RPMs or component archives; None when it has none."""
    parts = plan.toolchain
    if not parts or locks.toolchain is None:
        return None
    key = toolkit_key(plan.target, (part.download.sha256 for part in parts))
    home = store.root / "toolchains" / key[:16]
    if home.is_dir():
        return Toolkit(home, key)
    home.parent.mkdir(parents=True, exist_ok=True)
    with store.scratch() as scratch:
        draft = scratch / "cuda"
        sources = locks.toolchain.sources(paths, plan.target)
        make_way(home, stat.S_ISDIR)
        unpack_toolchain([watched(*one) for one in sources.items()], draft, plan.target, progress=progress)
        try:
            draft.rename(home)
        except OSError:  # another run was faster; its tree is as good
            if not home.is_dir():
                raise
    return Toolkit(home, key)
