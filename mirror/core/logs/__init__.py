"""A log explained, on either side, in the order in which it is read.

1. ``logtext`` reads its lines and blocks; ``origin`` takes off what a collector put before a line; ``calm`` knows alarming
   words that tell of no failure; ``suspects`` are lines that look like errors; ``vocabulary`` tells which texts can stand in a
   block.
2. ``finding`` is one thing that is said of it, and ``layers`` are what a failure can be of.
3. ``compilerwords`` is what compilers say, shared with whoever runs one; ``symptom`` is one text whose cause is known,
   ``symptoms`` are all of them; ``rules`` say by a line's form what failed where no such text is known.
4. ``explained`` holds all that against a log.
"""
