"""Where the checks of one generation are made: in which environment, on which host, and with what is started for them.

Example::

    bench = Workbench(environment, host, variables, work)
    bench.run(bench.directory("kernel"), "nvcc", "--version")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.closed.environment.variables import Environment
from mirror.closed.host.command import Finished, run
from mirror.closed.host.machine import Host


@dataclass(frozen=True)
class Workbench:
    """What the checks of one generation share.

    Attributes:
        environment: of the generation.
        host: this machine.
        variables: the environment that ``env.sh`` gives.
        work: an existing directory; the caller removes it.
        inherited: descriptors that what is started keeps open, such as the lock of a prefix.
        timeout_s: how long each program may take.
    """

    environment: Environment
    host: Host
    variables: Mapping[str, str]
    work: Path
    inherited: Sequence[int] = ()
    timeout_s: int = 900

    @property
    def python(self) -> str:
        """The venv's."""
        return str(self.environment.venv / "bin" / "python")

    @property
    def has_gpu(self) -> bool:
        """Whether something can run on a GPU here."""
        return bool(self.host.driver and self.host.gpus)

    def using(self, **variables: str) -> Workbench:
        """The same with other variables."""
        return replace(self, variables={**self.variables, **variables})

    def directory(self, name: str) -> Path:
        """One of its own for a check, so that all may be made at once."""
        path = self.work / name
        path.mkdir(exist_ok=True)
        return path

    def run(self, cwd: Path, *command: str) -> Finished:
        return run(command, self.variables, cwd=cwd, timeout_s=self.timeout_s, inherited=self.inherited)
