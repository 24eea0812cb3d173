"""The doctor: what is wrong with a host or an installed stack, why, the proof, and what to do.

``host`` and ``installed`` look, ``facts`` is what they saw of a host, ``detect`` all of it in one file for whoever makes
bundles; ``trial`` asks a compiler; ``mirror.core.logs`` explains a log, and ``here`` looks at what it says; ``machine`` and
``stack`` judge, ``checkup`` is all of them, ``page`` the same for an issue. It changes nothing and uses no network.
"""
