"""``mirror install --policy``: what the site forbids is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.closed.install import Options, install
from mirror.closed.preflight import PreflightFailed
from mirror.core.bundle.dossier import PATH, Dossier, FileFacts
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import FactsMissing, PolicyBreached
from tests.support.bundles import BundleSimulator
from tests.support.osv import wheel

WHEEL = wheel("left-pad", "1.0")
POLICY = Policy.parse(b"[licences]\nallowed = ['MIT']\n")


def bundle(path: Path, licence: str) -> Path:
    simulator = BundleSimulator()
    simulator.add(WHEEL.path, b"x", "left-pad", "1.0")
    if licence:
        simulator.add(PATH, Dossier((), (), (FileFacts(WHEEL.path, "wheel", licence=licence),)).encode())
    return simulator.write(path)


@pytest.mark.parametrize(
    ("licence", "error", "words"),
    [
        ("GPL-3.0-only", PolicyBreached, "left-pad 1.0 is under 'GPL-3.0-only', the policy allows MIT"),
        ("", FactsMissing, "carries no meta/dossier.json"),
    ],
)
def test_what_is_against_the_policy_is_refused_and_nothing_is_written(
    tmp_path: Path, licence: str, error: type[Exception], words: str
) -> None:
    path, prefix = bundle(tmp_path / "b.tar", licence), tmp_path / "p"
    with pytest.raises(error, match=words):
        install(Options(path, prefix, policy=POLICY), BundleSimulator().store(tmp_path / "keys"))
    assert not prefix.exists()


def test_what_keeps_the_policy_goes_on(tmp_path: Path) -> None:
    path = bundle(tmp_path / "b.tar", "MIT")
    with pytest.raises(PreflightFailed, match="carries neither uv nor pip"):
        install(Options(path, tmp_path / "p", policy=POLICY), BundleSimulator().store(tmp_path / "keys"))
