"""The dossier's one encoding, and what is refused in one."""

from __future__ import annotations

import json

import pytest

from mirror.core.bundle.dossier import Dossier, FileFacts, Waiver
from mirror.core.errors import InvalidDocument

FULL = Dossier(
    requirements=("vllm==0.17.1",),
    packages=("cuda-nvcc-13-0",),
    files=(
        FileFacts(
            path="wheels/a-1-py3-none-any.whl",
            kind="wheel",
            summary="A",
            licence="MIT",
            licence_files=("LICENSE",),
            requires=("b",),
            uploaded=1,
            native=2,
            gpus=("compute_90", "sm_90a"),
            glibc="2.28",
            hooks=("a.pth",),
            waivers=(Waiver("hook", "it only sets a path", "alice"),),
        ),
        FileFacts(path="rpms/b-1-1.x86_64.rpm", kind="rpm", signer="AB" * 20),
    ),
    notes=("one",),
)


def test_encoding_and_parsing_are_inverse() -> None:
    assert Dossier.parse(FULL.encode()) == FULL
    assert FULL.file("rpms/b-1-1.x86_64.rpm") == FULL.files[1]
    assert FULL.file("rpms/c-1-1.x86_64.rpm") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "mirror-dossier/2"}, "use a newer mirror"),
        ({"more": 1}, "more"),
        ({"files": [{"path": "etc/passwd", "kind": "wheel"}]}, "files[0].path"),
        ({"files": [{"path": "wheels/a.whl", "kind": "cat"}]}, "files[0].kind"),
        ({"files": [{"path": "wheels/a.whl", "kind": "wheel", "colour": "red"}]}, "files[0]"),
        ({"files": [{"path": "wheels/a.whl", "kind": "wheel", "waivers": [{"rule": "x"}]}]}, "files[0].waivers[0]"),
        ({"files": [{"path": "wheels/a.whl", "kind": "wheel"}] * 2}, "one path"),
    ],
)
def test_a_fault_is_named_with_its_place(change: dict[str, object], words: str) -> None:
    document = {**json.loads(FULL.encode()), **change}
    with pytest.raises(InvalidDocument) as caught:
        Dossier.parse(json.dumps(document).encode())
    assert words in str(caught.value)
