"""``env.sh``: all that another user of the closed host needs to use a generation.

It holds which variables a generation sets, once as text for sh, bash and zsh, once as a mapping for the self-test.
The facts behind each are in CUDA.md B3, B4, C4, C5 and E.

Rules (DESIGN.md section 6): ``CUDA_HOME`` is one fixed string, the generation's real path, because FlashInfer
compares it as a string; the toolkit's lib directory is for building (``LIBRARY_PATH``) and stays off
``LD_LIBRARY_PATH``, where it would shadow the libraries of torch's own wheels; stubs are found by nobody but a
linker that is given ``-L``; JIT caches lie in a directory named after all that their content depends on, so that a
stale one cannot exist.

Example::

    environment = Environment(generation.path, manifest)
    generation.env_script.write_text(environment.script())
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.prefix import Generation
from mirror.core.errors import MirrorError, Unreadable
from mirror.core.manifest import MAX_BYTES, Manifest

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "FLASHINFER_NO_DOWNLOAD": "1",
}
"""What would reach for the network at run time, and its switch (CUDA.md C4, B4)."""

_CACHES = {
    "FLASHINFER_WORKSPACE_BASE": "",  # FlashInfer appends .cache/flashinfer itself
    "VLLM_CACHE_ROOT": "vllm",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch_extensions",
    "DG_JIT_CACHE_DIR": "deep_gemm",
    "SGLANG_CACHE_DIR": "sglang",
    "CUDA_CACHE_PATH": "nv",
}
"""Where compiled kernels are kept, below the generation's own cache directory (CUDA.md C5, D)."""


class GenerationDamaged(MirrorError):
    """What a generation says about itself is gone or was altered.

    Attributes:
        generation: its directory.
        problem: what is wrong.
    """

    ref = "generation-damaged"
    exit_code = 105
    hint = "Run 'mirror install' again with the same bundle: it puts the manifest back. The rest is not touched."

    def __init__(self, generation: str, problem: str) -> None:
        super().__init__(generation, problem)
        self.generation, self.problem = generation, problem

    def __str__(self) -> str:
        return f"{self.generation}: {self.problem}"


@dataclass(frozen=True)
class Environment:
    """What a shell sets to use one generation.

    Attributes:
        generation: its directory, without symbolic links in it.
        manifest: of the bundle that it came from.
    """

    generation: Path
    manifest: Manifest

    @property
    def venv(self) -> Path:
        return self.generation / "venv"

    @property
    def cuda_home(self) -> Path | None:
        """The toolkit, when the bundle carries one."""
        return self.generation / "cuda" if self.manifest.carries_toolchain else None

    def jit_key(self) -> str:
        """Names the cache directory: 16 hex digits over all that compiled kernels depend on.

        FlashInfer's own key holds neither CUDA's version nor torch's nor the path of the toolkit (CUDA.md B3); this
        one does.
        """
        inputs = [
            f"{artifact.path} {artifact.sha256}" for artifact in self.manifest.artifacts if artifact.directory != "meta"
        ]
        inputs += [str(self.generation), *(f"{key}={value}" for key, value in self.manifest.target.to_dict().items())]
        return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]

    def fixed(self) -> dict[str, str]:
        """Variables with one value."""
        values = {"MIRROR_GENERATION": str(self.generation), "VIRTUAL_ENV": str(self.venv), **_OFFLINE}
        architecture = self.manifest.target.cuda_arch
        if architecture:
            # torch and vLLM add the 'a' where a kernel needs it; FlashInfer takes its list literally (CUDA.md B4,
            # C3).
            values["TORCH_CUDA_ARCH_LIST"] = architecture.rstrip("af")
            values["FLASHINFER_CUDA_ARCH_LIST"] = architecture
            values["CUDAARCHS"] = architecture.replace(".", "")
        if self.cuda_home:
            values["CUDA_HOME"] = values["CUDA_PATH"] = str(self.cuda_home)
            values["CUDACXX"] = str(self.cuda_home / "bin" / "nvcc")
        return values

    def prepended(self) -> dict[str, str]:
        """Search paths, and what comes first in each.

        ``CPATH`` names the toolkit's include directory alone: its ``cccl`` there would come before the CCCL that
        newer FlashInfer carries and passes with ``-isystem``.
        """
        if not self.cuda_home:
            return {"PATH": f"{self.venv}/bin"}
        return {
            "PATH": f"{self.venv}/bin:{self.cuda_home}/bin",
            "LIBRARY_PATH": f"{self.cuda_home}/lib64",
            "CPATH": f"{self.cuda_home}/include",
        }

    def variables(self, base: Mapping[str, str], caches: Path) -> dict[str, str]:
        """The environment of a process that has sourced ``env.sh``.

        Args:
            base: the environment before.
            caches: the directory in place of the user's own cache directory.
        """
        result = {key: value for key, value in base.items() if key != "PYTHONHOME"}
        result.update(self.fixed())
        for name, first in self.prepended().items():
            result[name] = ":".join(filter(None, [first, base.get(name, "")]))
        result.update({name: str(caches / directory) for name, directory in _CACHES.items()})
        return result

    def script(self) -> str:
        """``env.sh``. Safe under ``set -eu``, and to source twice or after another generation's."""
        lines = [
            f"# {self.manifest.name}, generation {self.generation.name}: source this file from sh, bash or zsh.",
            "# Written by mirror, never edited: another generation has its own.",
            *(f"export {name}={shlex.quote(value)}" for name, value in self.fixed().items()),
            "unset PYTHONHOME",
        ]
        for name, first in self.prepended().items():
            lines += _prepend(name, shlex.quote(first))
        # Without a HOME the caches go beside the venv: a fixed name in /tmp could be filled with kernels by somebody
        # else.
        fallback = shlex.quote(str(self.generation))
        lines += [
            f'_mirror_home="${{HOME:-}}"; [ -n "$_mirror_home" ] || _mirror_home={fallback}',
            f'_mirror_jit="${{XDG_CACHE_HOME:-$_mirror_home/.cache}}/mirror/jit/{self.jit_key()}"',
            *(f'export {name}="$_mirror_jit{"/" * bool(below)}{below}"' for name, below in _CACHES.items()),
            "unset _mirror_home _mirror_jit",
        ]
        return "\n".join(lines) + "\n"


def _prepend(name: str, first: str) -> list[str]:
    """Put ``first`` (quoted) before what a search path holds, unless it is there already.

    An empty element would mean the current directory, so none is made. Only the very front counts as being there:
    behind another generation's directories it would lose to them.
    """
    return [
        f'case "${{{name}:-}}:" in',
        f"  {first}:*) ;;",
        f'  *) {name}={first}"${{{name}:+:${name}}}" ;;',
        "esac",
        f"export {name}",
    ]


def load_environment(generation: Generation) -> Environment:
    """The environment of an installed generation, without its bundle.

    The manifest that is kept beside the receipt has the digest that ``COMPLETE`` holds, so it is the one whose
    signatures were checked when the generation was made.

    Args:
        generation: a complete one.

    Raises:
        GenerationDamaged: when the manifest is missing (generations made by the first versions have none) or altered.
        Unreadable: when the system refuses to read it.
    """
    return Environment(generation.path, Manifest.parse(_manifest_bytes(generation)))


def has_manifest(generation: Generation) -> bool:
    """Whether ``load_environment`` would find its manifest there and unaltered."""
    try:
        _manifest_bytes(generation)
    except GenerationDamaged:
        return False
    return True


def _manifest_bytes(generation: Generation) -> bytes:
    try:
        with generation.manifest.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        promised = generation.complete.read_text("ascii", "replace").strip()
    except FileNotFoundError as exc:
        raise GenerationDamaged(str(generation.path), f"it has no {Path(exc.filename).name}") from exc
    except OSError as exc:
        raise Unreadable(str(generation.manifest), exc.strerror or str(exc)) from exc
    actual = hashlib.sha256(data).hexdigest()
    if actual != promised:
        problem = f"sha256 of its manifest.json is {actual}, its COMPLETE says {promised[:64]}"
        raise GenerationDamaged(str(generation.path), problem)
    return data
