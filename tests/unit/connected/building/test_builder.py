"""A wheel is built from pinned things alone, without network, and always with the same bytes."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.connected.building import sandbox
from mirror.connected.building.builder import build_wheel
from mirror.connected.building.failure import BuildFailed, BuildRequirementMissing
from mirror.connected.building.fit import BuiltWheelUnfit
from mirror.connected.building.kept import BuiltWheel
from mirror.connected.building.request import BuildRequest, Toolkit
from mirror.connected.fetching.download import Download
from mirror.connected.fetching.fetch import fetch
from mirror.connected.fetching.store import Store, file_sha256
from mirror.connected.index.pages import Index
from mirror.connected.sdists.sdist import InvalidSdist
from mirror.core.errors import MirrorError, Unreadable, Unwritable
from mirror.core.names import Sha256Hex, project_name
from mirror.core.target import Target
from tests.support.nofiles import NO_FILES
from tests.support.progress import Heard
from tests.support.wheels import IN_TREE_BACKEND, make_sdist, make_wheel, metadata

PYTHON = "{}.{}".format(*sys.version_info)
TARGET = Target(python=PYTHON, arch=os.uname().machine, glibc="2.28", gpu="sm_90a", cuda="13.0")
GOOD_BACKEND = IN_TREE_BACKEND.format(name="left_pad", version="1.0", metadata=metadata("left-pad", "1.0"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def request(
    sdist: Path, *requirements: Path, environment: Mapping[str, str] | None = None, toolkit: Toolkit | None = None
) -> BuildRequest:
    return BuildRequest(
        project=project_name("left-pad"),
        version="1.0",
        sdist=sdist,
        sdist_sha256=file_sha256(sdist),
        requirements=requirements,
        python=Path(sys.executable),
        target=TARGET,
        toolkit=toolkit,
        environment=environment or {},
    )


def backend(in_build: str) -> str:
    """The good backend, with some lines run at the beginning of ``build_wheel``."""
    head, hook, rest = GOOD_BACKEND.partition("def build_wheel(wheel_directory, config_settings=None")
    signature, _, body = rest.partition("\n")
    return "\n".join([head + hook + signature, *(f"    {line}" for line in in_build.splitlines()), body])


def sdist(tmp_path: Path, in_build: str = "pass", build_requires: tuple[str, ...] = ()) -> Path:
    return make_sdist(tmp_path, "left-pad", "1.0", backend=backend(in_build), build_requires=build_requires)


# What goes well


def test_the_wheel_its_log_and_its_record_are_kept(tmp_path: Path, store: Store) -> None:
    built = build_wheel(request(sdist(tmp_path, "print('hello from the backend')")), store)
    assert built.path.name == "left_pad-1.0-py3-none-any.whl"
    assert built.sha256 == file_sha256(built.path)
    assert built.log.read_text() == "$ get_requires_for_build_wheel\n$ build_wheel\nhello from the backend\n"
    assert json.loads((built.path.parent / "build.json").read_text()) == built.record
    assert built.record["sdist_sha256"] == file_sha256(tmp_path / "left_pad-1.0.tar.gz")
    assert list((store.root / "build").iterdir()) == []


def test_an_equal_request_is_not_built_again(tmp_path: Path, store: Store) -> None:
    first = build_wheel(request(sdist(tmp_path)), store)
    first.log.write_text("untouched")
    assert build_wheel(request(sdist(tmp_path / "elsewhere")), store) == first
    assert first.log.read_text() == "untouched"


def test_a_kept_wheel_that_has_rotten_is_built_again(tmp_path: Path, store: Store) -> None:
    first = build_wheel(request(sdist(tmp_path)), store)
    first.path.write_bytes(b"rotten")
    assert build_wheel(request(sdist(tmp_path)), store) == first
    assert file_sha256(first.path) == first.sha256


@pytest.mark.parametrize(
    "record", [b"[]", b"{}", b'{"wheel": 1}', b"[" * 100_000, b"\xff", b"", b'{"wheel": "a\\u0000b"}']
)
def test_a_kept_record_that_has_rotten_is_built_again(tmp_path: Path, store: Store, record: bytes) -> None:
    first = build_wheel(request(sdist(tmp_path)), store)
    (first.path.parent / "build.json").write_bytes(record)
    assert build_wheel(request(sdist(tmp_path)), store) == first


@NO_FILES
@pytest.mark.parametrize("name", ["left_pad-1.0-py3-none-any.whl", "build.json", "build.log", "."])
def test_what_is_no_file_among_what_is_kept_is_built_again(
    tmp_path: Path, store: Store, puts: Callable[[Path], None], name: str
) -> None:
    first = build_wheel(request(sdist(tmp_path)), store)
    if name == ".":
        shutil.rmtree(first.path.parent)
    puts(first.path.parent / name)
    assert build_wheel(request(sdist(tmp_path)), store) == first
    assert file_sha256(first.path) == first.sha256 and first.log.read_text()


def test_another_toolkit_is_another_build_though_its_files_have_the_same_names_and_sizes(
    tmp_path: Path, store: Store
) -> None:
    homes = [tmp_path / name / "bin" for name in ("one", "other", "copy")]
    for home, text in zip(homes, ("one!!", "other", "other")):
        home.mkdir(parents=True)
        (home / "nvcc").write_text(text)
    one, other, copy = (
        build_wheel(request(sdist(tmp_path), toolkit=Toolkit(home.parent, Sha256Hex(digit * 64))), store)
        for home, digit in zip(homes, "122")
    )
    assert other.path.parent != one.path.parent
    assert copy == other


def test_another_setting_is_another_build(tmp_path: Path, store: Store) -> None:
    source = sdist(tmp_path)
    builds = {
        build_wheel(wanted, store).path.parent.name
        for wanted in (
            request(source),
            request(source, environment={"FAST": "1"}),
            replace(request(source), target=replace(TARGET, gpu="sm_80")),
            request(source, make_wheel(tmp_path, "helper", "1.0")),
        )
    }
    assert len(builds) == 4


def outcome(built: BuiltWheel) -> tuple[bytes, bytes, bytes]:
    return built.path.read_bytes(), built.log.read_bytes(), (built.path.parent / "build.json").read_bytes()


SENSITIVE = """
import locale, os, pathlib, tempfile, time
facts = [os.path.basename(os.getcwd()), os.stat("backend.py").st_mode, os.stat("backend.py").st_mtime, hash("x")]
facts += [time.tzname, locale.setlocale(locale.LC_ALL, ""), os.environ["SOURCE_DATE_EPOCH"], sorted(os.environ)]
open("made", "w").close()
facts += [os.stat("made").st_mode]
with open(NAME + ".py", "a") as out: out.write("# %r" % facts)
print(os.getcwd(), tempfile.mkstemp()[1], tempfile.mkdtemp(prefix=".tmp-"))
"""


def test_equal_requests_give_equal_bytes_from_any_place_umask_time_zone_and_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = sdist(tmp_path, SENSITIVE)
    first = build_wheel(request(source), Store(tmp_path / "one"))
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CFLAGS", "-O0")
    before = os.umask(0o077)
    try:
        second = build_wheel(request(source), Store(tmp_path / "two"))
    finally:
        os.umask(before)
    assert outcome(first) == outcome(second)


# What the build sees


def seen_environment(built: BuiltWheel) -> dict[str, str]:
    with zipfile.ZipFile(built.path) as archive:
        text = archive.read("left_pad.py").decode()
    return dict(json.loads(text))


SHOW_ENVIRONMENT = "import json; pathlib.Path(NAME + '.py').write_text(json.dumps(dict(os.environ)))"


def test_the_build_sees_the_target_and_the_toolkit_and_nothing_of_the_caller(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INDEX_PASSWORD", "secret")
    home = tmp_path / "cuda"
    (home / "bin").mkdir(parents=True)
    wanted = request(sdist(tmp_path, SHOW_ENVIRONMENT), toolkit=Toolkit(home, Sha256Hex("1" * 64)))
    seen = seen_environment(build_wheel(wanted, store))
    assert "INDEX_PASSWORD" not in seen
    assert seen["TORCH_CUDA_ARCH_LIST"] == seen["FLASHINFER_CUDA_ARCH_LIST"] == "9.0a"
    assert seen["CMAKE_CUDA_ARCHITECTURES"] == seen["CUDAARCHS"] == "90a"
    assert seen["CUDA_HOME"] == str(home)
    assert f":{home}/bin:" in seen["PATH"]
    assert seen["LIBRARY_PATH"] == f"{home}/lib64:{home}/lib64/stubs"
    flags = [f"-ffile-prefix-map={Path(seen['HOME']).parent}=/build", f"-ffile-prefix-map={home}=/cuda"]
    assert seen["CFLAGS"].split() == seen["CXXFLAGS"].split() == flags
    assert seen["NVCC_APPEND_FLAGS"].split() == ["-objtemp", *(f"-Xcompiler={flag}" for flag in flags)]
    assert seen["HOME"].startswith(str(store.root / "build"))
    assert (seen["TZ"], seen["LC_ALL"], seen["PYTHONHASHSEED"]) == ("UTC", "C.UTF-8", "0")


def test_a_compiler_that_takes_a_seed_is_given_one(tmp_path: Path, store: Store) -> None:
    """Without, nvcc names what is internal to a file after the number of its process; an older one refuses the flag."""
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_bytes(b"\x7fELF frandom-seed\0")
    wanted = request(sdist(tmp_path, SHOW_ENVIRONMENT), toolkit=Toolkit(tmp_path / "cuda", Sha256Hex("2" * 64)))
    assert seen_environment(build_wheel(wanted, store))["NVCC_APPEND_FLAGS"].split()[:2] == [
        "-objtemp",
        "-frandom-seed=mirror",
    ]


COMPILES = (
    "import subprocess; here = os.getcwd(); pathlib.Path('a.h').write_text('const char *at = __FILE__; int own = OWN;'); "
    "pathlib.Path('a.c').write_text('#include <a.h>'); "
    "flags = [*os.environ['CFLAGS'].split(), '-g', '-shared', '-I' + here]; "
    "subprocess.run(['cc', *flags, '-o', 'a.so', here + '/a.c'], check=True); "
    "pathlib.Path(NAME + '.py').write_text(repr(pathlib.Path('a.so').read_bytes()))"
)
"""A header's own path, and debug information, get into what is compiled."""


def test_what_is_compiled_names_no_directory_of_this_machine_whatever_flags_the_project_sets(tmp_path: Path) -> None:
    wanted = replace(request(sdist(tmp_path, COMPILES)), environment={"CFLAGS": "-DOWN=1"})
    first, second = (build_wheel(wanted, Store(tmp_path / name)) for name in ("one", "another"))
    assert first.sha256 == second.sha256 and first.notes == second.notes == ()
    with zipfile.ZipFile(first.path) as archive:
        assert b"/build/src/left_pad-1.0/a.h" in archive.read("left_pad.py")


def test_a_store_whose_path_no_flag_can_hold_is_built_in_all_the_same(tmp_path: Path) -> None:
    built = build_wheel(request(sdist(tmp_path, SHOW_ENVIRONMENT)), Store(tmp_path / "a, b"))
    assert "CFLAGS" not in seen_environment(built)


def test_a_stack_without_gpu_says_nothing_of_gpus(tmp_path: Path, store: Store) -> None:
    wanted = replace(request(sdist(tmp_path, SHOW_ENVIRONMENT)), target=replace(TARGET, gpu="", cuda=""))
    assert not {"CUDA_HOME", "CUDAARCHS", "TORCH_CUDA_ARCH_LIST"} & set(seen_environment(build_wheel(wanted, store)))


def test_the_stacks_own_variables_win(tmp_path: Path, store: Store) -> None:
    wanted = request(sdist(tmp_path, SHOW_ENVIRONMENT), environment={"MAX_JOBS": "1", "OWN": "x"})
    seen = seen_environment(build_wheel(wanted, store))
    assert (seen["MAX_JOBS"], seen["OWN"]) == ("1", "x")


def test_the_build_sees_exactly_the_pinned_wheels(tmp_path: Path, store: Store) -> None:
    listing = (
        "import importlib.metadata, helper\n"
        "print(sorted(d.name for d in importlib.metadata.distributions()), helper.__version__)"
    )
    source = sdist(tmp_path, listing, build_requires=("helper>=1",))
    built = build_wheel(request(source, make_wheel(tmp_path, "helper", "1.5")), store)
    assert built.log.read_text().endswith("['helper'] 1.5\n")


# What goes wrong


def failure(kind: type[MirrorError], wanted: BuildRequest, store: Store) -> MirrorError:
    with pytest.raises(kind) as caught:
        build_wheel(wanted, store)
    assert not list((store.root / "built").rglob("*.whl"))
    assert not list((store.root / "built").rglob("build.json"))
    assert list((store.root / "build").iterdir()) == []
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.hint) == (str(caught.value), caught.value.hint)
    return caught.value


def test_a_build_that_opens_a_socket_fails_and_its_log_shows_it(tmp_path: Path, store: Store) -> None:
    source = sdist(tmp_path, "import urllib.request; urllib.request.urlopen('http://192.0.2.1/data', timeout=5)")
    error = failure(BuildFailed, request(source), store)
    assert isinstance(error, BuildFailed)
    log = Path(error.log)
    assert str(error) == f"left-pad 1.0: build_wheel ended with exit status 1; the log is {log}"
    assert "Network is unreachable" in log.read_text()
    assert "Network is unreachable" in error.context()
    assert "tried to reach the network" in error.hint


def test_a_build_that_fails_keeps_its_log(tmp_path: Path, store: Store) -> None:
    source = sdist(tmp_path, "print('compiling'); raise SystemExit('no compiler')")
    error = failure(BuildFailed, request(source), store)
    assert isinstance(error, BuildFailed)
    assert error.context().splitlines()[-1] == "no compiler"
    assert "compiling" in Path(error.log).read_text()
    assert str(store.root / "build") not in Path(error.log).read_text()
    assert "Read the log" in error.hint


def test_a_backend_that_is_not_there_is_told(tmp_path: Path, store: Store) -> None:
    pyproject = b'[build-system]\nrequires = []\nbuild-backend = "nowhere"\n'
    source = make_sdist(tmp_path, "left-pad", "1.0", files={"pyproject.toml": pyproject})
    assert "Backend 'nowhere' is not available" in str(failure(BuildFailed, request(source), store))


def test_what_the_backend_asks_for_and_nobody_pinned_is_named(tmp_path: Path, store: Store) -> None:
    source = sdist(tmp_path, build_requires=("helper>=2", "ninja", "tomli; python_version < '3'"))
    error = failure(BuildRequirementMissing, request(source, make_wheel(tmp_path, "helper", "1.0")), store)
    assert str(error) == (
        "left-pad 1.0 needs helper>=2 (pinned is 1.0), ninja to be built, which the lock does not pin"
    )
    assert error.hint == ('Add to NAME.toml and lock again: [build.left-pad] requires = ["helper>=2", "ninja"]')


def test_what_the_backend_asks_for_at_run_time_is_checked_too(tmp_path: Path, store: Store) -> None:
    asking = GOOD_BACKEND.replace("return []", "return ['cmake>=3']")
    source = make_sdist(tmp_path, "left-pad", "1.0", backend=asking)
    error = failure(BuildRequirementMissing, request(source), store)
    assert isinstance(error, BuildRequirementMissing)
    assert error.missing == ("cmake>=3",)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("foo @ http://u:secret@h/x?token=secret", "foo (from http://h/x)"),
        ("foo http://u:secret@h/x", "foo http://h/x"),
    ],
)
def test_what_the_backend_asks_for_is_told_without_the_secrets_of_its_urls(
    tmp_path: Path, store: Store, asked: str, said: str
) -> None:
    source = make_sdist(tmp_path, "left-pad", "1.0", backend=GOOD_BACKEND.replace("return []", f"return [{asked!r}]"))
    error = failure(BuildRequirementMissing, request(source), store)
    assert isinstance(error, BuildRequirementMissing)
    assert error.missing == (said,) and "secret" not in error.hint


@pytest.mark.group(46)
def test_an_sdist_of_another_project_is_refused(tmp_path: Path, store: Store) -> None:
    source = make_sdist(tmp_path, "right-pad", "2.0")
    error = failure(InvalidSdist, request(source), store)
    assert str(error).endswith("it says it is right-pad 2.0; the lock pins left-pad 1.0")


@pytest.mark.group(46)
def test_a_wheel_of_another_version_is_refused(tmp_path: Path, store: Store) -> None:
    other = GOOD_BACKEND.replace("'1.0'", "'1.1'")
    source = make_sdist(tmp_path, "left-pad", "1.0", backend=other)
    assert "says it is left-pad 1.1; its source is left-pad 1.0" in str(
        failure(BuiltWheelUnfit, request(source), store)
    )


def test_a_requirement_for_another_machine_is_told_in_uvs_words(tmp_path: Path, store: Store) -> None:
    foreign = make_wheel(tmp_path, "helper", "1.0", tag="cp27-cp27m-win32")
    error = failure(BuildFailed, request(sdist(tmp_path), foreign), store)
    assert "no environment for the build could be made" in str(error)
    assert "helper" in error.context()


def test_an_interpreter_that_is_none_is_unreadable(tmp_path: Path, store: Store) -> None:
    with pytest.raises(Unreadable, match="it is no Python that runs here"):
        build_wheel(replace(request(sdist(tmp_path)), python=Path("/bin/false")), store)


def test_a_store_that_is_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unwritable):
        build_wheel(request(sdist(tmp_path)), Store(tmp_path / "file"))


def test_an_interrupt_ends_the_build_and_leaves_nothing(tmp_path: Path, store: Store) -> None:
    marker = tmp_path / "started"
    source = sdist(tmp_path, f"import time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]);"
        "from tests.unit.connected.building.test_builder import request;"
        "from mirror.connected.building.builder import build_wheel;"
        "from mirror.connected.fetching.store import Store;"
        "build_wheel(request(Path(sys.argv[2])), Store(Path(sys.argv[3])))"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parents[4]), str(source), str(store.root)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline, "the build did not begin"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == -signal.SIGINT
    assert not Path(f"/proc/{marker.read_text()}").exists()
    assert list((store.root / "build").iterdir()) == []
    assert not list((store.root / "built").rglob("*.whl"))


def answering(tmp_path: Path, lines: str) -> Path:
    """An sdist whose backend has these lines at its end, after the good hooks."""
    return make_sdist(tmp_path, "left-pad", "1.0", backend=f"{GOOD_BACKEND}\n_good = build_wheel\n{lines}\n")


LEAVES = "import sys\ndef build_wheel(*given):\n    {}\n    os._exit(0)\n"
"""A backend that writes its answer itself, where the hooks' is read."""

ANSWERS = {
    "get_requires_for_build_wheel: return_val[0]: expected str, got int": "def get_requires_for_build_wheel(_): return [1]",
    "get_requires_for_build_wheel: return_val: expected list, got str": "def get_requires_for_build_wheel(_): return 'abc'",
    "build_wheel: return_val: expected str, got NoneType": "def build_wheel(*given): _good(*given)",
    "build_wheel: return_val: expected str, got int": "def build_wheel(*given): return 5",
    "build_wheel: not valid JSON: 'utf-8' codec can't encode character '\\ud800' in position ": (
        "import warnings\ndef build_wheel(*given):\n    warnings.warn('\\ud800')\n    return _good(*given)"
    ),
    "build_wheel: it has 4194305 bytes, more than the 4194304 allowed": LEAVES.format(
        "open(sys.argv[-1] + '/output.json', 'w').truncate(9 << 20)"
    ),
}


@pytest.mark.parametrize("told", ANSWERS)
def test_an_answer_that_is_none_is_the_builds_failure_and_told_with_its_log(
    tmp_path: Path, store: Store, told: str
) -> None:
    error = failure(BuildFailed, request(answering(tmp_path, ANSWERS[told])), store)
    hook, _, problem = told.partition(": ")
    assert f"left-pad 1.0: {hook} gave an answer that is none: {problem}" in str(error)
    assert f"$ {hook}" in error.context()


@pytest.mark.parametrize("how", ["os.mkfifo({})", "os.symlink('/dev/zero', {})", "os.mkdir({})", "pass"])
def test_an_answer_that_is_no_file_is_waited_for_by_nobody(tmp_path: Path, store: Store, how: str) -> None:
    source = answering(tmp_path, LEAVES.format(how.format("sys.argv[-1] + '/output.json'")))
    error = failure(BuildFailed, request(source), store)
    assert "left-pad 1.0: build_wheel left no file with its answer; the log is " in str(error)


MAKES_WHEEL = (
    "def build_wheel(out, *given):\n    name = _good(out, *given)\n    wheel = os.path.join(out, name)\n    {}\n"
)

WHEELS = {
    "a FIFO": "os.unlink(wheel); os.mkfifo(wheel); return name",
    "a directory": "os.unlink(wheel); os.mkdir(wheel); return name",
    "a device": "os.unlink(wheel); os.symlink('/dev/zero', wheel); return name",
    "a link": "os.rename(wheel, OUTSIDE + name); os.symlink(OUTSIDE + name, wheel); return name",
    "a linked directory": "os.rename(out, OUTSIDE + 'out'); os.symlink(OUTSIDE + 'out', out); return name",
    "a whole path": "os.rename(wheel, OUTSIDE + name); return OUTSIDE + name",
    "a path below": "os.mkdir(out + '/x'); os.rename(wheel, out + '/x/' + name); return 'x/' + name",
    "a way round": "return '../out/' + name",
    "the directory": "return ''",
    "nothing": "return 'other.whl'",
    "no name": "return 'a\\0b'",
    "a long one": "return 'a' * 5000",
}


@pytest.mark.group(46)
@pytest.mark.parametrize("what", WHEELS)
def test_a_wheel_that_is_no_file_of_the_builds_own_directory_is_not_taken(
    tmp_path: Path, store: Store, what: str
) -> None:
    (tmp_path / "outside").mkdir()
    lines = MAKES_WHEEL.format(WHEELS[what].replace("OUTSIDE", repr(f"{tmp_path}/outside/")))
    error = failure(BuildFailed, request(answering(tmp_path, lines)), store)
    assert "left-pad 1.0: build_wheel answers " in str(error)
    assert "and left no file of that name where it was to; the log is " in str(error)
    assert [path.name for path in (tmp_path / "outside").rglob("*.whl")] == (
        ["left_pad-1.0-py3-none-any.whl"] if "OUTSIDE" in WHEELS[what] else []
    )


def test_a_store_that_is_reached_through_a_link_is_built_in(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to("disk")
    assert build_wheel(request(sdist(tmp_path)), Store(tmp_path / "disk" / ".." / "cache" / "mirror")).path.is_file()


@pytest.mark.parametrize("what", ["os.mkfifo(log)", "os.symlink(SECRET, log)", "os.mkdir(log)", "pass"])
@pytest.mark.parametrize("ends", ["return _good(out, *given)", "raise SystemExit('no compiler')"])
def test_the_log_is_what_the_build_said_whatever_it_put_under_the_logs_name(
    tmp_path: Path, store: Store, what: str, ends: str
) -> None:
    (tmp_path / "secret").write_text("SECRET KEY")
    lines = f"log = os.path.dirname(out) + '/build.log'; os.unlink(log); {what}; print('hello'); {ends}"
    source = answering(tmp_path, f"def build_wheel(out, *given): {lines.replace('SECRET', repr(f'{tmp_path}/secret'))}")
    if "raise" in ends:
        log = Path(vars(failure(BuildFailed, request(source), store))["log"])
    else:
        log = build_wheel(request(source), store).log
    assert "$ build_wheel\nhello\n" in log.read_text()
    assert "SECRET KEY" not in log.read_text() and not log.is_symlink()


@pytest.mark.group(49)
def test_of_a_log_without_end_whole_lines_of_both_ends_are_kept(tmp_path: Path, store: Store) -> None:
    prints = "for number in range(300000): print(number, 'y' * 99)"
    log = build_wheel(request(sdist(tmp_path, prints)), store).log
    head, between, tail = log.read_text().partition("\n[mirror leaves out some 15 MiB of this log here]\n\n")
    assert between and head.startswith("$ get_requires_for_build_wheel\n$ build_wheel\n0 yyy")
    assert tail.endswith(f"\n299999 {'y' * 99}\n") and log.stat().st_size < (16 << 20) + 100
    assert all(line.endswith(" " + "y" * 99) for line in (*head.splitlines()[2:], *tail.splitlines()))


# A real project


@pytest.mark.index
def test_mistral_common_has_the_same_bytes_from_any_place_umask_time_zone_and_locale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = (("setuptools", "80.9.0"), ("wheel", "0.45.1"), ("build", "1.3.0"), ("packaging", "25.0"))
    with Index() as index:
        sources = [item for item in index.files(project_name("mistral-common"), "1.9.1") if item.kind == "sdist"]
        wheels = [
            item
            for name, version in pinned
            for item in index.files(project_name(name), version)
            if item.kind == "wheel"
        ]
    wanted = [Download(item.url, item.filename, item.sha256, item.size) for item in (*sources, *wheels)]
    paths = list(fetch(wanted, Store(tmp_path / "files")).values())
    asked = replace(request(paths[0], *paths[1:]), project=project_name("mistral-common"), version="1.9.1")
    first = build_wheel(asked, Store(tmp_path / "one"))
    monkeypatch.chdir("/")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C")
    before = os.umask(0o077)
    try:
        second = build_wheel(asked, Store(tmp_path / "two"))
    finally:
        os.umask(before)
    assert outcome(first) == outcome(second)
    assert first.path.name == "mistral_common-1.9.1-py3-none-any.whl"


def test_gpus_that_nobody_asked_for_are_told_while_they_are_compiled_for(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_TICK_S", 0.05)
    wait = "import subprocess, sys; subprocess.run(['nvcc', '-c', 'import time; time.sleep(1)', {}], executable=sys.executable)"
    compile_for = "; ".join(wait.format(f"'-gencode', 'arch=compute_{one},code=sm_{one}'") for one in ("90a", "75"))
    spoken = Heard()
    build_wheel(request(sdist(tmp_path, compile_for)), store, progress=spoken)
    assert [line for line in spoken.lines if "being compiled" in line] == [
        "left-pad 1.0 is being compiled for sm_75; the target is sm_90a: environment or patches in [build.left-pad] limit it"
    ]
    assert any(" minutes; " in line and line.endswith("says: $ build_wheel") for line in spoken.lines)
