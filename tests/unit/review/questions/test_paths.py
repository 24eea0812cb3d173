"""Why an artifact is there: the shortest way from what was asked for."""

from __future__ import annotations

from mirror.core.bundle.dossier import Dossier, FileFacts
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.review.questions.paths import ASKED, CARRIED, NEEDED, UNKNOWN, Reason, reasons
from tests.support.reports import TARGET


def manifest(*paths: str) -> Manifest:
    artifacts = tuple(Artifact(path, 1, Sha256Hex("0" * 64), path.split("/")[1].rsplit("-1", 1)[0]) for path in paths)
    return Manifest("demo", 1, TARGET, artifacts)


def wheel(name: str) -> str:
    return f"wheels/{name}-1-py3-none-any.whl"


def dossier(requirements: tuple[str, ...], packages: tuple[str, ...] = (), **requires: tuple[str, ...]) -> Dossier:
    files = tuple(FileFacts(wheel(name.replace("_", "-")), "wheel", requires=edge) for name, edge in requires.items())
    return Dossier(requirements, packages, files)


def test_the_shortest_way_is_taken() -> None:
    listed = manifest(*map(wheel, ("vllm", "transformers", "tokenizers", "hub")))
    found = reasons(
        listed,
        dossier(
            ("vllm==0.25.1",),
            vllm=("transformers", "tokenizers"),
            transformers=("tokenizers", "hub"),
            tokenizers=("hub",),
        ),
    )
    assert [(reason.kind, str(reason)) for reason in found.values()] == [
        (ASKED, "asked for: vllm==0.25.1"),
        (NEEDED, "vllm → transformers"),
        (NEEDED, "vllm → tokenizers"),
        (NEEDED, "vllm → transformers → hub"),
    ]


def test_of_two_requirements_the_first_named_leads_the_way() -> None:
    found = reasons(manifest(*map(wheel, ("a", "b", "shared"))), dossier(("b", "a"), a=("shared",), b=("shared",)))
    assert found[wheel("shared")].path == ("b", "shared")


def test_names_are_compared_as_projects_with_extras_markers_and_case_aside() -> None:
    found = reasons(
        manifest(wheel("mistral-common"), wheel("some_dep")),
        dossier(("Mistral.Common[image]>=1 ; python_version > '3'",), mistral_common=("Some-Dep",)),
    )
    assert found[wheel("mistral-common")].kind == ASKED
    assert found[wheel("some_dep")] == Reason(NEEDED, ("mistral-common", "some-dep"))


def test_a_ring_of_dependencies_ends() -> None:
    found = reasons(manifest(wheel("a"), wheel("b")), dossier(("a",), a=("b",), b=("a",)))
    assert found[wheel("b")].path == ("a", "b")


def test_what_nothing_leads_to_is_told() -> None:
    found = reasons(manifest(wheel("a"), wheel("extra")), dossier(("a", "gone"), a=("nowhere",)))
    assert found[wheel("extra")] == Reason(UNKNOWN)
    assert str(found[wheel("extra")]) == "nothing in the bundle asks for it"


def test_projects_and_packages_are_two_worlds() -> None:
    listed = manifest(wheel("numpy"), "rpms/numpy-1.rpm", "rpms/cuda-nvcc-13-0-1.rpm", "rpms/cuda-crt-13-0-1.rpm")
    facts = dossier(("numpy",), ("cuda-nvcc-13-0",))
    edges = FileFacts("rpms/cuda-nvcc-13-0-1.rpm", "rpm", requires=("cuda-crt-13-0",))
    found = reasons(listed, Dossier(facts.requirements, facts.packages, (edges,)))
    assert found["rpms/numpy-1.rpm"].kind == UNKNOWN
    assert found["rpms/cuda-crt-13-0-1.rpm"].path == ("cuda-nvcc-13-0", "cuda-crt-13-0")


def test_what_mirror_carries_for_itself_is_told_with_and_without_a_dossier() -> None:
    listed = manifest(
        "tool/mirror.pyz",
        "tool/uv-1.whl",
        "tool/other-1.whl",
        wheel("mirror-probe"),
        "python/cpython-1.tar.gz",
        wheel("a"),
    )
    for known in (None, dossier(("a",))):
        found = reasons(listed, known)
        kinds = [found[artifact.path].kind for artifact in listed.artifacts]
        assert kinds == [CARRIED] * 5 + [ASKED if known else UNKNOWN]
        assert all(found[artifact.path].words for artifact in listed.artifacts[:5])


def test_documents_have_no_reason() -> None:
    assert reasons(manifest("meta/install.txt"), None) == {}


def test_a_reason_is_plain_for_machines() -> None:
    assert Reason(NEEDED, ("a", "b")).to_dict() == {"kind": "needed", "path": ["a", "b"], "words": ""}


def test_names_that_are_no_projects_are_compared_as_they_are() -> None:
    found = reasons(manifest("rpms/libstdc++-1.rpm"), Dossier((), ("libstdc++", "-bad"), ()))
    assert found["rpms/libstdc++-1.rpm"].kind == ASKED
    odd = Manifest("demo", 1, TARGET, (Artifact(wheel("x"), 1, Sha256Hex("0" * 64), "no project!"),))
    assert reasons(odd, dossier(("x",)))[wheel("x")].kind == UNKNOWN
