"""Building: ``schedule`` is which and in what order, ``request`` one of them and ``kept`` what it gave, ``builder`` makes the
wheel or tells its ``failure``, ``workshop`` its room with ``sources`` and ``patching`` for what goes in, ``resources`` and
``compilercache`` for how fast, ``sandbox``, ``network_isolation`` and ``supervision`` its walls, ``compilers`` what runs in
them, ``fit`` its judge, ``outcome`` what it tells. ``trial`` tries a Python that is to be carried, which then runs
``trial_inside``. ``mirror.connected.jobs`` hands builds out.
"""
