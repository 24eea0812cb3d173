"""The RPM wishes of a stack: ``[rpms]`` in ``NAME.toml``, where the toolchain comes from and what it is to hold.

``mirror.core.cuda.components`` knows what NVIDIA calls a component in which release; ``mirror.connected.toolchain.selection``
finds the RPMs of a repository that answer the wishes.

Rules: components are named without a release, for the release is ``[target].cuda``; a word that means nothing there is refused
with what there is; packages may be named beside them, or instead.

Example::

    [rpms]
    repository = "https://developer.download.nvidia.com/compute/cuda/repos/rhel9/x86_64/"
    fingerprints = ["610C7B14E068A878070DA4E99CD0A493D42D0685"]
    components = ["flashinfer-jit", "cufft-devel"]
    packages = ["cuda-gdb-13-0"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from mirror.connected.fetching.download import clean_url
from mirror.connected.stack.toolchain import ToolchainWishes
from mirror.core.cuda.components import Component, component
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.signatures.fingerprints import openpgp_fingerprint

_RPM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*", re.ASCII)


@dataclass(frozen=True)
class RpmWishes(ToolchainWishes):
    """The CUDA toolchain that is wanted.

    Attributes:
        repository: URL of the directory that holds ``repodata/``.
        fingerprints: of the OpenPGP keys that may sign the repository and its RPMs, upper-case hex.
        packages: names to close over, without versions: the components' roots, then the packages that were named.
        needed: names without which a component does not work; they must be in the closure.
        extras: names that are taken where the repository has them.
    """

    LEAVES_CHOICE: ClassVar[bool] = True

    repository: str
    fingerprints: tuple[str, ...]
    packages: tuple[str, ...]
    needed: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, fields: Fields, release: str) -> RpmWishes:
        fields.only("repository", "fingerprints", "components", "packages")
        repository = fields.checked("repository", _repository)
        if "fingerprints" not in fields:
            fields.fail("fingerprints", "missing")
        fingerprints = fields.all_checked("fingerprints", openpgp_fingerprint)
        if not fingerprints:
            fields.fail("fingerprints", "expected at least one")
        components = fields.all_checked("components", lambda word: component(word, release))
        packages = fields.all_checked("packages", _package)
        fields.end()
        if not components and not packages:
            fields.fail("components", "missing: expected at least one component, such as 'flashinfer-jit', or package")
        return cls(repository, fingerprints, *_names(components, packages))

    def signed_by(self, fingerprints: Iterable[str]) -> RpmWishes:
        try:
            pinned = tuple(openpgp_fingerprint(text) for text in fingerprints)
        except ValueError as exc:
            raise InvalidDocument("RPM fingerprint", "", str(exc)) from exc
        return replace(self, fingerprints=pinned or self.fingerprints)


def _names(
    components: tuple[Component, ...], packages: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Roots and packages, needed, extras: each name once, in the order in which it was written."""
    roots = dict.fromkeys((*(name for one in components for name in one.roots), *packages))
    needed = dict.fromkeys(name for one in components for name in one.needed)
    extras = dict.fromkeys(name for one in components for name in one.extras if name not in roots)
    return tuple(roots), tuple(needed), tuple(extras)


def _repository(text: str) -> str:
    if text.startswith(("/", ".", "~")):
        raise ValueError(
            f"expected a URL, got the directory {text!r}; a copy is named with --toolchain-repo DIR beside the vendor's "
            f"URL here, or as 'file:///absolute/path'"
        )
    return clean_url(text)


def _package(text: str) -> str:
    if not _RPM_NAME.fullmatch(text):
        raise ValueError(f"expected a package name such as 'cuda-nvcc-13-0', got {text!r}")
    return text
