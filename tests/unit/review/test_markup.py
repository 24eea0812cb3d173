"""Text stays text, and nothing in it hides."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror.review.markup import Html, element, join, raw, text, visible, word


def test_text_is_escaped_and_markup_is_not() -> None:
    inner = element("b", "x < y & z")
    assert inner == "<b>x &lt; y &amp; z</b>"
    assert element("p", inner, " > ", None) == "<p><b>x &lt; y &amp; z</b> &gt; </p>"


def test_attributes_are_quoted_and_escaped() -> None:
    made = element("td", "", data_label='"><script>', class_="a", open=True, hidden=False)
    assert made == '<td data-label="&quot;&gt;&lt;script&gt;" class="a" open></td>'


def test_an_attribute_may_be_called_name() -> None:
    assert element("meta", name="referrer", content="no-referrer") == '<meta name="referrer" content="no-referrer">'


def test_an_element_without_content_is_not_closed() -> None:
    assert element("wbr") == "<wbr>"


def test_pieces_are_joined_by_text() -> None:
    assert join(("a", None, word("<b>")), " & ") == "a &amp; <bdi>&lt;b&gt;</bdi>"
    assert isinstance(join(()), Html)


def test_only_what_is_called_raw_is_taken_as_it_is() -> None:
    assert raw("<hr>") == "<hr>" and isinstance(raw("<hr>"), Html)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31m", "⟨U+001B⟩[31m"),
        ("a\u202egpj.exe", "a⟨U+202E⟩gpj.exe"),
        ("zero\u200bwidth", "zero⟨U+200B⟩width"),
        ("\x00\r\x7f\x85", "⟨U+0000⟩⟨U+000D⟩⟨U+007F⟩⟨U+0085⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("héllo שלום", "héllo שלום"),
    ],
)
def test_what_cannot_be_seen_is_written_out(hostile: str, shown: str) -> None:
    assert visible(hostile) == shown
    assert html.unescape(text(hostile).replace('<span class="unseen">', "").replace("</span>", "")) == shown


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.data = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert [key for key, _ in attrs] in ([], ["class"], ["title"])

    def handle_data(self, data: str) -> None:
        self.data += data


@given(st.text(), st.text())
def test_no_text_and_no_attribute_breaks_out(words: str, attribute: str) -> None:
    reader = _Reader()
    reader.feed(element("p", words, title=attribute))
    reader.close()
    assert set(reader.tags) <= {"p", "span"} and reader.tags.count("p") == 1
    assert reader.data == visible(words)
