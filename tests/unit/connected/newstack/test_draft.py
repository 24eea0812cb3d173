"""``mirror init``: every file that it writes can be locked as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mirror.cli.main import main
from mirror.connected.newstack.borrowed import borrow
from mirror.connected.pins.requirements import read_lock
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import RPM
from mirror.core.target import Target
from tests.support.index import LoopbackIndex
from tests.support.wheels import make_wheel


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as server:
        for name, version in (("a", "1.0"), ("a", "2.0"), ("b", "1.0"), ("c", "1.0")):
            server.add(make_wheel(tmp_path / "wheels", name, version, requires=["c"] if name == "b" else []))
        yield server


def init(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["init", *words]) == 0
    return capsys.readouterr().out


def locked(index: LoopbackIndex, name: str = "demo") -> dict[str, str]:
    assert main(["lock", name, "--index-url", index.url]) == 0
    return {pin.name: pin.version for pin in read_lock(Path(f"{name}.txt")).pins}


REQUIREMENTS = """\
# what we serve
-r more.in
-c limits.txt
a==1.0 --hash=sha256:aa \\
    --hash=sha256:bb  # via x
-e .
git+https://user:secret@example.org/x
d @ https://example.org/d.whl
--extra-index-url https://user:secret@example.org/simple
"""

PYPROJECT = """\
[project]
name = "x"
requires-python = ">=3.12,<3.13"
dependencies = ["a<2", "b; sys_platform == 'linux'"]
[project.optional-dependencies]
dev = ["c"]
[dependency-groups]
test = ["c"]
"""

PYLOCK = """\
lock-version = "1.0"
created-by = "hand"
dependency-groups = ["dev", "other"]
default-groups = ["dev"]
[[packages]]
name = "a"
version = "1.0"
wheels = [{ name = "a-1.0-py3-none-any.whl", url = "https://example.org/a-1.0-py3-none-any.whl", hashes = { sha256 = "aa" } }]
[[packages]]
name = "b"
version = "1.0"
wheels = [{ name = "b-1.0-py3-none-any.whl", url = "https://example.org/b-1.0-py3-none-any.whl", hashes = { sha256 = "aa" } }]
marker = "'dev' in dependency_groups"
[[packages]]
name = "c"
version = "1.0"
wheels = [{ name = "c-1.0-py3-none-any.whl", url = "https://example.org/c-1.0-py3-none-any.whl", hashes = { sha256 = "aa" } }]
marker = "'other' in dependency_groups"
"""


def test_requirements_on_the_command_line_are_locked(index: LoopbackIndex, capsys: pytest.CaptureFixture[str]) -> None:
    said = init(capsys, "demo", "a", "b", "--gpu", "h100")
    assert said.splitlines()[-1] == "next: mirror lock demo"
    assert locked(index) == {"a": "2.0", "b": "1.0", "c": "1.0"}


def test_nothing_asked_for_can_be_locked_and_says_what_to_write(
    index: LoopbackIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    said = init(capsys, "demo")
    assert said.splitlines()[-1] == "next: write what you want into [python].requirements, then: mirror lock demo"
    assert locked(index) == {}


def test_a_requirements_file_with_all_that_may_be_in_one(
    here: Path, index: LoopbackIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "requirements.txt").write_text(REQUIREMENTS)
    (here / "more.in").write_text("\ufeffb>=1 ; python_version > '3'\n--require-hashes\n")
    (here / "limits.txt").write_text("c<2\n")
    said = init(capsys, "demo", "--from", "requirements.txt")
    assert "secret" not in said + Path("demo.toml").read_text()
    assert [line.partition(": ")[2] for line in said.splitlines() if line.startswith("not taken over")] == [
        "an editable project (build its wheel and put it on an index)",
        "x (it is a URL; requirements come from an index)",
        "d (it names a URL; requirements come from an index)",
        "--extra-index-url (its URL holds credentials or a query, or is none: put them in ~/.netrc)",
    ]
    assert [str(one) for one in Stack.load(here / "demo.toml").constraints] == ["c<2"]
    assert locked(index) == {"a": "1.0", "b": "1.0", "c": "1.0"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "https://u:secret@example.org/x/a-1.0-py3-none-any.whl?t=secret",
            "a-1.0-py3-none-any.whl (it is a URL; requirements come from an index)",
        ),
        ("git+ssh://git@example.org/x/tool.git@v1#egg=tool", "tool (it is a URL; requirements come from an index)"),
        ("./wheels/b-1.0-py3-none-any.whl", "b-1.0-py3-none-any.whl (it is a path; put its wheel on an index)"),
        ("c ~ 1", "c (no requirement on a version of an index)"),
        ("http://[", "a URL that cannot be read (requirements come from an index)"),
    ],
)
def test_what_is_no_requirement_is_called_by_its_own_name(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "r.txt").write_text(f"{line}\n")
    assert borrow(tmp_path / "r.txt", Target("3.11", "x86_64", "2.31")).left_out == [said]


def test_two_pins_of_one_project_are_refused_where_both_are_for_the_target(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("a==1.0; python_version < '3.9'\nA==2.0\na==2.0.0\n")
    assert len(borrow(tmp_path / "r.txt", Target("3.11", "x86_64", "2.31")).requirements) == 3
    with pytest.raises(InvalidDocument, match=r"r\.txt invalid: it pins a to 1\.0 and to 2\.0; keep one of them"):
        borrow(tmp_path / "r.txt", Target("3.8", "x86_64", "2.31"))


def test_two_pins_are_refused_also_where_one_is_in_the_file_and_one_on_the_command_line(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "r.txt").write_text("a==1.0\n")
    for words in (("demo", "a==2.0", "--from", "r.txt"), ("demo", "a==1.0", "a==2.0")):
        assert main(["init", *words]) == 12
        said = capsys.readouterr().err
        assert "it pins a to 1.0 and to 2.0; keep one of them" in said and "hint: Leave one of the two out" in said
    assert not (here / "demo.toml").exists()


def test_a_bare_name_beside_a_wish_for_the_same_project_is_not_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "r.txt").write_text("a==1.0\nb; python_version < '3.9'\nc\n")
    made = json.loads(init(capsys, "demo", "A", "b", "c<2", "--from", "r.txt", "--json"))
    assert made["requirements"] == ["a==1.0", 'b; python_version < "3.9"', "b", "c<2"]


def test_wishes_are_not_taken_from_where_the_pins_are_to_be_written(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "demo.txt").write_text("a>=1\n")
    assert main(["init", "demo", "--from", "./demo.txt"]) == 10
    assert "`mirror lock demo` writes its pins there, and it is what you wrote yourself" in capsys.readouterr().err
    assert not (here / "demo.toml").exists() and (here / "demo.txt").read_text() == "a>=1\n"
    init(capsys, "other", "--from", "demo.txt")


def test_what_only_a_further_index_can_have_comes_from_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "requirements.in").write_text("torch==2.11.0+cu130\na\n--extra-index-url https://example.org/whl/cu130\n")
    init(capsys, "demo", "--from", "requirements.in")
    assert dict(Stack.load(here / "demo.toml").index_names) == {"torch": "extra"}


def test_a_pyproject(here: Path, index: LoopbackIndex, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pyproject.toml").write_text(PYPROJECT)
    said = init(capsys, "demo", "--from", "pyproject.toml")
    assert said.startswith("demo.toml  for Python 3.12, ")
    assert "not taken over: dev (an extra" in said and "not taken over: test (a dependency group" in said
    assert locked(index) == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_a_pylock_is_read_for_the_target_with_its_default_groups(
    here: Path, index: LoopbackIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "pylock.toml").write_text(PYLOCK)
    said = init(capsys, "demo", "--from", "pylock.toml")
    assert "not taken over: c (its marker does not hold on the target" in said
    assert [str(one) for one in Stack.load(here / "demo.toml").requirements] == ["a==1.0", "b==1.0"]
    assert locked(index) == {"a": "1.0", "b": "1.0", "c": "1.0"}


def test_a_marker_that_cannot_be_evaluated_is_named_in_a_pylock_and_not_taken_over_from_a_list(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "pylock.toml").write_text(re.sub("marker = .*", "marker = 'os_name ~= \"x\"'", PYLOCK))
    with pytest.raises(InvalidDocument, match=r"invalid at 'packages\[\d\].marker': expected a marker such as"):
        borrow(here / "pylock.toml", Target("3.12", "x86_64", "2.28"))
    (here / "requirements.txt").write_text("a==1.0; os_name ~= 'x'\nb==1.0\n")
    assert "not taken over: a==1.0" in init(capsys, "demo", "--from", "requirements.txt")
    assert [str(one) for one in Stack.load(here / "demo.toml").requirements] == ["b==1.0"]


def test_the_toolchain_is_there_when_it_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(capsys, "demo", "--gpu", "gh200", "--toolchain")
    stack = Stack.load(here / "demo.toml")
    assert (stack.target.arch, stack.target.gpu, stack.target.cuda) == ("aarch64", "sm_90a", "13.0")
    assert stack.wishes[RPM].repository.endswith("/rhel9/sbsa/")


@pytest.mark.parametrize("words", [(), ("--gpu", "h100"), ("--cuda", "12.8"), ("a", "--gpu", "v100")])
def test_every_comment_that_says_how_says_what_is_read(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """The lines behind '#' are settings: a user takes the '#' away."""
    init(capsys, "demo", *words)
    lines = (here / "demo.toml").read_text().splitlines()
    settings = [line[2:] if line.startswith(("# gpu", "# cuda", "# [", "# repository", "# fingerprints", "# components",
                                             "# constraints", "# build", "# imports")) else line for line in lines]  # fmt: skip
    (here / "all.toml").write_text("\n".join(settings))
    assert Stack.load(here / "all.toml").toolchain is not None


def test_it_goes_to_lockfiles_where_there_is_one_and_writes_nothing_over(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "lockfiles").mkdir()
    made = json.loads(init(capsys, "demo", "a", "--json"))
    assert (made["path"], made["next"]) == ("lockfiles/demo.toml", "mirror lock demo")
    before = (here / "lockfiles" / "demo.toml").read_bytes()
    assert main(["init", "demo", "b"]) == 10
    assert "it is there already, and nothing is written over" in capsys.readouterr().err
    assert (here / "lockfiles" / "demo.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("demo", "--gpu", "h10"), "no GPU 'h10' is known; did you mean h100?"),
        (("demo", "--gpu", "b200", "--cuda", "12.4"), "b200 (sm_100a) needs CUDA 12.8 or newer, got 12.4"),
        (
            ("demo", "--gpu", "v100", "--cuda", "13.0"),
            "v100 (sm_70) needs CUDA 9.0 or newer, and before 13.0, got 13.0",
        ),
        (("demo", "--python", "3"), "expected something like '3.11', got '3'"),
        (("demo", "--glibc", "new"), "'target.glibc': expected something like '3.11', got 'new'"),
        (("demo", "--arch", "ppc64le"), "expected one of x86_64, aarch64, got 'ppc64le'"),
        (("demo", "a b"), "expected a requirement such as 'vllm==0.25.1', got 'a b'"),
        (("demo", "--toolchain", "flashinfer-jti"), "did you mean 'flashinfer-jit'?"),
        (("-x-/..",), ""),
        (("demo", "--from", "none.txt"), "cannot read none.txt: No such file or directory"),
        (("demo", "--from", "uv.lock"), "uv export --frozen --no-emit-project"),
        (("demo", "--from", "bad.toml"), "not valid TOML"),
        (("demo", "--from", "poetry.toml"), "requirements are read from [project]"),
        (("demo", "--from", "round.txt"), "it includes itself"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], problem: str
) -> None:
    (here / "bad.toml").write_text("[")
    (here / "poetry.toml").write_text("[tool.poetry]\n")
    (here / "round.txt").write_text("-r round.txt\n")
    try:
        assert main(["init", *words]) in (2, 11, 12)
    except SystemExit as ended:
        assert ended.code == 2
    said = capsys.readouterr().err
    assert problem in said and "internal error" not in said
    assert not (here / "demo.toml").exists()
