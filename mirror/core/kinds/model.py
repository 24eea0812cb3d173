"""Models: repositories of a Hugging Face hub at one revision, file by file.

In a bundle a file lies at ``models/ORG--NAME/PATH``; its artifact's name is the repository, its version the revision, both
signed with the rest. Installed, all of them are one cache as the hub's own library lays it out
(``models--ORG--NAME/{blobs,refs,snapshots}``), so that whatever loads models finds them by name, and by path.

Example::

    bundle_path("Qwen/Qwen3-0.6B", "config.json")       # "models/Qwen--Qwen3-0.6B/config.json"
"""

from __future__ import annotations

import re

from mirror.core.kinds.kind import Kind

MODEL = Kind(
    "model",
    "models",
    "model file",
    "model files",
    component="machine-learning-model",
    unknown_to_advisories="no project of an index",
    is_data=True,
    is_compiled_against=False,
    is_nested=True,
    version=2,
)

_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"[0-9a-f]{40}", re.ASCII)


def repository_name(text: str) -> str:
    """Check the name of a hub's repository, ``"org/name"``.

    Raises:
        ValueError: for anything else; ``--`` is refused, for it stands for the slash where a name is a directory's.
    """
    parts = text.split("/")
    if (
        len(parts) != 2
        or len(text) > 96
        or not all(map(_PART.fullmatch, parts))
        or "--" in text
        or ".." in text
        or text.endswith(".git")
    ):
        raise ValueError(f"expected a repository of the hub such as 'Qwen/Qwen3-0.6B', got {text!r}")
    return text


def revision_hex(text: str) -> str:
    """Check a revision: the 40 hex digits of a commit.

    Raises:
        ValueError: for anything else, a branch or a tag too, which may name other files tomorrow.
    """
    if not _REVISION.fullmatch(text):
        raise ValueError(
            f"expected the 40 lower-case hex digits of a commit, got {text!r}: a branch or tag can be moved, so copy the "
            "commit's from the repository's history on the hub"
        )
    return text


def bundle_path(repository: str, path: str) -> str:
    """Where a file of a repository lies in a bundle."""
    return MODEL.path(f"{repository.replace('/', '--')}/{path}")


def cache_folder(repository: str) -> str:
    """Where an installed repository lies below a generation."""
    return MODEL.path(f"models--{repository.replace('/', '--')}")


def snapshot_folder(repository: str, revision: str) -> str:
    """Where the files of one revision lie below a generation, under their own names."""
    return f"{cache_folder(repository)}/snapshots/{revision}"
