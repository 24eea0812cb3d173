"""A row for each artifact: what it is, under which licence, why, from where, and what was found inside.

On a narrow screen each row becomes a card, so every cell carries its column's name; the roles are written out, for a table
whose cells are laid out as blocks is no table to a screen reader any more.

Example::

    artifacts(report)
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.core.bundle.dossier import FileFacts
from mirror.core.kinds import SHOWN
from mirror.core.words import counted, human_bytes, utc
from mirror.review.markup import Content, Html, element, join, table, table_row, word
from mirror.review.page.findings import anchor, question_anchor
from mirror.review.page.summary import digest
from mirror.review.questions.diff import place
from mirror.review.questions.paths import ASKED, CARRIED, UNKNOWN, Reason
from mirror.review.questions.question import KNOW
from mirror.review.report.report import Report, Row

_COLUMNS = ("Artifact", "Licence", "Why it is here", "From", "Inside", "Size and sha256")
_SHOWN = 8
"""How many names of scripts are listed before the rest is counted."""


def artifacts(report: Report) -> Html:
    """A table for each directory of the bundle."""
    weights = {question.key: (question.weight, question.title) for question in report.questions}
    tables = []
    for kind in SHOWN:
        rows = [row for row in report.rows if row.artifact.kind is kind]
        if rows:
            size = human_bytes(sum(row.artifact.size for row in rows))
            caption = f"{kind.plural}: {len(rows)}, {size}"
            tables.append(table(caption, _COLUMNS, (_row(row, weights) for row in rows)))
    return join(tables)


def _row(row: Row, weights: dict[str, tuple[str, str]]) -> Html:
    cells = (_licence(row.facts), _why(row.why), _from(row), _inside(row.facts), _bytes(row))
    return table_row(_COLUMNS, _name(row, weights), cells, id=anchor(row.artifact.path))


def _name(row: Row, weights: dict[str, tuple[str, str]]) -> Iterator[Content]:
    artifact, facts = row.artifact, row.facts
    yield element("strong", word(artifact.name))
    yield " "
    yield word(artifact.version)
    marks = [(key, *weights[key]) for key in row.questions if weights[key][0] != KNOW]
    if marks:
        links = (
            element("a", title, href=f"#{question_anchor(key)}", class_=f"mark {weight}")
            for key, weight, title in marks
        )
        yield element("span", join(links, " "), class_="marks")
    if facts and facts.summary:
        yield element("span", word(facts.summary), class_="summary")
    yield element("span", artifact.filename, class_="filename")
    if facts and facts.homepage:
        yield element("span", word(facts.homepage), class_="filename")


def _licence(facts: FileFacts | None) -> Html:
    if facts is None:
        return _none("not known")
    if facts.licence:
        stated: Content = element("strong", word(facts.licence))
    elif facts.licence_stated:
        stated = join(("in words: ", element("q", word(facts.licence_stated))))
    else:
        stated = _none("none named")
    count = len(facts.licence_files)
    texts = element("span", f"{counted(count, 'text')} in it" if count else "no text in it", class_="note")
    return join((stated, texts))


def _why(why: Reason) -> Html:
    if why.kind == ASKED:
        return join((element("strong", "asked for: "), word(why.words)))
    if why.kind == UNKNOWN:
        return _none("nothing asks for it")
    return join((why.words,)) if why.kind == CARRIED else join((word(name) for name in why.path), " \u2192 ")


def _from(row: Row) -> Html:
    where, path = place(row.artifact)
    facts = row.facts
    parts: list[Content] = [element("strong", word(where))]
    if row.log:
        parts.append(element("span", element("a", "build log", href=f"#{anchor(row.log)}"), class_="note"))
    if facts and facts.source_sha256:
        parts.append(element("span", "source: sha256 ", digest(facts.source_sha256), class_="note"))
    if path:
        parts.append(element("span", path, class_="filename"))
    if facts and facts.uploaded:
        parts.append(element("span", f"uploaded {utc(facts.uploaded)[:10]}", class_="note"))
    if facts and facts.signer:
        parts.append(element("span", "signed by ", element("code", word(facts.signer), class_="digest"), class_="note"))
    return join(parts)


def _inside(facts: FileFacts | None) -> Html:
    if facts is None:
        return _none("not known")
    found = [*_native(facts), *_runs(facts)]
    if not found:
        return _none("no native code, no hooks")
    return element("ul", *(element("li", *item) for item in found), class_="plain")


def _native(facts: FileFacts) -> Iterator[tuple[Content, ...]]:
    if facts.native:
        yield (counted(facts.native, "native file"),)
    if facts.gpus:
        yield "GPU: ", word(", ".join(facts.gpus))
    needs = [
        f"{what} {version}" for what, version in (("glibc", facts.glibc), ("libstdc++", facts.libstdcxx)) if version
    ]
    if needs:
        yield "needs ", word(", ".join(needs))


def _runs(facts: FileFacts) -> Iterator[tuple[Content, ...]]:
    named = {
        "runs when Python starts: ": facts.hooks,
        "asks for setuid: ": facts.setuid,
        "on the PATH: ": facts.scripts,
        "scriptlets, not run: ": facts.scriptlets,
    }
    for title, names in named.items():
        if names:
            shown = names if title.startswith(("asks", "runs")) else names[:_SHOWN]
            more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else None
            yield title, word(", ".join(shown)), more
    for waiver in facts.waivers:
        subject = f" ({waiver.subject})" if waiver.subject else ""
        yield f"waived by {waiver.by}: ", word(f"{waiver.rule}{subject}: {waiver.reason}")
    if facts.yanked:
        yield "withdrawn: ", word(facts.yanked)


def _bytes(row: Row) -> Html:
    artifact = row.artifact
    unpacked = f", {human_bytes(artifact.unpacked_size)} unpacked" if artifact.unpacked_size else ""
    return join((element("span", human_bytes(artifact.size) + unpacked, class_="size"), digest(artifact.sha256)))


def _none(words: str) -> Html:
    return element("span", words, class_="none")
