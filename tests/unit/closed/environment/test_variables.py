from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from mirror.closed.environment.variables import Environment, GenerationDamaged, load_environment
from mirror.closed.prefix.generations import Generation, Identity, Prefix
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.errors import Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
RPM = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, DIGEST, "cuda-nvcc-13-0")
META = Artifact("meta/install.txt", 1, DIGEST, "install.txt")
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
MANIFEST = Manifest("h100", 5, TARGET, (RPM, META))


def test_the_values(tmp_path: Path) -> None:
    found = Environment(Path("/p/gens/5-abababababab"), MANIFEST).variables({"PATH": "/bin"}, tmp_path)
    home = "/p/gens/5-abababababab/cuda"
    assert found["CUDA_HOME"] == home
    assert found["PATH"] == f"/p/gens/5-abababababab/bin:/p/gens/5-abababababab/venv/bin:{home}/bin:/bin"
    assert found["LIBRARY_PATH"] == f"{home}/lib64"
    assert found["CPATH"] == f"{home}/include"
    assert (found["TORCH_CUDA_ARCH_LIST"], found["FLASHINFER_CUDA_ARCH_LIST"], found["CUDAARCHS"]) == (
        "9.0",
        "9.0a",
        "90a",
    )
    assert (found["HF_HUB_OFFLINE"], found["VLLM_NO_USAGE_STATS"], found["FLASHINFER_NO_DOWNLOAD"]) == ("1", "1", "1")
    assert found["FLASHINFER_CUBINS_REPOSITORY"] == "http://127.0.0.1:9/"  # asked by vLLM whatever FlashInfer may
    assert found["VLLM_CACHE_ROOT"] == f"{tmp_path}/vllm"
    escaped = ("HUMMING_CACHE_DIR", "HUMMING_TMP_DIR", "QUACK_CACHE_DIR", "CUTE_DSL_CACHE_DIR", "OUTLINES_CACHE_DIR")
    assert all(found[name].startswith(f"{tmp_path}/") for name in escaped)


def test_the_address_of_a_host_is_its_operators_to_say(tmp_path: Path) -> None:
    """One value would be right on one host, and have servers on several wait for each other."""
    environment = Environment(Path("/p"), MANIFEST)
    assert "VLLM_HOST_IP" not in environment.variables({}, tmp_path)
    assert environment.variables({"VLLM_HOST_IP": "10.0.0.5"}, tmp_path)["VLLM_HOST_IP"] == "10.0.0.5"


def test_what_vllm_puts_into_its_keys_is_the_same_for_every_user(tmp_path: Path) -> None:
    """vLLM 0.25.1 hashes these two, which default to places below HOME, with all of its own variables."""
    environment = Environment(tmp_path / "5-abababababab", MANIFEST)
    alice, bob = (environment.variables({"HOME": home}, tmp_path) for home in ("/home/alice", "/home/bob"))
    for name in ("VLLM_CONFIG_ROOT", "VLLM_XLA_CACHE_PATH"):
        assert alice[name] == bob[name] == f"{environment.generation}/config/vllm"


def test_the_cache_key_changes_with_all_that_kernels_depend_on() -> None:
    environment = Environment(Path("/p"), MANIFEST)
    other_rpm = dataclasses.replace(RPM, sha256=Sha256Hex("cd" * 32))
    wheel = Artifact("wheels/torch.whl", 1, DIGEST, "torch")
    changed = [
        Environment(Path("/q"), MANIFEST),
        Environment(Path("/p"), dataclasses.replace(MANIFEST, artifacts=(other_rpm, META))),
        Environment(Path("/p"), dataclasses.replace(MANIFEST, artifacts=(wheel, RPM, META))),
        Environment(Path("/p"), dataclasses.replace(MANIFEST, target=dataclasses.replace(TARGET, gpu="sm_100a"))),
    ]
    assert len({environment.jit_key(), *(other.jit_key() for other in changed)}) == 5
    unchanged = dataclasses.replace(MANIFEST, artifacts=(RPM, dataclasses.replace(META, sha256=other_rpm.sha256)))
    assert Environment(Path("/p"), unchanged).jit_key() == environment.jit_key()


def test_a_bundle_without_cuda_sets_nothing_about_it() -> None:
    manifest = Manifest("small", 5, Target("3.11", "x86_64", "2.28"), (META,))
    found = Environment(Path("/p"), manifest).variables({}, Path("/c"))
    assert not {"CUDA_HOME", "CPATH", "LIBRARY_PATH", "TORCH_CUDA_ARCH_LIST"} & set(found)
    assert found["PATH"] == "/p/bin:/p/venv/bin"


def installed(tmp_path: Path) -> Generation:
    """A generation as far as its environment needs one."""
    digest = Sha256Hex(hashlib.sha256(MANIFEST.encode()).hexdigest())
    prefix = Prefix(tmp_path / "p")
    with prefix.lock(), prefix.building(Identity.of(5, digest), digest) as generation:
        generation.manifest.write_bytes(MANIFEST.encode())
    return generation


def test_the_environment_of_an_installed_generation_needs_no_bundle(tmp_path: Path) -> None:
    generation = installed(tmp_path)
    assert load_environment(generation) == Environment(generation.path, MANIFEST)


def test_a_generation_of_the_first_versions_says_how_it_gets_its_manifest(tmp_path: Path) -> None:
    generation = installed(tmp_path)
    generation.manifest.unlink()
    with pytest.raises(GenerationDamaged) as exc_info:
        load_environment(generation)
    assert str(exc_info.value) == f"{generation.path}: it has no manifest.json"
    assert "'mirror install --repair BUNDLE', with the bundle that it came from" in exc_info.value.hint


def test_a_manifest_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    generation = installed(tmp_path)
    other = dataclasses.replace(MANIFEST, imports=("evil",)).encode()
    generation.manifest.write_bytes(other)
    with pytest.raises(GenerationDamaged) as exc_info:
        load_environment(generation)
    digests = [hashlib.sha256(data).hexdigest() for data in (other, MANIFEST.encode())]
    assert str(exc_info.value) == (
        f"{generation.path}: sha256 of its manifest.json is {digests[0]}, its COMPLETE says {digests[1]}"
    )


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    generation = installed(tmp_path)
    generation.manifest.unlink()
    generation.manifest.mkdir()
    with pytest.raises(Unreadable, match=r"manifest\.json: Is a directory"):
        load_environment(generation)
