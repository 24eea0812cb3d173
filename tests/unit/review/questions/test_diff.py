"""What changed between two bundles, by kind."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from mirror.cli.commands.review import diff as command
from mirror.cli.main import main
from mirror.core.bundle.dossier import PATH, Dossier, FileFacts
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.errors import InvalidDocument, Unreadable
from mirror.core.names import Sha256Hex
from mirror.core.target import Target
from mirror.core.trust.quorum import NotTrustedNow
from mirror.core.trust.root import Root
from mirror.review.questions.contents import Contents, read_contents
from mirror.review.questions.diff import Changes, compare
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role

TARGET = Target(python="3.11", arch="x86_64", glibc="2.28")


def artifact(
    name: str, version: str = "1", data: str = "", origin: str = "https://example.org/x", at: str = "wheels"
) -> Artifact:
    content = data or f"{name} {version}"
    digest = Sha256Hex(hashlib.sha256(content.encode()).hexdigest())
    return Artifact(f"{at}/{name}-{version}-py3-none-any.whl", len(content), digest, name, version, origin)


def side(*artifacts: Artifact, sequence: int = 1, facts: tuple[FileFacts, ...] = (), **changes: object) -> Contents:
    manifest = dataclasses.replace(Manifest("demo", sequence, TARGET, artifacts), **changes)  # type: ignore[arg-type]
    return Contents(
        "x.tar", manifest, Dossier((), (), facts) if facts else None, {"builder": ("builder",), "approver": ()}
    )


def test_the_same_bundle_does_not_differ() -> None:
    one = side(artifact("a"), artifact("b"))
    changes = compare(one, one)
    assert changes.is_empty and changes.same == 2


def test_each_kind_of_change_has_its_name() -> None:
    old = side(
        artifact("gone"),
        artifact("up"),
        artifact("built", data="before", origin="built"),
        artifact("evil", data="before"),
        artifact("moved"),
        artifact("same"),
    )
    new = side(
        artifact("new"),
        artifact("up", "2", data="larger than before"),
        artifact("built", data="after!", origin="built"),
        artifact("evil", data="after!"),
        artifact("moved", origin="https://example.org/elsewhere"),
        artifact("same"),
        sequence=2,
    )
    changes = compare(old, new)
    groups = {group: [str(one) for one in getattr(changes, group)] for group in changes.GROUPS}
    assert groups == {
        "added": ["new 1"],
        "removed": ["gone 1"],
        "updated": ["up 1 -> 2"],
        "rebuilt": ["built 1"],
        "replaced": ["evil 1"],
        "moved": ["moved 1"],
        "relabelled": [],
    }
    assert (changes.same, changes.older, changes.newer) == (1, 1, 2)
    assert changes.growth == new.manifest.total_bytes - old.manifest.total_bytes
    assert changes.updated[0].growth == 14


A, B, OTHER_FILE = "https://a.example/x.whl", "https://b.example/x.whl", "https://a.example/y.whl"
ORIGINS = (A, OTHER_FILE, B, "file:///srv/x.whl", "built", "mirror")
PLACES = dict(
    zip(
        ORIGINS, ("a.example", "a.example", "b.example", "a directory of the builder's", "built here", "made by mirror")
    )
)


@pytest.mark.parametrize("before", ORIGINS)
@pytest.mark.parametrize("now", ORIGINS)
def test_every_way_in_which_one_artifact_changes_has_its_name(before: str, now: str) -> None:
    def changed(version: str, data: str) -> tuple[str, str]:
        changes = compare(side(artifact("a", "1.0", "x", before)), side(artifact("a", version, data, now)))
        groups = [group for group in Changes.GROUPS if getattr(changes, group)]
        shown = [str(change) for group in groups for change in getattr(changes, group)]
        return (groups[0], shown[0]) if groups else (f"{changes.same} same", "")

    moved = f" ({PLACES[before]} -> {PLACES[now]})" if PLACES[before] != PLACES[now] else ""
    made_here_twice = before == now and before in ("built", "mirror")
    assert changed("1.0", "x") == (("1 same", "") if before == now else ("moved", f"a 1.0{moved}"))
    assert changed("1.0", "y") == ("rebuilt" if made_here_twice else "replaced", f"a 1.0{moved}")
    assert changed("2.0", "x") == ("relabelled", f"a 1.0 -> 2.0{moved}")
    assert changed("2.0", "y") == ("updated", f"a 1.0 -> 2.0{moved}")
    assert changed("1.0.0", "y") == ("rebuilt" if made_here_twice else "replaced", f"a 1.0 -> 1.0.0{moved}")


def test_a_publishers_wheel_that_is_built_here_now_is_to_be_decided_about() -> None:
    old, new = side(artifact("a", data="before")), side(artifact("a", data="after!", origin="built"))
    (change,) = compare(old, new).replaced
    assert str(change) == "a 1 (example.org -> built here)"
    assert change.to_dict()["old"]["origin"] == "https://example.org/x" and change.to_dict()["new"]["origin"] == "built"
    (back,) = compare(new, old).replaced
    assert str(back) == "a 1 (built here -> example.org)"


def test_wheels_of_one_project_for_two_pythons_keep_their_partners() -> None:
    def wheel(version: str, tag: str) -> Artifact:
        digest = Sha256Hex(hashlib.sha256(f"{version} {tag}".encode()).hexdigest())
        return Artifact(f"tool/zstd-{version}-{tag}-any.whl", 5, digest, "zstd", version, "https://example.org/")

    both = [wheel("1", tag) for tag in ("cp39", "cp310", "cp311")]
    changes = compare(side(*both), side(both[2], both[1]))
    assert [one.old and one.old.filename for one in changes.removed] == ["zstd-1-cp39-any.whl"]
    assert changes.same == 2 and not changes.replaced
    changes = compare(side(*both), side(*(wheel("2", tag) for tag in ("cp310", "cp311", "cp312"))))
    pairs = [(one.old and one.old.filename, one.new and one.new.filename) for one in changes.updated]
    assert pairs == [
        ("zstd-1-cp310-any.whl", "zstd-2-cp310-any.whl"),
        ("zstd-1-cp311-any.whl", "zstd-2-cp311-any.whl"),
        ("zstd-1-cp39-any.whl", "zstd-2-cp312-any.whl"),
    ]


def test_another_mirror_makes_its_installer_again_and_replaces_nothing() -> None:
    both = [artifact("mirror.pyz", "", data=data, origin="mirror", at="tool") for data in ("before", "after!")]
    changes = compare(side(both[0], tool="0.1"), side(both[1], tool="0.2"))
    assert [one.name for one in changes.rebuilt] == ["mirror.pyz"] and not changes.replaced
    assert [str(fact) for fact in changes.facts] == ["mirror: 0.1 -> 0.2"]


def test_what_mirror_writes_itself_is_no_change_of_its_own() -> None:
    texts = [Artifact("meta/install.txt", 1, Sha256Hex(letter * 64), "install.txt") for letter in "ab"]
    assert compare(side(artifact("a"), texts[0]), side(artifact("a"), texts[1])).is_empty


def test_a_changed_licence_a_new_hook_and_another_signer_are_told() -> None:
    old_facts = FileFacts(artifact("a").path, "wheel", licence="MIT")
    new_facts = FileFacts(artifact("a", "2").path, "wheel", licence_stated="ask us", hooks=("a.pth",))
    old, new = side(artifact("a"), facts=(old_facts,)), side(artifact("a", "2"), facts=(new_facts,))
    new = dataclasses.replace(new, signers={"builder": ("bea",), "approver": ("alice",)})
    changes = compare(old, new)
    assert [str(fact) for fact in changes.licences] == ["a: MIT -> ask us"]
    assert [str(fact) for fact in changes.facts] == [
        "signed as builder: builder -> bea",
        "signed as approver: - -> alice",
        "a hooks: - -> a.pth",
    ]


def test_a_hook_of_something_new_is_told_too() -> None:
    facts = FileFacts(artifact("a").path, "wheel", hooks=("a.pth",), gpus=("sm_90",))
    changes = compare(side(artifact("b")), side(artifact("a"), artifact("b"), facts=(facts,)))
    assert [str(fact) for fact in changes.facts] == ["a hooks: - -> a.pth"]


def test_another_target_or_root_is_told() -> None:
    other = dataclasses.replace(TARGET, glibc="2.34")
    changes = compare(side(), side(target=other, roots=(Sha256Hex("a" * 64),)))
    assert [fact.subject for fact in changes.facts] == ["target", "roots"]


def test_who_must_sign_now_and_had_not_to_before_is_told(tmp_path: Path) -> None:
    first, approving = make_root(), make_root(approver=role("alice"))
    paths = [
        write(tmp_path / f"{number}.tar", "1", sequence=number, root=root)
        for number, root in ((1, first), (2, approving))
    ]
    old, new = (read_contents(path, root) for path, root in zip(paths, (first, approving)))
    told = [str(fact) for fact in compare(old, new).facts]
    (alice,) = approving.approver.keys
    assert f"approver: needs 0 of nobody -> needs 1 of {alice}" in told
    assert not any(line.startswith("builder: ") for line in told)


def write(path: Path, *versions: str, sequence: int, builder: str = "builder", root: Root | None = None) -> Path:
    simulator = BundleSimulator(sequence=sequence)
    simulator.root = root or simulator.root
    simulator.signers = (builder,)
    for number, version in enumerate(versions):
        simulator.add(f"wheels/p{number}-{version}-py3-none-any.whl", version.encode(), f"p{number}", version)
    path_in = f"wheels/p0-{versions[0]}-py3-none-any.whl"
    simulator.add(PATH, Dossier((), (), (FileFacts(path_in, "wheel", licence="MIT"),)).encode())
    return simulator.write(path)


def test_bundles_and_manifests_are_compared_alike(
    tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = write(tmp_path / "old.tar", "1", "1", sequence=10), write(tmp_path / "new.tar", "2", "1", sequence=20)
    BundleSimulator().store(mirror_home)
    manifest = tmp_path / "MANIFEST.json"
    manifest.write_bytes(read_contents(old, make_root()).manifest.encode())
    for before in (old, manifest):
        parser = argparse.ArgumentParser()
        command.configure(parser.add_subparsers())
        assert command.run(parser.parse_args(["diff", str(before), str(new)])) == 0
        out = capsys.readouterr().out
        assert "updated (1)\n  wheels/  p0 1 -> 2" in out and "1 file is the same" in out
        command.run(parser.parse_args(["diff", str(before), str(new), "--json"]))
        assert json.loads(capsys.readouterr().out)["updated"][0]["new"]["version"] == "2"


def test_a_bundle_of_a_stranger_is_not_compared(tmp_path: Path) -> None:
    bundle = write(tmp_path / "b.tar", "1", sequence=1, builder="stranger")
    with pytest.raises(NotTrustedNow, match=f"^{bundle}: the manifest is signed by "):
        read_contents(bundle, make_root())


def test_a_bundle_that_nobody_approved_yet_is_compared(tmp_path: Path) -> None:
    root = make_root(approver=role("alice"))
    contents = read_contents(write(tmp_path / "b.tar", "1", sequence=1, root=root), root)
    assert contents.facts("wheels/p0-1-py3-none-any.whl") == FileFacts(
        "wheels/p0-1-py3-none-any.whl", "wheel", licence="MIT"
    )


@pytest.mark.parametrize(("data", "error"), [(None, Unreadable), (b"{}", InvalidDocument)])
def test_what_is_neither_is_named(tmp_path: Path, data: bytes | None, error: type[Exception]) -> None:
    path = tmp_path / "x"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error):
        read_contents(path, make_root())


def test_of_two_stacks_that_are_compared_both_names_are_told() -> None:
    one, other = side(artifact("a")), side(artifact("a"), name="other")
    assert compare(one, other).strangers == "these are two stacks, and not one: demo before, other now"
    assert compare(one, one).strangers == ""


def test_diff_says_that_the_two_are_not_one_stack(
    tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BundleSimulator().store(mirror_home)
    bundles = [BundleSimulator(name).write(tmp_path / f"{name}.tar") for name in ("other", "demo")]
    assert main(["diff", *map(str, bundles)]) == 0
    assert "these are two stacks, and not one: other before, demo now" in capsys.readouterr().out.splitlines()
    assert main(["diff", str(bundles[0]), str(bundles[0])]) == 0
    assert "two stacks" not in capsys.readouterr().out


@pytest.mark.parametrize("which", [0, 1])
def test_of_two_bundles_the_damaged_one_is_named(
    which: int, tmp_path: Path, mirror_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    BundleSimulator().store(mirror_home)
    bundles = [BundleSimulator().write(tmp_path / name) for name in ("old.tar", "new.tar")]
    bundles[which].write_bytes(bundles[which].read_bytes()[:700])
    assert main(["diff", *map(str, bundles)]) == BadLayout.exit_code
    assert f"error: {bundles[which]} is not an intact bundle: the file is" in capsys.readouterr().err
