"""How to decide: check the bundle without mirror, then approve or refuse it, with everything filled in.

Example::

    deciding(report)
"""

from __future__ import annotations

from collections.abc import Iterator

from mirror.review.markup import Content, Html, element, join
from mirror.review.report.report import Report

_RECIPES = {
    "ssh-keygen": ("check-with-ssh-keygen.sh", "ssh-keygen of OpenSSH 8.1 or newer, GNU tar, awk and sha256sum"),
    "openssl": ("check-with-openssl.sh", "sh, openssl 3 and coreutils, nothing else"),
}


def deciding(report: Report) -> Html:
    """Two recipes, then the commands."""
    commands = report.commands
    return join(
        (
            element("h3", "Check it without mirror"),
            element(
                "p",
                "Each script below ends with a line that begins with ok, or names the first thing that is wrong. Save one "
                "beside the bundle and run it with sh. The keys in it are those of the root that this report was judged by: "
                "compare them with the ones you were told by another way than the bundle.",
            ),
            *_recipes(report),
            element("h3", "Approve"),
            *_approving(report),
            element("h3", "Refuse"),
            element(
                "p",
                "Any key of the root's may. It is honoured wherever the files it writes lie beside the bundle, until the same "
                "key approves.",
            ),
            _lines("With mirror:", commands.reject),
            _lines("With ssh-keygen alone:", commands.reject_by_hand),
            element("h3", "Afterwards"),
            _lines("Says who signed, who is missing and who refused:", commands.verify),
        )
    )


def _recipes(report: Report) -> Iterator[Html]:
    for key, script in report.recipes.items():
        filename, means = _RECIPES[key]
        yield element(
            "details",
            element("summary", element("strong", filename), f" \u2014 {means}"),
            element("pre", element("code", script)),
            class_="printed",
        )


def _approving(report: Report) -> Iterator[Html]:
    approver = report.root.approver
    if not approver.keys:
        yield element(
            "p",
            "The root names no approver, so there is no key that could approve this bundle: the builders' signatures alone let "
            "it be installed. Approvers are added by the holders of the root's keys (mirror trust rotate).",
        )
        if not report.inventory.missing:
            return
    for one in report.inventory.tallies:
        if one.signed or one.missing:
            names = ", ".join(sorted((*one.signed, *one.missing)))
            yield element(
                "p",
                f"{one.threshold} of the {len(one.signed) + len(one.missing)} {one.role} keys must sign: {names}. "
                f"Signed so far: {', '.join(one.signed) or 'none'}.",
            )
    if refusing := report.inventory.refusing:
        ask = "no signature of others makes up for it; ask them. Whoever refused takes it back by approving."
        yield element("p", element("strong", f"Refused by {', '.join(refusing)}"), f": {ask}")
    yield element(
        "p",
        "A builder who did not pack it signs in the same way as an approver. The bundle keeps its bytes; carry the files that "
        "are written together with it. KEY is your key's file, or NAME.pub of a key that an agent or a hardware token holds.",
    )
    yield _lines("With mirror:", report.commands.approve)
    yield _lines("With ssh-keygen alone:", report.commands.approve_by_hand)


def _lines(before: Content, lines: str) -> Html:
    return element("div", element("p", before), element("pre", element("code", lines)), class_="command")
