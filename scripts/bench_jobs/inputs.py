"""What the jobs read, made once and only when a job asks for it.

Rules: a bundle that the benchmark makes is signed by keys of its own below the work directory; a bundle that is given must be
trusted by the user already (``MIRROR_HOME``), and is verified before anything is measured.

Example::

    inputs = Inputs(Path(".quickstart/bench"), Path("lockfiles/quickstart.txt"))
    inputs.bundle
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import tomllib

from tests.support.wheels import make_wheel

from .peers import Peers

_SMALL = ("idna", "certifi", "six", "typing-extensions", "packaging")
"""Small projects that nearly every stack has, and that need nothing."""

_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
_ROOT = Path(__file__).resolve().parents[2]
MIRROR = (sys.executable, "-m", "mirror.cli.main")
"""The mirror of this checkout, found from any directory by PYTHONPATH."""


class NotPrepared(Exception):
    """An input could not be made; the message ends with what the command said."""


class Inputs:
    """The inputs of all jobs.

    Args:
        work: where they are kept between calls.
        stack: ``lockfiles/NAME.txt``.
        bundle: one that exists; None to make one of the stack.
        toolchain_repo: a copy of the stack's RPM repository; None to make that of ``scripts/cuda-rpms``.
        rpm_fingerprints: of the keys that signed it, where the stack names others.
        without_toolchain: leaves the CUDA toolchain out of the bundle that is made.
        say: told of each thing that is made.
    """

    def __init__(
        self,
        work: Path,
        stack: Path,
        *,
        bundle: Path | None = None,
        toolchain_repo: Path | None = None,
        rpm_fingerprints: Sequence[str] = (),
        without_toolchain: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.work, self.say = work.resolve(), say
        self._given, self._toolchain_repo, self._without_toolchain = bundle, toolchain_repo, without_toolchain
        self._rpm_fingerprints = rpm_fingerprints
        # What is locked for the measurement alone (the RPMs of a copy) is written beside a copy of the stack.
        self.stack = self._copied(stack.resolve(), "stack")
        os.environ["PYTHONPATH"] = str(_ROOT)
        if bundle is None:
            os.environ["MIRROR_HOME"] = str(self.work / "keys")

    def _copied(self, stack: Path, name: str) -> Path:
        """The lock, among copies of all files of its stack."""
        home = self.work / name
        home.mkdir(parents=True, exist_ok=True)
        for file in stack.parent.glob(f"{stack.stem}.*"):
            shutil.copy(file, home)
        return home / stack.name

    @property
    def toml(self) -> Path:
        return self.stack.with_suffix(".toml")

    @property
    def python(self) -> Path:
        """The interpreter itself, not a virtual environment's: what people make a venv from."""
        return Path(getattr(sys, "_base_executable", sys.executable)).resolve()

    @cached_property
    def wishes(self) -> dict[str, dict[str, object]]:
        """``NAME.toml``, parsed."""
        return tomllib.loads(self.toml.read_text())

    @cached_property
    def requirements(self) -> Path:
        """The stack's requirements as people keep them."""
        path = self.work / f"{self.stack.stem}.in"
        wished = self.wishes["python"]["requirements"]
        assert isinstance(wished, list), "requirements is a list of strings"
        path.write_text("".join(f"{line}\n" for line in wished))
        return path

    @cached_property
    def lock_for_pip(self) -> Path:
        """The lock without projects that are a file of their own, which pip's command line cannot name by an index."""
        path = self.work / f"{self.stack.stem}-for-pip.txt"
        blocks = re.split(r"\n(?=[\w#])", self.stack.read_text())
        path.write_text("\n".join(block for block in blocks if block.partition("==")[0] not in self.single) + "\n")
        return path

    @cached_property
    def single(self) -> frozenset[str]:
        """The projects that are on no index that pip can be named: a file of a release page, a page of links."""
        named: dict[str, object] = self.wishes["python"].get("index", {})  # type: ignore[assignment]
        return frozenset(
            project for project, index in named.items() if not isinstance(self.wishes["indexes"][str(index)], str)
        )

    @cached_property
    def bundle(self) -> Path:
        """A bundle that verifies."""
        path = self._given.resolve() if self._given else self._made_bundle()
        self._run("verifying", *MIRROR, "verify", str(path))
        return path

    def _made_bundle(self) -> Path:
        path = self.work / f"{self.stack.stem}{'-without-toolchain' if self._without_toolchain else ''}.tar"
        self._run("bundling", *MIRROR, "bundle", "--lock", str(self.stack), "-o", str(path), *self.rpm_options)
        return path

    @cached_property
    def rpm_options(self) -> tuple[str, ...]:
        """What ``mirror bundle`` is told of the toolchain."""
        if self._without_toolchain:
            return ("--without", "toolchain")
        signed = (word for one in self._rpm_fingerprints for word in ("--rpm-fingerprint", one))
        return ("--toolchain-repo", str(self._rpms()), *signed)

    @cached_property
    def standing(self) -> Path:
        """The user's own caches, in which all of the bundle is that stands."""
        assert self.bundle.is_file(), "it is made first"
        return _CACHES

    @cached_property
    def addresses(self) -> Path:
        """A directory with what curl is told to bring, and the digests of it."""
        directory = self.work / "addresses"
        directory.mkdir(exist_ok=True)
        steps = str(Path(__file__).with_name("steps.py"))
        self._run("listing", sys.executable, steps, "addresses", str(self.stack), str(directory))
        return directory

    @cached_property
    def locked(self) -> tuple[Path, Path]:
        """A cache with which the stack was locked twice, and its ``NAME.toml``, in a place of its own."""
        cache, stack = self.work / "locked-cache", self._copied(self.stack, "locked").with_suffix(".toml")
        for _ in range(2):
            self._run(
                "locking", "env", f"XDG_CACHE_HOME={cache}", *MIRROR, "lock", "--without", "toolchain", str(stack)
            )
        return cache, stack

    @cached_property
    def moved(self) -> Path:
        """A lock in which one small project has another version than in the stack's."""
        lock = self._copied(self.stack, "moved")
        before = dict(re.findall(r"^([\w.-]+)==(\S+)", self.stack.read_text(), re.MULTILINE))
        name = next((one for one in _SMALL if one in before), "")
        if not name:
            raise NotPrepared(f"the lock has none of {', '.join(_SMALL)}, of which one would be moved")
        stack, limit = lock.with_suffix(".toml"), f'constraints = ["{name}!={before[name]}"]\n'
        stack.write_text(self.toml.read_text().replace("[python]\n", f"[python]\n{limit}", 1))
        cache = f"XDG_CACHE_HOME={self.work / 'locked-cache'}"  # the user's are to know nothing of it
        self._run("locking", "env", cache, *MIRROR, "lock", "--without", "toolchain", str(stack))
        return lock

    @cached_property
    def peers(self) -> Peers:
        """What else carries wheels, and the stack's small projects."""
        pins = re.findall(rf"^(?:{'|'.join(_SMALL)})==\S+", self.stack.read_text(), re.MULTILINE)
        if not pins:
            raise NotPrepared(f"the lock has none of {', '.join(_SMALL)}, which the others can carry")
        return Peers(self.work / "peers", pins, self.python)

    def _rpms(self) -> Path:
        if self._toolchain_repo:
            return self._toolchain_repo.resolve()
        repository = self.work / "cuda-13.0"
        self._run("making RPMs:", sys.executable, str(_ROOT / "scripts/cuda-rpms"), "-o", str(repository))
        return repository

    @cached_property
    def checksum(self) -> Path:
        """``bundle.tar.sha256``, as people send it along."""
        path = self.work / f"{self.bundle.name}.sha256"
        path.write_bytes(subprocess.run(["sha256sum", self.bundle], capture_output=True, check=True).stdout)
        return path

    @cached_property
    def pyz(self) -> Path:
        """mirror.pyz: what the closed side runs."""
        path = self.work / "mirror.pyz"
        self._run("writing", *MIRROR, "installer", "-o", str(path))
        return path

    @cached_property
    def members(self) -> Path:
        """The bundle's members, unpacked: what ``tar`` packs, and the RPMs as files."""
        directory = self.work / f"{self.bundle.name}.members"
        subprocess.run(["rm", "-rf", directory], check=True)
        directory.mkdir()
        self._run("unpacking", "tar", "xf", str(self.bundle), "-C", str(directory))
        return directory

    def small_wheels(self, count: int) -> Path:
        """A lock of so many small wheels, which lie in a directory beside it."""
        home = self.work / f"growth-{count}"
        wheels = home / "made"
        wheels.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            make_wheel(wheels, f"small{number}", "1.0")
        asked = ", ".join(f'"small{number}==1.0"' for number in range(count))
        whence = "".join(f'small{number} = "here"\n' for number in range(count))
        (home / "growth.toml").write_text(
            '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n'
            f'[indexes]\nhere = {{ find-links = "{wheels.as_uri()}" }}\n'
            f"[python]\nrequirements = [{asked}]\n[python.index]\n{whence}"
        )
        self._run("locking", *MIRROR, "lock", str(home / "growth.toml"))
        return home / "growth.txt"

    def within(self, directory: str) -> tuple[Path, ...]:
        """The bundle's files below one of its directories; empty when it has none there."""
        return tuple(sorted(path for path in (self.members / directory).rglob("*") if path.is_file()))

    def _run(self, doing: str, *command: str) -> None:
        self.say(f"{doing} {Path(command[-1]).name}")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise NotPrepared(f"{' '.join(command[:4])} ...: exit code {done.returncode}\n{done.stdout[-1500:]}")
