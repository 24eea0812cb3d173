"""Building: ``builds`` is which and in what order, ``builder`` one wheel, ``workshop`` its room with ``sources`` and
``patching`` for what goes in, ``resources`` and ``compilercache`` for how fast, ``sandbox``, ``network_isolation`` and
``supervision`` its walls, ``builtwheel`` judges it, ``outcome`` is what it tells. ``trial`` tries a Python that is to be
carried, which then runs ``trial_inside``. ``mirror.connected.jobs`` hands builds out.
"""
