"""Building: ``builds`` is which and in what order, ``builder`` one wheel, ``workshop`` its room, ``sandbox`` and
``network_isolation`` its walls, ``builtwheel`` its judge."""
