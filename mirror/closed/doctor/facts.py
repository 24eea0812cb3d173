"""What was read of this host and of the stack on it, before anything is judged.

It holds the facts in one place and the order in which they are read; each comes from the module that knows it.

Rule: reading never raises; what is not there or cannot be read is None or empty.

Example::

    facts = read_facts(environment, os.environ)
    facts.nvidia.driver, facts.installed.torch_version
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mirror.closed.doctor.host.driverapi import Answer, ask_driver, can_be_asked
from mirror.closed.doctor.host.nvidia import Nvidia, read_nvidia
from mirror.closed.doctor.host.resources import Resources, read_resources
from mirror.closed.doctor.host.toolbox import Toolbox, read_toolbox
from mirror.closed.doctor.installed.cudahome import Toolkit, read_toolkit
from mirror.closed.doctor.installed.wheels import Installed, read_installed
from mirror.closed.environment.variables import Environment
from mirror.closed.host.machine import Host, read_host
from mirror.closed.prefix.receipt import Receipt
from mirror.core.progress import SILENT, Progress


@dataclass(frozen=True)
class Facts:
    """What was read, for the page.

    Attributes:
        host, nvidia, resources, toolbox: this machine.
        answer: the driver's; None when it was not asked.
        environment, receipt, installed: the stack's; None where there is none.
        toolkit: the stack's; without a stack, the one that the shell would use.
        python: version of the interpreter that looks.
    """

    variables: Mapping[str, str]
    host: Host
    nvidia: Nvidia
    resources: Resources
    toolbox: Toolbox
    answer: Answer | None = None
    environment: Environment | None = None
    receipt: Receipt | None = None
    installed: Installed | None = None
    toolkit: Toolkit | None = None
    python: str = platform.python_version()


def read_facts(
    environment: Environment | None,
    variables: Mapping[str, str],
    receipt: Receipt | None = None,
    progress: Progress = SILENT,
) -> Facts:
    """Read everything that is small; ``mirror.closed.doctor.installed.binaries`` reads the libraries of the stack.

    Args:
        environment: of the generation; None to look at the host only.
        receipt: the generation's, if it could be read.
    """
    host = read_host()
    facts = Facts(variables, host, read_nvidia(), read_resources(host.has_loopback), read_toolbox(variables))
    if can_be_asked(facts.nvidia):
        progress.say("asking the driver")
        answer = ask_driver(variables)
        # The driver knows its devices better than a table of models does.
        nvidia = replace(facts.nvidia, gpus=answer.gpus) if answer.gpus else facts.nvidia
        facts = replace(facts, answer=answer, nvidia=nvidia)
    if environment is None:
        home = _home(variables)
        return replace(facts, toolkit=read_toolkit(home, variables)) if home else facts
    return replace(
        facts,
        environment=environment,
        receipt=receipt,
        installed=read_installed(environment.venv),
        toolkit=read_toolkit(environment.cuda_home, variables) if environment.cuda_home else None,
    )


def _home(variables: Mapping[str, str]) -> Path | None:
    """The toolkit that programs of this shell find by themselves (CUDA.md B4)."""
    named = variables.get("CUDA_HOME") or variables.get("CUDA_PATH")
    found = shutil.which("nvcc", path=variables.get("PATH", ""))
    home = Path(named) if named else Path(os.path.realpath(found)).parent.parent if found else Path("/usr/local/cuda")
    return home if (home / "bin/nvcc").exists() else None
