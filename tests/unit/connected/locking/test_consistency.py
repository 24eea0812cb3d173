"""Locks whose pins are for different CUDAs are refused; on a loopback index, and for the real projects that showed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.connected.fetching.store import Store
from mirror.connected.lock import LockOptions, lock
from mirror.connected.locking.consistency import PinsDisagree
from mirror.connected.pins.requirements import read_lock
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel

HEAD = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.35"\ngpu = "sm_90a"\ncuda = "{}"\n[python]\nrequirements = {}\n'
WAIVER = '[[waiver]]\nproject = "server"\nrule = "cuda-major"\nreason = "it loads neither"\nby = "alice"\n'


def write(path: Path, cuda: str, *requirements: str, tail: str = "") -> Path:
    toml = path / "demo.toml"
    toml.write_text(HEAD.format(cuda, list(requirements)).replace("'", '"') + tail)
    return toml


def test_pins_of_two_cudas_are_refused_before_anything_is_written_unless_that_is_waived(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with LoopbackIndex() as index:
        for wheel in (
            make_wheel(tmp_path, "torch", "2.14.1", requires=["nvidia-nccl-cu13"]),
            make_wheel(tmp_path, "nvidia-nccl-cu13", "2.28"),
            make_wheel(tmp_path, "nvidia-nccl-cu12", "2.27"),
            make_wheel(tmp_path, "server", "1.0", requires=["torch", "nvidia-nccl-cu12"]),
        ):
            index.add(wheel)
        tail = f'[indexes]\ndefault = "{index.url}"\n'
        toml = write(tmp_path, "13.0", "server", tail=tail)
        with pytest.raises(PinsDisagree) as caught:
            lock(toml, LockOptions(), store)
        assert str(caught.value) == (
            "demo cannot be locked so: server==1.0: it is for CUDA 12 (it asks for nvidia-nccl-cu12 2.27); torch 2.14.1 is for "
            "CUDA 13 [cuda-major]"
        )
        assert caught.value.context().startswith('[[waiver]]\nproject = "server"\nrule = "cuda-major"\n')
        assert not (tmp_path / "demo.txt").exists()
        write(tmp_path, "13.0", "server", tail=tail + WAIVER)
        lock(toml, LockOptions(), store)
        assert len(read_lock(tmp_path / "demo.txt").pins) == 4
        write(tmp_path, "12.8", "server", tail=tail + WAIVER)
        with pytest.raises(PinsDisagree, match=r"torch==2.14.1: it is for CUDA 13 .*; the target is for CUDA 12.8"):
            lock(toml, LockOptions(), store)


@pytest.mark.index
@pytest.mark.parametrize(
    ("cuda", "requirements", "words"),
    [
        ("13.0", ["lmdeploy==0.18.0"], "lmdeploy==0.18.0: it is for CUDA 12 (it asks for nvidia-cublas-cu12"),
        ("13.0", ["ktransformers==0.7.2"], "torch==2.9.1: it is for CUDA 12 (it asks for nvidia-cublas-cu12"),
        (
            "13.0",
            ["flashinfer-python==0.6.13", "flashinfer-cubin==0.6.12", "torch==2.11.0"],
            "flashinfer-cubin==0.6.12: it is for FlashInfer 0.6.12; the set has flashinfer-python 0.6.13",
        ),
    ],
)
def test_real_projects_that_were_accepted_in_silence_are_refused(
    cuda: str, requirements: list[str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(PinsDisagree) as caught:
        lock(write(tmp_path, cuda, *requirements), LockOptions(), Store(tmp_path / "store"))
    assert words in str(caught.value)


@pytest.mark.index
@pytest.mark.slow
def test_a_real_project_that_falls_back_in_silence_is_told_with_the_reason(tmp_path: Path) -> None:
    locked = lock(write(tmp_path, "13.0", "nvidia-modelopt[hf]"), LockOptions(), Store(tmp_path / "store"))
    (kept,) = locked.kept_out
    assert (kept.project, kept.kind) == ("nvidia-modelopt", "dependency")
    assert "it needs deepspeed, and deepspeed" in kept.why
    assert "no wheel, only an sdist" in kept.why
