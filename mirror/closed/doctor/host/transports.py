"""How the GPUs of this host reach each other, and the network interfaces on which their processes are told to meet.

NCCL copies between two GPUs directly where each can read the other's memory (NVLink, or PCIe with peer access), else through
``/dev/shm``, else through a socket. Whichever way it is, its processes first meet on a network interface, ``lo`` on one host.

``NCCL_SOCKET_IFNAME`` holds beginnings of names, names after ``=``, or after ``^`` those to leave out (NCCL user guide,
environment variables); ``GLOO_SOCKET_IFNAME`` and ``TP_SOCKET_IFNAME`` hold names (PyTorch, torch.distributed).

Example::

    chosen("NCCL_SOCKET_IFNAME", "^docker,lo", ["lo", "docker0", "ens3"])     # ['ens3']
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence

from mirror.closed.doctor.host.driverapi import Answer
from mirror.core.logs.finding import About, Finding

_INTERFACE_VARIABLES = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
_SHOWN = 4


def judge_transports(answer: Answer | None, variables: Mapping[str, str]) -> Iterable[Finding]:
    """The ways between the GPUs that a program of this shell sees, and the interfaces that its variables name.

    Args:
        answer: the driver's; None where it was not asked.

    Raises:
        OSError: the interfaces cannot be listed.
    """
    if answer is not None and answer.apart is not None:
        yield _peers(len(answer.gpus), answer.apart)
        yield from _switched_off(variables, any_peers=len(answer.apart) < _pairs(len(answer.gpus)))
    names = [name for _, name in socket.if_nameindex()]
    for variable in _INTERFACE_VARIABLES:
        value = variables.get(variable, "")
        if value and not chosen(variable, value, names):
            yield About("network interface").problem(
                f"{variable}={value} chooses none of this host's interfaces ({', '.join(names)})",
                cause="the variable was set for another host",
                proof="ip -brief address",
                fix=f"unset {variable}, or name one of them (lo for a server on one host)",
            )


def chosen(variable: str, value: str, interfaces: Sequence[str]) -> list[str]:
    """Which of these interfaces the value of one of the variables chooses."""
    if variable != "NCCL_SOCKET_IFNAME":
        return [name for name in interfaces if name in value.split(",")]
    leave_out = value.startswith("^")
    value = value[leave_out:]
    exact = value.startswith("=")
    words = [word.split(":")[0] for word in value[exact:].split(",") if word]
    return [
        name
        for name in interfaces
        if any(name == word if exact else name.startswith(word) for word in words) is not leave_out
    ]


def _pairs(gpus: int) -> int:
    return gpus * (gpus - 1) // 2


def _peers(gpus: int, apart: Sequence[tuple[int, int]]) -> Finding:
    proof = "cuDeviceCanAccessPeer for each pair"
    if not apart:
        return About("between GPUs").good(f"each of the {gpus} GPUs reaches the others' memory directly", proof=proof)
    shown = ", ".join(f"{one} and {other}" for one, other in apart[:_SHOWN]) + ", ..." * (len(apart) > _SHOWN)
    return About("between GPUs").note(
        f"{len(apart)} of {_pairs(gpus)} pairs of GPUs do not reach each other's memory ({shown}): NCCL goes "
        "through /dev/shm, which is slower",
        cause="no NVLink between them, and PCIe without peer access (a virtual machine, another socket), or NVLink is down",
        proof=proof,
        fix="'nvidia-smi topo -p2p r' and 'nvidia-smi nvlink -s' say why; servers start all the same",
    )


def _switched_off(variables: Mapping[str, str], *, any_peers: bool) -> Iterable[Finding]:
    no_peers, no_memory = (variables.get(name) == "1" for name in ("NCCL_P2P_DISABLE", "NCCL_SHM_DISABLE"))
    if no_peers and (any_peers or no_memory):
        way = "through sockets" if no_memory else "through /dev/shm"
        yield About("between GPUs").warning(
            f"NCCL_P2P_DISABLE=1{' and NCCL_SHM_DISABLE=1 are' if no_memory else ' is'} set: NCCL goes {way}",
            cause="a switch that was meant to find a fault stayed on",
            proof="env | grep NCCL_",
            fix=f"unset NCCL_P2P_DISABLE{' NCCL_SHM_DISABLE' if no_memory else ''}",
        )
