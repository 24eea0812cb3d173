"""Makes what lies here with the commands of commit c23d5e1, as its users typed them: two bundles and a prefix.

    git worktree add ../old c23d5e1 && cd ../old && scripts/setup
    PYTHONPATH=. .venv/bin/python THIS_FILE OUTPUT

``made.tar.xz`` holds ``1.0.tar`` and ``1.1.tar``, ``fingerprint`` of their root, and ``p``, a prefix to which both were
installed and that was then rolled back to the first. In each bundle are a wheel with a waived start-up hook, one from the
package index, one built from its sdist, the probe compiled by the carried nvcc, three signed RPMs, and what an advisory
database said. (That commit could bundle under no root but the first one, and so with no approver.)

Two things are not as they were at users': that worktree's ``tools.txt`` names a pip of a few lines in the place of 20 MB of uv
and a zstd decompressor; and nvcc is a shell script, for which reason nothing is compiled while installing (``PATH`` has no
compiler). The prefix was made in ``PLACE`` from the system's Python 3.11: whoever unpacks it elsewhere puts its own for these.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import mirror
from tests.support.index import LoopbackIndex
from tests.support.osv import record, write_dump
from tests.support.rpms import DIRECTORY, HOME, Contents, Link, Packager, Program
from tests.support.wheels import make_sdist, make_wheel, sha256_of

PLACE = Path("/tmp/mirror-of-before")
PYTHON = Path("/usr/bin/python3.11")
TARGETS = f"{HOME}/targets/x86_64-linux"

PIP = """\
import hashlib, os, re, site, sys, zipfile
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen, urlretrieve

links, (wanted,) = os.environ["PIP_FIND_LINKS"], [sys.argv[at + 1] for at, word in enumerate(sys.argv) if word == "-r"]
page = urlopen(links).read().decode()
for name, sha256 in re.findall(r"^([a-z-]+)==.*--hash=sha256:([0-9a-f]{64})", Path(wanted).read_text(), re.M):
    (link,) = [one for one in re.findall(r'href="([^"#]+)', page) if one.rpartition("/")[2].startswith(name.replace("-", "_"))]
    path, _ = urlretrieve(urljoin(links, link))
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
    with zipfile.ZipFile(path) as wheel:
        wheel.extractall(site.getsitepackages()[0])
"""

NVCC = b"""\
#!/bin/sh
# Says its release, and writes words where nvcc would write machine code.
while [ $# -gt 0 ]; do case "$1" in -o) out=$2; shift;; esac; shift; done
if [ -n "$out" ]; then echo 'machine code' > "$out"; else echo 'Cuda compilation tools, release 13.0, V13.0.88'; fi
"""

RPMS: dict[str, tuple[str, Contents]] = {
    "cuda-nvcc-13-0": (
        "13.0.88",
        {f"{HOME}/bin/nvcc": Program(NVCC), f"{HOME}/bin/nvcc.profile": b"TOP = $(_HERE_)/..\n"},
    ),
    "cuda-cudart-13-0": (
        "13.0.96",
        {
            HOME: DIRECTORY,
            f"{HOME}/lib64": Link("targets/x86_64-linux/lib"),
            f"{TARGETS}/lib/libcudart.so.13": Link("libcudart.so.13.0.96"),
            f"{TARGETS}/lib/libcudart.so.13.0.96": Program(b"library"),
        },
    ),
    "cuda-cudart-devel-13-0": (
        "13.0.96",
        {
            f"{HOME}/include": Link("targets/x86_64-linux/include"),
            f"{TARGETS}/include/cuda.h": b"#define CUDA_VERSION 13000\n",
            f"{TARGETS}/lib/libcudart.so": Link("libcudart.so.13"),
        },
    ),
}

STACK = """\
[target]
python = "3.11"
arch = "x86_64"
glibc = "2.28"
gpu = "sm_90a"
cuda = "13.0"

[python]
requirements = ["left-pad=={version}", "right-pad==1.0", "iniconfig==2.0.0"]
build = ["right-pad"]
imports = ["left_pad", "right_pad"]

[indexes]
default = "{index}"

[rpms]
repository = "{rpms}"
fingerprints = ["{fingerprint}"]
packages = ["cuda-nvcc-13-0", "cuda-cudart-13-0", "cuda-cudart-devel-13-0"]

[[waiver]]
project = "left-pad"
rule = "startup-hook"
subject = "left_pad.pth"
reason = "one line that imports left_pad"
by = "alice"
"""


def main(output: Path) -> None:
    PLACE.mkdir()
    with LoopbackIndex() as index:
        _fill(index)
        for version in ("1.0", "1.1"):
            _bundle(index, version)
            time.sleep(1.1)  # the second of locking is the bundle's sequence
    fingerprint = sha256_of(next((PLACE / "home").rglob("1.json")))  # of the root, as the builder tells the operator
    (PLACE / "fingerprint").write_text(f"{fingerprint}\n")
    operator = {"MIRROR_HOME": str(PLACE / "operator"), "PATH": str(PLACE / "none")}
    typed("trust", "add", PLACE / "1.0.tar", "--fingerprint", fingerprint, **operator)
    for version in ("1.0", "1.1"):
        typed("install", PLACE / f"{version}.tar", "--prefix", PLACE / "p", "--python", PYTHON, **operator)
    typed("rollback", "--prefix", PLACE / "p", **operator)
    with tarfile.open(output / "made.tar.xz", "w:xz") as archive:
        for path in (*sorted(PLACE.glob("1.?.tar*")), PLACE / "fingerprint", PLACE / "p"):
            archive.add(path, path.name)


def _fill(index: LoopbackIndex) -> None:
    """The index, the RPM repository beside it, and the tools that the bundles carry."""
    made = PLACE / "upstream"
    for version in ("1.0", "1.1"):
        files = {"left_pad.py": f'__version__ = "{version}"\n'.encode(), "left_pad.pth": b"import left_pad\n"}
        index.add(make_wheel(made, "left-pad", version, files=files, said=["License-Expression: MIT"]))
    index.add(make_sdist(made, "right-pad", "1.0"))
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", made, "iniconfig==2.0.0"], check=True
    )
    index.add(next(made.glob("iniconfig-*.whl")))
    pip = make_wheel(made, "pip", "99", files={"pip/__init__.py": b"", "pip/__main__.py": PIP.encode()})
    index.add(pip)
    tools = Path(mirror.__file__).parent / "connected" / "tools.txt"
    tools.write_text(f"pip==99 --hash=sha256:{sha256_of(pip)}\n")
    rpms, packager = PLACE / "rpms", Packager()
    rpms.mkdir()
    for name, (version, contents) in RPMS.items():
        packager.rpm(rpms, name, contents, version)
    packager.repository(rpms)
    for path in rpms.rglob("*"):
        if path.is_file():
            index.serve(f"/rpms/{path.relative_to(rpms)}", path.read_bytes())
    write_dump(PLACE / "osv", record("GHSA-1", "left-pad", fixed="1.1", word="HIGH"))


def _bundle(index: LoopbackIndex, version: str) -> None:
    """Lock and bundle one version."""
    home = {"MIRROR_HOME": str(PLACE / "home"), "XDG_CACHE_HOME": str(PLACE / "cache")}
    locks = PLACE / "lockfiles"
    locks.mkdir(exist_ok=True)
    words = STACK.format(
        version=version, index=index.url, rpms=f"{index.origin}/rpms/", fingerprint=Packager().fingerprint
    )
    (locks / "demo.toml").write_text(words)
    typed("lock", locks / "demo.toml", **home)
    bundle = PLACE / f"{version}.tar"
    typed(
        "bundle",
        "--lock",
        locks / "demo.txt",
        "--locked",
        "--osv",
        PLACE / "osv",
        "-o",
        bundle,
        "--python",
        PYTHON,
        **home,
    )


def typed(*words: object, **environment: str) -> None:
    command = [sys.executable, "-m", "mirror.cli.main", *map(str, words)]
    subprocess.run(command, check=True, env={**os.environ, **environment})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
