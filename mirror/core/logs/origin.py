"""Who says a line, and how grave it is in its own words: what collectors, launchers and loggers put before a message.

It knows the prefixes of journald, containers (and their builds), Kubernetes and Slurm, of Python's, glog's and uvicorn's
loggers, of vLLM's, SGLang's and Ray's processes, of torchrun's ranks and of NCCL.

Rule: a level counts only where it stands in a prefix; a message that speaks of a warning is none.

Example::

    >>> origin("(EngineCore_DP0 pid=73) ERROR 02-28 08:54:00 [core.py:930] RuntimeError: no")
    Origin(process='EngineCore_DP0 pid=73', level='ERROR', message='RuntimeError: no')
    >>> origin("host1:1:114 [2] misc/shmutils.cc:87 NCCL WARN Error: failed to extend /dev/shm/x").level
    'ERROR'
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CALM = {
    "DEBUG": "INFO",
    "INFO": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "D": "INFO",
    "I": "INFO",
    "W": "WARNING",
}
_MOST = 8
"""Prefixes before one message."""

_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_LEVEL = r"(?P<level>DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)"
_PREFIXES = tuple(
    re.compile(text)
    for text in (
        rf"{_TIME} (?:stdout|stderr) [FP] ",
        r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [^\s\[:]+(?:\[\d+\])?: ",
        r"#\d+ \d+\.\d+ ",
        r"\d{1,5}\.\d{2,3} (?=\S| {2})",
        r"\d\d:\d\d:\d\d(?:[.,]\d+)? ",
        r"\d{1,4}: (?=\S)",
        r"[\w-]+/\d+ (?=\[)",
        r"[\w.-]+-\d+ +\| ",
        r"\[pod/[^\]\s]+\] ",
        r"\((?P<process>[\w .:,=/-]{0,80}?(?:pid|ip)=[^)\n]{1,80})\) ?",
        r"\[(?:default\d+\]:\[)?(?P<process>rank\d+)\]:? ?",
        r"\[\d+,\d+\]<std(?:err|out)>: ?",
        rf"\[?{_TIME}(?P<process>(?: (?:DP|TP|PP|EP|ATTN_)\w+)*)\]? (?:- )?",
        r"(?:\S+ - )?\[?" + _LEVEL + r"\]?(?: - |:[\w.]*:|:? +\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?|: +| +(?=\[)) ?",
        r"\| *(?P<level>DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL) *\| ?",
        r"(?P<level>DEBUG|INFO|WARN|WARNING) (?=\S)",
        r"\[?[\w./-]+\.(?:py|cc|cpp|hpp|h|cu):\d+\] ?",
        rf"{_TIME}: (?P<level>[IWEF]) \S+\] ",
        r"\[(?P<level>DEBUG|INFO|WARN|WARNING|ERROR)\] ?",
        r"\[?(?P<level>[IWEF])\d{3,4} \d\d:\d\d:\d\d\.\d+ [^\]\s]*(?: [^\]\s]+)?\] ?",
        r"\[(?P<level>[WE]) ?[\w.]+\.(?:cpp|cc|h):\d+\] ?",
        r"[\w.-]+:\d+:\d+ \[(?:\d+|N/A)\] (?:\S+:\d+ )?NCCL (?P<nccl>INFO|WARN|ERROR) ?",
    )
)
_ANY = re.compile("|".join(f"({re.sub('[?]P<[a-z]+>', '?:', prefix.pattern)})" for prefix in _PREFIXES))
"""Which prefix it is, asked in one go: ``lastindex`` is its number, for no other group is left."""


class Origin(NamedTuple):
    """A line, taken apart.

    Attributes:
        process: as the line names it; empty for none.
        level: ``"INFO"``, ``"WARNING"``, or ``"ERROR"`` also where no level is said.
        message: the rest.
    """

    process: str
    level: str
    message: str


def origin(line: str) -> Origin:
    """Take a line apart."""
    process, level, at = "", "", 0
    for _ in range(_MOST):
        which = _ANY.match(line, at)
        found = _PREFIXES[(which.lastindex or 0) - 1].match(line, at) if which else None
        if found is None:
            break
        groups = found.groupdict()
        process = (groups.get("process") or "").strip() or process
        level = _CALM.get(groups.get("level") or "", "ERROR" if groups.get("level") else "") or level
        if groups.get("nccl"):
            # NCCL's own word for what it dies of is WARN.
            level = "INFO" if groups["nccl"] == "INFO" else "ERROR"
        at = found.end()
    return Origin(process, level or "ERROR", line[at:])
