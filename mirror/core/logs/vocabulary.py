"""Which of some hundred texts can stand in a block of a log, without looking for each of them in it.

A log says few words, again and again. A text stands only where the longest of its own words does, so each word of the log is
asked once which of those it holds, and a block is asked for its words.

Rules: what is not named does not stand there; what is named may stand there, and whoever wants to know looks; how many words
are remembered is bounded; a log whose words are all new costs what looking for each text costs, and no more.

Example::

    vocabulary = Vocabulary(("No space left on device", "undefined symbol: "))
    vocabulary.held(block.folded)
"""

from __future__ import annotations

from collections.abc import Iterable

_MOST_CHARACTERS = 1 << 20
"""Of the words that are remembered; a few blocks that say nothing twice."""


class Vocabulary:
    """Knows the words of one log so far; each of the texts holds something that is no white space."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._by_key: dict[str, list[str]] = {}
        for text in texts:
            self._by_key.setdefault(max(text.split(), key=len), []).append(text)
        self._known: dict[str, tuple[str, ...]] = {}
        self._size = 0

    def held(self, block: str) -> frozenset[str]:
        """Those of the texts that may stand in a block."""
        words = set(block.split())
        if self._size > _MOST_CHARACTERS:
            self._known, self._size = {}, 0
        self._learn(words.difference(self._known))
        keys = {key for word in words for key in self._known[word]}
        return frozenset(text for key in keys for text in self._by_key[key])

    def _learn(self, words: set[str]) -> None:
        """Ask new words, all at once, which keys they hold."""
        text = "\n".join(words)
        self._size += len(text)
        self._known.update(dict.fromkeys(words, ()))
        for key in self._by_key:
            at = text.find(key)
            while at >= 0:
                start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
                end = end if end >= 0 else len(text)
                self._known[text[start:end]] += (key,)
                at = text.find(key, end)
