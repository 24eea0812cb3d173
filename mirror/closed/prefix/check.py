"""A check of the self-test and how it ended.

``mirror.closed.selftest.selftest`` and ``mirror.closed.selftest.compiling`` run the checks.

Rule: what a host lacks (a GPU, its driver, a compiler) makes a check skipped, in plain words; only what is broken makes it
failed.

Example::

    Check("import torch", FAILED, "ModuleNotFoundError: No module named 'torch'")
"""

from __future__ import annotations

from dataclasses import dataclass

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"


@dataclass(frozen=True)
class Check:
    """One check's outcome.

    Attributes:
        name: what was done, ``"import torch"``.
        outcome: ``PASSED``, ``SKIPPED`` or ``FAILED``.
        detail: why it was skipped, or the program's last lines and what they mean; empty when it passed.
    """

    name: str
    outcome: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}" + (f" ({self.detail})" if self.outcome == SKIPPED else "")
