"""uv and pip-tools, for real, against an index on the loopback."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mirror.connected.resolving.resolver import Question, ResolutionFailed, ResolverUnfit, resolve
from mirror.connected.sdists.sdist import read_sdist
from mirror.core.names import project_name
from mirror.core.target import Target
from tests.support.index import LoopbackIndex, LoopbackServer
from tests.support.wheels import make_sdist, make_wheel

HERE = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LoopbackIndex]:
    with LoopbackIndex() as running:
        running.add(make_wheel(tmp_path, "a", "1.0", requires=["b>=1", 'c; sys_platform == "win32"']))
        running.add(make_wheel(tmp_path, "b", "1.0"))
        running.add(make_wheel(tmp_path, "b", "1.1"))
        running.add(make_wheel(tmp_path, "b", "1.2", tag="cp39-abi3-manylinux_2_31_x86_64"))
        running.add(make_wheel(tmp_path, "b", "1.3", tag="cp39-abi3-manylinux_2_31_aarch64"))
        yield running


def ask(server: LoopbackIndex, *requirements: str, glibc: str = "2.28", python: str = "3.11") -> Question:
    return Question(
        name="demo",
        root="demo.toml",
        target=Target(python=python, arch="x86_64", glibc=glibc),
        requirements=tuple(map(Requirement, requirements)),
        constraints=(),
        default_index=server.url,
        indexes={},
    )


def versions(question: Question, resolver: str = "uv") -> dict[str, str]:
    return {one.name: one.version for one in resolve(question, resolver)}


def test_the_targets_glibc_and_architecture_decide(server: LoopbackIndex) -> None:
    assert versions(ask(server, "a")) == {"a": "1.0", "b": "1.1"}
    assert versions(ask(server, "a", glibc="2.31")) == {"a": "1.0", "b": "1.2"}
    assert versions(ask(server, "a", glibc="2.30")) == {"a": "1.0", "b": "1.1"}


def test_says_who_asked(server: LoopbackIndex) -> None:
    question = replace(ask(server, "a"), constraints=(Requirement("b<1.1"),))
    a, b = resolve(question, "uv")
    assert (a.via, b.via, b.version) == (("demo.toml",), ("a", "demo.toml"), "1.0")


def test_what_was_locked_before_is_preferred(server: LoopbackIndex) -> None:
    assert versions(replace(ask(server, "a"), previous=b"b==1.0\n"))["b"] == "1.0"


def test_markers_are_the_targets_and_not_this_machines(server: LoopbackIndex, tmp_path: Path) -> None:
    server.add(make_wheel(tmp_path, "m", "1.0", requires=['b; python_version == "3.12"']))
    assert set(versions(ask(server, "m"))) == {"m"}
    assert set(versions(ask(server, "m", python="3.12"))) == {"m", "b"}


def test_what_the_closed_host_brings_is_not_looked_for_nor_what_only_it_needs(
    server: LoopbackIndex, tmp_path: Path
) -> None:
    server.add(make_wheel(tmp_path, "own", "1.0", requires=["a", "only-own"]))
    server.add(make_wheel(tmp_path, "app", "1.0", requires=["own>=2", "b"]))
    with pytest.raises(ResolutionFailed):
        versions(ask(server, "app"))  # no own of that version, nor any only-own
    assert versions(replace(ask(server, "app"), without=(project_name("own"),))) == {"app": "1.0", "b": "1.1"}


def test_the_cutoff_hides_later_files(server: LoopbackIndex, tmp_path: Path) -> None:
    server.add(make_wheel(tmp_path, "b", "1.1.1"), upload_time="2026-06-01T00:00:00Z")
    question = ask(server, "b")
    assert versions(question)["b"] == "1.1.1"
    assert versions(replace(question, cutoff=datetime(2026, 5, 1, tzinfo=timezone.utc)))["b"] == "1.1"


@pytest.mark.group(78)
def test_what_a_resolver_says_is_told_without_the_secrets_of_a_pages_urls(server: LoopbackIndex) -> None:
    file = {
        "filename": "d-1.0-py3-none-any.whl",
        "url": "http://u:secret@127.0.0.1:1/d-1.0-py3-none-any.whl?token=secret",
    }
    page = {"meta": {"api-version": "1.0"}, "name": "d", "files": [{**file, "hashes": {"sha256": "a" * 64}}]}
    with LoopbackServer() as other:
        other.serve("/simple/d/", json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
        question = replace(ask(server, "d"), default_index=f"{other.origin}/simple/")
        with pytest.raises(ResolutionFailed) as caught:
            resolve(question, "uv")
    assert "http://127.0.0.1:1/d-1.0-py3-none-any.whl" in caught.value.context()
    assert "secret" not in caught.value.words + caught.value.hint


def test_an_index_of_its_own_serves_that_project_only(server: LoopbackIndex, tmp_path: Path) -> None:
    with LoopbackIndex() as own:
        own.add(make_wheel(tmp_path, "a", "5.0", requires=["b"]))
        own.add(make_wheel(tmp_path, "b", "9.0"))  # dependency confusion: must not be taken (SECURITY.md T14)
        question = replace(ask(server, "a"), indexes={project_name("a"): own.url, project_name("unasked"): own.url})
        assert versions(question) == {"a": "5.0", "b": "1.1"}


def test_an_sdist_is_described_and_never_run(server: LoopbackIndex, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    path = make_sdist(
        tmp_path,
        "s",
        "1.0",
        requires=["a", 'b<1.1; extra == "old"'],
        extras=["old"],
        backend=f'open({str(trap)!r}, "w").close()\n',
    )
    server.add(path)
    question = replace(ask(server, "s[old]==1.0"), sdists=(read_sdist(path),))
    assert versions(question) == {"a": "1.0", "b": "1.0", "s": "1.0"}
    assert not trap.exists()
    assert server.count("/files/s-1.0.tar.gz") == 0


def test_an_sdist_that_nobody_described_is_not_taken(server: LoopbackIndex, tmp_path: Path) -> None:
    server.add(make_sdist(tmp_path, "s", "1.0"))
    with pytest.raises(ResolutionFailed):
        resolve(ask(server, "s"), "uv")


def test_what_the_machine_refused_is_not_laid_on_a_requirement(
    server: LoopbackIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "file/cache"))
    with pytest.raises(ResolutionFailed) as caught:
        resolve(ask(server, "a"), "uv")
    assert caught.value.hint.startswith("It is this machine that refused it (Not a directory), and no requirement. ")


def test_an_index_that_nobody_serves_is_not_laid_on_a_requirement(
    server: LoopbackIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    question = replace(ask(server, "a"), default_index="http://127.0.0.1:1/simple/")
    with pytest.raises(ResolutionFailed) as caught:
        resolve(question, "uv")
    assert caught.value.hint.startswith("That server does not answer this machine: "), caught.value.words


def test_no_answer_comes_with_the_resolvers_words(server: LoopbackIndex) -> None:
    with pytest.raises(ResolutionFailed) as caught:
        resolve(ask(server, "a", "b<1"), "uv")
    assert str(caught.value) == "uv could not resolve demo for Python 3.11, x86_64, glibc 2.28"
    assert "b<1" in caught.value.context()
    assert not re.search("mirror-stack|mirror-lock-", caught.value.context())


@pytest.mark.group(66)
def test_a_users_configuration_is_not_read(
    server: LoopbackIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackIndex() as other:
        other.add(make_wheel(tmp_path, "b", "9.0"))
        config = tmp_path / "config"
        (config / "uv").mkdir(parents=True)
        (config / "uv" / "uv.toml").write_text(f'[[index]]\nurl = "{other.url}"\n')
        monkeypatch.setenv("XDG_CONFIG_HOME", str(config))
        monkeypatch.setenv("UV_INDEX", other.url)
        monkeypatch.setenv("UV_FIND_LINKS", other.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", other.url)
        assert versions(ask(server, "b"))["b"] == "1.1"
        assert other.seen == []


here = pytest.mark.skipif(platform.machine() != "x86_64", reason="the question is about x86_64")


@here
def test_pip_tools_gives_the_same_answer_on_a_machine_like_the_target(server: LoopbackIndex) -> None:
    question = ask(server, "a", "b<1.2", python=HERE)
    assert resolve(question, "pip-tools") == resolve(question, "uv")


@here
def test_pip_tools_keeps_what_was_locked(server: LoopbackIndex) -> None:
    question = replace(ask(server, "a", python=HERE), previous=b"b==1.0\n", constraints=(Requirement("b<1.2"),))
    assert versions(question, "pip-tools")["b"] == "1.0"


@here
def test_pip_tools_reads_no_configuration(
    server: LoopbackIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LoopbackIndex() as other:
        other.add(make_wheel(tmp_path, "b", "1.1.9"))
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", other.url)
        assert versions(ask(server, "b<1.2", python=HERE), "pip-tools") == {"b": "1.1"}
        assert other.seen == []


@here
def test_pip_tools_refuses_what_it_cannot_do(server: LoopbackIndex) -> None:
    question = ask(server, "a", python=HERE)
    for unfit, words in (
        (
            ask(server, "a", python="3.99"),
            f"this machine, Python {HERE} on x86_64; target demo has Python 3.99 on x86_64",
        ),
        (replace(question, indexes={project_name("a"): server.url}), "NAME.toml gives a an index of its own"),
        (replace(question, cutoff=datetime(2026, 5, 1, tzinfo=timezone.utc)), "NAME.toml sets a cutoff"),
        (replace(question, without=(project_name("torch"),)), "NAME.toml goes without torch"),
    ):
        with pytest.raises(ResolverUnfit) as caught:
            resolve(unfit, "pip-tools")
        assert words in str(caught.value)


def test_nothing_is_left_behind(server: LoopbackIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with pytest.raises(ResolutionFailed):
        resolve(ask(server, "nowhere"), "uv")
    assert os.listdir(scratch) == []
