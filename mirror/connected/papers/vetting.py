"""The gate before packing: every wheel of the bundle is vetted, and nothing is packed that nobody answers for.

``mirror.connected.contents.inspection`` reads; ``mirror.core.vetting.wheel`` judges one wheel, ``mirror.core.vetting.together``
the set; ``mirror verify --deep`` does the same on the finished bundle, with a reading of its own. Packages of the toolchain and
the interpreter were judged when they were read; what their programs ask of the host's C library is held against the target
here. ``mirror.connected.stack.waivers`` reads the waivers.

Rules: all that is refused is told at once; a waiver that covers nothing is told.

Example::

    gate = vet(wheels_of(assembly, contents), plan.target, locks.stack, packages)
    gate.judgement.waived
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from mirror.connected.stack.stack import Stack
from mirror.connected.stack.waivers import acceptance, check_projects, left_out_by_wish, template
from mirror.core.binaries.fatbin import Image
from mirror.core.binaries.glibc import GlibcNeed, newest_glibc
from mirror.core.binaries.native import Native
from mirror.core.bundle.dossier import Waiver
from mirror.core.bundle.manifest import Artifact
from mirror.core.errors import MirrorError
from mirror.core.names import project_name
from mirror.core.target import Target
from mirror.core.vetting.rules import GLIBC_FLOOR, Finding, Judgement, judge, owner_of
from mirror.core.vetting.together import vet_set
from mirror.core.vetting.wheel import Vetted, judge_wheel
from mirror.core.wheels.wheelfile import WheelFile


class WheelsRefused(MirrorError):
    """Wheels, packages or models of the stack break rules, and nobody waived that."""

    ref = "wheels-refused"
    exit_code = 121
    hint = "Take another version or revision of it, or leave it out."
    message = "{findings[0]} [{findings[0].rule}]{findings:more}"

    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        self.hint += acceptance(self.findings)

    def context(self) -> str:
        lines = "\n".join(f"{finding} [{finding.rule}]" for finding in self.findings[1:])
        return "\n\n".join(filter(None, (lines, template(self.findings))))


@dataclass(frozen=True)
class Gate:
    """What was found.

    Attributes:
        vetted: each wheel by its path in the bundle.
        judgement: what was waived; nothing is open.
        notes: what a person should know; one sentence each.
        glibc: the newest glibc that each wheel or package asks for on the target, by its path; not those that ask nothing.
    """

    vetted: Mapping[str, Vetted]
    judgement: Judgement
    notes: tuple[str, ...]
    glibc: Mapping[str, str] = field(default_factory=dict)

    @property
    def waivers(self) -> dict[str, tuple[Waiver, ...]]:
        """The waivers that each artifact needed, by its path, for the dossier."""
        owners = {finding.path: finding.project for finding, _ in self.judgement.waived}
        owners.update((path, one.project) for path, one in self.vetted.items())
        needed = {path: self.judgement.waivers_of(owner) for path, owner in owners.items()}
        return {path: waivers for path, waivers in needed.items() if waivers}


def vet(
    wheels: Mapping[Artifact, WheelFile],
    target: Target,
    stack: Stack | None,
    packages: Mapping[Artifact, Native] = MappingProxyType({}),
    absent: Iterable[str] = (),
    found: Sequence[Finding] = (),
    owners: Iterable[str] = (),
) -> Gate:
    """Vet the wheels of a bundle, those of ``tool/`` included, and what the programs of its packages ask for.

    Args:
        wheels: each with what was read in it.
        stack: the wishes with the waivers; None for a lock made elsewhere, which has none.
        packages: RPMs, component archives and the interpreter, each with what is compiled in it.
        found: what of other kinds breaks a rule.
        owners: names of all artifacts, which may have waivers.
        absent: names of packages that the locks pin and this bundle does without; they may have waivers all the same.

    Raises:
        WheelsRefused: when something is found that no waiver covers.
        InvalidDocument: when a waiver is for a project that is not there.
    """
    document = stack.file if stack else "NAME.toml"
    if stack:
        # What may be left out, by --without or because nobody reaches it, may have a waiver all the same.
        optional = [*(project_name(one.name) for one in stack.optional), *["python"] * stack.carries_python]
        names = [*(one.name for one in (*wheels, *packages)), *absent, *owners]
        check_projects(stack.waivers, [*map(owner_of, names), *optional], document)
    vetted = [judge_wheel(wheels[one], one, target) for one in sorted(wheels, key=lambda one: one.path)]
    installed = [one for one in vetted if one.artifact.is_project]
    asked = [str(one) for one in (*stack.requirements, *stack.optional)] if stack else []
    together, notes = vet_set(installed, target, asked)
    unpacked = {artifact: _unpacked(artifact, native, target) for artifact, native in packages.items()}
    findings = (*(finding for one in vetted for finding in one.findings), *together, *_above(unpacked, target), *found)
    waivers = (*stack.waivers, *left_out_by_wish(findings, stack.without, document)) if stack else ()
    judgement = judge(findings, waivers)
    if judgement.open:
        raise WheelsRefused(judgement.open)
    needs = {**{one.artifact: one.glibc for one in vetted}, **unpacked}
    newest = {
        artifact.path: version for artifact, found in needs.items() if (version := newest_glibc(found, target.arch))
    }
    notes = (*_notes(judgement, document), *notes, *_for_other_gpus(wheels, target))
    return Gate({one.artifact.path: one for one in vetted}, judgement, notes, newest)


def _unpacked(artifact: Artifact, native: Native, target: Target) -> tuple[GlibcNeed, ...]:
    """What the files ask for that the closed side unpacks: of a package, those below its CUDA release's directory."""
    home = f"/usr/local/cuda-{target.cuda}/" if artifact.kind and artifact.kind.is_toolchain else ""
    return tuple(need for need in native.needs if need.path.startswith(home))


def _above(packages: Mapping[Artifact, Iterable[GlibcNeed]], target: Target) -> Iterator[Finding]:
    for artifact, needs in packages.items():
        above = sorted((need for need in needs if need.above(target)), key=lambda need: (need.version, need.path))
        if above:
            more = f" (and {len(above) - 1} more of its files)" if len(above) > 1 else ""
            yield Finding(GLIBC_FLOOR, artifact.path, owner_of(artifact.name), above[-1].above(target) + more)


def _for_other_gpus(wheels: Mapping[Artifact, WheelFile], target: Target) -> Iterator[str]:
    """Wheels whose GPU code none of the target's GPUs can run. No rule: of libcufft it is all that can be seen from outside."""
    for artifact, wheel in sorted(wheels.items(), key=lambda item: item[0].path):
        gpus = wheel.native.gpus if target.gpu else ()
        if gpus and not any(Image(one).serves(target.gpu) for one in gpus):
            told = f"{artifact.name} {artifact.version} shows GPU code for {', '.join(gpus)} and none that serves {target.gpu}"
            yield f"{told}; it may bring that in a form that cannot be read, or pick other kernels"


def _notes(judgement: Judgement, document: str) -> Iterable[str]:
    for finding, (_, waiver) in judgement.waived:
        if waiver.by != "[python].without":
            yield f"waived by {waiver.by}, {finding.rule}: {finding} ({waiver.reason})"
    for project, waiver in judgement.idle:
        yield f"{document} waives {waiver.rule} of {project}, and nothing needs it"
