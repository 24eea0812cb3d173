"""The commands that change something, each with a state of before and a way to tell it from the state of after.

Used by ``tests/unit/test_faults.py`` and by ``scripts/attack faults``; ``tests/support/faults.py`` plays them.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.history import record
from mirror.closed.site.directory import publish_directory
from mirror.closed.site.shelf import read_shelf, verified_bundle
from mirror.closed.soundness import check_generation
from mirror.closed.warm.document import PLACE, WIDE_PLACE
from mirror.closed.warm.layer import check_layer, layer_of, read_layer
from mirror.connected.delta.making import make_delta
from mirror.connected.signing.signers import ensure_builder
from mirror.core.bundle.reader import open_bundle
from mirror.core.errors import MirrorError
from mirror.core.trust.sidecars import Sidecars, find_sidecars
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import SEQUENCE, BundleSimulator, make_pip_wheel, make_uv_wheel
from tests.support.desk import BASE, Desk
from tests.support.faults import Scene
from tests.support.generations import put_generation
from tests.support.index import LoopbackIndex
from tests.support.keys import make_root, role, sign_root, write_private_key
from tests.support.layers import add, make_host, pack
from tests.support.site import SiteBundle
from tests.support.wheels import make_wheel, sha256_of

# -- a prefix ---------------------------------------------------------------------------------------------------------------


def _pointed(world: Path) -> Generation | None:
    return Prefix(world / "p").pointed_to()


def _prefix_sound(world: Path) -> list[str]:
    """What holds of a prefix at any time: current leads to a whole generation, and what has its mark is whole."""
    prefix, wrong = Prefix(world / "p"), []
    if not (world / "p/gens").is_dir():
        return []
    pointed = prefix.pointed_to()
    if pointed and not pointed.is_complete:
        wrong.append(f"current leads to {pointed.name}, which is not complete")
    for generation in prefix.installed():
        if not (generation.path / "manifest.json").is_file() and not generation.manifest.is_file():
            wrong.append(f"{generation.name} has its mark and no manifest")
        elif generation.files.is_file() and (damages := check_generation(generation).damages):
            if not (world / "damaged").is_file() or generation.name != (world / "damaged").read_text():
                wrong.append(f"{generation.name} has its mark and is damaged: {damages[0].path} {damages[0].kind}")
        elif not generation.files.is_file() and len(list((generation.path / "venv/bin").glob("program*"))) != _PROGRAMS:
            wrong.append(f"{generation.name} has its mark and lacks programs")
    return wrong + _history_sound(world)


def _history_sound(world: Path) -> list[str]:
    """The history only grows, and no line of it but the last may be cut."""
    path, before = world / "p/history.jsonl", world / "history-before.jsonl"
    text = path.read_bytes() if path.is_file() else b""
    if before.is_file() and not text.startswith(before.read_bytes()):
        return ["the history has lost what was in it"]
    try:
        for line in text.splitlines()[:-1]:
            json.loads(line)
    except ValueError:
        return [f"a line of the history is damaged: {line[-40:]!r}"]
    return []


def _keep_history(world: Path) -> None:
    if (world / "p/history.jsonl").is_file():
        shutil.copy(world / "p/history.jsonl", world / "history-before.jsonl")


@lru_cache(None)
def _tools() -> tuple[Path, Path]:
    import tempfile

    directory = Path(tempfile.mkdtemp(prefix="mirror-tools-"))
    return make_uv_wheel(directory), make_pip_wheel(directory)


def _desk(world: Path) -> Desk:
    store = BundleSimulator().store(world / "home/mirror")
    for tool in _tools():
        shutil.copy(tool, world / tool.name)
    return Desk(world, store, *(world / tool.name for tool in _tools()))


def _make_first(world: Path) -> None:
    _desk(world).bundle("1.0").rename(world / "new.tar")


def _make_installed(world: Path) -> None:
    desk = _desk(world)
    desk.install(desk.bundle("1.0"))
    desk.bundle("2.0", sequence=SEQUENCE + 1).rename(world / "new.tar")
    _keep_history(world)


def _make_damaged(world: Path) -> None:
    desk = _desk(world)
    bundle = desk.bundle("1.0")
    desk.install(bundle)
    bundle.rename(world / "new.tar")
    generation = _pointed(world)
    assert generation is not None
    (module,) = generation.venv.rglob("left_pad.py")
    module.write_bytes(b"")
    (world / "damaged").write_text(generation.name)
    _keep_history(world)


def _installed_state(world: Path) -> str:
    """By what current leads to: the newest bundle, an older one, or nothing."""
    try:
        pointed = _pointed(world)
    except (MirrorError, OSError) as exc:
        return f"unreadable: {exc}"
    if pointed is None:
        lost = (world / "1.0-1790000000.tar").is_file()  # then a generation was current before
        return "without a current generation" if lost else "old"
    if (world / "damaged").is_file():
        return "old" if pointed.name == (world / "damaged").read_text() else "new"
    with open_bundle(world / "new.tar") as bundle:
        return "new" if pointed.name.partition("-")[2].startswith(bundle.digest[:12]) else "old"


def _install(world: Path, *options: str) -> list[str]:
    return ["install", f"{world}/new.tar", "--prefix", f"{world}/p", "--python", str(BASE), *options]


_PROGRAMS = 3


def _make_five(world: Path) -> None:
    """Five generations with a history, of which gc keeps the last two."""
    prefix = Prefix(world / "p")
    for sequence in range(1, 6):
        record(prefix, "installed", put_generation(prefix, sequence, files=_PROGRAMS), sequence)
    _keep_history(world)


def _rolled_back_state(world: Path) -> str:
    pointed = _pointed(world)
    return {5: "old", 4: "new"}.get(pointed.identity.sequence if pointed else 0, "without the right generation")


def _swept_state(world: Path) -> str:
    prefix = Prefix(world / "p")
    pointed = prefix.pointed_to()
    there = {generation.identity.sequence for generation in prefix.installed()}
    if pointed is None or pointed.identity.sequence != 5 or not {4, 5} <= there:
        return f"{sorted(there)}, of which is current: {pointed}"
    return "new" if there == {4, 5} and not prefix.unfinished() else "old"


def _make_layered(world: Path) -> None:
    """A generation with one layer of compiled kernels, and another layer to add."""
    store, prefix = TrustStore(world / "home/mirror"), Prefix(world / "p")
    _desk(world)
    generation = put_generation(prefix, 5, files=_PROGRAMS)
    host = make_host(world / "maker")
    host.compile(generation)
    add(pack(generation, host, store, world / "old.tar").path, prefix, generation, host, store)
    host.compile(generation, {"deep_gemm/cache/k/kernel.cubin": b"more"})
    pack(generation, host, store, world / "new.tar")
    shutil.rmtree(world / "maker")


def _layer_state(world: Path) -> str:
    """By the layer that the link leads to, which is whole."""
    generation = _pointed(world)
    directory = layer_of(generation) if generation else None
    if generation is None or directory is None:
        return "without a layer"
    if problems := check_layer(generation):
        return f"damaged: {problems}"
    return "new" if (directory / "files/deep_gemm").is_dir() else "old"


def _filled_state(world: Path) -> str:
    """By the note that is written last."""
    return "new" if list(world.glob("home/cache/mirror/jit/*/warm.*.json")) else "old"


def _caches_sound(world: Path) -> list[str]:
    """What has its name in a user's caches is whole; with the note all of it is there."""
    generation = _pointed(world)
    directory = layer_of(generation) if generation else None
    if directory is None:
        return ["the layer is gone"]
    wrong = []
    for place in world.glob("home/cache/mirror/jit/*"):
        for member in read_layer(directory).files:
            path = place / member.path
            carried = (directory / "files" / member.path).read_bytes()
            wanted = carried.replace(PLACE, str(place).encode()).replace(WIDE_PLACE, str(place).encode())
            is_due = bool(list(place.glob("warm.*.json"))) and not member.path.startswith("aot/")
            if path.is_file() and path.read_bytes() != wanted:
                wrong.append(f"{member.path} is not whole")
            elif is_due and not path.is_file():
                wrong.append(f"{member.path} is missing")
    return wrong


def _fill(world: Path) -> list[str]:
    return ["cache", "fill", "--prefix", f"{world}/p"]


def _add_layer(world: Path) -> list[str]:
    return ["cache", "add", f"{world}/new.tar", "--prefix", f"{world}/p"]


# -- a builder's machine ----------------------------------------------------------------------------------------------------

_running: list[LoopbackIndex] = []


@contextmanager
def _index() -> Iterator[None]:
    with LoopbackIndex() as server:
        _running.append(server)
        yield
        _running.pop()


def _make_stack(world: Path) -> None:
    """A stack of three wheels on an index that runs beside."""
    server = _running[-1]
    made = world / "upstream"
    for path in (
        make_wheel(made, "alpha", "1.0", requires=["beta"]),
        make_wheel(made, "beta", "1.1"),
        make_wheel(made, "gamma", "1.0"),
    ):
        server.add(path)
    (world / "lockfiles").mkdir()
    (world / "lockfiles/demo.toml").write_text(
        '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["alpha", "gamma"]\n'
        f'[indexes]\ndefault = "{server.url}"\n'
    )


def _lock_state(world: Path) -> str:
    path = world / "lockfiles/demo.txt"
    if not path.exists():
        return "old"
    text = path.read_text()
    return (
        "new" if all(f"\n{name}==" in text for name in ("alpha", "beta", "gamma")) else f"half a lock: {text[-60:]!r}"
    )


def _make_locked(world: Path) -> None:
    """What ``tests/support/bundling.py`` bundles: two wheels and the tools, on an index that runs beside."""
    server, made = _running[-1], world / "upstream"
    pins = {"small.txt": ("alpha", "beta"), "tools.txt": ("uv", "pip")}
    (world / "lockfiles").mkdir()
    for name, projects in pins.items():
        lines = "# mirror: locked=2026-11-01T00:00:00Z\n"
        for project in projects:
            wheel = make_wheel(made, project, "1.0")
            server.add(wheel)
            lines += f"{project}==1.0 --hash=sha256:{sha256_of(wheel)}\n"
        (world / "lockfiles" / name).write_text(lines)
    (world / "lockfiles/small.toml").write_text(
        '[target]\npython = "3.11"\narch = "x86_64"\nglibc = "2.28"\n[python]\nrequirements = ["alpha", "beta"]\n'
        f'[indexes]\ndefault = "{server.url}"\n'
    )
    ensure_builder(TrustStore(world / "home/mirror"), ())


def _bundled_state(world: Path) -> str:
    path = world / "b.tar"
    if not path.exists():
        return "old"
    try:
        with open_bundle(path) as bundle:
            bundle.trust(TrustStore(world / "home/mirror").load_root())
            bundle.verify()
    except MirrorError as exc:
        return f"a bundle that is none: {exc}"
    return "new"


# -- keys, roots, approvals ---------------------------------------------------------------------------------------------------


def _key_state(world: Path) -> str:
    """A private key without its public half is old: who was killed between the two runs again."""
    private, public = world / "k", world / "k.pub"
    if private.exists() and not private.read_text().endswith("-----END OPENSSH PRIVATE KEY-----\n"):
        return "a private key that is not whole"
    if private.exists() and private.stat().st_mode & 0o777 != 0o600:
        return "a private key that others may read"
    if public.exists() and not (private.exists() and public.read_text().endswith("\n")):
        return "a public key that is not whole, or without the private one"
    return "new" if public.exists() else "old"


def _make_offer(world: Path) -> None:
    simulator = BundleSimulator()
    simulator.chain = (sign_root(make_root()), sign_root(_CONFIRMED))
    simulator.add("meta/words.txt", b"words")
    simulator.write(world / "b.tar")


_CONFIRMED = make_root(approver=role("alice"), version=2)


def _trusted_state(world: Path) -> str:
    """The first root alone was never confirmed."""
    store = TrustStore(world / "home/mirror")
    try:
        if not store.has_root():
            return "old"
        return "new" if store.load_root() == _CONFIRMED else f"version {store.load_root().version} alone is trusted"
    except MirrorError as exc:
        return str(exc)


_APPROVED = make_root(approver=role("alice"))


def _make_review(world: Path) -> None:
    simulator = BundleSimulator()
    simulator.root = _APPROVED
    simulator.add("meta/words.txt", b"words")
    simulator.write(world / "b.tar")
    TrustStore(world / "home/mirror").add_root(*sign_root(_APPROVED), _APPROVED.fingerprint)
    write_private_key(world / "alice", "alice")
    shutil.copy(world / "b.tar", world / "as-carried.tar")


def _bundle_kept(world: Path) -> list[str]:
    same = (world / "b.tar").read_bytes() == (world / "as-carried.tar").read_bytes()
    return [] if same else ["the bundle's bytes have changed"]


def _beside(world: Path) -> Sidecars:
    with open_bundle(world / "b.tar") as bundle:
        return find_sidecars(world / "b.tar", bundle.manifest_bytes)


def _approved_state(world: Path) -> str:
    found = _beside(world)
    return f"unreadable beside it: {found.ignored}" if found.ignored else ("new" if found.approvals else "old")


def _refused_state(world: Path) -> str:
    found = _beside(world)
    return f"unreadable beside it: {found.ignored}" if found.ignored else ("new" if found.statements else "old")


def _page_state(world: Path) -> str:
    text = (world / "page.html").read_text()
    if text == "the page of before\n":
        return "old"
    return "new" if text.endswith("</html>\n") else f"half a page: {text[-40:]!r}"


def _make_page(world: Path) -> None:
    _make_review(world)
    (world / "page.html").write_text("the page of before\n")


# -- a site -----------------------------------------------------------------------------------------------------------------


def _make_site(world: Path) -> None:
    """A directory with what one bundle has, and the next bundle."""
    first = SiteBundle(world / "1", "1.0")
    store = first.simulator.store(world / "home/mirror")
    with verified_bundle(first.write(), store=store) as opened:
        publish_directory(opened, read_shelf(opened), world / "site")
    SiteBundle(world / "2", "2.0", SEQUENCE + 1).write().rename(world / "new.tar")


def _published_state(world: Path) -> str:
    """By the page that is written last of those that change."""
    versions = json.loads((world / "site/simple/left-pad/index.json").read_bytes())["versions"]
    return {("1.0",): "old", ("1.0", "2.0"): "new"}.get(tuple(versions), f"a page that lists {versions}")


def _site_sound(world: Path) -> list[str]:
    """Whatever a page or the repodata names is there, to the byte."""
    wrong, site = [], world / "site"
    for page in site.glob("simple/*/index.html"):
        for path, digest in re.findall(r'href="([^"#]+)#sha256=([0-9a-f]+)"', page.read_text()):
            if not (page.parent / path).exists() or sha256_of(page.parent / path) != digest:
                wrong.append(f"{page.parent.name} names {path}, which is not there as it says")
    for name in re.findall(r'href="(repodata/[^"]+)"', (site / "rpms/repodata/repomd.xml").read_text()):
        wrong += [f"repomd.xml names {name}, which is not there"] * (not (site / "rpms" / name).exists())
    return wrong


def _publish(world: Path) -> list[str]:
    return ["publish", f"{world}/new.tar", "--to", f"{world}/site"]


# -- media ---------------------------------------------------------------------------------------------------------------------

_VOLUME = 6000


def _make_next(world: Path) -> None:
    """A bundle, the next one's delta, and beside them what the delta is to make."""
    for name, sequence in (("old", SEQUENCE), ("new", SEQUENCE + 1)):
        simulator = BundleSimulator(sequence=sequence)
        simulator.add_wheel(make_wheel(world / "wheels", "left-pad", f"{sequence}"))
        simulator.add("meta/words.txt", name.encode() * 3000)
        simulator.write(world / f"{name}.tar")
    make_delta(world / "old.tar", world / "new.tar", make_root())
    (world / "new.tar").rename(world / "as-made.tar")
    shutil.rmtree(world / "wheels")


def _applied_state(world: Path) -> str:
    path = world / "new.tar"
    if not path.exists():
        return "old"
    return "new" if path.read_bytes() == (world / "as-made.tar").read_bytes() else "another bundle"


def _split_state(world: Path) -> str:
    """By the index, which is written last; before it is there, volumes are as good as none."""
    index, whole = world / "b.tar.volumes", (world / "b.tar").read_bytes()
    for number in range(-(-len(whole) // _VOLUME)):
        volume = world / f"b.tar.{number + 1:03}"
        if volume.exists() and volume.read_bytes() != whole[number * _VOLUME :][:_VOLUME]:
            return f"{volume.name} is not whole"
        if index.exists() and not volume.exists():
            return f"an index without {volume.name}"
    return "new" if index.exists() else "old"


def _apply(world: Path) -> list[str]:
    return ["apply", f"{world}/new.tar.from-{SEQUENCE}.delta"]


def _split(world: Path) -> list[str]:
    return ["split", f"{world}/b.tar", "--size", str(_VOLUME)]


Words = Callable[[Path], list[str]]


def _unless_done(words: Words) -> Callable[[Path, str], list[str] | None]:
    """Run again only where it was not done: doing it twice would be something else."""
    return lambda world, state: words(world) if state != "new" else None


def _gc(world: Path) -> list[str]:
    return ["gc", "--prefix", f"{world}/p"]


def _rollback(world: Path) -> list[str]:
    return ["rollback", "--prefix", f"{world}/p"]


def _key(world: Path) -> list[str]:
    return ["key", "new", f"{world}/k"]


def _trust(world: Path) -> list[str]:
    return ["trust", "add", f"{world}/b.tar", "--fingerprint", _CONFIRMED.fingerprint]


def _approve(world: Path) -> list[str]:
    return ["approve", f"{world}/b.tar", "--key", f"{world}/alice"]


def _reject(world: Path) -> list[str]:
    return ["reject", f"{world}/b.tar", "--key", f"{world}/alice", "--note", "not this one"]


def _report(world: Path) -> list[str]:
    return ["report", f"{world}/b.tar", "-o", f"{world}/page.html"]


def _lock(world: Path) -> list[str]:
    return ["lock", f"{world}/lockfiles/demo.toml"]


def _repair(world: Path) -> list[str]:
    return _install(world, "--repair")


def scenes() -> dict[str, Scene]:
    """By name, those first that take the least time."""
    made = [
        Scene("key", lambda _: None, _key, _key_state, again=_unless_done(_key)),
        Scene("trust", _make_offer, _trust, _trusted_state),
        Scene("rollback", _make_five, _rollback, _rolled_back_state, _prefix_sound,
              again=lambda world, _: [*_rollback(world), "--to", "4"]),
        Scene("activate", _make_five, lambda world: ["activate", "--prefix", f"{world}/p", "4"], _rolled_back_state,
              _prefix_sound),
        Scene("gc", _make_five, _gc, _swept_state, _prefix_sound, module="tests.support.alone"),
        Scene("layer", _make_layered, _add_layer, _layer_state, _prefix_sound),
        Scene("fill", _make_layered, _fill, _filled_state, _caches_sound, transient=("home/cache",)),
        Scene("approve", _make_review, _approve, _approved_state, _bundle_kept, again=_unless_done(_approve)),
        Scene("reject", _make_review, _reject, _refused_state, _bundle_kept, again=_unless_done(_reject)),
        Scene("publish", _make_site, _publish, _published_state, _site_sound),
        Scene("report", _make_page, _report, _page_state, _bundle_kept),
        Scene("split", _make_offer, _split, _split_state),
        Scene("apply", _make_next, _apply, _applied_state, transient=("tmp",)),
        Scene("install", _make_installed, _install, _installed_state, _prefix_sound),
        Scene("install-first", _make_first, _install, _installed_state, _prefix_sound),
        Scene("repair", _make_damaged, _repair, _installed_state, _prefix_sound),
        Scene("lock", _make_stack, _lock, _lock_state, beside=_index, transient=("home/cache",)),
        Scene("bundle", _make_locked, lambda world: [str(world)], _bundled_state, beside=_index,
              transient=("home/cache", "home/store/foreseen"), module="tests.support.bundling"),
    ]  # fmt: skip
    return {scene.name: scene for scene in made}
