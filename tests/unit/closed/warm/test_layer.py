"""A layer of compiled kernels in a generation: added whole, held to its digests, gone with its generation."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.closed.environment.caches import SharedCaches
from mirror.closed.environment.variables import WIDTH
from mirror.closed.garbage import collect
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.prefix.tree import disk_usage
from mirror.closed.warm.carried import NotALayer, open_layer
from mirror.closed.warm.document import CACHES as TAR
from mirror.closed.warm.document import DOCUMENT, WIDE_PLACE, Layer, Member
from mirror.closed.warm.key import LayerDoesNotFit
from mirror.closed.warm.layer import LayerDamaged, check_layer, layer_of, read_layer, remove_layer
from mirror.closed.warm.packing import NothingToPack, pack_layer
from mirror.core.archives.tarstream import BadArchive
from mirror.core.bundle.reader import DigestMismatch
from mirror.core.errors import InvalidDocument, MirrorError, Unwritable
from mirror.core.names import Sha256Hex
from mirror.core.trust.quorum import ThresholdNotMet, UnknownSigner
from mirror.core.trust.truststore import TrustStore
from tests.support.bundles import BundleSimulator
from tests.support.generations import put_generation
from tests.support.keys import make_root, role, signer, trust_store
from tests.support.layers import GROUP, KERNEL, MODULE, NOW, Host, add, make_host, pack, tar_of
from tests.support.otheruser import OTHER, needs_root, shared_directory

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path / "p")


@pytest.fixture
def generation(prefix: Prefix) -> Generation:
    return put_generation(prefix, 5)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path / "a", H100)


@pytest.fixture
def store(tmp_path: Path) -> TrustStore:
    return trust_store(tmp_path / "trust")


@pytest.fixture
def layer(generation: Generation, host: Host, store: TrustStore, tmp_path: Path) -> Path:
    host.compile(generation)
    return pack(generation, host, store, tmp_path / "l.tar").path


def test_it_holds_what_can_be_carried_and_names_no_place_of_its_maker(
    layer: Path, store: TrustStore, host: Host, generation: Generation
) -> None:
    with open_layer(layer, store) as carried:
        found = {member.path: b"".join(pieces) for member, pieces in carried.files()}
        key = carried.layer.key
    assert sorted(found) == [
        "aot/page/page.so", "inductor/fxgraph/ab/abc/def", "nv/a/b/c0ffee", "nv/index", GROUP, KERNEL,
        "vllm/modelinfos/llama.json", "vllm/torch_compile_cache/abc/rank_0_0/model",
    ]  # fmt: skip
    assert found[GROUP] == b'{"child_paths": {"k.cubin": "@MIRROR-CACHE-DIRECTORY@/triton/ABC/k.cubin"}}'
    place = str(host.caches(generation)).encode()
    assert found["inductor/fxgraph/ab/abc/def"] == b"\0pickled, made in " + WIDE_PLACE
    assert not [path for path, data in found.items() if place in data]
    assert (key.gpus, key.driver, key.generation) == ((H100,), "580.65.06", str(generation.path))


def test_a_file_that_got_the_name_while_the_key_was_asked_for_is_not_replaced(
    generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    host.compile(generation)
    output = tmp_path / "l.tar"

    def sign(data: bytes, namespace: str) -> bytes:
        output.write_text("theirs")
        return signer("builder").sign(data, namespace)

    with pytest.raises(Unwritable, match="it is there and is no layer of compiled kernels"):
        pack_layer(generation, host.base, store, sign, output, NOW, proc=host.proc)
    assert output.read_text() == "theirs"


def test_packing_twice_gives_the_same_bytes(
    layer: Path, generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    assert pack(generation, host, store, tmp_path / "again.tar").path.read_bytes() == layer.read_bytes()


def test_nothing_compiled_is_nothing_to_pack(
    generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    place = host.compile(generation, {"triton/ABC/lock": b"", "vllm/modelinfos/a.json": b"{}"})
    with pytest.raises(NothingToPack, match=f"^{place} holds nothing that a program compiled$"):
        pack(generation, host, store, tmp_path / "l.tar")
    assert list(tmp_path.glob("*.tar")) == list(tmp_path.glob(".mirror-warm-*")) == []


@pytest.mark.group(67)
@pytest.mark.parametrize("name", ["triton", "triton/ABC", KERNEL])
def test_a_kernel_that_others_could_have_written_is_not_signed(
    generation: Generation, store: TrustStore, tmp_path: Path, name: str
) -> None:
    with shared_directory() as shared:
        host = make_host(shared / "a", H100)
        host.home.chmod(0o755)
        place = host.compile(generation)
        (place / name).chmod(0o777)
        with pytest.raises(SharedCaches, match=f"{place}/{name} may be written by every user$"):
            pack(generation, host, store, tmp_path / "l.tar")
        assert list(tmp_path.glob("*.tar")) == []
        place.chmod(0o700)  # nobody else gets there
        assert pack(generation, host, store, tmp_path / "l.tar").signers == ("builder",)


@pytest.mark.group(67)
@needs_root
def test_a_kernel_of_somebody_else_is_not_signed(
    generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    place = host.compile(generation)
    os.chown(place / KERNEL, OTHER, OTHER)
    with pytest.raises(SharedCaches, match=f"{place}/{KERNEL} belongs to user {OTHER}$"):
        pack(generation, host, store, tmp_path / "l.tar")


def test_an_altered_module_of_the_layer_below_is_not_signed(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    made = add(layer, prefix, generation, host, store)
    (host.caches(generation) / MODULE).unlink()
    (module,) = made.directory.glob("files/aot/*/*.so")
    module.chmod(0o644)
    module.write_bytes(b"another")
    with pytest.raises(LayerDamaged, match=r"page\.so was changed$"):
        pack(generation, host, store, tmp_path / "again.tar")


@pytest.mark.parametrize("by", ["stranger", "root", "alice"])
def test_only_a_builder_of_the_root_packs(generation: Generation, host: Host, tmp_path: Path, by: str) -> None:
    store = trust_store(tmp_path / "t", make_root(approver=role("alice", threshold=0)))
    host.compile(generation)
    with pytest.raises((UnknownSigner, ThresholdNotMet)):
        pack(generation, host, store, tmp_path / "l.tar", by)
    assert not (tmp_path / "l.tar").exists()


def test_one_that_an_approver_has_to_sign_is_not_added_before(
    prefix: Prefix, generation: Generation, host: Host, tmp_path: Path
) -> None:
    store = trust_store(tmp_path / "t", make_root(approver=role("alice")))
    host.compile(generation)
    made = pack(generation, host, store, tmp_path / "l.tar")
    with pytest.raises(ThresholdNotMet, match="needs 1 approver, has none, missing alice"):
        add(made.path, prefix, generation, host, store)
    assert layer_of(generation) is None


def test_it_is_read_only_and_the_same_again_changes_nothing(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    made = add(layer, prefix, generation, host, store)
    assert layer_of(generation) == made.directory
    assert {path.lstat().st_mode & 0o777 for path in made.directory.rglob("*") if path.is_file()} == {0o444}
    before = {path: path.lstat().st_ctime_ns for path in generation.path.rglob("*")}
    assert add(layer, prefix, generation, host, store) == replace(made, was_there=True)
    assert {path: path.lstat().st_ctime_ns for path in generation.path.rglob("*")} == before


def test_the_same_again_removes_what_a_killed_run_left_of_the_one_before(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    made = add(layer, prefix, generation, host, store).directory
    shutil.copytree(made, generation.path / f"warm.{'0' * 16}")
    (generation.path / ".warm.new").mkdir()
    assert add(layer, prefix, generation, host, store).was_there
    assert [path.name for path in sorted(generation.path.glob("*warm*"))] == ["warm", made.name]


def test_another_takes_its_place_and_leaves_nothing_of_it(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    first = add(layer, prefix, generation, host, store).directory
    host.compile(generation, {"deep_gemm/cache/k/kernel.cubin": b"more"})
    second = add(pack(generation, host, store, tmp_path / "m.tar").path, prefix, generation, host, store).directory
    assert layer_of(generation) == second != first
    assert [path.name for path in sorted(generation.path.glob("*warm*"))] == ["warm", second.name]


GPU = "GPU: the layer was compiled on NVIDIA H100 80GB HBM3, this host has NVIDIA H200"


def test_another_model_of_gpu_is_refused_and_named(
    layer: Path, prefix: Prefix, generation: Generation, store: TrustStore, tmp_path: Path
) -> None:
    with pytest.raises(LayerDoesNotFit) as exc_info:
        add(layer, prefix, generation, make_host(tmp_path / "b", "NVIDIA H200"), store)
    assert (str(exc_info.value), exc_info.value.context()) == (f"{layer} does not fit", f"  {GPU}")
    assert not list(generation.path.glob("*warm*"))


def test_a_host_without_a_gpu_takes_it_with_a_note(
    layer: Path, prefix: Prefix, generation: Generation, store: TrustStore, tmp_path: Path
) -> None:
    made = add(layer, prefix, generation, make_host(tmp_path / "login"), store)
    assert made.notes == (f"no GPU can be seen here; the layer was compiled on {H100}",)


def test_another_bundle_at_another_path_is_refused_with_every_reason(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    other = put_generation(prefix, 6)
    with pytest.raises(LayerDoesNotFit) as exc_info:
        add(layer, prefix, other, host, store)
    bundle, path = exc_info.value.differences
    assert bundle.startswith("bundle: the layer is for ") and bundle.endswith(" is installed here")
    assert path == f"path: the layer was compiled in {generation.path}, this generation is {other.path}"


def test_a_stack_is_no_layer(prefix: Prefix, generation: Generation, host: Host, tmp_path: Path) -> None:
    simulator = BundleSimulator("h100")
    bundle = simulator.write(tmp_path / "b.tar")
    with pytest.raises(NotALayer, match="is a bundle of h100, not a layer of compiled kernels"):
        add(bundle, prefix, generation, host, simulator.store(tmp_path / "t"))


def test_every_flipped_bit_of_a_part_is_refused(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    good = layer.read_bytes()
    bad = tmp_path / "bad.tar"
    for at in range(0, len(good), len(good) // 60):
        data = bytearray(good)
        data[at] ^= 1
        bad.write_bytes(data)
        with pytest.raises(MirrorError):
            add(bad, prefix, generation, host, store)
    assert not list(generation.path.glob("*warm*"))


def _signed(layer: Layer, members: dict[str, bytes], path: Path) -> Path:
    """A layer that a builder signed, whatever is in it."""
    simulator = BundleSimulator("h100")
    simulator.add(TAR, tar_of(members))
    simulator.add(DOCUMENT, layer.encode())
    return simulator.write(path)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"caches/triton/a": b"one"}, "is missing"),
        ({"caches/triton/a": b"one", "caches/triton/b": b"two", "caches/triton/c": b""}, "'triton/c' is not named in"),
        ({"caches/triton/b": b"two", "caches/triton/a": b"one"}, "should be where 'triton/b' is"),
        ({"caches/triton/a": b"other", "caches/triton/b": b"two"}, "of 3 bytes should be where"),
        ({"caches/../../a": b"one", "caches/triton/b": b"two"}, "names a place outside"),
        ({"elsewhere/triton/a": b"one", "elsewhere/triton/b": b"two"}, "'caches' is missing"),
    ],
)
def test_a_tar_that_is_not_what_the_document_says_is_refused_though_signed(
    prefix: Prefix, generation: Generation, host: Host, store: TrustStore, layer: Path, tmp_path: Path,
    members: dict[str, bytes], problem: str,
) -> None:  # fmt: skip
    with open_layer(layer, store) as carried:
        key = carried.layer.key
    files = tuple(_member(path, data) for path, data in (("triton/a", b"one"), ("triton/b", b"two")))
    bad = _signed(Layer(key, NOW, files), members, tmp_path / "bad.tar")
    with pytest.raises(BadArchive, match=problem):
        add(bad, prefix, generation, host, store)
    assert not list(generation.path.glob("*warm*"))


def test_a_file_of_another_digest_is_refused_though_signed(
    prefix: Prefix, generation: Generation, host: Host, store: TrustStore, layer: Path, tmp_path: Path
) -> None:
    with open_layer(layer, store) as carried:
        key = carried.layer.key
    bad = _signed(Layer(key, NOW, (_member("triton/a", b"one"),)), {"caches/triton/a": b"two"}, tmp_path / "bad.tar")
    with pytest.raises(DigestMismatch, match=r"^triton/a: "):
        add(bad, prefix, generation, host, store)
    assert not list(generation.path.glob("*warm*"))


def _member(path: str, data: bytes) -> Member:
    return Member(path, len(data), Sha256Hex(hashlib.sha256(data).hexdigest()))


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["b", "a"], ["a", "a/b"], ["/a"], ["a/../b"], ["a//b"], ["a\nb"], ["x" * 300]]
)
def test_a_document_with_strange_paths_is_refused(layer: Path, store: TrustStore, paths: list[str]) -> None:
    with open_layer(layer, store) as carried:
        key = carried.layer.key
    with pytest.raises(InvalidDocument, match=r"^Layer invalid at 'files"):
        Layer.parse(Layer(key, NOW, tuple(_member(path, b"") for path in paths)).encode())


def test_a_document_is_what_it_was(layer: Path, store: TrustStore) -> None:
    with open_layer(layer, store) as carried:
        assert Layer.parse(carried.layer.encode()) == carried.layer


def test_damage_is_found_by_digest_and_adding_again_mends_it(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    made = add(layer, prefix, generation, host, store)
    assert check_layer(generation) == ()
    kernel = made.directory / "files" / KERNEL
    kernel.chmod(0o644)
    kernel.write_bytes(b"\x7fELF another")
    (made.directory / "files" / GROUP).unlink()
    (made.directory / "files" / "triton" / "new.so").write_bytes(b"")
    assert check_layer(generation) == (
        f"{GROUP} is missing", "triton/new.so was not added with it", f"{KERNEL} was changed"
    )  # fmt: skip
    with pytest.raises(LayerDamaged, match=f"{GROUP}: No such file or directory"):
        host.home = host.home.parent / "another"
        host.fill(generation)
    assert not add(layer, prefix, generation, host, store).was_there
    assert check_layer(generation) == ()
    (made.directory / "layer.json").chmod(0o644)
    (made.directory / "layer.json").write_bytes(b"{}")
    assert check_layer(generation) == ("layer.json is not the one that the directory is named after",)
    with pytest.raises(LayerDamaged):
        read_layer(made.directory)
    assert not add(layer, prefix, generation, host, store).was_there


def test_it_goes_with_its_generation_and_is_counted_with_it(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    before = disk_usage(generation.path)
    made = add(layer, prefix, generation, host, store)
    assert disk_usage(generation.path) > before
    put_generation(prefix, 6)
    report = collect([prefix], keep=0)
    assert [item.path for item in report.removed] == [generation.path]
    assert not made.directory.exists()


def test_removing_takes_it_away_and_there_may_be_none(
    layer: Path, prefix: Prefix, generation: Generation, host: Host, store: TrustStore
) -> None:
    assert remove_layer(generation, prefix) is None
    made = add(layer, prefix, generation, host, store)
    assert remove_layer(generation, prefix) == made.directory
    assert not list(generation.path.glob("*warm*"))


@pytest.mark.parametrize("target", ["/etc", "venv", "warm.0123456789abcdef/../..", "warm.XYZ"])
def test_a_link_that_is_not_ours_leads_to_no_layer(generation: Generation, host: Host, target: str) -> None:
    (generation.path / "warm").symlink_to(target)
    assert layer_of(generation) is None
    assert host.fill(generation) is None


def test_a_pickle_that_names_a_directory_of_another_length_stays_behind(
    generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    host.variables["XDG_CACHE_HOME"] = str(host.home / ("a" * 150))
    host.compile(generation)
    made = pack(generation, host, store, tmp_path / "l.tar")
    assert made.left_out == ("inductor/fxgraph/ab/abc/def",)
    with open_layer(made.path, store) as carried:
        assert "inductor/fxgraph/ab/abc/def" not in {member.path for member, _ in carried.files()}


def test_a_pickle_that_names_it_through_a_link_stays_behind(
    generation: Generation, host: Host, store: TrustStore, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(host.home)
    host.variables["HOME"] = str(tmp_path / "link")
    place = host.compile(generation)
    (place / "inductor/fxgraph/ab/abc/ghi").write_bytes(b"\0made in " + os.fsencode(place.resolve()))
    assert len(os.fsencode(place)) == WIDTH
    assert pack(generation, host, store, tmp_path / "l.tar").left_out == ("inductor/fxgraph/ab/abc/ghi",)
