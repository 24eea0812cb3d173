from __future__ import annotations

from collections import Counter

import pytest

from mirror.core.fields import Fields
from mirror.core.target import Target
from mirror.core.targets.distributions import DISTRIBUTIONS, built_for
from mirror.core.targets.matrix import corrections, parse_variant, published, variant_of


def test_the_published_matrix_has_88_variants_whose_names_are_read_back() -> None:
    rows = published()
    assert Counter(one.cuda for one in rows) == {"12.9": 47, "12.8": 41}
    assert len({one.name for one in rows}) == 88
    assert [parse_variant(one.name) for one in rows] == list(rows)
    assert all(Target.from_fields(Fields(one.target.to_dict(), "target")) == one.target for one in rows)


def test_what_is_wrong_with_the_published_variants_is_pascal_alone() -> None:
    wrong = {one.name: one.wrong for one in published() if one.wrong}
    assert sorted(wrong) == [f"vllm-python313-cuda12_{minor}-sm61-{isa}" for minor in (8, 9) for isa in ("avx", "avx2")]
    assert wrong["vllm-python313-cuda12_9-sm61-avx"] == (
        "vLLM's own lists of GPUs begin at 7.0: none of its kernels is compiled for it",
        "FlashInfer needs 7.5 or newer",
    )


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sm103-avx2", "nvcc of CUDA 12.8 does not know sm_103a; the first that does is 12.9"),
        ("sm121-armv9", "nvcc of CUDA 12.8 does not know sm_121a; the first that does is 12.9"),
    ],
)
def test_a_gpu_that_this_cuda_does_not_know_is_told_with_the_first_that_does(name: str, wrong: str) -> None:
    assert parse_variant(f"vllm-python311-cuda12_8-{name}").wrong == (wrong,)


def test_a_gpu_that_a_cuda_has_dropped_is_told() -> None:
    told = "nvcc of CUDA 13.0 no longer compiles for sm_70; 13.0 has dropped it"
    assert variant_of("v100", "3.11", "13.0").wrong[0] == told
    assert variant_of("v100", "3.11").cuda == "12.8"


def test_every_setting_follows_from_the_name() -> None:
    one = parse_variant("sglang-python311-cuda12_8-sm90-avx512bf16")
    assert one.name == "sglang-python311-cuda12_8-sm90-avx512bf16"
    assert one.settings == {
        "TORCH_CUDA_ARCH_LIST": "9.0a",
        "FLASHINFER_CUDA_ARCH_LIST": "9.0a",
        "CMAKE_CUDA_ARCHITECTURES": "90a",
        "CUDAARCHS": "90a",
        "NVCC_APPEND_FLAGS": "-gencode=arch=compute_90a,code=sm_90a",
        "CFLAGS": "-march=x86-64-v4 -mavx512bf16",
    }
    facts = one.to_dict()
    assert (facts["driver"], facts["driver_for_ptx"], facts["gcc"]) == ("525.60.13", "570.26", "9 to 14")
    assert variant_of("p40", "3.11").settings["USE_CUDNN"] == "0"


def test_a_board_with_arm_processors_is_for_those() -> None:
    assert variant_of("gh200", "3.11").isa.name == "armv9"
    assert variant_of("gh200", "3.11").models == ("GH200",)
    assert variant_of("h100", "3.11").models == ("H100", "H200")
    with pytest.raises(ValueError, match="gh200 is soldered to hosts of aarch64, avx2 is of x86_64"):
        variant_of("gh200", "3.11", isa="avx2")


@pytest.mark.parametrize("cuda", ["99.9", "12.7", "13.9"])
def test_a_cuda_release_that_nobody_knows_is_refused_with_those_that_are(cuda: str) -> None:
    known = "11.8, 12.0, 12.1, 12.2, 12.3, 12.4, 12.5, 12.6, 12.8, 12.9, 13.0, 13.1, 13.2, 13.3, 13.4"
    with pytest.raises(ValueError, match=f"no CUDA {cuda} is known; {known} are"):
        variant_of("h100", "3.11", cuda)
    with pytest.raises(ValueError, match=f"no CUDA {cuda} is known"):
        parse_variant(f"vllm-python311-cuda{cuda.replace('.', '_')}-sm90-avx2")


@pytest.mark.parametrize("name", ["vllm", "vllm-python311-cuda12_8-sm999-avx2", "vllm-python311-cuda12_8-sm90-mmx", ""])
def test_what_is_no_variant_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected|is known"):
        parse_variant(name)


def test_what_was_published_is_corrected_from_the_tables() -> None:
    told = "\n".join(corrections())
    assert "575.51.03 with CUDA 12.9 and 570.26 with CUDA 12.8 were shipped, not 560 and 550" in told
    assert "L40S is sm_89" in told
    assert "sm_103 takes CUDA 12.9, not 13.0" in told
    assert "in no variant: 7.0 (V100), 8.7 (Orin), 10.7 (Rubin), 11.0 (Thor), 12.1 (GB10)" in told


def test_a_distribution_is_offered_by_its_glibc_and_has_its_own_key() -> None:
    assert {one.name: one.key for one in DISTRIBUTIONS if one.key not in ("", "D42D0685")} == {
        "RHEL 10": "CDF6BA43",
        "Fedora 43": "1940C73E",
        "Debian 13": "8793F200",
    }
    assert [one.name for one in built_for("2.40")] == ["Fedora 42", "Fedora 43", "Debian 13"]
    assert str(DISTRIBUTIONS[1]) == "RHEL 9: glibc 2.34, repository rhel9, key D42D0685"
