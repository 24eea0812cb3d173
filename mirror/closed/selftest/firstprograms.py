"""The programs of ``mirror.closed.selftest.firststart``: each compiles what a server does, and checks the result.

Rule: a result that can be checked exactly; exit code 3, with one line, where the installed project is too old to have it.
"""

from __future__ import annotations

ASK = """\
import sys, sysconfig
scheme = sysconfig.get_default_scheme() if sys.version_info >= (3, 10) else sysconfig._get_default_scheme()
if scheme == "posix_local":  # Debian's own, which Triton passes over
    scheme = "posix_prefix"
print(sysconfig.get_paths(scheme=scheme)["include"])
print(sysconfig.get_config_var("EXT_SUFFIX"))
print(getattr(sys, "_base_executable", sys.executable))
"""
"""An interpreter's answer: where its headers are, how it names extensions, and which program it is; a line each."""

EXTENSION = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *answer(PyObject *self, PyObject *unused) { return PyLong_FromLong(42); }

static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "first_start", NULL, -1, methods};

PyMODINIT_FUNC PyInit_first_start(void) { return PyModule_Create(&module); }
"""

LAUNCHER = """\
extern int cuInit(unsigned int flags);

int mirror_launch(void) { return cuInit(0); }
"""

INDUCTOR = """\
import sys
import torch

if not hasattr(torch, "compile"):
    sys.exit(print("this torch has no torch.compile") or 3)

import torch._inductor.config

torch._inductor.config.cpp_cache_precompile_headers = False  # they pay off with many kernels; this is one

@torch.compile
def total(values):
    return (values * 2 + 1).relu().sum()

found = total(torch.arange(-4.0, 4.0)).item()
assert found == 16.0, f"the sum is {found} instead of 16"
"""
"""relu(2 v + 1) of -4 ... 3: 0, 0, 0, 0, 1, 3, 5, 7."""

TRITON = """\
import torch
import triton
import triton.language as tl

@triton.jit
def twice(values, count, SIZE: tl.constexpr):
    places = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    inside = places < count
    tl.store(values + places, tl.load(values + places, mask=inside) * 2, mask=inside)

values = torch.arange(1000, device="cuda", dtype=torch.float32)
twice[(8,)](values, 1000, SIZE=128)
found = values.sum().item()
assert found == 999000.0, f"the sum is {found} instead of 999000"
"""

SAMPLER = """\
import flashinfer.sampling
import torch

certain = torch.zeros(4, 1000, device="cuda")
certain[:, 7] = 1.0
found = flashinfer.sampling.top_k_top_p_sampling_from_probs(certain, 50, 0.9).tolist()
assert found == [7] * 4, f"sampled {found} where 7 is certain"
"""
