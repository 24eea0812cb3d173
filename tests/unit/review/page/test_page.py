"""The page: sound HTML, whole, that loads nothing, whatever a bundle says."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mirror import __version__
from mirror.core.advisories.known import Advisories, Finding, Source
from mirror.core.bundle.dossier import FileFacts, Waiver
from mirror.core.policy.document import Policy, read_policy
from mirror.core.target import Target
from mirror.core.trust.sidecars import REJECTED
from mirror.review.decisions.approval import decide
from mirror.review.page import page
from mirror.review.page.style import STYLE
from mirror.review.page.summary import in_words
from mirror.review.questions.contents import Contents
from mirror.review.questions.diff import Changes, place
from mirror.review.questions.judgement import Judgement
from mirror.review.report.report import Report
from tests.support.keys import make_root, role, signer
from tests.support.reports import ROOT, Case, Page, report_of

A = "wheels/a-1-py3-none-any.whl"
HOSTILE = "\"><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>\u202ecod.exe\x1b[2J'&amp;"
SHOWN = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\x1b", "⟨U+001B⟩")


def site_policy(directory: Path) -> Policy:
    path = directory / "policy.toml"
    path.write_text('[licences]\nallowed = ["Apache-2.0"]\n')
    return read_policy(path)


def rich(directory: Path) -> Report:
    """A bundle with one of everything, and an earlier one."""
    (directory / "old").mkdir()
    old = Case(directory / "old", sequence=1_780_000_000)
    old.add("wheels/a-0-py3-none-any.whl")
    old.add("wheels/gone-1-py3-none-any.whl")
    old.add("wheels/evil-1-py3-none-any.whl", b"before")
    case = Case(directory)
    case.add(A, requires=("b",), scripts=tuple(f"tool{number}" for number in range(10)), homepage="https://a.example/")
    case.add("wheels/b-1-py3-none-any.whl", asked=False, licence_stated="ask us", licence_files=("LICENSE", "NOTICE"))
    case.add(
        "wheels/c-1-py3-none-any.whl",
        origin="built",
        built="meta/build-c.log",
        source_sha256="cd" * 32,
        native=2,
        gpus=("sm_80",),
        glibc="2.35",
        libstdcxx="3.4.29",
    )
    case.add("wheels/evil-1-py3-none-any.whl", b"after", yanked="broken", hooks=("evil.pth",), setuid=("bin/su",))
    case.add(
        "wheels/w-1-py3-none-any.whl", licence="", waivers=(Waiver("hook", "needed", "alice", "w.pth"),), uploaded=1
    )
    case.add("rpms/cuda-crt-1-1.x86_64.rpm", scriptlets=("%post",), signer="")
    case.add("redist/cuda_nvcc-1-archive.tar.xz", origin="file:///srv/x.tar.xz")
    case.add("python/cpython-3.11.tar.gz")
    case.add("tool/mirror.pyz", origin="mirror", version="0")
    case.simulator.add("meta/build-c.log", b"$ build_wheel\n\x1b[32mdone\n")
    case.simulator.add("meta/licences.txt", b"Licence of a: do as you like\n")
    case.simulator.add("meta/sbom.cdx.json", b"{}")
    case.notes = ("something was left out",)
    known = Advisories(
        Source("dump", "all.zip", date="2026-11-20T08:00:00Z"), (A,), findings=(Finding(A, "a", "1", "CVE-2026-1"),)
    )
    return case.report(old.contents(), Judgement(known, site_policy(directory), "site.toml", "2026-11-21"))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return rich(tmp_path_factory.mktemp("rich"))


@pytest.fixture(scope="module")
def rendered(report: Report) -> str:
    return page(report)


@pytest.fixture(scope="module")
def parsed(rendered: str) -> Page:
    return Page(rendered)


def test_nothing_is_loaded_and_nothing_leaves_the_page(parsed: Page) -> None:
    names = {name for name, _ in parsed.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "svg"}
    for name, attributes in parsed.elements:
        assert not attributes.keys() & {"src", "srcset", "style", "action", "data", "background", "ping"}, name
        assert not [key for key in attributes if key.startswith("on")]
    assert all(str(link["href"]).startswith("#") for link in parsed.all("a"))


def test_the_policy_forbids_everything_but_this_style_sheet(rendered: str, parsed: Page) -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", rendered, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [meta["content"] for meta in parsed.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style and "@import" not in style and "//" not in style


def test_every_link_has_its_end_and_every_id_is_there_once(parsed: Page) -> None:
    ids = parsed.ids()
    assert len(set(ids)) == len(ids)
    ends = {str(link["href"])[1:] for link in parsed.all("a")}
    assert ends <= set(ids), ends - set(ids)
    labelled = {str(a["aria-labelledby"]) for _, a in parsed.elements if "aria-labelledby" in a}
    assert labelled <= set(ids)


def test_headings_do_not_skip_a_level_and_there_is_one_of_the_first(parsed: Page) -> None:
    levels = [int(name[1]) for name, _ in parsed.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    assert len(parsed.all("main")) == len(parsed.all("header")) == len(parsed.all("nav")) == 1
    (html,) = parsed.all("html")
    assert html["lang"] == "en"


def test_tables_say_what_their_cells_are(parsed: Page) -> None:
    assert len(parsed.all("table")) == len(parsed.all("caption")) == 6
    assert {str(cell["scope"]) for cell in parsed.all("th")} == {"col", "row"}
    rows = [cell for cell in parsed.all("th") if cell["scope"] == "row"]
    assert all(cell.get("data-label") for cell in [*rows, *parsed.all("td")])


def test_there_is_a_row_for_each_artifact(report: Report, parsed: Page) -> None:
    rows = [str(row["id"])[2:] for row in parsed.all("tr") if str(row.get("id", "")).startswith("a-")]
    assert sorted(rows) == sorted(row.artifact.path for row in report.rows)


def test_everything_that_was_asked_for_is_on_it(report: Report, parsed: Page) -> None:
    for row in report.rows:
        assert row.artifact.sha256 in parsed.text and row.artifact.filename in parsed.text
    for words in (
        "NVIDIA GPUs of compute capability 9.0 (H100, H200, GH200)", "Linux on x86_64 with glibc 2.28 or newer",
        "a → b", "asked for: ", "in words: ", "ask us", "2 texts in it", "built here", "GPU: ", "sm_80",
        "needs ", "glibc 2.35, libstdc++ 3.4.29", "runs when Python starts: ", "evil.pth", "asks for setuid: ", "on the PATH: ",
        " and 2 more", "waived by alice: ", "hook (w.pth): needed", "withdrawn: ", "uploaded 1970-01-01",
        "scriptlets, not run: ", "cd" * 32, "https://a.example/", "list of parts", ROOT.fingerprint,
        report.inventory.manifest_sha256,
        "Same version, other bytes", "Licence of a: do as you like", "something was left out",
        "By all.zip of 2026-11-20.", "licences: is under 'MIT', the policy allows Apache-2.0", "site.toml on 2026-11-21",
        "CVE-2026-1", f"Generated by mirror {__version__}",
        "mirror approve demo.tar --key KEY", "ssh-keygen -Y sign -n mirror-manifest@v1", "mirror reject demo.tar",
    ):  # fmt: skip
        assert words in parsed.text, words
    for recipe in report.recipes.values():
        assert recipe in parsed.text
    assert all(one.fingerprint in parsed.text for one in report.signatories())


def test_the_summary_counts_each_finding_and_links_to_it(report: Report, rendered: str, parsed: Page) -> None:
    summary = Page(rendered[rendered.index('<section id="summary"') : rendered.index('<section id="changes"')])
    links = [str(link["href"]) for link in summary.all("a")]
    for question in report.questions:
        key = (
            f"#changes-{question.key}"
            if question.key in ("added", "updated", "rebuilt", "replaced")
            else f"#question-{question.key}"
        )
        assert (key in links) == bool(question.findings), question.key
        if question.findings:
            assert f"{len(question.findings)} {question.title}{question.why}" in summary.text
    assert "Looked for, nothing found" in summary.text


def test_what_changed_comes_before_the_rest(rendered: str) -> None:
    order = re.findall(r'<section id="([a-z]+)"', rendered)
    assert order == ["summary", "changes", "questions", "decide", "artifacts", "documents", "logs", "licences"]


def test_a_build_log_is_folded_away_and_shows_its_control_characters(rendered: str, parsed: Page) -> None:
    assert "⟨U+001B⟩[32mdone" in parsed.text
    assert re.search(r'<details id="a-meta/build-c\.log"><summary>', rendered)
    assert 'href="#a-meta/build-c.log"' in rendered
    assert not [one for one in parsed.all("details") if "open" in one]


def test_equal_reports_give_equal_pages(report: Report, rendered: str, tmp_path: Path) -> None:
    assert page(report) == rendered
    (tmp_path / "again").mkdir()
    assert page(rich(tmp_path / "again")) == rendered


def test_the_page_is_utf_8_and_says_so(rendered: str) -> None:
    assert rendered.encode().startswith(b'<!doctype html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">')


def test_nothing_that_a_bundle_says_becomes_markup(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    old = Case(tmp_path / "old", sequence=1)
    old.add(A, name=HOSTILE, version="0")
    case = Case(tmp_path)
    words = (HOSTILE,)
    case.add(
        A, name=HOSTILE, version=HOSTILE, origin=HOSTILE, summary=HOSTILE, licence=HOSTILE, homepage=HOSTILE, yanked=HOSTILE,
        signer=HOSTILE, hooks=words, scripts=words, setuid=words, scriptlets=words, licence_files=words, requires=words,
        waivers=(Waiver(HOSTILE, HOSTILE, HOSTILE, HOSTILE),), glibc=HOSTILE, libstdcxx=HOSTILE, gpus=words, native=1,
        source_sha256=HOSTILE, asked=False,
    )  # fmt: skip
    case.add("wheels/b-1-py3-none-any.whl", licence_stated=HOSTILE, origin="built", built="meta/build-b.log")
    case.requirements, case.notes = words, words
    case.simulator.add("meta/build-b.log", HOSTILE.encode())
    case.simulator.add("meta/licences.txt", HOSTILE.encode())
    bundle, since = case.write(), old.contents("<b>old.tar")
    note = HOSTILE.replace("\u202e", "").replace("\x1b", "")
    decide(bundle, ROOT, REJECTED, signer("alice").sign, note, 1.0)
    rendered = page(report_of(bundle, ROOT, since, Judgement(policy=site_policy(tmp_path), policy_file=HOSTILE)))
    parsed = Page(rendered)
    assert "script" not in {name for name, _ in parsed.elements} and not parsed.all("img")
    assert all(str(link["href"]).startswith("#") for link in parsed.all("a"))
    assert not [attributes for _, attributes in parsed.elements if "onerror" in attributes]
    assert parsed.text.count(SHOWN) > 15
    assert "\u202e" not in rendered and "\x1b" not in rendered
    assert note in parsed.text


def plain(case: Case, since: Contents | None = None) -> Page:
    return Page(page(case.report(since)))


def test_a_page_in_which_nothing_is_to_be_looked_at_says_so(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    text = plain(case).text
    assert text.count("Nothing that was looked for was found.") == 2
    assert "Not looked for (no earlier bundle was given (--since OLD)): same version, other bytes" in text
    assert "What changed" not in text and "Build logs" not in text and "Licence texts" not in text


def test_without_a_dossier_the_page_says_what_is_not_known(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    case.has_dossier = False
    text = plain(case).text
    assert "Not looked for (the bundle carries no dossier (an older mirror made it)): " in text
    assert text.count("not known") == 2


def test_the_same_bundle_differs_in_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    text = plain(case, case.contents()).text
    assert "Nothing differs: 1 artifact is the same, byte for byte." in text
    assert "no artifact differs; 1 the same. It is not older than this one!" in text
    assert "which nobody approved" in text


def test_each_standing_has_its_sentence(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    bundle = case.write()
    words = "Signatures are missing: 2 of the approver keys must sign, none has signed; still to sign: alice and bob."
    assert words in Page(page(report_of(bundle))).text
    decide(bundle, ROOT, "approved", signer("alice").sign, "read it all", 1.0)
    text = Page(page(report_of(bundle))).text
    assert (
        "alice signed; still to sign: bob." in text and "alice approved, 1970-01-01 00:00:01 UTC: read it all" in text
    )
    decide(bundle, ROOT, "approved", signer("bob").sign, "", 1.0)
    assert "Approved by alice, bob: nothing is missing" in Page(page(report_of(bundle))).text
    decide(bundle, ROOT, REJECTED, signer("bob").sign, "", 2.0)
    assert "Refused by bob, 1970-01-01 00:00:02 UTC: no reason given." in Page(page(report_of(bundle))).text
    text = Page(page(report_of(bundle))).text
    assert "approver bob \u2713 signed \u2717 refused it" in text, "no list says that he approves"
    assert "approver alice \u2713 signed" in text and "alice \u2713 signed \u2717" not in text
    assert "Refused by bob: no signature of others makes up for it; ask them. Whoever refused takes it back" in text
    bundle.with_name("demo.tar.approval.9.sig").write_text("rubbish")
    assert "demo.tar.approval.9.sig: " in Page(page(report_of(bundle))).text


def test_all_who_refused_are_named_with_their_time_and_reason_and_none_who_approved_since(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    bundle = case.write()
    decide(bundle, ROOT, REJECTED, signer("bob").sign, "too <b>large</b>", 2.0)
    decide(bundle, ROOT, REJECTED, signer("alice").sign, "torch is not ours", 3.0)
    text = Page(page(report_of(bundle))).text
    assert (
        "Refused by bob, 1970-01-01 00:00:02 UTC: too <b>large</b>; by alice, 1970-01-01 00:00:03 UTC: torch is not ours. "
        "It cannot be installed while these refusals lie beside it." in text
    )
    assert "approver alice \u2717 refused it" in text and "\u2717 not signed" not in text
    assert "Refused by bob, alice: no signature of others makes up for it; ask them." in text
    decide(bundle, ROOT, "approved", signer("bob").sign, "it is small enough", 4.0)
    text = Page(page(report_of(bundle))).text
    assert "Refused by alice, 1970-01-01 00:00:03 UTC: torch is not ours. It cannot be installed while this" in text
    assert "approver bob \u2713 signed" in text and "bob approved, 1970-01-01 00:00:04 UTC" in text


def test_a_one_person_root_is_shown_plainly(tmp_path: Path) -> None:
    case = Case(tmp_path, make_root(expires=4_000_000_000))
    case.add(A)
    text = plain(case).text
    assert "No approval is asked for: the root sets the approvers' threshold to 0" in text
    assert "until 2096-10-02 07:06:40 UTC; one builder's key decides alone" in text
    assert "The root names no approver" in text and "mirror approve" not in text


def test_an_earlier_bundle_that_was_approved_says_by_whom(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    earlier = case.contents()
    approved = Contents("old.tar", earlier.manifest, earlier.dossier, {"approver": ("alice", "bob")})
    assert "old.tar (approved by alice, bob), locked " in plain(case, approved).text
    alone = Contents("MANIFEST.json", earlier.manifest)
    assert "MANIFEST.json (a manifest alone: nobody's signature was checked)" in plain(case, alone).text


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target("3.9", "aarch64", "2.34"), "Linux on aarch64 with glibc 2.34 or newer; Python 3.9"),
        (
            Target("3.11", "x86_64", "2.28", "sm_75", cpu="x86-64-v3"),
            "Linux on x86_64 with glibc 2.28 or newer; Python 3.11; NVIDIA GPUs of compute capability 7.5 (T4, RTX 2080 Ti), "
            "as sm_75; "
            "processors of level x86-64-v3",
        ),
    ],
)
def test_a_target_in_words(target: Target, words: str) -> None:
    assert in_words(target) == words


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("built", ("built here", "")),
        ("mirror", ("made by mirror", "")),
        ("https://example.org:8080/a/b.whl", ("example.org", "/a/b.whl")),
        ("file:///srv/b.whl", ("a directory of the builder's", "/srv/b.whl")),
        ("http://[bad", ("http://[bad", "")),
        ("nonsense", ("nonsense", "")),
    ],
)
def test_an_origin_in_words(report: Report, origin: str, expected: tuple[str, str]) -> None:
    artifact = report.rows[0].artifact
    assert place(type(artifact)(artifact.path, 1, artifact.sha256, "a", origin=origin)) == expected


def test_two_hundred_and_fifty_artifacts_make_a_page_of_bearable_size(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for number in range(250):
        case.add(f"wheels/p{number}-1-py3-none-any.whl", native=1)
    rendered = page(case.report())
    assert len(Page(rendered).all("tr")) > 250 and len(rendered) < 1_500_000


def test_keys_with_many_holders_are_all_listed(tmp_path: Path) -> None:
    many = role(*(f"approver{number}" for number in range(10)), threshold=3)
    case = Case(tmp_path, make_root(approver=many))
    case.add(A)
    text = plain(case).text
    assert all(key.public.fingerprint in text for key in many.keys)
    assert "3 of the 10 approver keys must sign: " in text


def test_what_the_dossier_tells_of_and_is_not_there_has_no_row_to_link_to(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A)
    case.facts.append(FileFacts("wheels/ghost-1-py3-none-any.whl", "wheel", licence="MIT"))
    rendered = page(case.report())
    assert "<li><code>wheels/ghost-1-py3-none-any.whl</code>: " in rendered
    ids = Page(rendered).ids()
    assert all(str(link["href"])[1:] in ids for link in Page(rendered).all("a"))


def test_the_same_words_of_several_artifacts_are_told_once(tmp_path: Path) -> None:
    case = Case(tmp_path)
    for name in ("a", "b", "c"):
        case.add(
            f"wheels/{name}-1-py3-none-any.whl", licence="" if name != "c" else "MIT", yanked="broken" * (name == "c")
        )
    text = plain(case).text
    assert text.count("names none:") == 1 and "names none:a 1b 1" in text and "c 1: broken" in text


def luminance(colour: str) -> float:
    """WCAG 2.1, relative luminance of ``#rrggbb``."""
    parts = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "pair",
    [
        *((word, "paper") for word in ("ink", "soft", "link", "decide", "look", "know", "good")),
        *((word, f"{word}-band") for word in ("decide", "look", "know", "good")),
        *(("ink", f"{word}-band") for word in ("decide", "look", "know", "good")),
        ("ink", "band"), ("soft", "look-band"), ("link", "look-band"),
    ],
    ids="-on-".join,
)  # fmt: skip
def test_every_text_can_be_read_on_its_ground(scheme: str, pair: tuple[str, str]) -> None:
    light, dark = STYLE.split("@media screen and (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    darker, lighter = sorted(luminance(colours[name]) for name in pair)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5, "WCAG 2.1 AA, 1.4.3"


class Counted(HTMLParser):
    """The headings and captions that count something, each with the rows below it: list items and rows of a table's body."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, int]] = []
        self._open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("h2", "h3", "caption"):
            self.found.append(("", 0))
        if self.found and (tag == "li" or (tag == "tr" and "tbody" in self._open)) and "td" not in self._open:
            title, count = self.found[-1]
            self.found[-1] = title, count + 1
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("h2", "h3", "caption"):
            title, count = self.found[-1]
            self.found[-1] = title + data, count


def counting(directory: Path, of_each: int) -> Report:
    """A bundle with so many findings and changes of each kind, two of them for one artifact."""
    (directory / "old").mkdir()
    old, case = Case(directory / "old", sequence=1_780_000_000), Case(directory)
    old.add("wheels/same-1-py3-none-any.whl")
    case.add("wheels/same-1-py3-none-any.whl")
    case.has_dossier = old.has_dossier = True
    numbers = range(of_each)
    case.notes = tuple(f"note {number}" for number in numbers)
    for number in numbers:
        for word, before, now in (("up", "0", "1"), ("label", "0", "1"), ("evil", "1", "1"), ("move", "1", "1")):
            same = b"same" if word in ("label", "move") else b""
            origin = f"https://elsewhere.example/{word}" if word == "move" else ""
            old.add(
                f"wheels/{word}{number}-{before}-py3-none-any.whl",
                same or b"before",
                origin=origin,
                licence="BSD-3-Clause",
            )
            case.add(f"wheels/{word}{number}-{now}-py3-none-any.whl", same or b"after", licence="MIT")
        old.add(f"wheels/gone{number}-1-py3-none-any.whl")
        waivers = (Waiver("startup-hook", "ours", "alice", "a.pth"), Waiver("record-weak", "old", "bob"))
        built = f"wheels/built{number}-1-py3-none-any.whl"
        old.add(built, b"before", origin="built")
        case.add(
            built, b"after", origin="built", waivers=waivers, hooks=("a.pth",), setuid=("su",), yanked=f"bad {number}",
            native=number + 1, glibc="2.99", gpus=("sm_80",),
        )  # fmt: skip
        case.add(f"wheels/words{number}-1-py3-none-any.whl", licence_stated="ask us", asked=False)
        case.add(f"wheels/none{number}-1-py3-none-any.whl", licence="")
        case.add(f"rpms/cuda-crt{number}-1-1.x86_64.rpm", scriptlets=("%post",), signer="")
        case.add(f"redist/cuda{number}-1-archive.tar.xz", origin="file:///srv/x.tar.xz")
        case.add(f"python/cpython{number}-3.11.tar.gz")
        case.add(f"tool/uv{number}-1-py3-none-any.whl")
    path = "wheels/same-1-py3-none-any.whl"
    findings = tuple(Finding(path, "same", "1", f"CVE-2026-{number}") for number in numbers)
    known = Advisories(Source("dump", "all.zip", date="2026-11-20T08:00:00Z"), (path,), findings=findings)
    return case.report(old.contents(), Judgement(known))


@pytest.mark.parametrize("of_each", [0, 1, 2])
def test_each_count_is_the_number_of_rows_below_it(tmp_path: Path, of_each: int) -> None:
    report = counting(tmp_path, of_each)
    rendered = page(report)
    counted = 0
    for title, rows in Counted(rendered).found:
        match = re.search(r"\((\d+)\) *$|: (\d+), ", title)
        if match:
            assert int(match[1] or match[2]) == rows, title
            counted += 1
    groups = [group for group in Changes.GROUPS if report.changes and getattr(report.changes, group)]
    assert len(groups) == (7 if of_each else 0)
    answered = {question.key for question in report.questions if question.findings} - set(groups)
    tables = {row.artifact.directory for row in report.rows}
    facts = [one for one in (report.changes.licences, report.changes.facts) if one] if report.changes else []
    assert counted == len(groups) + len(answered) + len(tables) + len(facts)
    summary = Page(rendered[rendered.index('<section id="summary"') : rendered.index('<section id="changes"')])
    for question in report.questions:
        if question.findings:
            assert f"{len(question.findings)} {question.title}{question.why}" in summary.text
    for group in groups:
        assert f"{of_each} {group}" in summary.text or group == "added"
    told = report.to_dict()
    for directory, told_of in told["inventory"]["directories"].items():
        shown = told["documents"] if directory == "meta" else told["artifacts"]
        assert told_of["count"] == len([one for one in shown if one["path"].startswith(f"{directory}/")])


def test_the_same_artifact_is_counted_as_often_as_it_is_listed(tmp_path: Path) -> None:
    case = Case(tmp_path)
    case.add(A, waivers=(Waiver("startup-hook", "ours", "alice", "a.pth"), Waiver("record-weak", "old", "bob")))
    assert ("Waivers (2) ", 2) in [(title, rows) for title, rows in Counted(page(case.report())).found]
