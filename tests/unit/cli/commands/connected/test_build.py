"""``mirror build``: from NAME.toml to wheels, alone and on many machines, typed as a user does."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mirror.cli.main import main
from tests.support.index import LoopbackIndex
from tests.support.wheels import IN_TREE_BACKEND, make_sdist, make_wheel, metadata, sha256_of

PYTHON = "{}.{}".format(*sys.version_info)

USES = """
def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    cutlass, deep = pathlib.Path(os.environ["PAD_CUTLASS_DIR"]), pathlib.Path(os.environ["PAD_DEEP_DIR"])
    seen = [
        (cutlass / "gemm.h").read_text(), (deep / "deep.h").read_text(),
        (deep / "third-party/fmt/fmt.h").read_text(), pathlib.Path("csrc/inner/inner.h").read_text(),
        pathlib.Path("setting.py").read_text(),
    ]
    pathlib.Path(NAME + ".py").write_text(repr(seen))
"""
"""A build that reads two source trees by variables, one with a submodule, a tree inside its own source, and a patched file."""


def backend(name: str, first: str) -> str:
    text = IN_TREE_BACKEND.format(name=name.replace("-", "_"), version="1.0", metadata=metadata(name, "1.0"))
    signature = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
    return text.replace(signature, first.lstrip("\n") if first else signature)


def archive(path: Path, top: str, files: Mapping[str, str]) -> Path:
    """A tar as git makes it: with the commit in a global header, and an empty directory for a submodule."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c0ffee"}) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.mtime, member.mode = 1767225600, 0o644
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            else:
                member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    path.write_bytes(buffer.getvalue())
    return path


class Site:
    """An index with sdists, the lock files of a stack, and machines that each have a cache of their own."""

    def __init__(self, directory: Path, index: LoopbackIndex) -> None:
        self.directory, self.index = directory, index
        self.stack = directory / "lockfiles" / "pads.toml"
        self.stack.parent.mkdir()

    def sdists(self, first: Mapping[str, str]) -> None:
        for name, lines in first.items():
            files = {"setting.py": b"gpus = 'all'\nthreads = 4\n"}
            self.index.add(
                make_sdist(self.directory / "sdists", name, "1.0", backend=backend(name, lines), files=files)
            )

    def write(self, projects: list[str], more: str = "") -> None:
        pins = [f"{project}==1.0" for project in projects]
        self.stack.write_text(
            f'[target]\npython = "{PYTHON}"\narch = "{os.uname().machine}"\nglibc = "2.28"\n\n'
            f"[python]\nrequirements = {json.dumps(pins)}\nbuild = {json.dumps(projects)}\n\n"
            f'[indexes]\ndefault = "{self.index.url}"\n\n{more}'
        )


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with LoopbackIndex() as index:
        yield Site(tmp_path, index)


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Type a command on a machine, and get its document."""

    def typed(machine: str, *words: object, code: int = 0) -> Any:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / machine))
        capsys.readouterr()
        ended = main([*map(str, words), "--json"])
        out, err = capsys.readouterr()
        assert ended == code, err
        return json.loads(out)

    return typed


def trees(site: Site) -> str:
    """``[build.left-pad]`` with everything that it may have."""
    home = site.stack.parent
    cutlass = archive(home / "cutlass.tar.xz", "cutlass-abc", {"gemm.h": "gemm"})
    deep = archive(home / "deep.tar.xz", "deep-1", {"src/deep.h": "deep", "src/third-party/fmt/": "", "README": ""})
    fmt = archive(home / "fmt.tar.xz", "fmt-9", {"fmt.h": "fmt"})
    inner = archive(home / "inner.tar.xz", "inner-1", {"inner.h": "inner"})
    (home / "one.diff").write_text(
        "--- a/setting.py\n+++ b/setting.py\n@@ -1,2 +1,2 @@\n-gpus = 'all'\n+gpus = '9.0a'\n threads = 4\n"
    )
    return (
        '[build.left-pad]\npatches = ["one.diff"]\nlimit_minutes = 5\n'
        f'[[build.left-pad.source]]\npath = "cutlass.tar.xz"\nsha256 = "{sha256_of(cutlass)}"\nvariable = "PAD_CUTLASS_DIR"\n'
        f'[[build.left-pad.source]]\npath = "deep.tar.xz"\nsha256 = "{sha256_of(deep)}"\nvariable = "PAD_DEEP_DIR"\n'
        'directory = "src"\n'
        f'submodules = [{{ to = "src/third-party/fmt", path = "fmt.tar.xz", sha256 = "{sha256_of(fmt)}" }}]\n'
        f'[[build.left-pad.source]]\npath = "inner.tar.xz"\nsha256 = "{sha256_of(inner)}"\nto = "csrc/inner"\n'
    )


def test_a_build_reads_trees_by_their_variables_and_every_machine_has_the_same_jobs(
    site: Site, on: Callable[..., Any], tmp_path: Path
) -> None:
    whole = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
    site.sdists({"left-pad": USES.lstrip("\n"), "right-pad": whole})
    site.write(["left-pad", "right-pad"], trees(site))
    on("here", "lock", site.stack)
    listed = on("here", "build", site.stack, "--list")["jobs"]
    assert [(one["project"], one["wheel"]) for one in listed] == [("left-pad", None), ("right-pad", None)]

    results = tmp_path / "results"
    for number in (1, 2):
        did = on(f"machine{number}", "build", site.stack, "--locked", "--job", f"{number}/2", "-o", results)["jobs"]
        assert [one["key"] for one in did] == [listed[number - 1]["key"]]
    taken = on("here", "build", site.stack, "--take", results, "--verify-builds", 1)["jobs"]
    assert [one["key"] for one in taken] == [one["key"] for one in listed]
    assert [one["verified"] for one in taken].count(True) == 1
    with zipfile.ZipFile(taken[0]["wheel"]) as wheel:
        assert wheel.read("left_pad.py").decode() == repr(
            ["gemm", "deep", "fmt", "inner", "gpus = '9.0a'\nthreads = 4\n"]
        )
    record = json.loads(Path(taken[0]["wheel"]).with_name("build.json").read_text())
    assert [one["variable"] or one["to"] for one in record["sources"]] == [
        "PAD_CUTLASS_DIR",
        "PAD_DEEP_DIR",
        "csrc/inner",
    ]
    assert [one["path"] for one in record["patches"]] == ["one.diff"]

    changed = (site.stack.parent / "one.diff").read_text().replace("9.0a", "9.0")
    (site.stack.parent / "one.diff").write_text(changed)
    again = on("here", "build", site.stack, "--list")["jobs"]
    assert [one["wheel"] is None for one in again] == [True, False]  # the patch is an input of the first alone


def test_a_wheel_as_a_source_stays_a_file_and_its_variable_names_it(site: Site, on: Callable[..., Any]) -> None:
    """As vLLM takes the compiled files out of its published wheel (VLLM_PRECOMPILED_WHEEL_LOCATION)."""
    takes = (
        "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
        "    with zipfile.ZipFile(os.environ['PAD_WHEEL']) as wheel:\n"
        "        text = repr((os.path.basename(wheel.filename), wheel.read('left_pad/__init__.py').decode()))\n"
        "    pathlib.Path(NAME + '.py').write_text(text)\n"
    )
    published = make_wheel(site.stack.parent, "left-pad", "1.0", files={"left_pad/__init__.py": b"compiled"})
    wish = f'[[build.left-pad.source]]\npath = "{published.name}"\nsha256 = "{sha256_of(published)}"\nvariable = "PAD_WHEEL"\n'
    site.sdists({"left-pad": takes})
    site.write(["left-pad"], f"{wish}unpack = false\n")
    (job,) = on("here", "build", site.stack, "--verify-builds", 1)["jobs"]
    with zipfile.ZipFile(job["wheel"]) as wheel:
        assert wheel.read("left_pad.py").decode() == repr((published.name, "compiled"))
    (source,) = json.loads(Path(job["wheel"]).with_name("build.json").read_text())["sources"]
    assert (source["filename"], source["unpack"]) == (published.name, False)

    site.write(["left-pad"], f'{wish}unpack = false\ndirectory = "a"\n')
    refused = on("here", "build", site.stack, code=12)["error"]["message"]
    assert "directory': with unpack = false the file stays as it is, and variable names it" in refused

    site.write(["left-pad"], f"{wish}unpack = false\n")
    published.write_bytes(b"edited since")
    said = json.dumps(on("here", "build", site.stack, code=72))
    assert f"{published.name}: sha256 is {sha256_of(published)}, [build.left-pad] of pads.toml says" in said


def test_a_share_without_a_job_says_how_many_there_are(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    site.sdists({"left-pad": ""})
    site.write(["left-pad"])
    assert main(["build", str(site.stack), "--job", "3/8"]) == 0
    assert capsys.readouterr().out == "share 3 of 8 has no job: there is 1\n"


def test_a_result_that_was_altered_or_built_from_something_else_is_not_taken(
    site: Site, on: Callable[..., Any], tmp_path: Path
) -> None:
    site.sdists({"left-pad": ""})
    site.write(["left-pad"])
    results = tmp_path / "results"
    (job,) = on("there", "build", site.stack, "-o", results)["jobs"]
    place = results / job["key"]
    record = (place / "build.json").read_text()
    (place / "build.json").write_text(record.replace('"version": "1.0"', '"version": "2.0"'))
    refused = on("here", "build", site.stack, "--take", results, code=7)["error"]
    assert refused["ref"] == "foreign-build"
    assert "it was built from other inputs: version is '2.0' there, '1.0' here" in refused["message"]
    (place / "build.json").write_text(record)
    wheel = next(place.glob("*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    assert "its sha256 is " in on("here", "build", site.stack, "--take", results, code=7)["error"]["message"]
    (place / "build.json").write_text("[" * 200_000)
    assert "nested too deep" in on("here", "build", site.stack, "--take", results, code=7)["error"]["message"]
    assert on("here", "build", site.stack, "--list")["jobs"][0]["wheel"] is None


def test_a_wheel_that_comes_out_different_the_second_time_is_told_with_what_differs(
    site: Site, on: Callable[..., Any]
) -> None:
    restless = (
        "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n"
        "    import time; pathlib.Path(NAME + '.py').write_text('x = %d' % time.time_ns())\n"
    )
    site.sdists({"left-pad": restless})
    site.write(["left-pad"])
    error = on("here", "build", site.stack, "--verify-builds", 3, code=7)["error"]
    assert error["ref"] == "builds-differ"
    assert error["message"].startswith(
        "left-pad 1.0, built a second time, is another wheel: left_pad.py differs from byte "
    )
    assert on("here", "build", site.stack)["jobs"][0]["wheel"]


def test_a_tree_that_is_not_what_the_wish_says_is_refused_before_anything_is_built(
    site: Site, on: Callable[..., Any]
) -> None:
    site.sdists({"left-pad": ""})
    more = trees(site)
    for written, said in (
        ('directory = "src"', 'directory = "lib"'),
        ('to = "src/third-party/fmt"', 'to = "README"'),
        ("-gpus = 'all'", "-gpus = 'some'"),
    ):
        site.write(["left-pad"], more.replace(written, said))
        patch = site.stack.parent / "one.diff"
        patch.write_text(patch.read_text().replace(written, said))
        error = on("here", "build", site.stack, code=7)["error"]
        assert error["ref"] in ("invalid-source", "patch-refused"), error
    assert error["message"] == (
        "one.diff cannot be applied: line 6: setting.py line 1 is \"gpus = 'all'\", not \"gpus = 'some'\""
    )


@pytest.mark.slow
def test_a_cluster_builds_though_a_worker_is_killed_in_the_middle(
    site: Site, on: Callable[..., Any], tmp_path: Path
) -> None:
    """The jobs of the dead worker go to the other one; each result is kept here."""
    slow = "def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):\n    import time; time.sleep(4)\n"
    projects = ["left-pad", "mid-pad", "right-pad"]
    site.sdists(dict.fromkeys(projects, slow))
    site.write(projects)
    on("here", "lock", site.stack)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[5])}
    address = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    processes = [
        subprocess.Popen(
            [
                *dask,
                "scheduler",
                "--scheduler-file",
                str(address),
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--no-dashboard",
            ],
            cwd=tmp_path,
        )
    ]
    try:
        while not address.exists():
            time.sleep(0.1)
        for number in (1, 2):
            own = {**environment, "XDG_CACHE_HOME": str(tmp_path / f"worker{number}")}
            words = [
                "worker",
                "--host",
                "127.0.0.1",
                "--scheduler-file",
                str(address),
                "--nthreads",
                "1",
                "--no-nanny",
                "--no-dashboard",
            ]
            processes.append(subprocess.Popen([*dask, *words], env=own, cwd=tmp_path))
        killer = subprocess.Popen(
            [
                "sh",
                "-c",
                f"until ls {tmp_path}/worker1/mirror/build/*/build.log; do sleep 0.1; done; kill -9 {processes[1].pid}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(killer)
        scheduler = json.loads(address.read_text())["address"]
        jobs = on("here", "build", site.stack, "--scheduler", scheduler, "--verify-builds", 1)["jobs"]
        assert killer.wait(5) == 0 and processes[1].wait(5) == -signal.SIGKILL
        assert all(one["wheel"].startswith(str(tmp_path / "here")) for one in jobs) and len(jobs) == 3
        assert [one["verified"] for one in jobs].count(True) == 1
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_a_cluster_that_does_not_answer_is_named(site: Site, on: Callable[..., Any]) -> None:
    site.sdists({"left-pad": ""})
    site.write(["left-pad"])
    error = on("here", "build", site.stack, "--scheduler", "nonsense://", code=7)["error"]
    assert error["ref"] == "no-cluster"
