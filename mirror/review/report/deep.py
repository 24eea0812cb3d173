"""``mirror verify --deep``: everything that the builder's gate looked at, looked at again, in the bundle itself.

1. Every wheel, member by member (``mirror.core.vetting.wheel``), and the wheels together (``mirror.core.vetting.together``).
2. Every RPM's header signature and archive digest, every component archive, and what ``mirror.review.kinds`` looks at.
3. What was found against what the dossier says, and against the waivers that it carries.

What programs in RPMs and archives ask of glibc is taken from the dossier: their archives are not decompressed here.

Rules: for a bundle whose signature and every byte have been checked; members are read where they are in the file, nothing is
unpacked or written; nothing of this machine is asked. A finding that no carried waiver covers stands in the way of approving.

Example::

    with open_bundle(path) as bundle:
        take_inventory(bundle, root, complete=True)
        look_deep(bundle).judgement.open
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mirror.core.binaries.glibc import is_above, newest_glibc, release_numbers
from mirror.core.bundle.dossier import Dossier
from mirror.core.bundle.manifest import Artifact, Manifest
from mirror.core.bundle.reader import Bundle
from mirror.core.errors import MirrorError
from mirror.core.kinds import kind_of
from mirror.core.progress import SILENT, Progress
from mirror.core.system.crew import Crew
from mirror.core.target import Target
from mirror.core.toolkit.carried import carried_archives, carried_rpms
from mirror.core.toolkit.package import Package, PackageSource
from mirror.core.vetting.rules import GLIBC_FLOOR, RULES, Finding, Judgement, ProjectWaiver, judge, owner_of
from mirror.core.vetting.together import vet_set
from mirror.core.vetting.wheel import Vetted, judge_wheel
from mirror.core.wheels.wheelfile import read_wheel
from mirror.review.kinds import LOOKS
from mirror.review.questions.contents import dossier_of

MAX_JOBS = 8


class NotWaived(MirrorError):
    """The bundle is intact, and something in it breaks a rule that nobody waived."""

    ref = "not-waived"
    exit_code = 122
    hint = (
        "Do not approve it as it is: ask its maker for another version, or for a [[waiver]] in NAME.toml with a reason and a "
        "name. Bundles made by an older mirror carry no waivers."
    )
    message = "{path}: {findings[0]} [{findings[0].rule}]{findings:more}"

    path: str
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        never = [rule for rule in dict.fromkeys(one.rule for one in self.findings) if not RULES[rule].waivable]
        if never:
            self.hint = f"{self.hint} Nobody can waive {', '.join(never)}."

    def context(self) -> str:
        return "\n".join(f"{finding} [{finding.rule}]" for finding in self.findings[1:])


@dataclass(frozen=True)
class Deep:
    """What was found inside.

    Attributes:
        wheels: how many were looked through, and their files.
        packages: how many RPMs and archives were.
        judgement: findings and the waivers that the bundle carries.
        notes: what a person may want to know.
    """

    wheels: tuple[int, int]
    packages: int
    judgement: Judgement
    notes: tuple[str, ...]

    def enforce(self, bundle: Path) -> None:
        """Refuse what no carried waiver covers. Raises NotWaived with all of it."""
        if self.judgement.open:
            raise NotWaived(str(bundle), self.judgement.open)

    def to_dict(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "wheels": self.wheels[0],
            "packages": self.packages,
            "open": [_as_dict(finding) for finding in self.judgement.open],
            "waived": [
                {**_as_dict(finding), "reason": waiver.reason, "by": waiver.by}
                for finding, (_, waiver) in self.judgement.waived
            ],
            "notes": list(self.notes),
        }


def _as_dict(finding: Finding) -> dict[str, str]:
    return {key: getattr(finding, key) for key in ("rule", "path", "project", "subject", "what")}


def look_deep(bundle: Bundle, progress: Progress = SILENT) -> Deep:
    """Look inside everything of a bundle that is trusted and verified.

    Raises:
        DigestMismatch: when the file has changed since it was verified.
        InvalidDocument: when a document in it breaks its format.
    """
    manifest = bundle.manifest
    dossier = dossier_of(bundle)
    wheels = [one for one in manifest.artifacts if one.is_wheel]
    others = [*manifest.toolchain, *(one for kind in LOOKS if not kind.is_data for one in manifest.of(kind))]
    with (
        progress.task("look inside", sum(one.size for one in (*wheels, *others))) as advance,
        Crew(min(MAX_JOBS, os.cpu_count() or 1)) as crew,
    ):
        jobs = {one.path: crew.submit(_vet, bundle, one, advance) for one in sorted(wheels, key=lambda one: -one.size)}
        judged = crew.map(lambda job: job(), _package_jobs(bundle, others, dossier, advance))
        vetted = [jobs[one.path].result() for one in wheels]
        packages = [finding for found in judged for finding in found]
    together, notes = vet_set(
        [one for one in vetted if one.artifact.is_project],
        manifest.target,
        dossier.requirements if dossier else (),
    )
    findings = [finding for one in vetted for finding in one.findings]
    data = ((one, look) for kind, look in LOOKS.items() if kind.is_data for one in manifest.of(kind))
    findings += [finding for one, look in data for finding in look(bundle, one)]
    findings += [*together, *packages, *_contradictions(vetted, dossier, manifest.target)]
    findings += _above(others, dossier, manifest.target)
    judgement = judge(findings, _waivers(dossier, manifest))
    notes = (*notes, *(f"{one.artifact.filename}: {fault}" for one in vetted for fault in one.unread))
    if dossier is None:
        notes = (*notes, "it carries no dossier, and so no waivers: it was made by an older mirror")
    files = sum(one.files for one in vetted)
    return Deep((len(wheels), files), len(others), judgement, notes)


def _vet(bundle: Bundle, artifact: Artifact, advance: Callable[[int], object]) -> Vetted:
    with bundle.open(artifact) as stream:
        return judge_wheel(read_wheel(stream, advance), artifact, bundle.manifest.target)


def _package_jobs(
    bundle: Bundle, artifacts: Sequence[Artifact], dossier: Dossier | None, advance: Callable[[int], object]
) -> Iterator[Callable[[], list[Finding]]]:
    """For each RPM, component archive and interpreter, what looks at it and tells what is wrong."""

    def job(artifact: Artifact, look: Callable[[], object]) -> Callable[[], list[Finding]]:
        def run() -> list[Finding]:
            try:
                found = look()
            except MirrorError as exc:
                return [Finding("package", artifact.path, artifact.name, str(exc))]
            finally:
                advance(artifact.size)
            signer = found.signer if isinstance(found, Package) else ""
            words = _said_otherwise(dossier, artifact, signer)
            told = [*found] if isinstance(found, tuple) else []
            return [*told, Finding("dossier", artifact.path, artifact.name, words)] if words else told

        return run

    sources: tuple[PackageSource, ...] = (*carried_rpms(bundle), *carried_archives(bundle))
    for artifact, source in zip(artifacts, sources):
        yield job(artifact, source.judge)
    for artifact in artifacts[len(sources) :]:
        yield job(artifact, partial(LOOKS[kind_of(artifact.directory)], bundle, artifact))


def _said_otherwise(dossier: Dossier | None, artifact: Artifact, signer: str) -> str:
    """What the dossier says wrongly of a package, or does not say; empty for nothing."""
    facts = dossier.file(artifact.path) if dossier else None
    if dossier and facts is None:
        return "the dossier does not speak of it"
    if facts and facts.signer != signer:
        return f"the dossier says that {facts.signer or 'nobody'} signed it; {signer or 'nobody'} did"
    return ""


def _contradictions(vetted: Iterable[Vetted], dossier: Dossier | None, target: Target) -> Iterator[Finding]:
    """What the dossier is silent about: a report made from it would be, too."""
    if dossier is None:
        return
    for one in vetted:
        facts = dossier.file(one.artifact.path)
        if facts is None:
            yield Finding("dossier", one.artifact.path, one.project, "the dossier does not speak of it")
            continue
        for kind, found, said in (
            ("start-up hook", one.hooks, facts.hooks),
            ("script", one.scripts, facts.scripts),
            ("set-user-id file", one.setuid, facts.setuid),
        ):
            for name in sorted(set(found) - set(said)):
                yield Finding(
                    "dossier", one.artifact.path, one.project, f"the dossier does not name its {kind} {name!r}"
                )
        needs = newest_glibc(one.glibc, target.arch)
        if release_numbers(needs) > release_numbers(facts.glibc):
            what = f"the dossier says that it needs glibc {facts.glibc or '-'}, its files need {needs}"
            yield Finding("dossier", one.artifact.path, one.project, what)


def _above(artifacts: Iterable[Artifact], dossier: Dossier | None, target: Target) -> Iterator[Finding]:
    """Packages whose programs would not start on the oldest C library of the target, by the dossier's word."""
    for artifact in artifacts:
        facts = dossier.file(artifact.path) if dossier else None
        if facts and is_above(facts.glibc, target):
            what = f"it needs glibc {facts.glibc}, as the dossier says; the target promises glibc {target.glibc}"
            yield Finding(GLIBC_FLOOR, artifact.path, owner_of(artifact.name), what)


def _waivers(dossier: Dossier | None, manifest: Manifest) -> Iterator[ProjectWaiver]:
    owners = {artifact.path: owner_of(artifact.name) for artifact in manifest.artifacts}
    for facts in dossier.files if dossier else ():
        for waiver in facts.waivers:
            yield owners.get(facts.path, ""), waiver
