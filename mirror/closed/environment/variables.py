"""The environment of a generation: which variables it sets, for whom, and why.

``mirror.closed.environment.shells`` writes them for each shell, ``mirror.closed.environment.caches`` holds the JIT caches. The
facts behind each variable are in CUDA.md B3, B4, C4, C5, D and E.

Rules (DESIGN.md section 6): ``CUDA_HOME`` is one fixed string, the generation's real path, because FlashInfer
compares it as a string; the toolkit's lib directory is for building (``LIBRARY_PATH``) and stays off
``LD_LIBRARY_PATH``, where it would shadow the libraries of torch's own wheels; stubs are found by nobody but a
linker that is given ``-L``; every JIT cache lies in one directory named after all that its content depends on, so that a
stale one cannot exist.

Example::

    environment = load_environment(generation)
    os.execvpe(program, words, environment.variables(os.environ, caches))
"""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirror.closed.prefix.generations import Generation
from mirror.core.bundle.manifest import MAX_BYTES, Manifest
from mirror.core.errors import MirrorError, Unreadable, place_of

UNSET = ("PYTHONHOME",)
"""Variables that no program of the generation may see."""

CACHES = {
    "FLASHINFER_WORKSPACE_BASE": "",  # FlashInfer appends .cache/flashinfer itself
    "VLLM_CACHE_ROOT": "vllm",
    "TRITON_CACHE_DIR": "triton",
    "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch_extensions",
    "TVM_FFI_CACHE_DIR": "tvm_ffi",  # its key holds sources and flags, not the compiler
    "TILELANG_CACHE_DIR": "tilelang",
    "DG_JIT_CACHE_DIR": "deep_gemm",
    "SGLANG_CACHE_DIR": "sglang",
    "SGLANG_JIT_CACHE_DIR": "sglang/jit",
    "SGLANG_DG_CACHE_DIR": "deep_gemm",  # SGLang sets DG_JIT_CACHE_DIR to this one, or to a place in HOME
    "SGLANG_CUTE_AOT_CACHE_DIR": "sglang/cute_aot",
    "MLC_LLM_HOME": "mlc_llm",  # compiled models, under a hash of the model's configuration alone
    "CUDA_CACHE_PATH": "nv",
    "HUMMING_CACHE_DIR": "humming/cache",  # or ~/.humming/cache (humming-kernels 0.1.10, humming/utils/jit.py)
    "HUMMING_TMP_DIR": "humming/tmp",  # or ~/.humming/tmp: modules that are imported, and locks (the same)
    "QUACK_CACHE_DIR": "quack",  # or ~/.quack/cache (quack-kernels 0.5.0, quack/autotuner.py)
    "CUTE_DSL_CACHE_DIR": "cute_dsl",  # or /tmp/USER (nvidia-cutlass-dsl-libs-base 4.5.2, base_dsl/cache_helpers.py)
    "OUTLINES_CACHE_DIR": "outlines",  # or ~/.cache/outlines (vllm 0.25.1, v1/structured_output/utils.py)
}
"""Where compiled kernels are kept, below the generation's own cache directory (CUDA.md C5, D)."""

WEIGHTS = "MLC_LLM_READONLY_WEIGHT_CACHE"
"""``MLC_LLM_HOME`` holds models as well: this names where they were before it was moved, unless the user has set it."""

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "FLASHINFER_NO_DOWNLOAD": "1",
    "FLASHINFER_CUBINS_REPOSITORY": "http://127.0.0.1:9/",
}
"""What would reach for the network at run time, and its switch (CUDA.md C4, B4). Read in these files:

- huggingface_hub 2.4.0, constants.py: ``HF_HUB_OFFLINE``, which transformers and datasets ask too; ``DO_NOT_TRACK``.
- vllm 0.25.1, usage/usage_lib.py and envs.py: ``VLLM_NO_USAGE_STATS``, ``DO_NOT_TRACK``.
- flashinfer-python 0.6.13, jit/cubin_loader.py: ``FLASHINFER_NO_DOWNLOAD``.
- vllm 0.25.1, utils/flashinfer.py, ``has_nvidia_artifactory``: where there is no flashinfer-cubin it asks the repository of
  cubins, with a timeout of 5 s, whatever FlashInfer may; a port of this host on which nobody listens says no at once.

Left to the operator, because one value is right on one host and breaks several: ``VLLM_HOST_IP`` and ``SGLANG_HOST_IP``.
Without it vllm 0.25.1 (utils/network_utils.py, ``get_ip``) and sglang 0.5.23 (srt/utils/network.py) connect a UDP socket to
8.8.8.8 and ask which address of this host that would leave by; nothing is sent. 127.0.0.1 would be told to the other hosts of
a server on several (v1/executor/multiproc_executor.py, ``mq_connect_ip``), which then wait for it. ``GLOO_SOCKET_IFNAME`` is
alike."""


_SAME_FOR_ALL = ("VLLM_CONFIG_ROOT", "VLLM_XLA_CACHE_PATH")
"""Places below a user's home that vLLM puts into the key of what it compiles (0.25.1, envs.py, ``compile_factors``), so that no
user would hit what another's server compiled. On a GPU it reads the first for two small files and the second for nothing; both
get one place of the generation, which is not there."""


WIDTH = 160
"""Bytes of the path of a cache directory. torch's and vLLM's compiled graphs hold absolute paths, of which some are written to
again, in pickles that tell each text's length: they serve another user only where the path that is put there is as long."""


class GenerationDamaged(MirrorError):
    """What a generation says about itself, or a file of it, is gone or was altered."""

    ref = "generation-damaged"
    exit_code = 105
    hint = (
        "'mirror status --check' tells what else is damaged; 'mirror install --repair BUNDLE', with the bundle that it came "
        "from, builds it anew beside the damaged one and switches to it."
    )
    message = "{generation}: {problem}"

    generation: str
    problem: str


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
    def script(self) -> Path:
        """The ``env.sh`` to source: below ``current`` where that is this generation, for it stays right after an upgrade."""
        current = self.generation.parents[1] / "current"
        is_current = os.path.realpath(current) == str(self.generation)
        return (current if is_current else self.generation) / "env.sh"

    @property
    def cuda_home(self) -> Path | None:
        """The toolkit, when the bundle carries one."""
        return self.generation / "cuda" if self.manifest.carries_toolchain else None

    def jit_key(self) -> str:
        """Names the cache directory: 16 hex digits over all that compiled kernels depend on.

        FlashInfer's own key holds neither CUDA's version nor torch's nor the path of the toolkit (CUDA.md B3); this
        one does. The generation's path is in it on purpose: build files in a cache name headers and compilers by their
        path, so caches are not shared between generations, and the first start of a new one compiles again. Installing
        the same bundle again, by whatever version of mirror, gives the same path and the same key.
        """
        inputs = [
            f"{artifact.path} {artifact.sha256}"
            for artifact in self.manifest.artifacts
            if artifact.kind and artifact.kind.is_compiled_against
        ]
        inputs += [str(self.generation), *(f"{key}={value}" for key, value in self.manifest.target.to_dict().items())]
        return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]

    @property
    def is_data(self) -> bool:
        """Whether there is nothing to run in it: files and models alone, to be used beside another stack's environment."""
        return self.manifest.is_data

    def fixed(self) -> dict[str, str]:
        """Variables with one value. What the bundle names of its own comes first, so that it replaces none of ours."""
        values = {name: str(self.generation / path) for name, path in self.manifest.environment}
        values.update(_OFFLINE)
        if self.is_data:
            return values
        values.update({"MIRROR_GENERATION": str(self.generation), "VIRTUAL_ENV": str(self.venv)})
        values.update({name: str(self.generation / "config" / "vllm") for name in _SAME_FOR_ALL})
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
        if self.is_data:
            return {}
        own = f"{self.generation}/bin:{self.venv}/bin"  # mirror itself, and no wheel's program of that name
        if not self.cuda_home:
            return {"PATH": own}
        return {
            "PATH": f"{own}:{self.cuda_home}/bin",
            "LIBRARY_PATH": f"{self.cuda_home}/lib64",
            "CPATH": f"{self.cuda_home}/include",
        }

    def variables(self, base: Mapping[str, str], caches: Path) -> dict[str, str]:
        """The environment of a process that has sourced ``env.sh``.

        Args:
            base: the environment before.
            caches: the directory for compiled kernels; ``self.caches(base)``, or one for a test.
        """
        return {**{key: value for key, value in base.items() if key not in UNSET}, **self.changes(base, caches)}

    def changes(self, base: Mapping[str, str], caches: Path) -> dict[str, str]:
        """What ``variables`` sets, and to what. Arguments as there."""
        result = self.fixed()
        for name, first in self.prepended().items():
            before = base.get(name, "")
            # Only the very front counts as being there: behind another generation's directories it would lose to them.
            result[name] = before if f"{before}:".startswith(f"{first}:") else ":".join(filter(None, [first, before]))
        if self.is_data:
            return result
        result.update({name: str(caches / directory) for name, directory in CACHES.items()})
        result.update(_name_of_nobody(base))
        models = base.get("MLC_LLM_HOME") or f"{cache_home(base, self.generation)}/mlc_llm"
        result[WEIGHTS] = base.get(WEIGHTS) or f"{models}/model_weights"
        return result

    def caches(self, base: Mapping[str, str]) -> Path:
        """The generation's own directory for compiled kernels, of the user whose environment ``base`` is."""
        return of_one_width(jit_home(cache_home(base, self.generation)) / self.jit_key())


def _name_of_nobody(base: Mapping[str, str]) -> dict[str, str]:
    """A login name for a user who has none, as in a container that runs under a bare number.

    torch's inductor asks for one as it is imported (``getpass.getuser``), and the import fails where there is none.
    """
    if any(base.get(name) for name in ("LOGNAME", "USER")):
        return {}
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        return {"LOGNAME": f"uid-{os.getuid()}"}
    return {}


def cache_home(base: Mapping[str, str], generation: Path) -> Path:
    """The user's cache directory, by the XDG base directory specification: a relative path is ignored.

    Without a home, caches go beside the venv: a fixed name in /tmp could be filled with kernels by somebody else.
    """
    if base.get("XDG_CACHE_HOME", "").startswith("/"):
        return Path(base["XDG_CACHE_HOME"])
    home = base.get("HOME", "")
    return Path(home if home.startswith("/") else generation) / ".cache"


def of_one_width(place: Path) -> Path:
    """A cache directory's path, made ``WIDTH`` bytes long with zeros after its key; as it is where it is that long already."""
    zeros = WIDTH - 1 - len(os.fsencode(place))
    return place.with_name(f"{place.name}_{'0' * zeros}") if zeros > 0 else place


def jit_home(caches: Path) -> Path:
    """Below a user's cache directory, the one that holds a directory for each generation."""
    return caches / "mirror" / "jit"


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
        promised = generation.complete.read_text("utf-8", "replace").strip()
    except FileNotFoundError as exc:
        raise GenerationDamaged(str(generation.path), f"it has no {Path(exc.filename).name}") from exc
    except OSError as exc:
        raise Unreadable(place_of(exc, generation.manifest), exc.strerror or str(exc)) from exc
    actual = hashlib.sha256(data).hexdigest()
    if actual != promised:
        problem = f"sha256 of its manifest.json is {actual}, its COMPLETE says {promised[:64]}"
        raise GenerationDamaged(str(generation.path), problem)
    return data
