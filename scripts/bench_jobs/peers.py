"""What else carries wheels across a gap, beside mirror: airgap-bundle and mirror-mirror-on-the-wall (mmw), both from the
package index, each in a virtual environment of its own; and what the three do with what came back altered.

Rules: all carry the same pins, of the stack's small projects (the others take no newer vLLM, and build nothing); each checks as
its own handbook says, with nothing skipped; a rewritten archive agrees with itself (``tampering``), for mirror it is a
stranger's bundle of the same files; what each does is tried, and told with its exit code.

Example::

    peers = Peers(inputs.work / "peers", pins, inputs.python)
    peers.findings()     # "airgap-bundle: a flipped byte: refused (4); a stranger's wheel, digests made anew: installed"
"""

from __future__ import annotations

import hashlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from .tampering import flipped, rewritten

AIRGAP, MMW = "airgap-bundle", "mmw"
PINNED = {AIRGAP: "airgap-bundle==0.1.1", MMW: "mirror-mirror-on-the-wall==1.3.0"}
_ROOT = Path(__file__).resolve().parents[2]
_MIRROR = ("env", f"PYTHONPATH={_ROOT}", sys.executable, "-m", "mirror.cli.main")


class Peers:
    """The others, installed on first use, and a small stack that all can carry.

    Args:
        home: where they are installed, and their projects lie.
        pins: ``NAME==VERSION`` of each project.
        python: that makes their virtual environments.
    """

    def __init__(self, home: Path, pins: Sequence[str], python: Path) -> None:
        self._home, self._pins, self._python = home, pins, python

    def program(self, name: str) -> Path:
        """The path of a peer's command."""
        venv = self._home / name
        found = venv / "bin" / name
        if not found.exists():
            self._home.mkdir(parents=True, exist_ok=True)
            subprocess.run([self._python, "-m", "venv", venv], check=True)
            # mmw 1.3.0 imports click and does not ask for it.
            _bash(f"{venv}/bin/pip install --quiet {PINNED[name]} click", self._home)
        return found

    @cached_property
    def commands(self) -> dict[str, str]:
        """What is typed for each, in an empty directory, from no cache to the file that is carried."""
        asked = ", ".join(f'"{pin}"' for pin in self._pins)
        toml = f'[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.31"\n[python]\nrequirements = [{asked}]\n'
        requires = shlex.join(word for pin in self._pins for word in ("--req", pin))
        mmw = shlex.quote(str(self.program(MMW)))
        airgap = shlex.quote(str(self.program(AIRGAP)))
        plain = '[settings]\nmirror_dir = "mirror"\n\n[[networks]]\nname = "lab"\nroot = "published"\n'
        platform = "--python 3.11 --glibc 2.31 --platform linux-glibc --arch amd64"
        return {
            "mirror": f"{_written(toml, 'small.toml')}; {shlex.join(_MIRROR)} bundle --lock small.txt -o small.tar",
            AIRGAP: f"{_written(chr(10).join(self._pins) + chr(10), 'requirements.txt')}; {airgap} init; "
            f"{airgap} build --out small.tar.zst",
            MMW: f"{_written(plain, 'mmw.toml')}; {mmw} add pypi {requires} {platform}; {mmw} sync --quiet; "
            f"{mmw} bundle -n lab --from none --out small.tar",
        }

    def findings(self) -> str:
        """What each does with a flipped byte, and with a stranger's wheel; one sentence for each."""
        return "; ".join(f"{name}: {words}" for name, words in (*self._tried(), ("mirror", self._mirror())))

    def _tried(self) -> list[tuple[str, str]]:
        found = []
        for name in PINNED:
            place = self._fresh(f"{name}-made")
            _bash(self.commands[name], place)
            file = place / ("small.tar.zst" if name == AIRGAP else "small.tar")
            members = _read(file)
            cases = (
                ("a flipped byte", flipped(members)),
                ("a stranger's wheel, digests made anew", rewritten(members)),
            )
            if "taken" not in (told := self._outcome(name, place, members, 0)):
                found.append((name, f"what came back as it went {told}"))
                continue
            words = [f"{what} {self._outcome(name, place, one, at)}" for at, (what, one) in enumerate(cases, 1)]
            found.append((name, ", ".join(words)))
        return found

    def _outcome(self, name: str, made: Path, members: Mapping[str, bytes], number: int) -> str:
        place = self._fresh(f"{name}-altered-{number}")
        if name == AIRGAP:
            _write(made / "small.tar.zst", members, place / "small.tar.zst")
            return _told(_bash(f"{self.program(AIRGAP)} install --prefix $PWD/p --venv $PWD/v small.tar.zst", place))
        data = _write(made / "small.tar", members, place / "small.tar")
        (place / "small.tar.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  small.tar\n")
        # The copy of apply.py that came first is the one that is used, not the one in the bundle.
        return _told(_bash(f"{self._python} {made}/apply.py --root $PWD/root --verify small.tar", place))

    def _mirror(self) -> str:
        place = self._fresh("mirror-made")
        _bash(f"export MIRROR_HOME=$PWD/ours; {self.commands['mirror']}", place)
        verify = f"export MIRROR_HOME=$PWD/ours; {shlex.join(_MIRROR)} verify"
        data = bytearray((place / "small.tar").read_bytes())
        data[len(data) // 2] ^= 1
        (place / "flipped.tar").write_bytes(data)
        # Nobody but its builder can make the manifest anew: a stranger's keys sign the very same files.
        _bash(
            f"export MIRROR_HOME=$PWD/strangers; {self.commands['mirror'].replace('small.tar', 'stranger.tar')}", place
        )
        outcomes = (_told(_bash(f"{verify} {name}", place)) for name in ("flipped.tar", "stranger.tar"))
        return "a flipped byte {}, a stranger's bundle {}".format(*outcomes)

    def _fresh(self, name: str) -> Path:
        place = self._home / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place


def _written(text: str, name: str) -> str:
    return f"printf %s {shlex.quote(text)} > {name}"


def _bash(script: str, place: Path) -> int:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**kept, "XDG_CACHE_HOME": str(place / "cache"), "UV_CACHE_DIR": str(place / "cache/uv")}
    command, nowhere = ["bash", "-euc", script], subprocess.DEVNULL
    return subprocess.run(
        command, cwd=place, env=environment, check=False, stdin=nowhere, stdout=nowhere, stderr=nowhere
    ).returncode


def _told(code: int) -> str:
    return f"is refused (exit code {code})" if code else "is taken (exit code 0)"


def _read(file: Path) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(_plain(file))) as archive:
        return {one.name: _content(archive, one) for one in archive if one.isfile()}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream, "it is a file"
    return stream.read()


def _write(like: Path, members: Mapping[str, bytes], file: Path) -> bytes:
    """The same archive with other contents."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(_plain(like))) as old, tarfile.open(fileobj=stream, mode="w") as new:
        for one in old:
            content = members.get(one.name, b"")
            one.size = len(content) if one.isfile() else 0
            new.addfile(one, io.BytesIO(content))
    data = stream.getvalue()
    if file.suffix == ".zst":
        from backports import zstd

        data = zstd.compress(data)
    file.write_bytes(data)
    return data


def _plain(file: Path) -> bytes:
    if file.suffix != ".zst":
        return file.read_bytes()
    from backports import zstd

    return zstd.decompress(file.read_bytes())
