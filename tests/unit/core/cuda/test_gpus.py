from __future__ import annotations

import pytest

from mirror.core.cuda.gpus import GPUS, first_release, gpu
from mirror.core.fields import Fields
from mirror.core.target import ARCHITECTURES, Target


@pytest.mark.parametrize("name", GPUS)
def test_every_gpu_makes_a_target(name: str) -> None:
    kind = gpu(name)
    words = {"python": "3.11", "arch": kind.arch or "x86_64", "glibc": "2.31", "gpu": kind.capability}
    assert Target.from_fields(Fields(words, "target")).arch in ARCHITECTURES


@pytest.mark.parametrize("name", ["H100", "nvidia-h100", "NVIDIA H100"])
def test_a_name_is_taken_as_people_write_it(name: str) -> None:
    assert gpu(name).capability == "sm_90a"


def test_an_unknown_name_is_refused_with_what_is_near() -> None:
    with pytest.raises(ValueError, match=r"no GPU 'h1000' is known; did you mean h100\?"):
        gpu("h1000")


@pytest.mark.parametrize(
    ("gpu", "release"), [("sm_90a", "12.0"), ("sm_90", "11.8"), ("sm_103", "12.9"), ("121a", "12.9"), ("sm_999", "")]
)
def test_a_gpu_has_its_first_release(gpu: str, release: str) -> None:
    assert first_release(gpu) == release
