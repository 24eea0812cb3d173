"""The models that a stack wishes for: ``[[models]]`` in ``NAME.toml``, repositories of a Hugging Face hub.

``mirror.connected.models.hub`` asks which files a repository has, ``mirror.connected.models.modellock`` writes them down.

Rules: a revision is a commit, never a branch or a tag; one revision of a repository. ``include`` and ``exclude`` are patterns
as the hub's library takes them (``*`` crosses slashes). What is taken are the files that one of ``include`` matches (all,
without it) and none of ``exclude``; names that begin with a dot never, pictures and films only where ``include`` asks for them;
the card and the licence are taken with the rest unless ``exclude`` names them, for people decide by them.

Example::

    [[models]]
    repository = "Qwen/Qwen3-0.6B"
    revision = "c1899de289a04d12100db370d81485cdf75e47ca"
    include = ["*.safetensors", "*.json", "*.txt"]
    variable = "MODEL"                # names the directory of its files
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mirror.connected.fetching.download import clean_url
from mirror.core.bundle.manifest import variable_name
from mirror.core.fields import Fields, by
from mirror.core.kinds import MODEL
from mirror.core.kinds.model import repository_name, revision_hex, snapshot_folder

HUB = "https://huggingface.co"
"""Where models are when ``endpoint`` does not say."""

HIDDEN = (".*", "*/.*")
"""Never taken: what git and the hub keep for themselves."""

PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.svg", "*.mp4", "*.pdf")
"""Mostly the card's; taken where ``include`` asks for them."""

PAPERS = ("README.md", "LICEN[CS]E*", "NOTICE*", "COPYING*", "USE_POLICY*")
"""Taken whatever ``include`` says."""


def hub_url(text: str) -> str:
    """Check a hub's URL; a slash at its end goes.

    Raises:
        ValueError: for another scheme than http and https, for credentials in it, and for a query or a fragment.
    """
    if "?" in text or "#" in text:
        raise ValueError("a query in a hub's URL is refused: it may be a token; put that into HF_TOKEN")
    return clean_url(text, ("https", "http")).rstrip("/")


def _pattern(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or text.startswith("/"):
        raise ValueError(f"expected a pattern such as '*.safetensors', got {text!r}")
    return text


@dataclass(frozen=True)
class ModelWish:
    """One repository that is wanted.

    Attributes:
        revision: the commit's 40 hex digits.
        include: patterns of what is taken; none for all.
        exclude: patterns of what is left out.
        variable: the environment variable that names the directory of its files; empty for none.
        endpoint: the hub's URL, without a slash at its end.
    """

    repository: str = field(metadata=by(repository_name))
    revision: str = field(metadata=by(revision_hex))
    include: tuple[str, ...] = field(default=(), metadata=by(_pattern))
    exclude: tuple[str, ...] = field(default=(), metadata=by(_pattern))
    variable: str = field(default="", metadata=by(variable_name))
    endpoint: str = field(default=HUB, metadata=by(hub_url))

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The variables that it asks for, each with a path below the generation."""
        named = ((self.variable, snapshot_folder(self.repository, self.revision)),) if self.variable else ()
        return (("HF_HUB_CACHE", MODEL.directory), *named)


def read_models(tables: Iterable[Fields]) -> tuple[ModelWish, ...]:
    """Read the tables, in order of repository.

    Raises:
        InvalidDocument: with the path to the fault; also when two are of one repository.
    """
    wishes: dict[str, ModelWish] = {}
    for table in tables:
        wish = table.fill(ModelWish)
        other = wishes.setdefault(wish.repository.casefold(), wish)
        if other is not wish:
            table.fail(
                "repository", f"{other.repository} is wanted already: a stack carries one revision of a repository"
            )
    return tuple(sorted(wishes.values(), key=lambda wish: wish.repository))
