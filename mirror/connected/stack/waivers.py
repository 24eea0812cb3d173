"""``[[waiver]]`` of ``NAME.toml``: what somebody knows of a wheel, a package or a model, and accepts.

``mirror.core.vetting.rules`` holds the rules, and which of them can be waived; ``mirror.connected.papers.vetting`` is the gate
that needs the waivers. ``NAME.toml`` travels in the bundle and is signed, so the waivers are too.

Rules: a waiver names a project (a model by its repository, ``"org/name"``), a rule, a reason and a person; a rule that is
unknown, or that nobody can waive, is an error, as is a project that the stack does not have; a waiver that nothing needs is
told, for it would hide what comes next.

Example::

    [[waiver]]
    project = "setuptools"
    rule = "startup-hook"
    subject = "distutils-precedence.pth"     # without it, the waiver is for every finding of that rule
    reason = "sets the import hook that lets setuptools stand in for distutils; read, 151 bytes"
    by = "alice"
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mirror.core.bundle.dossier import Waiver
from mirror.core.errors import InvalidDocument
from mirror.core.fields import Fields
from mirror.core.kinds.model import repository_name
from mirror.core.names import project_name
from mirror.core.vetting.rules import RULES, Finding, ProjectWaiver


def read_waivers(tables: Iterable[Fields]) -> tuple[ProjectWaiver, ...]:
    """Read the tables. Raises InvalidDocument with the path to the fault."""
    waivers: list[ProjectWaiver] = []
    for table in tables:
        table.only("project", "rule", "subject", "reason", "by")
        project, rule = table.checked("project", _owner), table.text("rule")
        if rule not in RULES:
            known = ", ".join(name for name, one in RULES.items() if one.waivable)
            table.fail("rule", f"expected one of {known}; got {rule!r}")
        if not RULES[rule].waivable:
            table.fail("rule", f"nobody can waive {rule!r}: it refuses {RULES[rule].refuses}")
        waiver = Waiver(
            rule,
            table.checked("reason", _said),
            table.checked("by", _said),
            table.checked("subject", _said, " ").strip(),
        )
        table.end()
        if any((project, rule, waiver.subject) == (other, one.rule, one.subject) for other, one in waivers):
            table.fail("rule", f"{rule!r} is waived for {project} already")
        waivers.append((project, waiver))
    return tuple(waivers)


def _owner(text: str) -> str:
    return repository_name(text) if "/" in text else project_name(text)


def _said(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("expected one line that says something")
    return text


def check_projects(waivers: Iterable[ProjectWaiver], projects: Iterable[str], document: str) -> None:
    """Refuse a waiver for a project that the stack does not have: a misspelt one covers nothing.

    Raises:
        InvalidDocument: naming it.
    """
    known = set(projects)
    for index, (project, _) in enumerate(waivers):
        if project not in known:
            raise InvalidDocument(document, f"waiver[{index}].project", f"the stack has no {project}")


def left_out_by_wish(findings: Iterable[Finding], without: Iterable[str], document: str) -> Iterator[ProjectWaiver]:
    """Waivers that ``[python].without`` amounts to: what requires such a project goes without it."""
    for finding in findings:
        if finding.rule == "requires-unmet" and finding.subject in without:
            reason = f"{document} leaves {finding.subject} out: the closed host brings it, or does without"
            yield finding.project, Waiver(finding.rule, reason, "[python].without", finding.subject)


def template(findings: Iterable[Finding]) -> str:
    """What a person would write to accept them; empty when nobody can."""
    blocks = dict.fromkeys(
        f'[[waiver]]\nproject = "{finding.project}"\nrule = "{finding.rule}"\n'
        + (f"subject = {_quoted(finding.subject)}\n" if finding.subject else "")
        + 'reason = "..."\nby = "..."\n'
        for finding in findings
        if RULES[finding.rule].waivable
    )
    return "\n".join(blocks)


def acceptance(findings: Iterable[Finding]) -> str:
    """The end of a hint: what is to be written where findings are accepted, and which of them nobody can accept."""
    rules = dict.fromkeys(finding.rule for finding in findings)
    never = [rule for rule in rules if not RULES[rule].waivable]
    written = " Where it is known and accepted, write the [[waiver]] into NAME.toml with a reason and a name; both are signed."
    return written * (len(never) < len(rules)) + f" Nobody can waive {', '.join(never)}." * bool(never)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
