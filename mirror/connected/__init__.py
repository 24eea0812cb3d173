"""The connected side: from a stack's wishes to a signed bundle, on Python 3.11 with the network there.

In the order in which data travels; each stands only on those before it:

1. ``fetching``: one file or many, from a server into the store.
2. ``pins`` and ``stack``: what is locked, and what a person wishes for in ``NAME.toml``; ``newstack`` writes its first draft.
3. ``index``, ``sdists``, ``resolving``: from requirements to the one file of each project; ``toolchain``: from RPM or archive
   wishes to a closed, coherent set; ``models``: the files of a hub's repositories. ``locking`` and ``lock`` write it all down.
4. ``probe`` and ``planning``: which files a bundle will carry, and what is to be built.
5. ``building``: what has no wheel, with the network cut.
6. ``packing``: the tar; ``contents``: what is inside; ``kinds``: what is done with each kind of artifact.
7. ``prepare`` plans, locking first what is not locked; ``jobs`` and ``cluster`` hand builds to other machines.
8. ``papers``: what is inside, said to people and tools; ``gathering`` holds the order of 6 and 8.
9. ``signing``: keys, signatures, the next root; ``delta``: the smallest way from one bundle to the next.

``bundle`` holds the order of 4 to 9. Nothing here is carried across the gap; what both sides need is in ``mirror.core``.
"""
