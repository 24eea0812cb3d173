"""HTML that cannot be broken out of: plain text is escaped wherever it is put, and nothing hides in it.

It makes elements and tables of them, and texts readable; ``mirror.review.page`` makes a page of them.

Rules: a ``str`` is text and is escaped, only ``Html`` is markup, and only this module makes ``Html`` of text; characters that
show nothing, or that change how their neighbours are shown (controls, bidirectional overrides, zero-width marks), are written
out as their numbers; attributes are quoted and escaped as well.

Example::

    >>> element("p", "1 < 2")
    '<p>1 &lt; 2</p>'
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Union

_VOID = frozenset({"meta", "link", "br", "wbr"})

_UNSEEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls; a tab and a line's end are layout
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidirectional marks and isolates
    "\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff"  # surrogates, private use, no characters at all
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff"
    "]"
)
"""A fixed list and not ``unicodedata``: the page's bytes must not depend on the Unicode version of the Python that makes it."""


class Html(str):
    """Markup. Whatever is of another type is text."""

    __slots__ = ()


Content = Union[str, Html, None]


def element(name: str, /, *content: Content, **attributes: str | bool) -> Html:
    """An element.

    Args:
        name: of a fixed set, written by us.
        content: texts, which are escaped, and markup, which is not; None for nothing.
        attributes: ``class_`` for ``class``, ``_`` for ``-`` in names; True for one without a value, False leaves it out.
    """
    words = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(key)
        elif value is not False:
            words.append(f'{key}="{html.escape(visible(value), quote=True)}"')
    opening = Html(f"<{' '.join(words)}>")
    return opening if name in _VOID else Html(f"{opening}{join(content)}</{name}>")


def join(content: Iterable[Content], between: str = "") -> Html:
    """Several pieces one after the other; ``between`` is text as well."""
    pieces = [piece if isinstance(piece, Html) else text(piece) for piece in content if piece is not None]
    return Html(text(between).join(pieces))


def table(caption: str, columns: Iterable[str], rows: Iterable[Html], **attributes: str) -> Html:
    """A table that stays one to a screen reader where its cells are laid out as blocks; its rows are ``table_row``'s."""
    head = element("tr", *(element("th", column, scope="col", role="columnheader") for column in columns), role="row")
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", *rows, role="rowgroup"),
        role="table",
        **attributes,
    )


def table_row(columns: Iterable[str], first: Iterable[Content], rest: Iterable[Content], **attributes: str) -> Html:
    """A row: its heading, in pieces, and its other cells, each with its column's name, for narrow screens."""
    label, *labels = columns
    return element(
        "tr",
        element("th", *first, scope="row", role="rowheader", data_label=label),
        *(element("td", element("div", cell), role="cell", data_label=one) for one, cell in zip(labels, rest)),
        **attributes,
        role="row",
    )


def text(words: str) -> Html:
    """Text as markup: escaped, and with nothing unseen in it."""
    return Html(_UNSEEN.sub(lambda found: f'<span class="unseen">{_number(found)}</span>', html.escape(words)))


def raw(markup: str) -> Html:
    """Markup of our own making, such as the style sheet. Never for anything that came out of a bundle."""
    return Html(markup)


def word(words: str) -> Html:
    """A publisher's words inside a sentence of ours: their direction ends where they end."""
    return element("bdi", words)


def visible(words: str) -> str:
    """Plain text with what cannot be seen written out, for places without markup."""
    return _UNSEEN.sub(_number, words)


def _number(found: re.Match[str]) -> str:
    return f"\u27e8U+{ord(found.group()):04X}\u27e9"
