"""The room in which one wheel is built: its directory, its interpreter with the pinned requirements, its environment.

``mirror.connected.building.builder`` works in it; ``mirror.connected.building.sandbox`` keeps the network out.

Rules: the directory has one fixed name for one request and one store, so that a path which gets into the outcome is always
the same; nothing of the caller's environment comes in; the interpreter sees the pinned wheels and nothing else; what a killed
build left goes when the next one begins; the disk takes its time to forget gigabytes, and that is said.

Example::

    with Workshop(store.root / "build" / key[:16]) as room:
        room.furnish(python, wheels, log)
        environment = room.environment(target, cuda_home=None, epoch=0)
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import pyproject_hooks
import uv

from mirror.connected.building.resources import jobs
from mirror.connected.building.sandbox import SYSTEM_PATH, run_cut_off
from mirror.connected.fetching.claim import claimed, sweep
from mirror.connected.fetching.store import file_sha256
from mirror.connected.pins.standards import read_wheel_name
from mirror.core.errors import writing
from mirror.core.kinds import WHEEL
from mirror.core.progress import SILENT, Progress
from mirror.core.target import Target
from mirror.core.words import human_bytes

_BUILT_IN, _CUDA_IN = "/build", "/cuda"
"""What compiled files call the directory that they were built in, and the toolkit's."""

_UNWRITABLE = re.compile(r"[^\w/.+@:~-]", re.ASCII)
"""What a list of compiler flags in a variable, nvcc's own with commas, or the flag takes apart or for something else."""

_TOLD_BYTES = 1 << 30
"""A directory of that size is not gone in a moment: it took 18 to 61 seconds with a torch in it."""

_RANDOM_NAME = re.compile(r"((?:<build>/tmp|<tmp>)/|\.tmp-)[\w-]+")
"""Names of temporary files: the compiler's, the hooks', and setuptools' own directory for the wheel."""


class Workshop:
    """A directory that is empty on entering and gone on leaving; one process at a time is in it.

    Attributes:
        python: the interpreter that the build runs.
        progress: is told when removing it takes a while.
    """

    def __init__(self, path: Path, progress: Progress = SILENT) -> None:
        self.path, self.progress = path, progress
        self.python = path / "env" / "bin" / "python"
        self.source, self.out, self.trees = path / "src", path / "out", path / "sources"
        self._home, self._temporary, self._wheels = path / "home", path / "tmp", path / WHEEL.directory

    def __enter__(self) -> Workshop:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            sweep(self.path.parent, self._remove)
            with ExitStack() as claim:
                claim.enter_context(claimed(self.path, self._remove))
                rooms = (self.source, self.out, self.trees, self._home, self._temporary, self._wheels)
                for directory in (self.path, *rooms):
                    directory.mkdir()
                    directory.chmod(0o755)
                self._claim = claim.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._claim.close()

    def _remove(self, path: Path) -> None:
        size = sum(_size(Path(directory, name)) for directory, _, names in os.walk(path) for name in names)
        if size >= _TOLD_BYTES:
            self.progress.say(f"removing {path}, where a build was ({human_bytes(size)})")
        shutil.rmtree(path, ignore_errors=True)

    def furnish(self, python: Path, requirements: Sequence[Path], log: BinaryIO) -> bool:
        """Make the virtual environment from exactly these wheels; False when uv refuses, with its words in the log."""
        lines = []
        for wheel in sorted(requirements, key=lambda path: path.name):
            (self._wheels / wheel.name).symlink_to(wheel.absolute())
            name, version, _, _ = read_wheel_name(wheel.name)
            lines.append(f"{name}=={version} --hash=sha256:{file_sha256(wheel)}\n")
        listed = self.path / "requirements.txt"
        listed.write_text("".join(lines), encoding="utf-8")
        made = self._uv(log, "venv", "--no-project", "--python", str(python), str(self.path / "env"))
        if not made or not lines:
            return made
        index = ("--no-index", "--find-links", str(self._wheels), "--no-deps", "--require-hashes")
        return self._uv(log, "pip", "install", "--python", str(self.python), *index, "-r", str(listed))

    def _uv(self, log: BinaryIO, *arguments: str) -> bool:
        # No cache: its files are linked into environments, and a build may write into its own.
        fixed = ("--offline", "--no-cache", "--no-config", "--no-python-downloads", "--quiet")
        environment = {"PATH": SYSTEM_PATH, "HOME": str(self._home), "TMPDIR": str(self._temporary)}
        command = [uv.find_uv_bin(), *arguments, *fixed]
        return run_cut_off(command, cwd=self.path, environment=environment, log=log) == 0

    def environment(self, target: Target, cuda_home: Path | None, epoch: int, job_gib: int = 0) -> dict[str, str]:
        """All the variables of a build: same request, same values but for how many jobs there are, whoever calls from
        wherever."""
        count = str(jobs(bool(target.gpu), job_gib))
        common = {
            "PATH": f"{self.python.parent}:{SYSTEM_PATH}",
            "VIRTUAL_ENV": str(self.python.parent.parent),
            "HOME": str(self._home),
            "TMPDIR": str(self._temporary),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "NO_COLOR": "1",
            "SOURCE_DATE_EPOCH": str(epoch),
            "PYTHONHASHSEED": "0",
            "PYTHONNOUSERSITE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "MAX_JOBS": count,
            "CMAKE_BUILD_PARALLEL_LEVEL": count,
            "NVCC_THREADS": "1",  # for several GPUs at once, and there is one; each thread takes as much memory as a job
            # A build that calls an installer should fail at once, not after minutes of asking an index that is cut off.
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_OFFLINE": "1",
        }
        if target.gpu:
            common.update(target.gpu_variables)
        if cuda_home is not None:
            common.update(_toolkit_variables(cuda_home.absolute()))
            common["PATH"] = f"{self.python.parent}:{cuda_home.absolute() / 'bin'}:{SYSTEM_PATH}"
        return common

    def unplaced(self, variables: Mapping[str, str], cuda_home: Path | None) -> dict[str, str]:
        """The variables, with flags that keep this machine's directories out of what is compiled (``__FILE__`` of a check in a
        header, debug information): after a project's own, whoever sets them."""
        places = {self.path: _BUILT_IN, **({cuda_home.absolute(): _CUDA_IN} if cuda_home else {})}
        flags = [f"-ffile-prefix-map={place}={name}" for place, name in places.items()]
        if any(_UNWRITABLE.search(str(place)) for place in places):
            flags = []  # none can hold such a path; what names it in the wheel is told
        for_nvcc = [*_steady(cuda_home), *(f"-Xcompiler={flag}" for flag in flags)] if cuda_home else []
        added = {"CFLAGS": flags, "CXXFLAGS": flags, "NVCC_APPEND_FLAGS": for_nvcc}
        return {
            **variables,
            **{name: " ".join([variables.get(name, ""), *more]).strip() for name, more in added.items() if more},
        }

    def settled(self, lines: Iterable[str]) -> Iterator[str]:
        """A log without what differs between equal builds: paths of this machine, random names, the order of a directory."""
        words = {
            str(self.path): "<build>",
            str(Path(pyproject_hooks.__file__).parent): "<hooks>",
            tempfile.gettempdir(): "<tmp>",
        }
        # In one pass, and only where a path begins: /tmp is also the end of the build's own directory for such files.
        longest_first = "|".join(re.escape(path) for path in sorted(words, key=len, reverse=True))
        places = re.compile(rf"(?<![\w.-])(?:{longest_first})\b")

        def placeless(line: str) -> str:
            if "/" not in line and ".tmp-" not in line:  # neither matches, and a log has many lines
                return line
            return _RANDOM_NAME.sub(r"\1*", places.sub(lambda found: words[found[0]], line))

        said = map(placeless, lines)
        # setuptools copies files in the order in which the file system lists them.
        for copies, run in groupby(said, key=lambda line: line.startswith("copying ")):
            if copies:
                yield from sorted(run)
            else:
                yield from run


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _steady(cuda_home: Path) -> list[str]:
    """What keeps the number of nvcc's process out of its objects: it names intermediate files after it (with -objtemp after the
    object), and what is internal to a file without an external definition (with a seed after that). No two files' names clash,
    for their paths' checksums stand in them, too."""
    try:
        knows = b"frandom-seed" in (cuda_home / "bin" / "nvcc").read_bytes()
    except OSError:
        knows = False
    return ["-objtemp", *(["-frandom-seed=mirror"] if knows else [])]


def _toolkit_variables(home: Path) -> dict[str, str]:
    """CUDA.md A5: nvcc finds its own tree; host compilers need the include and library directories."""
    return {
        "CUDA_HOME": str(home),
        "CUDA_PATH": str(home),
        "CUDACXX": str(home / "bin" / "nvcc"),
        "CPATH": str(home / "include"),
        "LIBRARY_PATH": f"{home / 'lib64'}:{home / 'lib64' / 'stubs'}",
    }
