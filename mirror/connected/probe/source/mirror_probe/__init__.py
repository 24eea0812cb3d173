"""Does this machine's GPU run what was built for it? One small kernel on each GPU, its result compared with Python's own.

The kernel's machine code is in this package, compiled for one architecture; no compiler, toolkit or torch is needed to run
it, only NVIDIA's driver. ``python -m mirror_probe`` prints what ``probe`` finds.

Example::

    for result in probe(Driver()):
        print(result)
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mirror_probe.driver import Driver, DriverError, NoDriver

__all__ = ["Driver", "DriverError", "NoDriver", "Result", "architecture", "probe"]

ROWS, COLUMNS, DEPTH = 64, 8, 16
THREADS = 128


@dataclass(frozen=True)
class Result:
    """What one GPU did.

    Attributes:
        index: the GPU's number, as ``CUDA_VISIBLE_DEVICES`` counts.
        name: the driver's name for it.
        capability: compute capability, ``"9.0"``.
        ok: the kernel ran and every number was right.
        detail: what was seen, in words.
    """

    index: int
    name: str
    capability: str
    ok: bool
    detail: str

    def __str__(self) -> str:
        return f"GPU {self.index}: {self.name}, {self.capability}: {'ok' if self.ok else 'FAILED'}: {self.detail}"


def _kernel_file() -> Path:
    return next(Path(__file__).parent.glob("kernel.*.cubin"))


def architecture() -> str:
    """What the kernel was compiled for, such as ``"sm_90a"``."""
    return _kernel_file().name.split(".")[1]


def probe(driver: Driver) -> tuple[Result, ...]:
    """Launch the kernel on each GPU. A GPU that fails is a result, not an error."""
    image, compiled_for = _kernel_file().read_bytes(), architecture()
    return tuple(_probe_one(driver, index, image, compiled_for) for index in range(driver.count()))


def _probe_one(driver: Driver, index: int, image: bytes, compiled_for: str) -> Result:
    major, minor = driver.capability(index)
    capability = f"{major}.{minor}"
    refusal = why_not(compiled_for, major, minor)
    if refusal:
        ok, detail = False, f"{refusal}; GPU {index} is {capability}"
    else:
        try:
            ok, detail = _run(driver, index, image)
        except DriverError as exc:
            ok, detail = False, str(exc)
    return Result(index, driver.name(index), capability, ok, detail)


def why_not(compiled_for: str, major: int, minor: int) -> str:
    """Why code for ``compiled_for`` cannot run on a GPU; empty when it can.

    Machine code runs on its own compute capability and on later minor ones of the same major; with a suffix (``sm_90a``) on
    its own alone.
    """
    text = compiled_for[len("sm_") :]
    digits = text.rstrip("af")
    built = (int(digits[:-1]), int(digits[-1]))
    fits = built == (major, minor) if text.endswith("a") else built[0] == major and built[1] <= minor
    return "" if fits else f"this probe was compiled for {compiled_for}"


def _run(driver: Driver, index: int, image: bytes) -> tuple[bool, str]:
    a, b, expected = problem()
    nothing = struct.pack("<f", float("nan")) * len(expected)
    with ExitStack() as stack:
        stack.enter_context(driver.context(index))
        kernel = stack.enter_context(driver.function(image, "mirror_probe"))
        memory = tuple(stack.enter_context(driver.memory(data)) for data in (_halves(a), _halves(b), nothing))
        driver.launch(kernel, THREADS, memory)
        found = struct.unpack(f"<{len(expected)}f", driver.read(memory[2], len(nothing)))
    wrong = [place for place, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]]
    if not wrong:
        return True, f"{len(expected)} results of a {ROWS}x{COLUMNS}x{DEPTH} fp16 matrix product are exact"
    first = wrong[0]
    return False, (
        f"{len(wrong)} of {len(expected)} results are wrong, the first in row {first // COLUMNS}, column "
        f"{first % COLUMNS}: {found[first]} instead of {expected[first]}"
    )


def problem() -> tuple[list[int], list[int], list[int]]:
    """Two matrices and their product, in whole numbers that fp16 and fp32 hold exactly.

    ``a`` is row after row, ``b`` column after column, the product row after row.
    """
    a = [(row * row + 3 * row * k + 7 * k) % 67 - 33 for row in range(ROWS) for k in range(DEPTH)]
    b = [(5 * column * column + column * k + 2 * k) % 17 - 8 for column in range(COLUMNS) for k in range(DEPTH)]
    product = [
        sum(a[row * DEPTH + k] * b[column * DEPTH + k] for k in range(DEPTH))
        for row in range(ROWS)
        for column in range(COLUMNS)
    ]
    return a, b, product


def _halves(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)
