"""The connected side: from a stack's wishes to a signed bundle, on Python 3.11 with the network there.

Packages in the order in which data travels; each stands only on those before it:

1. ``fetching``: one file or many, from a server into the store.
2. ``pins`` and ``stack``: what is locked, and what a person wishes for in ``NAME.toml``.
3. ``index``, ``sdists``, ``resolving``: from requirements to the one file of each project; ``toolchain``: from RPM or archive
   wishes to a closed, coherent set; ``models``: the files of a hub's repositories. ``lock`` writes all of it down.
4. ``probe`` and ``planning``: which files a bundle will carry, and what is to be built.
5. ``building``: what has no wheel, with the network cut.
6. ``packing``: the tar; ``contents`` and ``papers``: what is inside, said to people and tools; ``gathering`` holds their order.
7. ``signing``: keys, signatures, the next root.

``bundle`` holds the order of 4 to 7. Nothing here is carried across the gap; what both sides need is in ``mirror.core``.
"""
