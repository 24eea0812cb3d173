import dataclasses
import json
from dataclasses import replace
from typing import Any

import pytest

from mirror.core.bundle.manifest import FORMATS, Artifact, Manifest, artifact_path
from mirror.core.errors import InvalidDocument
from mirror.core.kinds import WHEEL
from mirror.core.names import sha256_hex
from mirror.core.target import Target

DIGEST = sha256_hex("ab" * 32)
ONE = Artifact("wheels/a-1-py3-none-any.whl", 12, DIGEST, "a", "1", "built", 40)
EMPTY = Artifact("meta/install.txt", 0, DIGEST, "install.txt")
MANIFEST = Manifest(
    "quickstart", 1_790_000_000, Target("3.11", "x86_64", "2.28"), (ONE, EMPTY), (DIGEST,), ("a",), "0.1.0"
)


def edited(**changes: Any) -> bytes:
    return json.dumps({**json.loads(MANIFEST.encode()), **changes}).encode()


def edited_artifact(**changes: Any) -> bytes:
    return edited(artifacts=[{**ONE.to_dict(), **changes}])


def test_round_trip() -> None:
    assert Manifest.parse(MANIFEST.encode()) == MANIFEST


def test_equal_manifests_have_equal_bytes() -> None:
    assert dataclasses.replace(MANIFEST).encode() == MANIFEST.encode()


@pytest.mark.group(12, 18)
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            edited(format="mirror-bundle/99"),
            f"this mirror reads {' and '.join(map(repr, FORMATS))}, got 'mirror-bundle/99'",
        ),
        (edited(format="mirror-bundle/2"), "what it holds is of 'mirror-bundle/1', got 'mirror-bundle/2'"),
        (edited(roots=["x"]), "at 'roots[0]': expected 64 hex digits, got 'x'"),
        (edited(extra=1), "at 'extra': unknown key"),
        (edited(sequence=0), "at 'sequence': expected at least 1, got 0"),
        (edited(name="../x"), "at 'name': expected a stack name"),
        (edited_artifact(sha256="AB" * 32), "at 'artifacts[0].sha256': expected 64 hex digits"),
        (edited_artifact(sha256="ab"), "at 'artifacts[0].sha256': expected 64 hex digits, got 'ab'"),
        (edited_artifact(md5="0" * 32), "at 'artifacts[0].md5': unknown key"),
        (edited_artifact(size=-1), "at 'artifacts[0].size': expected at least 0, got -1"),
        (edited_artifact(size=2**41), "at 'artifacts[0].size': a tar member holds at most"),
        (edited(artifacts=[ONE.to_dict(), ONE.to_dict()]), "is artifacts[0] already"),
        (edited(artifacts=[EMPTY.to_dict(), ONE.to_dict()]), "comes after meta/"),
    ],
)
def test_names_the_fault(data: bytes, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        Manifest.parse(data)
    assert message in str(caught.value)


@pytest.mark.group(21)
@pytest.mark.parametrize(
    "path",
    [
        *(
            "../x",
            "/abs",
            "wheels//b",
            "./a",
            "wheels/",
            "wheels",
            "C:\\x",
            "wheels/a\x00",
            "wheels/a\n",
            "wheels/\x1b[0m",
        ),
        *("wheels/\u202ea", "wheels/a.", "wheels/a ", "wheels/" + "x" * 101, "wheels/.hidden", "other/a", "wheels/a/b"),
    ],
)
def test_refuses_a_path_that_is_no_plain_file_of_a_known_directory(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path such as"):
        artifact_path(path)


@pytest.mark.group(21)
def test_paths_that_differ_in_case_only_are_one_file_to_some_systems() -> None:
    other = dataclasses.replace(ONE, path="wheels/A-1-py3-none-any.whl")
    with pytest.raises(InvalidDocument, match="already"):
        Manifest.parse(edited(artifacts=[ONE.to_dict(), other.to_dict()]))


def test_what_only_installs_takes_no_room_once_it_is_done() -> None:
    uv = Artifact("tool/uv-1-py3-none-any.whl", 20, DIGEST, "uv", "1", unpacked_size=60)
    mirror = Artifact("tool/mirror.pyz", 7, DIGEST, "mirror.pyz")
    assert dataclasses.replace(MANIFEST, artifacts=(uv, mirror, ONE, EMPTY)).installed_bytes == 47


def test_finds_by_path_and_directory() -> None:
    assert MANIFEST.of(WHEEL) == (ONE,)
    assert MANIFEST.find("meta/install.txt") == EMPTY
    assert MANIFEST.find("meta/none") is None
    assert MANIFEST.total_bytes == 12


def model(path: str, size: int = 1) -> Artifact:
    return Artifact(f"models/{path}", size, DIGEST, "o/n", "f" * 40, "built")


def test_a_bundle_is_of_the_lowest_version_that_can_say_what_it_holds() -> None:
    assert replace(MANIFEST, artifacts=(ONE,)).format == "mirror-bundle/1"
    assert replace(MANIFEST, artifacts=(replace(ONE, size=8 * 2**30),)).format == "mirror-bundle/2"
    assert replace(MANIFEST, artifacts=(model("o--n/a/b.json"),)).format == "mirror-bundle/2"
    assert replace(MANIFEST, environment=(("TIKTOKEN_ENCODINGS_BASE", "files/encodings"),)).format == "mirror-bundle/2"


@pytest.mark.parametrize(
    "manifest",
    [
        replace(MANIFEST, artifacts=(model("o--n/a/b.json"), model("o--n/c", 9 << 30))),
        replace(MANIFEST, environment=(("TIKTOKEN_ENCODINGS_BASE", "files/encodings"),)),
    ],
)
def test_version_2_is_read_back(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.encode()) == manifest
    with pytest.raises(InvalidDocument, match="what it holds is of 'mirror-bundle/2', got 'mirror-bundle/1'"):
        Manifest.parse(manifest.encode().replace(b"mirror-bundle/2", b"mirror-bundle/1"))


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a/b", "a"), ("A/x/y", "a/X"), ("a/b/c", "a/b/c/d/e")])
def test_no_file_lies_in_another(paths: tuple[str, str]) -> None:
    with pytest.raises(InvalidDocument, match="one lies in the other"):
        replace(MANIFEST, artifacts=tuple(map(model, paths))).check()


@pytest.mark.parametrize(
    "path",
    [
        "wheels/a/b",
        "meta/a/b",
        "models",
        "models/",
        "models/../a",
        "models//a",
        "models/.a",
        "models/" + "a/" * 9 + "b",
        "models/" + "a" * 101,
        "models/" + "/".join(["a" * 80] * 3),
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="expected a path such as"):
        artifact_path(path)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "BASH_ENV",
        "HOME",
        "IFS",
        "MIRROR_HOME",
        "CUDA_HOME",
        "a",
        "A-B",
        "1A",
        "A=B",
        "",
    ],
)
def test_a_bundle_sets_no_variable_by_which_programs_are_found(name: str) -> None:
    data = replace(MANIFEST, environment=(("ZZ", "files/a"),)).encode().replace(b'"ZZ"', f'"{name}"'.encode())
    with pytest.raises(InvalidDocument, match=r"environment\.|expected the name of a variable"):
        Manifest.parse(data)
