"""Building: ``builds`` is which and in what order, ``builder`` one wheel, ``workshop`` its room, ``sandbox`` and
``network_isolation`` its walls, ``builtwheel`` its judge. ``trial`` tries a Python that is to be carried, which then runs
``trial_inside``."""
