"""The rows of CUDA.md section E, in the order in which a stack comes up: it compiles, links, finds its tools, loads, runs.

1. ``compiling``: E1, headers and parts of the compiler.
2. ``link``: E2, the linker.
3. ``tools``: E3, finding CUDA, Python and tools.
4. ``load``: E4, loading libraries, disks and permissions.
5. ``driver``: E5, the driver and the GPU.
6. ``flashinfer``: E6, FlashInfer, caches, the closed network.
7. ``consequences``: no row of E: words that are never the cause.

Rule: each row is in exactly one module, under its own number, and has a test that feeds it what the tool prints
(``scripts/doctor-table`` shows them all).
"""

from __future__ import annotations

from collections.abc import Mapping

from mirror.core.logs.symptom import Symptom
from mirror.core.logs.symptoms.compiling import SYMPTOMS as E1
from mirror.core.logs.symptoms.consequences import SYMPTOMS as CONSEQUENCES
from mirror.core.logs.symptoms.driver import SYMPTOMS as E5
from mirror.core.logs.symptoms.flashinfer import SYMPTOMS as E6
from mirror.core.logs.symptoms.link import SYMPTOMS as E2
from mirror.core.logs.symptoms.load import SYMPTOMS as E4
from mirror.core.logs.symptoms.tools import SYMPTOMS as E3

__all__ = ["BY_ROW", "CONSEQUENCES", "SYMPTOMS"]

SYMPTOMS = (*E1, *E2, *E3, *E4, *E5, *E6)
"""All rows, by their numbers; a row that shows itself in two ways is there twice."""

BY_ROW: Mapping[str, Symptom] = {symptom.row: symptom for symptom in reversed(SYMPTOMS)}
"""Row -> the first symptom of it."""
