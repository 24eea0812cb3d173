"""Lines that hold an alarming word and tell of no failure: a count of nothing, an answer to somebody's request.

Rules: an access log's line tells what one client was answered: what is not there (404), or was asked wrongly (400), is the
client's; an answer to work that was asked for (2xx) shows that the server went on. An answer to a probe (``/health``) shows
nothing: it is given while nothing works. An answer that the server failed (5xx) is never calm, whatever its logger calls it.

Example::

    >>> is_calm("server listening on 127.0.0.1:8080, 0 errors", ["error"])
    True
    >>> is_calm('127.0.0.1 - - [29/Nov/2026 10:00:00] "GET /errors HTTP/1.1" 404 -', ["error"])
    True
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_FAILURES = r"(?:errors?|failures?|failed|exceptions?|fatal|timeouts?|warnings?)"
_NOTHING = re.compile(
    rf"\b(?:0|[Nn]o|[Zz]ero|[Ww]ithout)(?: [a-z]+)? {_FAILURES}\b(?![:=]| ?\d)|\b{_FAILURES}(?: ?[:=] ?)0\b(?![.\d])",
    re.IGNORECASE,
)
_REQUEST = r'"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (?P<path>[^\s"]{1,2000}) HTTP/\d(?:\.\d)?"'
_ACCESS = re.compile(rf"{_REQUEST} [1-4]\d\d\b")
_REFUSED = re.compile(r"\bcode 4\d\d, message ")
"""What Python's ``http.server`` says before such a line."""
DONE, FAILED = "2", "5"
_STATUS = {first: re.compile(rf"{_REQUEST} {first}\d\d\b") for first in (DONE, FAILED)}
"""A line of an access log, by the first digit of its status."""
_PROBES = re.compile(
    r"/(?:$|\?|(?:health|healthz|livez|readyz|live|ready|ping|metrics|version|load|docs|openapi|favicon)\b|v1/models)"
)
_TRIES, _LONGEST = 64, 4000


def is_calm(text: str, alarms: Iterable[str]) -> bool:
    """Whether the alarming words of a line tell of no failure."""
    if _ACCESS.search(text) or _REFUSED.search(text):  # a server answered somebody, and did not fail of it
        return True
    rest = _NOTHING.sub("", text)
    return rest != text and not any(alarm in rest for alarm in alarms)


def last_answer(text: str, start: int, end: int, status: str, to_probes: bool = False) -> int:
    """Where the last answer of a status, ``DONE`` or ``FAILED``, to work that was asked for stands, or instead to a probe; -1
    for nowhere."""
    for _ in range(_TRIES):
        at = text.rfind(f'" {status}', start, end)
        if at < 0:
            return -1
        line = max(start, text.rfind("\n", start, at) + 1, at - _LONGEST)
        found = _STATUS[status].search(text, line, min(end, at + 5))
        if found and (_PROBES.match(found["path"]) is not None) == to_probes:
            return at
        end = line
        if end <= start:
            return -1
    return -1
