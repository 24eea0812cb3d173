"""The reviewer's side: verify every byte, then see what is inside. Reads only; 3.9+, standard library.

1. ``decisions``: approving, refusing, and checking without our code.
2. ``questions``: what a reviewer asks (``diff``, ``paths``, ``judgement``; ``question`` is one, ``questions`` are all).
3. ``kinds``: what is looked at again of a kind; ``report``: all of it as data, with ``deep`` and ``rescan``.
4. ``page``: the same as one page of HTML, by ``markup``.
"""
