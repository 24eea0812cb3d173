"""Nothing is packed that nobody answers for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from mirror.connected.packing.pack import Source
from mirror.connected.papers.vetting import WheelsRefused, vet
from mirror.connected.stack.file import Stack
from mirror.core.bundle.dossier import Waiver
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import ProjectName, Sha256Hex
from mirror.core.target import Target
from tests.support.wheels import make_wheel, sha256_of

TARGET = Target("3.11", "x86_64", "2.28")
STACK = Stack("small", TARGET, ())


def taken(path: Path, directory: str = "wheels") -> tuple[Artifact, Path]:
    name, version = path.name.split("-")[:2]
    return Artifact(f"{directory}/{path.name}", path.stat().st_size, Sha256Hex(sha256_of(path)), name, version), path


def hooked(tmp_path: Path, name: str = "hooked", **other: Any) -> tuple[Artifact, Path]:
    return taken(make_wheel(tmp_path, name, "1.0", files={f"{name}.pth": b"import os\n"}, **other))


def test_sound_wheels_pass_and_their_facts_are_kept(tmp_path: Path) -> None:
    tool = taken(make_wheel(tmp_path, "uv", "1.0", files={"uv.pth": b"never installed"}), "tool")
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", scripts={"alpha": "alpha:main"}))
    gate = vet(dict([tool, wheel]), TARGET, STACK)
    assert gate.notes == () and gate.waivers == {}
    assert list(gate.vetted) == [tool[0].path, wheel[0].path]
    assert gate.vetted[wheel[0].path].scripts == ("alpha",)


def test_everything_that_is_refused_is_told_at_once_with_the_waivers_to_write(tmp_path: Path) -> None:
    wheels = dict([hooked(tmp_path), hooked(tmp_path, "other", requires=["gone"])])
    with pytest.raises(WheelsRefused) as exc_info:
        vet(wheels, TARGET, STACK)
    error = exc_info.value
    assert str(error) == (
        "hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts [startup-hook] (and 2 more)"
    )
    assert "requires-unmet: other-1.0-py3-none-any.whl: it requires gone, the set has none" in error.context()
    assert '[[waiver]]\nproject = "other"\nrule = "startup-hook"\nsubject = "other.pth"\n' in error.context()


def test_a_waiver_lets_its_wheel_pass_and_is_shown(tmp_path: Path) -> None:
    wheel = hooked(tmp_path)
    waiver = Waiver("startup-hook", "it is ours", "alice", "hooked.pth")
    idle = Waiver("record-weak", "old", "bob")
    stack = replace(STACK, waivers=(("hooked", waiver), ("hooked", idle)))
    gate = vet(dict([wheel]), TARGET, stack)
    assert gate.waivers == {wheel[0].path: (waiver,)}
    assert gate.notes == (
        "waived by alice, startup-hook: hooked-1.0-py3-none-any.whl: Python runs hooked.pth whenever it starts (it is ours)",
        "small.toml waives record-weak of hooked, and nothing needs it",
    )


def test_a_lock_made_elsewhere_has_no_waivers(tmp_path: Path) -> None:
    with pytest.raises(WheelsRefused):
        vet(dict([hooked(tmp_path)]), TARGET, None)
    assert vet(dict([taken(make_wheel(tmp_path, "alpha", "1.0"))]), TARGET, None).notes == ()


def test_a_waiver_for_a_project_that_is_not_there_is_refused_unless_it_is_optional(tmp_path: Path) -> None:
    wheels: dict[Artifact, Source] = dict([taken(make_wheel(tmp_path, "alpha", "1.0"))])
    stack = replace(STACK, waivers=(("beta", Waiver("startup-hook", "r", "a")),))
    with pytest.raises(InvalidDocument, match=r"small\.toml invalid at .waiver\[0\]\.project.: the stack has no beta"):
        vet(wheels, TARGET, stack)
    gate = vet(wheels, TARGET, replace(stack, optional=(Requirement("Beta==1"),)))
    assert gate.notes == ("small.toml waives startup-hook of beta, and nothing needs it",)


def test_what_the_closed_host_brings_may_be_missing(tmp_path: Path) -> None:
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", requires=["torch>=2", "numpy"]))
    stack = replace(STACK, without=(ProjectName("torch"),))
    with pytest.raises(WheelsRefused) as exc_info:
        vet(dict([wheel]), TARGET, stack)
    assert [finding.subject for finding in exc_info.value.findings] == ["numpy"]
    gate = vet(dict([wheel]), TARGET, replace(stack, without=(ProjectName("torch"), ProjectName("numpy"))))
    assert gate.notes == ()  # the wish is in NAME.toml already
    assert [waiver.subject for waiver in gate.waivers[wheel[0].path]] == ["torch", "numpy"]


def test_the_extras_that_the_stack_asks_for_count(tmp_path: Path) -> None:
    wheel = taken(make_wheel(tmp_path, "alpha", "1.0", requires=['gone; extra == "image"'], extras=["image"]))
    vet(dict([wheel]), TARGET, replace(STACK, requirements=(Requirement("alpha"),)))
    with pytest.raises(WheelsRefused, match="it requires gone, the set has none"):
        vet(dict([wheel]), TARGET, replace(STACK, requirements=(Requirement("alpha[image]==1.0"),)))


def test_a_wheel_in_memory_is_vetted_as_one_on_the_disk(tmp_path: Path) -> None:
    artifact, path = hooked(tmp_path)
    with pytest.raises(WheelsRefused):
        vet({artifact: path.read_bytes()}, TARGET, STACK)


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    artifact, path = hooked(tmp_path)
    path.unlink()
    with pytest.raises(Unreadable, match=r"hooked-1\.0"):
        vet({artifact: path}, TARGET, STACK)
