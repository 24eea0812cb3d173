"""An operator's desk: a directory to install to, whom they trust, and bundles to install.

Example::

    def test_it(desk: Desk) -> None:
        installed = desk.install(desk.bundle("1.0"))
        assert version_in(installed.prefix) == "1.0"
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.host.machine import Host
from mirror.closed.install import Installed, Options, install
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import SEQUENCE, BundleSimulator, make_pip_wheel, make_uv_wheel, this_machine
from tests.support.wheels import make_wheel

MINOR = "{}.{}".format(*sys.version_info)
BASE = Path(sys.base_prefix) / "bin" / f"python{MINOR}"


@dataclasses.dataclass
class Desk:
    """An operator's place: a directory, whom they trust, and the carried tools."""

    path: Path
    store: TrustStore
    uv: Path
    pip: Path

    def simulator(self, *, sequence: int = SEQUENCE, name: str = "demo", uv: bool = True) -> BundleSimulator:
        simulator = BundleSimulator(name, sequence, this_machine(python=MINOR))
        for tool in [self.uv] * uv + [self.pip]:
            simulator.add_wheel(tool, "tool")
        return simulator

    def bundle(self, version: str = "1.0", **changes: object) -> Path:
        """A bundle of one wheel; its version makes it another."""
        simulator = self.simulator(**changes)  # type: ignore[arg-type]  # forwarded as they are
        simulator.add_wheel(make_wheel(self.path / "wheels", "left-pad", version))
        return simulator.write(self.path / f"{version}-{simulator.sequence}.tar", ("left_pad",))

    def install(self, bundle: Path, host: Host | None = None, **changes: object) -> Installed:
        options = Options(bundle, self.path / "p", BASE)
        return install(dataclasses.replace(options, **changes), self.store, host)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("tools")
    return make_uv_wheel(directory), make_pip_wheel(directory)


@pytest.fixture
def desk(tmp_path: Path, tools: tuple[Path, Path]) -> Desk:
    return Desk(tmp_path, BundleSimulator().store(tmp_path / "trust"), *tools)


def version_in(prefix: Path) -> str:
    """What a user gets who sources env.sh and starts Python."""
    command = f'. "{prefix}/current/env.sh" && python -c "import left_pad; print(left_pad.__version__)"'
    return subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True).stdout.strip()
