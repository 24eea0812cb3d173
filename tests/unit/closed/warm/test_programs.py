"""Which files of a cache are carried and counted, and why FlashInfer's build directories are not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.prefix.generations import Prefix
from mirror.closed.prefix.seal import Seal
from mirror.closed.warm.aot import link_modules
from mirror.closed.warm.programs import carried_as, counted_by_program, graph_key, is_compiled, program_of
from tests.support.generations import put_generation

BUILD = """\
ninja_required_version = 1.3
rule compile
  command = c++ -MMD -MF $out.d -fPIC -c $in -o $out
  depfile = $out.d
  deps = gcc
rule link
  command = c++ -shared $in -o $out
build {here}/page.o: compile {source}
build {here}/page.so: link {here}/page.o
default {here}/page.so
"""
"""As flashinfer/jit/cpp_ext.py of 0.6.13 writes it: outputs and sources are absolute."""


@pytest.mark.parametrize(
    ("path", "carried"),
    [
        (".cache/flashinfer/0.6.13/90a/cached_ops/page/page.so", "aot/page/page.so"),
        (".cache/flashinfer/0.6.13/90a/cached_ops/page/page_kernel.cuda.o", ""),
        (".cache/flashinfer/0.6.13/90a/cached_ops/page/build.ninja", ""),
        (".cache/flashinfer/0.6.13/90a/cached_ops/.ninja_log", ""),
        (".cache/flashinfer/0.6.13/90a/generated/page/page.cu", ""),
        ("triton/ABC/k.cubin", "triton/ABC/k.cubin"),
        ("triton/ABC/__grp__k.json", "triton/ABC/__grp__k.json"),
        ("triton/ABC/tmp.pid_12_0a1b/k.cubin", ""),
        ("triton/ABC/lock", ""),
        ("inductor/locks/c3u.lock", ""),
        ("inductor/tm/ctmpabcdefgh.py", "inductor/tm/ctmpabcdefgh.py"),
        ("inductor/aotautograd/abc/.tmpfile", ""),
        ("vllm/torch_compile_cache/torch_aot_compile/abc/rank_0_0/model", None),
        ("vllm/modelinfos/a.json", None),
        ("vllm/assets/image.png", ""),
        ("mlc_llm/model_weights/a.bin", ""),
        ("mlc_llm/model_lib/a.so", None),
        ("nv/index", None),
        ("warm.0123456789abcdef.json", ""),
        (".warm.lock", ""),
    ],
)
def test_what_is_carried(path: str, carried: str | None) -> None:
    assert carried_as(path) == (path if carried is None else carried)


def test_results_are_counted_and_what_is_beside_them_is_not() -> None:
    vllm = "vllm/torch_compile_cache"
    paths = [
        "triton/A/k.cubin", "triton/A/k.ttir", "triton/B/cuda_utils.cpython-311-x86_64-linux-gnu.so",
        "inductor/ab/c.main.so", "inductor/ab/c.main.cpp", "inductor/fxgraph/ab/c/d", "aot/page/page.so",
        "nv/a/b/c", "nv/index", "deep_gemm/cache/k/kernel.cubin",
        f"{vllm}/torch_aot_compile/a/rank_0_0/model", f"{vllm}/a/rank_0_0/vllm_compile_cache.py",
    ]  # fmt: skip
    assert counted_by_program(paths) == {
        "CUDA driver": 1, "DeepGEMM": 1, "FlashInfer": 1, "Triton": 2, "torch.compile": 2, "vLLM": 1
    }  # fmt: skip
    assert not is_compiled("nv/index")
    kept = "vllm/torch_compile_cache/torch_aot_compile/16c3/inductor_cache/fxgraph/26/f26izz"
    assert (graph_key(f"{kept}/rw6rdmurjp"), graph_key("triton/A/k.cubin")) == (kept, "")
    assert program_of("new_program/a.so") == "new_program"


@pytest.mark.skipif(not (shutil.which("ninja") and shutil.which("c++")), reason="needs ninja and a C++ compiler")
def test_ninja_builds_a_copied_directory_again(tmp_path: Path) -> None:
    """So of FlashInfer the finished modules are carried alone, and ninja is not asked."""
    source = tmp_path / "page.cc"
    source.write_text('extern "C" int page() { return 1; }\n')
    one, other = tmp_path / "one" / "page", tmp_path / "other" / "page"
    for here in (one, other):
        here.mkdir(parents=True)
    assert _built(one, source) == 2
    assert _built(one, source) == 0
    shutil.copytree(one, other, dirs_exist_ok=True)  # with its times, its log and its list of headers
    assert _built(other, source) == 2
    os.utime(source)  # as headers have that were installed later
    assert _built(one, source) == 2


def _built(here: Path, source: Path) -> int:
    """How many commands ninja ran there."""
    (here / "build.ninja").write_text(BUILD.format(here=here, source=source))
    command = ["ninja", "-v", "-C", str(here), "-f", str(here / "build.ninja")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(line.startswith("[") for line in said.splitlines())


def test_a_generation_with_flashinfer_gets_a_link_to_the_modules_of_its_layer(tmp_path: Path) -> None:
    generation = put_generation(Prefix(tmp_path / "p"), 5)
    data = generation.venv / "lib/python3.11/site-packages/flashinfer/data"
    data.mkdir(parents=True)
    (link,) = link_modules(generation)
    assert not link.exists()
    module = generation.path / "warm.0123456789abcdef/files/aot/page/page.so"
    module.parent.mkdir(parents=True)
    module.write_bytes(b"")
    (generation.path / "warm").symlink_to("warm.0123456789abcdef")
    assert (link / "page/page.so").exists()
    sealed = Seal.of(generation).entries
    assert sealed[link.relative_to(generation.path).as_posix()].startswith("-> ../")
    assert not [path for path in sealed if path.startswith(("warm", ".warm"))]
    assert link_modules(generation) == ()


def test_a_package_that_brings_its_own_modules_keeps_them(tmp_path: Path) -> None:
    generation = put_generation(Prefix(tmp_path / "p"), 5)
    (generation.venv / "lib/python3.11/site-packages/flashinfer/data/aot").mkdir(parents=True)
    assert link_modules(generation) == ()
