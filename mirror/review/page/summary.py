"""The first screen: enough to decide whether to read on, and where.

Example::

    join([banner(report), summary(report)])
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mirror.core.cuda.gpus import capability
from mirror.core.kinds import META, SHOWN
from mirror.core.target import Target
from mirror.core.trust.quorum import Tally
from mirror.core.words import counted, grouped, human_bytes, utc
from mirror.review.markup import Content, Html, element, join, word
from mirror.review.page.findings import question_anchor
from mirror.review.questions.diff import place
from mirror.review.questions.question import Question
from mirror.review.report.report import APPROVED, REFUSED, WAITING, Report


def banner(report: Report) -> Html:
    """What the signatures say, in one sentence."""
    standing = report.standing
    if standing == REFUSED:
        refusals = report.inventory.refusals
        said = (join((f"by {who}, {moment(one.at)}: ", word(one.note or "no reason given"))) for who, one in refusals)
        end = "this refusal lies" if len(refusals) == 1 else "these refusals lie"
        words = join(
            (element("strong", "Refused"), " ", join(said, "; "), f". It cannot be installed while {end} beside it.")
        )
    elif standing == WAITING:
        lacks = "; ".join(map(_lacking, report.inventory.missing))
        words = join((element("strong", "Signatures are missing"), f": {lacks}. It cannot be installed before that."))
    elif standing == APPROVED:
        names = ", ".join(report.inventory.signers.get("approver", ()))
        words = join((element("strong", "Approved"), f" by {names}: nothing is missing for it to be installed."))
    else:
        words = join(
            (
                element("strong", "No approval is asked for"),
                ": the root sets the approvers' threshold to 0, so the builders' signatures alone let it be installed.",
            )
        )
    return element("p", words, class_=f"standing {standing}", role="status")


def _lacking(one: Tally) -> str:
    has = f"{', '.join(one.signed)} signed" if one.signed else "none has signed"
    return f"{one.threshold} of the {one.role} keys must sign, {has}; still to sign: {one.who}"


def summary(report: Report) -> Html:
    """Facts on one side, what to look at on the other."""
    facts = element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in _facts(report)),
        class_="facts",
    )
    questions = element("div", element("h3", "What to look at"), *_questions(report), class_="questions")
    return element("div", facts, questions, class_="columns")


def _facts(report: Report) -> Iterator[tuple[str, Content]]:
    inventory, manifest = report.inventory, report.inventory.manifest
    yield "For", in_words(manifest.target)
    asked = (*report.dossier.requirements, *report.dossier.packages) if report.dossier else ()
    if asked:
        yield "Asked for", join((word(one) for one in asked), ", ")
    yield "Signatures", element("ul", *_signatories(report), class_="plain")
    said = [
        element(
            "li",
            element("strong", f"{who} {one.decision}"),
            f", {moment(one.at)}",
            ": " if one.note else None,
            word(one.note),
        )
        for who, one in inventory.statements
    ]
    if said:
        yield "Said of it", element("ul", *said, class_="plain")
    if inventory.ignored:
        yield "Beside it, ignored", element("ul", *(element("li", line) for line in inventory.ignored), class_="plain")
    root = element("code", grouped(report.root.fingerprint), class_="digest")
    yield "Judged by", join((f"root version {report.root.version}, sha256 ", root, _until(report)))
    yield "Locked", f"{moment(manifest.sequence)}, with mirror {manifest.tool or '(it does not say)'}"
    yield "Holds", _holds(report)
    yield "From", _origins(report)
    if report.since and report.changes:
        yield "Since", _since(report)
    against = [str(report.policy_result.advisories.source)] if report.policy_result.advisories else []
    against += [report.policy_result.policy] if report.policy_result.policy else []
    if against:
        yield "Held against", "; ".join(against)
    yield "Checked", "the signatures, and every byte against the signed list, when this report was made"
    yield "Manifest", join(("sha256 ", digest(inventory.manifest_sha256)))
    if report.dossier and report.dossier.notes:
        notes = element("ul", *(element("li", note) for note in report.dossier.notes), class_="plain")
        yield (
            "Notes",
            element(
                "details", element("summary", f"{len(report.dossier.notes)} of the builder's"), notes, class_="printed"
            ),
        )


def in_words(target: Target) -> str:
    """A target for people."""
    parts = [f"Linux on {target.arch} with glibc {target.glibc} or newer", f"Python {target.python}"]
    if target.gpu:
        known, number = capability(target.gpu), target.cuda_arch.rstrip("af")
        names = f" ({', '.join(known.models)})" if known else ""
        parts.append(f"NVIDIA GPUs of compute capability {number}{names}, as {target.gpu}")
    if target.cuda:
        parts.append(f"CUDA {target.cuda}")
    if target.cpu:
        parts.append(f"processors of level {target.cpu}")
    return "; ".join(parts)


def _signatories(report: Report) -> Iterator[Html]:
    for one in report.signatories():
        marks = [element("span", "\u2713 signed", class_="yes")] if one.signed else []
        if one.name in report.inventory.refusing:
            marks.append(element("span", "\u2717 refused it", class_="no"))
        marks = marks or [element("span", "\u2717 not signed", class_="no")]
        name, code = element("strong", one.name), element("code", one.fingerprint)
        yield element("li", f"{one.role} ", name, " ", join(marks, " "), " ", code)


def _until(report: Report) -> str:
    expires = "" if report.root.expires is None else f", until {moment(report.root.expires)}"
    alone = "; one builder's key decides alone" if report.root.is_one_person else ""
    return expires + alone


def _holds(report: Report) -> str:
    manifest = report.inventory.manifest
    groups = [kind.counted(len(found)) for kind in SHOWN if (found := manifest.of(kind))]
    counts = ", ".join(
        [*groups, f"{(documents := len(manifest.within(META)))} document{'s' if documents != 1 else ''}"]
    )
    size, files = human_bytes(manifest.total_bytes), len(manifest.artifacts)
    return f"{size} in {counted(files, 'file')} ({counts}); {human_bytes(manifest.installed_bytes)} once installed"


def _origins(report: Report) -> Html:
    places = Counter(place(row.artifact)[0] for row in report.rows)
    listed = sorted(places.items(), key=lambda item: (-item[1], item[0]))
    return join((join((word(name), f" {count}")) for name, count in listed), " \u00b7 ")


def _since(report: Report) -> Html:
    assert report.since and report.changes, "asked only with an earlier bundle"
    counted = [(group, len(getattr(report.changes, group))) for group in report.changes.GROUPS]
    words = [element("a", f"{count} {group}", href=f"#{question_anchor(group)}") for group, count in counted if count]
    signers = report.since.signers
    if signers is None:
        who = "a manifest alone: nobody's signature was checked"
    else:
        approvers = ", ".join(signers.get("approver", ()))
        who = f"approved by {approvers}" if approvers else "which nobody approved"
    order = "" if report.changes.newer > report.changes.older else " It is not older than this one!"
    order += f" Take care: {report.changes.strangers}." if report.changes.strangers else ""
    return join(
        (
            word(report.since.label),
            f" ({who}), locked {moment(report.changes.older)}: ",
            join(words, ", ") if words else "no artifact differs",
            f"; {report.changes.same} the same.{order}",
        )
    )


def _questions(report: Report) -> Iterator[Html]:
    found = [question for question in report.questions if question.findings]
    if not found:
        yield element("p", element("strong", "Nothing that was looked for was found."))
    yield element("ul", *(_question(question) for question in found), class_="counts") if found else element("p")
    unknown: dict[tuple[str, str], list[str]] = {}
    for question in report.questions:
        if question.unknown:
            unknown.setdefault((question.looked.capitalize(), question.unknown), []).append(_inner(question.title))
    for (looked, reason), titles in unknown.items():
        yield element("p", element("strong", looked), f" ({reason}): {', '.join(titles)}.", class_="unknown")
    clean = [_inner(question.title) for question in report.questions if not question.findings and not question.unknown]
    if clean:
        yield element("p", element("strong", "Looked for, nothing found"), f": {', '.join(clean)}.", class_="clean")


def _inner(title: str) -> str:
    """A title inside a sentence; an abbreviation keeps its capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _question(question: Question) -> Html:
    return element(
        "li",
        element(
            "a",
            element("span", str(len(question.findings)), class_="count"),
            " ",
            element("strong", question.title),
            href=f"#{question_anchor(question.key)}",
        ),
        element("span", question.why, class_="why"),
        class_=question.weight,
    )


def moment(seconds: int) -> str:
    """A time for people."""
    return utc(seconds).replace("T", " ").replace("Z", " UTC")


def digest(hexadecimal: str) -> Html:
    """A digest that may be broken into lines where it must, and is whole when it is copied."""
    groups = [hexadecimal[start : start + 8] for start in range(0, len(hexadecimal), 8)]
    return element("code", *(part for group in groups for part in (group, element("wbr"))), class_="digest")
