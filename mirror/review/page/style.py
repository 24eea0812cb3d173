"""The page's only style sheet. It names no font, no image and no address: what the reader's machine has will do."""

from __future__ import annotations

STYLE = """
:root {
  --ink: #1c2126; --soft: #545d66; --paper: #ffffff; --band: #f3f5f7; --line: #d5dae0; --link: #0b57b0;
  --decide: #a3140f; --decide-band: #fdecea; --look: #7a4b00; --look-band: #fff4dc; --know: #40505f; --know-band: #eaeff4;
  --good: #17652f; --good-band: #e7f5eb;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8ec; --soft: #a6b0ba; --paper: #14181c; --band: #1e242a; --line: #39424b; --link: #8cbcff;
    --decide: #ff9d94; --decide-band: #3d1a18; --look: #f3c46b; --look-band: #35290f; --know: #b4c3d2; --know-band: #232c35;
    --good: #83d39b; --good-band: #15301f;
  }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, "Liberation Sans", Arial, sans-serif; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem 1.5rem 3rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; }
h2 { border-top: 2px solid var(--line); font-size: 1.4rem; margin: 2.2rem 0 .8rem; padding-top: .9rem; }
h3 { font-size: 1.05rem; margin: 1.3rem 0 .3rem; }
p { margin: .4rem 0; max-width: 60rem; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
code, pre, .filename { font-family: ui-monospace, "DejaVu Sans Mono", "Liberation Mono", Consolas, monospace; }
code { font-size: .86em; overflow-wrap: anywhere; }
pre {
  background: var(--band); border: 1px solid var(--line); border-radius: 4px; font-size: .8rem; line-height: 1.4;
  margin: .3rem 0; max-height: 34rem; overflow: auto; padding: .6rem .8rem; white-space: pre-wrap; overflow-wrap: anywhere;
}
pre code { font-size: inherit; }
bdi, dd, td, th, li { overflow-wrap: anywhere; }
ul.plain { list-style: none; margin: 0; padding: 0; }
summary { cursor: pointer; padding: .2rem 0; }
:target { scroll-margin-top: .5rem; }
tr:target > *, .answer:target, details:target { background: var(--look-band); }

.kicker { color: var(--soft); margin: 0; }
.kicker .file { overflow-wrap: anywhere; }
.standing { border-left: 6px solid; border-radius: 4px; margin: .7rem 0; max-width: none; padding: .5rem .9rem; }
.refused, .waiting { background: var(--decide-band); border-color: var(--decide); }
.refused strong { color: var(--decide); }
.waiting { background: var(--look-band); border-color: var(--look); }
.waiting strong { color: var(--look); }
.approved { background: var(--good-band); border-color: var(--good); }
.approved strong { color: var(--good); }
.unasked { background: var(--know-band); border-color: var(--know); }
nav ul { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; list-style: none; margin: .4rem 0 0; padding: 0; }
#summary > h2 {
  border: 0; clip-path: inset(50%); height: 1px; margin: 0; overflow: hidden; padding: 0; position: absolute; width: 1px;
}

.columns { display: grid; gap: 1rem 2.2rem; grid-template-columns: minmax(0, 1fr) minmax(0, 1.05fr); margin-top: 1rem; }
.facts { margin: 0; }
.facts > div {
  border-top: 1px solid var(--line); display: grid; grid-template-columns: 7rem minmax(0, 1fr); padding: .32rem 0;
}
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
.yes { color: var(--good); font-weight: 600; }
.no { color: var(--decide); font-weight: 600; }
.questions h3 { margin-top: 0; }
.counts { list-style: none; margin: 0; padding: 0; }
.counts li { border-left: 4px solid; border-top: 1px solid var(--line); padding: .3rem 0 .3rem .7rem; }
.counts .decide, .mark.decide { border-left-color: var(--decide); }
.counts .look { border-left-color: var(--look); }
.counts .know { border-left-color: var(--line); }
.count { display: inline-block; font-variant-numeric: tabular-nums; font-weight: 700; min-width: 2.1rem; }
.decide .count { color: var(--decide); }
.look .count { color: var(--look); }
.counts a { text-decoration: none; }
.counts a:hover strong { text-decoration: underline; }
.why { color: var(--soft); display: block; font-size: .87rem; }
.unknown, .clean { font-size: .87rem; }
.unknown strong { color: var(--look); }
.clean strong { color: var(--good); }

.weight, .mark { border-radius: 3px; font-size: .74rem; font-weight: 600; padding: .08rem .4rem; }
.weight.decide, .mark.decide { background: var(--decide-band); color: var(--decide); }
.weight.look, .mark.look { background: var(--look-band); color: var(--look); }
.weight.know { background: var(--know-band); color: var(--know); }
.answer { border-radius: 4px; }
.found { margin: .3rem 0; padding-left: 1.2rem; }
.found.narrow { columns: 17rem; font-size: .9rem; }
.command { margin: .5rem 0; }

table { border-collapse: collapse; font-size: .84rem; margin: 1rem 0 2rem; table-layout: fixed; width: 100%; }
caption { font-size: 1.05rem; font-weight: 700; padding: .3rem 0; text-align: left; }
thead th { background: var(--band); border-bottom: 2px solid var(--line); position: sticky; top: 0; }
th, td { border-bottom: 1px solid var(--line); padding: .45rem .5rem; text-align: left; vertical-align: top; }
th { font-weight: 400; }
thead th { font-weight: 700; }
th:nth-child(1) { width: 26%; }
th:nth-child(2) { width: 12%; }
th:nth-child(3) { width: 15%; }
th:nth-child(4) { width: 17%; }
th:nth-child(5) { width: 15%; }
.documents th:nth-child(2) { width: 30%; }
.documents th:nth-child(3) { width: 9%; }
.marks, .summary, .filename, .note, .size { display: block; margin-top: .15rem; }
.marks { line-height: 1.7; }
.mark { text-decoration: none; }
.summary, .note, .none { color: var(--soft); }
.filename { color: var(--soft); font-size: .72rem; line-height: 1.35; overflow-wrap: anywhere; }
.digest { font-size: .72rem; overflow-wrap: normal; }
dd .digest, p .digest { font-size: .82em; }
.size { margin: 0 0 .15rem; }
.unseen { background: var(--decide-band); color: var(--decide); font-size: .85em; }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .87rem; margin-top: 3rem; }

@media (max-width: 62rem) {
  .columns { grid-template-columns: minmax(0, 1fr); }
}
@media screen and (max-width: 48rem) {
  body { padding: .8rem .9rem 2rem; }
  .facts > div { grid-template-columns: 5.9rem minmax(0, 1fr); }
  table, thead, tbody, tr, th, td, caption { display: block; }
  thead { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
  tbody tr { border: 1px solid var(--line); border-radius: 5px; margin: 0 0 .8rem; padding: .3rem .6rem; }
  tbody th, tbody td { border: 0; padding: .25rem 0; }
  tbody th, .documents tbody th, tbody th:nth-child(1) { font-size: .95rem; width: auto; }
  tbody td { display: grid; gap: 0 .5rem; grid-template-columns: 5.6rem minmax(0, 1fr); }
  tbody td::before { color: var(--soft); content: attr(data-label); }
}
@media print {
  @page { margin: 11mm; size: A4 landscape; }
  html { font-size: 8pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; }
  .columns { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); }
  pre { max-height: none; overflow: visible; }
  thead { display: table-header-group; }
  thead th { position: static; }
  tr, .counts li, .facts > div, .found li { break-inside: avoid; }
  h2, h3, caption, .answer > p { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
  .printed::details-content { content-visibility: visible; display: block; height: auto; }
}
"""
