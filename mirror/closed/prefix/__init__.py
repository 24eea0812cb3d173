"""A prefix: generations of one stack, the link that makes one of them current, and what is kept of each.

1. ``opened`` holds the directory, ``lock`` keeps other runs away, ``tree`` writes and removes in it; ``exposed``: what of it
   others may write.
2. ``generations`` and their names, ``numbered`` for people; ``seal`` is what each held when it was made.
3. ``receipt`` says what each is, with ``check`` and ``toolchainrecord`` in it; ``comparison`` tells two apart.
4. ``history``: what was current and when; ``switching`` makes another one current; ``usage``: who runs from which.
5. ``status``: all of it, told.
"""
