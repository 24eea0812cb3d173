"""A log explained: what everything in ``mirror.core.logs`` says of one log, together.

1. ``ending``: the few lines that ended the program.
2. ``explanation``: what is said of a log, in findings.
3. ``log``: reads a log and says it.
"""
