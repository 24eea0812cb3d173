"""``[rpms]``: components by name, packages beside them, and every misspelling with its place."""

from __future__ import annotations

from typing import Any

import pytest

from mirror.connected.stack.rpmwishes import RpmWishes
from mirror.core.cuda.components import SETS, component
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields

GOOD = {"repository": "https://example.org/", "fingerprints": ["AB" * 20]}


def wishes(release: str = "13.0", **change: Any) -> RpmWishes:
    return RpmWishes.from_fields(Fields({**GOOD, **change}, "demo.toml", "rpms"), release)


@pytest.mark.parametrize("release", ["12.4", "12.8", "13.0", "13.3"])
@pytest.mark.parametrize("name", SETS)
def test_a_set_is_wanted_by_its_roots_and_needs_all_of_itself(name: str, release: str) -> None:
    asked = wishes(release, components=[name])
    assert asked.needed == component(name, release).needed
    assert set(asked.packages) <= set(asked.needed)
    assert asked.packages[0] == f"cuda-nvcc-{release.replace('.', '-')}"


def test_sets_roles_and_packages_go_together_each_name_once() -> None:
    asked = wishes(components=["nvcc", "flashinfer-jit", "cuobjdump"], packages=["cuda-nvcc-13-0", "cuda-gdb-13-0"])
    assert asked.packages == (
        "cuda-nvcc-13-0",
        "cuda-cudart-devel-13-0",
        "cuda-driver-devel-13-0",
        "libcublas-devel-13-0",
        "cuda-nvrtc-devel-13-0",
        "libcurand-devel-13-0",
        "cuda-cuobjdump-13-0",
        "cuda-gdb-13-0",
    )
    assert "cuda-gdb-13-0" not in asked.needed
    assert asked.extras == ("cuda-culibos-devel-13-0",)


def test_packages_alone_need_nothing_else() -> None:
    asked = wishes(packages=["cuda-nvcc-13-0"])
    assert (asked.packages, asked.needed, asked.extras) == (("cuda-nvcc-13-0",), (), ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"components": ["nvcc", "flashinfer"]},
            "'rpms.components[1]': CUDA 13.0 has no component 'flashinfer'; did you mean 'flashinfer-jit'? there are",
        ),
        ({"components": ["cuda-nvcc-13-0"]}, "'rpms.components[0]': CUDA 13.0 has no component 'cuda-nvcc-13-0'"),
        (
            {"repository": "/some/dir"},
            "'rpms.repository': expected a URL, got the directory '/some/dir'; a copy is named with ",
        ),
        ({"components": "nvcc"}, "'rpms.components': expected list, got str"),
        ({"components": []}, "'rpms.components': missing: expected at least one component, such as 'flashinfer-jit'"),
        ({"packages": []}, "'rpms.components': missing"),
        ({"packages": ["../evil"]}, "'rpms.packages[0]': expected a package name"),
        (
            {"fingerprints": ["d42d0685"]},
            "'rpms.fingerprints[0]': expected the fingerprint of an OpenPGP key",
        ),
        ({"components": ["nvcc"], "set": 1}, "'rpms.set': unknown key"),
    ],
)
def test_a_wrong_wish_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        wishes(**change)
    assert message in str(caught.value)


def test_an_unknown_component_is_answered_with_the_sets_there_are() -> None:
    with pytest.raises(
        InvalidDocument, match="there are the sets nvcc, flashinfer-jit, vllm-source, and the parts cccl, compat, "
    ):
        wishes(components=["all"])


def test_missing_keys_are_named() -> None:
    for key in GOOD:
        with pytest.raises(InvalidDocument, match=rf"'rpms\.{key}': missing"):
            RpmWishes.from_fields(Fields({k: v for k, v in GOOD.items() if k != key}, "demo.toml", "rpms"), "13.0")
