"""The same environment in every shell that is on this machine; CI installs fish, tcsh and zsh."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mirror.closed.environment.shells import as_document, csh_script, fish_script, sh_script
from mirror.closed.environment.variables import CACHES, WEIGHTS, Environment, of_one_width
from tests.unit.closed.environment.test_variables import MANIFEST

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "busybox") if shutil.which(shell)]
needs_fish = pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
needs_csh = pytest.mark.skipif(shutil.which("tcsh") is None, reason="no tcsh here")

ODD = "/o  dd 'q\"u$HOME `id` !x \\b*?[a]{b}~;&|#(%s)ö"
"""A directory that no shell likes."""

OWN = {
    "PWD",
    "OLDPWD",
    "SHLVL",
    "LOGNAME",
    "_",
    "HOSTTYPE",
    "VENDOR",
    "OSTYPE",
    "MACHTYPE",
    "NLSPATH",
    "USER",
    "GROUP",
    "HOST",
}
"""What shells export by themselves."""


@pytest.fixture(params=["plain", "with space & 'odd' $name !1 *"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Environment:
    """A generation with its scripts. A prefix may not be that odd, but quoting does not lean on it."""
    generation = tmp_path / request.param / "5-abababababab"
    generation.mkdir(parents=True)
    return write(Environment(generation, MANIFEST))


def write(environment: Environment) -> Environment:
    (environment.venv / "bin").mkdir(parents=True)
    (environment.venv / "bin" / "python").symlink_to(sys.executable)
    (environment.generation / "env.sh").write_text(sh_script(environment))
    (environment.generation / "env.fish").write_text(fish_script(environment))
    return environment


def variables(tmp_path: Path, **changes: str) -> dict[str, str]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    # In the C locale fish rewrites what is not ASCII, whoever sets it.
    found = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONHOME": "/nowhere", "LC_ALL": "C.UTF-8", **changes}
    return {name: value for name, value in found.items() if value}


def exported(command: list[str], given: dict[str, str]) -> dict[str, str]:
    """What a shell exports when it ends with ``env -0``; it must have had nothing to say."""
    finished = subprocess.run(command, env=given, cwd="/tmp", capture_output=True, timeout=60)
    assert (finished.returncode, finished.stderr) == (0, b"")
    return dict(os.fsdecode(line).split("=", 1) for line in finished.stdout.split(b"\0") if line)


def source(shell: str, environment: Environment, given: dict[str, str], times: int = 1) -> dict[str, str]:
    """Source env.sh under -euC from another directory."""
    script = str(environment.generation / "env.sh")
    words = [shell, "sh"] if shell == "busybox" else [shell]
    return exported([*words, "-euC", "-c", '. "$1"; ' * times + "cd /; env -0", "sh", script], given)


def source_fish(environment: Environment, given: dict[str, str], times: int = 1) -> dict[str, str]:
    script = fish_script_path(environment)
    return exported(["fish", "--no-config", "-c", f"source {script}; " * times + "env -0"], given)


def fish_script_path(environment: Environment) -> str:
    return "'" + str(environment.generation / "env.fish").replace("\\", "\\\\").replace("'", "\\'") + "'"


def eval_csh(environment: Environment, given: dict[str, str], form: str, times: int = 1) -> dict[str, str]:
    """Evaluate what ``mirror env --shell csh`` prints, as people type it: with or without double quotes."""
    said = environment.generation.parent.parent / "said"
    said.write_text(csh_script(environment, given))
    evaluated = form.replace("MIRROR", f"cat {shlex.quote(str(said))}")
    return exported(["tcsh", "-f", "-c", f"{evaluated}; " * times + "env -0"], given)


CSH_FORMS = ["eval `MIRROR`", 'eval "`MIRROR`"']


def check(found: dict[str, str], environment: Environment, given: dict[str, str]) -> None:
    """A shell's variables are those that programs of the generation get from mirror itself, and no others."""
    expected = environment.variables(given, environment.caches(given))
    assert {name: found.get(name) for name in expected} == expected
    assert set(found) - set(expected) <= OWN


@pytest.mark.parametrize("odd", [{}, {"XDG_CACHE_HOME": ODD, "CPATH": f"{ODD}:/b"}, {"HOME": ODD}], ids=str)
class TestWhatAShellSetsIsWhatMirrorSets:
    """For the self-test, ``mirror run`` and ``mirror doctor`` it is ``Environment.variables``."""

    @pytest.mark.parametrize("shell", SHELLS)
    def test_in_sh(self, shell: str, environment: Environment, tmp_path: Path, odd: dict[str, str]) -> None:
        given = variables(tmp_path, **odd)
        check(source(shell, environment, given), environment, given)

    @needs_fish
    def test_in_fish(self, environment: Environment, tmp_path: Path, odd: dict[str, str]) -> None:
        given = variables(tmp_path, **odd)
        check(source_fish(environment, given), environment, given)

    @needs_csh
    @pytest.mark.parametrize("form", CSH_FORMS)
    def test_in_csh(self, form: str, environment: Environment, tmp_path: Path, odd: dict[str, str]) -> None:
        given = variables(tmp_path, **odd)
        check(eval_csh(environment, given, form), environment, given)


@pytest.mark.parametrize("shell", SHELLS)
def test_sourcing_twice_changes_nothing_more(shell: str, environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path, CPATH="/site")
    assert source(shell, environment, given) == source(shell, environment, given, times=2)


@needs_fish
def test_sourcing_twice_in_fish_changes_nothing_more(environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path, CPATH="/site")
    assert source_fish(environment, given) == source_fish(environment, given, times=2)


@needs_csh
def test_evaluating_twice_in_csh_changes_nothing_more(environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path, CPATH="/site")
    once, twice = (eval_csh(environment, given, CSH_FORMS[0], times) for times in (1, 2))
    assert once == twice
    assert csh_script(environment, {**given, **once}) == csh_script(environment, given)


@needs_fish
def test_search_paths_that_are_set_and_empty_gain_no_empty_element(environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path) | {"CPATH": "", "LIBRARY_PATH": ""}
    for found in (source("sh", environment, given), source_fish(environment, given)):
        assert found["CPATH"] == f"{environment.cuda_home}/include"
        assert found["LIBRARY_PATH"] == f"{environment.cuda_home}/lib64"


def test_the_toolkit_is_never_on_the_run_time_path_and_stubs_are_on_none(
    environment: Environment, tmp_path: Path
) -> None:
    found = source("sh", environment, variables(tmp_path, LD_LIBRARY_PATH="/site/lib"))
    assert found["LD_LIBRARY_PATH"] == "/site/lib"
    assert not [name for name, value in found.items() if "stubs" in value]


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "fish") if shutil.which(shell)])
def test_the_generation_sourced_last_wins(tmp_path: Path, shell: str) -> None:
    environments = []
    for name in ("1-aaaaaaaaaaaa", "2-bbbbbbbbbbbb"):
        (tmp_path / name).mkdir()
        environments.append(write(Environment(tmp_path / name, MANIFEST)))
    ending = "fish" if shell == "fish" else "sh"
    first, second = (f'. "{environment.generation}/env.{ending}"; ' for environment in environments)
    found = exported([shell, "-c", first + second + first + "env -0"], variables(tmp_path))
    assert found["CUDA_HOME"] == str(environments[0].cuda_home)
    assert found["PATH"].split(":")[0] == str(environments[0].generation / "bin")


@needs_fish
def test_caches_follow_the_base_directory_specification_and_never_lie_in_tmp(
    environment: Environment, tmp_path: Path
) -> None:
    places = [
        ({"XDG_CACHE_HOME": "/scratch"}, "/scratch"),
        ({"XDG_CACHE_HOME": "relative"}, f"{tmp_path}/home/.cache"),
        ({"HOME": ""}, f"{environment.generation}/.cache"),
        ({"HOME": "relative"}, f"{environment.generation}/.cache"),
    ]
    for changes, place in places:
        given = variables(tmp_path, **changes)
        # Without HOME fish asks the passwd file for it.
        for found in [source("sh", environment, given)] + [source_fish(environment, given)] * ("HOME" in given):
            jit = of_one_width(Path(place, "mirror/jit", environment.jit_key()))
            assert found["TRITON_CACHE_DIR"] == f"{jit}/triton"


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "fish") if shutil.which(shell)])
def test_the_cache_is_private_and_says_whose_it_is(shell: str, environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path)
    for _ in range(2):
        (source_fish if shell == "fish" else lambda *words: source(shell, *words))(environment, given)
    cache = environment.caches(given)
    assert (cache / "generation").readlink() == environment.generation
    assert cache.stat().st_mode & 0o777 == 0o700
    assert [path for path in environment.generation.iterdir() if path.name == environment.generation.name] == []


@pytest.mark.group(67)
@pytest.mark.parametrize("shell", [shell for shell in ("sh", "dash", "zsh", "busybox", "fish") if shutil.which(shell)])
@pytest.mark.parametrize("umask", [0, 0o002])
def test_each_directory_of_the_cache_that_is_made_is_private_whatever_the_umask_is(
    shell: str, environment: Environment, tmp_path: Path, umask: int
) -> None:
    given = variables(tmp_path)
    before = os.umask(umask)
    try:
        (source_fish if shell == "fish" else lambda *words: source(shell, *words))(environment, given)
    finally:
        os.umask(before)
    top = tmp_path / "home/.cache"
    made = [path for path in (top, *top.rglob("*")) if not path.is_symlink() and path.name != "fish"]
    assert {(path.name, path.stat().st_mode & 0o777) for path in made} == {
        (name, 0o700) for name in (".cache", "mirror", "jit", environment.caches(given).name)
    }


def test_models_that_the_user_has_for_mlc_are_found_where_they_are(environment: Environment, tmp_path: Path) -> None:
    given = variables(tmp_path)
    assert source("sh", environment, given)[WEIGHTS] == f"{tmp_path}/home/.cache/mlc_llm/model_weights"
    moved = {**given, "MLC_LLM_HOME": "/site/mlc"}
    assert source("sh", environment, moved, times=2)[WEIGHTS] == "/site/mlc/model_weights"
    assert source("sh", environment, {**given, WEIGHTS: "/a:/b"})[WEIGHTS] == "/a:/b"


def test_a_document_for_programs(tmp_path: Path) -> None:
    environment = Environment(Path("/p/gens/5-abababababab"), MANIFEST)
    found = as_document(environment, {"HOME": "/home/ann", "PATH": "/bin"})
    assert (found["stack"], found["generation"], found["unset"]) == ("h100", "/p/gens/5-abababababab", ["PYTHONHOME"])
    assert found["prepend"]["PATH"] == [f"/p/gens/5-abababababab/{below}" for below in ("bin", "venv/bin", "cuda/bin")]
    assert found["set"]["CUDA_HOME"] == "/p/gens/5-abababababab/cuda"
    jit = of_one_width(Path("/home/ann/.cache/mirror/jit", environment.jit_key()))
    assert found["set"]["VLLM_CACHE_ROOT"] == f"{jit}/vllm"
    assert set(CACHES) | {WEIGHTS} <= set(found["set"])
    assert not set(found["prepend"]) & set(found["set"])


NOBODY = 54321
"""A number that has no name on this machine."""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
@pytest.mark.parametrize("shell", [shell for shell in (*SHELLS, "fish") if shutil.which(shell)])
def test_a_user_without_a_name_gets_one(shell: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "5-abababababab", MANIFEST)
    script = fish_script(environment) if shell == "fish" else sh_script(environment)
    words = [shell, "sh", "-c"] if shell == "busybox" else [shell, *(["--no-config"] if shell == "fish" else []), "-c"]

    def name(**given: str) -> str:
        variables = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent", **given}
        ask = [*words, f"{script}\npython3 -c 'import getpass; print(getpass.getuser())'"]
        return subprocess.run(ask, env=variables, cwd="/", user=NOBODY, capture_output=True, text=True).stdout.strip()

    assert name() == f"uid-{NOBODY}"
    assert name(USER="alice") == name(LOGNAME="alice") == "alice"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_program_of_a_user_without_a_name_gets_one(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "5-abababababab", MANIFEST)
    assert "LOGNAME" not in environment.changes({}, tmp_path)
    child = os.fork()
    if not child:
        os.setuid(NOBODY)
        unnamed = environment.changes({}, tmp_path).get("LOGNAME") == f"uid-{NOBODY}"
        named = "LOGNAME" not in environment.changes({"USER": "alice"}, tmp_path)
        os._exit(0 if unnamed and named else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("shell", [shell for shell in ("sh", "bash", "dash", "zsh", "fish") if shutil.which(shell)])
@pytest.mark.parametrize("home", ["/h", "/home/Zoë Müller", "/" + "x" * 109, "/" + "x" * 200])
def test_every_shell_makes_the_caches_path_as_long_as_mirror_does(
    shell: str, home: str, environment: Environment, tmp_path: Path
) -> None:
    given = variables(tmp_path, XDG_CACHE_HOME=home, LC_ALL="C.UTF-8")
    found = (source_fish if shell == "fish" else lambda *words: source(shell, *words))(environment, given)
    assert found["VLLM_CACHE_ROOT"] == str(environment.caches(given) / "vllm")
    assert not [name for name in found if name.startswith("_mirror")]
