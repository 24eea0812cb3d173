"""The connected room: from a stack's wishes to a signed bundle, on Python 3.11 with the network there.

The modules, in the order in which data travels:

1. lock: ``stack`` (what a person writes), ``requirements`` and ``rpmlock`` (what is locked), ``locks`` (all of it together);
   ``lock`` makes them: ``pinning`` by ``resolver``, ``markers``, ``wheels``, ``choice``, ``index``, ``sdist`` and ``coverage``
   on the Python side, ``repository``, ``repodata``, ``rpmpackage`` and ``closure`` on the RPM side.
2. plan: ``wishes`` (which bundle; locks what is missing), ``findings`` (the file of each pin), ``planning``, ``plan``.
3. fetch: ``download`` (one file), ``fetch`` (many), ``part``, ``transport`` and ``patience`` (how), ``store`` (where to).
4. build: ``builds`` (which), ``builder`` (one), ``source``, ``workshop``, ``sandbox`` and ``cut`` (in what), ``builtwheel``
   (judged), ``probe`` (the wheel that proves a GPU).
5. pack: ``assembly`` and ``meta`` (what goes in), ``installer`` (mirror.pyz), ``pack`` (the tar).
6. sign: ``keyfile``, ``agent``, ``signing``.

``bundle`` holds the order of 2 to 6. Nothing here is carried across the gap; what both sides need is in ``mirror.core``.
"""
