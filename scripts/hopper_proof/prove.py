"""The proof itself, on the machine with the GPU; needs Python 3.9 or newer, a driver, g++ and the machine's own torch.

Every step prints what it runs and what came out; the last lines say which of them held. As root it becomes an ordinary user
first, and it always goes into a network namespace of its own where the kernel allows one.

Example::

    python3 prove.py DIRECTORY...  # of bundle.tar.volumes, other.delta, mirror.pyz, fingerprint, ...; of further volumes
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_USER = 12345
"""Nobody's number on the machine: no name, no group, no home but the one that is made here."""

NO_MULTICAST = {
    "NCCL_NVLS_ENABLE": "0",
    "TORCH_SYMM_MEM_DISABLE_MULTICAST": "1",
    "NVSHMEM_DISABLE_NVLS": "1",
    "VLLM_ALLREDUCE_USE_SYMM_MEM": "0",
    "VLLM_ALLREDUCE_USE_FLASHINFER": "0",
}
"""NVLink multicast is left alone: on a host whose GPUs others share it can put all of them out of service."""

_LEFT_OUT = ("libcublas-devel-13-0", "cuda-nvrtc-devel-13-0")
"""What FlashInfer's other kernels need, and the proof's bundle does not carry: 470 MB."""


class Proof:
    """The steps, in order, and what held."""

    def __init__(self, directories: Sequence[Path], work: Path) -> None:
        self.directory, self.work = directories[0], work
        self.bundle = self.directory / "bundle.tar.volumes"
        self.volumes = [word for place in directories for word in ("--volumes", str(place))]
        self.prefix = work / "installed"
        self.options: list[str] = []
        """Of ``mirror install``."""
        self.claims: list[tuple[bool, str]] = []

    def claim(self, holds: bool, what: str) -> None:
        self.claims.append((holds, what))
        print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)

    def run(
        self, *command: str | Path, line: str = "", shown: bool = True, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        print(f"$ {line or ' '.join(words)}", flush=True)
        everything = {**os.environ, **variables}
        try:
            done = subprocess.run(
                words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=everything, check=False
            )
        except OSError as exc:
            done = subprocess.CompletedProcess(words, 127, stdout=f"{words[0]}: {exc.strerror}")
        print(done.stdout.rstrip() if shown else f"({len(done.stdout.splitlines())} lines)", flush=True)
        return done

    def mirror(self, *words: str | Path, shown: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", self.directory / "mirror.pyz", *words]
        line = " ".join(["mirror.pyz", *(str(word) for word in words)])
        return self.run(*command, line=line, shown=shown, **variables)

    def all(self) -> int:
        self.where()
        self.install_bundle()
        self.doctor()
        self.kernels()
        first = self.attention("first start: FlashInfer compiles with the installed toolchain")
        second = self.attention("second start, same toolchain")
        self.compare(first, second)
        self.other_toolchain(first)
        failed = [what for holds, what in self.claims if not holds]
        heading(f"{len(self.claims) - len(failed)} of {len(self.claims)} claims hold")
        for holds, what in self.claims:
            print(f"{'ok  ' if holds else 'FAIL'} {what}")
        return 1 if failed else 0

    def where(self) -> None:
        heading("where")
        self.run("uname", "-srm")
        self.run("nvidia-smi", "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv")
        self.claim(os.geteuid() != 0, f"an ordinary user: uid {os.geteuid()}")
        self.claim(not network(), "no network: a connection is refused by the kernel at once")

    def install_bundle(self) -> None:
        """From its volumes, where they lie."""
        heading(f"install {self.bundle.name}")
        fingerprint = (self.directory / "fingerprint").read_text().strip()
        self.mirror("trust", "add", self.bundle, *self.volumes, "--fingerprint", fingerprint)
        done = self.mirror("install", self.bundle, *self.volumes, "--prefix", self.prefix, *self.options)
        self.claim(done.returncode == 0, f"mirror install {self.bundle.name}")

    def doctor(self) -> None:
        heading("doctor")
        self.mirror("doctor", "--prefix", self.prefix)
        self.mirror("doctor", "--prefix", self.prefix, "--page")
        done = self.mirror("doctor", "--prefix", self.prefix, "--json", shown=False)
        try:
            findings = json.loads(done.stdout[done.stdout.index("{") :])["findings"]
        except (ValueError, KeyError):
            self.claim(False, "mirror doctor")
            return
        problems = [one for one in findings if one["level"] == "problem"]
        left_out = [
            one for one in problems if one.get("row") == "20" and any(name in one["what"] for name in _LEFT_OUT)
        ]
        self.claim(
            problems == left_out and len(left_out) == len(_LEFT_OUT),
            f"mirror doctor finds {', '.join(_LEFT_OUT)}, which this bundle leaves out for their size, and no other problem",
        )

    def kernels(self) -> None:
        heading("kernels")
        done = self.mirror("run", "--prefix", self.prefix, "--", "python", "-m", "mirror_probe")
        self.claim(done.returncode == 0, "the probe wheel's kernel, compiled on the machine without a GPU, is right")
        program, source = self.work / "tma_wgmma", self.directory / "tma_wgmma.cu"
        flags = ["-gencode=arch=compute_90a,code=sm_90a", "-o", program, source]
        self.mirror("run", "--prefix", self.prefix, "--", "nvcc", *flags)
        done = self.run(program)
        self.claim(
            done.returncode == 0, "an sm_90a program with TMA and wgmma, compiled here by the carried nvcc, is right"
        )

    def attention(self, title: str, *operations: str) -> dict[str, Any]:
        heading(title)
        script = self.directory / "attention.py"
        done = self.mirror(
            *("run", "--prefix", self.prefix, "--", "python", script, *operations), PYTHONPATH=os.environ["PROOF_TORCH"]
        )
        try:
            found = [line for line in done.stdout.splitlines() if line.startswith('{"flashinfer"')]
            result: dict[str, Any] = json.loads(found[-1])
        except (IndexError, ValueError):
            self.claim(False, title)
            return {}
        for name, operation in result["operations"].items():
            self.claim(operation["right"], f"{name}: at most {operation['error']} from float64")
        return result

    def compare(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        if not (first and second):
            return
        cache, home = first["cache"], str(self.prefix.resolve() / "gens")
        self.claim(str(self.prefix) in first["flashinfer_from"], "FlashInfer is the bundle's")
        self.claim(str(self.prefix) not in first["torch_from"], f"torch {first['torch']} is the machine's own")
        self.claim(
            len(cache["cuda_home"]) == 1 and cache["cuda_home"][0].startswith(home),
            "compiled with the installed toolchain",
        )
        self.claim(
            cache["compiled_now"] == cache["modules"] > 0, f"the first start compiled {cache['modules']} modules"
        )
        self.claim(second["cache"]["compiled_now"] == 0, "the second start compiled none")
        slow, fast = (sum(o["first_s"] for o in result["operations"].values()) for result in (first, second))
        self.claim(fast < slow / 10, f"first calls took {slow:.1f} s at the first start, {fast:.1f} s at the second")

    def other_toolchain(self, first: dict[str, Any]) -> None:
        heading("the next bundle, out of its delta")
        other = self.work / "other.tar"
        delta = ["apply", self.directory / "other.delta", "--base", self.bundle, *self.volumes, "-o", other]
        self.claim(self.mirror(*delta).returncode == 0, "mirror apply other.delta")
        done = self.mirror("install", other, "--prefix", self.prefix)
        self.claim(done.returncode == 0, f"mirror install {other.name}")
        changed = self.attention("another toolchain is current: nothing of the first one's cache is used", "decode")
        if first and changed:
            self.claim(changed["cache"]["directory"] != first["cache"]["directory"], "it has a cache of its own")
            self.claim(changed["cache"]["compiled_now"] == 1, "so decode was compiled again, with the other toolchain")
        heading("back to the first")
        self.mirror("rollback", "--prefix", self.prefix)
        again = self.attention("after mirror rollback", "decode")
        if first and again:
            same = again["cache"]["directory"] == first["cache"]["directory"]
            self.claim(same and again["cache"]["compiled_now"] == 0, "the first toolchain's cache is used again")


def heading(text: str) -> None:
    print(f"\n== {text}", flush=True)


def network() -> bool:
    """Whether any address beyond this machine can be tried at all."""
    try:
        with socket.socket() as probe:
            probe.settimeout(3)
            probe.connect(("192.0.2.1", 80))
    except OSError as exc:
        return not isinstance(exc, (ConnectionRefusedError, PermissionError)) and exc.errno != 101  # ENETUNREACH
    return True


def torch_path() -> str:
    """Where the machine's own torch lies, asked of the Python that has it."""
    code = "import torch, pathlib; print(pathlib.Path(torch.__file__).parent.parent)"
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True).stdout.strip()


def step_down(directories: Sequence[Path], work: Path) -> None:
    """Start again as an ordinary user without a network; does not return."""
    words = [*map(str, directories), "--work", str(work), "--inside"]
    command, environment = _below(work, _USER, __file__, words)
    os.chdir(work)
    os.execvpe("unshare", command, {**environment, "PROOF_TORCH": torch_path()})


def step_down_as(
    user: int, program: str, words: list[str], work: Path, *, small: bool = False, named: bool = False
) -> int:
    """Run a program of this proof as this ordinary user without a network; its exit code.

    Args:
        words: what the program is given; with ``--inside`` among them it calls ``settle`` first.
        small: whether ``/dev/shm`` and ``small`` in the work directory are file systems of 1 MiB.
        named: whether the user has a name, without which ssh-keygen signs nothing.
    """
    command, environment = _below(work, user, program, words, *(["-m"] if small or named else []))
    environment["PROOF_NAMED"] = "1" if named else ""
    environment["PROOF_USER"] = str(user)
    environment["PROOF_SMALL"] = "1" if small else ""
    return subprocess.run(command, env=environment, cwd=work, check=False).returncode


def settle() -> None:
    """Inside: loopback is switched on, the small file systems are made if asked for, and root is given up for good."""
    loopback_up()
    if os.environ["PROOF_SMALL"]:
        Path("small").mkdir(exist_ok=True)  # in the work directory
        for place in ("/dev/shm", "small"):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=1777", "tmpfs", place], check=True)
    if os.environ["PROOF_NAMED"]:
        user, names = os.environ["PROOF_USER"], Path("passwd")  # in the work directory
        names.write_text(f"{Path('/etc/passwd').read_text()}proof:x:{user}:{user}::/:/bin/sh\n")
        subprocess.run(["mount", "--bind", str(names), "/etc/passwd"], check=True)
    become_ordinary(int(os.environ["PROOF_USER"]))


def _below(work: Path, user: int, program: str, words: list[str], *options: str) -> tuple[list[str], dict[str, str]]:
    # Not below another user's directory: carried kernels are not copied to where somebody else could change them.
    home = work / "home" if user == _USER else Path(f"/tmp/hopper-home-{user}")
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, user, user)
    if user == _USER:
        os.chown(work, user, user)
    environment = {
        **NO_MULTICAST,
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LD_LIBRARY_PATH": os.environ.get("LD_LIBRARY_PATH", ""),
        "LANG": "C.UTF-8",
    }
    return ["unshare", "-n", *options, sys.executable, "-u", program, *words], environment


def loopback_up() -> None:
    """A new network namespace has a loopback device, switched off; switching it on is the one thing that root does inside."""
    get_flags, set_flags, up = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
    with socket.socket() as any_socket:
        request = fcntl.ioctl(any_socket, get_flags, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", request)[1]
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sH14x", b"lo", flags | up))


def become_ordinary(user: int = _USER) -> None:
    """Give up root for good, with every group."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def main() -> int:
    parser = argparse.ArgumentParser(description="Prove a carried stack on this machine's Hopper GPU.")
    parser.add_argument("directories", type=Path, nargs="+", metavar="DIR", help="of what 'hopper-proof make' wrote")
    parser.add_argument("--work", type=Path, default=Path("/tmp/hopper-proof"), help="default: %(default)s")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside and os.geteuid() == 0:
        loopback_up()
        become_ordinary()
    if args.inside:
        return Proof(args.directories, args.work).all()
    shutil.rmtree(args.work, ignore_errors=True)
    args.work.mkdir(parents=True)
    directories = [one.resolve() for one in args.directories]
    if os.geteuid() == 0:
        step_down(directories, args.work)
    os.environ["PROOF_TORCH"] = torch_path()
    command = [sys.executable, "-u", __file__, *map(str, directories), "--work", str(args.work), "--inside"]
    return subprocess.run(["unshare", "-cn", *command], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
