"""The component archives that a stack wishes for: ``[redist]`` in ``NAME.toml``, a second source of the CUDA toolchain.

NVIDIA lists its archives in ``redistrib_X.Y.Z.json`` and signs neither the list nor the archives. So the digest of the list,
pinned here by whoever writes the file, is all that vouches for them: it is the trust anchor, where ``[rpms]`` has the vendor's
key. ``mirror.connected.toolchain.redistmanifest`` finds the archives that answer the wishes.

Rules: components are the words of ``[rpms]`` (a set or a role, resolved for ``[target].cuda``) or keys of the list; what
belongs to the host's driver is refused.

Example::

    [redist]
    manifest = "https://developer.download.nvidia.com/compute/cuda/redist/redistrib_12.6.3.json"
    sha256 = "9c598598457a6463eb92889080c16b2b9dc04150e501b8bfc1536d403ba70aaf"
    components = ["flashinfer-jit", "cuda_nvml_dev"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mirror.connected.fetching.download import clean_url
from mirror.connected.stack.toolchain import ToolchainWishes
from mirror.core.cuda.components import component
from mirror.core.cuda.redistnames import redist_name_of
from mirror.core.fields import Fields
from mirror.core.names import Sha256Hex, sha256_hex

_MANIFEST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*\.json", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+|lib[a-z0-9]+", re.ASCII)
_HOST = re.compile(
    r"(nvidia_driver|driver_assistant|fabricmanager|imex|nvlsm|nvidia_fs|libnvidia_nscq|libnvsdm|cuda_compat).*"
)
"""What comes with the driver, and is the host's."""


@dataclass(frozen=True)
class RedistWishes(ToolchainWishes):
    """The CUDA toolchain that is wanted.

    Attributes:
        manifest: URL of ``redistrib_X.Y.Z.json``; the archives lie below its directory.
        sha256: of that file.
        components: the words as they are written.
        needed: keys of the list that must be there.
        extras: keys that are taken where the list has them.
    """

    LEAVES_CHOICE: ClassVar[bool] = False

    manifest: str
    sha256: Sha256Hex
    components: tuple[str, ...]
    needed: tuple[str, ...]
    extras: tuple[str, ...] = ()

    @property
    def filename(self) -> str:
        return self.manifest.rpartition("/")[2]

    @classmethod
    def from_fields(cls, fields: Fields, release: str) -> RedistWishes:
        fields.only("manifest", "sha256", "components")
        manifest = fields.checked("manifest", _manifest_url)
        if "sha256" not in fields:
            fields.fail("sha256", "missing: NVIDIA signs no redist manifest, so its pinned digest is the trust anchor")
        sha256 = fields.checked("sha256", sha256_hex)
        words = fields.texts("components")
        if not words:
            fields.fail("components", "expected at least one, such as 'flashinfer-jit' or 'cuda_nvcc'")
        found = [_checked(fields, f"components[{index}]", word, release) for index, word in enumerate(words)]
        fields.end()
        needed = tuple(dict.fromkeys(key for keys, _ in found for key in keys))
        extras = dict.fromkeys(key for _, keys in found for key in keys if key not in needed)
        return cls(manifest, sha256, words, needed, tuple(extras))


def _manifest_url(text: str) -> str:
    url = clean_url(text)
    if not _MANIFEST.fullmatch(url.rpartition("/")[2]):
        raise ValueError(f"expected a URL that ends with a file name such as 'redistrib_12.6.3.json', got {text!r}")
    return url


def _checked(fields: Fields, key: str, word: str, release: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        return _keys(word, release)
    except ValueError as exc:
        fields.fail(key, str(exc))


def _keys(word: str, release: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The keys that a word stands for: those needed, and those that go with them."""
    if _HOST.fullmatch(word):
        raise ValueError(f"{word!r} belongs to the host's driver and is not carried")
    if _KEY.fullmatch(word):
        return (word,), ()
    wanted = component(word, release)
    needed = _named((*wanted.roots, *wanted.needed), release)
    if not needed:
        raise ValueError(f"no archive of CUDA {release} holds {word!r}")
    return needed, _named(wanted.extras, release)


def _named(packages: Iterable[str], release: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for package in packages if (key := redist_name_of(package, release))))
