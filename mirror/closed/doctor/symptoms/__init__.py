"""The rows of CUDA.md section E, in the order in which a stack comes up: it compiles, links, finds its tools, loads, runs.

1. ``compiling``: E1, headers and parts of the compiler.
2. ``link``: E2, the linker.
3. ``tools``: E3, finding CUDA, Python and tools.
4. ``load``: E4, loading libraries, disks and permissions.
5. ``driver``: E5, the driver and the GPU.
6. ``flashinfer``: E6, FlashInfer, caches, the closed network.
7. ``consequences``: no row of E: words that are never the cause.

Rule: each row is in exactly one module, under its own number, and has a test that feeds it what the tool prints.
"""

from mirror.closed.doctor.symptoms import compiling, consequences, driver, flashinfer, link, load, tools

SYMPTOMS = (
    *compiling.SYMPTOMS,
    *link.SYMPTOMS,
    *tools.SYMPTOMS,
    *load.SYMPTOMS,
    *driver.SYMPTOMS,
    *flashinfer.SYMPTOMS,
)
"""All rows, by their numbers."""

CONSEQUENCES = consequences.SYMPTOMS

BY_ROW = {symptom.row: symptom for symptom in SYMPTOMS}
