"""Bundles held against a policy: every breach, with both sides."""

from __future__ import annotations

import dataclasses
import json

import pytest

from mirror.core.advisories import known as advisories
from mirror.core.advisories.known import Advisories, Finding, Remark, Source
from mirror.core.bundle import dossier
from mirror.core.bundle.dossier import Dossier, FileFacts, Waiver
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.names import Sha256Hex
from mirror.core.policy.document import Policy
from mirror.core.policy.rules import Breach, FactsMissing, PolicyBreached, Verdict, hold, judge
from mirror.core.target import Target
from tests.support.osv import wheel

TODAY = "2026-11-20"
TORCH = wheel("torch", "2.11.0")
RPM = Artifact("rpms/cuda-nvcc-13-0.rpm", 1, Sha256Hex("b" * 64), "cuda-nvcc-13-0", "13.0.88-1")
META = Artifact("meta/install.txt", 1, Sha256Hex("c" * 64), "install.txt")


def manifest(*artifacts: Artifact) -> Manifest:
    return Manifest("demo", 1, Target(python="3.11", arch="x86_64", glibc="2.28"), (*artifacts, META))


def torch(**facts: object) -> Dossier:
    return Dossier((), (), (FileFacts(TORCH.path, "wheel", **facts),))  # type: ignore[arg-type]


def known(*findings: Finding, **changes: object) -> Advisories:
    found = Advisories(Source("dump", "all.zip", "a" * 64, "2026-11-20T00:00:00Z"), (TORCH.path,), findings=findings)
    return dataclasses.replace(found, **changes)  # type: ignore[arg-type]


def words(
    policy: str, facts: Dossier | None = None, about: Advisories | None = None, *artifacts: Artifact
) -> list[str]:
    verdict = hold(manifest(*(artifacts or (TORCH,))), facts, about, Policy.parse(policy.encode()), TODAY)
    return [str(one) for one in verdict.breaches]


LICENCES = "[licences]\nallowed = ['MIT', 'Apache-2.0']\n"


def test_a_licence_that_is_not_allowed_is_named_with_those_that_are() -> None:
    assert words(LICENCES, torch(licence="LicenseRef-NVIDIA")) == [
        "torch 2.11.0 is under 'LicenseRef-NVIDIA', the policy allows MIT, Apache-2.0"
    ]
    assert words(LICENCES, torch(licence="GPL-3.0-only OR MIT")) == []


def test_words_and_silence_are_refused_unless_they_are_allowed() -> None:
    said, silent = torch(licence_stated="NVIDIA  Proprietary software"), torch()
    assert words(LICENCES, said) == [
        "torch 2.11.0 is under 'NVIDIA  Proprietary software' in its publisher's words, the policy allows MIT, Apache-2.0"
    ]
    assert words(LICENCES, silent) == ["torch 2.11.0 names no licence, the policy allows MIT, Apache-2.0"]
    assert words(LICENCES + "words = ['nvidia proprietary Software']", said) == []
    assert words(LICENCES + "words = ['']", silent) != []
    assert words(LICENCES + "unknown = true", said) == words(LICENCES + "unknown = true", silent) == []
    assert words(LICENCES + "unknown = true", torch(licence="GPL-3.0-only")) != []


def test_what_only_looks_like_an_expression_counts_as_words() -> None:
    assert "in its publisher's words" in words(LICENCES, torch(licence="Dual License"))[0]
    assert words(LICENCES + "words = ['dual license']", torch(licence="Dual License")) == []


def test_an_exception_is_for_one_name() -> None:
    exception = "[[licences.exception]]\nname = '{}'\nreason = 'a contract'\n"
    assert words(LICENCES + exception.format("torch"), torch(licence="X")) == []
    assert words(LICENCES + exception.format("torchvision"), torch(licence="X")) != []


def test_a_long_list_is_shortened() -> None:
    allowed = ", ".join(f"'L{number}'" for number in range(20))
    (sentence,) = words(f"[licences]\nallowed = [{allowed}]", torch(licence="X"))
    assert sentence.endswith("the policy allows L0, L1, L2, L3, L4, L5, L6, L7 and 12 more")
    assert words("[licences]\nallowed = []", torch(licence="X"))[0].endswith("the policy allows nothing")


def test_only_those_whom_the_policy_names_may_waive() -> None:
    facts = torch(waivers=(Waiver("record-incomplete", "x", "alice"), Waiver("collision", "x", "bob")))
    assert words("[waivers]\nby = ['alice']", facts) == [
        "torch 2.11.0: collision is waived by 'bob', the policy lets alice waive"
    ]
    assert words("[waivers]\nby = []", facts)[0].endswith("by 'alice', the policy lets nobody waive")


FILES = Dossier(
    (),
    (),
    (
        FileFacts(TORCH.path, "wheel", hooks=("a.pth", "b.pth"), native=3, setuid=("bin/x",)),
        FileFacts(RPM.path, "rpm"),
    ),
)


@pytest.mark.parametrize(
    ("rule", "path", "sentence"),
    [
        (
            "hooks",
            TORCH.path,
            "torch 2.11.0 runs a.pth, b.pth whenever Python starts, the policy allows that for nobody",
        ),
        ("native", TORCH.path, "torch 2.11.0 holds 3 native files, the policy allows that for nobody"),
        ("setuid", TORCH.path, "torch 2.11.0 asks for setuid or setgid (bin/x), the policy allows that for nobody"),
        (
            "unsigned",
            RPM.path,
            "cuda-nvcc-13-0 13.0.88-1 carries no signature of its publisher, the policy allows that for nobody",
        ),
    ],
)
def test_what_is_in_a_file_may_be_forbidden(rule: str, path: str, sentence: str) -> None:
    policy = Policy.parse(f"[files]\n{rule} = false".encode())
    assert hold(manifest(TORCH, RPM), FILES, None, policy) == Verdict((Breach(path, f"files.{rule}", sentence),))
    assert words(f"[files]\n{rule} = true", FILES, None, TORCH, RPM) == []
    assert words(f"[files]\n{rule} = ['torch', 'cuda-nvcc-13-0']", FILES, None, TORCH, RPM) == []
    assert words(f"[files]\n{rule} = ['other']", FILES, None, TORCH, RPM)[0].endswith("allows that for other")


def test_a_signed_rpm_and_a_plain_wheel_break_none_of_these() -> None:
    facts = Dossier((), (), (FileFacts(TORCH.path, "wheel"), FileFacts(RPM.path, "rpm", signer="A" * 40)))
    rules = "\n".join(f"{rule} = false" for rule in ("hooks", "native", "setuid", "unsigned", "built"))
    assert words(f"[files]\n{rules}", facts, None, TORCH, RPM) == []


def test_what_was_built_here_is_told_without_a_dossier() -> None:
    built = dataclasses.replace(TORCH, origin="built")
    assert words("[files]\nbuilt = false", None, None, built) == [
        "torch 2.11.0 was built by the bundle's maker, the policy allows that for nobody"
    ]
    assert words("[files]\nbuilt = ['torch']", None, None, built) == words("[files]\nbuilt = false") == []


def test_a_file_that_the_dossier_forgets_is_a_breach() -> None:
    assert words(LICENCES, Dossier((), (), ())) == ["torch 2.11.0: the dossier says nothing of it, the policy asks"]


FINDING = Finding(TORCH.path, "torch", "2.11.0", "CVE-1", ("GHSA-1",), "high", "8.1", "a door", ("2.12",))
BLOCK = "[vulnerabilities]\nblock = ['critical', 'high']\n"


def ignored(name: str, expires: str = "") -> str:
    until = f"expires = '{expires}'\n" if expires else ""
    return f"{BLOCK}[[vulnerabilities.ignored]]\nid = '{name}'\nreason = 'unused'\n{until}"


def test_a_severity_that_blocks_is_named() -> None:
    sentence = "torch 2.11.0: CVE-1, high 8.1, fixed in 2.12: a door; the policy blocks critical, high"
    assert words(BLOCK, None, known(FINDING)) == [sentence]
    assert words(BLOCK, None, known(dataclasses.replace(FINDING, severity="medium"))) == []
    assert words(BLOCK, None, known(dataclasses.replace(FINDING, severity="unknown"))) == []


def test_what_is_ignored_by_any_of_its_names_does_not_block_until_its_day() -> None:
    assert words(ignored("CVE-1"), None, known(FINDING)) == words(ignored("GHSA-1"), None, known(FINDING)) == []
    assert words(ignored("CVE-2"), None, known(FINDING)) != []
    assert words(ignored("GHSA-1", TODAY), None, known(FINDING)) == []
    (late,) = words(ignored("GHSA-1", "2026-11-19"), None, known(FINDING))
    assert late.endswith("the policy blocks critical, high (ignored until 2026-11-19, it is 2026-11-20)")


def test_the_day_is_this_machines_when_none_is_given() -> None:
    policy = Policy.parse(ignored("CVE-1", "2000-01-01").encode())
    assert len(hold(manifest(TORCH), None, known(FINDING), policy).breaches) == 1


def test_blocking_what_is_unknown_blocks_what_could_not_be_told() -> None:
    block = "[vulnerabilities]\nblock = ['unknown']\n"
    about = known(unjudged=(Remark(TORCH.path, "it names no versions", "CVE-3"),))
    name = TORCH.path.split("/")[1]
    assert words(block, None, about) == [
        f"{name}: CVE-3 cannot be judged: it names no versions; the policy blocks unknown"
    ]
    assert words(BLOCK, None, about) == []
    assert words(block + "[[vulnerabilities.ignored]]\nid = 'CVE-3'\nreason = 'x'", None, about) == []
    assert words(block, None, known(looked_at=())) == [f"{name}: it was not looked up; the policy blocks unknown"]
    assert words(block, None, known(not_covered=(Remark(RPM.path, "x"),)), TORCH, RPM) == []


def test_what_a_breach_says_to_write_into_the_policy_allows_it() -> None:
    facts = Dossier((), (), (dataclasses.replace(FILES.files[0], waivers=(Waiver("collision", "x", "bob"),)),))
    keys = "\n".join(f"{key} = false" for key in ("native", "setuid"))
    strict = {
        "licences": LICENCES,
        "vulnerabilities": BLOCK,
        "waivers": "[waivers]\nby = ['alice']\n",
        "files.hooks": "[files]\nhooks = ['setuptools']\n",
        "files.native": f"[files]\n{keys}\n",
    }
    for rule, text in strict.items():
        verdict = hold(manifest(TORCH), facts, known(FINDING), Policy.parse(text.encode()), TODAY)
        (allow,) = (one.allow for one in verdict.breaches if one.rule == rule)
        allowing = text + allow if allow.startswith("[[") else allow
        again = hold(manifest(TORCH), facts, known(FINDING), Policy.parse(allowing.encode()), TODAY)
        assert rule not in [one.rule for one in again.breaches], allowing


def test_of_a_carried_file_without_a_licence_it_is_said_where_to_write_it() -> None:
    chat = Artifact("files/chat.jinja", 1, Sha256Hex("e" * 64), "chat.jinja")
    facts = Dossier((), (), (FileFacts(chat.path, "file"),))
    with pytest.raises(PolicyBreached, match="names no licence") as caught:
        hold(manifest(chat), facts, None, Policy.parse(LICENCES.encode())).enforce()
    assert caught.value.hint.endswith(
        'The licence of a file is said by licence = "MIT" or the like in its [[files]] of NAME.toml.'
    )


def test_what_is_ignored_is_told_with_its_reason_and_its_last_day() -> None:
    for expires, end in (("2026-12-31", "until 2026-12-31"), ("", "without an end")):
        policy = Policy.parse(ignored("GHSA-1", expires).encode())
        verdict = hold(manifest(TORCH), None, known(FINDING), policy, TODAY)
        ((finding, why),) = verdict.ignored
        assert finding == FINDING and str(why) == f"unused, {end}" and not verdict.breaches


def test_without_the_facts_the_policy_cannot_be_applied() -> None:
    policy = Policy.parse((LICENCES + BLOCK).encode())
    with pytest.raises(FactsMissing) as caught:
        hold(manifest(TORCH), None, None, policy).enforce()
    assert str(caught.value) == (
        "the policy cannot be applied in full: the bundle carries no meta/dossier.json, which tells licences, waivers and what "
        "is in the files and no meta/vulnerabilities.json, which tells known vulnerabilities"
    )
    assert caught.value.exit_code == 124
    with pytest.raises(FactsMissing, match=r"carries no meta/vulnerabilities\.json"):
        hold(manifest(TORCH), torch(licence="MIT"), None, policy).enforce()


def test_what_can_be_judged_is_judged_where_other_facts_are_missing() -> None:
    policy = Policy.parse((LICENCES + BLOCK + "[files]\nbuilt = false\n").encode())
    built = dataclasses.replace(TORCH, origin="built")
    with pytest.raises(PolicyBreached) as caught:
        hold(manifest(built), torch(licence="X"), None, policy).enforce()
    assert [one.rule for one in caught.value.breaches] == ["files.built", "licences"]
    assert caught.value.context().splitlines()[1:] == [
        "not judged: the bundle carries no meta/vulnerabilities.json, which tells known vulnerabilities",
        "a policy that allows such a thing says:",
        "    [files]",
        '    built = ["torch"]',
        "    [[licences.exception]]",
        '    name = "torch"',
        '    reason = "..."',
    ]
    assert "with --osv" in caught.value.hint
    nothing = hold(manifest(built), None, None, policy)
    assert [one.rule for one in nothing.breaches] == ["files.built"] and len(nothing.missing) == 2


def test_all_breaches_are_told_at_once() -> None:
    papers = {dossier.PATH: torch(licence="X").encode(), advisories.PATH: known(FINDING).encode()}
    digest = Sha256Hex("d" * 64)
    held = manifest(TORCH, *(Artifact(path, len(data), digest, path) for path, data in papers.items()))
    policy = Policy.parse((LICENCES + BLOCK).encode())
    with pytest.raises(PolicyBreached) as caught:
        judge(policy, held, lambda artifact: papers[artifact.path]).enforce()
    assert str(caught.value) == (
        "against the policy: torch 2.11.0 is under 'X', the policy allows MIT, Apache-2.0 (and 1 more)"
    )
    assert caught.value.context().startswith(f"{caught.value.breaches[1]}\n") and "CVE-1" in caught.value.context()
    assert json.dumps([vars(one) for one in caught.value.breaches])
    good = Policy.parse(b"[licences]\nallowed = ['X']")
    assert judge(good, held, lambda artifact: papers[artifact.path]) == Verdict(())
    judge(good, held, lambda artifact: papers[artifact.path]).enforce()
