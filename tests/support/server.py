"""A server that compiles as the real ones do, each kind of cache in its own program's layout, in place of vLLM.

It looks for each kernel where its program would (Triton's list of absolute paths, vLLM's file of handles and the artifacts that
torch writes for it with checksums, FlashInfer's finished modules before its build directory, an inductor graph by its hash, the
pickle of which says where to write), compiles what it does not find, and says how many that were. ``SOURCE`` is its module;
``make_stack`` puts it and a package named flashinfer in a bundle.

Example::

    simulator = desk.simulator()
    make_stack(simulator, desk.path)
"""

from __future__ import annotations

from pathlib import Path

from tests.support.bundles import BundleSimulator
from tests.support.wheels import make_wheel

SOURCE = '''
"""A small server."""
import hashlib, json, os, pickle, sys, zlib
from pathlib import Path
import flashinfer

compiled = {}

def put(place, data):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)

def note(program):
    compiled[program] = compiled.get(program, 0) + 1

def triton(name):
    place = Path(os.environ["TRITON_CACHE_DIR"]) / name
    group = place / f"__grp__{name}.json"
    children = json.loads(group.read_text())["child_paths"] if group.exists() else {}
    if not children or not all(Path(path).exists() for path in children.values()):
        note("Triton")
        for suffix in ("cubin", "json"):
            put(place / f"{name}.{suffix}", b"compiled for the GPU")
        paths = {f"{name}.{suffix}": str(place / f"{name}.{suffix}") for suffix in ("cubin", "json")}
        put(group, json.dumps({"child_paths": paths}).encode())
        put(place / "lock", b"")

def vllm():
    root = Path(os.environ["VLLM_CACHE_ROOT"])
    factors = sorted((k, v) for k, v in os.environ.items() if k.startswith("VLLM_") and k != "VLLM_CACHE_ROOT")
    place = root / "torch_compile_cache" / hashlib.sha256(repr((factors, sys.prefix)).encode()).hexdigest()[:10] / "rank_0_0"
    handles = place / "vllm_compile_cache.py"
    if not handles.exists() or not Path(eval(handles.read_text())[0]).exists():
        note("vLLM")
        graphs = checked(number(1), sized(b"inductor"), sized(b"key"), sized(b"graph\\0, made in " + str(root).encode()))
        put(place / "artifact_0", checked(sized(b"CacheCompiledArtifact"), sized(b"torch"), sized(b"key"), sized(graphs)))
        put(place / "graph.bin", b"pickled: " + (place / "artifact_0").read_bytes() + b".")
        put(handles, repr({0: str(place / "artifact_0")}).encode())
    graphs = whole((place / "artifact_0").read_bytes())[-(4 + 8 + 16 + 11 + 8 + 7 + 9 + len(str(root))) :]
    assert whole(graphs).endswith(str(root).encode()), graphs
    assert whole((place / "graph.bin").read_bytes()[9:-1])

def number(n):
    return n.to_bytes(8, "big")

def sized(data):
    return number(len(data)) + data

def checked(*fields):
    return zlib.crc32(b"".join(fields)).to_bytes(4, "big") + b"".join(fields)

def whole(data):
    if data[:4] != zlib.crc32(data[4:]).to_bytes(4, "big"):
        sys.exit("Bytes object is corrupted, checksum does not match")
    return data

def inductor():
    place = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]) / "fxgraph" / "ab" / "abcdef" / "f0"
    if not place.exists():
        note("torch.compile")
        put(place, pickle.dumps({"best_config": str(place.parents[3] / "2s" / "f0.best_config")}))
    # What torch has measured it writes beside the kernel, by the path that the pickle holds, and ends where it may not.
    best = Path(pickle.loads(place.read_bytes())["best_config"])
    if not best.exists():
        put(best, b"{}")

def flash(name):
    made = Path(flashinfer.__file__).resolve().parent / "data" / "aot" / name / f"{name}.so"
    if made.exists():
        return
    base = Path(os.environ["FLASHINFER_WORKSPACE_BASE"]) / ".cache" / "flashinfer" / "0.6.13" / "90a"
    if not (base / "cached_ops" / name / f"{name}.so").exists():
        note("FlashInfer")
        for suffix in (".so", ".cuda.o"):
            put(base / "cached_ops" / name / f"{name}{suffix}", b"compiled")
        put(base / "cached_ops" / name / ".ninja_log", b"# ninja log v5")
        put(base / "generated" / name / "kernel.cu", b"source")

def main():
    for name in ("attention", "norm"):
        triton(name)
    vllm()
    inductor()
    for name in ("sampling", "page", *sys.argv[1:]):
        flash(name)
    print(json.dumps(compiled, sort_keys=True))
'''


def make_stack(simulator: BundleSimulator, directory: Path) -> None:
    """Take the server and what it imports into a bundle."""
    files = {"flashinfer/__init__.py": b"", "flashinfer/data/include/a.h": b"// a header\n"}
    simulator.add_wheel(make_wheel(directory / "wheels", "flashinfer-python", "0.6.13", files=files))
    server = {"kernelserver.py": SOURCE.encode()}
    scripts = {"kernelserver": "kernelserver:main"}
    simulator.add_wheel(make_wheel(directory / "wheels", "kernelserver", "1.0", files=server, scripts=scripts))
