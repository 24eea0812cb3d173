"""A stack ``without`` a project, from NAME.toml to an install: left alone, or brought by the host's Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mirror.closed.doctor.checkup import examine
from mirror.closed.environment.variables import load_environment
from mirror.closed.install import Installed, Options, install
from mirror.closed.prefix.generations import generation_at
from mirror.closed.preflight import PreflightFailed
from mirror.connected.bundle import Bundled, BundleOptions, bundle
from mirror.connected.fetching.store import Store
from mirror.connected.pins.requirements import PythonLock, parse_lock
from mirror.connected.planning.wishes import Wishes
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.logs.finding import PROBLEM
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import make_pip_wheel, make_uv_wheel
from tests.support.index import LoopbackIndex
from tests.support.interpreters import MINOR, make_host_python
from tests.support.wheels import make_wheel, sha256_of

TOML = """
[target]
python = "{minor}"
arch = "x86_64"
glibc = "2.17"

[python]
requirements = ["server==1.0", "plain==1.0"]
without = ["heavy"]
{more}

[indexes]
default = "{index}"
"""


@dataclass
class Bench:
    """A builder with an index, and an operator with a Python of the host's."""

    path: Path
    index: LoopbackIndex
    tools: PythonLock
    python: Path

    @property
    def site(self) -> Path:
        return self.python.parents[1] / "lib" / f"python{MINOR}" / "site-packages"

    def bundle(self, more: str = "") -> Bundled:
        """Lock and bundle the stack; ``more`` goes into ``[python]``."""
        locks = self.path / "lockfiles"
        locks.mkdir(exist_ok=True)
        toml = locks / "small.toml"
        toml.write_text(TOML.format(minor=MINOR, index=self.index.url, more=more))
        store = Store(self.path / "store")
        command = [sys.executable, "-m", "mirror.cli.main", "lock", str(toml)]
        environment = {**os.environ, "UV_CACHE_DIR": str(self.path / "uv"), "XDG_CACHE_HOME": str(self.path / "cache")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "heavy==" not in (locks / "small.txt").read_text()
        options = BundleOptions(Wishes(locks / "small.txt", tools=self.tools), self.path / "b.tar")
        return bundle(options, store, self.trust)

    @property
    def trust(self) -> TrustStore:
        return TrustStore(self.path / "keys")

    def install(self) -> Installed:
        return install(Options(self.path / "b.tar", self.path / "p", self.python), self.trust)

    def put(self, version: str, requires: tuple[str, ...] = ()) -> None:
        """Have the host's Python bring heavy."""
        with zipfile.ZipFile(make_wheel(self.path / f"host{version}", "heavy", version, requires=requires)) as wheel:
            wheel.extractall(self.site)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = tmp_path / "upstream"
    tools = [make_uv_wheel(tmp_path), make_pip_wheel(tmp_path)]
    lines = "".join(
        f"{path.name.split('-')[0]}=={path.name.split('-')[1]} --hash=sha256:{sha256_of(path)}\n" for path in tools
    )
    wheels = [
        make_wheel(
            made, "server", "1.0", requires=["heavy>=2,<3", "helper"], files={"server.py": b"import heavy, helper\n"}
        ),
        make_wheel(made, "helper", "1.5"),
        make_wheel(made, "plain", "1.0"),
        make_wheel(made, "heavy", "2.5"),
    ]
    with LoopbackIndex() as index:
        for path in (*wheels, *tools):
            index.add(path)
        yield Bench(tmp_path, index, parse_lock(lines.encode(), "tools.txt"), make_host_python(tmp_path / "python"))


def in_venv(installed: Installed, source: str, **variables: str) -> str:
    python = Path(installed.receipt.generation) / "venv/bin/python"
    done = subprocess.run([python, "-c", source], capture_output=True, text=True, env={**os.environ, **variables})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_needs_a_project_that_is_left_out_is_not_imported_and_the_stack_installs(bench: Bench) -> None:
    made = bench.bundle()
    assert made.manifest.imports == ("plain",)
    assert any(
        note == "the self-test does not import server, which needs what [python].without leaves out (heavy); "
        "host_packages = true tests it with the packages of the host's Python"
        for note in made.notes
    )
    assert [str(check) for check in bench.install().receipt.checks] == ["import plain: passed"]


def test_imports_that_are_named_and_need_it_are_left_out_as_well(bench: Bench) -> None:
    assert bench.bundle('imports = ["server", "heavy", "plain", "helper"]').manifest.imports == ("plain", "helper")


def test_the_hosts_python_brings_it_and_is_named(bench: Bench) -> None:
    bench.put("2.4")
    made = bench.bundle("host_packages = true")
    assert made.manifest.host_packages == (("heavy", (("server", "<3,>=2"),)),) or made.manifest.host_packages == (
        ("heavy", (("server", ">=2,<3"),)),
    )
    assert json.loads(made.manifest.encode())["format"] == "mirror-bundle/2"
    installed = bench.install()
    assert {str(check) for check in installed.receipt.checks} == {"import plain: passed", "import server: passed"}
    assert f"heavy 2.4 is the host's, in {bench.site}" in "\n".join(installed.receipt.notes)
    assert in_venv(installed, "import heavy, server; print(heavy.__file__)").startswith(str(bench.site))


def test_a_users_own_packages_do_not_come_in(bench: Bench, tmp_path: Path) -> None:
    bench.put("2.4")
    bench.bundle("host_packages = true")
    installed = bench.install()
    own = tmp_path / "user" / "lib" / f"python{MINOR}" / "site-packages"
    own.mkdir(parents=True)
    (own / "heavy.py").write_text("raise SystemExit('planted')\n")
    variables = {"PYTHONUSERBASE": str(tmp_path / "user"), "HOME": str(tmp_path / "user")}
    assert in_venv(installed, "import heavy; print(heavy.__file__)", **variables).startswith(str(bench.site))


def test_what_is_carried_comes_before_what_the_host_brings(bench: Bench) -> None:
    bench.put("2.4")
    (bench.site / "helper.py").write_text("raise SystemExit('the host\\'s')\n")
    bench.bundle("host_packages = true")
    assert str(bench.site) not in in_venv(bench.install(), "import helper; print(helper.__file__)")


@pytest.mark.parametrize(
    ("version", "requires", "issue"),
    [
        ("", (), "{python} does not bring heavy (server requires heavy>=2,<3)"),
        ("3.1", (), "server 1.0 requires heavy>=2,<3, and {python} has heavy 3.1 ({site})"),
        (
            "2.4",
            ("helper<1",),
            "the host's heavy 2.4 ({site}) requires helper<1, and the bundle carries helper 1.5",
        ),
    ],
)
def test_a_conflict_is_found_before_anything_is_written_and_names_both_sides(
    bench: Bench, version: str, requires: tuple[str, ...], issue: str
) -> None:
    if version:
        bench.put(version, requires)
    bench.bundle("host_packages = true")
    with pytest.raises(PreflightFailed) as exc_info:
        bench.install()
    assert exc_info.value.issues == (issue.format(python=bench.python, site=bench.site),)
    assert not (bench.path / "p").exists()


def test_the_doctor_sees_that_the_hosts_packages_have_changed(bench: Bench) -> None:
    bench.put("2.4")
    bench.bundle("host_packages = true")
    installed = bench.install()
    generation = generation_at(Path(installed.receipt.generation))
    assert generation
    environment = load_environment(generation)
    found = examine(environment, dict(os.environ), installed.receipt, quick=True).findings
    assert f"heavy 2.4 is the host's, in {bench.site}" in {one.what for one in found}
    (bench.site / "heavy-2.4.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: heavy\nVersion: 3.0\n")
    problems = examine(environment, dict(os.environ), installed.receipt, quick=True).of(PROBLEM)
    assert f"server 1.0 requires heavy>=2,<3, and {bench.python} has heavy 3.0 ({bench.site})" in {
        one.what for one in problems
    }


def test_host_packages_without_any_is_refused(bench: Bench) -> None:
    path = bench.path / "odd.toml"
    path.write_text(
        TOML.format(minor=MINOR, index=bench.index.url, more="host_packages = true").replace('["heavy"]', "[]")
    )
    with pytest.raises(InvalidDocument) as exc_info:
        Stack.load(path)
    assert str(exc_info.value) == (
        f"{path} invalid at 'python.host_packages': name in without what the host's Python is to bring"
    )
