"""All of it: fetch the wheels, make the packages in parallel, compare them with their pins, write the repository.

Rules: an RPM that is there with the pinned digest is not made again, so a second run takes a second and needs no network;
an RPM whose bytes differ from its pin ends the run, for a lock that names it would refuse it.

Example::

    make_repository(Path("repo"), group="compiler", progress=SILENT)
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

from mirror.core.progress import Progress

from .demokey import CREATED, USER_ID, demo_key
from .layout import GROUPS, HOME, RECIPES, TARGET, Recipe, parents, sonames, targets
from .openpgp import RsaKey
from .repodata import write_repodata
from .rpmfile import Dependency, Member, Spec, write_rpm
from .stub import driver_functions, stub_library
from .wheels import Wheel, fetch_wheels, pinned

PINS = Path(__file__).with_name("rpms.sha256")

_DRIVER_HEADERS = ("cuda.h", "cudaGL.h", "cudaEGL.h", "cudaVDPAU.h")
_DESCRIPTION = (
    "NVIDIA's files of CUDA 13.0.2, unchanged, taken from NVIDIA's wheels and packed by mirror's scripts/cuda-rpms for "
    "demonstration. This is not NVIDIA's package, and the key that signed it protects nothing."
)


class WrongBytes(Exception):
    """This machine made other bytes than the pinned ones."""

    def __init__(self, filenames: Sequence[str]) -> None:
        super().__init__(filenames)
        self.filenames = filenames

    def __str__(self) -> str:
        return (
            f"{', '.join(self.filenames)}: made here with other bytes than {PINS.name} pins. Either liblzma is none of 5.2 "
            "to 5.8, or this script was changed: then run it with --torch --record, and lock again"
        )


def make_repository(
    directory: Path,
    *,
    group: str,
    progress: Progress,
    record: bool = False,
    pins: Path = PINS,
    bring: Callable[[set[str], Progress], dict[str, Wheel]] = fetch_wheels,
) -> list[Path]:
    """Make the repository, or what is missing of it, and return its RPMs.

    Args:
        directory: made when it is not there; RPMs lie flat in it, as in NVIDIA's.
        group: up to which of ``GROUPS``: ``"math"`` is about 520 MB more than ``"compiler"``, ``"torch"`` again about 400.
        progress: told of each step.
        record: write ``pins`` instead of comparing with them; only with ``"torch"``, which is everything.
        pins: the digests that the packages must have.
        bring: gives the wheels of these projects.

    Raises:
        WrongBytes: when an RPM differs from its pin.
        MirrorError: when a wheel cannot be fetched or a file not be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    versions = {project: wheel.version for project, wheel in pinned().items()}
    groups = GROUPS[: GROUPS.index(group) + 1]
    wanted = {spec(recipe, versions).filename: recipe for recipe in RECIPES if recipe.group in groups}
    expected = {} if record else read_pins(pins)
    todo = {name: recipe for name, recipe in wanted.items() if _digest(directory / name) != expected.get(name, "none")}
    progress.say(f"{len(wanted)} packages, {len(wanted) - len(todo)} of them here already")
    if todo:
        wheels = bring({recipe.wheel for recipe in todo.values() if recipe.wheel}, progress)
        _make(directory, todo, wheels, progress)
    made = {name: _digest(directory / name) for name in wanted}
    if record:
        pins.write_text("".join(f"{digest}  {name}\n" for name, digest in sorted(made.items())))
    elif wrong := sorted(name for name, digest in made.items() if digest != expected.get(name)):
        raise WrongBytes(wrong)
    rpms = [directory / name for name in sorted(wanted)]
    write_repodata(directory, rpms, demo_key(), USER_ID, CREATED)
    return rpms


def read_pins(path: Path = PINS) -> dict[str, str]:
    """The digests of ``rpms.sha256``, by file name."""
    return {name: digest for digest, name in (line.split() for line in path.read_text().splitlines())}


def spec(recipe: Recipe, versions: dict[str, str], offered: Sequence[str] = ()) -> Spec:
    """What a package says of itself. ``offered`` are the SONAMEs in it."""
    elf = ("libc.so.6()(64bit)", "ld-linux-x86-64.so.2()(64bit)") if offered or "bin/*" in recipe.take else ()
    return Spec(
        name=recipe.name,
        version=recipe.version or versions[recipe.wheel],
        arch=recipe.arch,
        summary=recipe.summary,
        description=_DESCRIPTION,
        license="LicenseRef-NVIDIA-Proprietary",
        vendor="mirror demonstration repository",
        url="https://developer.nvidia.com/cuda-zone",
        build_time=CREATED,
        requires=tuple(Dependency.parse(text) for text in (*recipe.requires, *elf)),
        provides=tuple(Dependency(f"{soname}()(64bit)") for soname in offered),
        obsoletes=tuple(Dependency.parse(text) for text in recipe.obsoletes),
        posttrans=recipe.posttrans,
    )


def _make(directory: Path, todo: dict[str, Recipe], wheels: dict[str, Wheel], progress: Progress) -> None:
    """Make packages in parallel, the largest first. Threads will do: xz, zip and SHA-256 release the interpreter."""
    key = demo_key()
    order = sorted(todo.items(), key=lambda item: -_weight(item[1], wheels))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures = [pool.submit(_make_one, directory / name, recipe, wheels, key) for name, recipe in order]
        try:
            for future in as_completed(futures):
                path = future.result()
                progress.say(f"made {path.name} ({path.stat().st_size / 1e6:.1f} MB)")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _weight(recipe: Recipe, wheels: dict[str, Wheel]) -> int:
    if not recipe.wheel or not recipe.take:
        return 0
    with zipfile.ZipFile(wheels[recipe.wheel].path) as wheel:
        paths = {item.source for item in targets(recipe, "0", wheel.namelist())}
        return sum(info.file_size for info in wheel.infolist() if info.filename in paths)


def _make_one(path: Path, recipe: Recipe, wheels: dict[str, Wheel], key: RsaKey) -> Path:
    versions = {project: wheel.version for project, wheel in wheels.items()}
    if not recipe.wheel:
        own = [Member.of_bytes(name, text.encode()) for name, text in recipe.files]
        write_rpm(path, spec(recipe, versions), own, key)
        return path
    with zipfile.ZipFile(wheels[recipe.wheel].path) as wheel:
        if recipe.name.startswith("cuda-driver-devel"):
            members = _stub_members(wheel)
        else:
            members = list(_wheel_members(recipe, versions[recipe.wheel], wheel))
        offered = sonames(recipe, wheel.namelist())
        members += [Member.directory(parent) for parent in parents(member.path for member in members)]
        members.append(_licence(recipe, wheel))
        write_rpm(path, spec(recipe, versions, offered), members, key)
    return path


def _wheel_members(recipe: Recipe, version: str, wheel: zipfile.ZipFile) -> Iterator[Member]:
    for item in targets(recipe, version, wheel.namelist()):
        if item.link:
            yield Member.symlink(item.path, item.link)
        else:
            mode = stat.S_IFREG | (0o755 if item.executable else 0o644)
            yield Member(item.path, mode, wheel.getinfo(item.source).file_size, open=_opener(wheel, item.source))


def _opener(wheel: zipfile.ZipFile, name: str) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", wheel.open(name))


def _stub_members(wheel: zipfile.ZipFile) -> list[Member]:
    texts = [wheel.read(f"nvidia/cu13/include/{name}").decode() for name in _DRIVER_HEADERS]
    stub = stub_library("libcuda.so.1", driver_functions(texts))
    member = Member.of_bytes(f"{TARGET}/lib/stubs/libcuda.so", stub, 0o755)
    return [member, Member.symlink(f"{HOME}/lib64", "targets/x86_64-linux/lib")]


def _licence(recipe: Recipe, wheel: zipfile.ZipFile) -> Member:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/licenses/License.txt"))
    return replace(
        Member.of_bytes(f"/usr/share/licenses/{recipe.name}/License.txt", b""),
        size=wheel.getinfo(name).file_size,
        open=_opener(wheel, name),
    )


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
