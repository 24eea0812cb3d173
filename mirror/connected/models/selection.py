"""Which files of a repository a bundle carries.

What the patterns mean is said in ``mirror.connected.stack.models``.

Rules: patterns are matched as the hub's library does; what no bundle can carry, and pickles that nobody waived, are refused
together, with what to write.

Example::

    chosen = select(wish, files, stack.waivers)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from mirror.connected.models.hub import HubFile
from mirror.connected.stack.models import HIDDEN, PAPERS, PICTURES, ModelWish
from mirror.connected.stack.waivers import template
from mirror.core.bundle.manifest import artifact_path
from mirror.core.errors import MirrorError
from mirror.core.kinds.model import bundle_path
from mirror.core.vetting.modelfile import names_a_pickle, pickle_finding
from mirror.core.vetting.rules import ProjectWaiver, judge


class ModelRefused(MirrorError):
    """Files that were asked for cannot be carried, or nobody answers for them.

    Attributes:
        repository: ``"org/name"``.
        issues: one sentence for each file, or one for all.
        advice: what could be written into ``NAME.toml``; empty for nothing.
    """

    ref = "model-refused"
    exit_code = 26
    message = "{repository}: {issues:first}"

    repository: str
    issues: tuple[str, ...]
    hint: str = "Correct include and exclude of it in NAME.toml."
    advice: str = ""

    def context(self) -> str:
        return "\n".join([*self.issues[1:], *(["", self.advice] if self.advice else [])])


def select(wish: ModelWish, files: Sequence[HubFile], waivers: Iterable[ProjectWaiver]) -> tuple[HubFile, ...]:
    """The files that are taken, in the order in which they were given.

    Raises:
        ModelRefused: when nothing is left, a name cannot stand in a bundle, or a file is a pickle that nobody waived.
    """
    asked = {file.path for file in files if _is_asked_for(wish, file.path)}
    if not asked:
        raise ModelRefused(wish.repository, (_nothing(wish, files),))
    chosen = tuple(file for file in files if file.path in asked or _is_paper(wish, file.path))
    if issues := tuple(_unusable(wish.repository, chosen)):
        raise ModelRefused(wish.repository, issues, "Name each of them in exclude, if the model does without it.")
    _refuse_pickles(wish, chosen, waivers)
    return chosen


def _is_asked_for(wish: ModelWish, path: str) -> bool:
    left_out = (*HIDDEN, *wish.exclude, *(() if wish.include else PICTURES))
    return _matches(path, wish.include or ("*",)) and not _matches(path, left_out)


def _is_paper(wish: ModelWish, path: str) -> bool:
    return "/" not in path and _matches(path, PAPERS) and not _matches(path, wish.exclude)


def _matches(path: str, patterns: Iterable[str]) -> bool:
    """As ``huggingface_hub.utils.filter_repo_objects``: a pattern that ends with a slash is for all that lies there."""
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)


def _nothing(wish: ModelWish, files: Sequence[HubFile]) -> str:
    names = ", ".join(repr(file.path) for file in files[:5]) + (", ..." if len(files) > 5 else "")
    wanted = f"include ({', '.join(wish.include)})" if wish.include else "what is taken"
    return f"none of its {len(files)} files is in {wanted} and not left out; it has {names or 'none'}"


def _unusable(repository: str, files: Iterable[HubFile]) -> Iterator[str]:
    places: dict[str, str] = {}
    for file in files:
        try:
            artifact_path(bundle_path(repository, file.path))
        except ValueError:
            yield (
                f"{file.path!r} cannot stand in a bundle: names there have letters, digits and ._+!-, begin with a letter or "
                "digit, and are not long or deep"
            )
        other = places.setdefault(file.path.casefold(), file.path)
        if other != file.path:
            yield f"{file.path!r} and {other!r} differ in nothing but case"


def _refuse_pickles(wish: ModelWish, files: Iterable[HubFile], waivers: Iterable[ProjectWaiver]) -> None:
    pickles = (file.path for file in files if names_a_pickle(file.path))
    findings = [pickle_finding(bundle_path(wish.repository, path), wish.repository, path) for path in pickles]
    left = judge(findings, waivers).open
    if left:
        suffixes = sorted({f'"*.{finding.subject.rpartition(".")[2]}"' for finding in left})
        raise ModelRefused(
            wish.repository,
            tuple(f"{finding.subject}: {finding.what}" for finding in left),
            "Leave them out with exclude, where the repository has safetensors of the same weights, or take another "
            "repository; where they are known and accepted, write the [[waiver]].",
            f"exclude = [{', '.join(suffixes)}]\n\n{template(left)}",
        )
