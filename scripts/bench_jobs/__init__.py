"""The benchmark: each job of mirror beside what people type instead, in one run on one machine.

1. ``inputs``: what the jobs read, made once: a bundle, mirror.pyz, the members unpacked.
2. ``jobs``: the table of jobs: mirror's command, the typed alternatives, the goals.
3. ``steps``: the parts of ``mirror bundle`` and ``mirror install`` that no command of mirror does alone, each a fresh process.
4. ``measure``: runs A B A B ..., each in a fresh process and directory, and what the kernel says of each.
5. ``table``: medians, spreads and ratios as text and as JSON.
6. ``peers`` and ``tampering``: what else carries wheels, and what each takes that was altered.
7. ``page`` and ``figure``: the results that are kept (``results``), for the handbook.

Rules: only ratios of one run on one machine are told as a result; an alternative that is not installed is named, never
guessed; both sides find the same files in the page cache; nothing here is a test, for a timed test fails on a busy machine.
"""
