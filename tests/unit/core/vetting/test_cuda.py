"""Sets of projects as real stacks have them, and what of each is for another CUDA, or another FlashInfer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mirror.core.target import Target
from mirror.core.vetting.cuda import Part, cuda_findings

TARGET = Target("3.11", "x86_64", "2.34", "sm_90a", "13.0")
TORCH_12 = (
    Part("torch", "2.9.1", ("nvidia-cublas-cu12", "nvidia-nccl-cu12", "triton")),
    Part("nvidia-cublas-cu12", "12.8.4.1"),
    Part("nvidia-nccl-cu12", "2.27.5"),
    Part("triton", "3.5.0"),
)
TORCH_13 = (
    Part("torch", "2.14.1", ("cuda-toolkit", "nvidia-cudnn-cu13", "nvidia-ml-py")),
    Part("cuda-toolkit", "13.0.2", ("nvidia-cusparse", "nvidia-cuda-runtime")),
    Part("nvidia-cudnn-cu13", "9.19.0.56"),
    Part("nvidia-cusparse", "12.6.3.3"),  # of CUDA 13.0: its own number says nothing
    Part("nvidia-cuda-runtime", "13.0.96"),
    Part("nvidia-ml-py", "12.560.30"),  # of a driver, not of CUDA
)


def told(*parts: Part, target: Target = TARGET) -> list[tuple[str, str]]:
    return [(one.rule, str(one)) for one in cuda_findings(parts, target)]


def test_a_stack_of_one_release_has_nothing_to_find() -> None:
    user = Part("vllm", "0.33.0", ("torch", "nvidia-cudnn-cu13", "nvidia-cusparse"))
    assert told(*TORCH_13, user) == []
    assert told(*TORCH_12, target=replace(TARGET, cuda="12.6")) == []  # one major release, whatever the minor ones are
    assert told(*TORCH_12, target=replace(TARGET, cuda="")) == []


def test_torch_of_another_release_than_the_target_is_told_once() -> None:
    assert told(*TORCH_12, Part("vllm", "0.15.1", ("nvidia-nccl-cu12",))) == [
        (
            "cuda-major",
            "torch==2.9.1: it is for CUDA 12 (it asks for nvidia-cublas-cu12 12.8.4.1, nvidia-nccl-cu12 2.27.5); the target is "
            "for CUDA 13.0",
        )
    ]


def test_a_project_that_asks_for_libraries_of_another_release_than_torchs_is_told_with_both() -> None:
    needs = tuple(f"nvidia-{name}-cu12" for name in ("cublas", "curand", "nccl", "nvtx"))
    libraries = [Part(name, "12.9.0") for name in needs]
    assert told(*TORCH_13, Part("lmdeploy", "0.18.0", (*needs, "torch")), *libraries) == [
        (
            "cuda-major",
            "lmdeploy==0.18.0: it is for CUDA 12 (it asks for nvidia-cublas-cu12 12.9.0, nvidia-curand-cu12 12.9.0, "
            "nvidia-nccl-cu12 12.9.0 and 1 more); torch 2.14.1 is for CUDA 13",
        )
    ]


@pytest.mark.parametrize(
    ("project", "version"),
    [
        ("vllm", "0.20.0+cu129"),
        ("torch-scatter", "2.1.2+pt210cu128"),
        ("flash-attn", "2.8.3+cu12torch2.4cxx11abitrue"),
        ("cupy-cuda12x", "14.2.0"),
        ("nvidia-dali-cuda120", "1.0"),
        ("mlc-ai-nightly-cu128", "0.1"),
        ("nvidia-nccl-cu12", "2.27.5"),  # which NAME.toml itself asks for
    ],
)
def test_a_version_or_a_name_tells_the_release_too(project: str, version: str) -> None:
    assert told(*TORCH_13, Part(project, version)) == [
        ("cuda-major", f"{project}=={version}: it is for CUDA 12; torch 2.14.1 is for CUDA 13")
    ]


def test_a_project_of_nvidias_own_and_flashinfer_are_judged_by_what_they_ask_for() -> None:
    for project in ("nvidia-modelopt", "flashinfer-python"):
        asks = Part(project, "0.47.0", ("nvidia-nccl-cu12",))
        (one,) = told(*TORCH_13, asks, Part("nvidia-nccl-cu12", "2.27.5"))
        assert one[1].startswith(f"{project}==0.47.0: it is for CUDA 12 (it asks for nvidia-nccl-cu12 2.27.5)")


def test_cutlass_dsl_is_of_no_release_as_it_asks_for_its_libraries_of_both() -> None:
    dsl = Part("nvidia-cutlass-dsl", "4.8.0", ("nvidia-cutlass-dsl-libs-cu12", "nvidia-cutlass-dsl-libs-cu13"))
    assert told(*TORCH_13, dsl, *(Part(name, "4.8.0") for name in dsl.needs)) == []


def test_without_torch_the_target_is_the_measure() -> None:
    parts = (Part("a", "1.0", ("nvidia-nccl-cu12",)), Part("nvidia-nccl-cu12", "2.27.5"))
    (one,) = told(*parts)
    assert one[1] == "a==1.0: it is for CUDA 12 (it asks for nvidia-nccl-cu12 2.27.5); the target is for CUDA 13"
    assert told(*parts, target=replace(TARGET, cuda="")) == []


def test_what_asks_for_both_is_told_for_the_one_that_is_not_torchs() -> None:
    both = Part("a", "1.0", ("nvidia-cudnn-cu13", "nvidia-nccl-cu12"))
    (one,) = told(*TORCH_13, both, Part("nvidia-nccl-cu12", "2.27.5"))
    assert "for CUDA 12 (it asks for nvidia-nccl-cu12 2.27.5)" in one[1]


def test_torch_for_processors_alone_is_no_measure() -> None:
    assert told(Part("torch", "2.14.1+cpu"), Part("a", "1.0+cu130")) == []


MAIN = Part("flashinfer-python", "0.6.13")


def test_flashinfers_packages_of_one_version_and_release_have_nothing_to_find() -> None:
    assert told(*TORCH_13, MAIN, Part("flashinfer-cubin", "0.6.13"), Part("flashinfer-jit-cache", "0.6.13+cu130")) == []
    assert told(Part("flashinfer-cubin", "0.6.4")) == []


@pytest.mark.parametrize(
    ("main", "other", "words"),
    [
        (
            MAIN,
            Part("flashinfer-cubin", "0.6.12"),
            "flashinfer-cubin==0.6.12: it is for FlashInfer 0.6.12; the set has flashinfer-python 0.6.13: "
            "flashinfer-cubin==0.6.13 is on the package index",
        ),
        (
            Part("flashinfer-python", "0.7.2.post1"),
            Part("flashinfer-cubin", "0.6.13"),
            "flashinfer-cubin==0.6.13: it is for FlashInfer 0.6.13; the set has flashinfer-python 0.7.2.post1: "
            "flashinfer-cubin==0.7.2.post1 is on flashinfer.ai/whl/flashinfer-cubin/",
        ),
        (
            Part("flashinfer-python", "0.6.4"),
            Part("flashinfer-jit-cache", "0.6.40+cu130"),  # which FlashInfer 0.6.4 itself would take (CUDA.md B2)
            "flashinfer-jit-cache==0.6.40+cu130: it is for FlashInfer 0.6.40; the set has flashinfer-python 0.6.4: "
            "flashinfer-jit-cache==0.6.4+cu130, where there is one, is on flashinfer.ai/whl/cu130/ and on the page of release "
            "v0.6.4 of flashinfer-ai/flashinfer",
        ),
        (
            MAIN,
            Part("flashinfer-jit-cache", "0.6.13+cu128"),
            "flashinfer-jit-cache==0.6.13+cu128: it is for CUDA 12; torch 2.14.1 is for CUDA 13: "
            "flashinfer-jit-cache==0.6.13+cu130, where there is one, is on flashinfer.ai/whl/cu130/ and on the page of release "
            "v0.6.13 of flashinfer-ai/flashinfer",
        ),
    ],
)
def test_another_flashinfer_is_told_with_both_versions_and_where_the_right_one_is(
    main: Part, other: Part, words: str
) -> None:
    assert told(*TORCH_13, main, other) == [("flashinfer-set", words)]
