from __future__ import annotations

import pytest

from mirror.core.kinds.model import bundle_path, cache_folder, repository_name, revision_hex, snapshot_folder

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("text", ["Qwen/Qwen3-0.6B", "a/b", "meta-llama/Llama-3.1-8B_x", "org_/_name"])
def test_a_repository_has_an_owner_and_a_name(text: str) -> None:
    assert repository_name(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "gpt2",
        "a/b/c",
        "a/",
        "/b",
        "../b",
        "a/b..c",
        "a--b/c",
        "a/b--c",
        "a/b.git",
        ".a/b",
        "a/b.",
        "a/-b",
        "a b/c",
        "é/b",
        "",
    ],
)
def test_what_the_hub_takes_for_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a repository of the hub such as 'Qwen/Qwen3-0\.6B', got"):
        repository_name(text)


def test_a_repository_of_more_than_96_characters_is_refused() -> None:
    assert repository_name(f"a/{'b' * 94}")
    with pytest.raises(ValueError, match="expected a repository"):
        repository_name(f"a/{'b' * 95}")


@pytest.mark.parametrize("text", ["main", "v1.0", REVISION[:39], REVISION + "0", REVISION.upper(), REVISION + "\n", ""])
def test_a_revision_is_a_commit_and_never_a_branch(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"a branch or tag can be moved, so copy the commit's from the repository's history"
    ):
        revision_hex(text)


def test_where_a_model_lies() -> None:
    assert revision_hex(REVISION) == REVISION
    assert bundle_path("org/name", "a/b.json") == "models/org--name/a/b.json"
    assert cache_folder("org/name") == "models/models--org--name"
    assert snapshot_folder("org/name", REVISION) == f"models/models--org--name/snapshots/{REVISION}"
