"""A user's own caches above a layer."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mirror.cli.console import Console
from mirror.closed.environment.caches import SharedCaches
from mirror.closed.environment.variables import WIDTH, load_environment
from mirror.closed.prefix.generations import Generation, Prefix
from mirror.closed.warm.key import LayerDoesNotFit
from mirror.closed.warm.private import fill_or_tell
from mirror.core.errors import InvalidDocument, Unreadable, Unwritable
from mirror.core.trust.truststore import TrustStore
from tests.support.generations import put_generation
from tests.support.keys import trust_store
from tests.support.layers import DRIVERS_OWN, GROUP, KERNEL, MODULE, Host, add, make_host, pack
from tests.support.otheruser import shared_directory

H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    """One with a layer, packed on another host."""
    prefix = Prefix(tmp_path / "p")
    made = put_generation(prefix, 5)
    store: TrustStore = trust_store(tmp_path / "trust")
    maker = make_host(tmp_path / "maker", H100)
    maker.compile(made)
    add(pack(made, maker, store, tmp_path / "l.tar").path, prefix, made, maker, store)
    return made


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return make_host(tmp_path / "a", H100, "NVIDIA H100 80GB HBM3")


def test_the_first_use_copies_and_the_second_does_not(generation: Generation, host: Host) -> None:
    assert host.state(generation).copied is None
    filled = host.fill(generation)
    assert filled is not None
    assert (filled.files, filled.notes) == (7, ())
    place = host.caches(generation)
    assert (place / KERNEL).read_bytes() == b"\x7fELF a kernel"
    assert json.loads((place / GROUP).read_text()) == {"child_paths": {"k.cubin": f"{place}/triton/ABC/k.cubin"}}
    assert not (place / "aot").exists() and not (place / MODULE).exists()  # FlashInfer reads it where it lies
    assert {path.stat().st_mode & 0o077 for path in place.rglob("*") if not path.is_symlink()} == {0}
    again = host.fill(generation)
    assert again is not None and again.files == 0
    state = host.state(generation)
    assert (state.compiled, state.added, state.changed, state.faults, state.notes) == ({}, (), (), (), ())


def test_what_is_compiled_after_that_is_told_by_program(generation: Generation, host: Host) -> None:
    host.fill(generation)
    host.compile(
        generation, {"triton/DEF/k.cubin": b"new", "triton/DEF/k.ttir": b"text", MODULE: b"new", KERNEL: b"newer"}
    )
    state = host.state(generation)
    assert state.compiled == {"FlashInfer": 1, "Triton": 1}
    assert state.added == (MODULE, "triton/DEF/k.cubin", "triton/DEF/k.ttir")
    assert state.changed == (KERNEL,)


def test_a_graph_of_the_layer_that_torch_keeps_again_under_another_name_was_not_compiled(
    generation: Generation, host: Host
) -> None:
    """Seen on an H200: a graph's name is the digest of its bytes, which hold the path of whose caches it is in."""
    host.fill(generation)
    host.compile(generation, {"inductor/fxgraph/ab/abc/ghi": b"the same", "inductor/fxgraph/ab/other/def": b"another"})
    state = host.state(generation)
    assert state.added == ("inductor/fxgraph/ab/abc/ghi", "inductor/fxgraph/ab/other/def")
    assert state.compiled == {"torch.compile": 1}


def test_what_a_user_has_is_not_replaced(generation: Generation, host: Host) -> None:
    host.compile(generation, {KERNEL: b"my own"})
    filled = host.fill(generation)
    assert filled is not None and filled.files == 6
    assert (host.caches(generation) / KERNEL).read_bytes() == b"my own"
    assert host.state(generation).compiled == {}


def test_another_driver_leaves_out_only_what_the_driver_compiled(generation: Generation, tmp_path: Path) -> None:
    host = make_host(tmp_path / "b", H100, driver="590.10")
    filled = host.fill(generation)
    assert filled is not None
    assert filled.notes == ("driver 580.65.06 there, 590.10 here: what the driver itself compiled (nv/) is not used",)
    assert not (host.caches(generation) / DRIVERS_OWN).exists()
    assert (host.caches(generation) / KERNEL).exists()


def test_another_gpu_gets_nothing(generation: Generation, tmp_path: Path) -> None:
    host = make_host(tmp_path / "b", "NVIDIA A100-SXM4-80GB")
    with pytest.raises(LayerDoesNotFit):
        host.fill(generation)
    assert [path.name for path in host.caches(generation).iterdir()] == ["generation"]
    assert host.state(generation).faults == (
        "GPU: the layer was compiled on NVIDIA H100 80GB HBM3, this host has NVIDIA A100-SXM4-80GB",
    )


def test_a_variable_that_counts_is_a_note_and_a_secret_is_not_written_down(generation: Generation, host: Host) -> None:
    host.variables.update(VLLM_USE_V2="1", VLLM_API_KEY="hidden", VLLM_HOST_IP="10.0.0.1", HF_TOKEN="hidden")
    filled = host.fill(generation)
    assert filled is not None
    assert filled.notes == (
        "VLLM_USE_V2 was not set when the layer was packed and is '1' here: what depends on it is compiled again",
    )


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_cache_directory_that_others_may_write_is_not_filled(generation: Generation, host: Host, mode: int) -> None:
    place = host.caches(generation)
    place.mkdir(parents=True, mode=0o700)
    place.chmod(mode)
    with pytest.raises(SharedCaches, match=f"^compiled code in {place} cannot be trusted: {place} may be written by"):
        host.fill(generation)
    assert not (place / KERNEL).exists()


def test_a_home_that_others_may_write_is_not_used(generation: Generation, host: Host) -> None:
    host.home.chmod(0o777)
    with pytest.raises(SharedCaches, match="may be written by every user"):
        host.fill(generation)


@pytest.mark.group(67)
def test_nothing_is_filled_below_a_directory_that_others_may_write_where_they_get_to_it(
    generation: Generation,
) -> None:
    with shared_directory() as shared:
        host = make_host(shared / "a", H100)
        host.home.chmod(0o755)
        place = host.caches(generation)
        (place / "triton").mkdir(parents=True)
        (place / "triton").chmod(0o777)
        with pytest.raises(SharedCaches, match=f"{place}/triton may be written by every user$"):
            host.fill(generation)
        place.chmod(0o700)
        filled = host.fill(generation)
        assert filled is not None and filled.files > 0


@pytest.mark.group(67)
def test_nothing_is_filled_through_a_link_in_the_place_of_a_directory(
    generation: Generation, host: Host, tmp_path: Path
) -> None:
    (tmp_path / "victim").mkdir()
    place = host.caches(generation)
    (place / "triton").mkdir(parents=True)
    (place / "triton/ABC").symlink_to(tmp_path / "victim")
    with pytest.raises(
        Unwritable, match=f"^cannot write {place}/triton/ABC: it is a link or a file, and no directory$"
    ):
        host.fill(generation)
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_run_that_was_killed_is_gone_on_with(generation: Generation, host: Host) -> None:
    host.fill(generation)
    place = host.caches(generation)
    (note,) = place.glob("warm.*.json")
    note.unlink()
    (place / KERNEL).unlink()
    left = (place / KERNEL).with_name(".0123456789abcdef.4711.tmp")
    left.write_bytes(b"half")
    filled = host.fill(generation)
    assert filled is not None and filled.files == 1
    assert (place / KERNEL).read_bytes() == b"\x7fELF a kernel"
    assert host.state(generation).added == ()


def test_two_at_once_do_it_once(generation: Generation, host: Host) -> None:
    with ThreadPoolExecutor(4) as pool:
        filled = [one.result() for one in [pool.submit(host.fill, generation) for _ in range(4)]]
    assert sorted(one.files for one in filled if one) == [0, 0, 0, 7]


def test_a_place_that_texts_cannot_hold_as_it_is_gets_no_texts(generation: Generation, host: Host) -> None:
    host.variables["XDG_CACHE_HOME"] = f'{host.home}/a "quoted" place'
    filled = host.fill(generation)
    assert filled is not None and filled.files == 6
    assert not (host.caches(generation) / GROUP).exists()


def test_a_damaged_note_is_named(generation: Generation, host: Host) -> None:
    host.fill(generation)
    (note,) = host.caches(generation).glob("warm.*.json")
    note.write_bytes(b"{}")
    with pytest.raises(InvalidDocument, match=r"^Copied layer invalid"):
        host.state(generation)


def test_a_link_in_the_place_of_a_file_is_not_written_through(
    generation: Generation, host: Host, tmp_path: Path
) -> None:
    place = host.caches(generation)
    (place / KERNEL).parent.mkdir(parents=True)
    (place / KERNEL).symlink_to(tmp_path / "elsewhere")
    host.fill(generation)
    assert not (tmp_path / "elsewhere").exists()


PICKLE = "inductor/fxgraph/ab/abc/def"


def test_a_pickle_names_the_users_own_directory_in_as_many_bytes(generation: Generation, host: Host) -> None:
    host.fill(generation)
    place = host.caches(generation)
    assert len(os.fsencode(place)) == WIDTH
    assert (place / PICKLE).read_bytes() == b"\0pickled, made in " + os.fsencode(place)


def test_a_home_whose_path_is_too_long_goes_without_them(generation: Generation, host: Host) -> None:
    host.variables["XDG_CACHE_HOME"] = str(host.home / ("a" * 150))
    filled = host.fill(generation)
    assert filled is not None
    place = host.caches(generation)
    assert place.name == load_environment(generation).jit_key()
    assert filled.notes == (
        f"1 of 8 files are not used, for they hold the path of their cache directory, and {place} is too long or too odd for "
        "that: XDG_CACHE_HOME can name a shorter one",
    )
    assert not (place / PICKLE).exists() and (place / KERNEL).exists()


def test_a_home_that_cannot_be_looked_at_keeps_nobody_from_starting(
    generation: Generation, host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.home.rmdir()
    host.home.symlink_to(host.home)  # a closed one, also to root
    with pytest.raises(Unreadable, match="Too many levels of symbolic links"):
        host.fill(generation)
    fill_or_tell(generation, load_environment(generation), host.base, Console())
    assert "note: carried kernels are not used, what is needed is compiled: cannot read" in capsys.readouterr().err
