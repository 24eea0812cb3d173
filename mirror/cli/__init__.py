"""The door: parse, call one library function, print. Nothing else in mirror prints or exits.

A process begins in ``start``; ``main`` finds the command, whose module is in ``commands``; ``parsing``, ``options``,
``stacktargets`` and ``caller`` are the command line, ``deltas`` a delta in the place of a bundle, ``grammar`` all of it as
values, of which ``manpage`` is made; ``streams``, ``terminal``, ``prose``, ``pager``, ``console`` and ``document`` are what is
printed, ``signers`` and ``findings`` parts of it; ``failure`` is how a command fails.
"""
