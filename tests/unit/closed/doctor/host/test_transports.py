from __future__ import annotations

import pytest

from mirror.closed.doctor.host.driverapi import Answer
from mirror.closed.doctor.host.nvidia import Gpu
from mirror.closed.doctor.host.transports import chosen, judge_transports
from mirror.core.logs.finding import GOOD, NOTE, PROBLEM, WARNING

TWO = Answer(0, gpus=(Gpu("NVIDIA H200", "9.0"),) * 2, apart=())


@pytest.mark.parametrize(
    ("variable", "value", "names"),
    [
        ("NCCL_SOCKET_IFNAME", "ens", ["ens3", "ens4"]),
        ("NCCL_SOCKET_IFNAME", "=ens", []),
        ("NCCL_SOCKET_IFNAME", "=ens4,lo", ["lo", "ens4"]),
        ("NCCL_SOCKET_IFNAME", "^docker,lo", ["ens3", "ens4"]),
        ("NCCL_SOCKET_IFNAME", "^=ens3", ["lo", "docker0", "ens4"]),
        ("NCCL_SOCKET_IFNAME", "ens3:5000", ["ens3"]),
        ("GLOO_SOCKET_IFNAME", "ens", []),
        ("GLOO_SOCKET_IFNAME", "ens4,lo", ["lo", "ens4"]),
        ("TP_SOCKET_IFNAME", "^lo", []),
    ],
)
def test_each_variable_chooses_interfaces_by_its_own_rule(variable: str, value: str, names: list[str]) -> None:
    assert chosen(variable, value, ["lo", "docker0", "ens3", "ens4"]) == names


def test_gpus_that_reach_each_other_are_good() -> None:
    (found,) = judge_transports(TWO, {})
    assert (found.level, found.what) == (GOOD, "each of the 2 GPUs reaches the others' memory directly")


def test_gpus_apart_are_counted_and_shown() -> None:
    apart = ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    (found,) = judge_transports(Answer(0, gpus=TWO.gpus * 2, apart=apart), {})
    assert found.level == NOTE
    assert found.what.startswith(
        "5 of 6 pairs of GPUs do not reach each other's memory (0 and 2, 1 and 2, 0 and 3, 1 and 3, ...)"
    )


def test_a_switch_that_stayed_on_is_told_with_the_way_that_is_left() -> None:
    _, found = judge_transports(TWO, {"NCCL_P2P_DISABLE": "1"})
    assert (found.level, found.what) == (WARNING, "NCCL_P2P_DISABLE=1 is set: NCCL goes through /dev/shm")
    _, found = judge_transports(TWO, {"NCCL_P2P_DISABLE": "1", "NCCL_SHM_DISABLE": "1"})
    assert found.what.endswith("are set: NCCL goes through sockets")
    assert [one.level for one in judge_transports(TWO, {"NCCL_SHM_DISABLE": "1"})] == [GOOD]


@pytest.mark.parametrize("variable", ["NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"])
def test_an_interface_that_is_not_there_is_a_problem_with_one_gpu_too(variable: str) -> None:
    (found,) = judge_transports(None, {variable: "ens99"})
    assert found.level == PROBLEM
    assert found.what.startswith(f"{variable}=ens99 chooses none of this host's interfaces (")
    assert "lo" in found.what
    assert found.fix == f"unset {variable}, or name one of them (lo for a server on one host)"


def test_one_gpu_and_no_variable_is_nothing() -> None:
    assert list(judge_transports(Answer(0, gpus=TWO.gpus[:1]), {"GLOO_SOCKET_IFNAME": "lo"})) == []
