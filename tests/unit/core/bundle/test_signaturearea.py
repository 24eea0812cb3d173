"""The signatures in a bundle: one legal form, although no digest of the manifest covers them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import pytest

from mirror.connected.packing.meta import sha256sums
from mirror.core.bundle.layout import BadLayout
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import open_bundle
from mirror.core.bundle.signaturearea import SUMS, ordered, ordered_roots
from mirror.core.bundle.writer import pack
from mirror.core.names import Sha256Hex
from mirror.core.signatures import sshsig
from mirror.core.target import Target
from mirror.core.trust.chain import Documents, fingerprint
from mirror.core.trust.root import Root
from tests.support.keys import make_root, role, sign_manifest, sign_root

WHEEL = "wheels/a-1-py3-none-any.whl"
ORDER = (
    "SIG/1.sig to SIG/{count}.sig are not of builders or approvers of ROOT/2.json, each once, in the order of their "
    "fingerprints (at byte {offset})"
)
ROOT_ORDER = (
    "the signatures in ROOT/{version}.sig are not those of the holders of the root keys, each once, in the order in which the "
    "roots name them"
)
FIRST = make_root(role("carla", "dora", threshold=1), role("ann", "ben"))
SECOND = make_root(role("dora", "emil", threshold=1), role("ann", "ben"), version=2)
CHAIN = (sign_root(FIRST, ("carla", "dora")), sign_root(SECOND, ("carla", "dora", "emil")))


def artifact(path: str, data: bytes) -> Artifact:
    return Artifact(path, len(data), Sha256Hex(hashlib.sha256(data).hexdigest()), path.split("/")[1])


def write(
    path: Path,
    signers: Sequence[str] = ("ann", "ben"),
    chain: Documents = CHAIN,
    summed: Documents | None = CHAIN,
    roots: Documents = CHAIN,
) -> Path:
    """A bundle that names ``roots``, carries ``chain``, and names the sums of ``summed`` (None: as before mirror did)."""
    members = {WHEEL: b"a" * 700}
    listed = [artifact(*item) for item in members.items()]
    members[SUMS] = sha256sums(listed, summed or ())
    listed.append(artifact(SUMS, members[SUMS]))
    named = tuple(fingerprint(document) for document, _ in roots)
    manifest = Manifest("q", 7, Target("3.11", "x86_64", "2.28"), tuple(listed), named)
    data = manifest.encode()
    pack(manifest, data, [sign_manifest(data, name) for name in signers], chain, members, path)
    return path


def refusal(path: Path, root: Root = SECOND) -> str:
    """Why a bundle is refused; empty when it is not, and then packing what was read again gives the same bytes."""
    with open_bundle(path) as bundle:
        try:
            manifest = bundle.trust(root)
            bundle.verify()
        except BadLayout as exc:
            return str(exc)
        sources = {one.path: bundle.read(one) for one in manifest.artifacts}
        again = path.with_suffix(".again")
        pack(manifest, bundle.manifest_bytes, bundle.signatures, bundle.root_documents, sources, again)
    assert again.read_bytes() == path.read_bytes()
    return ""


def test_signatures_in_the_order_of_the_roots_are_read(tmp_path: Path) -> None:
    assert refusal(write(tmp_path / "b.tar")) == ""
    assert refusal(write(tmp_path / "of-before.tar", summed=None)) == ""
    assert refusal(write(tmp_path / "one.tar", ("ben",))) == ""


def test_a_later_root_that_names_fewer_builders_changes_nothing(tmp_path: Path) -> None:
    third = make_root(role("emil"), role("ben"), version=3)
    assert refusal(write(tmp_path / "b.tar"), third) == ""


@pytest.mark.group(6)
@pytest.mark.parametrize(
    "signers", [("ben", "ann"), ("ann", "ann"), ("ann", "ben", "ann"), ("ann", "ben", "mallory"), ("mallory", "ann")]
)
def test_signatures_that_are_exchanged_doubled_or_of_strangers_are_refused(
    tmp_path: Path, signers: tuple[str, ...]
) -> None:
    """A stranger can sign what he likes: the bundle that his signature is added to is another file all the same."""
    path = write(tmp_path / "b.tar", signers)
    fault = refusal(path)
    wanted = ORDER.format(count=len(signers), offset=1536)
    assert fault == f"{path} is not an intact bundle: {wanted}"


FORMS = {
    "exchanged": ("dora", "carla"),
    "doubled": ("carla", "carla", "dora"),
    "of a stranger": ("carla", "dora", "mallory"),
    "of a builder": ("carla", "dora", "ann"),
}


@pytest.mark.group(6)
@pytest.mark.parametrize("summed", [CHAIN, None], ids=["with sums", "without"])
@pytest.mark.parametrize("form", FORMS)
def test_signatures_of_a_root_have_one_order(tmp_path: Path, form: str, summed: Documents | None) -> None:
    chain = (sign_root(FIRST, FORMS[form]), CHAIN[1])
    assert ROOT_ORDER.format(version=1) in refusal(write(tmp_path / "b.tar", chain=chain, summed=summed))


def test_every_other_order_of_a_later_roots_signatures_is_refused(tmp_path: Path) -> None:
    for names in permutations(("carla", "dora", "emil")):
        chain = (CHAIN[0], sign_root(SECOND, names))
        fault = refusal(write(tmp_path / "b.tar", chain=chain))
        assert (ROOT_ORDER.format(version=2) in fault) is (names != ("carla", "dora", "emil"))


@pytest.mark.group(6)
@pytest.mark.parametrize(
    ("version", "names"),
    [(1, ("carla",)), (1, ("dora",)), (2, ("carla", "emil")), (2, ("dora",)), (2, ("dora", "emil"))],
)
def test_a_roots_signature_that_was_taken_out_is_missed(tmp_path: Path, version: int, names: tuple[str, ...]) -> None:
    """Enough are left by the thresholds: only the checksums, which the manifest names, tell that one is missing."""
    fewer = sign_root((FIRST, SECOND)[version - 1], names)
    chain = tuple(fewer if number == version else pair for number, pair in enumerate(CHAIN, start=1))
    fault = refusal(write(tmp_path / "b.tar", chain=chain))
    assert f"ROOT/{version}.sig is not the one that meta/SHA256SUMS names" in fault


def test_sums_that_name_a_root_more_are_refused(tmp_path: Path) -> None:
    fault = refusal(write(tmp_path / "b.tar", chain=CHAIN[:1], roots=CHAIN[:1]), FIRST)
    assert "ROOT/2.sig is not the one that meta/SHA256SUMS names" in fault


def test_sums_too_large_to_be_sums_are_not_read_into_memory(tmp_path: Path) -> None:
    large = b"0" * ((4 << 20) + 1)
    manifest = Manifest(
        "q", 7, Target("3.11", "x86_64", "2.28"), (artifact(SUMS, large),), (FIRST.fingerprint, SECOND.fingerprint)
    )
    data = manifest.encode()
    path = tmp_path / "b.tar"
    pack(manifest, data, [sign_manifest(data, "ann")], CHAIN, {SUMS: large}, path)
    assert "meta/SHA256SUMS has 4194305 bytes" in refusal(path)


def test_what_a_builder_packs_is_in_that_order_however_it_was_signed() -> None:
    shuffled = (sign_root(FIRST, ("dora", "mallory", "carla")), sign_root(SECOND, ("emil", "dora", "carla")))
    assert ordered_roots(shuffled) == CHAIN
    blocks = [sign_manifest(b"m", name) for name in ("ben", "ann", "ben")]
    assert [sshsig.parse(block).public for block in ordered(blocks, SECOND)] == [
        key.public for key in SECOND.builder.keys
    ]
