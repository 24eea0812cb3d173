"""The two recipes without mirror: run for real, on good bundles and on tampered ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.core.bundle import layout
from mirror.core.bundle.reader import open_bundle
from mirror.core.trust.root import STATEMENT_NAMESPACE, Key, Role, Root
from mirror.review.decisions.recipes import with_openssl, with_ssh_keygen
from tests.support.bundles import BundleSimulator
from tests.support.keys import make_root, role, sign_manifest, signer
from tests.support.otheruser import OTHER, needs_root

ROOT = make_root(builder=role("builder", "bea"), approver=role("alice", "bob", threshold=1))
RECIPES = {"ssh-keygen": with_ssh_keygen, "openssl": with_openssl}
FIRST, SECOND = b"the first file\n" * 100, b"the second"


def make(directory: Path, signers: tuple[str, ...] = ("builder",), second: bytes = SECOND) -> Path:
    simulator = BundleSimulator()
    simulator.root, simulator.signers = ROOT, signers
    simulator.add("wheels/first-1-py3-none-any.whl", FIRST, "first", "1")
    simulator.add("meta/second.txt", second)
    return simulator.write(directory / "bundle.tar")


def approve(bundle: Path, who: str, name: str = "approval.sig") -> None:
    with open_bundle(bundle) as opened:
        bundle.with_name(f"{bundle.name}.{name}").write_bytes(sign_manifest(opened.manifest_bytes, who))


def check(recipe: str, bundle: Path, root: Root = ROOT) -> subprocess.CompletedProcess[str]:
    script = bundle.parent / "check.sh"
    script.write_text(RECIPES[recipe](bundle.name, root))
    shell = shutil.which("dash") or "sh"
    return subprocess.run([shell, str(script)], cwd=bundle.parent, text=True, capture_output=True, check=False)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_good_bundle_is_ok(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path)
    approve(bundle, "alice")
    done = check(recipe, bundle)
    assert done.returncode == 0, done
    assert done.stdout.startswith("ok: ./bundle.tar is ") and "3 files" in done.stdout
    assert not done.stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_name_with_blanks_and_quotes_is_a_name(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path).rename(tmp_path / "it's $HOME `id`.tar")
    approve(bundle, "bob", "approval.7.sig")
    assert check(recipe, bundle).returncode == 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_approval_inside_counts_as_one_beside_it(tmp_path: Path, recipe: str) -> None:
    assert check(recipe, make(tmp_path, ("builder", "bob"))).returncode == 0


def _unsigned_change(bundle: Path, old: bytes, new: bytes) -> None:
    data = bundle.read_bytes()
    assert data.count(old) >= 1
    bundle.write_bytes(data.replace(old, new, 1))


def _members(bundle: Path) -> list[bytes]:
    """The archive's members, header and padding included, and its end."""
    data, found, offset = bundle.read_bytes(), [], 0
    while data[offset : offset + 1] != b"\0":
        size = layout.member_bytes(int(data[offset + 124 : offset + 135], 8))
        found.append(data[offset : offset + size])
        offset += size
    return [*found, data[offset:]]


def _rearranged(bundle: Path, order: Callable[[list[bytes]], list[bytes]]) -> None:
    bundle.write_bytes(b"".join(order(_members(bundle))))


def _member(name: str, data: bytes) -> bytes:
    return layout.header(name, len(data)) + data + layout.padding(len(data))


TAMPERINGS: dict[str, Callable[[Path], None]] = {
    "a flipped bit in a file": lambda b: _unsigned_change(b, b"the second", b"the secone"),
    "a flipped bit in the manifest": lambda b: _unsigned_change(b, b'"name": "demo"', b'"name": "dema"'),
    "a flipped bit in the signature": lambda b: _unsigned_change(b, b"U1NIU0lH", b"U1NIU0lI"),
    "no signature": lambda b: _rearranged(b, lambda m: [m[0], *m[2:]]),
    "a member less": lambda b: _rearranged(b, lambda m: [*m[:-2], m[-1]]),
    "a member more": lambda b: _rearranged(b, lambda m: [*m[:-1], _member("meta/zzz.txt", b"more"), m[-1]]),
    "a member twice": lambda b: _rearranged(b, lambda m: [*m[:-1], m[-2], m[-1]]),
    "two members in another order": lambda b: _rearranged(b, lambda m: [*m[:-3], m[-2], m[-3], m[-1]]),
    "a renamed member": lambda b: _rearranged(b, lambda m: [*m[:-2], _member("meta/other.txt", SECOND), m[-1]]),
    "something after the end": lambda b: b.write_bytes(b.read_bytes() + bytes(512)) and None,  # type: ignore[dict-item]
    "truncated": lambda b: b.write_bytes(b.read_bytes()[:-1536]) and None,  # type: ignore[dict-item]
}


@pytest.mark.group(1)
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_bundle_is_refused(tmp_path: Path, recipe: str, tampering: str) -> None:
    bundle = make(tmp_path)
    approve(bundle, "alice")
    TAMPERINGS[tampering](bundle)
    done = check(recipe, bundle)
    assert done.returncode != 0 and "ok" not in done.stdout, done


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("signers", "beside"),
    [
        (("stranger",), "alice"),
        (("root",), "alice"),
        (("alice",), "bob"),
        (("builder",), ""),
        (("builder",), "builder"),
        (("builder",), "stranger"),
    ],
    ids=str,
)
def test_signatures_by_the_wrong_people_are_refused(
    tmp_path: Path, recipe: str, signers: tuple[str, ...], beside: str
) -> None:
    bundle = make(tmp_path, signers)
    if beside:
        approve(bundle, beside)
    done = check(recipe, bundle)
    assert done.returncode == 1 and "too few" in done.stderr, done


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_approver_counts_once_however_often(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path)
    for number in range(1, 4):
        approve(bundle, "alice", f"approval.{number}.sig")
    two = make_root(builder=ROOT.builder, approver=role("alice", "bob", threshold=2))
    assert "too few approvers" in check(recipe, bundle, two).stderr


@pytest.mark.group(9, 17)
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_approval_of_another_bundle_or_for_another_use_does_not_count(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "other").mkdir()
    bundle, other = make(tmp_path), make(tmp_path / "other", second=b"another")
    approve(other, "alice")
    (tmp_path / "other" / "bundle.tar.approval.sig").rename(tmp_path / "bundle.tar.approval.sig")
    with open_bundle(bundle) as opened:
        block = signer("bob").sign(opened.manifest_bytes, STATEMENT_NAMESPACE)
    (tmp_path / "bundle.tar.approval.2.sig").write_bytes(block)
    assert "too few approvers" in check(recipe, bundle).stderr


def test_there_are_ten_tamperings_at_least() -> None:
    assert len(TAMPERINGS) >= 10


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_name_with_a_line_end_is_no_line_of_the_script(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path).rename(tmp_path / "b\ntouch hacked #.tar")
    approve(bundle, "alice")
    assert check(recipe, bundle).returncode == 0
    assert not (tmp_path / "hacked").exists()


@pytest.mark.group(15)
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_expired_root_trusts_nothing(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path)
    approve(bundle, "alice")
    assert "the root expired at 2001-09-09T01:46:40Z" in check(recipe, bundle, replace(ROOT, expires=10**9)).stderr
    assert check(recipe, bundle, replace(ROOT, expires=10**11)).returncode == 0


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_refusal_beside_the_file_is_pointed_at(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path)
    approve(bundle, "alice")
    (tmp_path / "bundle.tar.rejection.2.json").write_text("{}")
    assert "bundle.tar.rejection.2.json may be a refusal" in check(recipe, bundle).stderr


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_name_is_no_pattern_that_another_key_fits(tmp_path: Path, recipe: str) -> None:
    root = replace(
        ROOT,
        builder=Role((Key("a.b", signer("bea").public),), 1),
        approver=Role((Key("axb", signer("alice").public), Key("ayb", signer("bob").public)), 0),
    )
    assert check(recipe, make(tmp_path, ("alice",)), root).stderr == "refused: too few builders have signed it\n"


@pytest.mark.parametrize("recipe", RECIPES)
def test_an_owners_name_hides_nothing_behind_the_end(tmp_path: Path, recipe: str) -> None:
    bundle = make(tmp_path)
    approve(bundle, "alice")
    data = bytearray(bundle.read_bytes())
    at = data.index(b"meta/second.txt\0")
    data[at + 265 : at + 265 + 7] = b"a 9999 "  # the owner's name: `tar -tv` shows it before the size
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    bundle.write_bytes(data + bytes(512 * 19))
    assert check(recipe, bundle).returncode == 1


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_second_builders_signature_beside_it_counts(tmp_path: Path, recipe: str) -> None:
    two = make_root(builder=role("builder", "bea", threshold=2))
    simulator = BundleSimulator()
    simulator.root = two
    simulator.add("meta/second.txt", SECOND)
    bundle = simulator.write(tmp_path / "bundle.tar")
    refused = check(recipe, bundle, two)
    assert (refused.returncode, refused.stderr) == (1, "refused: too few builders have signed it\n")
    approve(bundle, "bea")
    assert check(recipe, bundle, two).stdout.startswith("ok: ")


@needs_root
@pytest.mark.parametrize("recipe", RECIPES)
def test_where_others_may_exchange_temporary_files_it_is_said(
    tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, place = make(tmp_path), tmp_path / "temporary"
    approve(bundle, "alice")
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    for mode, owner, is_exposed in ((0o755, 0, False), (0o777, 0, True), (0o755, OTHER, True), (0o1777, OTHER, False)):
        os.chown(place, owner, owner)
        place.chmod(mode)
        done = check(recipe, bundle)
        note = f"note: others may be able to exchange files in {place}: set TMPDIR\n"
        assert (done.returncode, done.stderr) == (0, note * is_exposed)
