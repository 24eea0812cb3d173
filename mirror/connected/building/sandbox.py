"""Running a command that cannot reach any network, as an ordinary user.

``mirror.connected.building.network_isolation``, which runs inside, gives the network up; the builder decides what is run, and
why.

Rules: there is no way to run without that isolation; the command gets exactly the environment that it is given, and no open
file but its log; whatever ends the wait ends the command and all its children.

Example::

    status = run_cut_off(["make"], cwd=source, environment={"PATH": "/usr/bin:/bin"}, log=stream)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from mirror.connected.building import network_isolation
from mirror.core.errors import MirrorError
from mirror.core.system.signals import held_signals


class NetworkCutUnavailable(MirrorError):
    """This machine cannot cut a build off from the network, so nothing is built here.

    Attributes:
        reason: each way that was tried and the kernel's words.
    """

    ref = "network-cut-unavailable"
    exit_code = 81
    hint = (
        "Builds run without network, always. Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0) or seccomp in this container, or build on another machine."
    )
    message = "a build must not reach the network, and this machine has no way to cut it off: {reason}"

    reason: str


def run_cut_off(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    log: BinaryIO,
    without: str = "",
) -> int:
    """Run a command without network and wait for it.

    Args:
        environment: all of it; nothing is inherited.
        log: gets stdout and stderr; must have a descriptor.
        without: fences not to use (``"namespace"``); only tests have a reason.

    Returns:
        The exit status; 128 + N when signal N ended the command.

    Raises:
        NetworkCutUnavailable: the command was not run.
    """
    reading, writing = os.pipe()
    inside = [sys.executable, "-I", str(Path(network_isolation.__file__)), str(writing), without, *command]
    with open(reading, "rb") as report:
        process = None
        try:
            with held_signals():
                try:
                    process = subprocess.Popen(
                        inside,
                        cwd=cwd,
                        env=dict(environment),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        pass_fds=(writing,),
                        umask=0o022,
                        start_new_session=True,
                    )
                finally:
                    os.close(writing)
            said = report.read().decode("utf-8", "replace")  # ends when the command begins, or the helper ends
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        finally:
            if process is not None:
                # Interrupted, or daemons left behind: the group's number is ours as long as its leader is not reaped.
                os.killpg(process.pid, signal.SIGKILL)
                status = process.wait()
    if not said.startswith("cut off by "):
        raise NetworkCutUnavailable(said or f"the process that cuts it off ended with status {status}")
    return status if status >= 0 else 128 - status
