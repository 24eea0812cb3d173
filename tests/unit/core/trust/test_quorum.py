from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

from mirror.core.signatures.sshsig import SignatureMismatch, UnacceptableSignature
from mirror.core.trust.quorum import NotSigned, Signers, Tally, ThresholdNotMet, UnknownSigner, check_quorum
from mirror.core.trust.root import Root
from tests.support.keys import key, make_root, role, signer

DATA, NAMESPACE = b"data", "test@v1"
TEAM = make_root(
    root=role("rita", "ron", threshold=2),
    builder=role("bob", "ben", threshold=1),
    approver=role("ann", "abe", "amy", threshold=2),
)


def signed_by(*names: str) -> list[bytes]:
    return [signer(name).sign(DATA, NAMESPACE) for name in names]


def check(names: Sequence[str], root: Root = TEAM) -> Signers:
    return check_quorum("manifest", DATA, signed_by(*names), NAMESPACE, root, ("builder", "approver"))


def test_enough_of_each_role_is_enough() -> None:
    signers = check(("ann", "bob", "amy"))
    assert signers == Signers(
        (Tally("builder", 1, ("bob",), ("ben",)), Tally("approver", 2, ("amy", "ann"), ("abe",))), ()
    )


def test_an_approver_is_not_needed_where_the_root_asks_for_none() -> None:
    assert check(("builder",), make_root()).by_role == {"builder": ("builder",), "approver": ()}


def test_good_signatures_by_strangers_and_by_the_root_are_listed_and_count_for_nothing() -> None:
    signers = check(("bob", "ann", "amy", "stranger", "rita"))
    assert signers.unknown == (key("stranger").public.fingerprint, key("rita").public.fingerprint)


@pytest.mark.group(6)
def test_nobody_signed() -> None:
    with pytest.raises(NotSigned) as caught:
        check(())
    assert str(caught.value) == "the manifest is not signed"


@pytest.mark.group(6)
@pytest.mark.parametrize("name", ["stranger", "rita"])
def test_only_a_stranger_or_the_root_signed(name: str) -> None:
    with pytest.raises(UnknownSigner) as caught:
        check((name,))
    trusted = ", ".join(str(key(name)) for name in ("ben", "bob", "abe", "amy", "ann"))
    assert str(caught.value) == f"the manifest is signed by {key(name).public.fingerprint}; the root trusts {trusted}"


@pytest.mark.group(6)
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("bob",), "needs 2 approvers, has none, missing 2 of abe, amy, ann"),
        (("bob", "ann"), "needs 2 approvers, has 1 (ann), missing abe or amy"),
        (("bob", "ann", "ann"), "needs 2 approvers, has 1 (ann), missing abe or amy"),
        (("ann", "amy"), "needs 1 builder, has none, missing ben or bob"),
        (("ann",), "needs 1 builder, has none, missing ben or bob; needs 2 approvers, has 1 (ann), missing abe or amy"),
        (("bob", "ben"), "needs 2 approvers, has none, missing 2 of abe, amy, ann"),
    ],
)
def test_too_few_signed_and_the_message_says_who_is_missing(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ThresholdNotMet) as caught:
        check(names)
    assert str(caught.value) == f"the manifest has too few signatures: {message}"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_one_bad_signature_spoils_all_even_by_a_stranger() -> None:
    enough = signed_by("bob", "ann", "amy")
    for bad, error in (
        (signer("stranger").sign(b"other data", NAMESPACE), SignatureMismatch),
        (signer("stranger").sign(DATA, "other@v1"), UnacceptableSignature),
        (b"rubbish", UnacceptableSignature),
    ):
        with pytest.raises(error):
            check_quorum("manifest", DATA, [*enough, bad], NAMESPACE, TEAM, ("builder", "approver"))


@pytest.mark.group(48)
def test_a_flood_of_signatures_is_refused_before_any_is_checked() -> None:
    with pytest.raises(UnacceptableSignature, match="there are 17, at most 16 are read"):
        check_quorum("manifest", DATA, [b"rubbish"] * 17, NAMESPACE, TEAM, ("builder", "approver"))
