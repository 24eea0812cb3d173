"""A stack says what it wishes for, and every misspelling in it is named with its place."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from mirror.connected.stack.interpreter import InterpreterPin
from mirror.connected.stack.stack import Stack
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.kinds import INTERPRETER, RPM
from mirror.core.names import project_name

TARGET = {"python": "3.11", "arch": "x86_64", "glibc": "2.28", "cuda": "13.0"}
LOCKFILES = Path(__file__).parents[4] / "lockfiles"


def stack(**tables: Any) -> Stack:
    document = {"target": TARGET, "python": {"requirements": ["a==1"]}, **tables}
    return Stack.from_dict(document, "demo", "demo.toml")


def test_reads_every_table(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(
        """
        [target]
        python = "3.11"
        arch = "x86_64"
        glibc = "2.28"
        cuda = "13.0"
        [python]
        requirements = ["Left_Pad[fast]==1.0"]
        optional = ["jit-cache==2"]
        constraints = ["numpy<3"]
        build = ["left.pad"]
        imports = ["left_pad"]
        cutoff = "2026-11-01T00:00:00+01:00"
        [python.index]
        jit-cache = "own"
        [indexes]
        own = "https://example.org/simple/"
        [build.left-pad]
        requires = ["cython"]
        environment = { B = "2", A = "1" }
        [rpms]
        repository = "https://example.org/rpms/"
        fingerprints = ["610C7B14E068A878070DA4E99CD0A493D42D0685"]
        packages = ["cuda-nvcc-13-0"]
        [interpreter]
        url = "https://example.org/python.tar.gz"
        sha256 = "%s"
        """
        % ("ab" * 32)
    )

    read = Stack.load(path)

    assert read.name == "demo"
    assert read.index_of(project_name("jit-cache")) == "https://example.org/simple/"
    assert read.index_of(project_name("numpy")) is None
    assert read.is_built(project_name("left-pad"))
    assert read.stated_version(project_name("left-pad")) == "1.0"
    assert read.stated_version(project_name("numpy")) is None
    assert read.cutoff == datetime(2026, 10, 31, 23, tzinfo=timezone.utc)
    assert read.settings_of(project_name("left-pad")).environment == (("A", "1"), ("B", "2"))
    assert [str(one) for one in read.settings_of(project_name("left-pad")).requires] == ["cython"]
    assert read.toolchain is read.wishes[RPM]
    assert read.wishes[RPM].packages == ("cuda-nvcc-13-0",)
    assert read.wishes[INTERPRETER] == InterpreterPin("https://example.org/python.tar.gz", "ab" * 32)  # type: ignore[arg-type]  # plain text


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"python": {}}, "demo.toml invalid at 'python.requirements': missing"),
        ({"pyhton": {}}, "demo.toml invalid at 'pyhton': unknown key"),
        (
            {"python": {"requirements": ["a==1", "b=1"]}},
            "demo.toml invalid at 'python.requirements[1]': expected a requirement such as 'vllm==0.17.1', got 'b=1'",
        ),
        (
            {"python": {"requirements": ["a @ https://example.org/a.whl"]}},
            "demo.toml invalid at 'python.requirements[0]': a names a URL: requirements come from an index",
        ),
        (
            {"python": {"requirements": ["a>=1"], "build": ["a"]}},
            "demo.toml invalid at 'python.build[0]': a build is of one version: add 'a==VERSION' to requirements",
        ),
        (
            {"python": {"requirements": ["a"], "index": {"a": "own"}}},
            "demo.toml invalid at 'python.index.a': index 'own' is not in [indexes] (it is empty)",
        ),
        (
            {"python": {"requirements": ["a"], "index": {"b": "own"}}, "indexes": {"own": "https://example.org/"}},
            "demo.toml invalid at 'python.index.b': the project is in neither requirements nor optional",
        ),
        ({"python": {"requirements": ["a"], "cutoff": "2026-11-01T00:00:00"}}, "names no time zone"),
        ({"python": {"requirements": ["a"], "cutoff": "soon"}}, "expected a time such as"),
        (
            {"python": {"requirements": ["a"], "cutoff": "0001-01-01T00:00:00+23:59"}},
            "is no time of the years 1 to 9999",
        ),
        (
            {"python": {"requirements": ["a"], "cutoff": "9999-12-31T23:59:59-23:59"}},
            "is no time of the years 1 to 9999",
        ),
        ({"indexes": {"own": "ftp://example.org/"}}, "expected a URL that begins with https or http or file"),
        ({"indexes": {"own": "https://user:secret@example.org/"}}, "credentials in a URL are refused"),
        ({"indexes": {"own": "https://example.org/?token=secret"}}, "a query in an index's URL is refused"),
        (
            {"indexes": {"own": {"find-links": "https://example.org/?token=secret"}}},
            "a query in an index's URL is refused",
        ),
        ({"indexes": {"own": "https://example.org:99999/"}}, "expected a URL whose host and port can be read"),
        ({"indexes": {"Own": "https://example.org/"}}, "an index's name has lower-case letters"),
        (
            {"indexes": {"own": {"find-link": "https://example.org/"}}},
            "'indexes.own.find-link': unknown key; did you mean find-links?",
        ),
        (
            {"indexes": {"own": {"file": "https://example.org/a-1.tar.gz", "sha256": "ab" * 32}}},
            "expected the URL of a wheel",
        ),
        ({"indexes": {"own": {"file": "https://example.org/a-1-py3-none-any.whl"}}}, "'indexes.own.sha256': missing"),
        (
            {
                "python": {"requirements": ["a"], "index": {"a": "own"}},
                "indexes": {"own": {"file": "https://example.org/a-1-py3-none-any.whl", "sha256": "ab" * 32}},
            },
            "index 'own' is one file, which no resolver reads: move a from requirements to optional",
        ),
        ({"indexes": {"own": {"find-links": "ftp://example.org/"}}}, "expected a URL that begins with https"),
        ({"indexes": {"own": {"find-links": "https://example.org/", "a": 1}}}, "indexes.own"),
        (
            {"indexes": {"default": {"find-links": "https://example.org/"}}},
            "a page of links and a file have a few projects",
        ),
        ({"build": {"b": {}}}, "demo.toml invalid at 'build.b': the project is not in [python].build"),
        ({"interpreter": {"url": "https://example.org/p", "sha256": "AB"}}, "expected 64 hex digits"),
    ],
)
def test_names_the_place_of_a_fault(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        stack(**tables)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"fingerprints": ["D42D0685"]},
            "rpms.fingerprints[0]': expected the fingerprint of an OpenPGP key",
        ),
        ({"fingerprints": []}, "rpms.fingerprints': expected at least one"),
        ({"packages": ["../evil"]}, "rpms.packages[0]': expected a package name"),
        ({"repository": "/srv/rpms"}, "rpms.repository': expected a URL"),
        ({"gpgcheck": False}, "rpms.gpgcheck': unknown key"),
    ],
)
def test_checks_the_rpm_wishes(change: dict[str, Any], message: str) -> None:
    wishes = {"repository": "https://example.org/", "fingerprints": ["AB" * 20], "packages": ["cuda-nvcc-13-0"]}
    with pytest.raises(InvalidDocument) as caught:
        stack(rpms={**wishes, **change})
    assert message in str(caught.value)


def test_rpms_need_a_cuda_release() -> None:
    wishes = {"repository": "https://example.org/", "fingerprints": ["AB" * 20], "packages": ["cuda-nvcc-13-0"]}
    with pytest.raises(InvalidDocument, match=r"'target\.cuda': missing"):
        stack(target={"python": "3.11", "arch": "x86_64", "glibc": "2.28"}, rpms=wishes)


def test_a_file_that_is_not_there_or_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"gone\.toml"):
        Stack.load(tmp_path / "gone.toml")
    (tmp_path / "bad.toml").write_text("[target")
    with pytest.raises(InvalidDocument, match="not valid TOML"):
        Stack.load(tmp_path / "bad.toml")
    (tmp_path / "no name.toml").write_text("")
    with pytest.raises(InvalidDocument, match="the file's name is the stack's"):
        Stack.load(tmp_path / "no name.toml")


@pytest.mark.parametrize("name", ["h100", "h100-cu130", "quickstart"])
def test_the_stacks_that_we_ship_are_good(name: str) -> None:
    read = Stack.load(LOCKFILES / f"{name}.toml")
    release = read.target.cuda.replace(".", "-")
    assert all(package.endswith(release) for package in read.wishes[RPM].packages)


def test_what_the_host_brings_is_not_asked_for_too() -> None:
    assert stack(python={"requirements": ["a==1"], "without": ["Torch"]}).without == (project_name("torch"),)
    with pytest.raises(InvalidDocument, match=r"'python\.without\[0\]': a is asked for in requirements or optional"):
        stack(python={"requirements": ["a==1"], "without": ["a"]})


HEAD = '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\ncuda = "13.0"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[targt]\npython = "3.11"', "'targt': unknown key; did you mean target?"),
        ('[target]\npyton = "3.11"', "'target.pyton': unknown key; did you mean python?"),
        (f'{HEAD}[python]\nrequirments = []', "'python.requirments': unknown key; did you mean requirements?"),
        (f'{HEAD}[python]\nrequirements = []\n[rpms]\nrepo = "x"', "'rpms.repo': unknown key; did you mean repository?"),
        (f'{HEAD}[python]\nrequirements=[]\n[[waiver]]\nreson = "x"', "'waiver[0].reson': unknown key; did you mean reason?"),
        (f'{HEAD}[python]\nrequirements=[]\n[interpreter]\nsha = "x"', "'interpreter.sha': unknown key; did you mean sha256?"),
    ],
)  # fmt: skip
def test_a_misspelt_key_is_named_before_the_one_that_is_missing(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "demo.toml").write_text(text)
    with pytest.raises(InvalidDocument) as caught:
        Stack.load(tmp_path / "demo.toml")
    assert str(caught.value).endswith(f"demo.toml invalid at {fault}")
