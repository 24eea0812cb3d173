from __future__ import annotations

import dataclasses
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from mirror.closed.environment import Environment, GenerationDamaged, load_environment
from mirror.closed.prefix import Generation, Identity, Prefix
from mirror.core.errors import Unreadable
from mirror.core.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.target import Target

DIGEST = Sha256Hex("ab" * 32)
RPM = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, DIGEST, "cuda-nvcc-13-0")
META = Artifact("meta/install.txt", 1, DIGEST, "install.txt")
TARGET = Target("3.11", "x86_64", "2.28", "sm_90a", "13.0")
MANIFEST = Manifest("h100", 5, TARGET, (RPM, META))
SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "busybox") if shutil.which(shell)]


@pytest.fixture(params=["plain", "with space & 'odd' $name"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Environment:
    generation = tmp_path / request.param / "5-abababababab"
    generation.mkdir(parents=True)
    environment = Environment(generation, MANIFEST)
    (generation / "env.sh").write_text(environment.script())
    return environment


def source(shell: str, environment: Environment, *, times: int = 1, **variables: str) -> dict[str, str]:
    """Source env.sh under -eu from another directory; what the shell then exports."""
    script = str(environment.generation / "env.sh")
    words = [shell, "sh"] if shell == "busybox" else [shell]
    finished = subprocess.run(
        [*words, "-eu", "-c", '. "$1"; ' * times + "cd /; env -0", "sh", script],
        env={"PATH": "/usr/bin:/bin", "HOME": "/home/user", **variables},
        cwd="/tmp",
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return dict(line.split("=", 1) for line in finished.stdout.split("\0") if line)


@pytest.mark.parametrize("shell", SHELLS)
def test_what_the_shell_sets_is_what_the_self_test_uses(shell: str, environment: Environment) -> None:
    found = source(shell, environment)
    caches = Path("/home/user/.cache/mirror/jit") / environment.jit_key()
    expected = environment.variables({"PATH": "/usr/bin:/bin", "HOME": "/home/user"}, caches)
    assert {name: found.get(name) for name in expected} == {
        name: str(value).rstrip("/") for name, value in expected.items()
    }
    assert set(found) - set(expected) <= {"PWD", "OLDPWD", "SHLVL", "LOGNAME", "_"}


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_twice_changes_nothing_more(shell: str, environment: Environment) -> None:
    assert source(shell, environment) == source(shell, environment, times=2)


def test_the_values(tmp_path: Path) -> None:
    found = Environment(Path("/p/gens/5-abababababab"), MANIFEST).variables({"PATH": "/bin"}, tmp_path)
    home = "/p/gens/5-abababababab/cuda"
    assert found["CUDA_HOME"] == home
    assert found["PATH"] == f"/p/gens/5-abababababab/venv/bin:{home}/bin:/bin"
    assert found["LIBRARY_PATH"] == f"{home}/lib64"
    assert found["CPATH"] == f"{home}/include"
    assert (found["TORCH_CUDA_ARCH_LIST"], found["FLASHINFER_CUDA_ARCH_LIST"], found["CUDAARCHS"]) == (
        "9.0",
        "9.0a",
        "90a",
    )
    assert (found["HF_HUB_OFFLINE"], found["VLLM_NO_USAGE_STATS"], found["FLASHINFER_NO_DOWNLOAD"]) == ("1", "1", "1")
    assert found["VLLM_CACHE_ROOT"] == f"{tmp_path}/vllm"


def test_the_toolkit_is_never_on_the_run_time_path_and_stubs_are_on_none(environment: Environment) -> None:
    found = source("sh", environment, LD_LIBRARY_PATH="/site/lib")
    assert found["LD_LIBRARY_PATH"] == "/site/lib"
    assert not [name for name, value in found.items() if "stubs" in value]


def test_search_paths_keep_what_they_held_and_gain_no_empty_element(environment: Environment) -> None:
    found = source("sh", environment, CPATH="/site/include")
    assert found["CPATH"] == f"{environment.cuda_home}/include:/site/include"
    assert found["LIBRARY_PATH"] == f"{environment.cuda_home}/lib64"


def test_the_generation_sourced_last_wins(tmp_path: Path) -> None:
    environments = []
    for name in ("1-aaaaaaaaaaaa", "2-bbbbbbbbbbbb"):
        (tmp_path / name).mkdir()
        environments.append(Environment(tmp_path / name, MANIFEST))
        (tmp_path / name / "env.sh").write_text(environments[-1].script())
    first, second = (f'. "{environment.generation}/env.sh"; ' for environment in environments)
    script = first + second + first + 'echo "$CUDA_HOME"; command -v nvcc || :; echo "${PATH%%:*}"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert output[0] == str(environments[0].cuda_home)
    assert output[-1] == str(environments[0].venv / "bin")


def test_caches_follow_the_base_directory_specification_and_never_lie_in_tmp(environment: Environment) -> None:
    key = environment.jit_key()
    assert (
        source("sh", environment, XDG_CACHE_HOME="/scratch")["TRITON_CACHE_DIR"] == f"/scratch/mirror/jit/{key}/triton"
    )
    without = source("sh", environment, HOME="")
    assert without["TRITON_CACHE_DIR"] == f"{environment.generation}/.cache/mirror/jit/{key}/triton"


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
    assert found["PATH"] == "/p/venv/bin"


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
    assert "'mirror install' again with the same bundle" in exc_info.value.hint


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
