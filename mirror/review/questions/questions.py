"""The questions that a reviewer asks of every bundle, in the order in which the answers are wanted.

Each is asked of every artifact, by what the manifest, the dossier, the earlier bundle, the advisories and the policy tell.

Rules: as ``mirror.review.questions.question``; each question is about one thing, and says in one sentence why it matters.

Example::

    [question.title for question in look(Subject(contents, reasons, changes)) if question.findings]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Callable

from mirror.core.advisories.cvss import SEVERITIES
from mirror.core.binaries.fatbin import Image
from mirror.core.binaries.glibc import is_above
from mirror.core.bundle.dossier import FileFacts
from mirror.core.bundle.manifest import BUILT
from mirror.core.kinds import kind_named
from mirror.core.words import counted
from mirror.review.questions.paths import UNKNOWN
from mirror.review.questions.question import DECIDE, KNOW, LOOK, Finding, Question, Subject


def look(subject: Subject) -> tuple[Question, ...]:
    """Ask every question, in the reviewer's order; the answers are also those that found nothing."""
    return tuple(_ask(subject, *question) for question in _QUESTIONS)


def _ask(subject: Subject, key: str, weight: str, needs: str, answer: _Answer, title: str, why: str) -> Question:
    lacking = _lacking(subject, needs)
    # Of a policy, what can be judged is told, and what cannot.
    return Question(
        key, weight, title, why, tuple(answer(subject)) if not lacking or needs == "policy" else (), lacking
    )


def _lacking(subject: Subject, needs: str) -> str:
    there = {
        "": True,
        "dossier": subject.contents.dossier,
        "older": subject.changes,
        "advisories": subject.policy_result.advisories,
        "policy": not subject.policy_result.lacking,
    }
    return "" if there[needs] else _LACKING.get(needs, subject.policy_result.lacking)


_LACKING = {
    "dossier": "the bundle carries no dossier (an older mirror made it)",
    "older": "no earlier bundle was given (--since OLD)",
    "advisories": "no vulnerability data came with the bundle",
}


def _of_facts(told: Callable[[FileFacts], str]) -> _Answer:
    """A question that an artifact's facts answer by themselves, with a detail or with nothing."""

    def answer(subject: Subject) -> Iterator[Finding]:
        return (Finding(facts.path, detail) for facts in subject.facts if (detail := told(facts)))

    return answer


def _changed(group: str) -> _Answer:
    """The artifacts of one group of changes, each with what was there before."""

    def answer(subject: Subject) -> Iterator[Finding]:
        for change in getattr(subject.changes, group):
            old, new = change.old, change.new
            words = []
            if old and old.version != new.version:
                words.append(f"{old.version or '-'} \u2192 {new.version or '-'}")
            if change.places:
                words.append(f"{change.places[0]} \u2192 {change.places[1]}")
            if group in ("replaced", "rebuilt"):
                named = "" if old.filename == new.filename else f"{old.filename}, "
                words.append(f"before: {named}sha256 {old.sha256}")
            yield Finding(new.path, "; ".join(words))

    return answer


def _breaches(subject: Subject) -> Iterator[Finding]:
    for breach in subject.policy_result.breaches or ():
        artifact = subject.contents.manifest.find(breach.path)
        title = f"{artifact.name} {artifact.version}".strip() if artifact else ""
        # Without the artifact's name, which a finding has already, the same words of many can be told once.
        words = breach.words[len(title) :].lstrip(": ") if breach.words.startswith(title) else breach.words
        yield Finding(breach.path, f"{breach.rule}: {words}")


def _vulnerabilities(subject: Subject) -> Iterator[Finding]:
    found = subject.policy_result.advisories.findings if subject.policy_result.advisories else ()
    for one in sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.path, one.id)):
        fixed = f"fixed in {', '.join(one.fixed[:3])}" if one.fixed else "no fixed version is named"
        score, summary = (f" {one.score}" if one.score else ""), (f": {one.summary}" if one.summary else "")
        why = subject.policy_result.ignored.get((one.path, one.id))
        ignored = f"; ignored by the policy: {why}" if why else ""
        yield Finding(one.path, f"{one.severity}{score}, {one.id}, {fixed}{summary}{ignored}")


def _unjudged(subject: Subject) -> Iterator[Finding]:
    for one in subject.policy_result.advisories.unjudged if subject.policy_result.advisories else ():
        yield Finding(one.path, f"{one.id}: {one.reason}" if one.id else one.reason)


def _not_covered(subject: Subject) -> Iterator[Finding]:
    for one in subject.policy_result.advisories.not_covered if subject.policy_result.advisories else ():
        yield Finding(one.path, one.reason)


def _gpu_missing(subject: Subject) -> Iterator[Finding]:
    gpu = subject.contents.manifest.target.gpu
    for facts in subject.facts if gpu else ():
        if facts.gpus and not any(_serves(arch, gpu) for arch in facts.gpus):
            yield Finding(facts.path, f"has {', '.join(facts.gpus)}")


def _serves(arch: str, gpu: str) -> bool:
    try:
        return Image(arch).serves(gpu)
    except ValueError:  # a word that names no architecture serves none
        return False


def _glibc_above(subject: Subject) -> Iterator[Finding]:
    target = subject.contents.manifest.target
    above = (facts for facts in subject.facts if is_above(facts.glibc, target))
    return (Finding(facts.path, f"needs glibc {facts.glibc}") for facts in above)


def _of_the_hosts_python(subject: Subject) -> Iterator[Finding]:
    manifest = subject.contents.manifest
    wheels = {one.name: one.path for one in manifest.wheels}
    for project, needs in manifest.host_packages:
        for by, wanted in needs:
            yield Finding(wheels.get(by, by), f"uses {project}{wanted} of the host's Python")


def _built(subject: Subject) -> Iterator[Finding]:
    for artifact in subject.artifacts:
        if artifact.origin == BUILT:
            facts = subject.contents.facts(artifact.path)
            source = facts.source_sha256 if facts else ""
            yield Finding(artifact.path, f"from the source with sha256 {source}" if source else "")


def _local(subject: Subject) -> Iterator[Finding]:
    return (Finding(one.path, one.origin) for one in subject.artifacts if one.origin.startswith("file:"))


def _unexplained(subject: Subject) -> Iterator[Finding]:
    return (Finding(one.path) for one in subject.artifacts if subject.reasons[one.path].kind == UNKNOWN)


def _undescribed(subject: Subject) -> Iterator[Finding]:
    described = {facts.path for facts in subject.facts}
    there = {artifact.path for artifact in subject.artifacts}
    yield from (Finding(path, "the dossier says nothing of it") for path in sorted(there - described))
    yield from (
        Finding(path, "the dossier tells of it, and it is not in the bundle") for path in sorted(described - there)
    )


def _unsigned(facts: FileFacts) -> str:
    return "" if facts.signer else kind_named(facts.kind).unsigned


def _waived(subject: Subject) -> Iterator[Finding]:
    for facts in subject.facts:
        for waiver in facts.waivers:
            of_what = f" ({waiver.subject})" if waiver.subject else ""
            yield Finding(facts.path, f"{waiver.rule}{of_what}: {waiver.reason} \u2014 accepted by {waiver.by}")


_Answer = Callable[[Subject], Iterable[Finding]]

_QUESTIONS: tuple[tuple[str, str, str, _Answer, str, str], ...] = (
    (
        "replaced", DECIDE, "older", _changed("replaced"), "Same version, other bytes",
        "A publisher does not change a released file, and a build of one's own is not the released one: ask why before "
        "anything else.",
    ),
    (
        "policy", DECIDE, "policy", _breaches, "Against the policy",
        "Your site has decided about these before; whoever may waive the rule must say so.",
    ),
    (
        "vulnerable", DECIDE, "advisories", _vulnerabilities, "Known vulnerabilities",
        "Each is public, with the way to use it often beside it; decide whether this stack is exposed.",
    ),
    (
        "glibc", DECIDE, "dossier", _glibc_above, "Needs a newer glibc than the target's",
        "It cannot be loaded on a host whose C library is the oldest that the target promises.",
    ),
    (
        "unjudged", LOOK, "advisories", _unjudged, "Vulnerability records in doubt",
        "They name the project, but not so that its version can be held against them: read them.",
    ),
    (
        "gpu", LOOK, "dossier", _gpu_missing, "GPU code for other GPUs only",
        "None of its compiled kernels runs on the target's GPU: what needs one of them fails, unless it is compiled there.",
    ),
    (
        "host-packages", LOOK, "", _of_the_hosts_python, "Uses packages that are not carried",
        "They are whatever each host's own Python has, and run with the rights of the stack: nobody approved them here.",
    ),
    (
        "yanked", LOOK, "dossier", _of_facts(lambda facts: facts.yanked), "Withdrawn by its publisher",
        "The index marks it as yanked: its publisher found that it should not be used.",
    ),
    (
        "undescribed", LOOK, "dossier", _undescribed, "Not described",
        "The bundle's own description and its contents disagree, so nothing below is known of these.",
    ),
    (
        "waived", LOOK, "dossier",
        _waived, "Waivers",
        "A rule refuses these, and a named person has accepted them for a reason: does it convince you?",
    ),
    (
        "hooks", LOOK, "dossier", _of_facts(lambda facts: ", ".join(facts.hooks)), "Runs whenever Python starts",
        "Such a file runs in every Python of the environment, whether its project is used or not.",
    ),
    (
        "setuid", LOOK, "dossier", _of_facts(lambda facts: ", ".join(facts.setuid)), "Asks for setuid or setgid",
        "The installer never grants it, but a program that expects it does not work, or is not what it seems.",
    ),
    (
        "built-here", LOOK, "", _built, "Built here",
        "No publisher's digest vouches for these: the builder's machine made them from source; their logs are below.",
    ),
    (
        "no-licence", LOOK, "dossier",
        _of_facts(lambda facts: "" if facts.licence or facts.licence_stated else "names none"), "No licence named",
        "Without a licence nobody has a right to use it; look for one at its publisher's.",
    ),
    (
        "licence-words", LOOK, "dossier",
        _of_facts(lambda facts: "" if facts.licence else facts.licence_stated), "Licence in words only",
        "The publisher's words are no SPDX expression, so no machine can compare them with a list: read them.",
    ),
    (
        "unexplained", LOOK, "dossier", _unexplained, "Nothing asks for it",
        "No way of dependencies leads here from what the stack asks for; it may be a needless risk.",
    ),
    (
        "local", LOOK, "", _local, "From a directory of the builder's",
        "Where these came from before is the builder's word alone; the bytes are pinned by the lock.",
    ),
    (
        "unsigned", LOOK, "dossier", _of_facts(_unsigned), "RPMs and archives without a publisher's signature",
        "They are trusted by their pinned digest alone, taken from the publisher's list when the lock was made.",
    ),
    (
        "added", LOOK, "older", _changed("added"), "New since the earlier bundle",
        "Nobody who read the earlier one has seen these.",
    ),
    (
        "updated", LOOK, "older", _changed("updated"), "Another version than in the earlier bundle",
        "What was approved was another file of this name.",
    ),
    (
        "relabelled", LOOK, "older", _changed("relabelled"), "Same bytes under another version",
        "One of the two bundles names a wrong version: ask which.",
    ),
    (
        "rebuilt", LOOK, "older", _changed("rebuilt"), "Built again with other bytes",
        "The same version, made here before and made here anew; compare the sources' digests and the logs.",
    ),
    (
        "scriptlets", KNOW, "dossier", _of_facts(lambda facts: ", ".join(facts.scriptlets)), "RPM scriptlets that are not run",
        "What they would do as root is done by the installer without them, or not at all.",
    ),
    (
        "native", KNOW, "dossier",
        _of_facts(lambda facts: counted(facts.native, "file") if facts.native else ""), "Native code",
        "Machine code cannot be read as Python can: it is trusted by where it came from.",
    ),
    (
        "not-covered", KNOW, "advisories", _not_covered, "Outside the vulnerability data",
        "The source knows nothing of these kinds of file, so nothing found there means nothing.",
    ),
)  # fmt: skip
"""Key, weight, what an answer needs, the answer, title, why."""
