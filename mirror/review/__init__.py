"""The reviewer's side: verify every byte, then see what is inside. Reads only; 3.9+, standard library.

1. ``questions``: what a reviewer asks (``contents``, ``diff``, ``paths``, ``judgement``; ``question`` is one, ``questions``
   are all).
2. ``decisions``: approving, refusing, and checking without our code.
3. ``report``: all of it as data, with ``deep`` and ``rescan``; ``page``: the same as one page of HTML, by ``markup``.
"""
