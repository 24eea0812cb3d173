"""A bundle with what a site gives out: two projects' wheels, one needing the other, and two RPMs.

Example::

    carried = SiteBundle(tmp_path)
    carried.write()                     # carried.path
    carried.trust(monkeypatch)          # this user trusts its root
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.closed.site.server import site_server
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.closed.webserver import WebServer
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import SEQUENCE, BundleSimulator
from tests.support.rpms import HOME, Contents, Packager, Program
from tests.support.wheels import make_wheel

PACKAGES = ("left-pad", "right-pad")


class SiteBundle:
    """One bundle in the making.

    Attributes:
        path: of the file.
        wheels, rpms: of the files that it is made of.
    """

    def __init__(self, directory: Path, version: str = "1.0", sequence: int = SEQUENCE, rpms: bool = True) -> None:
        directory.mkdir(exist_ok=True)
        self.directory, self.path = directory, directory / f"{version}.tar"
        self.simulator = BundleSimulator(sequence=sequence)
        sources = directory / f"made-{version}-{sequence}"
        left = make_wheel(
            sources, "left-pad", version, requires=["right-pad>=1"], requires_python=">=3.8",
            files={"left_pad.py": f"__version__ = {version!r}\n".encode()},
        )  # fmt: skip
        self.wheels = [left, make_wheel(sources, "right-pad", "1.5", build="1")]
        self.rpms: list[Path] = []
        for wheel in self.wheels:
            self.simulator.add_wheel(wheel)
        if rpms:
            self._add_rpms(sources, version)

    def _add_rpms(self, sources: Path, version: str) -> None:
        packager = Packager()
        contents: dict[str, Contents] = {
            "cuda-demo": {f"{HOME}/bin/demo": Program(b"#!/bin/sh\n"), "/etc/demo.conf": b"a=1\n"},
            "cuda-extra": {f"{HOME}/include/extra.h": b"\n", "/etc/extra.conf": b"b=2\n"},
        }
        needs = ["cuda-extra", "/etc/extra.conf", "rpmlib(CompressedFileNames)"]
        for name, files in contents.items():
            draft = packager.draft(name, files, version if name == "cuda-demo" else "1.0")
            if name == "cuda-demo":
                draft.edit = lambda entries: entries.update(
                    {
                        1014: (6, "MIT & <others>"),
                        1049: (8, needs),
                        1048: (4, [8, 0, 16777226]),
                        1050: (8, ["1.0-1", "", "3.0.4-1"]),
                        1047: (8, ["cuda-demo"]),
                        1112: (4, [8]),
                        1113: (8, ["1:1.0-1"]),
                    }
                )
            path = sources / draft.spec.filename
            path.write_bytes(draft.bytes())
            self.rpms.append(path)
        self.simulator.add_rpms(self.rpms, packager.armored, packager.fingerprint)

    def write(self) -> Path:
        return self.simulator.write(self.path)

    def store(self) -> TrustStore:
        """A store in which its root is trusted."""
        return self.simulator.store(self.directory / "trust")

    def trust(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make this user trust its root."""
        self.store()
        monkeypatch.setenv("MIRROR_HOME", str(self.directory / "trust"))


@contextmanager
def serving(bundle: Path, store: TrustStore, host: str = "127.0.0.1") -> Iterator[WebServer]:
    """Serve a bundle until the block ends."""
    with verified_bundle(bundle, store=store) as opened, site_server(opened, read_shelf(opened), (host, 0)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def pip(*words: object, target: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """What pip does, told nothing by its user's environment."""
    command = [sys.executable, "-I", "-m", "pip", "--isolated", "install", "--no-cache-dir", "-q", "--target", target]
    return subprocess.run(list(map(str, [*command, *words])), capture_output=True, text=True)
