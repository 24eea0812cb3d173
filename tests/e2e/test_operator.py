"""The operator's second day on a real bundle, as typed: damage, find, repair; and mirror itself on the path.

The bundle is the quickstart's, with its real wheels, RPMs and compiler.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import CUT, Made, can_cut, find_python
from tests.support.otheruser import home_of_other, needs_root, run_as_other, shared_directory

pytestmark = pytest.mark.index

DAMAGED = 105


class Operator:
    """Somebody in the closed network: a home, an old Python, the bundle and mirror.pyz in the working directory."""

    def __init__(self, made: Made, home: Path) -> None:
        python = find_python("3.9")
        if python is None:
            pytest.skip("no Python 3.9 on this machine")
        self.home, self.prefix = home, home / "stack"
        (home / "bundle.tar").symlink_to(made.bundle)
        (home / "mirror.pyz").write_bytes(made.installer.read_bytes())
        (home / "bin").mkdir()
        (home / "bin/python3.9").symlink_to(python)
        self.pyz = "python3.9 -I mirror.pyz"
        self.environment = {"HOME": str(home), "PATH": f"{home}/bin:/usr/local/bin:/usr/bin:/bin"}

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        cut = CUT if can_cut() else []
        return subprocess.run(
            [*cut, "sh", "-c", line], cwd=self.home, env=self.environment, capture_output=True, text=True
        )

    def ask(self, line: str) -> str:
        """What a command prints that ends well."""
        done = self.type(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def operator(made: Made, tmp_path: Path) -> Operator:
    return Operator(made, tmp_path)


@pytest.mark.group(59, 61)
def test_damage_is_found_named_and_repaired_while_a_program_runs(operator: Operator, made: Made) -> None:
    prefix = operator.prefix
    operator.ask(f"{operator.pyz} install bundle.tar --prefix stack --fingerprint {made.fingerprint}")
    generation = (prefix / "current").resolve()
    assert "is whole: all " in operator.ask(f"{operator.pyz} status --check --prefix stack")
    running = subprocess.Popen(
        [generation / "venv/bin/python", "-c", "import time; print('up', flush=True); time.sleep(600); import numpy"],
        stdout=subprocess.PIPE,
    )
    assert running.stdout is not None
    running.stdout.readline()
    nvcc = generation / "cuda/bin/nvcc"
    data = bytearray(nvcc.read_bytes())
    data[len(data) // 2] ^= 1
    nvcc.write_bytes(data)
    module = next(generation.glob("venv/lib/python*/site-packages/mistral_common/__init__.py"))
    module.unlink()
    record = next(generation.glob("venv/lib/python*/site-packages/numpy-*.dist-info/RECORD"))
    record.write_text(record.read_text().replace("numpy/__init__.py,", "numpy/__init__.pyx,"))
    (module.parent.parent / "surprise.pth").write_text("import os\n")
    (generation / "cuda/lib64").unlink()

    done = operator.type(f"{operator.pyz} status --check --prefix stack")
    assert done.returncode == DAMAGED
    told = done.stdout
    assert f"changed    {nvcc} (of cuda-nvcc-13-0-" in told
    assert f"missing    {module} (of mistral_common 1.9.1)" in told
    assert f"changed    {record} (of numpy " in told
    assert f"missing    {generation}/cuda/lib64 (of cuda-" in told  # a link of a package
    assert f"hint: 'python3.9 -I mirror.pyz install --repair BUNDLE --prefix {prefix}'" in done.stderr
    report = json.loads(operator.type(f"{operator.pyz} status --check --json --prefix stack").stdout)
    (check,) = report["stacks"][0]["checks"]
    assert {damage["kind"] for damage in check["damages"]} >= {"changed", "missing"}
    doctor = operator.type(f"{operator.pyz} doctor --prefix stack --json")
    assert "files" in {one["subject"] for one in json.loads(doctor.stdout)["findings"] if one["level"] == "problem"}

    assert "repaired quickstart" in operator.ask(f"{operator.pyz} install --repair bundle.tar --prefix stack")
    repaired = (prefix / "current").resolve()
    assert repaired.name == f"{generation.name}.2"
    assert generation.is_dir()
    assert running.poll() is None
    assert "is whole: all " in operator.ask(f"{operator.pyz} status --check --prefix stack")
    again = operator.ask(f"{operator.pyz} install --repair bundle.tar --prefix stack")
    assert again.startswith("nothing to repair: ")
    script = '. stack/current/env.sh && python -c "import mistral_common; print(mistral_common.__version__)" && nvcc -V'
    assert operator.ask(script).startswith("1.9.1\n")
    assert operator.ask(". stack/current/env.sh && mirror status").startswith(
        f"quickstart in {prefix}\n"
    )  # none is named
    old = operator.type(f"{operator.pyz} status --check --all --prefix stack")
    assert f"hint: Generation 2 was built to repair {generation.name}, and '" in old.stderr
    kept = operator.ask(f"{operator.pyz} gc --prefix stack")
    assert f"kept generation {generation}: in use by process {running.pid}" in kept
    running.kill()
    running.communicate()
    assert f"removed generation {generation}" in operator.ask(f"{operator.pyz} gc --prefix stack")
    assert "* 2  locked " in operator.ask(f"{operator.pyz} status --prefix stack")


def test_a_damaged_copy_of_what_is_installed_is_refused(operator: Operator, made: Made) -> None:
    operator.ask(f"{operator.pyz} install bundle.tar --prefix stack --fingerprint {made.fingerprint}")
    data = made.bundle.read_bytes()
    (operator.home / "short.tar").write_bytes(data[: len(data) // 2])
    middle = len(data) // 2
    (operator.home / "flipped.tar").write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    for copy in ("short.tar", "flipped.tar"):
        for option in ("", "--repair"):
            done = operator.type(f"{operator.pyz} install {copy} --prefix stack {option}")
            assert done.returncode not in (0, 1)
            assert "installed already" not in done.stdout + done.stderr
    good = operator.ask(f"{operator.pyz} install bundle.tar --prefix stack")
    assert good.startswith("the bundle is intact; quickstart ")


def test_the_log_of_a_program_that_failed_is_explained_with_what_is_installed(operator: Operator, made: Made) -> None:
    operator.ask(f"{operator.pyz} install bundle.tar --prefix stack --fingerprint {made.fingerprint}")
    (operator.home / "kernel.cu").write_text("#include <cublas_v2.h>\n")
    failed = operator.type(f"{operator.pyz} run --prefix stack -- nvcc -c kernel.cu -o kernel.o > server.log 2>&1")
    assert failed.returncode != 0
    done = operator.type(f"{operator.pyz} doctor --prefix stack --log server.log")
    assert done.returncode == 110
    assert "cublas_v2.h" in done.stdout and "libcublas-devel-13-0" in done.stdout
    assert "server.log" in done.stdout or "line 1" in done.stdout
    piped = operator.type(f"{operator.pyz} doctor --prefix stack --log - --json < server.log")
    first = json.loads(piped.stdout)["sightings"][0]
    assert first["about"] == "cublas_v2.h" and "libcublas-devel-13-0" in first["fix"]


@needs_root
def test_mirror_is_on_the_path_for_another_user_and_says_its_own_name(made: Made) -> None:
    with shared_directory() as shared:
        operator = Operator(made, shared)
        operator.ask(f"{operator.pyz} install bundle.tar --prefix stack --fingerprint {made.fingerprint}")
        home = home_of_other(shared)
        stack = operator.prefix
        environment = {"HOME": str(home), "PATH": os.defpath}
        listed = run_as_other(
            ["sh", "-c", f". {stack}/current/env.sh && command -v mirror && mirror status --prefix {stack} --check"],
            home,
            environment,
        )
        if "the Python that it was installed with is gone" in listed.stderr:
            pytest.skip("no Python on this machine that another user can run")
        assert listed.returncode == 0, listed.stderr
        assert listed.stdout.startswith(f"{stack.resolve()}/gens/")
        refused = run_as_other(
            ["sh", "-c", f". {stack}/current/env.sh && mirror rollback --prefix {stack}"], home, environment
        )
        assert refused.returncode == 90
        assert f"error: cannot roll back {stack}: " in refused.stderr
        assert "belongs to root (user 0), you are user 54321" in refused.stderr
        assert f"('mirror status --prefix {stack}'" in refused.stderr
