"""The wheels of one environment together (SECURITY.md rows 29 and 43)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence

import pytest

from mirror.core.bundle.manifest import Artifact
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.vetting.rules import Finding
from mirror.core.vetting.together import vet_set
from mirror.core.vetting.wheel import Vetted

TARGET = Target("3.11", "x86_64", "2.28")


def wheel(
    name: str, version: str = "1.0", files: Mapping[str, bytes] | None = None, requires: Sequence[str] = ()
) -> Vetted:
    artifact = Artifact(f"wheels/{name}-{version}-py3-none-any.whl", 1, Sha256Hex("0" * 64), name, version)
    installed = {path: hashlib.sha256(data).digest() for path, data in (files or {}).items()}
    return Vetted(artifact, name, installed=installed, requires=tuple(requires))


def found(*wheels: Vetted, requirements: Sequence[str] = ()) -> list[Finding]:
    return list(vet_set(wheels, TARGET, requirements)[0])


@pytest.mark.group(29)
def test_row_29_one_path_with_two_contents_is_refused_naming_both() -> None:
    one = wheel("alpha", files={"site/tests/__init__.py": b"1", "site/tests/a.py": b"1", "site/alpha.py": b"1"})
    other = wheel("beta", files={"site/tests/__init__.py": b"2", "site/tests/a.py": b"2", "site/beta.py": b"1"})
    (finding,) = found(one, other)
    assert str(finding) == (
        "beta-1.0-py3-none-any.whl: site/tests/__init__.py and 1 more is another file in alpha-1.0-py3-none-any.whl: "
        "which one is kept depends on the order"
    )
    assert (finding.rule, finding.project, finding.also) == ("collision", "beta", ("alpha",))


@pytest.mark.group(29)
def test_row_29_the_same_bytes_are_a_note() -> None:
    findings, notes = vet_set([wheel(name, files={"nvidia/__init__.py": b""}) for name in ("a", "b", "c")], TARGET)
    assert findings == ()
    assert notes == ("in several wheels with the same bytes: nvidia/__init__.py",)


@pytest.mark.group(29)
def test_row_29_three_wheels_make_a_finding_for_each_pair_that_differs() -> None:
    findings = found(wheel("a", files={"x": b"1"}), wheel("b", files={"x": b"2"}), wheel("c", files={"x": b"3"}))
    assert [(finding.project, finding.also) for finding in findings] == [("b", ("a",)), ("c", ("a",))]


@pytest.mark.group(29)
@pytest.mark.parametrize("order", [1, -1])
def test_row_29_a_file_where_another_wheel_has_a_directory_is_refused(order: int) -> None:
    wheels = [wheel("a", files={"site/x": b"1"}), wheel("b", files={"site/x/deep/y.py": b"1"})][::order]
    (finding,) = found(*wheels)
    assert finding.rule == "collision" and finding.what.startswith("site/x is another file in")


@pytest.mark.group(43)
@pytest.mark.parametrize(
    ("requires", "what"),
    [
        ("beta>=2", "it requires beta>=2, the set has 1.0"),
        ("Gamma.x", "it requires gamma-x, the set has none"),
        ("beta ??", "its requirement cannot be read: expected a specifier"),
        ('beta; colour == "red"', "its requirement cannot be read: expected a marker"),
        ("beta=>1", "its requirement cannot be read: expected a specifier"),
    ],
)
def test_row_43_what_is_required_and_not_there_is_refused(requires: str, what: str) -> None:
    (finding,) = found(wheel("alpha", requires=[requires, requires]), wheel("beta"))
    assert finding.rule == "requires-unmet"
    assert finding.what.startswith(what)


@pytest.mark.group(43)
@pytest.mark.parametrize(
    "requires",
    [
        "beta",
        "BETA>=1,<2",
        'gamma; python_version < "3.11"',
        'gamma; extra == "test"',
        'gamma; sys_platform == "win32"',
    ],
)
def test_row_43_what_is_met_or_does_not_apply_passes(requires: str) -> None:
    assert found(wheel("alpha", requires=[requires]), wheel("beta")) == []


@pytest.mark.group(43)
def test_row_43_extras_count_when_they_are_asked_for() -> None:
    alpha = wheel("alpha", requires=["beta[fast]>=1"])
    beta = wheel("beta", requires=['gamma; extra == "fast"', 'delta[more]; extra == "fast"'])
    delta = wheel("delta", requires=['epsilon; extra == "more"'])
    # Whatever their order: delta's extra is asked for by beta, which does so only when alpha asks for beta's.
    for order in itertools.permutations((alpha, beta, delta)):
        assert {one.subject for one in found(*order)} == {"gamma", "epsilon"}
    assert found(wheel("alpha"), beta, delta) == []
    assert [one.subject for one in found(beta, delta, requirements=["beta[Fast]==1.0", "not a requirement"])] == [
        "gamma",
        "epsilon",
    ]


def test_wheels_for_different_cudas_are_refused_when_their_extras_and_markers_ask_for_them() -> None:
    torch = wheel("torch", "2.14.1", requires=["nvidia-nccl-cu13"])
    server = wheel("server", requires=["nvidia-nccl-cu12; extra == 'old'", "nvidia-nccl-cu12; python_version < '3'"])
    libraries = [wheel("nvidia-nccl-cu13"), wheel("nvidia-nccl-cu12")]
    assert found(torch, server, libraries[0]) == []
    (finding,) = found(torch, server, *libraries, requirements=["server[old]"])
    assert (finding.rule, finding.path, finding.project) == ("cuda-major", server.artifact.path, "server")
    assert finding.what == "it is for CUDA 12 (it asks for nvidia-nccl-cu12 1.0); torch 2.14.1 is for CUDA 13"
