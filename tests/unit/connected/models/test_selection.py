"""Which files of a repository are taken."""

from __future__ import annotations

import pytest

from mirror.connected.models.hub import HubFile
from mirror.connected.models.selection import ModelRefused, select
from mirror.connected.stack.models import ModelWish
from mirror.core.bundle.dossier import Waiver
from mirror.core.vetting.rules import ProjectWaiver
from tests.support.hub import make_model

REVISION = "0" * 40
PAPERS = ["LICENSE", "README.md"]


def chosen(
    *paths: str,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    waivers: tuple[ProjectWaiver, ...] = (),
) -> list[str]:
    files = [HubFile(path, 1, None, "", "") for path in (paths or sorted(make_model()))]
    return [file.path for file in select(ModelWish("org/tiny", REVISION, include, exclude), files, waivers)]


def test_all_is_taken_but_what_is_hidden_and_pictures() -> None:
    assert chosen() == [*PAPERS, "config.json", "model.safetensors", "tokenizer/merges.txt", "tokenizer/vocabulary.txt"]
    assert chosen("a/.cache/b", ".c/d", "e.PNG", "f.png") == ["e.PNG"]


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        (("*.safetensors",), (), [*PAPERS, "model.safetensors"]),
        (("tokenizer/",), (), [*PAPERS, "tokenizer/merges.txt", "tokenizer/vocabulary.txt"]),
        (("*.txt",), ("tokenizer/m*",), [*PAPERS, "tokenizer/vocabulary.txt"]),
        (("*.png",), (), [*PAPERS, "figures/loss.png"]),
        (("config.json",), ("README.md",), ["LICENSE", "config.json"]),
        ((), ("*.safetensors", "tokenizer/"), [*PAPERS, "config.json"]),
        (
            ("*",),
            ("figures/",),
            [*PAPERS, "config.json", "model.safetensors", "tokenizer/merges.txt", "tokenizer/vocabulary.txt"],
        ),
    ],
)
def test_patterns_cross_slashes_and_the_card_and_licence_come_along(
    include: tuple[str, ...], exclude: tuple[str, ...], taken: list[str]
) -> None:
    assert chosen(include=include, exclude=exclude) == taken


def test_patterns_mean_what_they_mean_to_the_hubs_library() -> None:
    utils = pytest.importorskip("huggingface_hub.utils")
    paths = ["a.txt", "b/a.txt", "b/c/d.json", "b/c.json", "B.json"]
    for pattern in ("*.json", "b/", "b/*", "?.txt", "[ab]*", "b/c", "*/c*", "**/d.json", "A.txt"):
        taken = list(utils.filter_repo_objects(paths, allow_patterns=[pattern]))
        left = list(utils.filter_repo_objects(paths, ignore_patterns=[pattern]))
        if taken:
            assert chosen(*paths, include=(pattern,)) == taken, pattern
        assert chosen(*paths, exclude=(pattern,)) == left, pattern


def test_nothing_that_matches_is_refused_with_what_there_is() -> None:
    with pytest.raises(ModelRefused) as caught:
        chosen(include=("*.gguf", "*.onnx"))
    assert str(caught.value) == (
        "org/tiny: none of its 8 files is in include (*.gguf, *.onnx) and not left out; it has '.gitattributes', 'LICENSE', "
        "'README.md', 'config.json', 'figures/loss.png', ..."
    )


def test_an_empty_repository_is_refused() -> None:
    with pytest.raises(
        ModelRefused, match="org/tiny: none of its 0 files is in what is taken and not left out; it has none"
    ):
        select(ModelWish("org/tiny", REVISION), [], ())


@pytest.mark.parametrize("path", ["a b.json", "é.json", "a/-b", "a(1).txt", f"{'n' * 101}", "1/2/3/4/5/6/7/8/9/a"])
def test_a_name_that_no_bundle_can_carry_is_refused(path: str) -> None:
    with pytest.raises(ModelRefused, match="cannot stand in a bundle: names there have letters, digits and") as caught:
        chosen("config.json", path)
    assert repr(path) in str(caught.value) and "Name each of them in exclude" in caught.value.hint
    assert chosen("config.json", path, exclude=(path,)) == ["config.json"]


def test_names_that_differ_in_nothing_but_case_are_refused() -> None:
    with pytest.raises(ModelRefused, match=r"'a\.json' and 'A\.json' differ in nothing but case"):
        chosen("A.json", "a.json")


def test_pickles_are_refused_with_both_ways_out() -> None:
    with pytest.raises(ModelRefused) as caught:
        chosen("model.safetensors", "pytorch_model.bin", "optimizer.pt")
    error = caught.value
    assert str(error) == (
        "org/tiny: pytorch_model.bin: it is in the format of Python's pickle: loading it can run any code (of org/tiny) "
        "(and 1 more)"
    )
    assert error.context().splitlines()[0].startswith("optimizer.pt: it is in the format of Python's pickle")
    assert 'exclude = ["*.bin", "*.pt"]' in error.context()
    assert '[[waiver]]\nproject = "org/tiny"\nrule = "pickle"\nsubject = "pytorch_model.bin"\n' in error.context()
    assert chosen("model.safetensors", "pytorch_model.bin", "optimizer.pt", exclude=("*.bin", "*.pt")) == [
        "model.safetensors"
    ]


@pytest.mark.parametrize(
    ("waiver", "left"),
    [
        (("org/tiny", Waiver("pickle", "read", "alice")), []),
        (("org/tiny", Waiver("pickle", "read", "alice", "a.bin")), ["b.bin"]),
        (("org/other", Waiver("pickle", "read", "alice")), ["a.bin", "b.bin"]),
        (("org/tiny", Waiver("startup-hook", "read", "alice")), ["a.bin", "b.bin"]),
    ],
)
def test_a_pickle_that_somebody_answers_for_is_taken(waiver: ProjectWaiver, left: list[str]) -> None:
    if not left:
        assert chosen("a.bin", "b.bin", waivers=(waiver,)) == ["a.bin", "b.bin"]
        return
    with pytest.raises(ModelRefused) as caught:
        chosen("a.bin", "b.bin", waivers=(waiver,))
    assert [issue.partition(":")[0] for issue in caught.value.issues] == left
